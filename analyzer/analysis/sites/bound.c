/*
 * Lazy binding; see bound.h.
 */
#include "analysis/sites/bound.h"

#include "analysis/sites/machine.h"

/* Bytes of code that are looked at: of a call, and of what it leads to. */
#define CODE_BYTES 32

/* Operations of a thunk before its jump: a mark for indirect calls. */
#define THUNK_STEPS 3

struct PmBindings {
    const PmProcess *process;
    const PmSpace *space;
    const PmMachine *machine;
    PmDecoder *decoder;
    GHashTable *by_target; /* of a call: address → whether that is unbound */
};

PmBindings *
pm_bindings_new(const PmProcess *process)
{
    const PmSpace *space = pm_process_get_space(process);
    const PmMachine *machine = pm_machine_get(pm_space_get_target(space)->arch);
    PmDecoder *decoder = machine == NULL ? NULL : machine->decoder_new();
    if (decoder == NULL)
        return NULL;
    PmBindings *bindings = g_new0(PmBindings, 1);
    bindings->process = process;
    bindings->space = space;
    bindings->machine = machine;
    bindings->decoder = decoder;
    bindings->by_target = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return bindings;
}

void
pm_bindings_free(PmBindings *bindings)
{
    if (bindings == NULL)
        return;
    bindings->machine->decoder_free(bindings->decoder);
    g_hash_table_unref(bindings->by_target);
    g_free(bindings);
}

/* The operation of the instruction at @address that is a jump or a call, or the last one. FALSE
 * where its bytes are not there. */
static gboolean
decode(PmBindings *bindings, PmAddr address, PmOp *ret_op)
{
    guint8 bytes[CODE_BYTES];
    PmOp ops[PM_OPS_MAX];
    if (!pm_space_read(bindings->space, address, bytes, sizeof bytes))
        return FALSE;
    const guint count =
        bindings->machine->decode(bindings->decoder, bytes, sizeof bytes, address, ops);
    *ret_op = ops[count - 1];
    return ret_op->length > 0;
}

/* The word that the thunk at @address jumps through, or PM_ADDR_NONE. */
static PmAddr
find_slot(PmBindings *bindings, PmAddr address)
{
    for (guint i = 0; i < THUNK_STEPS; i++) {
        PmOp op;
        if (!decode(bindings, address, &op))
            return PM_ADDR_NONE;
        if (op.kind == PM_OP_JUMP)
            return op.a.kind == PM_OPERAND_MEMORY && op.a.is_absolute ? op.a.number : PM_ADDR_NONE;
        if (op.kind != PM_OP_NONE)
            return PM_ADDR_NONE;
        address += op.length;
    }
    return PM_ADDR_NONE;
}

static gboolean
is_unbound(PmBindings *bindings, PmAddr target)
{
    guint8 bytes[CODE_BYTES];
    PmAddr value = 0;
    const PmAddr slot = find_slot(bindings, target);
    const PmModule *module = pm_process_find_module(bindings->process, target);
    return slot != PM_ADDR_NONE && pm_space_read_word(bindings->space, slot, &value) &&
           module != NULL && value >= module->start && value < module->end &&
           pm_space_read(bindings->space, value, bytes, sizeof bytes) &&
           bindings->machine->is_binder(bytes, sizeof bytes);
}

gboolean
pm_bindings_is_unbound(PmBindings *bindings, const PmSite *site)
{
    PmOp op;
    gpointer known = NULL;
    if (bindings == NULL || !decode(bindings, site->address, &op) ||
        (op.kind != PM_OP_CALL && op.kind != PM_OP_JUMP) || op.a.kind != PM_OPERAND_NONE)
        return FALSE;
    if (g_hash_table_lookup_extended(bindings->by_target, &op.target, NULL, &known))
        return GPOINTER_TO_INT(known);
    const gboolean unbound = is_unbound(bindings, op.target);
    g_hash_table_insert(bindings->by_target, g_memdup2(&op.target, sizeof op.target),
                        GINT_TO_POINTER(unbound));
    return unbound;
}
