/*
 * Where functions begin and end by .eh_frame, which stripped files keep: what the unwinder of
 * exceptions needs. (LSB, "DWARF extensions"; the pointer encodings of its table 10)
 */
#pragma once

#include "base/address.h"

/*
 * [@start, @end) of a function or of a part that the compiler put elsewhere. @is_part: its frame is
 * not one that a call makes, so that it is entered by jumps alone.
 */
typedef struct {
    guint64 start;
    guint64 end;
    gboolean is_part;
} PmFunctionRange;

/*
 * Reads the frame descriptions of a section.
 *
 * @bytes: @size of them, which lie at @address. Ends at the terminator, at the end, or at the first
 * entry that makes no sense.
 * Returns: (transfer full): PmFunctionRange, ascending by start; of several of one start the
 *   longest. Ranges that are empty or wrap are left out.
 */
GArray *pm_frames_read(const guint8 *bytes, gsize size, guint64 address);

/* The range that holds @address, or NULL. O(log n). Borrowed. */
const PmFunctionRange *pm_frames_find_range(const GArray *ranges, guint64 address);
