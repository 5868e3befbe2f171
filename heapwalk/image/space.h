/*
 * The address space of the dead process. One call answers what is at an address, and never lies:
 * zeros are not made up. Adds the bytes of module files (text and rodata that kernels leave out) to
 * those of the image. Immutable after the process has been opened; then thread-safe.
 */
#pragma once

#include "image/image.h"

typedef enum {
    PM_BYTES_DUMPED,      /* in the core; a hole of a sparse file counts, and reads as zeros */
    PM_BYTES_FROM_FILE,   /* not in the core; taken from the module's file, whose build-id agreed */
    PM_BYTES_NOT_WRITTEN, /* anonymous, p_filesz 0: never touched, or excluded by the program */
    PM_BYTES_NOT_DUMPED,  /* a file mapping that the kernel left out, and whose file is not here */
    PM_BYTES_LOST,        /* dumped once, but the core is cut off before it */
    PM_BYTES_NOT_MAPPED,
} PmBytesKind;

/* "dumped", "from-file", "not-written", "not-dumped", "lost", "not-mapped"; static. */
const char *pm_bytes_kind_name(PmBytesKind kind);

/*
 * A run of bytes of one kind.
 *
 * @bytes: readable for PM_BYTES_DUMPED (unless @hole) and PM_BYTES_FROM_FILE; NULL otherwise. Not
 * aligned.
 * @hole: dumped, and all zeros: a hole of the core file. @bytes is NULL.
 * @start, @length_bytes: the run; start + length never wraps. @length_bytes ≥ 1 (up to the top of
 * the address space for PM_BYTES_NOT_MAPPED).
 */
typedef struct {
    PmBytesKind kind;
    gboolean hole;
    const guint8 *bytes;
    PmAddr start;
    guint64 length_bytes;
} PmSpan;

typedef struct PmSpace PmSpace;

/* @image: borrowed for the life of the space. */
PmSpace *pm_space_new(const PmImage *image);
void pm_space_free(PmSpace *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSpace, pm_space_free)

const PmTarget *pm_space_get_target(const PmSpace *space);
const PmImage *pm_space_get_image(const PmSpace *space);

/*
 * Offers the bytes of a module's file for [@start, @start + @length_bytes), used only where the
 * core has none. To be called while the process is being opened, by one thread. Overlapping offers:
 * the first one wins.
 *
 * @bytes: borrowed for the life of the space.
 * @writable: the mapping could be written, so that lost bytes must not be taken from the file, only
 * those that the kernel left out because nothing had written them.
 */
void pm_space_add_file_bytes(PmSpace *space, PmAddr start, const guint8 *bytes,
                             guint64 length_bytes, gboolean writable);

/*
 * The run of bytes at @address: from @address itself to where its kind, hole-ness or backing
 * changes. O(log segments). Never fails.
 */
void pm_space_get_span(const PmSpace *space, PmAddr address, PmSpan *ret_span);

/*
 * Copies [@address, @address + @count) to @buffer, all or nothing.
 *
 * Returns: FALSE where any byte is not dumped and not taken from a file. @buffer may then be partly
 * written.
 */
gboolean pm_space_read(const PmSpace *space, PmAddr address, gpointer buffer, gsize count);

/* Reads a target word (4 or 8 bytes), zero-extended. FALSE as pm_space_read(); @ret_word untouched
 * then. */
gboolean pm_space_read_word(const PmSpace *space, PmAddr address, guint64 *ret_word);
gboolean pm_space_read_u32(const PmSpace *space, PmAddr address, guint32 *ret_value);

/*
 * A NUL-terminated string of at most @max_bytes bytes.
 *
 * Returns: (transfer full): NULL where it is not readable or has no NUL in @max_bytes. Bytes as
 * they are, not necessarily UTF-8.
 */
char *pm_space_read_string(const PmSpace *space, PmAddr address, gsize max_bytes);

/*
 * A pointer to [@address, @address + @count) where they lie in one run of real bytes (not in a
 * hole), else NULL. Borrowed from the mapping; not aligned.
 */
const guint8 *pm_space_peek(const PmSpace *space, PmAddr address, gsize count);

/* Unaligned little-endian loads of target words from mapped bytes. */
static inline guint64
pm_load_u64(const guint8 *bytes)
{
    guint64 value = 0;
    __builtin_memcpy(&value, bytes, sizeof value);
    return GUINT64_FROM_LE(value);
}

static inline guint32
pm_load_u32(const guint8 *bytes)
{
    guint32 value = 0;
    __builtin_memcpy(&value, bytes, sizeof value);
    return GUINT32_FROM_LE(value);
}

static inline guint64
pm_load_word(const guint8 *bytes, guint64 word_bytes)
{
    return word_bytes == 8 ? pm_load_u64(bytes) : pm_load_u32(bytes);
}
