#include "opened.h"

void
real_opened_init(RealOpened *opened, const RealRun *run)
{
    g_autoptr(GError) error = NULL;
    opened->diagnostics = pm_diagnostics_new();
    opened->image = pm_image_open(run->core, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->process = pm_process_open(opened->image, NULL, opened->diagnostics, &error);
    g_assert_no_error(error);
    const PmPtmallocOptions walk = {.jobs = 1};
    opened->ptmalloc = pm_ptmalloc_walk(opened->process, &walk, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->subject = (PmSubject){.image = opened->image,
                                  .process = opened->process,
                                  .ptmalloc = opened->ptmalloc,
                                  .diagnostics = opened->diagnostics,
                                  .allocator = "glibc"};
    opened->places = pm_places_new(&opened->subject);
}

void
real_opened_clear(RealOpened *opened)
{
    pm_places_free(opened->places);
    pm_ptmalloc_free(opened->ptmalloc);
    pm_process_free(opened->process);
    pm_image_free(opened->image);
    pm_diagnostics_free(opened->diagnostics);
}
