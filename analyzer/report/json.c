/*
 * The streaming JSON writer; see json.h. RFC 8259.
 */
#include "report/json.h"

#include <math.h>

void
pm_json_init(PmJson *json, PmOutput *output)
{
    *json = (PmJson){.output = output};
}

/* The comma and the key that go before a value. */
static inline void
begin_member(PmJson *json, const char *key)
{
    PmOutput *output = json->output;
    guint32 bit = 1U << json->depth;
    if (json->filled & bit)
        pm_output_char(output, ',');
    json->filled |= bit;
    if (key != NULL) {
        pm_output_char(output, '"');
        pm_output_string(output, key);
        pm_output_append(output, "\":", 2);
    }
}

static void
open_level(PmJson *json, const char *key, char bracket)
{
    g_return_if_fail(json->depth + 1 < PM_JSON_DEPTH_MAX);
    begin_member(json, key);
    /* Rows of an array stand in lines of their own, for people and for line tools. */
    if (key == NULL && json->depth > 0)
        pm_output_char(json->output, '\n');
    pm_output_char(json->output, bracket);
    json->depth++;
    json->filled &= ~(1U << json->depth);
}

static void
close_level(PmJson *json, char bracket)
{
    g_return_if_fail(json->depth > 0);
    pm_output_char(json->output, bracket);
    json->depth--;
    if (json->depth == 0)
        pm_output_char(json->output, '\n');
}

void
pm_json_begin_object(PmJson *json, const char *key)
{
    open_level(json, key, '{');
}

void
pm_json_begin_array(PmJson *json, const char *key)
{
    open_level(json, key, '[');
}

void
pm_json_end_object(PmJson *json)
{
    close_level(json, '}');
}

void
pm_json_end_array(PmJson *json)
{
    close_level(json, ']');
}

void
pm_json_null(PmJson *json, const char *key)
{
    begin_member(json, key);
    pm_output_append(json->output, "null", 4);
}

void
pm_json_bool(PmJson *json, const char *key, gboolean value)
{
    begin_member(json, key);
    pm_output_string(json->output, value ? "true" : "false");
}

void
pm_json_uint(PmJson *json, const char *key, guint64 value)
{
    begin_member(json, key);
    pm_output_uint(json->output, value);
}

void
pm_json_int(PmJson *json, const char *key, gint64 value)
{
    begin_member(json, key);
    if (value < 0)
        pm_output_char(json->output, '-');
    pm_output_uint(json->output, value < 0 ? 0 - (guint64)value : (guint64)value);
}

void
pm_json_double(PmJson *json, const char *key, double value)
{
    if (!isfinite(value)) {
        pm_json_null(json, key);
        return;
    }
    begin_member(json, key);
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    pm_output_string(json->output, g_ascii_formatd(text, sizeof text, "%.6g", value));
}

static void
append_escaped(PmOutput *output, guchar byte)
{
    static const char digits[] = "0123456789abcdef";
    const char *shorthand = NULL;
    switch (byte) {
    case '"':
        shorthand = "\\\"";
        break;
    case '\\':
        shorthand = "\\\\";
        break;
    case '\n':
        shorthand = "\\n";
        break;
    case '\t':
        shorthand = "\\t";
        break;
    default:
        break;
    }
    if (shorthand != NULL) {
        pm_output_append(output, shorthand, 2);
        return;
    }
    /* A control character is a character, \u00NN; a byte that is no part of UTF-8 is spelt out as
     * \xNN. */
    pm_output_string(output, byte < 0x80 ? "\\u00" : "\\\\x");
    pm_output_char(output, digits[byte >> 4]);
    pm_output_char(output, digits[byte & 15]);
}

static inline gboolean
is_plain(guchar byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* How many bytes from @at can be copied as they are: 0 where the byte must be escaped. */
static gsize
plain_run(const char *at, const char *end)
{
    const char *run = at;
    while (run < end && is_plain((guchar)*run))
        run++;
    if (run > at || run == end || (guchar)*run < 0x80)
        return (gsize)(run - at);
    gunichar character = g_utf8_get_char_validated(run, end - run);
    if (character == (gunichar)-1 || character == (gunichar)-2)
        return 0;
    return (gsize)(g_utf8_next_char(run) - run);
}

void
pm_json_bytes(PmJson *json, const char *key, const char *value, gsize count)
{
    begin_member(json, key);
    PmOutput *output = json->output;
    pm_output_char(output, '"');
    const char *end = value + count;
    for (const char *at = value; at < end;) {
        gsize plain = plain_run(at, end);
        if (plain > 0) {
            pm_output_append(output, at, plain);
            at += plain;
        } else {
            append_escaped(output, (guchar)*at++);
        }
    }
    pm_output_char(output, '"');
}

void
pm_json_string(PmJson *json, const char *key, const char *value)
{
    if (value == NULL)
        pm_json_null(json, key);
    else
        pm_json_bytes(json, key, value, strlen(value));
}

void
pm_json_address(PmJson *json, const char *key, PmAddr address)
{
    if (address == PM_ADDR_NONE) {
        pm_json_null(json, key);
        return;
    }
    begin_member(json, key);
    pm_output_char(json->output, '"');
    pm_output_hex(json->output, address);
    pm_output_char(json->output, '"');
}
