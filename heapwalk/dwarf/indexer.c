/*
 * The walk that makes an index. Only what it meets for the first time costs more than a look: the
 * same header in five hundred units is one set of types.
 */
#include "dwarf/place.h"
#include "dwarf/spelling.h"
#include "dwarf/typeindex.h"
#include "dwarf/types.h"

#include <dwarf.h>
#include <stdlib.h>

#define DEPTH_MAX 64
/* Entries, and bytes of names: more than any program has. */
#define ENTRIES_MAX      (1u << 24)
#define STRING_BYTES_MAX (1u << 30)
#define NAME_BYTES_MAX   4096

/* A scope that the walk is in. Its own name ends at @length of the prefix; what is before @start
 * is none of its names. */
typedef struct {
    Dwarf_Die die;
    PmValue name;
    gboolean has_name;
    guint depth;
    guint16 tag;
    gboolean has_origin;
    gsize start;
    gsize length;
} Level;

/* A structure without a name, until all typedefs are known. @at: its place. @prefix: its scopes. */
typedef struct {
    PmIndexType type;
    const guint8 *at;
    guint32 prefix;
    guint16 tag;
} Unnamed;

/* A typedef of a type in the same unit. */
typedef struct {
    const guint8 *target;
    PmValue name;
} Typedef;

/*
 * @prefix: the names of the first @ready of @levels.
 */
typedef struct {
    PmNames *names;
    GArray *types;
    GArray *variables;
    GArray *splits;
    GByteArray *strings;
    GHashTable *string_offsets;
    GHashTable *known; /* TypeKey * → index of types + 1 */
    GHashTable *known_variables;
    guint32 splits_missing;

    const PmUnit *unit; /* NULL between two walks */
    guint32 place;
    gboolean is_scoped;
    Level levels[DEPTH_MAX];
    guint level_count;
    guint ready;
    GString *prefix;
    GString *scratch;
    GArray *unnamed;
    GArray *typedefs;         /* Typedef, of the unit */
    GHashTable *far_typedefs; /* of what is in other units: the place of the type → the name */
    guint32 file_count;
    guint32 *files;
} Builder;

typedef struct {
    guint64 size_bytes;
    guint32 name;
    guint32 file;
    guint32 line;
    guint32 kind;
} TypeKey;

static guint
hash_type_key(gconstpointer data)
{
    const TypeKey *key = data;
    guint64 hash = key->size_bytes * 0x9e3779b97f4a7c15;
    hash = (hash ^ key->name) * 0x9e3779b97f4a7c15;
    hash = (hash ^ ((guint64)key->file << 32 | key->line)) * 0x9e3779b97f4a7c15;
    return (guint)(hash >> 32) ^ key->kind;
}

static gboolean
equal_type_keys(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(TypeKey)) == 0;
}

typedef struct {
    guint64 value;
    guint32 name;
    guint32 is_tls;
} VariableKey;

static guint
hash_variable_key(gconstpointer data)
{
    const VariableKey *key = data;
    const guint64 hash = (key->value ^ ((guint64)key->name << 32)) * 0x9e3779b97f4a7c15;
    return (guint)(hash >> 32) ^ key->is_tls;
}

static gboolean
equal_variable_keys(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(VariableKey)) == 0;
}

/* The string table hashes by content, and finds strings by their offset in it. */
static guint32
add_string(Builder *builder, const char *text)
{
    gpointer found = NULL;
    if (text[0] == '\0')
        return 0;
    if (g_hash_table_lookup_extended(builder->string_offsets, text, NULL, &found))
        return GPOINTER_TO_UINT(found);
    const gsize length = strlen(text) + 1;
    const guint32 offset = builder->strings->len;
    if (length > STRING_BYTES_MAX - offset)
        return 0;
    g_byte_array_append(builder->strings, (const guint8 *)text, (guint)length);
    g_hash_table_insert(builder->string_offsets, g_strdup(text), GUINT_TO_POINTER(offset));
    return offset;
}

static guint32
get_file(const Builder *builder, const PmDieWalk *walk)
{
    guint64 index = 0;
    if (!pm_die_walk_get_number(walk, PM_SLOT_DECL_FILE, &index) || index >= builder->file_count)
        return 0;
    return builder->files[index];
}

/* The names of all scopes that the walk is in: borrowed until the next call. */
static const char *
get_prefix(Builder *builder)
{
    for (guint i = builder->ready; i < builder->level_count; i++) {
        Level *level = &builder->levels[i];
        const char *name = level->has_name ? pm_value_get_string(builder->unit, &level->name) : "";
        const gsize base = i > 0 ? builder->levels[i - 1].length : 0;
        level->start = i > 0 ? builder->levels[i - 1].start : 0;
        g_string_truncate(builder->prefix, base);
        if (level->has_origin) {
            level->start = base;
            pm_names_append_scopes(builder->names, &level->die, builder->prefix);
            name = pm_names_get_name(builder->names, &level->die);
        }
        if (name[0] == '\0' && level->tag == DW_TAG_namespace)
            name = "(anonymous namespace)";
        if (name[0] != '\0' && builder->prefix->len < NAME_BYTES_MAX) {
            g_string_append_len(builder->prefix, name, (gssize)strnlen(name, NAME_BYTES_MAX));
            g_string_append(builder->prefix, "::");
        }
        level->length = builder->prefix->len;
    }
    builder->ready = builder->level_count;
    if (builder->level_count == 0)
        return "";
    const Level *last = &builder->levels[builder->level_count - 1];
    g_string_truncate(builder->prefix, last->length);
    return builder->prefix->str + last->start;
}

static gboolean
get_kind(int tag, guint32 *ret_kind)
{
    switch (tag) {
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_interface_type:
        *ret_kind = PM_TYPE_STRUCT;
        return TRUE;
    case DW_TAG_union_type:
        *ret_kind = PM_TYPE_UNION;
        return TRUE;
    case DW_TAG_enumeration_type:
        *ret_kind = PM_TYPE_ENUM;
        return TRUE;
    default:
        return FALSE;
    }
}

static void
insert_type(Builder *builder, const PmIndexType *type)
{
    const TypeKey key = {type->size_bytes, type->name, type->file, type->line, type->kind};
    const guint known = GPOINTER_TO_UINT(g_hash_table_lookup(builder->known, &key));
    if (known > 0) {
        g_array_index(builder->types, PmIndexType, known - 1).copies++;
        return;
    }
    if (builder->types->len >= ENTRIES_MAX || type->name == 0)
        return;
    g_array_append_val(builder->types, *type);
    g_hash_table_insert(builder->known, g_memdup2(&key, sizeof key),
                        GUINT_TO_POINTER(builder->types->len));
}

static guint64
get_offset(const Builder *builder, const guint8 *at)
{
    return builder->unit->offset + (guint64)(at - builder->unit->start);
}

static void
add_type(Builder *builder, const PmDieWalk *walk, guint32 kind)
{
    PmIndexType type = {.kind = kind, .place = builder->place, .copies = 1};
    guint64 line = 0;
    if (pm_die_walk_get_flag(walk, PM_SLOT_DECLARATION) ||
        !pm_die_walk_get_number(walk, PM_SLOT_BYTE_SIZE, &type.size_bytes))
        return;
    pm_die_walk_get_number(walk, PM_SLOT_DECL_LINE, &line);
    type.die = get_offset(builder, walk->at);
    type.file = get_file(builder, walk);
    type.line = line <= G_MAXUINT32 ? (guint32)line : 0;

    const char *name = pm_die_walk_get_name(walk);
    GString *text = builder->scratch;
    g_string_truncate(text, 0);
    if (pm_die_walk_has(walk, PM_SLOT_SPECIFICATION) || pm_die_walk_has(walk, PM_SLOT_ORIGIN)) {
        Dwarf_Die die = pm_die_walk_get(walk);
        if (builder->is_scoped)
            pm_names_append_scopes(builder->names, &die, text);
        name = pm_names_get_name(builder->names, &die);
    } else if (builder->is_scoped) {
        g_string_append(text, get_prefix(builder));
    }
    if (name[0] == '\0') {
        const Unnamed unnamed = {type, walk->at, add_string(builder, text->str), walk->tag};
        if (builder->unnamed->len < ENTRIES_MAX)
            g_array_append_val(builder->unnamed, unnamed);
        return;
    }
    if (!builder->is_scoped)
        g_string_append(text, pm_die_get_keyword(walk->tag));
    g_string_append_len(text, name, (gssize)strnlen(name, NAME_BYTES_MAX));
    type.name = add_string(builder, text->str);
    insert_type(builder, &type);
}

/* Names those from @first on that one of @typedefs names; the last time, all. */
static void
add_unnamed(Builder *builder, guint first, GHashTable *typedefs, gboolean is_last)
{
    guint kept = first;
    for (guint i = first; i < builder->unnamed->len; i++) {
        Unnamed *unnamed = &g_array_index(builder->unnamed, Unnamed, i);
        const char *name = g_hash_table_lookup(typedefs, unnamed->at);
        const char *strings = (const char *)builder->strings->data;
        g_string_truncate(builder->scratch, 0);
        if (name != NULL && name[0] != '\0') {
            g_string_append(builder->scratch, strings + unnamed->prefix);
            g_string_append_len(builder->scratch, name, (gssize)strnlen(name, NAME_BYTES_MAX));
        } else if (is_last) {
            pm_die_append_nameless(unnamed->tag, strings + unnamed->type.file, unnamed->type.line,
                                   builder->scratch);
        } else {
            g_array_index(builder->unnamed, Unnamed, kept++) = *unnamed;
            continue;
        }
        unnamed->type.name = add_string(builder, builder->scratch->str);
        insert_type(builder, &unnamed->type);
    }
    g_array_set_size(builder->unnamed, kept);
}

static void
add_variable(Builder *builder, const PmDieWalk *walk)
{
    PmIndexVariable variable = {.place = builder->place};
    gboolean is_tls = FALSE;
    if (!pm_place_read(walk, &variable.value, &is_tls))
        return;
    Dwarf_Die die = pm_die_walk_get(walk);
    const char *name = pm_die_walk_get_name(walk);
    GString *text = builder->scratch;
    g_string_truncate(text, 0);
    if (pm_die_walk_has(walk, PM_SLOT_SPECIFICATION) || pm_die_walk_has(walk, PM_SLOT_ORIGIN)) {
        pm_names_append_scopes(builder->names, &die, text);
        name = pm_names_get_name(builder->names, &die);
    } else {
        g_string_append(text, get_prefix(builder));
    }
    if (name[0] == '\0' || builder->variables->len >= ENTRIES_MAX)
        return;
    g_string_append_len(text, name, (gssize)strnlen(name, NAME_BYTES_MAX));
    variable.name = add_string(builder, text->str);
    variable.is_tls = is_tls ? 1 : 0;
    variable.die = get_offset(builder, walk->at);
    const VariableKey key = {variable.value, variable.name, variable.is_tls};
    if (g_hash_table_add(builder->known_variables, g_memdup2(&key, sizeof key)))
        g_array_append_val(builder->variables, variable);
}

static void
enter_level(Builder *builder, const PmDieWalk *walk)
{
    if (builder->level_count == DEPTH_MAX)
        return;
    builder->levels[builder->level_count++] = (Level){
        .die = pm_die_walk_get(walk),
        .name = walk->values[PM_SLOT_NAME],
        .has_name = pm_die_walk_has(walk, PM_SLOT_NAME),
        .depth = walk->depth,
        .tag = walk->tag,
        .has_origin =
            pm_die_walk_has(walk, PM_SLOT_SPECIFICATION) || pm_die_walk_has(walk, PM_SLOT_ORIGIN),
    };
}

static gboolean
is_nameless(Dwarf_Die *die)
{
    guint32 kind = 0;
    return get_kind(dwarf_tag(die), &kind) && !dwarf_hasattr(die, DW_AT_name);
}

/* What it names may stand in another unit, as type units do. */
static void
add_typedef(Builder *builder, const PmDieWalk *walk)
{
    const Typedef local = {
        .target = pm_die_walk_get_local(walk, PM_SLOT_TYPE),
        .name = walk->values[PM_SLOT_NAME],
    };
    if (!pm_die_walk_has(walk, PM_SLOT_TYPE) || !pm_die_walk_has(walk, PM_SLOT_NAME))
        return;
    if (local.target != NULL) {
        g_array_append_val(builder->typedefs, local);
        return;
    }
    Dwarf_Die die = pm_die_walk_get(walk);
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    if (dwarf_attr(&die, DW_AT_type, &attribute) != NULL &&
        dwarf_formref_die(&attribute, &type) != NULL && is_nameless(&type) &&
        !g_hash_table_contains(builder->far_typedefs, type.addr))
        g_hash_table_insert(builder->far_typedefs, type.addr, (gpointer)pm_die_walk_get_name(walk));
}

/* Names what the unit's typedefs name, from @first of the unnamed on. */
static void
add_named_by_unit(Builder *builder, guint first)
{
    if (first == builder->unnamed->len || builder->typedefs->len == 0)
        return;
    g_autoptr(GHashTable) names = g_hash_table_new(NULL, NULL);
    for (guint i = first; i < builder->unnamed->len; i++)
        g_hash_table_insert(names, (gpointer)g_array_index(builder->unnamed, Unnamed, i).at, NULL);
    for (guint i = builder->typedefs->len; i > 0; i--) {
        const Typedef *local = &g_array_index(builder->typedefs, Typedef, i - 1);
        if (g_hash_table_contains(names, local->target))
            g_hash_table_insert(names, (gpointer)local->target,
                                (gpointer)pm_value_get_string(builder->unit, &local->name));
    }
    add_unnamed(builder, first, names, FALSE);
}

static void
visit(Builder *builder, PmDieWalk *walk)
{
    guint32 kind = 0;
    while (builder->level_count > 0 &&
           builder->levels[builder->level_count - 1].depth >= walk->depth)
        builder->level_count--;
    builder->ready = MIN(builder->ready, builder->level_count);
    switch (walk->tag) {
    case DW_TAG_variable:
        add_variable(builder, walk);
        break;
    case DW_TAG_typedef:
        add_typedef(builder, walk);
        break;
    case DW_TAG_subprogram:
        if (pm_die_walk_get_flag(walk, PM_SLOT_DECLARATION))
            pm_die_walk_skip(walk);
        else if (walk->has_children)
            enter_level(builder, walk);
        break;
    case DW_TAG_namespace:
    case DW_TAG_module:
        if (walk->has_children)
            enter_level(builder, walk);
        break;
    /* What is fixed in an inlined function stands with the function itself. */
    case DW_TAG_inlined_subroutine:
    case DW_TAG_call_site:
    case DW_TAG_GNU_call_site:
    case DW_TAG_subroutine_type:
        pm_die_walk_skip(walk);
        break;
    default:
        if (!get_kind(walk->tag, &kind))
            break;
        add_type(builder, walk, kind);
        if (kind == PM_TYPE_ENUM)
            pm_die_walk_skip(walk);
        else if (walk->has_children)
            enter_level(builder, walk);
        break;
    }
}

static void
walk_unit(Builder *builder, const PmUnit *unit, guint32 place)
{
    PmDieWalk walk;
    Dwarf_Die root = unit->root;
    const guint first_unnamed = builder->unnamed->len;
    const GPtrArray *files = pm_names_get_files(builder->names, unit);
    builder->unit = unit;
    builder->place = place;
    builder->is_scoped = pm_names_is_scoped(builder->names, &root);
    builder->level_count = builder->ready = 0;
    builder->file_count = files->len;
    builder->files = g_renew(guint32, builder->files, files->len + 1);
    for (guint i = 0; i < files->len; i++)
        builder->files[i] = add_string(builder, g_ptr_array_index(files, i));
    pm_die_walk_init(&walk, unit);
    while (pm_die_walk_next(&walk))
        visit(builder, &walk);
    add_named_by_unit(builder, first_unnamed);
    g_array_set_size(builder->typedefs, 0);
    builder->unit = NULL;
}

/* All units of a split unit's file. */
static void
walk_split(Builder *builder, PmUnit *skeleton)
{
    const PmSplitFile *file = NULL;
    Dwarf_Die split;
    if (!pm_names_get_split(builder->names, &skeleton->root, &file, &split)) {
        builder->splits_missing++;
        return;
    }
    const PmIndexSplit entry = {
        .skeleton = dwarf_dieoffset(&skeleton->root),
        .size_bytes = file->size_bytes,
        .modified_ns = file->modified_ns,
        .path = add_string(builder, file->path),
    };
    const guint32 place = PM_PLACE_SPLIT + 2 * builder->splits->len;
    PmSections *sections = pm_names_get_sections(builder->names, dwarf_cu_getdwarf(split.cu));
    PmUnitCursor cursor = {0};
    PmUnit unit;
    g_array_append_val(builder->splits, entry);
    while (pm_unit_next(sections, &cursor, &unit))
        walk_unit(builder, &unit, place + (unit.in_types ? 1 : 0));
}

static const char *
compared_strings(const Builder *builder, guint32 offset)
{
    return (const char *)builder->strings->data + offset;
}

static gint
compare_types(gconstpointer a, gconstpointer b, gpointer data)
{
    const PmIndexType *left = a;
    const PmIndexType *right = b;
    if (left->size_bytes != right->size_bytes)
        return left->size_bytes < right->size_bytes ? -1 : 1;
    if (left->name != right->name)
        return strcmp(compared_strings(data, left->name), compared_strings(data, right->name));
    if (left->place != right->place)
        return left->place < right->place ? -1 : 1;
    return left->die < right->die ? -1 : left->die > right->die;
}

static gint
compare_variables(gconstpointer a, gconstpointer b, gpointer data)
{
    const PmIndexVariable *left = a;
    const PmIndexVariable *right = b;
    if (left->is_tls != right->is_tls)
        return left->is_tls < right->is_tls ? -1 : 1;
    if (left->value != right->value)
        return left->value < right->value ? -1 : 1;
    return strcmp(compared_strings(data, left->name), compared_strings(data, right->name));
}

static gint
compare_hashes(gconstpointer a, gconstpointer b, gpointer data)
{
    const GArray *types = data;
    const guint32 left = *(const guint32 *)a;
    const guint32 right = *(const guint32 *)b;
    const guint64 left_hash = g_array_index(types, PmIndexType, left).name_hash;
    const guint64 right_hash = g_array_index(types, PmIndexType, right).name_hash;
    if (left_hash != right_hash)
        return left_hash < right_hash ? -1 : 1;
    return left < right ? -1 : left > right;
}

/* What a built index is in. */
typedef struct {
    GArray *types;
    GArray *by_name;
    GArray *variables;
    GArray *splits;
    GByteArray *strings;
} Arrays;

static void
arrays_free(gpointer data)
{
    Arrays *arrays = data;
    g_array_unref(arrays->types);
    g_array_unref(arrays->by_name);
    g_array_unref(arrays->variables);
    g_array_unref(arrays->splits);
    g_byte_array_unref(arrays->strings);
    g_free(arrays);
}

static PmTypeIndex *
finish(Builder *builder)
{
    Arrays *arrays = g_new0(Arrays, 1);
    arrays->types = builder->types;
    arrays->variables = builder->variables;
    arrays->splits = builder->splits;
    arrays->strings = builder->strings;
    arrays->by_name = g_array_sized_new(FALSE, FALSE, sizeof(guint32), builder->types->len);
    g_array_sort_with_data(arrays->types, compare_types, builder);
    g_array_sort_with_data(arrays->variables, compare_variables, builder);
    for (guint32 i = 0; i < arrays->types->len; i++) {
        PmIndexType *type = &g_array_index(arrays->types, PmIndexType, i);
        type->name_hash = pm_spelling_hash(compared_strings(builder, type->name));
        g_array_append_val(arrays->by_name, i);
    }
    g_array_sort_with_data(arrays->by_name, compare_hashes, arrays->types);

    PmTypeIndex *index = g_new0(PmTypeIndex, 1);
    index->types = (const PmIndexType *)(gpointer)arrays->types->data;
    index->by_name = (const guint32 *)(gpointer)arrays->by_name->data;
    index->variables = (const PmIndexVariable *)(gpointer)arrays->variables->data;
    index->splits = (const PmIndexSplit *)(gpointer)arrays->splits->data;
    index->strings = (const char *)arrays->strings->data;
    index->type_count = arrays->types->len;
    index->variable_count = arrays->variables->len;
    index->split_count = arrays->splits->len;
    index->splits_missing = builder->splits_missing;
    index->string_bytes = arrays->strings->len;
    index->owner = arrays;
    index->free_owner = arrays_free;
    return index;
}

static void
builder_init(Builder *builder, PmNames *names)
{
    *builder = (Builder){.names = names};
    builder->types = g_array_new(FALSE, FALSE, sizeof(PmIndexType));
    builder->variables = g_array_new(FALSE, FALSE, sizeof(PmIndexVariable));
    builder->splits = g_array_new(FALSE, FALSE, sizeof(PmIndexSplit));
    builder->strings = g_byte_array_new();
    g_byte_array_append(builder->strings, (const guint8 *)"", 1);
    builder->string_offsets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    builder->known = g_hash_table_new_full(hash_type_key, equal_type_keys, g_free, NULL);
    builder->known_variables =
        g_hash_table_new_full(hash_variable_key, equal_variable_keys, g_free, NULL);
    builder->prefix = g_string_new(NULL);
    builder->scratch = g_string_new(NULL);
    builder->unnamed = g_array_new(FALSE, FALSE, sizeof(Unnamed));
    builder->typedefs = g_array_new(FALSE, FALSE, sizeof(Typedef));
    builder->far_typedefs = g_hash_table_new(NULL, NULL);
}

static void
builder_clear(Builder *builder)
{
    g_hash_table_unref(builder->string_offsets);
    g_hash_table_unref(builder->known);
    g_hash_table_unref(builder->known_variables);
    g_string_free(builder->prefix, TRUE);
    g_string_free(builder->scratch, TRUE);
    g_array_unref(builder->unnamed);
    g_array_unref(builder->typedefs);
    g_hash_table_unref(builder->far_typedefs);
    g_free(builder->files);
}

PmTypeIndex *
pm_type_index_build(PmNames *names, Dwarf *dwarf, PmIndexProgress progress, gpointer data)
{
    PmSections *sections = pm_names_get_sections(names, dwarf);
    Dwarf *alt = dwarf_getalt(dwarf);
    const PmBytes info = pm_sections_get(sections, PM_SECTION_INFO);
    const PmBytes types = pm_sections_get(sections, PM_SECTION_TYPES);
    const guint64 total = pm_bytes_left(&info) + pm_bytes_left(&types);
    guint64 done = 0;
    Builder builder;
    PmUnitCursor cursor = {0};
    PmUnit unit;
    builder_init(&builder, names);
    while (pm_unit_next(sections, &cursor, &unit)) {
        if (unit.kind == DW_UT_skeleton)
            walk_split(&builder, &unit);
        else
            walk_unit(&builder, &unit, unit.in_types ? PM_PLACE_TYPES : PM_PLACE_INFO);
        done += (guint64)(unit.end - unit.start);
        if (progress != NULL)
            progress(data, MIN(done, total), total);
    }
    /* It has what other programs share as well. */
    if (alt != NULL) {
        cursor = (PmUnitCursor){0};
        sections = pm_names_get_sections(names, alt);
        while (pm_unit_next(sections, &cursor, &unit))
            if (!unit.in_types && pm_names_is_imported(names, dwarf, &unit.root))
                walk_unit(&builder, &unit, PM_PLACE_ALT);
    }
    add_unnamed(&builder, 0, builder.far_typedefs, TRUE);
    PmTypeIndex *index = finish(&builder);
    builder_clear(&builder);
    return index;
}
