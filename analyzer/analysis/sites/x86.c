/*
 * x86-64, disassembled by capstone 4.
 */
#include "analysis/sites/memo.h"
#include "analysis/sites/x86lift.h"
#include "analysis/sites/x86scan.h"
#include "image/space.h"

#include <string.h>

/* An instruction with a distance, and what the memo wants behind it. */
#define PADDED_BYTES 8

struct PmDecoder {
    csh handle;
    cs_insn *instruction;
    PmMemo *memo;
};

static PmDecoder *
decoder_new(void)
{
    static GOnce once = G_ONCE_INIT;
    g_once(&once, pm_x86_fill_registers, NULL);
    csh handle = 0;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
        return NULL;
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    PmDecoder *decoder = g_new0(PmDecoder, 1);
    decoder->handle = handle;
    decoder->instruction = cs_malloc(handle);
    decoder->memo = pm_memo_new();
    return decoder;
}

static void
decoder_free(PmDecoder *decoder)
{
    cs_free(decoder->instruction, 1);
    cs_close(&decoder->handle);
    pm_memo_free(decoder->memo);
    g_free(decoder);
}

/*
 * Calls, jumps and branches with a distance of four bytes, each of which is another one: Intel SDM
 * volume 2, appendix A. FALSE for anything else.
 */
static gboolean
decode_transfer(const guint8 *bytes, gsize size, guint64 address, PmOp *ret_op)
{
    static const guint8 conditions[16] = {
        PM_WHEN_OTHER, PM_WHEN_OTHER,         PM_WHEN_BELOW,       PM_WHEN_ABOVE_EQUAL,
        PM_WHEN_EQUAL, PM_WHEN_UNEQUAL,       PM_WHEN_BELOW_EQUAL, PM_WHEN_ABOVE,
        PM_WHEN_OTHER, PM_WHEN_OTHER,         PM_WHEN_OTHER,       PM_WHEN_OTHER,
        PM_WHEN_LESS,  PM_WHEN_GREATER_EQUAL, PM_WHEN_LESS_EQUAL,  PM_WHEN_GREATER,
    };
    if (size < 6)
        return FALSE;
    *ret_op = (PmOp){.address = address, .length = 5};
    if (bytes[0] == 0xe8) {
        ret_op->kind = PM_OP_CALL;
        ret_op->sets_flags = TRUE;
    } else if (bytes[0] == 0xe9) {
        ret_op->kind = PM_OP_JUMP;
    } else if (bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80) {
        ret_op->kind = PM_OP_BRANCH;
        ret_op->condition = conditions[bytes[1] & 0x0f];
        ret_op->length = 6;
    } else {
        return FALSE;
    }
    const guint8 *distance = bytes + ret_op->length - 4;
    ret_op->target = address + ret_op->length + (guint64)(gint64)(gint32)pm_load_u32(distance);
    return TRUE;
}

static guint
disassemble(PmDecoder *decoder, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops)
{
    const uint8_t *code = bytes;
    size_t left = size;
    uint64_t at = address;
    if (!cs_disasm_iter(decoder->handle, &code, &left, &at, decoder->instruction)) {
        const guint length = pm_x86_measure(bytes, size);
        ret_ops[0] = (PmOp){.address = address,
                            .kind = PM_OP_UNDECODED,
                            .length = (guint8)MAX(length, 1),
                            .unsure = length == 0,
                            .sets_flags = TRUE};
        return 1;
    }
    PmX86Lift lift = {decoder->instruction, &decoder->instruction->detail->x86, ret_ops, 0};
    pm_x86_lift(&lift);
    ret_ops[lift.count - 1].length = (guint8)decoder->instruction->size;
    pm_memo_add(decoder->memo, bytes, ret_ops, lift.count);
    return lift.count;
}

static guint
decode_plain(PmDecoder *decoder, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops)
{
    const guint known = pm_memo_find(decoder->memo, bytes, size, address, ret_ops);
    return known != 0 ? known : disassemble(decoder, bytes, size, address, ret_ops);
}

/* Where in mov, lea and movsxd of memory that is addressed by the program counter its distance
 * stands, which is the instruction's end; 0 for anything else. */
static guint
find_distance(const guint8 *bytes)
{
    const guint at = (bytes[0] & 0xf0) == 0x40 ? 1 : 0;
    const gboolean is_one = bytes[at] == 0x8b || bytes[at] == 0x8d || bytes[at] == 0x89 ||
                            (bytes[at] == 0x63 && at == 1);
    return is_one && (bytes[at + 1] & 0xc7) == 0x05 ? at + 2 : 0;
}

/* Each has a distance of its own, but for which they are few: they are decoded without it. */
static guint
decode(PmDecoder *decoder, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops)
{
    guint8 copy[PADDED_BYTES];
    if (decode_transfer(bytes, size, address, ret_ops))
        return 1;
    const guint at = size >= sizeof copy ? find_distance(bytes) : 0;
    if (at == 0)
        return decode_plain(decoder, bytes, size, address, ret_ops);
    memcpy(copy, bytes, sizeof copy);
    memset(copy + at, 0, sizeof(guint32));
    const guint count = decode_plain(decoder, copy, sizeof copy, address, ret_ops);
    const guint64 distance = (guint64)(gint64)(gint32)pm_load_u32(bytes + at);
    for (guint i = 0; i < count; i++)
        pm_op_move_memory(&ret_ops[i], distance);
    return count;
}

/* psABI of x86-64, "Procedure Linkage Table": push $index; jmp PLT0; with CET (binutils 2.29 and
 * newer) endbr64 before and a bnd prefix on the jump. */
static gboolean
is_binder(const guint8 *bytes, gsize size)
{
    static const guint8 mark[] = {0xf3, 0x0f, 0x1e, 0xfa};
    gsize at = 0;
    if (size >= sizeof mark && memcmp(bytes, mark, sizeof mark) == 0)
        at = sizeof mark;
    if (at + 7 > size || bytes[at] != 0x68)
        return FALSE;
    return bytes[at + 5] == 0xe9 || (bytes[at + 5] == 0xf2 && bytes[at + 6] == 0xe9);
}

const PmMachine pm_machine_x86_64 = {
    .registers = 16,
    .arguments = {PM_X86_RDI, PM_X86_RSI, PM_X86_RDX, PM_X86_RCX, 8, 9},
    .result = PM_X86_RAX,
    .stack = PM_X86_RSP,
    .caller_saved = PM_X86_CALL_CLOBBERS,
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .decode = decode,
    .scan = pm_x86_scan,
    .scan_thunks = pm_x86_scan_thunks,
    .is_binder = is_binder,
};
