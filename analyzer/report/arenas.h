/*
 * The `arenas` command's rendering, and the parts of it that `report` shares.
 */
#pragma once

#include "analysis/arenas.h"
#include "analysis/reach/reach.h"
#include "analysis/types/typing.h"
#include "report/sink.h"

/*
 * What there is to show; borrowed.
 *
 * @only: the one arena to show, or NULL for all. @reach, @typing: NULL where the class or the type
 * of what pins a heap was not asked for.
 */
typedef struct {
    const PmArenas *arenas;
    const PmArenaFacts *only;
    const PmReach *reach;
    PmTyping *typing;
} PmArenasView;

void pm_report_arenas(const PmSink *sink, const PmSubject *subject, const PmArenasView *view);

/*
 * "arenas", where rows were cut "arenas_omitted", and "mmapped", in the object that is open.
 *
 * @details: with "bins" and "heaps_detail".
 */
void pm_arenas_write_json(const PmSink *sink, const PmSubject *subject, const PmArenasView *view,
                          gboolean details);

/* The arenas from the one that holds most, in a line each, @row_count of them. */
void pm_arenas_print_table(const PmSink *sink, const PmArenasView *view, gsize row_count);

/* "main" or "thread"; static. */
const char *pm_arena_kind_name(PmArenaKind kind);
