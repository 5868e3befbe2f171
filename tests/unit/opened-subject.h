/*
 * A hand-made process (heap-subject.h), written as a core and opened as far as analyses need it.
 */
#pragma once

#include "analysis/subject.h"
#include "heap-subject.h"

/* @subject: its pointers are the others. */
typedef struct {
    CoreFile *path;
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
    PmPtmalloc *ptmalloc;
    PmSubject subject;
} OpenedSubject;

/* Opens @made, which may go before it, with @threads of the two that there are; a core that cannot
 * be opened is a g_assert(). opened_subject_clear() frees it, and removes the core. */
void opened_subject_init(OpenedSubject *opened, const Subject *made, gsize threads);
void opened_subject_clear(OpenedSubject *opened);
