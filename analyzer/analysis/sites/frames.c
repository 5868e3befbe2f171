/*
 * .eh_frame; see frames.h. Only lengths, addresses and the first instructions are looked at.
 */
#include "analysis/sites/frames.h"

#include "image/space.h"

#include <dwarf.h>
#include <string.h>

/* Of an augmentation string: longer ones than "zPLRSB" are nobody's. */
#define AUGMENTATION_MAX 8

/* A cursor in the section; @failed once it was moved past @end. */
typedef struct {
    const guint8 *bytes;
    gsize at;
    gsize end;
    guint64 address;
    gboolean failed;
} Cursor;

/* Of a common entry: how addresses are written, and whether its descriptions have more data. */
typedef struct {
    guint8 encoding;
    gboolean has_data;
    gboolean known;
} Common;

static guint64
take(Cursor *cursor, gsize count)
{
    guint64 value = 0;
    if (cursor->failed || cursor->end - cursor->at < count) {
        cursor->failed = TRUE;
        return 0;
    }
    for (gsize i = 0; i < count; i++)
        value |= (guint64)cursor->bytes[cursor->at + i] << (8 * i);
    cursor->at += count;
    return value;
}

static guint64
take_leb(Cursor *cursor)
{
    guint64 value = 0;
    for (guint shift = 0; shift < 63 && !cursor->failed; shift += 7) {
        const guint64 byte = take(cursor, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    cursor->failed = TRUE;
    return 0;
}

/* A number in the format of the low half of @encoding. */
static guint64
take_encoded(Cursor *cursor, guint8 encoding)
{
    switch (encoding & 0x0f) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return take(cursor, 8);
    case DW_EH_PE_udata4:
        return take(cursor, 4);
    case DW_EH_PE_sdata4:
        return (guint64)(gint64)(gint32)take(cursor, 4);
    case DW_EH_PE_udata2:
        return take(cursor, 2);
    case DW_EH_PE_sdata2:
        return (guint64)(gint64)(gint16)take(cursor, 2);
    case DW_EH_PE_uleb128:
        return take_leb(cursor);
    default:
        cursor->failed = TRUE;
        return 0;
    }
}

/* The augmentation of a common entry; @at is where its version stands. */
static Common
read_common(Cursor cursor)
{
    Common common = {.encoding = DW_EH_PE_absptr};
    const guint64 version = take(&cursor, 1);
    const char *augmentation = (const char *)cursor.bytes + cursor.at;
    const gsize most = cursor.failed ? 0 : MIN(cursor.end - cursor.at, AUGMENTATION_MAX + 1);
    const gsize length = strnlen(augmentation, most);
    if (length == most)
        return common;
    cursor.at += length + 1;
    take_leb(&cursor); /* code alignment */
    take_leb(&cursor); /* data alignment; a signed number has as many bytes */
    if (version == 1)
        take(&cursor, 1);
    else
        take_leb(&cursor);
    common.known = length == 0;
    if (augmentation[0] != 'z')
        return common;
    common.has_data = TRUE;
    take_leb(&cursor);
    for (gsize i = 1; i < length; i++) {
        guint8 encoding = 0;
        switch (augmentation[i]) {
        case 'R':
            common.encoding = (guint8)take(&cursor, 1);
            break;
        case 'P':
            encoding = (guint8)take(&cursor, 1);
            take_encoded(&cursor, encoding);
            break;
        case 'L':
            take(&cursor, 1);
            break;
        case 'S':
        case 'B':
            break;
        default:
            return common;
        }
    }
    common.known = !cursor.failed;
    return common;
}

/* Whether a frame's first instruction already describes one that is not as a call left it. */
static gboolean
begins_amid(Cursor cursor)
{
    while (!cursor.failed && cursor.at < cursor.end) {
        const guint8 instruction = (guint8)take(&cursor, 1);
        if (instruction == DW_CFA_nop)
            continue;
        if (instruction == DW_CFA_GNU_args_size || instruction == DW_CFA_remember_state) {
            if (instruction == DW_CFA_GNU_args_size)
                take_leb(&cursor);
            continue;
        }
        return (instruction & 0xc0) == DW_CFA_offset || instruction == DW_CFA_def_cfa ||
               instruction == DW_CFA_def_cfa_offset || instruction == DW_CFA_def_cfa_register ||
               instruction == DW_CFA_def_cfa_expression;
    }
    return FALSE;
}

static void
read_description(GArray *ranges, Cursor cursor, const Common *common)
{
    PmFunctionRange range = {0};
    if (!common->known || (common->encoding & DW_EH_PE_indirect) != 0)
        return;
    const guint64 place = cursor.address + cursor.at;
    range.start = take_encoded(&cursor, common->encoding);
    if ((common->encoding & 0x70) == DW_EH_PE_pcrel)
        range.start += place;
    else if ((common->encoding & 0x70) != DW_EH_PE_absptr)
        return;
    const guint64 length = take_encoded(&cursor, common->encoding & 0x0f);
    if (common->has_data) {
        const guint64 skipped = take_leb(&cursor);
        if (cursor.failed || skipped > cursor.end - cursor.at)
            return;
        cursor.at += skipped;
    }
    if (cursor.failed || length == 0 || length > G_MAXUINT32 ||
        !pm_addr_add(range.start, length, &range.end))
        return;
    range.is_part = begins_amid(cursor);
    g_array_append_val(ranges, range);
}

static gint
compare_ranges(gconstpointer a, gconstpointer b)
{
    const PmFunctionRange *left = a;
    const PmFunctionRange *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return left->end > right->end ? -1 : left->end < right->end;
}

static void
remove_doubles(GArray *ranges)
{
    guint kept = 0;
    g_array_sort(ranges, compare_ranges);
    for (guint i = 0; i < ranges->len; i++) {
        const PmFunctionRange range = g_array_index(ranges, PmFunctionRange, i);
        if (kept > 0 && g_array_index(ranges, PmFunctionRange, kept - 1).start == range.start)
            continue;
        g_array_index(ranges, PmFunctionRange, kept++) = range;
    }
    g_array_set_size(ranges, kept);
}

GArray *
pm_frames_read(const guint8 *bytes, gsize size, guint64 address)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(PmFunctionRange));
    Cursor cursor = {bytes, 0, size, address, FALSE};
    Common common = {0};
    gsize common_at = G_MAXSIZE;
    while (cursor.at + 4 < size) {
        guint64 length = take(&cursor, 4);
        if (length == G_MAXUINT32)
            length = take(&cursor, 8);
        if (cursor.failed || length < 4 || length > size - cursor.at)
            break;
        const gsize entry = cursor.at;
        Cursor inner = {bytes, entry, entry + (gsize)length, address, FALSE};
        const guint64 distance = take(&inner, 4);
        cursor.at = entry + (gsize)length;
        if (distance == 0 || distance > entry)
            continue;
        const gsize from = entry - (gsize)distance;
        if (from != common_at) {
            /* The common entry's length, its zero, its version. */
            Cursor start = {bytes, from, size, address, FALSE};
            const guint64 common_length = take(&start, 4);
            if (common_length == G_MAXUINT32 || common_length > size - start.at)
                continue;
            start.end = start.at + (gsize)common_length;
            const guint64 zero = take(&start, 4);
            common = zero == 0 ? read_common(start) : (Common){0};
            common_at = from;
        }
        read_description(ranges, inner, &common);
    }
    remove_doubles(ranges);
    return ranges;
}

const PmFunctionRange *
pm_frames_find_range(const GArray *ranges, guint64 address)
{
    guint low = 0, high = ranges->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(ranges, PmFunctionRange, middle).start > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    const PmFunctionRange *range = &g_array_index(ranges, PmFunctionRange, low - 1);
    return address < range->end ? range : NULL;
}
