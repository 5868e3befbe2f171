/*
 * What every analysis and every sink looks at: one core, opened as far as the command needed. All
 * of it is borrowed from the session that opened it and frozen.
 */
#pragma once

#include "dwarf/types.h"
#include "ptmalloc/ptmalloc.h"

/*
 * @types: what DWARF says, read when it is asked for; NULL where nothing may be asked.
 * @ptmalloc: NULL where the command did not ask for the heap, or where there is none.
 * @allocator: "glibc", the name of another that was recognised, or NULL where nothing is known.
 * @heap_message: why there is no heap, or NULL.
 * @uptime_seconds: as --uptime said, or 0.
 */
typedef struct {
    const PmImage *image;
    const PmProcess *process;
    PmTypes *types;
    const PmPtmalloc *ptmalloc;
    PmDiagnostics *diagnostics;
    const char *allocator;
    const char *heap_message;
    guint64 uptime_seconds;
} PmSubject;
