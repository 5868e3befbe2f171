/*
 * Dynamic symbols and relocations; see dynamic.h. Tables are taken where they lie in one piece,
 * else copied.
 */
#include "analysis/sites/dynamic.h"

#include "process/linkmap.h"

#include <elf.h>
#include <string.h>

#define TABLE_BYTES_MAX  G_GUINT64_CONSTANT(1 << 28)
#define NAME_BYTES_MAX   4096
#define HASH_BUCKETS_MAX (1U << 22)

/* A stretch of memory; @owned where it had to be copied. */
typedef struct {
    const guint8 *bytes;
    gsize size;
    guint8 *owned;
} Table;

typedef struct {
    PmDynamic *dynamic;
    const PmSpace *space;
    const PmModule *module;
    Table symbols;
    Table strings;
} Reader;

static void
table_clear(Table *table)
{
    g_free(table->owned);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Table, table_clear)

static gboolean
table_load(Table *table, const PmSpace *space, PmAddr address, guint64 size)
{
    if (size == 0 || size > TABLE_BYTES_MAX)
        return FALSE;
    table->size = (gsize)size;
    table->bytes = pm_space_peek(space, address, (gsize)size);
    if (table->bytes != NULL)
        return TRUE;
    table->owned = g_try_malloc((gsize)size);
    if (table->owned == NULL || !pm_space_read(space, address, table->owned, (gsize)size)) {
        table->size = 0;
        return FALSE;
    }
    table->bytes = table->owned;
    return TRUE;
}

/* A value of the dynamic section as an address: glibc adds the bias in place to some of them. */
static gboolean
find_address(const Reader *reader, guint64 tag, PmAddr *ret_address)
{
    const PmModule *module = reader->module;
    guint64 value = 0;
    if (!pm_dynamic_find(reader->space, module->dynamic, tag, &value) || value == 0)
        return FALSE;
    *ret_address = value >= module->start && value < module->end ? value : module->bias + value;
    return TRUE;
}

static gboolean
find_size(const Reader *reader, guint64 tag, guint64 *ret_size)
{
    return pm_dynamic_find(reader->space, reader->module->dynamic, tag, ret_size);
}

/* DT_GNU_HASH: the last symbol of the chain of the last bucket is the last symbol. */
static guint64
count_by_gnu_hash(const PmSpace *space, PmAddr hash)
{
    guint32 buckets = 0, first = 0, bloom = 0, last = 0, link = 0;
    if (!pm_space_read_u32(space, hash, &buckets) || !pm_space_read_u32(space, hash + 4, &first) ||
        !pm_space_read_u32(space, hash + 8, &bloom) || buckets > HASH_BUCKETS_MAX ||
        bloom > HASH_BUCKETS_MAX)
        return 0;
    const PmAddr table = hash + 16 + (guint64)bloom * 8;
    for (guint32 i = 0; i < buckets; i++) {
        guint32 bucket = 0;
        if (!pm_space_read_u32(space, table + (guint64)i * 4, &bucket))
            return 0;
        last = MAX(last, bucket);
    }
    if (last < first)
        return first;
    const PmAddr chains = table + (guint64)buckets * 4;
    for (guint32 i = 0; i < HASH_BUCKETS_MAX; i++, last++) {
        if (!pm_space_read_u32(space, chains + (guint64)(last - first) * 4, &link))
            return 0;
        if ((link & 1) != 0)
            return (guint64)last + 1;
    }
    return 0;
}

static guint64
count_symbols(const Reader *reader)
{
    PmAddr hash = 0;
    guint32 chains = 0;
    if (find_address(reader, DT_HASH, &hash) && pm_space_read_u32(reader->space, hash + 4, &chains))
        return chains;
    return find_address(reader, DT_GNU_HASH, &hash) ? count_by_gnu_hash(reader->space, hash) : 0;
}

/* The name at @offset of the strings, or NULL. Kept by the PmDynamic. */
static const char *
read_name(const Reader *reader, guint32 offset)
{
    if (offset >= reader->strings.size)
        return NULL;
    const char *name = (const char *)reader->strings.bytes + offset;
    const gsize most = MIN(reader->strings.size - offset, NAME_BYTES_MAX);
    const gsize length = strnlen(name, most);
    if (length == 0 || length == most)
        return NULL;
    return g_string_chunk_insert_const(reader->dynamic->names, name);
}

static gboolean
read_symbol(const Reader *reader, guint64 index, Elf64_Sym *ret_symbol)
{
    if (index >= reader->symbols.size / sizeof(Elf64_Sym))
        return FALSE;
    memcpy(ret_symbol, reader->symbols.bytes + index * sizeof(Elf64_Sym), sizeof *ret_symbol);
    return TRUE;
}

static void
read_exports(const Reader *reader)
{
    for (guint64 i = 1; i < reader->symbols.size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym symbol;
        if (!read_symbol(reader, i, &symbol))
            return;
        const guint type = ELF64_ST_TYPE(symbol.st_info);
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0 ||
            (type != STT_FUNC && type != STT_NOTYPE))
            continue;
        const PmExport export = {symbol.st_value, read_name(reader, symbol.st_name)};
        if (export.name != NULL)
            g_array_append_val(reader->dynamic->exports, export);
    }
}

/* The relocations that a pair of tags speaks of. */
static gboolean
load_relocations(const Reader *reader, guint64 table_tag, guint64 size_tag, Table *table)
{
    PmAddr address = 0;
    guint64 size = 0;
    return find_address(reader, table_tag, &address) && find_size(reader, size_tag, &size) &&
           table_load(table, reader->space, address, size);
}

static gboolean
read_relocation(const Table *table, gsize index, Elf64_Rela *ret_relocation)
{
    if (index >= table->size / sizeof(Elf64_Rela))
        return FALSE;
    memcpy(ret_relocation, table->bytes + index * sizeof(Elf64_Rela), sizeof *ret_relocation);
    return TRUE;
}

/* How many symbols the relocations know of: the hash table leaves out what is not defined here. */
static guint64
count_related(const Table *table)
{
    guint64 most = 0;
    Elf64_Rela relocation;
    for (gsize i = 0; read_relocation(table, i, &relocation); i++)
        most = MAX(most, ELF64_R_SYM(relocation.r_info));
    return most + 1;
}

/* Words that are to hold a symbol's address: of the linkage table, and any others. */
static void
read_imports(const Reader *reader, const Table *table)
{
    Elf64_Rela relocation;
    for (gsize i = 0; read_relocation(table, i, &relocation); i++) {
        Elf64_Sym symbol;
        const guint64 type = ELF64_R_TYPE(relocation.r_info);
        if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) ||
            !read_symbol(reader, ELF64_R_SYM(relocation.r_info), &symbol))
            continue;
        const PmImport import = {relocation.r_offset, read_name(reader, symbol.st_name)};
        if (import.name != NULL)
            g_array_append_val(reader->dynamic->imports, import);
    }
}

static gint
compare_imports(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const PmImport *)a)->slot;
    const guint64 right = ((const PmImport *)b)->slot;
    return left < right ? -1 : left > right;
}

static gint
compare_exports(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const PmExport *)a)->address;
    const guint64 right = ((const PmExport *)b)->address;
    return left < right ? -1 : left > right;
}

void
pm_dynamic_read(PmDynamic *dynamic, const PmProcess *process, const PmModule *module)
{
    Reader reader = {.dynamic = dynamic, .space = pm_process_get_space(process), .module = module};
    dynamic->imports = g_array_new(FALSE, FALSE, sizeof(PmImport));
    dynamic->exports = g_array_new(FALSE, FALSE, sizeof(PmExport));
    dynamic->names = g_string_chunk_new(4096);
    PmAddr symbols = 0, strings = 0;
    guint64 string_bytes = 0;
    if (module->dynamic == PM_ADDR_NONE || !find_address(&reader, DT_SYMTAB, &symbols) ||
        !find_address(&reader, DT_STRTAB, &strings) || !find_size(&reader, DT_STRSZ, &string_bytes))
        return;
    g_auto(Table) others = {0};
    g_auto(Table) linkage = {0};
    load_relocations(&reader, DT_RELA, DT_RELASZ, &others);
    load_relocations(&reader, DT_JMPREL, DT_PLTRELSZ, &linkage);
    const guint64 count =
        MAX(count_symbols(&reader), MAX(count_related(&others), count_related(&linkage)));
    if (count < TABLE_BYTES_MAX / sizeof(Elf64_Sym) &&
        table_load(&reader.symbols, reader.space, symbols, count * sizeof(Elf64_Sym)) &&
        table_load(&reader.strings, reader.space, strings, string_bytes)) {
        read_exports(&reader);
        read_imports(&reader, &others);
        read_imports(&reader, &linkage);
    }
    table_clear(&reader.symbols);
    table_clear(&reader.strings);
    pm_dynamic_sort(dynamic);
}

void
pm_dynamic_sort(PmDynamic *dynamic)
{
    g_array_sort(dynamic->imports, compare_imports);
    g_array_sort(dynamic->exports, compare_exports);
}

void
pm_dynamic_clear(PmDynamic *dynamic)
{
    g_array_unref(dynamic->imports);
    g_array_unref(dynamic->exports);
    g_string_chunk_free(dynamic->names);
}
