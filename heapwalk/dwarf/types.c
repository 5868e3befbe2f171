/*
 * The table, and the types that are not records: numbers, pointers, arrays, functions. One DIE is
 * looked at once; what makes the same type is found by a key of all that distinguishes it.
 */
#include "dwarf/typestore.h"

#include "base/cachefile.h"
#include "process/debuginfo.h"

static void
entry_free(gpointer data)
{
    PmTypeEntry *entry = data;
    g_free(entry->fields);
    g_free(entry->enumerators);
    g_free(entry);
}

guint
pm_type_key_hash(gconstpointer key)
{
    return (guint)((const PmTypeKey *)key)->first;
}

gboolean
pm_type_key_equal(gconstpointer a, gconstpointer b)
{
    const PmTypeKey *left = a;
    const PmTypeKey *right = b;
    return left->first == right->first && left->second == right->second;
}

PmTypes *
pm_types_new(const PmProcess *process, const PmTypesOptions *options, PmDiagnostics *diagnostics)
{
    PmTypes *types = g_new0(PmTypes, 1);
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    types->process = process;
    types->diagnostics = diagnostics;
    types->word_bytes =
        pm_image_get_target(pm_space_get_image(pm_process_get_space(process)))->word_bytes;
    if (options != NULL) {
        types->progress = options->progress;
        types->progress_data = options->progress_data;
    }
    types->cache_folder = options != NULL && options->cache_folder != NULL
                              ? g_strdup(options->cache_folder)
                              : pm_cache_get_folder();
    types->names = pm_names_new();
    types->modules = g_array_sized_new(FALSE, TRUE, sizeof(PmTypeModule), (guint)count);
    for (gsize i = 0; i < count; i++) {
        const PmTypeModule module = {.module = &modules[i]};
        g_array_append_val(types->modules, module);
    }
    types->entries = g_ptr_array_new_with_free_func(entry_free);
    types->by_die = g_hash_table_new(NULL, NULL);
    types->by_key = g_hash_table_new_full(pm_type_key_hash, pm_type_key_equal, g_free, NULL);
    types->definitions = g_hash_table_new_full(pm_type_key_hash, pm_type_key_equal, g_free, NULL);
    types->name_of = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    types->functions = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_array_unref);
    types->strings = g_string_chunk_new(65536);
    types->known = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    PmTypeKey key;
    const PmTypeEntry unknown = {.type = {.kind = PM_TYPE_UNKNOWN, .name = "?"}, .declarator = 1};
    pm_type_key_init(&key, '?');
    types->unknown = pm_types_add(types, &key, &unknown);
    types->own_entries = types->entries->len;
    return types;
}

void
pm_types_free(PmTypes *types)
{
    if (types == NULL)
        return;
    pm_type_store_save(types);
    for (guint i = 0; i < types->modules->len; i++) {
        PmTypeModule *module = &g_array_index(types->modules, PmTypeModule, i);
        pm_type_index_free(module->index);
        if (module->variables != NULL)
            g_array_unref(module->variables);
        if (module->unit_ranges != NULL)
            g_array_unref(module->unit_ranges);
    }
    g_array_unref(types->modules);
    pm_names_free(types->names);
    g_hash_table_unref(types->by_die);
    g_hash_table_unref(types->by_key);
    g_hash_table_unref(types->definitions);
    g_hash_table_unref(types->name_of);
    g_hash_table_unref(types->functions);
    g_ptr_array_unref(types->entries);
    g_string_chunk_free(types->strings);
    g_hash_table_unref(types->known);
    if (types->store_modules != NULL)
        g_ptr_array_unref(types->store_modules);
    pm_cache_file_free(types->store_file);
    g_free(types->cache_folder);
    g_free(types);
}

const PmProcess *
pm_types_get_process(const PmTypes *types)
{
    return types->process;
}

void
pm_type_key_add(PmTypeKey *key, gconstpointer bytes, gsize count)
{
    const guint8 *at = bytes;
    for (gsize i = 0; i < count; i++) {
        key->first = (key->first ^ at[i]) * 0x100000001b3; /* FNV-1a */
        key->second = (key->second + at[i] + 1) * 0x9e3779b97f4a7c15;
        key->second ^= key->second >> 29;
    }
}

void
pm_type_key_init(PmTypeKey *key, char letter)
{
    *key = (PmTypeKey){0xcbf29ce484222325, 0};
    pm_type_key_add(key, &letter, 1);
}

void
pm_type_key_add_string(PmTypeKey *key, const char *text)
{
    pm_type_key_add(key, text, strlen(text) + 1);
}

void
pm_type_key_add_number(PmTypeKey *key, guint64 number)
{
    pm_type_key_add(key, &number, sizeof number);
}

PmTypeEntry *
pm_types_add(PmTypes *types, const PmTypeKey *key, const PmTypeEntry *template)
{
    PmTypeEntry *entry = g_hash_table_lookup(types->by_key, key);
    if (entry != NULL && entry->is_restored && template->die.addr != NULL) {
        entry->die = template->die;
        entry->is_restored = FALSE;
    }
    if (entry != NULL)
        return entry;
    entry = g_memdup2(template, sizeof *template);
    g_ptr_array_add(types->entries, entry);
    entry->type.id = types->entries->len;
    g_hash_table_insert(types->by_key, g_memdup2(key, sizeof *key), entry);
    return entry;
}

static PmTypeEntry *
add_pointer(PmTypes *types, const PmType *target, PmTypeName name, const char *mark,
            guint64 size_bytes)
{
    PmTypeKey key;
    const PmTypeEntry entry = {
        .type = {.kind = PM_TYPE_POINTER,
                 .name = name.text,
                 .size_bytes = size_bytes,
                 .module = target != NULL ? target->module : NULL,
                 .is_cxx = target != NULL && target->is_cxx},
        .declarator = name.declarator,
        .target = target,
    };
    pm_type_key_init(&key, 'p');
    pm_type_key_add_number(&key, target != NULL ? target->id : 0);
    pm_type_key_add_number(&key, size_bytes);
    pm_type_key_add_string(&key, mark);
    return pm_types_add(types, &key, &entry);
}

static PmTypeName
get_name(const PmType *type)
{
    return type != NULL ? (PmTypeName){type->name, pm_type_entry(type)->declarator}
                        : (PmTypeName){"void", strlen("void")};
}

const PmType *
pm_types_get_pointer(PmTypes *types, const PmType *type)
{
    const PmTypeName name = pm_types_name_pointer(types, get_name(type), "*");
    return &add_pointer(types, type, name, "*", types->word_bytes)->type;
}

/* An array of arrays is one array. @size_bytes: 0 to be computed. */
static PmTypeEntry *
add_array(PmTypes *types, const PmType *element, const guint64 *counts, guint dimensions)
{
    const PmTypeEntry *inner = pm_type_entry(element);
    PmTypeEntry entry = {
        .type = {.kind = PM_TYPE_ARRAY, .module = element->module, .is_cxx = element->is_cxx},
        .target = element};
    PmTypeKey key;
    guint64 size_bytes = element->size_bytes;
    guint used = MIN(dimensions, PM_DIMENSIONS_MAX);
    memcpy(entry.counts, counts, used * sizeof *counts);
    if (element->kind == PM_TYPE_ARRAY && used + inner->dimensions <= PM_DIMENSIONS_MAX) {
        memcpy(entry.counts + used, inner->counts, inner->dimensions * sizeof *counts);
        used += inner->dimensions;
        entry.target = inner->target;
    }
    for (guint i = 0; i < MIN(dimensions, PM_DIMENSIONS_MAX); i++)
        if (!g_uint64_checked_mul(&size_bytes, size_bytes, counts[i]))
            size_bytes = 0;
    const PmTypeName name = pm_types_name_array(types, get_name(element), counts, dimensions);
    entry.type.name = name.text;
    entry.type.size_bytes = size_bytes;
    entry.declarator = name.declarator;
    entry.dimensions = used;
    pm_type_key_init(&key, 'a');
    pm_type_key_add_number(&key, entry.target->id);
    pm_type_key_add(&key, entry.counts, used * sizeof *counts);
    return pm_types_add(types, &key, &entry);
}

const PmType *
pm_types_get_array(PmTypes *types, const PmType *type, guint64 count)
{
    return &add_array(types, type, &count, 1)->type;
}

static PmTypeKind
get_base_kind(Dwarf_Die *die, const char *name)
{
    guint64 encoding = 0;
    pm_die_get_number(die, DW_AT_encoding, &encoding);
    switch (encoding) {
    case DW_ATE_boolean:
        return PM_TYPE_BOOL;
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
    case 0x11: /* DW_ATE_UCS */
    case 0x12: /* DW_ATE_ASCII */
        return PM_TYPE_CHAR;
    case DW_ATE_float:
    case DW_ATE_complex_float:
    case DW_ATE_imaginary_float:
    case DW_ATE_decimal_float:
    case 0x80: /* DW_ATE_lo_user: gcc's _Float128 complex */
        return PM_TYPE_FLOAT;
    case DW_ATE_signed:
    case DW_ATE_signed_fixed:
        return g_str_equal(name, "wchar_t") ? PM_TYPE_CHAR : PM_TYPE_INT;
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_fixed:
    case DW_ATE_address:
        return PM_TYPE_UINT;
    default:
        return PM_TYPE_UNKNOWN;
    }
}

/* A type that its name and size make. */
static PmTypeEntry *
add_named(PmTypes *types, const PmModule *module, Dwarf_Die *die, PmTypeKind kind,
          guint64 size_bytes, guint depth)
{
    const PmTypeName name = pm_types_name_die(types, die, depth);
    PmTypeKey key;
    const PmTypeEntry entry = {
        .type = {.kind = kind,
                 .name = name.text,
                 .size_bytes = size_bytes,
                 .module = module,
                 .is_cxx = pm_names_is_scoped(types->names, die)},
        .declarator = name.declarator,
    };
    pm_type_key_init(&key, 'n');
    pm_type_key_add_string(&key, name.text);
    pm_type_key_add_number(&key, size_bytes);
    pm_type_key_add_number(&key, kind);
    return pm_types_add(types, &key, &entry);
}

static PmTypeEntry *
intern_base(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    guint64 size_bytes = 0, bits = 0;
    if (!pm_die_get_number(die, DW_AT_byte_size, &size_bytes) &&
        pm_die_get_number(die, DW_AT_bit_size, &bits))
        size_bytes = bits / 8 + (bits % 8 != 0 ? 1 : 0);
    const PmTypeKind kind = get_base_kind(die, pm_names_get_name(types->names, die));
    return add_named(types, module, die, kind, size_bytes, depth);
}

static PmTypeEntry *
intern_pointer(PmTypes *types, const PmModule *module, Dwarf_Die *die, const char *mark,
               guint depth)
{
    guint64 size_bytes = types->word_bytes;
    Dwarf_Die target;
    const PmTypeEntry *entry = NULL;
    pm_die_get_number(die, DW_AT_byte_size, &size_bytes);
    if (pm_type_of(die, &target))
        entry = pm_types_intern(types, module, &target, depth + 1);
    const PmType *type = entry != NULL ? &entry->type : NULL;
    const PmTypeName name = pm_types_name_pointer(types, get_name(type), mark);
    PmTypeEntry *pointer = add_pointer(types, type, name, mark, size_bytes);
    if (pointer->type.module == NULL)
        pointer->type.module = module;
    return pointer;
}

/* One to a function is two words, of which the first may be an offset; one to data is an offset
 * (Itanium C++ ABI, 2.3). */
static PmTypeEntry *
intern_member_pointer(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    Dwarf_Die target;
    const gboolean is_function = pm_type_of(die, &target) && pm_type_strip(&target, NULL) &&
                                 dwarf_tag(&target) == DW_TAG_subroutine_type;
    return add_named(types, module, die, is_function ? PM_TYPE_UNKNOWN : PM_TYPE_INT,
                     (is_function ? 2 : 1) * (guint64)types->word_bytes, depth);
}

static PmTypeEntry *
intern_array(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    guint64 counts[PM_DIMENSIONS_MAX];
    guint64 size_bytes = 0;
    const guint dimensions = pm_types_get_dimensions(types, die, counts);
    Dwarf_Die target;
    const PmTypeEntry *element = NULL;
    if (pm_type_of(die, &target))
        element = pm_types_intern(types, module, &target, depth + 1);
    if (element == NULL || dimensions == 0 || dwarf_hasattr(die, DW_AT_byte_stride) ||
        dwarf_hasattr(die, DW_AT_bit_stride)) {
        pm_die_get_number(die, DW_AT_byte_size, &size_bytes);
        return add_named(types, module, die, PM_TYPE_UNKNOWN, size_bytes, depth);
    }
    return add_array(types, &element->type, counts, dimensions);
}

static PmTypeEntry *
make_type(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    guint64 size_bytes = 0;
    switch (dwarf_tag(die)) {
    case DW_TAG_base_type:
        return intern_base(types, module, die, depth);
    case DW_TAG_pointer_type:
        return intern_pointer(types, module, die, "*", depth);
    case DW_TAG_reference_type:
        return intern_pointer(types, module, die, "&", depth);
    case DW_TAG_rvalue_reference_type:
        return intern_pointer(types, module, die, "&&", depth);
    case DW_TAG_ptr_to_member_type:
        return intern_member_pointer(types, module, die, depth);
    case DW_TAG_array_type:
        return intern_array(types, module, die, depth);
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_interface_type:
    case DW_TAG_union_type:
        return pm_types_intern_record(types, module, die, depth);
    case DW_TAG_enumeration_type:
        return pm_types_intern_enum(types, module, die, depth);
    case DW_TAG_subroutine_type:
        return add_named(types, module, die, PM_TYPE_FUNCTION, 0, depth);
    default:
        pm_die_get_number(die, DW_AT_byte_size, &size_bytes);
        return add_named(types, module, die, PM_TYPE_UNKNOWN, size_bytes, depth);
    }
}

PmTypeEntry *
pm_types_intern(PmTypes *types, const PmModule *module, Dwarf_Die *die, guint depth)
{
    Dwarf_Die at = *die;
    Dwarf_Die typedef_die = {.addr = NULL};
    gpointer known = NULL;
    if (!pm_type_strip(&at, &typedef_die))
        return NULL;
    if (g_hash_table_lookup_extended(types->by_die, at.addr, NULL, &known))
        return known;
    if (depth >= PM_TYPE_DEPTH_MAX) {
        if (!types->has_told_depth)
            pm_diagnostics_add(
                types->diagnostics, "dwarf-limit", PM_SEVERITY_NOTE, module->start,
                "%s: pointers to pointers and arrays of arrays are followed %d deep; "
                "some types are cut there",
                module->path, PM_TYPE_DEPTH_MAX);
        types->has_told_depth = TRUE;
        return types->unknown;
    }
    if (typedef_die.addr != NULL)
        pm_types_name_die(types, die, depth);
    /* What is asked for again while it is being read leads to itself: only damage does. */
    g_hash_table_insert(types->by_die, at.addr, types->unknown);
    PmTypeEntry *entry = make_type(types, module, &at, depth);
    g_hash_table_insert(types->by_die, at.addr, entry);
    return entry;
}

PmTypeEntry *
pm_types_intern_of(PmTypes *types, const PmModule *module, Dwarf_Die *die)
{
    Dwarf_Die type;
    return pm_type_of(die, &type) ? pm_types_intern(types, module, &type, 0) : NULL;
}

guint64
pm_type_get_count(PmTypes *types, const PmType *type)
{
    const PmTypeEntry *entry = pm_type_entry(type);
    guint64 count = type->kind == PM_TYPE_ARRAY ? 1 : 0;
    (void)types;
    for (guint i = 0; i < entry->dimensions; i++)
        if (!g_uint64_checked_mul(&count, count, entry->counts[i]))
            return 0;
    return count;
}
