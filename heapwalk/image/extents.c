#include "image/extents.h"

#include <errno.h>
#include <unistd.h>

static void
add_extent(GArray *array, guint64 start, guint64 end)
{
    const PmExtent extent = {.start = start, .end = end};
    g_array_append_val(array, extent);
}

void
pm_extents_init(PmExtents *ret_extents, int fd, guint64 file_bytes)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(PmExtent));
    guint64 offset = 0;

    while (offset < file_bytes) {
        const off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; /* only a hole is left */
        if (data < 0 || array->len >= PM_EXTENTS_MAX) {
            add_extent(array, offset, file_bytes);
            break;
        }
        const off_t hole = lseek(fd, data, SEEK_HOLE);
        const guint64 end = hole > data ? MIN((guint64)hole, file_bytes) : file_bytes;
        if ((guint64)data >= end)
            break; /* the file has shrunk or grown meanwhile */
        add_extent(array, (guint64)data, end);
        offset = end;
    }

    guint64 data_bytes = 0;
    for (guint i = 0; i < array->len; i++) {
        const PmExtent *extent = &g_array_index(array, PmExtent, i);
        data_bytes += extent->end - extent->start;
    }
    ret_extents->has_holes = data_bytes < file_bytes;
    ret_extents->extents = (PmExtent *)(gpointer)g_array_steal(array, &ret_extents->count);
}

void
pm_extents_clear(PmExtents *extents)
{
    g_free(extents->extents);
    extents->extents = NULL;
    extents->count = 0;
}

/* Index of the first extent that ends after @offset; count where there is none. */
static gsize
lower_bound(const PmExtents *extents, guint64 offset)
{
    gsize low = 0, high = extents->count;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (extents->extents[middle].end > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

gboolean
pm_extents_find(const PmExtents *extents, guint64 offset, guint64 *ret_end)
{
    const gsize i = lower_bound(extents, offset);
    if (i == extents->count) {
        *ret_end = G_MAXUINT64;
        return FALSE;
    }
    const PmExtent *extent = &extents->extents[i];
    const gboolean data = extent->start <= offset;
    *ret_end = data ? extent->end : extent->start;
    return data;
}

guint64
pm_extents_count(const PmExtents *extents, guint64 start, guint64 end)
{
    guint64 bytes = 0;
    for (gsize i = lower_bound(extents, start); i < extents->count; i++) {
        const PmExtent *extent = &extents->extents[i];
        if (extent->start >= end)
            break;
        bytes += MIN(end, extent->end) - MAX(start, extent->start);
    }
    return bytes;
}
