/*
 * What kind of values a field holds, from the values alone.
 */
#pragma once

#include "analysis/schema/matrix.h"
#include "analysis/schema/schema.h"

/*
 * All that is to know of one field of a layout.
 *
 * @values: of each row; @kinds: what each is as a pointer (PmWordKind), NULL for a field that is no
 * whole word. @groups: of each row its arena. @count: rows.
 * @newest_seconds: no time stamp is newer than this.
 */
typedef struct {
    const guint64 *values;
    const guint8 *kinds;
    const guint32 *groups;
    gsize count;
    gsize width;
    guint word_bytes;
    gint64 newest_seconds;
} PmFieldValues;

/* What a column of numbers is, beside its kind. @rank_correlation: of value and address, −1…1. */
typedef struct {
    PmColumnKind kind;
    guint64 distinct;
    guint64 min;
    guint64 max;
    guint64 nulls;
    double rank_correlation;
} PmFieldKind;

void pm_field_find_kind(const PmFieldValues *field, PmFieldKind *ret_kind);
