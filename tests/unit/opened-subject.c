/*
 * Opening hand-made processes; see opened-subject.h.
 */
#include "opened-subject.h"

void
opened_subject_init(OpenedSubject *opened, const Subject *made, gsize threads)
{
    g_autoptr(GError) error = NULL;
    *opened = (OpenedSubject){.path = subject_write_core(made, threads, NULL)};
    opened->diagnostics = pm_diagnostics_new();
    opened->image = pm_image_open(opened->path, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->process = pm_process_open(opened->image, NULL, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->ptmalloc = pm_ptmalloc_walk(opened->process, NULL, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->subject = (PmSubject){.image = opened->image,
                                  .process = opened->process,
                                  .ptmalloc = opened->ptmalloc,
                                  .diagnostics = opened->diagnostics};
}

void
opened_subject_clear(OpenedSubject *opened)
{
    pm_ptmalloc_free(opened->ptmalloc);
    pm_process_free(opened->process);
    pm_image_free(opened->image);
    pm_diagnostics_free(opened->diagnostics);
    core_file_remove(opened->path);
}
