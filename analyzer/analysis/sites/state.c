/*
 * Registers and slots; see state.h. A slot is only kept while nothing that may point to it is
 * written through.
 */
#include "analysis/sites/state-private.h"

#include <string.h>

void
pm_state_forget(PmState *state, const PmFrameFacts *facts)
{
    state->reached = TRUE;
    state->slot_count = 0;
    state->fact = (PmFact){0};
    state->comparison = (PmComparison){0};
    state->partial = (PmPartial){0};
    state->escaped = G_MAXUINT64;
    memset(state->vectors, 0, sizeof state->vectors);
    for (guint i = 0; i < facts->machine->registers; i++)
        state->registers[i] = pm_value_unknown();
}

void
pm_state_copy(PmState *to, const PmState *from, const PmFrameFacts *facts)
{
    memcpy(to, from, G_STRUCT_OFFSET(PmState, slots) + from->slot_count * sizeof from->slots[0]);
    memcpy(to->registers, from->registers, facts->machine->registers * sizeof(PmValue));
}

void
pm_state_enter(PmState *state, PmFrameFacts *facts)
{
    pm_state_forget(state, facts);
    state->escaped = 0;
    for (guint i = 0; i < PM_ARGUMENTS; i++)
        state->registers[facts->machine->arguments[i]] = pm_value_argument(facts->exprs, i);
    state->registers[facts->machine->stack] = pm_value_of_kind(PM_VALUE_STACK, 0, 0);
}

static void
remove_slot(PmState *state, guint index)
{
    PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_MEMORY && comparison->base == state->slots[index].base &&
        comparison->offset == state->slots[index].offset)
        comparison->place = PM_OPERAND_NONE;
    state->slots[index] = state->slots[--state->slot_count];
}

/* Removes the slots of @base that reach into [@low, @high). */
void
pm_state_remove_slots(PmState *state, guint base, gint64 low, gint64 high)
{
    for (guint i = state->slot_count; i > 0; i--) {
        const PmStackSlot *slot = &state->slots[i - 1];
        if (slot->base == base && slot->offset < high && slot->offset + slot->width_bytes > low)
            remove_slot(state, i - 1);
    }
    PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_MEMORY && comparison->base == base &&
        comparison->offset < high && comparison->offset + comparison->width_bytes > low)
        comparison->place = PM_OPERAND_NONE;
}

/* What callees and unknown pointers may have written to. */
void
pm_state_remove_escaped(PmState *state, const PmFrameFacts *facts)
{
    for (guint base = 0; base < PM_STACK_BASES; base++)
        if (facts->escapes[base] != G_MAXINT64)
            pm_state_remove_slots(state, base, facts->escapes[base], G_MAXINT64);
}

void
pm_state_remove_all(PmState *state)
{
    for (guint base = 0; base < PM_STACK_BASES; base++)
        pm_state_remove_slots(state, base, G_MININT64, G_MAXINT64);
}

/* @value is somewhere from which it may be used in ways that are not followed. */
void
pm_state_note_escape(PmFrameFacts *facts, const PmValue *value)
{
    if (value->kind == PM_VALUE_STACK && value->id < PM_STACK_BASES)
        facts->escapes[value->id] = MIN(facts->escapes[value->id], (gint64)value->v[0]);
}

void
pm_state_set_register(PmState *state, guint reg, const PmValue *value)
{
    PmComparison *comparison = &state->comparison;
    if (comparison->place == PM_OPERAND_REGISTER && comparison->reg == reg)
        comparison->place = PM_OPERAND_NONE;
    if (state->partial.reg == reg)
        state->partial = (PmPartial){0};
    state->registers[reg] = *value;
}

/* The low @width_bytes of a register; on 64-bit machines a write of 32 bits clears the rest. */
static void
write_register(PmState *state, const PmFrameFacts *facts, const PmOperand *operand,
               const PmValue *value)
{
    PmExprs *exprs = facts->exprs;
    guint64 old = 0;
    PmValue written = pm_value_truncate(exprs, value, operand->width_bytes);
    if (operand->width_bytes < 4 && pm_value_is_constant(&state->registers[operand->reg], &old)) {
        const guint64 mask = (G_GUINT64_CONSTANT(1) << (8 * operand->width_bytes)) - 1;
        const PmValue rest = pm_value_constant(old & ~mask);
        written = pm_value_add(exprs, &written, &rest);
    } else if (operand->width_bytes < 4) {
        const PmValue unknown = pm_value_unknown();
        pm_state_set_register(state, operand->reg, &unknown);
        state->partial = (PmPartial){operand->width_bytes, operand->reg, written};
        return;
    }
    if (operand->width_bytes == 8)
        written.may = value->may;
    pm_state_set_register(state, operand->reg, &written);
}

void
pm_state_store(PmState *state, PmFrameFacts *facts, const PmValue *address, guint width_bytes,
               const PmValue *value)
{
    pm_state_note_escape(facts, value);
    if (address->kind != PM_VALUE_STACK)
        state->escaped |= value->may;
    switch ((PmValueKind)address->kind) {
    case PM_VALUE_STACK:
        break;
    case PM_VALUE_STACK_ANY:
        pm_state_remove_all(state);
        return;
    case PM_VALUE_POINTER:
    case PM_VALUE_RESULT:
        return;
    default:
        pm_state_remove_escaped(state, facts);
        return;
    }
    const gint64 offset = (gint64)address->v[0];
    gint64 end = 0;
    if (address->id >= PM_STACK_BASES || width_bytes == 0 ||
        __builtin_add_overflow(offset, (gint64)width_bytes, &end)) {
        pm_state_remove_all(state);
        return;
    }
    pm_state_remove_slots(state, address->id, offset, end);
    if ((value->kind == PM_VALUE_UNKNOWN && value->may == 0) || width_bytes > 8 ||
        state->slot_count == PM_SLOTS_MAX)
        return;
    PmStackSlot *slot = &state->slots[state->slot_count++];
    *slot = (PmStackSlot){.offset = offset,
                          .base = (guint8)address->id,
                          .width_bytes = (guint8)width_bytes,
                          .value = pm_value_truncate(facts->exprs, value, width_bytes)};
    if (width_bytes == 8)
        slot->value.may = value->may;
}

static PmValue
read_slot(const PmState *state, const PmFrameFacts *facts, const PmValue *address,
          guint width_bytes)
{
    for (guint i = 0; i < state->slot_count; i++) {
        const PmStackSlot *slot = &state->slots[i];
        if (slot->base == address->id && slot->offset == (gint64)address->v[0] &&
            slot->width_bytes >= width_bytes)
            return pm_value_truncate(facts->exprs, &slot->value, width_bytes);
    }
    const PmValue unknown = pm_value_unknown();
    return pm_value_truncate(facts->exprs, &unknown, width_bytes);
}

PmValue
pm_state_address(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand)
{
    if (operand->is_absolute)
        return pm_value_of_kind(PM_VALUE_POINTER, 0, operand->number);
    const gboolean is_twice = operand->index == operand->reg;
    PmValue address = pm_value_constant(operand->number);
    if (operand->reg != PM_NO_REGISTER && !is_twice)
        address = pm_value_add(facts->exprs, &state->registers[operand->reg], &address);
    if (operand->index == PM_NO_REGISTER)
        return address;
    const PmValue scale = pm_value_constant(operand->scale + (is_twice ? 1U : 0U));
    const PmValue index =
        pm_value_multiply(facts->exprs, &state->registers[operand->index], &scale);
    return pm_value_add(facts->exprs, &address, &index);
}

static PmValue
read_memory(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand)
{
    const PmValue address = pm_state_address(state, facts, operand);
    guint64 constant = 0;
    if (address.kind == PM_VALUE_STACK)
        return read_slot(state, facts, &address, operand->width_bytes);
    if (operand->width_bytes >= 8 && address.kind == PM_VALUE_POINTER)
        return pm_value_of_kind(PM_VALUE_SLOT, 0, address.v[0]);
    if (operand->width_bytes == 8 &&
        (address.kind == PM_VALUE_SLOT || address.kind == PM_VALUE_BEYOND) &&
        address.v[0] <= PM_FIELD_SLOT_MAX && address.v[1] <= PM_FIELD_OFFSET_MAX) {
        PmValue field = pm_value_of_kind(PM_VALUE_FIELD, 0, address.v[0]);
        field.v[1] = address.v[1];
        return field;
    }
    if (operand->width_bytes == 8 && pm_value_is_constant(&address, &constant))
        return pm_value_of_kind(PM_VALUE_SLOT, 0, constant);
    const PmValue unknown = pm_value_unknown();
    return pm_value_truncate(facts->exprs, &unknown, operand->width_bytes);
}

static PmValue
read_vector(const PmState *state, const PmOperand *operand)
{
    const guint64 held =
        operand->reg < PM_VECTORS ? state->vectors[operand->reg] : PM_VECTOR_UNKNOWN;
    if (held == PM_VECTOR_UNKNOWN)
        return pm_value_unknown();
    return held == PM_VECTOR_ZERO ? pm_value_constant(0) : pm_value_of_kind(PM_VALUE_SLOT, 0, held);
}

static void
write_vector(PmState *state, const PmOperand *operand, const PmValue *value)
{
    guint64 constant = 0;
    if (operand->reg >= PM_VECTORS)
        return;
    if (pm_value_is_constant(value, &constant) && constant == 0)
        state->vectors[operand->reg] = PM_VECTOR_ZERO;
    else if (value->kind == PM_VALUE_SLOT && operand->width_bytes >= 16)
        state->vectors[operand->reg] = value->v[0];
    else
        state->vectors[operand->reg] = PM_VECTOR_UNKNOWN;
}

PmValue
pm_state_read(const PmState *state, const PmFrameFacts *facts, const PmOperand *operand)
{
    PmValue value = pm_value_unknown();
    switch ((PmOperandKind)operand->kind) {
    case PM_OPERAND_REGISTER:
        value = state->registers[operand->reg];
        if (state->partial.reg == operand->reg && operand->width_bytes != 0 &&
            state->partial.width_bytes >= operand->width_bytes)
            value = state->partial.value;
        break;
    case PM_OPERAND_NUMBER:
        value = pm_value_constant(operand->number);
        break;
    case PM_OPERAND_MEMORY:
        return read_memory(state, facts, operand);
    case PM_OPERAND_VECTOR:
        value = read_vector(state, operand);
        break;
    case PM_OPERAND_NONE:
    case PM_OPERAND_OTHER:
        break;
    }
    return pm_value_truncate(facts->exprs, &value, operand->width_bytes);
}

void
pm_state_write(PmState *state, PmFrameFacts *facts, const PmOperand *operand, const PmValue *value)
{
    if (operand->kind == PM_OPERAND_REGISTER) {
        write_register(state, facts, operand, value);
    } else if (operand->kind == PM_OPERAND_VECTOR) {
        write_vector(state, operand, value);
    } else if (operand->kind == PM_OPERAND_MEMORY) {
        const PmValue address = pm_state_address(state, facts, operand);
        pm_state_store(state, facts, &address, operand->width_bytes, value);
    }
}

/* Whether what is not known stays so beside @from: nearly always, for most registers hold nothing
 * that is known. An expression may join it as one of several, and what may point to the stack is
 * kept. */
static inline gboolean
stays_unknown(const PmValue *into, const PmValue *from)
{
    return into->kind == PM_VALUE_UNKNOWN && into->v[2] == 0 && (from->may & ~into->may) == 0 &&
           from->kind != PM_VALUE_EXPR && from->kind != PM_VALUE_STACK &&
           from->kind != PM_VALUE_STACK_ANY;
}

/* Whether @into stays as it is beside @from, as can be told at a glance. */
static inline gboolean
stays(const PmValue *into, const PmValue *from)
{
    const gboolean is_one = into->kind == PM_VALUE_EXPR || into->kind == PM_VALUE_STACK ||
                            into->kind == PM_VALUE_RESULT ||
                            (into->kind == PM_VALUE_SET && into->count == 1);
    return stays_unknown(into, from) ||
           (is_one && into->kind == from->kind && into->count == from->count &&
            into->open == from->open && into->id == from->id && into->v[0] == from->v[0] &&
            (from->may & ~into->may) == 0);
}

/* Joins one value. Returns: whether *into changed. */
static gboolean
join_value(PmValue *into, const PmValue *from, const PmState *state, const PmState *other,
           PmFrameFacts *facts, gboolean widen)
{
    if (stays(into, from))
        return FALSE;
    if (into->kind == from->kind && (from->may & ~into->may) == 0 && pm_value_equals(into, from))
        return FALSE;
    PmValue joined = pm_value_join(facts->exprs, into, from, &state->fact, &other->fact);
    const gboolean differs = !pm_value_equals(&joined, into);
    /* Two constants that take turns are no counter. */
    const gboolean few = joined.kind == PM_VALUE_SET && joined.count <= 2;
    if (differs && widen && !few) {
        const gboolean stack = joined.kind == PM_VALUE_STACK || joined.kind == PM_VALUE_STACK_ANY;
        const guint64 may = joined.may;
        joined = stack ? pm_value_of_kind(PM_VALUE_STACK_ANY, 0, 0) : pm_value_unknown();
        joined.may = may;
    }
    const gboolean changed = !pm_value_equals(&joined, into) || joined.may != into->may;
    *into = joined;
    return changed;
}

static inline gboolean
is_same_slot(const PmStackSlot *a, const PmStackSlot *b)
{
    return a->base == b->base && a->offset == b->offset && a->width_bytes == b->width_bytes;
}

/* The slot of @state at the place of @like. @index: where it is most likely, for states that meet
 * mostly come from one. */
static const PmStackSlot *
find_slot(const PmState *state, const PmStackSlot *like, guint index)
{
    if (index < state->slot_count && is_same_slot(&state->slots[index], like))
        return &state->slots[index];
    for (guint i = 0; i < state->slot_count; i++)
        if (is_same_slot(&state->slots[i], like))
            return &state->slots[i];
    return NULL;
}

static gboolean
join_facts(PmFact *into, const PmFact *from, gboolean widen)
{
    if (!into->known)
        return FALSE;
    PmFact joined = {0};
    if (from->known && from->expr == into->expr) {
        joined = *into;
        joined.low = MIN(joined.low, from->low);
        joined.high = MAX(joined.high, from->high);
    }
    const gboolean changed =
        joined.known != into->known || joined.low != into->low || joined.high != into->high;
    if (changed && widen)
        joined = (PmFact){0};
    *into = joined;
    return changed;
}

gboolean
pm_state_join(PmState *into, const PmState *from, PmFrameFacts *facts, gboolean widen)
{
    if (!into->reached) {
        pm_state_copy(into, from, facts);
        into->comparison = (PmComparison){0};
        into->partial = (PmPartial){0};
        return TRUE;
    }
    gboolean changed = (from->escaped & ~into->escaped) != 0;
    into->escaped |= from->escaped;
    const gboolean same = memcmp(into->vectors, from->vectors, sizeof into->vectors) == 0;
    for (guint i = 0; !same && i < PM_VECTORS; i++) {
        changed |= into->vectors[i] != PM_VECTOR_UNKNOWN && into->vectors[i] != from->vectors[i];
        if (into->vectors[i] != from->vectors[i])
            into->vectors[i] = PM_VECTOR_UNKNOWN;
    }
    into->partial = (PmPartial){0};
    for (guint i = 0; i < facts->machine->registers; i++)
        if (!stays(&into->registers[i], &from->registers[i]))
            changed |=
                join_value(&into->registers[i], &from->registers[i], into, from, facts, widen);
    for (guint i = into->slot_count; i > 0; i--) {
        PmStackSlot *slot = &into->slots[i - 1];
        const PmStackSlot *other = find_slot(from, slot, i - 1);
        if (other != NULL) {
            changed |= join_value(&slot->value, &other->value, into, from, facts, widen);
        } else {
            remove_slot(into, i - 1);
            changed = TRUE;
        }
    }
    changed |= join_facts(&into->fact, &from->fact, widen);
    return changed;
}
