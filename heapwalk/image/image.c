#include "image/image-private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean
set_open_error(const char *path, const char *what, GError **error)
{
    g_set_error(error, PM_ERROR, PM_ERROR_OPEN, "%s: %s: %s", path, what, g_strerror(errno));
    return FALSE;
}

/* Maps the whole file. MAP_SHARED and read-only: the page cache pays, RLIMIT_DATA does not count
 * it. */
static gboolean
map_file(PmImage *image, int fd, GError **error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return set_open_error(image->path, "cannot stat", error);
    if (!S_ISREG(status.st_mode)) {
        g_set_error(error, PM_ERROR, PM_ERROR_OPEN, "%s: not a regular file", image->path);
        return FALSE;
    }
    image->file_bytes = (guint64)status.st_size;
    image->coverage.file_bytes = image->file_bytes;
    image->coverage.disk_bytes = (guint64)status.st_blocks * 512;
    if (image->file_bytes == 0)
        return TRUE;
    void *bytes = mmap(NULL, image->file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return set_open_error(image->path, "cannot map", error);
    image->bytes = bytes;
    pm_extents_init(&image->extents, fd, image->file_bytes);
    return TRUE;
}

PmImage *
pm_image_open(const char *path, PmDiagnostics *diagnostics, GError **error)
{
    g_autoptr(PmImage) image = g_new0(PmImage, 1);
    image->path = g_strdup(path);
    image->diagnostics = diagnostics;
    image->fd = -1;
    image->note_ranges = g_array_new(FALSE, FALSE, sizeof(PmRange));

    /* O_NONBLOCK: a FIFO must not hang the tool. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        set_open_error(path, "cannot open", error);
        return NULL;
    }
    image->fd = fd;
    if (!map_file(image, fd, error) || !pm_image_parse_headers(image, error))
        return NULL;
    pm_image_parse_notes(image);
    return g_steal_pointer(&image);
}

void
pm_image_free(PmImage *image)
{
    if (image == NULL)
        return;
    if (image->bytes != NULL)
        munmap((gpointer)image->bytes, image->file_bytes);
    if (image->fd >= 0)
        close(image->fd);
    pm_extents_clear(&image->extents);
    g_free(image->segments);
    g_free(image->notes);
    g_free(image->file_mappings);
    g_array_unref(image->note_ranges);
    g_free(image->path);
    g_free(image);
}

const char *
pm_image_get_path(const PmImage *image)
{
    return image->path;
}

const PmTarget *
pm_image_get_target(const PmImage *image)
{
    return &image->target;
}

PmOrigin
pm_image_get_origin(const PmImage *image)
{
    return image->origin;
}

const PmCoverage *
pm_image_get_coverage(const PmImage *image)
{
    return &image->coverage;
}

gboolean
pm_image_is_truncated(const PmImage *image)
{
    return image->headers_cut || image->coverage.file_bytes < image->coverage.expected_bytes;
}

const PmSegment *
pm_image_get_segments(const PmImage *image, gsize *ret_count)
{
    *ret_count = image->segment_count;
    return image->segments;
}

const PmSegment *
pm_image_find_segment(const PmImage *image, PmAddr address)
{
    gsize low = 0, high = image->segment_count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (image->segments[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const PmSegment *segment = &image->segments[low - 1];
    return address - segment->start < segment->mapped_bytes ? segment : NULL;
}

const PmFileMapping *
pm_image_get_file_mappings(const PmImage *image, gsize *ret_count)
{
    *ret_count = image->file_mapping_count;
    return image->file_mappings;
}

const PmFileMapping *
pm_image_find_file_mapping(const PmImage *image, PmAddr address)
{
    gsize low = 0, high = image->file_mapping_count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (image->file_mappings[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == image->file_mapping_count || image->file_mappings[low].start > address)
        return NULL;
    return &image->file_mappings[low];
}

const PmNote *
pm_image_get_notes(const PmImage *image, gsize *ret_count)
{
    *ret_count = image->note_count;
    return image->notes;
}

const PmNote *
pm_image_find_note(const PmImage *image, const char *name, guint32 type)
{
    const gsize name_bytes = strlen(name);
    for (gsize i = 0; i < image->note_count; i++) {
        const PmNote *note = &image->notes[i];
        if (note->type == type && note->name_bytes == name_bytes &&
            memcmp(note->name, name, name_bytes) == 0)
            return note;
    }
    return NULL;
}

void
pm_image_get_run(const PmImage *image, guint64 file_offset, const guint8 **ret_bytes,
                 guint64 *ret_length_bytes)
{
    guint64 end = 0;
    const gboolean data = pm_extents_find(&image->extents, file_offset, &end);
    *ret_bytes = data ? image->bytes + file_offset : NULL;
    *ret_length_bytes = MIN(end, image->file_bytes) - file_offset;
}

gsize
pm_image_copy(const PmImage *image, const guint8 *bytes, gpointer buffer, gsize count)
{
    gsize copied = 0;
    while (copied < count) {
        const off_t offset = (off_t)(bytes - image->bytes) + (off_t)copied;
        const ssize_t part = pread(image->fd, (guint8 *)buffer + copied, count - copied, offset);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            break;
        copied += (gsize)part;
    }
    return copied;
}

gboolean
pm_image_has_holes(const PmImage *image)
{
    return image->extents.has_holes;
}

guint64
pm_image_count_extent_bytes(const PmImage *image, guint64 file_offset, guint64 length_bytes)
{
    guint64 end = 0;
    if (!pm_addr_add(file_offset, length_bytes, &end))
        end = G_MAXUINT64;
    return pm_extents_count(&image->extents, file_offset, MIN(end, image->file_bytes));
}
