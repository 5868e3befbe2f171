/*
 * Parsing of sizes, counts, addresses and durations; see units.h.
 */
#include "cli/units.h"

#include "base/error.h"

#include <string.h>

/*
 * The digits at *@at in @base; moves *@at past them.
 *
 * Returns: FALSE where there is no digit or the number does not fit.
 */
static gboolean
take_number(const char **at, guint base, guint64 *ret_value)
{
    const char *start = *at;
    guint64 value = 0;
    for (; g_ascii_isxdigit(**at); (*at)++) {
        guint digit = (guint)g_ascii_xdigit_value(**at);
        if (digit >= base)
            break;
        if (__builtin_mul_overflow(value, (guint64)base, &value) ||
            __builtin_add_overflow(value, (guint64)digit, &value))
            return FALSE;
    }
    if (*at == start)
        return FALSE;
    *ret_value = value;
    return TRUE;
}

static gboolean
has_hex_prefix(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

gboolean
pm_parse_size(const char *text, guint64 *ret_bytes, GError **error)
{
    static const char suffixes[] = "KMGT";
    const char *at = text;
    gboolean hex = has_hex_prefix(text);
    guint64 value = 0;
    if (hex)
        at += 2;
    gboolean valid = take_number(&at, hex ? 16 : 10, &value);
    if (valid && *at != '\0') {
        const char *suffix = strchr(suffixes, g_ascii_toupper(*at));
        guint shift = suffix == NULL ? 0 : 10 * (guint)(suffix - suffixes + 1);
        valid = suffix != NULL && at[1] == '\0' &&
                !__builtin_mul_overflow(value, G_GUINT64_CONSTANT(1) << shift, &value);
    }
    if (!valid) {
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "'%s' is no size; write 20, 0x14, 4K or 64M",
                    text);
        return FALSE;
    }
    *ret_bytes = value;
    return TRUE;
}

gboolean
pm_parse_count(const char *text, guint64 min, guint64 max, guint64 *ret_count, GError **error)
{
    const char *at = text;
    guint64 value = 0;
    if (!take_number(&at, 10, &value) || *at != '\0' || value < min || value > max) {
        if (max == G_MAXUINT64)
            g_set_error(error, PM_ERROR, PM_ERROR_USAGE, "'%s' is no number", text);
        else
            g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                        "'%s' is no number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, text,
                        min, max);
        return FALSE;
    }
    *ret_count = value;
    return TRUE;
}

gboolean
pm_parse_address(const char *text, PmAddr *ret_address, GError **error)
{
    const char *at = has_hex_prefix(text) ? text + 2 : text;
    guint64 value = 0;
    /* The very last address stands for "none" inside, and no process maps it. */
    if (!take_number(&at, 16, &value) || *at != '\0' || value == PM_ADDR_NONE) {
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                    "'%s' is no address; write it in hex: 0x7f12a0", text);
        return FALSE;
    }
    *ret_address = value;
    return TRUE;
}

gboolean
pm_parse_duration(const char *text, guint64 *ret_seconds, GError **error)
{
    static const char units[] = "wdhms";
    static const guint64 unit_seconds[] = {604800, 86400, 3600, 60, 1};
    const char *at = text;
    const char *smallest = units;
    guint64 total = 0;
    gboolean valid = *at != '\0';
    while (valid && *at != '\0') {
        guint64 value = 0;
        valid = take_number(&at, 10, &value);
        const char *unit = *at == '\0' ? NULL : strchr(smallest, *at);
        valid = valid && unit != NULL &&
                !__builtin_mul_overflow(value, unit_seconds[unit - units], &value) &&
                !__builtin_add_overflow(total, value, &total);
        if (valid) {
            smallest = unit + 1;
            at++;
        }
    }
    if (!valid || total == 0) {
        g_set_error(error, PM_ERROR, PM_ERROR_USAGE,
                    "'%s' is no duration; write 90d, 36h, 1h30m or 5400s", text);
        return FALSE;
    }
    *ret_seconds = total;
    return TRUE;
}
