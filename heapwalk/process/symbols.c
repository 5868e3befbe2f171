/*
 * Looking symbols up by name (a scan) and by address (a sorted table for each module, made when it
 * is first needed). Debug files are mapped, not loaded; libdwfl is asked only where our own search
 * cannot help.
 */
#include "process/symbols.h"

#include "process/dwfl.h"

#include <stdlib.h>
#include <string.h>

/* An address lies in one of the functions that begin before it; how many that do not cover it may
 * stand between (labels, aliases, cold parts). */
#define COVER_STEPS_MAX 64

/* @index: of the symbol in its table, with a rank for symbols of the same value in its top bits. */
typedef struct {
    guint64 value;
    guint32 size_bytes;
    guint32 index;
} Entry;

#define INDEX_BITS 28
#define INDEX_MASK ((1u << INDEX_BITS) - 1)

/* A symbol table with its names; both are checked: names end within @names_bytes. */
typedef struct {
    Elf *elf;
    Elf_Data *data;
    const char *names;
    gsize names_bytes;
    guint count;
} Section;

/* @entries: Entry, ascending by value and rank. @dwfl: used in place of @section where not NULL. */
typedef struct {
    Section section;
    Dwfl_Module *dwfl;
    PmSymbolSource source;
    GArray *entries;
} Table;

struct PmSymbolTables {
    const PmProcess *process;
    PmDwfl *dwfl;        /* made when first needed */
    GPtrArray *tables;   /* Table * or NULL, by module index */
    GStringChunk *names; /* those that were given out without their version */
};

static void
table_free(gpointer data)
{
    Table *table = data;
    if (table == NULL)
        return;
    g_array_unref(table->entries);
    g_free(table);
}

PmSymbolTables *
pm_symbol_tables_new(const PmProcess *process)
{
    PmSymbolTables *symbols = g_new0(PmSymbolTables, 1);
    symbols->process = process;
    symbols->names = g_string_chunk_new(1024);
    symbols->tables = g_ptr_array_new_with_free_func(table_free);
    g_ptr_array_set_size(symbols->tables, (gint)process->modules->len);
    return symbols;
}

void
pm_symbol_tables_free(PmSymbolTables *symbols)
{
    if (symbols == NULL)
        return;
    g_ptr_array_unref(symbols->tables);
    pm_dwfl_free(symbols->dwfl);
    g_string_chunk_free(symbols->names);
    g_free(symbols);
}

static Dwfl_Module *
get_dwfl_module(PmSymbolTables *symbols, const PmModule *module)
{
    if (!pm_dwfl_may_help(symbols->process, module))
        return NULL;
    if (symbols->dwfl == NULL)
        symbols->dwfl = pm_dwfl_new(symbols->process);
    return pm_dwfl_get_module(symbols->dwfl, module);
}

/* The section of @type (SHT_SYMTAB, SHT_DYNSYM) of @file, which may be NULL. */
static gboolean
open_section(const PmElfFile *file, guint32 type, Section *ret_section)
{
    Elf_Scn *scn = NULL;
    while (file != NULL && (scn = elf_nextscn(file->elf, scn)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(scn, &header) == NULL || header.sh_type != type)
            continue;
        Elf_Data *data = elf_getdata(scn, NULL);
        Elf_Data *names = elf_getdata(elf_getscn(file->elf, header.sh_link), NULL);
        const gsize symbol_bytes = gelf_fsize(file->elf, ELF_T_SYM, 1, EV_CURRENT);
        if (data == NULL || data->d_buf == NULL || names == NULL || names->d_buf == NULL ||
            names->d_size == 0 || ((const char *)names->d_buf)[names->d_size - 1] != '\0')
            continue;
        *ret_section = (Section){
            .elf = file->elf,
            .data = data,
            .names = names->d_buf,
            .names_bytes = names->d_size,
            .count = (guint)MIN(data->d_size / symbol_bytes, INDEX_MASK),
        };
        return TRUE;
    }
    return FALSE;
}

/* Reads a symbol that is defined in a section and has a name. */
static gboolean
read_symbol(const Section *section, guint index, GElf_Sym *ret_symbol, const char **ret_name)
{
    if (gelf_getsym(section->data, (int)index, ret_symbol) == NULL ||
        ret_symbol->st_shndx == SHN_UNDEF || ret_symbol->st_shndx == SHN_ABS ||
        ret_symbol->st_shndx == SHN_COMMON || ret_symbol->st_name >= section->names_bytes)
        return FALSE;
    const guint type = GELF_ST_TYPE(ret_symbol->st_info);
    *ret_name = section->names + ret_symbol->st_name;
    return type != STT_SECTION && type != STT_FILE && (*ret_name)[0] != '\0';
}

/* .symtab writes the default version into the name: "memcpy@@GLIBC_2.14". */
static gboolean
is_name(const char *found, const char *wanted, gsize wanted_bytes)
{
    return strncmp(found, wanted, wanted_bytes) == 0 &&
           (found[wanted_bytes] == '\0' || strncmp(found + wanted_bytes, "@@", 2) == 0);
}

/* @name without "@GLIBC_2.14". */
static const char *
strip_version(const PmProcess *process, const char *name)
{
    const char *at = strchr(name, '@');
    if (at == NULL || at == name)
        return name;
    g_autofree char *plain = g_strndup(name, (gsize)(at - name));
    return g_string_chunk_insert_const(process->symbols->names, plain);
}

static PmSymbol
make_symbol(const PmModule *module, const GElf_Sym *found, const char *name, PmSymbolSource source)
{
    const gboolean is_tls = GELF_ST_TYPE(found->st_info) == STT_TLS;
    return (PmSymbol){
        .name = name,
        .address = is_tls ? found->st_value : module->bias + found->st_value,
        .size_bytes = found->st_size,
        .is_tls = is_tls,
        .module = module,
        .source = source,
    };
}

/* A global symbol wins over a local one of the same name. */
static gboolean
scan_section(const PmModule *module, const Section *section, const char *name, PmSymbol *ret_symbol)
{
    const gsize name_bytes = strlen(name);
    gboolean found = FALSE;
    for (guint i = 0; i < section->count; i++) {
        GElf_Sym symbol;
        const char *symbol_name = NULL;
        if (!read_symbol(section, i, &symbol, &symbol_name) ||
            !is_name(symbol_name, name, name_bytes))
            continue;
        const gboolean is_local = GELF_ST_BIND(symbol.st_info) == STB_LOCAL;
        if (found && is_local)
            continue;
        *ret_symbol = make_symbol(module, &symbol, symbol_name, ret_symbol->source);
        found = TRUE;
        if (!is_local)
            break;
    }
    return found;
}

static gboolean
scan_file(const PmModule *module, const PmElfFile *file, PmSymbolSource source, const char *name,
          PmSymbol *ret_symbol)
{
    Section section;
    PmSymbol symbol = {.source = source};
    if (!open_section(file, source == PM_SYMBOL_FROM_DYNSYM ? SHT_DYNSYM : SHT_SYMTAB, &section) ||
        !scan_section(module, &section, name, &symbol))
        return FALSE;
    *ret_symbol = symbol;
    return TRUE;
}

/* Whence libdwfl has a symbol: our own file without .symtab, its .gnu_debugdata, or a debug file.
 */
static PmSymbolSource
get_dwfl_source(const PmProcess *process, const PmModule *module, Dwfl_Module *dwfl, const Elf *elf)
{
    const PmElfFile *file = pm_process_parts_of(process, module)->file;
    const char *debug_file = NULL;
    if (elf == file->elf)
        return PM_SYMBOL_FROM_DYNSYM;
    /* A file that debuginfod fetched has no name here. */
    dwfl_module_info(dwfl, NULL, NULL, NULL, NULL, NULL, NULL, &debug_file);
    return debug_file != NULL || !file->has_mini_debug ? PM_SYMBOL_FROM_DEBUG_FILE
                                                       : PM_SYMBOL_FROM_SYMTAB;
}

static gboolean
is_usable(const char *name, const GElf_Sym *symbol)
{
    const guint type = GELF_ST_TYPE(symbol->st_info);
    return name != NULL && name[0] != '\0' && symbol->st_shndx != SHN_UNDEF &&
           symbol->st_shndx != SHN_ABS && symbol->st_shndx != SHN_COMMON && type != STT_SECTION &&
           type != STT_FILE;
}

static gboolean
scan_dwfl(const PmProcess *process, const PmModule *module, const char *name, PmSymbol *ret_symbol)
{
    Dwfl_Module *dwfl = get_dwfl_module(process->symbols, module);
    const int count = dwfl != NULL ? dwfl_module_getsymtab(dwfl) : 0;
    const gsize name_bytes = strlen(name);
    for (int i = 0; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address = 0;
        Elf *elf = NULL;
        const char *found = dwfl_module_getsym_info(dwfl, i, &symbol, &address, NULL, &elf, NULL);
        if (found == NULL || !is_name(found, name, name_bytes) || !is_usable(found, &symbol))
            continue;
        const PmSymbolSource source = get_dwfl_source(process, module, dwfl, elf);
        *ret_symbol = make_symbol(module, &symbol, found, source);
        if (!ret_symbol->is_tls)
            ret_symbol->address = address;
        return TRUE;
    }
    return FALSE;
}

static gboolean
lookup_in(const PmProcess *process, const PmModule *module, const char *name, PmSymbol *ret_symbol)
{
    const PmModuleParts *parts = pm_process_parts_of(process, module);
    return scan_file(module, parts->file, PM_SYMBOL_FROM_SYMTAB, name, ret_symbol) ||
           scan_file(module, parts->file, PM_SYMBOL_FROM_DYNSYM, name, ret_symbol) ||
           scan_file(module, parts->debug_file, PM_SYMBOL_FROM_DEBUG_FILE, name, ret_symbol);
}

static gboolean
lookup_anywhere(const PmProcess *process, const PmModule *module, const char *name,
                PmSymbol *ret_symbol)
{
    if (module != NULL)
        return lookup_in(process, module, name, ret_symbol) ||
               scan_dwfl(process, module, name, ret_symbol);
    for (guint i = 0; i < process->modules->len; i++)
        if (lookup_in(process, pm_process_module_at(process, i), name, ret_symbol))
            return TRUE;
    return FALSE;
}

gboolean
pm_process_lookup_symbol(const PmProcess *process, const PmModule *module, const char *name,
                         PmSymbol *ret_symbol)
{
    g_return_val_if_fail(name != NULL && name[0] != '\0', FALSE);
    if (!lookup_anywhere(process, module, name, ret_symbol))
        return FALSE;
    ret_symbol->name = strip_version(process, ret_symbol->name);
    return TRUE;
}

/* Lower is better among symbols of the same value. */
static guint32
get_rank(const GElf_Sym *symbol, const char *name)
{
    return (symbol->st_size == 0 ? 8u : 0u) +
           (GELF_ST_TYPE(symbol->st_info) == STT_NOTYPE ? 4u : 0u) +
           (GELF_ST_BIND(symbol->st_info) == STB_LOCAL ? 2u : 0u) + (name[0] == '_' ? 1u : 0u);
}

/*
 * "$x" and its like mark code and data within functions (AArch64 ELF ABI). Where a module begins is
 * its ELF header: a symbol with the value 0 belongs to a section that is not loaded, such as
 * libc's .gnu.warning.*.
 */
static void
add_entry(GArray *entries, const GElf_Sym *symbol, const char *name, guint64 value, guint index)
{
    const guint type = GELF_ST_TYPE(symbol->st_info);
    if (value == 0 || type == STT_TLS || (type == STT_NOTYPE && name[0] == '$'))
        return;
    const Entry entry = {
        .value = value,
        .size_bytes = (guint32)MIN(symbol->st_size, G_MAXUINT32),
        .index = index | get_rank(symbol, name) << INDEX_BITS,
    };
    g_array_append_val(entries, entry);
}

static gint
compare_entries(gconstpointer a, gconstpointer b)
{
    const Entry *left = a;
    const Entry *right = b;
    if (left->value != right->value)
        return left->value < right->value ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static void
fill_from_section(Table *table)
{
    for (guint i = 0; i < table->section.count; i++) {
        GElf_Sym symbol;
        const char *name = NULL;
        if (read_symbol(&table->section, i, &symbol, &name))
            add_entry(table->entries, &symbol, name, symbol.st_value, i);
    }
}

static void
fill_from_dwfl(Table *table, const PmModule *module)
{
    const int count = dwfl_module_getsymtab(table->dwfl);
    for (int i = 0; i < count && (guint)i < INDEX_MASK; i++) {
        GElf_Sym symbol;
        GElf_Addr address = 0;
        const char *name =
            dwfl_module_getsym_info(table->dwfl, i, &symbol, &address, NULL, NULL, NULL);
        if (is_usable(name, &symbol))
            add_entry(table->entries, &symbol, name, address - module->bias, (guint)i);
    }
}

/* One source for each module: every one of them includes what those after it hold. */
static Table *
make_table(const PmProcess *process, const PmModule *module)
{
    const PmModuleParts *parts = pm_process_parts_of(process, module);
    Table *table = g_new0(Table, 1);
    table->entries = g_array_new(FALSE, FALSE, sizeof(Entry));

    if (open_section(parts->file, SHT_SYMTAB, &table->section)) {
        table->source = PM_SYMBOL_FROM_SYMTAB;
        fill_from_section(table);
    } else if (open_section(parts->debug_file, SHT_SYMTAB, &table->section)) {
        table->source = PM_SYMBOL_FROM_DEBUG_FILE;
        fill_from_section(table);
    } else if ((table->dwfl = get_dwfl_module(process->symbols, module)) != NULL) {
        fill_from_dwfl(table, module);
    }
    if (table->entries->len == 0 && open_section(parts->file, SHT_DYNSYM, &table->section)) {
        table->dwfl = NULL;
        table->source = PM_SYMBOL_FROM_DYNSYM;
        fill_from_section(table);
    }
    if (table->entries->len > 0)
        qsort(table->entries->data, table->entries->len, sizeof(Entry), compare_entries);
    return table;
}

static Table *
get_table(const PmProcess *process, const PmModule *module)
{
    GPtrArray *tables = process->symbols->tables;
    const guint index = (guint)(module - pm_process_module_at(process, 0));
    if (g_ptr_array_index(tables, index) == NULL)
        tables->pdata[index] = make_table(process, module);
    return g_ptr_array_index(tables, index);
}

/* The entry that covers @value, or else the nearest one before it; NULL where there is none. */
static const Entry *
find_entry(const GArray *entries, guint64 value, gboolean *ret_covers)
{
    const Entry *all = (const Entry *)(gpointer)entries->data;
    guint low = 0, high = entries->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (all[middle].value > value)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;

    const Entry *nearest = &all[low - 1];
    const Entry *covering = NULL;
    for (guint i = low; i > 0 && low - i < COVER_STEPS_MAX; i--) {
        const Entry *entry = &all[i - 1];
        if (covering != NULL && entry->value != covering->value)
            break;
        if (entry->value == nearest->value)
            nearest = entry;
        if (value - entry->value < entry->size_bytes)
            covering = entry;
    }
    *ret_covers = covering != NULL;
    return covering != NULL ? covering : nearest;
}

/* Whether section @index of @elf holds @value. */
static gboolean
is_in_section(Elf *elf, guint index, guint64 value)
{
    GElf_Shdr header;
    Elf_Scn *scn = elf_getscn(elf, index);
    return scn != NULL && gelf_getshdr(scn, &header) != NULL && value >= header.sh_addr &&
           value - header.sh_addr < header.sh_size;
}

gboolean
pm_process_symbolize(const PmProcess *process, PmAddr address, PmSymbol *ret_symbol,
                     guint64 *ret_offset_bytes)
{
    const PmModule *module = pm_process_find_module(process, address);
    if (module == NULL)
        return FALSE;
    const Table *table = get_table(process, module);
    const guint64 value = address - module->bias;
    gboolean covers = FALSE;
    const Entry *entry = find_entry(table->entries, value, &covers);
    if (entry == NULL)
        return FALSE;

    GElf_Sym symbol;
    const char *name = NULL;
    Elf *elf = table->section.elf;
    PmSymbolSource source = table->source;
    const guint index = entry->index & INDEX_MASK;
    if (table->dwfl != NULL) {
        GElf_Addr ignored = 0;
        name =
            dwfl_module_getsym_info(table->dwfl, (int)index, &symbol, &ignored, NULL, &elf, NULL);
        source = get_dwfl_source(process, module, table->dwfl, elf);
    } else if (!read_symbol(&table->section, index, &symbol, &name)) {
        return FALSE;
    }
    if (name == NULL || (!covers && !is_in_section(elf, symbol.st_shndx, value)))
        return FALSE;
    *ret_symbol = make_symbol(module, &symbol, name, source);
    ret_symbol->name = strip_version(process, name);
    ret_symbol->address = module->bias + entry->value;
    *ret_offset_bytes = value - entry->value;
    return TRUE;
}

/* The symbol and the name of @entry. */
static gboolean
read_entry(const Table *table, const Entry *entry, GElf_Sym *ret_symbol, const char **ret_name)
{
    const guint index = entry->index & INDEX_MASK;
    if (table->dwfl == NULL)
        return read_symbol(&table->section, index, ret_symbol, ret_name);
    GElf_Addr ignored = 0;
    *ret_name =
        dwfl_module_getsym_info(table->dwfl, (int)index, ret_symbol, &ignored, NULL, NULL, NULL);
    return *ret_name != NULL;
}

void
pm_process_visit_functions(const PmProcess *process, const PmModule *module, PmSymbolVisitor visit,
                           gpointer data)
{
    const Table *table = get_table(process, module);
    for (guint i = 0; i < table->entries->len; i++) {
        const Entry *entry = &g_array_index(table->entries, Entry, i);
        GElf_Sym found;
        const char *name = NULL;
        if (!read_entry(table, entry, &found, &name))
            continue;
        const guint type = GELF_ST_TYPE(found.st_info);
        if (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC)
            continue;
        PmSymbol symbol = make_symbol(module, &found, name, table->source);
        symbol.address = module->bias + entry->value;
        visit(&symbol, data);
    }
}
