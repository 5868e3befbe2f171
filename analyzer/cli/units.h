/*
 * What people type: sizes, counts, addresses and durations. Overflow-checked; trailing rubbish is
 * an error.
 */
#pragma once

#include "base/address.h"

/*
 * A size: "20", "0x14", "4K", "64M", "1G", "2T" (K = 1024; either case).
 *
 * Returns: FALSE with PM_ERROR_USAGE; @ret_bytes then untouched.
 */
gboolean pm_parse_size(const char *text, guint64 *ret_bytes, GError **error);

/* A decimal number from @min to @max. FALSE with PM_ERROR_USAGE; @ret_count then untouched. */
gboolean pm_parse_count(const char *text, guint64 min, guint64 max, guint64 *ret_count,
                        GError **error);

/* A hex address with or without 0x. FALSE with PM_ERROR_USAGE; @ret_address then untouched. */
gboolean pm_parse_address(const char *text, PmAddr *ret_address, GError **error);

/*
 * A duration: "90d", "36h", "1h30m", "5400s", "2w"; each unit at most once, larger ones first; more
 * than nothing.
 *
 * Returns: FALSE with PM_ERROR_USAGE; @ret_seconds then untouched.
 */
gboolean pm_parse_duration(const char *text, guint64 *ret_seconds, GError **error);
