/*
 * How a chunk's type is known: the chain of pointers from a variable to it, as an expression.
 */
#include "analysis/types/typing-private.h"

#include <string.h>

/* Steps that are spelt out; the rest of a longer chain is an address. */
#define STEPS_MAX 100
/* Of a parent, as much is searched for the pointer. */
#define SEARCH_BYTES ((guint64)256 << 20)

/*
 * One object of the chain. @index: of an object; 0 for a chunk, which is at @spot. @address,
 * @bytes: where its type begins, and what of it there is. @type: as declared; NULL for a name
 * alone. @is_array: several of them.
 */
typedef struct {
    guint32 index;
    PmSpot spot;
    PmAddr address;
    guint64 bytes;
    const PmType *type;
    PmPointee *target;
    guint32 parent;
    gboolean is_array;
    gboolean is_pool;
} Node;

/*
 * What names an object so far: an lvalue, or a pointer to it (or to the first of several).
 */
typedef struct {
    char *text;
    gboolean is_pointer;
} Expression;

static gboolean
get_chunk_node(const PmTyping *typing, const PmSpot *spot, Node *ret_node)
{
    const PmAssignment *found = pm_assignments_get(&typing->assignments, spot->slot);
    if (found == NULL)
        return FALSE;
    const PmBinding *binding = pm_typing_get_binding(typing, found->binding);
    *ret_node = (Node){.spot = *spot,
                       .address = spot->user + binding->offset_bytes,
                       .bytes = spot->usable_bytes - binding->offset_bytes,
                       .type = binding->target == NULL ? NULL : binding->target->type,
                       .target = binding->target,
                       .parent = found->parent,
                       .is_array = binding->shape == PM_SHAPE_ARRAY,
                       .is_pool = binding->shape == PM_SHAPE_POOL};
    return TRUE;
}

/* The node that @parent, not 0, stands for. */
static gboolean
get_parent_node(const PmTyping *typing, guint32 parent, Node *ret_node)
{
    if ((parent & PM_PARENT_OBJECT) != 0) {
        const guint32 index = parent & ~PM_PARENT_OBJECT;
        const PmObject *object = &g_array_index(typing->objects, PmObject, index);
        *ret_node = (Node){.index = index,
                           .address = object->address,
                           .bytes = object->bytes,
                           .type = object->type,
                           .target = object->target,
                           .parent = object->parent,
                           .is_array = object->is_array};
        return TRUE;
    }
    /* Half of a slot: the chunk starts at one of two. */
    PmSlot slot = ((PmSlot)parent - 1) << 1;
    guint64 words = 0;
    const guint32 region = pm_resolver_get_region(typing->resolver, slot);
    const PmSlot first = pm_resolver_get_sweep(typing->resolver, region, &words);
    const guint64 starts =
        pm_resolver_get_used_starts(typing->resolver, region, (slot - first) >> 6);
    if (((starts >> ((slot - first) & 63)) & 1) == 0)
        slot++;
    PmSlotChunk chunk;
    pm_resolver_get_chunk(typing->resolver, slot, region, &chunk);
    const PmSpot spot = {slot, region, chunk.user, chunk.usable_bytes, 0};
    return get_chunk_node(typing, &spot, ret_node);
}

static const PmPlanSlot *find_slot(PmTyping *typing, const Node *node, guint64 offset);

gboolean
pm_typing_get_parent(const PmTyping *typing, guint32 parent, PmAddr *ret_address,
                     PmPointee **ret_target, guint32 *ret_parent)
{
    Node node;
    if (!get_parent_node(typing, parent, &node))
        return FALSE;
    *ret_address = node.address;
    *ret_target = node.target;
    *ret_parent = node.parent;
    return TRUE;
}

/* Where in @parent the declared pointer to @child is. */
static gboolean
find_pointer(PmTyping *typing, const Node *parent, const Node *child, guint64 *ret_offset,
             guint64 *ret_value)
{
    const guint64 bytes = MIN(parent->bytes, SEARCH_BYTES);
    PmReader reader = {.space = typing->reader.space};
    const PmAddr low = child->index == 0 ? child->spot.user : child->address;
    const guint64 span = child->index == 0 ? child->spot.usable_bytes : 1;
    gboolean found = FALSE;
    for (guint64 at = 0; at + typing->word_bytes <= bytes; at += typing->word_bytes) {
        const guint64 value = pm_reader_get_word(&reader, parent->address + at, typing->word_bytes);
        if (value - low >= span || find_slot(typing, parent, at) == NULL)
            continue;
        if (!found || value == child->address) {
            *ret_offset = at;
            *ret_value = value;
            found = TRUE;
        }
        if (value == child->address)
            break;
    }
    return found;
}

/* "[i]" for a place in several, and what is left of the offset. */
static char *
take_index(const Node *node, guint64 *offset)
{
    const guint64 size = node->target->size_bytes;
    if (!node->is_array || size == 0)
        return NULL;
    char *text = g_strdup_printf("[%" G_GUINT64_FORMAT "]", *offset / size);
    *offset %= size;
    return text;
}

/* ".buckets[7].head": the path to @offset within one @type, where it may lie in a flexible array
 * at its end. (transfer full) */
static char *
describe_member(PmTyping *typing, PmPointee *target, guint64 offset)
{
    const PmPlan *plan = pm_plans_get(typing->plans, target);
    if (plan == NULL || plan->tail == NULL || plan->tail->size_bytes == 0 ||
        offset < plan->tail_offset_bytes)
        return pm_type_describe_offset(typing->types, target->type, offset);
    g_autofree char *array =
        pm_type_describe_offset(typing->types, target->type, plan->tail_offset_bytes);
    char *zero = strstr(array, "[0]");
    if (zero != NULL)
        *zero = '\0';
    const guint64 behind = offset - plan->tail_offset_bytes;
    g_autofree char *rest =
        pm_type_describe_offset(typing->types, plan->tail->type, behind % plan->tail->size_bytes);
    return g_strdup_printf("%s[%" G_GUINT64_FORMAT "]%s", array, behind / plan->tail->size_bytes,
                           rest);
}

/* The pointer at @offset of @node, which @expression names. (transfer full) */
static char *
describe_field(PmTyping *typing, const Node *node, const Expression *expression, guint64 offset)
{
    if (!expression->is_pointer) {
        g_autofree char *path = pm_type_describe_offset(typing->types, node->type, offset);
        return g_strconcat(expression->text, path, NULL);
    }
    g_autofree char *index = take_index(node, &offset);
    g_autofree char *path = describe_member(typing, node->target, offset);
    if (index != NULL)
        return g_strconcat(expression->text, index, path, NULL);
    if (path[0] == '.')
        return g_strconcat(expression->text, "->", path + 1, NULL);
    if (path[0] == '\0')
        return g_strconcat("*", expression->text, NULL);
    return g_strconcat("(*", expression->text, ")", path, NULL);
}

/* The declared pointer at @offset of @node, or NULL. */
static const PmPlanSlot *
find_slot(PmTyping *typing, const Node *node, guint64 offset)
{
    const guint64 size = node->target->size_bytes;
    const PmPlan *plan = pm_plans_get(typing->plans, node->target);
    if (size != 0 && node->is_array)
        offset %= size;
    if (plan != NULL && plan->tail != NULL && offset >= plan->tail_offset_bytes &&
        plan->tail->size_bytes != 0 && !node->is_array) {
        offset = (offset - plan->tail_offset_bytes) % plan->tail->size_bytes;
        plan = pm_plans_get(typing->plans, plan->tail);
    }
    for (guint i = 0; plan != NULL && i < plan->slot_count; i++) {
        const PmPlanSlot *slot = &plan->slots[i];
        if (offset >= slot->offset_bytes &&
            offset - slot->offset_bytes < slot->count * slot->stride_bytes &&
            (offset - slot->offset_bytes) % slot->stride_bytes == 0)
            return slot;
    }
    return NULL;
}

/* What the pointer at @offset of @node is declared to lead to; NULL where that is not one type. */
static const PmType *
get_declared(PmTyping *typing, const Node *node, guint64 offset)
{
    const PmPlanSlot *slot = find_slot(typing, node, offset);
    return slot != NULL && slot->edge->target_count == 1 ? slot->edge->targets[0]->type : NULL;
}

/* Whether a debugger takes @type's name in a cast. */
static gboolean
can_be_cast_to(const PmType *type)
{
    return strstr(type->name, " at ") == NULL && strchr(type->name, '{') == NULL;
}

/* A pointer to @node by its address alone. (transfer full): NULL where its type has no name. */
static char *
describe_address(const Node *node)
{
    const PmType *type = node->target == NULL ? NULL : node->target->type;
    if (type == NULL || !can_be_cast_to(type))
        return NULL;
    return g_strdup_printf("((%s *)0x%" G_GINT64_MODIFIER "x)", type->name, node->address);
}

static gboolean
is_unique(const PmTyping *typing, const PmObject *object)
{
    for (guint i = 1; i < typing->variable_count; i++) {
        const PmObject *other = &g_array_index(typing->objects, PmObject, i);
        if (other->address != object->address && g_str_equal(other->name, object->name))
            return FALSE;
    }
    return TRUE;
}

/* The first of the chain. FALSE where it cannot be named. */
static gboolean
begin(const PmTyping *typing, const Node *node, Expression *ret_expression)
{
    if (node->index != 0) {
        const PmObject *object = &g_array_index(typing->objects, PmObject, node->index);
        if (object->name != NULL && !object->is_tls && !object->is_local &&
            is_unique(typing, object)) {
            *ret_expression = (Expression){g_strdup(object->name), FALSE};
            return TRUE;
        }
    }
    *ret_expression = (Expression){describe_address(node), TRUE};
    return ret_expression->text != NULL;
}

/* From @parent, which @expression names, to @child: @expression names that then. */
static gboolean
step(PmTyping *typing, const Node *parent, const Node *child, Expression *expression)
{
    guint64 offset = 0;
    guint64 value = 0;
    if (parent->target == NULL || !find_pointer(typing, parent, child, &offset, &value))
        return FALSE;
    g_autofree char *field = describe_field(typing, parent, expression, offset);
    const PmType *declared = get_declared(typing, parent, offset);
    const PmType *type = child->target == NULL ? NULL : child->target->type;
    const gboolean same =
        type == NULL || child->is_pool || (declared == type && value == child->address);
    if (!same && !can_be_cast_to(type))
        return FALSE;
    g_free(expression->text);
    expression->is_pointer = TRUE;
    if (same)
        expression->text = g_steal_pointer(&field);
    else if (value == child->address)
        expression->text = g_strdup_printf("((%s *)%s)", type->name, field);
    else
        expression->text = g_strdup_printf("((%s *)((char *)%s %c %" G_GUINT64_FORMAT "))",
                                           type->name, field, value > child->address ? '-' : '+',
                                           value > child->address ? value - child->address
                                                                  : child->address - value);
    return TRUE;
}

/* A local in a register is the pointer itself. */
static gboolean
begin_at_value(const PmTyping *typing, const Node *first, const Node *second,
               Expression *ret_expression)
{
    const PmObject *object = &g_array_index(typing->objects, PmObject, first->index);
    if (first->index == 0 || !object->is_value)
        return FALSE;
    *ret_expression = (Expression){describe_address(second), TRUE};
    return ret_expression->text != NULL;
}

char *
pm_typing_describe_path(PmTyping *typing, const PmChunk *chunk)
{
    g_autoptr(GArray) nodes = g_array_new(FALSE, FALSE, sizeof(Node));
    Expression expression = {0};
    PmSpot spot;
    Node node;
    if (typing->resolver == NULL || !pm_propagate_find(typing, chunk->address, &spot) ||
        !get_chunk_node(typing, &spot, &node) || node.parent == 0)
        return NULL;
    g_array_append_val(nodes, node);
    while (nodes->len < STEPS_MAX && node.parent != 0 &&
           get_parent_node(typing, node.parent, &node))
        g_array_append_val(nodes, node);
    guint at = nodes->len - 1;
    const Node *all = (const Node *)(gconstpointer)nodes->data;
    if (begin_at_value(typing, &all[at], &all[at - 1], &expression))
        at--;
    else if (!begin(typing, &all[at], &expression))
        return NULL;
    for (; at > 0; at--) {
        if (!step(typing, &all[at], &all[at - 1], &expression)) {
            g_free(expression.text);
            expression.text = describe_address(&all[at - 1]);
            if (expression.text == NULL)
                return NULL;
        }
    }
    g_autofree char *pointer = expression.text;
    return g_strconcat("*", pointer, NULL);
}
