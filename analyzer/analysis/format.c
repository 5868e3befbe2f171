/*
 * Formatting for people; see format.h.
 */
#include "analysis/format.h"

#include <string.h>

PmShort
pm_format_bytes(guint64 bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    PmShort result;
    guint unit = 0;
    double value = (double)bytes;
    /* 999.5 would be shown as 1000: four digits. */
    while (value >= 999.5 && unit + 1 < G_N_ELEMENTS(units)) {
        value /= 1024;
        unit++;
    }
    const char *format = "%.0f";
    if (unit > 0 && value < 9.995)
        format = "%.2f";
    else if (unit > 0 && value < 99.95)
        format = "%.1f";
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(number, sizeof number, format, value);
    g_snprintf(result.text, sizeof result.text, "%s %s", number, units[unit]);
    return result;
}

PmShort
pm_format_count(guint64 count)
{
    char digits[24];
    gsize length = (gsize)g_snprintf(digits, sizeof digits, "%" G_GUINT64_FORMAT, count);
    PmShort result;
    gsize at = 0;
    for (gsize i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            result.text[at++] = ',';
        result.text[at++] = digits[i];
    }
    result.text[at] = '\0';
    return result;
}

PmShort
pm_format_rate(double rate)
{
    if (rate >= 10)
        return pm_format_count((guint64)(rate + 0.5));
    PmShort result;
    g_ascii_formatd(result.text, sizeof result.text, "%.1f", rate);
    return result;
}

PmShort
pm_format_duration(guint64 seconds)
{
    static const struct {
        guint64 seconds;
        const char *noun;
    } units[] = {{G_GUINT64_CONSTANT(24) * 60 * 60, "day"},
                 {G_GUINT64_CONSTANT(60) * 60, "hour"},
                 {60, "minute"},
                 {1, "second"}};
    guint unit = 0;
    while (unit + 1 < G_N_ELEMENTS(units) && seconds < units[unit].seconds)
        unit++;
    PmShort result = pm_format_things(seconds / units[unit].seconds, units[unit].noun);
    const guint64 rest = seconds % units[unit].seconds;
    if (unit + 1 == G_N_ELEMENTS(units) || rest < units[unit + 1].seconds)
        return result;
    const PmShort smaller = pm_format_things(rest / units[unit + 1].seconds, units[unit + 1].noun);
    const gsize length = strlen(result.text);
    g_snprintf(result.text + length, sizeof result.text - length, " %s", smaller.text);
    return result;
}

PmShort
pm_format_share(double share)
{
    PmShort result;
    if (share > 0 && share < 0.0005) {
        g_strlcpy(result.text, "<0.1 %", sizeof result.text);
        return result;
    }
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    /* What is not everything must not read 100.0 %. */
    double percent = share < 1 ? MIN(share * 100, 99.9) : share * 100;
    g_ascii_formatd(number, sizeof number, "%.1f", percent);
    g_snprintf(result.text, sizeof result.text, "%s %%", number);
    return result;
}

PmShort
pm_format_things(guint64 count, const char *noun)
{
    PmShort result;
    g_snprintf(result.text, sizeof result.text, "%s %s%s", pm_format_count(count).text, noun,
               count == 1 ? "" : "s");
    return result;
}

PmShort
pm_format_more(guint64 count, const char *noun)
{
    PmShort result;
    g_snprintf(result.text, sizeof result.text, "%s more %s%s", pm_format_count(count).text, noun,
               count == 1 ? "" : "s");
    return result;
}

PmShort
pm_format_address(guint64 address)
{
    PmShort result;
    g_snprintf(result.text, sizeof result.text, "0x%" G_GINT64_MODIFIER "x", address);
    return result;
}

char *
pm_format_hex_line(const guint8 *bytes, gsize count)
{
    GString *line = g_string_new(NULL);
    count = MIN(count, PM_HEX_LINE_BYTES);
    for (gsize i = 0; i < PM_HEX_LINE_BYTES; i++) {
        if (i < count)
            g_string_append_printf(line, "%s%02x", i == 0 ? "" : " ", bytes[i]);
        else
            g_string_append(line, i == 0 ? "  " : "   ");
    }
    g_string_append(line, "  ");
    for (gsize i = 0; i < count; i++) {
        char byte = (char)bytes[i];
        g_string_append_c(line, g_ascii_isprint(byte) ? byte : '.');
    }
    return g_string_free(line, FALSE);
}

double
pm_share(guint64 part, guint64 whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

char *
pm_sanitise(const char *string, gboolean utf8)
{
    if (string == NULL)
        return NULL;
    GString *result = g_string_new(NULL);
    for (const char *at = string; *at != '\0';) {
        gunichar character = g_utf8_get_char_validated(at, -1);
        gboolean valid = character != (gunichar)-1 && character != (gunichar)-2;
        gsize length = valid ? (gsize)(g_utf8_next_char(at) - at) : 1;
        if (valid && g_unichar_isprint(character) && (utf8 || character < 0x80)) {
            g_string_append_len(result, at, (gssize)length);
        } else {
            for (gsize i = 0; i < length; i++)
                g_string_append_printf(result, "\\x%02x", (guchar)at[i]);
        }
        at += length;
    }
    return g_string_free(result, FALSE);
}

char *
pm_sanitise_short(const char *string, gboolean utf8, gsize max_columns)
{
    g_autofree char *whole = pm_sanitise(string, utf8);
    max_columns = MAX(max_columns, 8);
    if (whole == NULL || (gsize)g_utf8_strlen(whole, -1) <= max_columns)
        return g_steal_pointer(&whole);
    gsize length = (gsize)g_utf8_strlen(whole, -1);
    gsize head = (max_columns - 3) / 3;
    gsize tail = max_columns - 3 - head;
    g_autofree char *first = g_utf8_substring(whole, 0, (glong)head);
    g_autofree char *last = g_utf8_substring(whole, (glong)(length - tail), -1);
    return g_strconcat(first, "...", last, NULL);
}

const char *
pm_format_hold(guint64 count)
{
    return count == 1 ? "holds" : "hold";
}
