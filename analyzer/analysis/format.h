/*
 * Numbers and strings for people: binary units, thousands separators, shares, and strings from a
 * core made harmless for a terminal. Independent of the locale.
 */
#pragma once

#include <glib.h>

/* A short string by value: pm_format_bytes(n).text may be passed to a printf-like call directly. */
typedef struct {
    char text[48];
} PmShort;

/* Three significant digits in binary units: "912 B", "132 KiB", "1.11 GiB". */
PmShort pm_format_bytes(guint64 bytes);

/* "37,104,220" */
PmShort pm_format_count(guint64 count);

/* Things an hour: "17,130"; one digit of fraction below ten. */
PmShort pm_format_rate(double rate);

/* The two largest units: "90 days", "1 hour 30 minutes", "45 seconds". */
PmShort pm_format_duration(guint64 seconds);

/* "97.2 %"; "<0.1 %" for a share that is small but not nothing. */
PmShort pm_format_share(double share);

/* "1 chunk", "37,104,220 chunks": @noun gets an s for any number but one. */
PmShort pm_format_things(guint64 count, const char *noun);

/* "1 more chunk", "62 more chunks" */
PmShort pm_format_more(guint64 count, const char *noun);

/* "holds" for one thing, "hold" for any other number. Static. */
const char *pm_format_hold(guint64 count);

/* "0x7f…" */
PmShort pm_format_address(guint64 address);

/* A line of up to PM_HEX_LINE_BYTES bytes: hex, filled up to the full width, and ASCII with dots
 * for the rest. (transfer full) */
char *pm_format_hex_line(const guint8 *bytes, gsize count);
#define PM_HEX_LINE_BYTES 16

/* @part of @whole, 0 where there is no whole. */
double pm_share(guint64 part, guint64 whole);

/*
 * @string with everything that could steer a terminal spelt out: control and format characters and
 * bytes that are not UTF-8 become \xNN. Where @utf8 is FALSE everything beyond ASCII does.
 *
 * Returns: (transfer full). NULL gives NULL.
 */
char *pm_sanitise(const char *string, gboolean utf8);

/* pm_sanitise() cut to @max_columns characters; where it was cut, the middle is replaced by "...".
 * At least 8 columns. */
char *pm_sanitise_short(const char *string, gboolean utf8, gsize max_columns);
