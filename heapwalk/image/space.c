#include "image/space.h"

#include <string.h>

#include "base/intervals.h"

/* Bytes of a module's file that may stand in where the core has none. */
typedef struct {
    PmAddr start;
    const guint8 *bytes;
    gboolean writable;
} Backing;

struct PmSpace {
    const PmImage *image;
    GArray *backings;    /* Backing, as they were offered */
    PmIntervals *offers; /* which backing serves where: its index */
};

const char *
pm_bytes_kind_name(PmBytesKind kind)
{
    switch (kind) {
    case PM_BYTES_DUMPED:
        return "dumped";
    case PM_BYTES_FROM_FILE:
        return "from-file";
    case PM_BYTES_NOT_WRITTEN:
        return "not-written";
    case PM_BYTES_NOT_DUMPED:
        return "not-dumped";
    case PM_BYTES_LOST:
        return "lost";
    case PM_BYTES_NOT_MAPPED:
        return "not-mapped";
    }
    return "unknown";
}

PmSpace *
pm_space_new(const PmImage *image)
{
    PmSpace *space = g_new0(PmSpace, 1);
    space->image = image;
    space->backings = g_array_new(FALSE, FALSE, sizeof(Backing));
    space->offers = pm_intervals_new();
    return space;
}

void
pm_space_free(PmSpace *space)
{
    if (space == NULL)
        return;
    g_array_unref(space->backings);
    pm_intervals_free(space->offers);
    g_free(space);
}

const PmTarget *
pm_space_get_target(const PmSpace *space)
{
    return pm_image_get_target(space->image);
}

const PmImage *
pm_space_get_image(const PmSpace *space)
{
    return space->image;
}

void
pm_space_add_file_bytes(PmSpace *space, PmAddr start, const guint8 *bytes, guint64 length_bytes,
                        gboolean writable)
{
    const Backing backing = {start, bytes, writable};
    PmAddr end = 0;
    if (!pm_addr_add(start, length_bytes, &end))
        return;
    g_array_append_val(space->backings, backing);
    pm_intervals_add(space->offers, (PmRange){start, end}, space->backings->len - 1);
}

/* Clips @span, which holds @address, to end at @end at the latest. */
static void
clip_span(PmSpan *span, PmAddr end)
{
    span->length_bytes = MIN(span->length_bytes, end - span->start);
}

/*
 * Fills @span from a module's file where one covers its start; else ends it where the next backing
 * begins.
 *
 * @lost: the bytes were in the core once, so that only those of a read-only mapping are still what
 * they were.
 */
static gboolean
take_from_file(const PmSpace *space, gboolean lost, PmSpan *span)
{
    const PmInterval *offer = pm_intervals_find(space->offers, span->start);
    if (offer == NULL)
        return FALSE;
    if (offer->start > span->start) {
        clip_span(span, offer->start);
        return FALSE;
    }
    const Backing *backing = &g_array_index(space->backings, Backing, offer->tag);
    clip_span(span, offer->end);
    if (lost && backing->writable)
        return FALSE;
    span->kind = PM_BYTES_FROM_FILE;
    span->bytes = backing->bytes + (span->start - backing->start);
    return TRUE;
}

/* The run behind what the core holds of a segment. */
static void
get_undumped_span(const PmSpace *space, const PmSegment *segment, PmSpan *span)
{
    const guint64 offset = span->start - segment->start;
    if (offset < segment->dumped_bytes) {
        span->kind = PM_BYTES_LOST;
        span->length_bytes = segment->dumped_bytes - offset;
        take_from_file(space, TRUE, span);
        return;
    }
    span->length_bytes = segment->mapped_bytes - offset;
    const PmFileMapping *mapping = pm_image_find_file_mapping(space->image, span->start);
    span->kind = mapping != NULL ? PM_BYTES_NOT_DUMPED : PM_BYTES_NOT_WRITTEN;
    if (mapping != NULL)
        clip_span(span, mapping->end);
    take_from_file(space, FALSE, span);
}

/* The run outside every segment: gcore leaves out what it can take from files. */
static void
get_unmapped_span(const PmSpace *space, PmSpan *span)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(space->image, &count);
    gsize low = 0, high = count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (segments[middle].start > span->start)
            high = middle;
        else
            low = middle + 1;
    }
    span->kind = PM_BYTES_NOT_MAPPED;
    span->length_bytes = (low < count ? segments[low].start : G_MAXUINT64) - span->start;
    const PmFileMapping *mapping = pm_image_find_file_mapping(space->image, span->start);
    if (mapping != NULL) {
        span->kind = PM_BYTES_NOT_DUMPED;
        clip_span(span, mapping->end);
    }
    take_from_file(space, FALSE, span);
    span->length_bytes = MAX(span->length_bytes, 1);
}

void
pm_space_get_span(const PmSpace *space, PmAddr address, PmSpan *ret_span)
{
    PmSpan span = {.kind = PM_BYTES_DUMPED, .start = address};
    const PmSegment *segment = pm_image_find_segment(space->image, address);

    if (segment == NULL) {
        get_unmapped_span(space, &span);
    } else if (address - segment->start < segment->present_bytes) {
        const guint64 offset = address - segment->start;
        pm_image_get_run(space->image, segment->file_offset + offset, &span.bytes,
                         &span.length_bytes);
        span.hole = span.bytes == NULL;
        span.length_bytes = MIN(span.length_bytes, segment->present_bytes - offset);
    } else {
        get_undumped_span(space, segment, &span);
    }
    *ret_span = span;
}

gboolean
pm_space_read(const PmSpace *space, PmAddr address, gpointer buffer, gsize count)
{
    guint8 *out = buffer;
    while (count > 0) {
        PmSpan span;
        pm_space_get_span(space, address, &span);
        const gsize part = (gsize)MIN(span.length_bytes, count);
        if (span.hole)
            memset(out, 0, part);
        else if (span.bytes != NULL)
            memcpy(out, span.bytes, part);
        else
            return FALSE;
        out += part;
        count -= part;
        if (!pm_addr_add(address, part, &address) && count > 0)
            return FALSE;
    }
    return TRUE;
}

gboolean
pm_space_read_word(const PmSpace *space, PmAddr address, guint64 *ret_word)
{
    guint8 bytes[8];
    const guint word_bytes = pm_space_get_target(space)->word_bytes;
    if (!pm_space_read(space, address, bytes, word_bytes))
        return FALSE;
    *ret_word = pm_load_word(bytes, word_bytes);
    return TRUE;
}

gboolean
pm_space_read_u32(const PmSpace *space, PmAddr address, guint32 *ret_value)
{
    guint8 bytes[4];
    if (!pm_space_read(space, address, bytes, sizeof bytes))
        return FALSE;
    *ret_value = pm_load_u32(bytes);
    return TRUE;
}

char *
pm_space_read_string(const PmSpace *space, PmAddr address, gsize max_bytes)
{
    g_autoptr(GString) string = g_string_new(NULL);
    while (string->len < max_bytes) {
        PmSpan span;
        pm_space_get_span(space, address, &span);
        if (span.hole)
            return g_string_free(g_steal_pointer(&string), FALSE);
        if (span.bytes == NULL)
            return NULL;
        const gsize part = (gsize)MIN(span.length_bytes, max_bytes - string->len);
        const guint8 *nul = memchr(span.bytes, '\0', part);
        g_string_append_len(string, (const char *)span.bytes,
                            (gssize)(nul != NULL ? (gsize)(nul - span.bytes) : part));
        if (nul != NULL)
            return g_string_free(g_steal_pointer(&string), FALSE);
        if (!pm_addr_add(address, part, &address))
            return NULL;
    }
    return NULL;
}

const guint8 *
pm_space_peek(const PmSpace *space, PmAddr address, gsize count)
{
    PmSpan span;
    pm_space_get_span(space, address, &span);
    return span.bytes != NULL && span.length_bytes >= count ? span.bytes : NULL;
}
