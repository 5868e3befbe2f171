/*
 * Flattening a type; see plan.h. What no leaf covers is found with a map of the type's bytes.
 */
#include "analysis/structs/plan.h"

#include <math.h>
#include <string.h>

#define ALTERNATIVES_MAX 16

/* Fields that are looked at for one plan: what contains itself (damaged DWARF) must end. */
#define STEPS_MAX 16384

/* What a byte of the type belongs to. */
enum { BYTE_NOTHING, BYTE_NUMBER, BYTE_FLOAT, BYTE_OTHER };

struct PmFitPlans {
    PmTypes *types;
    guint64 word_bytes;
    GHashTable *by_type; /* const PmType * → PmFitPlan * */
    guint depth;         /* of plans within plans: unions */
};

/* A plan while it is made. @bytes: what each byte belongs to, @size_bytes of them. */
typedef struct {
    PmFitPlans *plans;
    GArray *leaves;
    guint8 *bytes;
    guint64 size_bytes;
    guint field;
    guint steps;
    double weight;
} Builder;

/* Where the flattening is: @complete begins at @complete_offset. */
typedef struct {
    const PmType *type;
    guint64 offset;
    const PmType *complete;
    guint64 complete_offset;
    guint depth;
    guint bit_offset;
    guint bit_count;
    gboolean is_vtable;
} Spot;

static void
cover(Builder *builder, guint64 offset, guint64 count, guint8 what)
{
    if (offset < builder->size_bytes)
        memset(builder->bytes + offset, what, MIN(count, builder->size_bytes - offset));
}

static void
add_leaf(Builder *builder, PmLeafKind kind, const Spot *spot, guint64 size_bytes)
{
    PmLeaf leaf = {
        .kind = kind,
        .field = builder->field,
        .weight = builder->weight,
        .offset_bytes = spot->offset,
        .size_bytes = size_bytes,
        .bit_offset = spot->bit_offset,
        .bit_count = spot->bit_count,
    };
    if (kind == PM_LEAF_POINTER)
        leaf.type = pm_type_get_target(builder->plans->types, spot->type);
    else if (kind == PM_LEAF_ENUM)
        leaf.type = spot->type;
    if (kind == PM_LEAF_VTABLE) {
        leaf.type = spot->complete;
        leaf.inner_bytes = spot->offset - spot->complete_offset;
    }
    if (builder->leaves->len < PM_PLAN_LEAVES_MAX && size_bytes > 0 &&
        size_bytes <= builder->size_bytes && spot->offset <= builder->size_bytes - size_bytes)
        g_array_append_val(builder->leaves, leaf);
}

static void flatten(Builder *builder, const Spot *spot);

static void
flatten_fields(Builder *builder, const Spot *spot)
{
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(builder->plans->types, spot->type, &count);
    for (gsize i = 0; i < count && builder->leaves->len < PM_PLAN_LEAVES_MAX; i++) {
        const PmField *field = &fields[i];
        if (field->offset_bytes > builder->size_bytes)
            continue;
        Spot inner = {
            .type = field->type,
            .offset = spot->offset + field->offset_bytes,
            .complete = spot->complete,
            .complete_offset = spot->complete_offset,
            .depth = spot->depth + 1,
            .bit_offset = field->bit_offset,
            .bit_count = field->bit_count,
            .is_vtable = field->is_vptr,
        };
        if (!field->is_base && !field->is_vptr) {
            inner.complete = field->type;
            inner.complete_offset = inner.offset;
        }
        flatten(builder, &inner);
    }
}

/* A union's members become plans of their own. */
static void
flatten_union(Builder *builder, const Spot *spot)
{
    PmFitPlans *plans = builder->plans;
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(plans->types, spot->type, &count);
    cover(builder, spot->offset, spot->type->size_bytes, BYTE_OTHER);
    if (plans->depth >= PM_TYPE_DEPTH_MAX || count == 0)
        return;
    g_autoptr(GPtrArray) alternatives = g_ptr_array_new();
    plans->depth++;
    for (gsize i = 0; i < count && alternatives->len < ALTERNATIVES_MAX; i++) {
        if (fields[i].offset_bytes == 0 && fields[i].bit_count == 0)
            g_ptr_array_add(alternatives, (gpointer)pm_fit_plans_get(plans, fields[i].type));
    }
    plans->depth--;
    guint before = builder->leaves->len;
    add_leaf(builder, PM_LEAF_UNION, spot, spot->type->size_bytes);
    if (builder->leaves->len == before)
        return;
    PmLeaf *leaf = &g_array_index(builder->leaves, PmLeaf, before);
    leaf->alternative_count = alternatives->len;
    leaf->alternatives = (const PmFitPlan **)g_ptr_array_steal(alternatives, NULL);
}

/* TRUE for the plain "char", in which C keeps text; int8_t and uint8_t hold anything. */
static gboolean
is_text(const PmType *type)
{
    return type != NULL && type->kind == PM_TYPE_CHAR && type->size_bytes == 1 &&
           (strcmp(type->name, "char") == 0 || strcmp(type->name, "char8_t") == 0);
}

static void
flatten_array(Builder *builder, const Spot *spot)
{
    PmTypes *types = builder->plans->types;
    const PmType *element = pm_type_get_target(types, spot->type);
    guint64 count = pm_type_get_count(types, spot->type);
    if (element == NULL || element->size_bytes == 0 || count == 0)
        return;
    if (is_text(element)) {
        cover(builder, spot->offset, count, BYTE_OTHER);
        add_leaf(builder, PM_LEAF_TEXT, spot, count);
        return;
    }
    /* Inner arrays of an array with several dimensions are one array. */
    guint64 room = spot->offset < builder->size_bytes ? builder->size_bytes - spot->offset : 0;
    count = MIN(count, room / element->size_bytes);
    guint64 shown = MIN(count, PM_PLAN_ELEMENTS);
    double weight = builder->weight;
    guint first_field = builder->field;
    guint last_field = first_field;
    if (element->kind == PM_TYPE_CHAR || element->kind == PM_TYPE_INT ||
        element->kind == PM_TYPE_UINT)
        cover(builder, spot->offset, count * element->size_bytes,
              element->size_bytes == 1 ? BYTE_OTHER : BYTE_NUMBER);
    else
        cover(builder, spot->offset, count * element->size_bytes, BYTE_OTHER);
    builder->weight = shown > 0 ? weight / sqrt((double)shown) : weight;
    for (guint64 i = 0; i < shown; i++) {
        Spot inner = {
            .type = element,
            .offset = spot->offset + count * i / shown * element->size_bytes,
            .complete = element,
            .depth = spot->depth + 1,
        };
        inner.complete_offset = inner.offset;
        /* The same fields of every element are one field. */
        builder->field = first_field;
        flatten(builder, &inner);
        last_field = MAX(last_field, builder->field);
    }
    builder->field = last_field;
    builder->weight = weight;
}

static void
flatten_pointer(Builder *builder, const Spot *spot)
{
    const PmType *target = pm_type_get_target(builder->plans->types, spot->type);
    PmLeafKind kind = PM_LEAF_POINTER;
    if (target != NULL && target->kind == PM_TYPE_FUNCTION)
        kind = PM_LEAF_FUNCTION;
    else if (is_text(target))
        kind = PM_LEAF_STRING;
    if (spot->type->size_bytes == builder->plans->word_bytes)
        add_leaf(builder, spot->is_vtable ? PM_LEAF_VTABLE : kind, spot, spot->type->size_bytes);
}

/* One scalar, at the next field number. */
static void
flatten_scalar(Builder *builder, const Spot *spot)
{
    const PmType *type = spot->type;
    guint64 size = type->size_bytes;
    gboolean whole = spot->bit_count == 0;
    guint8 what = BYTE_NUMBER;
    builder->field++;
    switch (type->kind) {
    case PM_TYPE_POINTER:
        what = BYTE_OTHER;
        flatten_pointer(builder, spot);
        break;
    case PM_TYPE_BOOL:
        if (whole && size == 1)
            add_leaf(builder, PM_LEAF_BOOL, spot, size);
        break;
    case PM_TYPE_ENUM:
        if (size <= 8)
            add_leaf(builder, PM_LEAF_ENUM, spot, size);
        break;
    case PM_TYPE_FLOAT:
        what = size == 4 ? BYTE_FLOAT : BYTE_OTHER;
        if (size == 4 || size == 8)
            add_leaf(builder, PM_LEAF_FLOAT, spot, size);
        break;
    case PM_TYPE_UNKNOWN:
    case PM_TYPE_FUNCTION:
        what = BYTE_OTHER;
        break;
    default:
        break;
    }
    if (!whole)
        size = (spot->bit_offset + spot->bit_count + 7) / 8;
    cover(builder, spot->offset, size, what);
}

static void
flatten(Builder *builder, const Spot *spot)
{
    if (spot->depth > PM_TYPE_DEPTH_MAX || spot->offset >= builder->size_bytes ||
        builder->steps++ >= STEPS_MAX)
        return;
    switch (spot->type->kind) {
    case PM_TYPE_STRUCT:
        flatten_fields(builder, spot);
        break;
    case PM_TYPE_UNION:
        builder->field++;
        flatten_union(builder, spot);
        break;
    case PM_TYPE_ARRAY:
        builder->field++;
        flatten_array(builder, spot);
        break;
    default:
        flatten_scalar(builder, spot);
        break;
    }
}

/* The 8-byte integer that fills the word at @offset, if it is one field. */
static gboolean
is_one_integer(Builder *builder, const PmType *type, guint64 offset, guint depth)
{
    if (type->kind == PM_TYPE_INT || type->kind == PM_TYPE_UINT)
        return type->size_bytes == 8;
    if (type->kind == PM_TYPE_ARRAY) {
        const PmType *element = pm_type_get_target(builder->plans->types, type);
        return element != NULL && element->size_bytes > 0 && depth < PM_TYPE_DEPTH_MAX &&
               is_one_integer(builder, element, offset % element->size_bytes, depth + 1);
    }
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(builder->plans->types, type, &count);
    for (gsize i = 0; i < count; i++) {
        const PmField *field = &fields[i];
        guint64 size = field->type->size_bytes;
        if (field->bit_count == 0 && offset >= field->offset_bytes &&
            offset - field->offset_bytes < size)
            return depth < PM_TYPE_DEPTH_MAX &&
                   is_one_integer(builder, field->type, offset - field->offset_bytes, depth + 1);
    }
    return FALSE;
}

/* Words that integers fill, and what no field covers. */
static void
add_rest(Builder *builder, const PmType *type)
{
    guint64 word = builder->plans->word_bytes;
    builder->weight = 1;
    for (guint64 at = 0; at + word <= builder->size_bytes; at += word) {
        guint numbers = 0, floats = 0, others = 0;
        for (guint64 i = at; i < at + word; i++) {
            numbers += builder->bytes[i] == BYTE_NUMBER ? 1 : 0;
            floats += builder->bytes[i] == BYTE_FLOAT ? 1 : 0;
            others += builder->bytes[i] == BYTE_OTHER ? 1 : 0;
        }
        if (others > 0 || numbers + floats == 0)
            continue;
        Spot spot = {.type = type, .offset = at};
        guint before = builder->leaves->len;
        builder->field++;
        add_leaf(builder, PM_LEAF_WORD, &spot, word);
        if (builder->leaves->len == before)
            return;
        PmLeaf *leaf = &g_array_index(builder->leaves, PmLeaf, before);
        leaf->plain = floats == 0;
        leaf->inner_bytes = is_one_integer(builder, type, at, 0) ? 8 : 4;
    }
    for (guint64 at = 0; at < builder->size_bytes; at++) {
        guint64 end = at;
        while (end < builder->size_bytes && builder->bytes[end] == BYTE_NOTHING)
            end++;
        if (end == at)
            continue;
        Spot spot = {.type = type, .offset = at};
        builder->field++;
        add_leaf(builder, PM_LEAF_PADDING, &spot, end - at);
        at = end;
    }
}

static guint
count_checked(const GArray *leaves)
{
    guint checked = 0;
    guint last = G_MAXUINT;
    for (guint i = 0; i < leaves->len; i++) {
        const PmLeaf *leaf = &g_array_index(leaves, PmLeaf, i);
        if (leaf->kind == PM_LEAF_WORD || leaf->kind == PM_LEAF_PADDING || leaf->field == last)
            continue;
        last = leaf->field;
        checked++;
    }
    return checked;
}

static gboolean
is_link(const GArray *leaves, const PmType *type)
{
    for (guint i = 0; i < leaves->len; i++) {
        const PmLeaf *leaf = &g_array_index(leaves, PmLeaf, i);
        if (leaf->kind != PM_LEAF_POINTER || leaf->type != type)
            return FALSE;
    }
    return leaves->len > 0;
}

static int
compare_leaves(gconstpointer a, gconstpointer b)
{
    const PmLeaf *left = a, *right = b;
    if (left->field != right->field)
        return left->field < right->field ? -1 : 1;
    return left->offset_bytes < right->offset_bytes ? -1 : left->offset_bytes > right->offset_bytes;
}

static void
fill_plan(PmFitPlans *plans, const PmType *type, PmFitPlan *plan)
{
    guint64 size = MIN(type->size_bytes, PM_PLAN_BYTES_MAX);
    g_autofree guint8 *bytes = g_malloc0(size + 1);
    Builder builder = {
        .plans = plans,
        .leaves = g_array_new(FALSE, FALSE, sizeof(PmLeaf)),
        .bytes = bytes,
        .size_bytes = size,
        .weight = 1,
    };
    Spot spot = {.type = type, .complete = type};
    flatten(&builder, &spot);
    add_rest(&builder, type);
    g_array_sort(builder.leaves, compare_leaves);
    plan->type = type;
    plan->size_bytes = type->size_bytes;
    plan->field_count = builder.field + 1;
    plan->checked = count_checked(builder.leaves);
    plan->leaf_count = builder.leaves->len;
    plan->is_link = is_link(builder.leaves, type);
    plan->leaves = (PmLeaf *)g_array_free(builder.leaves, FALSE);
}

static void
free_plan(gpointer data)
{
    PmFitPlan *plan = data;
    for (gsize i = 0; i < plan->leaf_count; i++)
        g_free(plan->leaves[i].alternatives);
    g_free(plan->leaves);
    g_free(plan);
}

PmFitPlans *
pm_fit_plans_new(PmTypes *types, guint64 word_bytes)
{
    PmFitPlans *plans = g_new0(PmFitPlans, 1);
    plans->types = types;
    plans->word_bytes = word_bytes;
    plans->by_type = g_hash_table_new_full(NULL, NULL, NULL, free_plan);
    return plans;
}

void
pm_fit_plans_free(PmFitPlans *plans)
{
    g_hash_table_unref(plans->by_type);
    g_free(plans);
}

const PmFitPlan *
pm_fit_plans_get(PmFitPlans *plans, const PmType *type)
{
    PmFitPlan *plan = g_hash_table_lookup(plans->by_type, type);
    if (plan == NULL) {
        /* Empty at first: a union that contains itself finds this. */
        plan = g_new0(PmFitPlan, 1);
        g_hash_table_insert(plans->by_type, (gpointer)type, plan);
        fill_plan(plans, type, plan);
    }
    return plan;
}
