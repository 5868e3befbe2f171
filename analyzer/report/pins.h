/*
 * Heaps, and what keeps each of them from shrinking, as `arenas` shows them.
 */
#pragma once

#include "report/arenas.h"

/* "trimmable_bytes", "trimmable_top_bytes" and "untouched_bytes" in the object that is open. */
void pm_trim_write_json(PmJson *json, const PmTrim *trim);

/* "heaps_detail" in the object that is open. */
void pm_heaps_write_json(PmJson *json, const PmSubject *subject, const PmArenasView *view,
                         const PmArenaFacts *facts);

/* Text: the heaps of one arena, in a line each. */
void pm_heaps_print(const PmSink *sink, const PmArenaFacts *facts);

/* Text: the chunks that pin heaps, those first that hold back most. */
void pm_pins_print(const PmSink *sink, const PmSubject *subject, const PmArenasView *view);
