#include "dwarf/names.h"

#include "dwarf/linefiles.h"
#include "dwarf/scopes.h"

#include <dwarf.h>

/* A static in a lambda in a static initialiser in a function in a class. */
#define ORIGINS_MAX    8
#define NAME_BYTES_MAX 4096

/* What is known of a unit. @scopes, @files: NULL until they are asked for. @unit: where @has_unit.
 */
typedef struct {
    PmUnit unit;
    gboolean has_unit;
    gboolean was_asked;
    PmScopes *scopes;
    GPtrArray *files;
} Table;

/* A skeleton and its split unit, whose addr is NULL where it is not here. */
typedef struct {
    PmSplitFile file;
    Dwarf_Die skeleton;
    Dwarf_Die split;
} Split;

struct PmNames {
    GHashTable *sections;  /* Dwarf * → PmSections * */
    GHashTable *tables;    /* Dwarf_CU * → Table * */
    GHashTable *languages; /* Dwarf_CU * → guint + 1 */
    GHashTable *imports;   /* Dwarf * of a module → Dwarf_CU * → language + 1, or NULL */
    GHashTable *splits;    /* Dwarf_CU * of a skeleton → Split * */
    GHashTable *skeletons; /* Dwarf_CU * of a split unit → Split *, borrowed */
};

static void
table_free(gpointer data)
{
    Table *table = data;
    pm_scopes_free(table->scopes);
    if (table->files != NULL)
        g_ptr_array_unref(table->files);
    g_free(table);
}

static void
imports_free(gpointer data)
{
    if (data != NULL)
        g_hash_table_unref(data);
}

static void
split_free(gpointer data)
{
    Split *split = data;
    g_free(split->file.path);
    g_free(split);
}

PmNames *
pm_names_new(void)
{
    PmNames *names = g_new0(PmNames, 1);
    names->sections = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)pm_sections_free);
    names->tables = g_hash_table_new_full(NULL, NULL, NULL, table_free);
    names->languages = g_hash_table_new(NULL, NULL);
    names->imports = g_hash_table_new_full(NULL, NULL, NULL, imports_free);
    names->splits = g_hash_table_new_full(NULL, NULL, NULL, split_free);
    names->skeletons = g_hash_table_new(NULL, NULL);
    return names;
}

void
pm_names_free(PmNames *names)
{
    if (names == NULL)
        return;
    g_hash_table_unref(names->tables);
    g_hash_table_unref(names->languages);
    g_hash_table_unref(names->imports);
    g_hash_table_unref(names->skeletons);
    g_hash_table_unref(names->splits);
    g_hash_table_unref(names->sections);
    g_free(names);
}

PmSections *
pm_names_get_sections(PmNames *names, Dwarf *dwarf)
{
    PmSections *sections = g_hash_table_lookup(names->sections, dwarf);
    if (sections == NULL) {
        sections = pm_sections_new(dwarf);
        g_hash_table_insert(names->sections, dwarf, sections);
    }
    return sections;
}

gboolean
pm_names_get_split(PmNames *names, Dwarf_Die *root, const PmSplitFile **ret_file,
                   Dwarf_Die *ret_split)
{
    Split *split = g_hash_table_lookup(names->splits, root->cu);
    if (split == NULL) {
        split = g_new0(Split, 1);
        split->skeleton = *root;
        g_hash_table_insert(names->splits, root->cu, split);
        if (pm_split_stat(root, &split->file) && pm_split_get(root, &split->file, &split->split))
            g_hash_table_insert(names->skeletons, split->split.cu, split);
    }
    if (split->split.addr == NULL)
        return FALSE;
    if (ret_file != NULL)
        *ret_file = &split->file;
    *ret_split = split->split;
    return TRUE;
}

gboolean
pm_language_is_scoped(guint language)
{
    switch (language) {
    case 0:
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case 0x2c: /* DW_LANG_C17 */
    case DW_LANG_ObjC:
    case DW_LANG_UPC:
    case DW_LANG_Mips_Assembler:
        return FALSE;
    default:
        return TRUE;
    }
}

void
pm_names_add_dwarf(PmNames *names, Dwarf *dwarf)
{
    if (!g_hash_table_contains(names->imports, dwarf))
        g_hash_table_insert(names->imports, dwarf, NULL);
}

/* What @unit imports, which stands before everything else in it; new ones are appended to @queue.
 */
static void
follow_imports(const PmUnit *unit, GHashTable *imports, guint language, GArray *queue)
{
    PmDieWalk walk;
    pm_die_walk_init(&walk, unit);
    if (!pm_die_walk_next(&walk))
        return;
    while (pm_die_walk_next(&walk) && walk.tag == DW_TAG_imported_unit) {
        Dwarf_Die die = pm_die_walk_get(&walk);
        Dwarf_Attribute attribute;
        Dwarf_Die imported;
        if (dwarf_attr(&die, DW_AT_import, &attribute) == NULL ||
            dwarf_formref_die(&attribute, &imported) == NULL ||
            g_hash_table_contains(imports, imported.cu))
            continue;
        g_hash_table_insert(imports, imported.cu, GUINT_TO_POINTER(language + 1));
        g_array_append_val(queue, imported);
    }
}

static GHashTable *
read_imports(PmNames *names, Dwarf *dwarf)
{
    GHashTable *imports = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) queue = g_array_new(FALSE, FALSE, sizeof(Dwarf_Die));
    PmSections *sections = pm_names_get_sections(names, dwarf);
    PmUnitCursor cursor = {0};
    PmUnit unit;
    while (pm_unit_next(sections, &cursor, &unit)) {
        if (unit.kind != DW_UT_compile)
            continue;
        follow_imports(&unit, imports, unit.language, queue);
        while (queue->len > 0) {
            Dwarf_Die root = g_array_index(queue, Dwarf_Die, queue->len - 1);
            g_array_set_size(queue, queue->len - 1);
            const PmUnit *imported = pm_names_get_unit(names, &root);
            if (imported != NULL)
                follow_imports(imported, imports, unit.language, queue);
        }
    }
    return imports;
}

/* Returns: Dwarf_CU * → language + 1. */
static GHashTable *
get_imports(PmNames *names, Dwarf *dwarf)
{
    GHashTable *imports = g_hash_table_lookup(names->imports, dwarf);
    if (imports == NULL) {
        imports = read_imports(names, dwarf);
        g_hash_table_insert(names->imports, dwarf, imports);
    }
    return imports;
}

gboolean
pm_names_is_imported(PmNames *names, Dwarf *dwarf, const Dwarf_Die *root)
{
    return g_hash_table_contains(get_imports(names, dwarf), root->cu);
}

/* The language of those that import @unit. */
static guint
find_importer(PmNames *names, const Dwarf_CU *unit)
{
    g_autoptr(GList) dwarfs = g_hash_table_get_keys(names->imports);
    for (GList *at = dwarfs; at != NULL; at = at->next) {
        const guint found =
            GPOINTER_TO_UINT(g_hash_table_lookup(get_imports(names, at->data), unit));
        if (found > 0)
            return found - 1;
    }
    return 0;
}

static guint
get_language(PmNames *names, Dwarf_Die *die)
{
    const guint known = GPOINTER_TO_UINT(g_hash_table_lookup(names->languages, die->cu));
    guint language = 0;
    Dwarf_Die root;
    if (known > 0)
        return known - 1;
    if (dwarf_cu_die(die->cu, &root, NULL, NULL, NULL, NULL, NULL, NULL) != NULL) {
        const int said = dwarf_srclang(&root);
        if (said > 0)
            language = (guint)said;
        else if (dwarf_tag(&root) == DW_TAG_partial_unit)
            language = find_importer(names, die->cu);
    }
    g_hash_table_insert(names->languages, die->cu, GUINT_TO_POINTER(language + 1));
    return language;
}

gboolean
pm_names_is_scoped(PmNames *names, Dwarf_Die *die)
{
    return pm_language_is_scoped(get_language(names, die));
}

static Table *
get_table(PmNames *names, Dwarf_CU *cu)
{
    Table *table = g_hash_table_lookup(names->tables, cu);
    if (table == NULL) {
        table = g_new0(Table, 1);
        g_hash_table_insert(names->tables, cu, table);
    }
    return table;
}

const PmUnit *
pm_names_get_unit(PmNames *names, Dwarf_Die *die)
{
    Table *table = get_table(names, die->cu);
    if (!table->was_asked) {
        PmSections *sections = pm_names_get_sections(names, dwarf_cu_getdwarf(die->cu));
        table->has_unit = pm_unit_of(sections, die, &table->unit);
        table->was_asked = TRUE;
    }
    return table->has_unit ? &table->unit : NULL;
}

/* NULL where the unit is damaged. */
static PmScopes *
get_scopes(PmNames *names, Dwarf_Die *die)
{
    const PmUnit *unit = pm_names_get_unit(names, die);
    Table *table = get_table(names, die->cu);
    if (table->scopes == NULL && unit != NULL)
        table->scopes = pm_scopes_new(unit);
    return table->scopes;
}

/* The declaration that @die completes, the function that it is a copy of; @die itself where it is
 * none. */
static Dwarf_Die
get_origin(const Dwarf_Die *die)
{
    Dwarf_Die at = *die;
    for (guint i = 0; i < ORIGINS_MAX; i++) {
        Dwarf_Attribute attribute;
        Dwarf_Die origin;
        if ((dwarf_attr(&at, DW_AT_specification, &attribute) == NULL &&
             dwarf_attr(&at, DW_AT_abstract_origin, &attribute) == NULL) ||
            dwarf_formref_die(&attribute, &origin) == NULL)
            break;
        at = origin;
    }
    return at;
}

/* Whether a string that stands among the DIEs ends before their section does; libdw sees to those
 * of string sections. */
static gboolean
is_terminated(PmNames *names, const Dwarf_Attribute *attribute, const char *text)
{
    static const PmSectionKind kinds[] = {PM_SECTION_INFO, PM_SECTION_TYPES};
    const PmSections *sections = pm_names_get_sections(names, dwarf_cu_getdwarf(attribute->cu));
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        PmBytes bytes = pm_sections_get(sections, kinds[i]);
        const guint8 *at = (const guint8 *)text;
        if (bytes.at == NULL || at < bytes.at || at >= bytes.end)
            continue;
        bytes.at = at;
        return pm_bytes_string(&bytes) != NULL;
    }
    return FALSE;
}

static const char *
read_name(PmNames *names, Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(die, DW_AT_name, &attribute) == NULL)
        return "";
    const char *name = dwarf_formstring(&attribute);
    return name != NULL && (dwarf_whatform(&attribute) != DW_FORM_string ||
                            is_terminated(names, &attribute, name))
               ? name
               : "";
}

const char *
pm_names_get_name(PmNames *names, Dwarf_Die *die)
{
    const char *name = read_name(names, die);
    if (name[0] != '\0')
        return name;
    Dwarf_Die origin = get_origin(die);
    return read_name(names, &origin);
}

static const char *
name_scope(PmNames *names, PmScopes *scopes, const PmScope *scope, const Dwarf_Die *die)
{
    if (scope->name[0] != '\0')
        return scope->name;
    if (scope->tag == DW_TAG_namespace)
        return "(anonymous namespace)";
    if (scope->has_origin) {
        Dwarf_Die holder = {.addr = (gpointer)scope->start, .cu = die->cu};
        return pm_names_get_name(names, &holder);
    }
    const char *name =
        scope->tag != DW_TAG_subprogram ? pm_scopes_get_typedef(scopes, scope->start) : NULL;
    return name != NULL ? name : "";
}

static void
append_scopes(PmNames *names, const Dwarf_Die *die, guint origins, GString *text)
{
    Dwarf_Die target = get_origin(die);
    PmScopes *scopes = get_scopes(names, &target);
    PmScope chain[PM_SCOPES_MAX];
    const guint count = scopes != NULL ? pm_scopes_find(scopes, target.addr, chain) : 0;
    guint first = count;
    while (first > 0 && !chain[first - 1].has_origin)
        first--;
    /* The innermost that is defined elsewhere than it is declared says what is around it. */
    if (first > 0 && origins < ORIGINS_MAX) {
        Dwarf_Die holder = {.addr = (gpointer)chain[--first].start, .cu = target.cu};
        append_scopes(names, &holder, origins + 1, text);
    }
    for (guint i = first; i < count && text->len < NAME_BYTES_MAX; i++) {
        const char *name = name_scope(names, scopes, &chain[i], &target);
        if (name[0] == '\0')
            continue;
        g_string_append_len(text, name, (gssize)strnlen(name, NAME_BYTES_MAX));
        g_string_append(text, "::");
    }
}

void
pm_names_append_scopes(PmNames *names, Dwarf_Die *die, GString *text)
{
    append_scopes(names, die, 0, text);
}

const char *
pm_names_get_typedef(PmNames *names, Dwarf_Die *die)
{
    PmScopes *scopes = get_scopes(names, die);
    return scopes != NULL ? pm_scopes_get_typedef(scopes, die->addr) : NULL;
}

static GPtrArray *
read_files(PmNames *names, const PmUnit *unit)
{
    PmSections *sections = unit->sections;
    Dwarf_Die root = unit->root;
    Dwarf_Attribute attribute;
    Dwarf_Word offset = 0;
    /* The line table of a split unit stands with its skeleton. */
    const Split *split = g_hash_table_lookup(names->skeletons, root.cu);
    if (split != NULL) {
        root = split->skeleton;
        sections = pm_names_get_sections(names, dwarf_cu_getdwarf(root.cu));
    }
    if (dwarf_attr(&root, DW_AT_stmt_list, &attribute) == NULL ||
        dwarf_formudata(&attribute, &offset) != 0)
        return g_ptr_array_new();
    return pm_line_files_read(sections, offset);
}

const GPtrArray *
pm_names_get_files(PmNames *names, const PmUnit *unit)
{
    Table *table = get_table(names, unit->root.cu);
    if (table->files == NULL)
        table->files = read_files(names, unit);
    return table->files;
}

const char *
pm_names_get_file(PmNames *names, Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Word index = 0;
    Dwarf_Die root;
    /* The declaration that says it may stand in another unit, with other files. */
    if (dwarf_attr_integrate(die, DW_AT_decl_file, &attribute) == NULL ||
        dwarf_formudata(&attribute, &index) != 0 ||
        dwarf_cu_die(attribute.cu, &root, NULL, NULL, NULL, NULL, NULL, NULL) == NULL)
        return NULL;
    Table *table = get_table(names, root.cu);
    const PmUnit *unit = table->files == NULL ? pm_names_get_unit(names, &root) : NULL;
    if (unit != NULL)
        table->files = read_files(names, unit);
    if (table->files == NULL || index >= table->files->len)
        return NULL;
    const char *name = g_ptr_array_index(table->files, index);
    return name[0] != '\0' ? name : NULL;
}

guint
pm_die_get_line(Dwarf_Die *die)
{
    int line = 0;
    return dwarf_decl_line(die, &line) == 0 && line > 0 ? (guint)line : 0;
}

const char *
pm_die_get_keyword(int tag)
{
    switch (tag) {
    case DW_TAG_structure_type:
        return "struct ";
    case DW_TAG_class_type:
        return "class ";
    case DW_TAG_union_type:
        return "union ";
    case DW_TAG_enumeration_type:
        return "enum ";
    default:
        return "";
    }
}

void
pm_die_append_nameless(int tag, const char *file, guint line, GString *text)
{
    g_string_append_printf(text, "%s{…}", pm_die_get_keyword(tag));
    if (file != NULL && file[0] != '\0')
        g_string_append_printf(text, " at %.255s:%u", file, line);
}
