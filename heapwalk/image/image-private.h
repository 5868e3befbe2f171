/* What image.c, headers.c and notes.c share. */
#pragma once

#include "image/extents.h"
#include "image/image.h"

struct PmImage {
    char *path;
    PmDiagnostics *diagnostics; /* borrowed */
    int fd;
    const guint8 *bytes; /* the whole file, mapped read-only */
    guint64 file_bytes;
    PmExtents extents;
    PmTarget target;
    PmOrigin origin;
    PmCoverage coverage;
    gboolean headers_cut; /* the program header table itself is cut off */
    PmSegment *segments;
    gsize segment_count;
    GArray *note_ranges; /* PmRange of file offsets: the PT_NOTEs' bytes that are there */
    PmNote *notes;
    gsize note_count;
    PmFileMapping *file_mappings;
    gsize file_mapping_count;
};

/*
 * Recognises the file and parses the ELF header and the program headers: target, segments,
 * coverage, note_ranges. FALSE with PM_ERROR_NOT_A_CORE, PM_ERROR_COMPRESSED or
 * PM_ERROR_UNSUPPORTED.
 */
gboolean pm_image_parse_headers(PmImage *image, GError **error);

/* Parses what note_ranges hold: notes and file_mappings. Never fails; oddities become diagnostics.
 */
void pm_image_parse_notes(PmImage *image);

/* Unaligned little-endian loads. */
static inline guint64
pm_image_load(const guint8 *bytes, guint64 count)
{
    guint64 value = 0;
    for (guint64 i = 0; i < count; i++)
        value |= (guint64)bytes[i] << (8 * i);
    return value;
}
