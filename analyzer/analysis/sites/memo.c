/*
 * A direct-mapped cache of decoded instructions; see memo.h. That no instruction is the beginning
 * of another one makes it work: where its bytes stand, it is it. What is addressed by the program
 * counter is kept as a distance.
 */
#include "analysis/sites/memo.h"

#include "image/space.h"

#include <string.h>

/* Longer ones have numbers of their own in them. */
#define BYTES_MAX  8
#define OPS_MAX    2
#define ENTRY_BITS 13

/* @bytes: of the instruction, the rest zero. @length: 0 for an empty entry. @was_found: since
 * another one wanted its place. */
typedef struct {
    guint64 bytes;
    guint8 length;
    guint8 count;
    guint8 was_found;
    PmOp ops[OPS_MAX];
} Entry;

/* @lengths: by the first two bytes, bit n: there was an instruction of n bytes; @likely: the same
 * by a hash of the first three, which mostly tell one length from the others. */
struct PmMemo {
    Entry entries[1 << ENTRY_BITS];
    guint16 lengths[1 << 16];
    guint16 likely[1 << 16];
};

PmMemo *
pm_memo_new(void)
{
    return g_new0(PmMemo, 1);
}

void
pm_memo_free(PmMemo *memo)
{
    g_free(memo);
}

static guint64
cut(guint64 bytes, guint length)
{
    return length == BYTES_MAX ? bytes : bytes & ((G_GUINT64_CONSTANT(1) << (8 * length)) - 1);
}

static guint
hash(guint64 bytes, guint length)
{
    return (guint)(((bytes + length) * 0x9e3779b97f4a7c15) >> (64 - ENTRY_BITS));
}

static guint
hash_three(guint64 bytes)
{
    return (guint)((bytes ^ bytes >> 9) & 0xffff);
}

/* Adds @distance to what @op has of the program counter. */
static void
move_op(PmOp *op, guint64 distance)
{
    op->address += distance;
    if (op->target != 0)
        op->target += distance;
    pm_op_move_memory(op, distance);
}

static guint64
load(const guint8 *bytes, gsize size)
{
    guint8 padded[BYTES_MAX] = {0};
    if (size >= BYTES_MAX)
        return pm_load_u64(bytes);
    memcpy(padded, bytes, size);
    return pm_load_u64(padded);
}

static guint
find_of_lengths(PmMemo *memo, guint64 word, guint lengths, guint64 address, PmOp *ret_ops)
{
    for (guint left = lengths; left != 0; left &= left - 1) {
        const guint length = (guint)__builtin_ctz(left);
        const guint64 key = cut(word, length);
        Entry *entry = &memo->entries[hash(key, length)];
        if (entry->length != length || entry->bytes != key)
            continue;
        if (entry->was_found == 0)
            entry->was_found = 1;
        for (guint i = 0; i < entry->count; i++) {
            ret_ops[i] = entry->ops[i];
            move_op(&ret_ops[i], address - entry->ops[i].address);
        }
        return entry->count;
    }
    return 0;
}

guint
pm_memo_find(PmMemo *memo, const guint8 *bytes, gsize size, guint64 address, PmOp *ret_ops)
{
    const guint64 word = load(bytes, size);
    guint all = memo->lengths[word & 0xffff];
    if (size < BYTES_MAX)
        all &= (1U << (size + 1)) - 1;
    const guint likely = all & memo->likely[hash_three(word & 0xffffff)];
    const guint count = find_of_lengths(memo, word, likely, address, ret_ops);
    return count != 0 ? count : find_of_lengths(memo, word, all & ~likely, address, ret_ops);
}

/* The first byte of a short one tells its length. */
static void
note_length(PmMemo *memo, guint64 key, guint length)
{
    const guint16 bit = (guint16)(1U << length);
    if (length >= 3)
        memo->likely[hash_three(key & 0xffffff)] |= bit;
    if (length >= 2)
        memo->lengths[key & 0xffff] |= bit;
    for (guint next = 0; length == 1 && next < 256; next++)
        memo->lengths[(key & 0xff) | next << 8] |= bit;
}

void
pm_memo_add(PmMemo *memo, const guint8 *bytes, const PmOp *ops, guint count)
{
    const guint length = ops[count - 1].length;
    if (length > BYTES_MAX || count > OPS_MAX || ops[0].kind == PM_OP_UNDECODED)
        return;
    const guint64 key = load(bytes, length);
    Entry *entry = &memo->entries[hash(key, length)];
    if (entry->was_found != 0) {
        entry->was_found = 0;
        return;
    }
    *entry = (Entry){.bytes = key, .length = (guint8)length, .count = (guint8)count};
    memcpy(entry->ops, ops, count * sizeof ops[0]);
    note_length(memo, key, length);
}
