/*
 * Functions of a module, and those that it imports, that the data-flow has to know: by their names,
 * and for those without an end by what they do.
 */
#pragma once

#include "analysis/sites/endless.h"

/*
 * @endless: functions that never return, by name, @inner_endless: those that end in one of them.
 * @passing: functions that return their first argument, @filling: those of them that fill what it
 * points to as memset() does. All by the addresses of functions, thunks, and words of a PLT.
 */
struct PmKinds {
    PmTargets *endless;
    PmTargets *passing;
    PmTargets *filling;
    PmEndless *inner_endless;
};

/* @code: borrowed for its life; with its thunks. */
PmKinds *pm_kinds_new(const PmModuleCode *code);
void pm_kinds_free(PmKinds *kinds);
