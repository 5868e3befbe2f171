#include "analysis/types/assignments.h"

#include <sys/mman.h>

#define PAGE_BYTES (sizeof(PmAssignment) << PM_ASSIGNMENTS_PAGE_SHIFT)

void
pm_assignments_init(PmAssignments *assignments, guint64 slots)
{
    *assignments = (PmAssignments){0};
    assignments->page_count = (slots >> (PM_ASSIGNMENTS_PAGE_SHIFT + 1)) + 1;
    assignments->pages = g_try_malloc0_n(assignments->page_count, sizeof(gpointer));
    if (assignments->pages == NULL)
        assignments->page_count = 0;
}

void
pm_assignments_clear(PmAssignments *assignments)
{
    for (guint64 i = 0; i < assignments->page_count; i++)
        if (assignments->pages[i] != NULL)
            (void)munmap(assignments->pages[i], PAGE_BYTES);
    g_free(assignments->pages);
    *assignments = (PmAssignments){0};
}

/* A page of zeros, aligned to its size; NULL where there is no memory for it. */
static PmAssignment *
make_page(void)
{
    guint8 *mapping =
        mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    const gsize before = (gsize)(-(guintptr)mapping & (PAGE_BYTES - 1));
    guint8 *page = mapping + before;
    if (before > 0)
        (void)munmap(mapping, before);
    (void)munmap(page + PAGE_BYTES, PAGE_BYTES - before);
    (void)madvise(page, PAGE_BYTES, MADV_HUGEPAGE);
    return (PmAssignment *)(gpointer)page;
}

gboolean
pm_assignments_set(PmAssignments *assignments, PmSlot slot, PmAssignment assignment)
{
    const guint64 page = slot >> (PM_ASSIGNMENTS_PAGE_SHIFT + 1);
    if (page >= assignments->page_count) {
        assignments->full = TRUE;
        return FALSE;
    }
    PmAssignment **place = &assignments->pages[page];
    if (*place == NULL)
        *place = make_page();
    if (*place == NULL) {
        assignments->full = TRUE;
        return FALSE;
    }
    PmAssignment *found = &(*place)[(slot >> 1) & ((1u << PM_ASSIGNMENTS_PAGE_SHIFT) - 1)];
    assignments->count += found->binding == 0;
    *found = assignment;
    return TRUE;
}
