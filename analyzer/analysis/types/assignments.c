#include "analysis/types/assignments.h"

void
pm_assignments_init(PmAssignments *assignments, guint64 slots)
{
    *assignments = (PmAssignments){0};
    assignments->page_count = (slots >> (PM_ASSIGNMENTS_PAGE_SHIFT + 1)) + 1;
    assignments->pages = g_try_malloc0_n(assignments->page_count, sizeof *assignments->pages);
    if (assignments->pages == NULL)
        assignments->page_count = 0;
}

void
pm_assignments_clear(PmAssignments *assignments)
{
    for (guint64 i = 0; i < assignments->page_count; i++)
        g_free(assignments->pages[i]);
    g_free(assignments->pages);
    *assignments = (PmAssignments){0};
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
        *place = g_try_malloc0_n((gsize)1 << PM_ASSIGNMENTS_PAGE_SHIFT, sizeof **place);
    if (*place == NULL) {
        assignments->full = TRUE;
        return FALSE;
    }
    PmAssignment *found = &(*place)[(slot >> 1) & ((1u << PM_ASSIGNMENTS_PAGE_SHIFT) - 1)];
    assignments->count += found->binding == 0;
    *found = assignment;
    return TRUE;
}
