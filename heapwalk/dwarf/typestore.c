/*
 * The table of types in a file; see typestore.h. A type's id is its place in the file, so that what
 * refers to others by id, keys of pointers among them, stays as it was.
 */
#include "dwarf/typestore.h"

#include "base/cachefile.h"
#include "process/debuginfo.h"

/* To be raised whenever an entry's meaning, or what types are read as, changes. */
#define VERSION 1
#define MAGIC   "pmread1\n"
/* Read as a number it says the byte order as well. */
#define ORDER 0x01020304u
#define KIND  "types-read"
/* Of the name of the file. */
#define NAME_CHARS 33

/* @checksum: of all that follows it. Behind the header: types, fields, numbers, definitions,
 * strings. */
typedef struct {
    char magic[8];
    guint64 checksum;
    guint64 identity[2];
    guint32 order;
    guint32 version;
    guint32 type_count;
    guint32 field_count;
    guint32 number_count;
    guint32 definition_count;
    guint32 string_bytes;
    guint32 unused;
} Header;

enum {
    IS_DECLARATION = 1,
    IS_POLYMORPHIC = 2,
    IS_CXX = 4,
    HAS_CONTENTS = 8,
    IS_BASE = 16,
    IS_VPTR = 32,
};

/* @file: 0 for none. @module: among those with DWARF, from 1; 0 for none. @target: an id, or 0.
 * @dimensions, @enumerators: so many of the numbers, from @first_number on. */
typedef struct {
    PmTypeKey key;
    guint64 size_bytes;
    guint32 kind;
    guint32 name;
    guint32 file;
    guint32 line;
    guint32 module;
    guint32 flags;
    guint32 declarator;
    guint32 target;
    guint32 first_number;
    guint32 dimensions;
    guint32 enumerators;
    guint32 first_field;
    guint32 fields;
    guint32 unused;
} StoredType;

typedef struct {
    guint64 offset_bytes;
    guint32 name;
    guint32 type;
    guint32 bit_offset;
    guint32 bit_count;
    guint32 flags;
    guint32 unused;
} StoredField;

/* @definition: of the module's index. @type: an id, or 0. */
typedef struct {
    guint32 module;
    guint32 definition;
    guint32 type;
    guint32 unused;
} StoredDefinition;

G_STATIC_ASSERT(sizeof(Header) % sizeof(guint64) == 0);
G_STATIC_ASSERT(sizeof(StoredType) == 80);
G_STATIC_ASSERT(sizeof(StoredField) == 32);
G_STATIC_ASSERT(sizeof(StoredDefinition) == 16);

/* A file, taken apart. */
typedef struct {
    const Header *header;
    const StoredType *types;
    const StoredField *fields;
    const guint64 *numbers;
    const StoredDefinition *definitions;
    const char *strings;
} Store;

/* A file that is being made. */
typedef struct {
    PmTypes *types;
    GArray *stored;
    GArray *fields;
    GArray *numbers;
    GArray *definitions;
    GString *strings;
    GHashTable *string_at;
} Writer;

/*
 * The modules with DWARF, in their order, and which files that is read from.
 *
 * Returns: FALSE where one of them has no build-id, or none has DWARF.
 */
static gboolean
list_modules(PmTypes *types, PmTypeKey *ret_identity)
{
    types->store_modules = g_ptr_array_new();
    pm_type_key_init(ret_identity, 'm');
    for (guint i = 0; i < types->modules->len; i++) {
        const PmModule *module = g_array_index(types->modules, PmTypeModule, i).module;
        PmDebugFile main_file, alt_file;
        if (!pm_process_get_debug_files(types->process, module, &main_file, &alt_file))
            continue;
        if (module->build_id == NULL)
            return FALSE;
        g_ptr_array_add(types->store_modules, (gpointer)module);
        pm_type_key_add_string(ret_identity, module->build_id);
        pm_type_key_add_number(ret_identity, main_file.size_bytes);
        pm_type_key_add_string(ret_identity, main_file.build_id != NULL ? main_file.build_id : "");
        pm_type_key_add_number(ret_identity, alt_file.size_bytes);
        pm_type_key_add_string(ret_identity, alt_file.build_id != NULL ? alt_file.build_id : "");
    }
    return types->store_modules->len > 0;
}

/* From 1; 0 for one without DWARF and for NULL. */
static guint32
find_module(const PmTypes *types, const PmModule *module)
{
    guint index = 0;
    return module != NULL && g_ptr_array_find(types->store_modules, module, &index) ? index + 1 : 0;
}

/* Where the definition of the index is kept in types->definitions_known. */
static guint64 *
make_place(guint32 module, guint32 definition)
{
    const guint64 place = (guint64)module << 32 | definition;
    return g_memdup2(&place, sizeof place);
}

static gboolean
lay_out(const PmCacheFile *file, Store *store)
{
    const Header *header = (const Header *)(gconstpointer)file->bytes;
    const guint8 *at = file->bytes + sizeof *header;
    /* Counts of 32 bits and entries of at most 80 bytes: nothing wraps. */
    const guint64 expected = sizeof *header + header->type_count * (guint64)sizeof(StoredType) +
                             header->field_count * (guint64)sizeof(StoredField) +
                             header->number_count * (guint64)sizeof(guint64) +
                             header->definition_count * (guint64)sizeof(StoredDefinition) +
                             header->string_bytes;
    if (expected != file->count)
        return FALSE;
    store->header = header;
    store->types = (const StoredType *)(gconstpointer)at;
    at += header->type_count * sizeof(StoredType);
    store->fields = (const StoredField *)(gconstpointer)at;
    at += header->field_count * sizeof(StoredField);
    store->numbers = (const guint64 *)(gconstpointer)at;
    at += header->number_count * sizeof(guint64);
    store->definitions = (const StoredDefinition *)(gconstpointer)at;
    at += header->definition_count * sizeof(StoredDefinition);
    store->strings = (const char *)at;
    return TRUE;
}

static gboolean
is_within(guint32 first, guint64 count, guint32 of)
{
    return first <= of && count <= of - first;
}

static gboolean
is_type_valid(const PmTypes *types, const Store *store, guint32 index)
{
    const Header *header = store->header;
    const StoredType *type = &store->types[index];
    const gboolean is_derived = type->kind == PM_TYPE_POINTER || type->kind == PM_TYPE_ARRAY;
    return type->kind <= PM_TYPE_ARRAY && type->name < header->string_bytes &&
           type->file < header->string_bytes && type->module <= types->store_modules->len &&
           type->target <= header->type_count &&
           /* What is derived comes after what it is derived from: no circles. */
           (!is_derived || type->target <= index) &&
           (type->kind != PM_TYPE_ARRAY || type->target != 0) &&
           type->dimensions <= PM_DIMENSIONS_MAX &&
           is_within(type->first_number, (guint64)type->dimensions + type->enumerators,
                     header->number_count) &&
           type->fields <= PM_TYPE_FIELDS_MAX &&
           is_within(type->first_field, type->fields, header->field_count) &&
           type->declarator <= strlen(store->strings + type->name);
}

static gboolean
are_contents_valid(const PmTypes *types, const Store *store)
{
    const Header *header = store->header;
    if (header->string_bytes == 0 || store->strings[header->string_bytes - 1] != '\0' ||
        header->type_count < types->own_entries)
        return FALSE;
    for (guint32 i = 0; i < types->own_entries; i++)
        if (g_hash_table_lookup(types->by_key, &store->types[i].key) !=
            g_ptr_array_index(types->entries, i))
            return FALSE;
    for (guint32 i = 0; i < header->type_count; i++)
        if (!is_type_valid(types, store, i))
            return FALSE;
    for (guint32 i = 0; i < header->field_count; i++)
        if (store->fields[i].name >= header->string_bytes || store->fields[i].type == 0 ||
            store->fields[i].type > header->type_count)
            return FALSE;
    for (guint32 i = 0; i < header->definition_count; i++)
        if (store->definitions[i].type > header->type_count ||
            store->definitions[i].module > types->store_modules->len)
            return FALSE;
    return TRUE;
}

static guint64
sum_rest(const Header *header, const PmCachePart *parts, gsize count)
{
    const gsize summed = offsetof(Header, identity);
    guint64 sum =
        pm_cache_checksum_add(0, (const guint8 *)header + summed, sizeof *header - summed);
    for (gsize i = 0; i < count; i++)
        sum = pm_cache_checksum_add(sum, parts[i].bytes, parts[i].count);
    return sum;
}

static gboolean
is_valid(const PmTypes *types, const PmCacheFile *file, const PmTypeKey *identity, Store *store)
{
    const Header *header = (const Header *)(gconstpointer)file->bytes;
    if (memcmp(header->magic, MAGIC, sizeof header->magic) != 0 || header->order != ORDER ||
        header->version != VERSION || header->identity[0] != identity->first ||
        header->identity[1] != identity->second || !lay_out(file, store))
        return FALSE;
    const PmCachePart rest = {header + 1, file->count - sizeof *header};
    return sum_rest(header, &rest, 1) == header->checksum && are_contents_valid(types, store);
}

/* All types first, so that fields and targets find theirs. */
static void
restore_types(PmTypes *types, const Store *store)
{
    for (guint32 i = types->own_entries; i < store->header->type_count; i++) {
        const StoredType *stored = &store->types[i];
        PmTypeEntry *entry = g_new0(PmTypeEntry, 1);
        entry->type = (PmType){
            .kind = (PmTypeKind)stored->kind,
            .id = i + 1,
            .name = store->strings + stored->name,
            .size_bytes = stored->size_bytes,
            .module = stored->module == 0
                          ? NULL
                          : g_ptr_array_index(types->store_modules, stored->module - 1),
            .file = stored->file == 0 ? NULL : store->strings + stored->file,
            .line = stored->line,
            .is_declaration = (stored->flags & IS_DECLARATION) != 0,
            .is_polymorphic = (stored->flags & IS_POLYMORPHIC) != 0,
            .is_cxx = (stored->flags & IS_CXX) != 0,
        };
        entry->declarator = stored->declarator;
        entry->dimensions = stored->dimensions;
        memcpy(entry->counts, store->numbers + stored->first_number,
               stored->dimensions * sizeof *entry->counts);
        entry->has_contents = (stored->flags & HAS_CONTENTS) != 0;
        entry->is_restored = TRUE;
        g_ptr_array_add(types->entries, entry);
        g_hash_table_insert(types->by_key, g_memdup2(&stored->key, sizeof stored->key), entry);
    }
}

static void
restore_contents(PmTypes *types, const Store *store)
{
    for (guint32 i = types->own_entries; i < store->header->type_count; i++) {
        const StoredType *stored = &store->types[i];
        PmTypeEntry *entry = g_ptr_array_index(types->entries, i);
        if (stored->target != 0)
            entry->target =
                &((PmTypeEntry *)g_ptr_array_index(types->entries, stored->target - 1))->type;
        entry->enumerator_count = stored->enumerators;
        entry->enumerators = g_memdup2(store->numbers + stored->first_number + stored->dimensions,
                                       stored->enumerators * sizeof(gint64));
        entry->field_count = stored->fields;
        entry->fields = g_new0(PmField, stored->fields);
        for (guint32 j = 0; j < stored->fields; j++) {
            const StoredField *field = &store->fields[stored->first_field + j];
            entry->fields[j] = (PmField){
                .name = store->strings + field->name,
                .type = &((PmTypeEntry *)g_ptr_array_index(types->entries, field->type - 1))->type,
                .offset_bytes = field->offset_bytes,
                .bit_offset = field->bit_offset,
                .bit_count = field->bit_count,
                .is_base = (field->flags & IS_BASE) != 0,
                .is_vptr = (field->flags & IS_VPTR) != 0,
            };
        }
    }
    for (guint32 i = 0; i < store->header->definition_count; i++) {
        const StoredDefinition *stored = &store->definitions[i];
        g_hash_table_insert(
            types->known, make_place(stored->module, stored->definition),
            stored->type == 0 ? NULL : g_ptr_array_index(types->entries, stored->type - 1));
    }
}

/* The name of the file. */
static void
get_name(const PmTypeKey *identity, char name[NAME_CHARS])
{
    g_snprintf(name, NAME_CHARS, "%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x",
               identity->first, identity->second);
}

void
pm_type_store_load(PmTypes *types)
{
    if (types->store_modules != NULL || types->cache_folder[0] == '\0')
        return;
    PmTypeKey identity;
    Store store;
    char name[NAME_CHARS];
    gboolean exists = FALSE;
    types->may_store = list_modules(types, &identity) && types->entries->len == types->own_entries;
    if (!types->may_store)
        return;
    types->store_identity = identity;
    get_name(&identity, name);
    g_autoptr(PmCacheFile) file =
        pm_cache_file_map(types->cache_folder, KIND, name, sizeof(Header), &exists);
    if (file == NULL || !is_valid(types, file, &identity, &store))
        return;
    restore_types(types, &store);
    restore_contents(types, &store);
    types->stored_entries = types->entries->len;
    types->store_file = g_steal_pointer(&file);
}

gboolean
pm_type_store_find(PmTypes *types, const PmTypeModule *module, const PmIndexType *type,
                   PmTypeEntry **ret_entry)
{
    const guint32 number = types->may_store ? find_module(types, module->module) : 0;
    const guint64 place = (guint64)number << 32 | (guint64)(type - module->index->types);
    gpointer found = NULL;
    if (number == 0 || !g_hash_table_lookup_extended(types->known, &place, NULL, &found))
        return FALSE;
    /* The index may have been made anew since, by another version. */
    const PmTypeEntry *entry = found;
    if (entry != NULL &&
        (entry->type.size_bytes != type->size_bytes ||
         !g_str_equal(entry->type.name, pm_type_index_get_string(module->index, type->name))))
        return FALSE;
    *ret_entry = found;
    return TRUE;
}

void
pm_type_store_note(PmTypes *types, const PmTypeModule *module, const PmIndexType *type,
                   PmTypeEntry *entry)
{
    const guint32 number = types->may_store ? find_module(types, module->module) : 0;
    if (number == 0)
        return;
    types->has_news = TRUE;
    g_hash_table_insert(types->known, make_place(number, (guint32)(type - module->index->types)),
                        entry);
}

static guint32
add_string(Writer *writer, const char *text)
{
    gpointer known = NULL;
    if (text == NULL || *text == '\0')
        return 0;
    if (g_hash_table_lookup_extended(writer->string_at, text, NULL, &known))
        return GPOINTER_TO_UINT(known);
    const guint32 at = (guint32)writer->strings->len;
    g_string_append_len(writer->strings, text, (gssize)strlen(text) + 1);
    g_hash_table_insert(writer->string_at, (gpointer)text, GUINT_TO_POINTER(at));
    return at;
}

static void
add_entry(Writer *writer, const PmTypeEntry *entry, const PmTypeKey *key)
{
    const PmType *type = &entry->type;
    const StoredType stored = {
        .key = *key,
        .size_bytes = type->size_bytes,
        .kind = (guint32)type->kind,
        .name = add_string(writer, type->name),
        .file = add_string(writer, type->file),
        .line = type->line,
        .module = find_module(writer->types, type->module),
        .flags = (type->is_declaration ? IS_DECLARATION : 0u) |
                 (type->is_polymorphic ? IS_POLYMORPHIC : 0u) | (type->is_cxx ? IS_CXX : 0u) |
                 (entry->has_contents ? HAS_CONTENTS : 0u),
        .declarator = entry->declarator,
        .target = entry->target != NULL ? entry->target->id : 0,
        .first_number = writer->numbers->len,
        .dimensions = entry->dimensions,
        .enumerators = (guint32)entry->enumerator_count,
        .first_field = writer->fields->len,
        .fields = (guint32)entry->field_count,
    };
    g_array_append_vals(writer->numbers, entry->counts, entry->dimensions);
    if (entry->enumerator_count > 0)
        g_array_append_vals(writer->numbers, entry->enumerators, (guint)entry->enumerator_count);
    for (gsize i = 0; i < entry->field_count; i++) {
        const PmField *field = &entry->fields[i];
        const StoredField member = {
            .offset_bytes = field->offset_bytes,
            .name = add_string(writer, field->name),
            .type = field->type->id,
            .bit_offset = field->bit_offset,
            .bit_count = field->bit_count,
            .flags = (field->is_base ? IS_BASE : 0u) | (field->is_vptr ? IS_VPTR : 0u),
        };
        g_array_append_val(writer->fields, member);
    }
    g_array_append_val(writer->stored, stored);
}

/* Every type has its key; FALSE where one is missing. */
static gboolean
add_entries(Writer *writer)
{
    PmTypes *types = writer->types;
    g_autofree const PmTypeKey **keys = g_new0(const PmTypeKey *, types->entries->len);
    GHashTableIter iter;
    gpointer key = NULL;
    gpointer value = NULL;
    g_hash_table_iter_init(&iter, types->by_key);
    while (g_hash_table_iter_next(&iter, &key, &value))
        keys[((const PmTypeEntry *)value)->type.id - 1] = key;
    for (guint i = 0; i < types->entries->len; i++) {
        if (keys[i] == NULL)
            return FALSE;
        add_entry(writer, g_ptr_array_index(types->entries, i), keys[i]);
    }
    g_hash_table_iter_init(&iter, types->known);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const guint64 place = *(const guint64 *)key;
        const StoredDefinition definition = {
            .module = (guint32)(place >> 32),
            .definition = (guint32)place,
            .type = value == NULL ? 0 : ((const PmTypeEntry *)value)->type.id,
        };
        g_array_append_val(writer->definitions, definition);
    }
    return TRUE;
}

static void
write_file(const Writer *writer)
{
    PmTypes *types = writer->types;
    char name[NAME_CHARS];
    Header header = {
        .magic = MAGIC,
        .identity = {types->store_identity.first, types->store_identity.second},
        .order = ORDER,
        .version = VERSION,
        .type_count = writer->stored->len,
        .field_count = writer->fields->len,
        .number_count = writer->numbers->len,
        .definition_count = writer->definitions->len,
        .string_bytes = (guint32)writer->strings->len,
    };
    const PmCachePart parts[] = {
        {&header, sizeof header},
        {writer->stored->data, writer->stored->len * sizeof(StoredType)},
        {writer->fields->data, writer->fields->len * sizeof(StoredField)},
        {writer->numbers->data, writer->numbers->len * sizeof(guint64)},
        {writer->definitions->data, writer->definitions->len * sizeof(StoredDefinition)},
        {writer->strings->str, writer->strings->len},
    };
    header.checksum = sum_rest(&header, parts + 1, G_N_ELEMENTS(parts) - 1);
    get_name(&types->store_identity, name);
    pm_cache_file_write(types->cache_folder, KIND, name, parts, G_N_ELEMENTS(parts));
}

/* Split files are not among those that the store is known by. */
static gboolean
has_split_units(const PmTypes *types)
{
    for (guint i = 0; i < types->modules->len; i++) {
        const PmTypeIndex *index = g_array_index(types->modules, PmTypeModule, i).index;
        if (index != NULL && (index->split_count > 0 || index->splits_missing > 0))
            return TRUE;
    }
    return FALSE;
}

void
pm_type_store_save(PmTypes *types)
{
    if (!types->may_store || has_split_units(types) ||
        (!types->has_news && types->entries->len == types->stored_entries) ||
        g_hash_table_size(types->known) == 0 || types->entries->len > PM_STORED_TYPES_MAX)
        return;
    Writer writer = {
        .types = types,
        .stored = g_array_new(FALSE, FALSE, sizeof(StoredType)),
        .fields = g_array_new(FALSE, FALSE, sizeof(StoredField)),
        .numbers = g_array_new(FALSE, FALSE, sizeof(guint64)),
        .definitions = g_array_new(FALSE, FALSE, sizeof(StoredDefinition)),
        .strings = g_string_new(NULL),
        .string_at = g_hash_table_new(g_str_hash, g_str_equal),
    };
    g_string_append_c(writer.strings, '\0');
    if (add_entries(&writer) && writer.strings->len < G_MAXUINT32)
        write_file(&writer);
    g_array_unref(writer.stored);
    g_array_unref(writer.fields);
    g_array_unref(writer.numbers);
    g_array_unref(writer.definitions);
    g_string_free(writer.strings, TRUE);
    g_hash_table_unref(writer.string_at);
}
