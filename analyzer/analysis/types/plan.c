#include "analysis/types/plan.h"

#include "analysis/types/cxxnodes.h"

#include <string.h>

struct PmPlans {
    PmTypes *types;
    GHashTable *targets; /* PmType → PmPointee; the key of void is the table itself */
    GHashTable *edges;   /* PmTypedEdge by owner, offset, targets → itself */
    GPtrArray *edge_list;
};

/* A pointer, before those of one place are put together. */
typedef struct {
    PmPlanSlot slot;
    const PmType *owner;
    gboolean in_union;
} RawSlot;

/* What a walk over a type gathers. @base_bytes: where what is being walked begins. */
typedef struct {
    PmPlans *plans;
    GArray *raw;    /* RawSlot */
    GArray *checks; /* PmPlanCheck */
    gboolean is_cut;
} Walk;

/* Where a walk is. */
typedef struct {
    const PmType *owner;
    guint64 owner_offset;
    gboolean in_union;
    guint depth;
    const PmType *node; /* what a standard container's links lead to */
} Place;

static guint
hash_edge(gconstpointer key)
{
    const PmTypedEdge *edge = key;
    guint hash = g_direct_hash(edge->owner) * 31 + (guint)edge->offset_bytes;
    for (guint i = 0; i < edge->target_count; i++)
        hash = hash * 31 + g_direct_hash(edge->targets[i]);
    return hash;
}

static gboolean
equal_edges(gconstpointer a, gconstpointer b)
{
    const PmTypedEdge *left = a;
    const PmTypedEdge *right = b;
    return left->owner == right->owner && left->offset_bytes == right->offset_bytes &&
           left->target_count == right->target_count &&
           memcmp(left->targets, right->targets, left->target_count * sizeof(gpointer)) == 0;
}

static void
free_edge(gpointer data)
{
    PmTypedEdge *edge = data;
    g_free(edge->targets);
    g_free(edge);
}

static void
free_target(gpointer data)
{
    PmPointee *target = data;
    if (target->plan != NULL) {
        g_free(target->plan->slots);
        g_free(target->plan->checks);
        g_free(target->plan);
    }
    g_free(target);
}

PmPlans *
pm_plans_new(PmTypes *types)
{
    PmPlans *plans = g_new0(PmPlans, 1);
    plans->types = types;
    plans->targets = g_hash_table_new_full(NULL, NULL, NULL, free_target);
    plans->edges = g_hash_table_new(hash_edge, equal_edges);
    plans->edge_list = g_ptr_array_new_with_free_func(free_edge);
    return plans;
}

void
pm_plans_free(PmPlans *plans)
{
    g_hash_table_unref(plans->targets);
    g_hash_table_unref(plans->edges);
    g_ptr_array_unref(plans->edge_list);
    g_free(plans);
}

/*
 * The last member of @type where that is an array without a length of its own: [], [0], or [1],
 * which is how it was said before C99. Looks into a last member that is a structure itself.
 */
static const PmType *
find_tail(PmTypes *types, const PmType *type, guint64 *ret_offset)
{
    guint64 base = 0;
    for (guint depth = 0; depth < PM_TYPE_DEPTH_MAX && type->kind == PM_TYPE_STRUCT; depth++) {
        gsize count = 0;
        const PmField *fields = pm_type_get_fields(types, type, &count);
        if (count == 0 || fields[count - 1].is_base)
            return NULL;
        const PmField *last = &fields[count - 1];
        base += last->offset_bytes;
        if (last->type->kind == PM_TYPE_ARRAY && pm_type_get_count(types, last->type) <= 1) {
            *ret_offset = base;
            return pm_type_get_target(types, last->type);
        }
        type = last->type;
    }
    return NULL;
}

static PmPointeeKind
get_kind(const PmType *type)
{
    switch (type->kind) {
    case PM_TYPE_BOOL:
    case PM_TYPE_INT:
    case PM_TYPE_UINT:
    case PM_TYPE_FLOAT:
    case PM_TYPE_ENUM:
        return PM_POINTEE_SCALAR;
    case PM_TYPE_CHAR:
        return PM_POINTEE_TEXT;
    case PM_TYPE_POINTER:
        return PM_POINTEE_POINTER;
    case PM_TYPE_FUNCTION:
        return PM_POINTEE_FUNCTION;
    case PM_TYPE_STRUCT:
    case PM_TYPE_UNION:
        return type->is_declaration || type->size_bytes == 0 ? PM_POINTEE_OPAQUE
                                                             : PM_POINTEE_RECORD;
    case PM_TYPE_UNKNOWN:
    case PM_TYPE_ARRAY:
    default:
        return PM_POINTEE_VOID;
    }
}

/* What malloc links its free chunks with leads to nothing that is in use. (glibc, malloc.c) */
static gboolean
is_malloc_own(const PmType *type)
{
    static const char *const names[] = {"struct malloc_chunk", "struct malloc_state",
                                        "struct tcache_perthread_struct", "struct tcache_entry",
                                        "struct _heap_info"};
    if (type->file == NULL ||
        (strcmp(type->file, "malloc.c") != 0 && strcmp(type->file, "arena.c") != 0))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(type->name, names[i]) == 0)
            return TRUE;
    return strcmp(type->name, "tcache_perthread_struct") == 0 ||
           strcmp(type->name, "tcache_entry") == 0 || strcmp(type->name, "heap_info") == 0;
}

static PmPointee *
make_target(PmPlans *plans, const PmType *type)
{
    PmPointee *target = g_new0(PmPointee, 1);
    guint64 tail = 0;
    if (type == NULL || is_malloc_own(type))
        return target;
    target->type = type;
    target->kind = get_kind(type);
    target->size_bytes = type->size_bytes;
    target->least_bytes = type->size_bytes;
    target->is_polymorphic = type->is_polymorphic;
    if (target->kind == PM_POINTEE_RECORD && find_tail(plans->types, type, &tail) != NULL) {
        target->is_flexible = TRUE;
        target->least_bytes = MIN(tail, type->size_bytes);
    }
    if (target->kind != PM_POINTEE_VOID && target->kind != PM_POINTEE_OPAQUE &&
        target->kind != PM_POINTEE_FUNCTION && target->size_bytes == 0)
        target->kind = PM_POINTEE_VOID;
    return target;
}

PmPointee *
pm_plans_get_target(PmPlans *plans, const PmType *type)
{
    for (guint depth = 0; type != NULL && type->kind == PM_TYPE_ARRAY; depth++)
        type = depth < PM_TYPE_DEPTH_MAX ? pm_type_get_target(plans->types, type) : NULL;
    gconstpointer key = type != NULL ? (gconstpointer)type : (gconstpointer)plans;
    PmPointee *target = g_hash_table_lookup(plans->targets, key);
    if (target == NULL) {
        target = make_target(plans, type);
        g_hash_table_insert(plans->targets, (gpointer)key, target);
    }
    return target;
}

/* ---- flattening ---- */

static void walk_type(Walk *walk, const PmType *type, guint64 base, Place place);

static void
add_raw(Walk *walk, const RawSlot *raw)
{
    if (walk->raw->len >= PM_PLAN_SLOTS_MAX) {
        walk->is_cut = TRUE;
        return;
    }
    g_array_append_val(walk->raw, *raw);
}

static void
add_pointer(Walk *walk, const PmType *type, guint64 base, Place place)
{
    const PmType *to = pm_type_get_target(walk->plans->types, type);
    if (place.node != NULL && pm_cxx_is_node_base(to))
        to = place.node;
    const RawSlot raw = {
        .slot = {.offset_bytes = base,
                 .owner_offset_bytes = place.owner_offset,
                 .stride_bytes = type->size_bytes,
                 .count = 1,
                 .target = pm_plans_get_target(walk->plans, to)},
        .owner = place.owner,
        .in_union = place.in_union,
    };
    add_raw(walk, &raw);
}

/* Repeats what one element has for all @count of them. */
static void
add_repeated(Walk *walk, const Walk *one, guint64 base, guint64 stride, guint64 count)
{
    for (guint i = 0; i < one->raw->len; i++) {
        RawSlot raw = g_array_index(one->raw, RawSlot, i);
        const guint64 inner = raw.slot.offset_bytes;
        const guint64 inner_owner = raw.slot.owner_offset_bytes;
        if (raw.slot.count == 1 || count == 1) {
            raw.slot.offset_bytes = base + inner;
            raw.slot.owner_offset_bytes = base + inner_owner;
            if (raw.slot.count == 1) {
                raw.slot.stride_bytes = stride;
                raw.slot.count = count;
            }
            add_raw(walk, &raw);
            continue;
        }
        for (guint64 j = 0; j < count && !walk->is_cut; j++) {
            raw.slot.offset_bytes = base + j * stride + inner;
            raw.slot.owner_offset_bytes = base + j * stride + inner_owner;
            add_raw(walk, &raw);
        }
    }
    walk->is_cut = walk->is_cut || one->is_cut;
}

static void
walk_array(Walk *walk, const PmType *type, guint64 base, Place place)
{
    const PmType *element = pm_type_get_target(walk->plans->types, type);
    const guint64 count = pm_type_get_count(walk->plans->types, type);
    if (element == NULL || element->size_bytes == 0 || count == 0 ||
        count > G_MAXUINT32 / element->size_bytes)
        return;
    if (element->kind == PM_TYPE_POINTER) {
        const guint before = walk->raw->len;
        add_pointer(walk, element, base, place);
        if (walk->raw->len > before)
            g_array_index(walk->raw, RawSlot, before).slot.count = count;
        return;
    }
    if (element->kind != PM_TYPE_STRUCT && element->kind != PM_TYPE_UNION &&
        element->kind != PM_TYPE_ARRAY)
        return;
    g_autoptr(GArray) raw = g_array_new(FALSE, FALSE, sizeof(RawSlot));
    Walk one = {.plans = walk->plans, .raw = raw, .checks = walk->checks};
    walk_type(&one, element, 0, place);
    add_repeated(walk, &one, base, element->size_bytes, count);
}

static void
walk_fields(Walk *walk, const PmType *type, guint64 base, Place place)
{
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(walk->plans->types, type, &count);
    const PmType *stored = pm_cxx_find_stored(walk->plans->types, type);
    if (stored != NULL && stored->size_bytes <= type->size_bytes) {
        walk_type(walk, stored, base, place);
        return;
    }
    const PmType *node = pm_cxx_find_node(walk->plans->types, type);
    const gboolean is_node = node != NULL && pm_cxx_is_node(type);
    if (node != NULL)
        place.node = node;
    if (type->kind == PM_TYPE_UNION) {
        place.in_union = place.in_union || count > 1;
        if (place.owner == NULL) {
            place.owner = type;
            place.owner_offset = base;
        }
    } else {
        place.owner = type;
        place.owner_offset = base;
        place.in_union = FALSE;
    }
    for (gsize i = 0; i < count; i++) {
        if (fields[i].is_vptr || fields[i].bit_count != 0 || fields[i].offset_bytes > G_MAXUINT32)
            continue;
        Place inner = place;
        if (is_node && !fields[i].is_base)
            inner.node = NULL;
        walk_type(walk, fields[i].type, base + fields[i].offset_bytes, inner);
    }
}

static void
add_check(Walk *walk, const PmType *type, guint64 base, Place place)
{
    PmPlanCheck check = {.offset_bytes = base,
                         .size_bytes = type->size_bytes,
                         .is_bool = type->kind == PM_TYPE_BOOL,
                         .max = 1};
    gsize count = 0;
    if (place.in_union || walk->checks->len >= PM_PLAN_CHECKS_MAX || type->size_bytes > 8)
        return;
    if (type->kind == PM_TYPE_ENUM) {
        const gint64 *values = pm_type_get_enumerators(walk->plans->types, type, &count);
        if (count == 0)
            return;
        check.min = MIN(values[0], 0);
        check.max = values[count - 1];
        /* Flags are or-ed. */
        while (check.max > 0 && (check.max & (check.max + 1)) != 0)
            check.max |= check.max >> 1;
    }
    g_array_append_val(walk->checks, check);
}

/* What @type, which begins at @base, has. Depth and fields are bounded by the table of types; the
 * recursion is over types, never over the core's data. */
static void
walk_type(Walk *walk, const PmType *type, guint64 base, Place place)
{
    if (++place.depth > PM_TYPE_DEPTH_MAX || walk->is_cut) {
        walk->is_cut = TRUE;
        return;
    }
    switch (type->kind) {
    case PM_TYPE_POINTER:
        add_pointer(walk, type, base, place);
        break;
    case PM_TYPE_ARRAY:
        walk_array(walk, type, base, place);
        break;
    case PM_TYPE_STRUCT:
    case PM_TYPE_UNION:
        walk_fields(walk, type, base, place);
        break;
    case PM_TYPE_BOOL:
    case PM_TYPE_ENUM:
        add_check(walk, type, base, place);
        break;
    case PM_TYPE_UNKNOWN:
    case PM_TYPE_CHAR:
    case PM_TYPE_INT:
    case PM_TYPE_UINT:
    case PM_TYPE_FLOAT:
    case PM_TYPE_FUNCTION:
        break;
    }
}

static gint
compare_raw(gconstpointer a, gconstpointer b)
{
    const RawSlot *left = a;
    const RawSlot *right = b;
    if (left->slot.offset_bytes != right->slot.offset_bytes)
        return left->slot.offset_bytes < right->slot.offset_bytes ? -1 : 1;
    return 0;
}

static PmTypedEdge *
intern_edge(PmPlans *plans, const RawSlot *raw, PmPointee *const *targets, guint count)
{
    PmTypedEdge key = {.owner = raw->owner,
                       .offset_bytes = raw->slot.offset_bytes - raw->slot.owner_offset_bytes,
                       .targets = (PmPointee **)targets,
                       .target_count = count};
    PmTypedEdge *edge = g_hash_table_lookup(plans->edges, &key);
    if (edge != NULL)
        return edge;
    edge = g_new(PmTypedEdge, 1);
    *edge = key;
    edge->id = plans->edge_list->len;
    edge->in_union = raw->in_union;
    edge->targets = g_memdup2(targets, count * sizeof(gpointer));
    g_ptr_array_add(plans->edge_list, edge);
    g_hash_table_add(plans->edges, edge);
    return edge;
}

/* Puts the pointers of one place together: in a union several share one. */
static void
merge_raw(PmPlans *plans, GArray *raw, PmPlan *plan)
{
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    g_array_sort(raw, compare_raw);
    plan->slots = g_new(PmPlanSlot, raw->len);
    for (guint i = 0; i < raw->len;) {
        const RawSlot *first = &g_array_index(raw, RawSlot, i);
        guint end = i;
        g_ptr_array_set_size(targets, 0);
        gboolean in_union = FALSE;
        for (; end < raw->len; end++) {
            const RawSlot *other = &g_array_index(raw, RawSlot, end);
            if (other->slot.offset_bytes != first->slot.offset_bytes ||
                other->slot.count != first->slot.count ||
                other->slot.stride_bytes != first->slot.stride_bytes)
                break;
            in_union = in_union || other->in_union;
            if (!g_ptr_array_find(targets, other->slot.target, NULL))
                g_ptr_array_add(targets, other->slot.target);
        }
        RawSlot merged = *first;
        merged.in_union = in_union;
        merged.slot.edge =
            intern_edge(plans, &merged, (PmPointee *const *)targets->pdata, targets->len);
        if (in_union || targets->len > 1)
            merged.slot.target = NULL;
        plan->slots[plan->slot_count++] = merged.slot;
        i = end;
    }
}

static PmPlan *
make_plan(PmPlans *plans, const PmPointee *target)
{
    PmPlan *plan = g_new0(PmPlan, 1);
    g_autoptr(GArray) raw = g_array_new(FALSE, FALSE, sizeof(RawSlot));
    g_autoptr(GArray) checks = g_array_new(FALSE, FALSE, sizeof(PmPlanCheck));
    Walk walk = {.plans = plans, .raw = raw, .checks = checks};
    const Place place = {0};
    walk_type(&walk, target->type, 0, place);
    plan->type = target->type;
    plan->is_cut = walk.is_cut;
    merge_raw(plans, raw, plan);
    plan->check_count = checks->len;
    plan->checks = g_memdup2(checks->data, checks->len * sizeof(PmPlanCheck));
    if (target->is_flexible) {
        const PmType *element = find_tail(plans->types, target->type, &plan->tail_offset_bytes);
        plan->tail = pm_plans_get_target(plans, element);
    }
    return plan;
}

const PmPlan *
pm_plans_get(PmPlans *plans, PmPointee *target)
{
    if (target->plan == NULL &&
        (target->kind == PM_POINTEE_POINTER || target->kind == PM_POINTEE_RECORD))
        target->plan = make_plan(plans, target);
    return target->plan;
}
