/*
 * A core file as bytes: the mapping, its ELF header, its segments, its notes, its holes, and where
 * it is cut off. Knows nothing of modules, threads or heaps. Reads kernel cores and gcore
 * snapshots, ELF64 and ELF32 little-endian (ELF gABI; PN_XNUM as in the gABI's extended numbering).
 */
#pragma once

#include "base/address.h"
#include "base/diagnostics.h"
#include "base/error.h"

typedef enum {
    PM_ARCH_X86_64,
    PM_ARCH_I386,
    PM_ARCH_AARCH64,
} PmArch;

/* What the target is; all of it comes from the core's ELF header. */
typedef struct {
    PmArch arch;
    guint word_bytes; /* 8 or 4 */
    const char *name; /* "x86_64", "i386", "aarch64"; static */
} PmTarget;

/*
 * One PT_LOAD.
 *
 * @file_offset: where its bytes are, a multiple of nothing in a gcore snapshot.
 * @dumped_bytes: p_filesz, at most mapped_bytes.
 * @present_bytes: what of them the file really holds, at most dumped_bytes; the rest is lost.
 * @flags: PF_R | PF_W | PF_X of <elf.h>; none for a guard in a kernel core.
 */
typedef struct {
    PmAddr start;
    guint64 mapped_bytes;
    guint64 file_offset;
    guint64 dumped_bytes;
    guint64 present_bytes;
    guint32 flags;
} PmSegment;

/* One file mapping of NT_FILE; @path is borrowed from the image. */
typedef struct {
    PmAddr start;
    PmAddr end;
    guint64 file_offset_bytes;
    const char *path;
} PmFileMapping;

/* One note. @name without its NUL; both point into the mapping, which is not aligned. */
typedef struct {
    const char *name;
    guint32 name_bytes;
    guint32 type;
    const guint8 *desc;
    guint32 desc_bytes;
} PmNote;

typedef enum {
    PM_ORIGIN_KERNEL, /* PT_NOTE before the first PT_LOAD's bytes */
    PM_ORIGIN_GCORE,  /* PT_NOTE's bytes last */
} PmOrigin;

/*
 * @file_bytes: the file's size. @disk_bytes: what it takes on disk.
 * @expected_bytes: the size that its headers promise; more than file_bytes where it was cut off.
 * @mapped_bytes, @dumped_bytes: sums over the segments. @lost_bytes: dumped but past the end of the
 * file.
 */
typedef struct {
    guint64 file_bytes;
    guint64 disk_bytes;
    guint64 expected_bytes;
    guint64 mapped_bytes;
    guint64 dumped_bytes;
    guint64 lost_bytes;
} PmCoverage;

typedef struct PmImage PmImage;

/*
 * Opens @path, maps it read-only (which counts as no anonymous memory) and parses headers and
 * notes. A file that was cut off opens, with a diagnostic ("truncated") that says how much is lost.
 *
 * @diagnostics: borrowed until pm_image_free().
 * Returns: (transfer full): NULL with PM_ERROR_OPEN, PM_ERROR_NOT_A_CORE, PM_ERROR_COMPRESSED or
 * PM_ERROR_UNSUPPORTED.
 */
PmImage *pm_image_open(const char *path, PmDiagnostics *diagnostics, GError **error);
void pm_image_free(PmImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmImage, pm_image_free)

const char *pm_image_get_path(const PmImage *image);
const PmTarget *pm_image_get_target(const PmImage *image);
PmOrigin pm_image_get_origin(const PmImage *image);
const PmCoverage *pm_image_get_coverage(const PmImage *image);
/* TRUE where file_bytes < expected_bytes, or where the program header table itself is cut off. */
gboolean pm_image_is_truncated(const PmImage *image);

/* The segments in ascending address order, without overlaps (an overlapping one is dropped with a
 * diagnostic). Borrowed. */
const PmSegment *pm_image_get_segments(const PmImage *image, gsize *ret_count);

/* The segment that maps @address, or NULL. O(log n). Borrowed. */
const PmSegment *pm_image_find_segment(const PmImage *image, PmAddr address);

/* NT_FILE in ascending address order; none where the note is missing. Borrowed. */
const PmFileMapping *pm_image_get_file_mappings(const PmImage *image, gsize *ret_count);

/* The file mapping that holds @address, or NULL. O(log n). Borrowed. */
const PmFileMapping *pm_image_find_file_mapping(const PmImage *image, PmAddr address);

/* Every note in file order (a thread's notes follow its NT_PRSTATUS). At most 2^20 of them.
 * Borrowed. */
const PmNote *pm_image_get_notes(const PmImage *image, gsize *ret_count);

/* The first note of @type whose name is @name, or NULL. Borrowed. */
const PmNote *pm_image_find_note(const PmImage *image, const char *name, guint32 type);

/*
 * Where the file's bytes are and how much of a run at @file_offset is alike.
 *
 * @ret_bytes: (out): the bytes in the mapping, or NULL where the run is a hole, which reads as
 * zeros and must not be touched through the mapping.
 * @ret_length_bytes: (out): the length of the run, at least 1.
 * @file_offset must be less than file_bytes.
 */
void pm_image_get_run(const PmImage *image, guint64 file_offset, const guint8 **ret_bytes,
                      guint64 *ret_length_bytes);

/*
 * Copies @count bytes, which pm_image_get_run() or a span pointed to at @bytes, to @buffer: read(2)
 * into a small buffer that stays in the cache costs less than half of what the page tables of a
 * mapping cost a pass over the whole file.
 *
 * Returns: how many were copied; fewer than @count only where the file was cut since it was opened.
 * Thread-safe.
 */
gsize pm_image_copy(const PmImage *image, const guint8 *bytes, gpointer buffer, gsize count);

/* Whether the file has holes at all, so that "touched" means something. */
gboolean pm_image_has_holes(const PmImage *image);

/* Bytes of [file_offset, file_offset + length) that lie in the file's data extents; length clipped
 * to the file. */
guint64 pm_image_count_extent_bytes(const PmImage *image, guint64 file_offset,
                                    guint64 length_bytes);
