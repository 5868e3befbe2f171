/*
 * References in x86-64 code; see x86scan.h. In calls, jumps, and memory that is addressed by the
 * program counter alike, the last four bytes of the instruction are the distance to the target from
 * its end: every offset is tried as if it were that, and the bytes before tell what it would be.
 */
#include "analysis/sites/x86scan.h"

#include "image/space.h"

#include <string.h>

static guint64
get_target(const guint8 *distance, guint64 end)
{
    return end + (guint64)(gint64)(gint32)pm_load_u32(distance);
}

static void
add_reference(GArray *references, guint64 address, guint64 target, PmReferenceKind kind)
{
    const PmReference reference = {address, target, kind};
    g_array_append_val(references, reference);
}

/* By the byte before a distance: whether any instruction with a distance has it there. One in nine
 * has. */
static const guint8 BEFORE_DISTANCE[256] = {
    [0x05] = 1, [0x0d] = 1, [0x15] = 1, [0x1d] = 1, [0x25] = 1, [0x2d] = 1, [0x35] = 1,
    [0x3d] = 1, [0x80] = 1, [0x81] = 1, [0x82] = 1, [0x83] = 1, [0x84] = 1, [0x85] = 1,
    [0x86] = 1, [0x87] = 1, [0x88] = 1, [0x89] = 1, [0x8a] = 1, [0x8b] = 1, [0x8c] = 1,
    [0x8d] = 1, [0x8e] = 1, [0x8f] = 1, [0xe8] = 1, [0xe9] = 1,
};

/* What the bytes before the distance at @at make of it, and how many they are; FALSE: nothing. */
static gboolean
classify(const guint8 *bytes, gsize at, PmReferenceKind *ret_kind, guint *ret_before)
{
    *ret_before = 1;
    if (bytes[at - 1] == 0xe8 || bytes[at - 1] == 0xe9) {
        *ret_kind = bytes[at - 1] == 0xe8 ? PM_REFERENCE_CALL : PM_REFERENCE_JUMP;
        return TRUE;
    }
    *ret_before = 2;
    if (at < 2)
        return FALSE;
    if (bytes[at - 2] == 0x0f && (bytes[at - 1] & 0xf0) == 0x80) {
        *ret_kind = PM_REFERENCE_BRANCH;
        return TRUE;
    }
    /* call, jmp; mov, lea: mod 00, r/m 101, which is the program counter. */
    *ret_kind = PM_REFERENCE_OTHER;
    return (bytes[at - 2] == 0xff && (bytes[at - 1] == 0x15 || bytes[at - 1] == 0x25)) ||
           ((bytes[at - 2] == 0x8b || bytes[at - 2] == 0x8d) && (bytes[at - 1] & 0xc7) == 0x05);
}

void
pm_x86_scan(const guint8 *bytes, gsize size, guint64 address, guint64 low, guint64 high,
            GArray *references)
{
    PmReferenceKind kind = PM_REFERENCE_OTHER;
    guint before = 0;
    const guint64 span = high - low;
    for (gsize at = 1; at + 4 <= size; at++) {
        const guint64 target = get_target(bytes + at, address + at + 4);
        /* Either alone is too often true for a branch to be foreseen. */
        const gboolean is_likely = (target - low < span) & BEFORE_DISTANCE[bytes[at - 1]];
        if (G_UNLIKELY(is_likely) && classify(bytes, at, &kind, &before))
            add_reference(references, address + at - before, target, kind);
    }
    /* Short jumps, to a neighbour. */
    const guint8 *jump = bytes;
    while ((jump = memchr(jump, 0xeb, size - (gsize)(jump - bytes))) != NULL) {
        const gsize at = (gsize)(jump - bytes);
        if (at + 2 > size)
            break;
        const guint64 target = address + at + 2 + (guint64)(gint64)(gint8)bytes[at + 1];
        add_reference(references, address + at, target, PM_REFERENCE_SHORT_JUMP);
        jump++;
    }
}

/* Before the jump of a thunk: endbr64, and the prefix bnd. */
static gsize
find_thunk_start(const guint8 *bytes, gsize jump)
{
    gsize start = jump;
    if (start >= 1 && bytes[start - 1] == 0xf2)
        start--;
    if (start >= 4 && bytes[start - 4] == 0xf3 && bytes[start - 3] == 0x0f &&
        bytes[start - 2] == 0x1e && bytes[start - 1] == 0xfa)
        start -= 4;
    return start;
}

void
pm_x86_scan_thunks(const guint8 *bytes, gsize size, guint64 address, GArray *references)
{
    /* ff 25 and the distance; 25 is the rarer byte. */
    gsize at = 1;
    while (at + 5 <= size) {
        const guint8 *found = memchr(bytes + at, 0x25, size - 4 - at);
        if (found == NULL)
            return;
        at = (gsize)(found - bytes) + 1;
        if (found[-1] == 0xff)
            add_reference(references, address + find_thunk_start(bytes, at - 2),
                          get_target(found + 1, address + at + 4), PM_REFERENCE_THUNK);
    }
}

static gboolean
is_legacy_prefix(guint8 byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
        return TRUE;
    default:
        return FALSE;
    }
}

/* ModR/M with what it asks for: SIB and displacement. Returns: 0 where they are cut off. */
static guint
measure_operand(const guint8 *bytes, gsize size)
{
    if (size < 2)
        return 0;
    const guint8 mod = bytes[0] >> 6;
    const guint8 rm = bytes[0] & 7;
    guint length = 1;
    if (mod == 3)
        return length;
    const gboolean no_base = rm == 4 && (bytes[1] & 7) == 5;
    if (rm == 4)
        length++;
    if (mod == 1)
        length += 1;
    else if (mod == 2 || rm == 5 || no_base)
        length += 4;
    return length;
}

/* How many bytes follow the operands of @opcode in the map of opcodes behind 0F. */
static guint
count_immediate(guint map, guint8 opcode)
{
    if (map == 3)
        return 1;
    if (map == 1 && ((opcode >= 0x70 && opcode <= 0x73) || opcode == 0xa4 || opcode == 0xac ||
                     opcode == 0xba || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6)))
        return 1;
    return 0;
}

guint
pm_x86_measure(const guint8 *bytes, gsize size)
{
    gsize at = 0;
    guint map = 0;
    while (at < size && at < 4 && is_legacy_prefix(bytes[at]))
        at++;
    if (at < size && (bytes[at] & 0xf0) == 0x40)
        at++;
    if (size - at < 5)
        return 0;
    if (bytes[at] == 0x62) { /* EVEX */
        map = bytes[at + 1] & 7;
        at += 4;
    } else if (bytes[at] == 0xc4) { /* VEX of three bytes */
        map = bytes[at + 1] & 0x1f;
        at += 3;
    } else if (bytes[at] == 0xc5) {
        map = 1;
        at += 2;
    } else if (bytes[at] == 0x0f && (bytes[at + 1] == 0x38 || bytes[at + 1] == 0x3a)) {
        map = bytes[at + 1] == 0x38 ? 2 : 3;
        at += 2;
    } else if (bytes[at] == 0x0f && bytes[at + 1] >= 0x10 && bytes[at + 1] <= 0x1f) {
        map = 1; /* moves, and hints such as rdssp */
        at += 1;
    }
    if (map < 1 || map > 3)
        return 0;
    const guint8 opcode = bytes[at++];
    const guint operand = measure_operand(bytes + at, size - at);
    const gsize length = at + operand + count_immediate(map, opcode);
    return operand != 0 && length <= size && length <= 15 ? (guint)length : 0;
}
