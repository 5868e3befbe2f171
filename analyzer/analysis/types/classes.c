/*
 * What an object's vtable says that it is; what its pointers are declared to lead to may be a base.
 */
#include "analysis/types/typing-private.h"

/*
 * The class of a vtable. @target: NULL where no DWARF describes it. @offset_to_top: from what the
 * vtable pointer belongs to, to the whole object.
 */
typedef struct {
    const char *name;
    PmPointee *target;
    gint64 offset_to_top;
} PmClass;

#define CLASSES_MAX 200000

static PmPointee *
find_target(PmTyping *typing, const PmVtable *vtable)
{
    g_autoptr(GPtrArray) found =
        pm_types_find_by_name(typing->types, vtable->class_name, vtable->module);
    for (guint i = 0; found != NULL && i < found->len; i++) {
        const PmType *type = g_ptr_array_index(found, i);
        if (type->kind == PM_TYPE_STRUCT && !type->is_declaration && type->size_bytes > 0)
            return pm_plans_get_target(typing->plans, type);
    }
    return NULL;
}

static const PmClass *
get_class(PmTyping *typing, PmAddr address)
{
    gpointer known = NULL;
    const guint64 key = address;
    if (typing->classes == NULL)
        typing->classes = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    if (g_hash_table_lookup_extended(typing->classes, &key, NULL, &known))
        return known;
    const PmVtable *vtable = pm_rtti_find(pm_places_get_rtti(typing->places), address);
    PmClass *made = NULL;
    if (vtable != NULL) {
        made = g_new(PmClass, 1);
        *made = (PmClass){pm_typing_intern_name(typing, vtable->class_name),
                          find_target(typing, vtable), vtable->offset_to_top};
    }
    if (made == NULL && g_hash_table_size(typing->classes) >= CLASSES_MAX)
        return NULL;
    g_hash_table_insert(typing->classes, g_memdup2(&key, sizeof key), made);
    return made;
}

static PmShape
get_shape(const PmTyping *typing, const PmPointee *target, guint64 bytes)
{
    if (target == NULL || target->least_bytes > bytes)
        return PM_SHAPE_NAME;
    if (pm_match_is_whole(typing, target, bytes))
        return PM_SHAPE_ONE;
    const guint64 count = bytes / target->size_bytes;
    return count > 1 && count * target->size_bytes >= pm_typing_get_request_min(typing, bytes)
               ? PM_SHAPE_ARRAY
               : PM_SHAPE_HEAD;
}

guint32
pm_classes_decide(PmTyping *typing, const PmSpot *spot)
{
    const guint64 word = pm_reader_get_word(&typing->target_reader, spot->user + spot->offset_bytes,
                                            typing->word_bytes);
    /* Not asked whether the heap may hold it: the program's data lie so close below its heap that a
     * filter cannot tell them apart. */
    if (word < 4096 || word % typing->word_bytes != 0 ||
        pm_process_find_module(typing->process, word) == NULL)
        return 0;
    const PmClass *class = get_class(typing, word);
    if (class == NULL || class->offset_to_top > 0 ||
        (guint64) - class->offset_to_top > spot->offset_bytes)
        return 0;
    const guint64 offset = spot->offset_bytes - (guint64) - class->offset_to_top;
    const PmShape shape = get_shape(typing, class->target, spot->usable_bytes - offset);
    const PmBinding binding = {
        .by = PM_TYPED_BY_VTABLE,
        .shape = shape,
        .rank = PM_RANK_VTABLE,
        .offset_bytes = offset,
        .target = shape == PM_SHAPE_NAME ? NULL : class->target,
        .name = class->name,
        .reason = "its vtable says so",
    };
    return pm_typing_intern(typing, &binding);
}
