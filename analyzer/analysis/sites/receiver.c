/*
 * Results in variables; see receiver.h. Places are told by numbers that stand for them: whatever
 * DWARF's location evaluates to one of them is there.
 */
#include "analysis/sites/receiver.h"

#include "dwarf/locals.h"

#include <string.h>

/* Instructions behind the call that are followed. */
#define STEPS_MAX 10
#define SLOTS_MAX 4
/* What stands for the result, and for the frame pointer; neither is an address of a process. */
#define RESULT G_GUINT64_CONSTANT(0x5a17000000000000)
#define FRAME  G_GUINT64_CONSTANT(0x5a17800000000000)
/* The frame pointer's DWARF number, and how far the CFA is above where it points: psABI of x86-64.
 */
#define DWARF_RBP     6
#define FRAME_TO_CFA  16
#define POINTER_BYTES 8

/* DWARF's numbers of the machine's registers: psABI of x86-64, "DWARF Register Number Mapping". */
static const guint8 dwarf_numbers[] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};
#define MACHINE_RBP 5

/*
 * Where the result is at @at. @held: bits of registers. @slots: offsets from the frame pointer,
 * where the function has one. @variable: of the module's data, a module address, or PM_ADDR_NONE.
 */
typedef struct {
    PmModuleCode *code;
    PmTypes *types;
    guint64 at;
    guint64 size_bytes;
    guint32 held;
    gboolean has_frame;
    gint64 slots[SLOTS_MAX];
    guint slot_count;
    guint64 variable;
    PmReceiver best;
    gboolean found;
} Search;

/* Whether the function that holds @address begins by setting up a frame pointer: push %rbp; mov
 * %rsp, %rbp; with CET after endbr64. */
static gboolean
has_frame_pointer(const PmModuleCode *code, guint64 address)
{
    static const guint8 mark[] = {0xf3, 0x0f, 0x1e, 0xfa};
    static const guint8 prologue[] = {0x55, 0x48, 0x89, 0xe5};
    guint8 bytes[sizeof mark + sizeof prologue];
    const PmFunctionRange *range = pm_frames_find_range(code->functions, address);
    if (range == NULL || !pm_module_code_read(code, range->start, bytes, sizeof bytes))
        return FALSE;
    const guint8 *begin = memcmp(bytes, mark, sizeof mark) == 0 ? bytes + sizeof mark : bytes;
    return memcmp(begin, prologue, sizeof prologue) == 0;
}

static gboolean
is_there(const Search *search, const PmTypedLocal *local)
{
    if (local->is_value)
        return local->value == RESULT;
    for (guint i = 0; i < search->slot_count; i++)
        if (local->address == FRAME + (guint64)search->slots[i])
            return TRUE;
    return FALSE;
}

/* A variable of @type that holds the result: kept where it tells more than the one before. */
static void
offer(Search *search, const PmType *type, const char *variable)
{
    if (type->kind != PM_TYPE_POINTER)
        return;
    const PmType *target = pm_type_get_target(search->types, type);
    if (target == NULL || target->size_bytes == 0)
        return;
    const gboolean fits = target->size_bytes == search->size_bytes;
    if (search->found && (!fits || search->best.type->size_bytes == search->size_bytes))
        return;
    search->best = (PmReceiver){target, variable};
    search->found = TRUE;
}

static void
ask_locals(Search *search)
{
    PmFrameRegisters registers = {.cfa = PM_ADDR_NONE};
    for (guint i = 0; i < G_N_ELEMENTS(dwarf_numbers); i++) {
        if ((search->held >> i & 1) == 0)
            continue;
        registers.values[dwarf_numbers[i]] = RESULT;
        registers.known |= 1U << dwarf_numbers[i];
    }
    if (search->has_frame) {
        registers.values[DWARF_RBP] = FRAME;
        registers.known |= 1U << DWARF_RBP;
        registers.cfa = FRAME + FRAME_TO_CFA;
    }
    g_autoptr(GArray) locals =
        pm_types_get_locals_at(search->types, search->code->module->bias + search->at, &registers);
    for (guint i = 0; i < locals->len; i++) {
        const PmTypedLocal *local = &g_array_index(locals, PmTypedLocal, i);
        if (is_there(search, local))
            offer(search, local->type, local->name);
    }
}

/* The variable of the module that the result was stored to. */
static void
ask_variable(Search *search)
{
    const PmModule *module = search->code->module;
    const GArray *variables = pm_types_get_variables(search->types, module);
    for (guint i = 0; i < variables->len; i++) {
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, i);
        if (!variable->is_tls && variable->address == module->bias + search->variable)
            offer(search, variable->type, variable->name);
    }
}

static gboolean
is_held(const Search *search, const PmOperand *operand)
{
    return operand->kind == PM_OPERAND_REGISTER && operand->width_bytes == POINTER_BYTES &&
           (search->held >> operand->reg & 1) != 0;
}

/* Something is stored: @is_result: the result. */
static void
follow_store(Search *search, const PmOperand *to, gboolean is_result)
{
    const gboolean is_slot = !to->is_absolute && search->has_frame && to->reg == MACHINE_RBP &&
                             to->index == PM_NO_REGISTER;
    for (guint i = search->slot_count; is_slot && i > 0; i--)
        if (search->slots[i - 1] == (gint64)to->number)
            search->slots[i - 1] = search->slots[--search->slot_count];
    if (is_result && to->is_absolute)
        search->variable = to->number;
    else if (is_result && is_slot && search->slot_count < SLOTS_MAX)
        search->slots[search->slot_count++] = (gint64)to->number;
}

/* Returns: FALSE where what comes next is not known. */
static gboolean
follow(Search *search, const PmOp *op)
{
    switch ((PmOpKind)op->kind) {
    case PM_OP_CALL:
    case PM_OP_JUMP:
    case PM_OP_RETURN:
    case PM_OP_TRAP:
    case PM_OP_UNDECODED:
        return FALSE;
    default:
        break;
    }
    const gboolean moves = op->kind == PM_OP_MOVE && is_held(search, &op->a);
    if (op->dst.kind == PM_OPERAND_MEMORY && op->kind != PM_OP_COMPARE)
        follow_store(search, &op->dst, moves);
    search->held &= ~op->clobbers;
    if (op->dst.kind == PM_OPERAND_REGISTER && op->kind != PM_OP_COMPARE) {
        search->held &= ~(1U << op->dst.reg);
        if (moves && op->dst.width_bytes == POINTER_BYTES)
            search->held |= 1U << op->dst.reg;
        /* Its frame is left, or it has another use. */
        if (op->dst.reg == MACHINE_RBP)
            search->has_frame = FALSE;
    }
    return TRUE;
}

/* Goes one instruction further. */
static gboolean
go_on(Search *search, PmDecoder *decoder)
{
    const PmModuleCode *code = search->code;
    const PmCodeRange *text = pm_module_code_find_text(code, search->at);
    PmOp ops[PM_OPS_MAX];
    if (text == NULL || search->at >= text->end)
        return FALSE;
    const guint count = code->machine->decode(decoder, text->bytes + (search->at - text->start),
                                              (gsize)(text->end - search->at), search->at, ops);
    for (guint i = 0; i < count; i++)
        if (!follow(search, &ops[i]))
            return FALSE;
    search->at += MAX(ops[count - 1].length, 1);
    return search->held != 0 || search->slot_count > 0;
}

gboolean
pm_receiver_find(PmModuleCode *code, PmTypes *types, guint64 after, guint64 size_bytes,
                 PmReceiver *ret_receiver)
{
    PmFlow *flow = pm_flow_pool_take(code->pool);
    if (flow == NULL)
        return FALSE;
    pm_module_code_prepare(code);
    Search search = {.code = code,
                     .types = types,
                     .at = after,
                     .size_bytes = size_bytes,
                     .held = 1U << code->machine->result,
                     .has_frame = has_frame_pointer(code, after - 1),
                     .variable = PM_ADDR_NONE};
    for (guint i = 0; i < STEPS_MAX; i++) {
        ask_locals(&search);
        if ((search.found && search.best.type->size_bytes == size_bytes) ||
            !go_on(&search, pm_flow_get_decoder(flow)))
            break;
    }
    if (!search.found && search.variable != PM_ADDR_NONE)
        ask_variable(&search);
    pm_flow_pool_give(code->pool, flow);
    if (search.found)
        *ret_receiver = search.best;
    return search.found;
}
