/*
 * Buffered writing to a file descriptor; see output.h.
 */
#include "report/output.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

PmOutput *
pm_output_new(int fd)
{
    PmOutput *output = g_new0(PmOutput, 1);
    output->fd = fd;
    output->buffer = g_malloc(PM_OUTPUT_BUFFER_BYTES);
    return output;
}

void
pm_output_free(PmOutput *output)
{
    if (output == NULL)
        return;
    g_free(output->buffer);
    g_free(output);
}

static void
write_all(PmOutput *output, const char *bytes, gsize count)
{
    if (count > 0 && output->before != NULL) {
        output->before(output->before_data);
        output->before = NULL;
    }
    while (count > 0 && output->error == 0) {
        gssize written = write(output->fd, bytes, count);
        if (written >= 0) {
            bytes += written;
            count -= (gsize)written;
        } else if (errno == EPIPE) {
            /* Where SIGPIPE is blocked: the status that it would have given. */
            _exit(128 + SIGPIPE);
        } else if (errno != EINTR) {
            output->error = errno;
        }
    }
}

gboolean
pm_output_flush(PmOutput *output)
{
    write_all(output, output->buffer, output->used);
    output->used = 0;
    return output->error == 0;
}

void
pm_output_append(PmOutput *output, const char *bytes, gsize count)
{
    if (G_UNLIKELY(output->used + count > PM_OUTPUT_BUFFER_BYTES)) {
        (void)pm_output_flush(output);
        if (count > PM_OUTPUT_BUFFER_BYTES) {
            write_all(output, bytes, count);
            return;
        }
    }
    memcpy(output->buffer + output->used, bytes, count);
    output->used += count;
}

void
pm_output_printf(PmOutput *output, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    pm_output_string(output, text);
}

void
pm_output_cell(PmOutput *output, const char *text, gsize columns, gboolean right)
{
    static const char spaces[] = "                                ";
    gsize length = strlen(text);
    gsize padding = columns > length ? MIN(columns - length, sizeof spaces - 1) : 0;
    if (right)
        pm_output_append(output, spaces, padding);
    pm_output_append(output, text, length);
    if (!right)
        pm_output_append(output, spaces, padding);
}

void
pm_output_uint(PmOutput *output, guint64 value)
{
    char digits[20];
    gsize at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    char *place = pm_output_reserve(output);
    memcpy(place, digits + at, sizeof digits - at);
    output->used += sizeof digits - at;
}

void
pm_output_hex(PmOutput *output, guint64 value)
{
    guint nibbles = value == 0 ? 1 : (guint)(67 - __builtin_clzll(value)) / 4;
    char *place = pm_output_reserve(output);
    place[0] = '0';
    place[1] = 'x';
    for (guint i = 0; i < nibbles; i++)
        place[2 + i] = "0123456789abcdef"[(value >> (4 * (nibbles - 1 - i))) & 15];
    output->used += 2 + nibbles;
}
