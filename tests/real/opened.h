/*
 * A core of run.h, opened as far as analyses need it.
 */
#pragma once

#include "analysis/contents/places.h"
#include "run.h"

/* @subject: its pointers are the others. */
typedef struct {
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
    PmPtmalloc *ptmalloc;
    PmSubject subject;
    PmPlaces *places;
} RealOpened;

/* A core that cannot be opened is a g_assert(). real_opened_clear() closes it again. */
void real_opened_init(RealOpened *opened, const RealRun *run);
void real_opened_clear(RealOpened *opened);
