/*
 * The values of one field, 1 to 8 bytes at one offset, over the chunks of a layout: how many bits
 * it takes to tell them all in the shortest of a few ways, so that the widths that explain the
 * bytes best can be chosen.
 */
#pragma once

#include "analysis/schema/matrix.h"

/*
 * What fields cost: to be summed over all fields of a layout.
 *
 * @rows: at least 1. @offset, @width: of the field; width 8, 4, 2 or 1, within the row.
 * @newest_seconds: no time stamp is newer.
 * @ret_is_set: (out): the shortest way is a list of the few values that there are.
 */
double pm_field_cost(const PmRows *rows, gsize offset, gsize width, gint64 newest_seconds,
                     gboolean *ret_is_set);

/* Whether it has one value in all rows. */
gboolean pm_field_is_constant(const PmRows *rows, gsize offset, gsize width);

/* What a field costs besides its values. */
#define PM_FIELD_BITS 16.0

/* The share of its bits that cutting a field in two must save: what is uniform over a range is so
 * in parts, too, so that there is nothing in it for either. */
#define PM_FIELD_TIE 0.015

/* Whether a number that is @width bytes wide (8 or 4) would be a reasonable double or float: of a
 * magnitude from 2^-30 to 2^40, or zero. */
gboolean pm_is_reasonable_float(guint64 value, gsize width);

/* 2000-01-01 in seconds since 1970: no time stamp is older. */
#define PM_EPOCH_OLDEST G_GINT64_CONSTANT(946684800)

/* How many units of time a second has where nearly all of the values are times since 1970 in that
 * unit: 1, 1000, 1000000, 1000000000; 0 where they are none. */
guint64 pm_find_time_unit(const guint64 *values, gsize count, gsize width, gint64 newest_seconds);
