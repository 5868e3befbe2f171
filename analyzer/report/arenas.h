/*
 * The `arenas` command's rendering, and the parts of it that `report` shares.
 */
#pragma once

#include "report/sink.h"

/* @only: index of the one arena to show, or PM_ARENA_NONE for all. */
void pm_report_arenas(const PmSink *sink, const PmSubject *subject, guint32 only);

/*
 * "arenas", where rows were cut "arenas_omitted", and "mmapped", in the object that is open.
 *
 * @details: with "bins" and "heaps_detail".
 */
void pm_arenas_write_json(const PmSink *sink, const PmPtmalloc *ptmalloc, guint32 only,
                          gboolean details);

/* The arenas from the one that holds most, in a line each, @row_count of them. */
void pm_arenas_print_table(const PmSink *sink, const PmPtmalloc *ptmalloc, guint32 only,
                           gsize row_count);

/* "main" or "thread"; static. */
const char *pm_arena_kind_name(PmArenaKind kind);
