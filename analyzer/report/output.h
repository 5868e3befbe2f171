/*
 * Standard output as a buffer of bytes with quick number formatting. Knows no format; JSON and text
 * write through it. The first write error is kept and everything after it is dropped, so that
 * callers check once, at the end or in a long loop. A closed pipe ends the program quietly, as
 * SIGPIPE does.
 */
#pragma once

#include <glib.h>
#include <string.h>

#define PM_OUTPUT_BUFFER_BYTES ((gsize)256 * 1024)

/* The longest run that pm_output_reserve() can promise. */
#define PM_OUTPUT_RESERVE_MAX 64

/*
 * @fd: not owned. @used: bytes that wait in @buffer. @error: errno of the first write that failed,
 * or 0.
 * @before: (nullable): called once, with @before_data, before the first byte is written; to be set
 * by the owner.
 */
typedef struct {
    int fd;
    int error;
    gsize used;
    char *buffer;
    void (*before)(gpointer data);
    gpointer before_data;
} PmOutput;

/* @fd: borrowed until pm_output_free(). */
PmOutput *pm_output_new(int fd);

/* Frees without flushing: call pm_output_flush() first, which can tell of an error. NULL is
 * allowed. */
void pm_output_free(PmOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmOutput, pm_output_free)

/* Writes what waits. Returns: FALSE where this or an earlier write failed; output->error says why.
 */
gboolean pm_output_flush(PmOutput *output);

/* Appends @count bytes. */
void pm_output_append(PmOutput *output, const char *bytes, gsize count);

/* Appends a formatted string; for text, not for hot loops. */
void pm_output_printf(PmOutput *output, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Appends @text, filled up with spaces to @columns, at their left or right end. Only for ASCII. */
void pm_output_cell(PmOutput *output, const char *text, gsize columns, gboolean right);

/* Appends @value in decimal, without separators. */
void pm_output_uint(PmOutput *output, guint64 value);

/* Appends @value as lower-case hex with 0x, without leading zeros. */
void pm_output_hex(PmOutput *output, guint64 value);

/*
 * A place for up to PM_OUTPUT_RESERVE_MAX bytes; the caller writes there and adds what it wrote to
 * output->used.
 */
static inline char *
pm_output_reserve(PmOutput *output)
{
    if (G_UNLIKELY(output->used + PM_OUTPUT_RESERVE_MAX > PM_OUTPUT_BUFFER_BYTES))
        (void)pm_output_flush(output);
    return output->buffer + output->used;
}

static inline void
pm_output_char(PmOutput *output, char byte)
{
    *pm_output_reserve(output) = byte;
    output->used++;
}

static inline void
pm_output_string(PmOutput *output, const char *string)
{
    pm_output_append(output, string, strlen(string));
}
