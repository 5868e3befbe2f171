/*
 * The libdwfl session: for what only libdwfl does, which is debuginfod, .gnu_debugdata, debug files
 * that only a checksum ties to their program, and call frame information. Modules are reported one
 * by one when they are first asked for, so that nothing is read before it is needed.
 */
#pragma once

#include "process/process-private.h"

#include <elfutils/libdwfl.h>

typedef struct PmDwfl PmDwfl;

/* @process: borrowed for the life of the session. */
PmDwfl *pm_dwfl_new(const PmProcess *process);
void pm_dwfl_free(PmDwfl *session);

/* libdwfl's own handle, or NULL where it has none. Borrowed. */
Dwfl *pm_dwfl_get_handle(PmDwfl *session);

/* The libdwfl module for @module, or NULL where libdwfl refuses it. Borrowed. */
Dwfl_Module *pm_dwfl_get_module(PmDwfl *session, const PmModule *module);

/* Whether libdwfl may find symbols for @module that our own search does not. */
gboolean pm_dwfl_may_help(const PmProcess *process, const PmModule *module);
