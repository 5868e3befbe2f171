/*
 * Reading numbers from a run of bytes that anyone may have made: past its end everything is zero,
 * and the reader says that it failed. Little-endian, as all targets are.
 */
#pragma once

#include <glib.h>
#include <string.h>

typedef struct {
    const guint8 *at;
    const guint8 *end;
    gboolean failed;
} PmBytes;

static inline guint64
pm_bytes_left(const PmBytes *bytes)
{
    return (guint64)(bytes->end - bytes->at);
}

static inline void
pm_bytes_skip(PmBytes *bytes, guint64 count)
{
    if (count > pm_bytes_left(bytes)) {
        bytes->failed = TRUE;
        bytes->at = bytes->end;
        return;
    }
    bytes->at += count;
}

/* @count: 0 … 8. */
static inline guint64
pm_bytes_fixed(PmBytes *bytes, guint count)
{
    guint64 value = 0;
    if (count > pm_bytes_left(bytes)) {
        bytes->failed = TRUE;
        bytes->at = bytes->end;
        return 0;
    }
    memcpy(&value, bytes->at, count);
    bytes->at += count;
    return GUINT64_FROM_LE(value);
}

/* Bits past the 64th are dropped, as is the rest of a number that is longer than the run. */
static inline guint64
pm_bytes_uleb(PmBytes *bytes)
{
    guint64 value = 0;
    for (guint shift = 0; bytes->at < bytes->end; shift += 7) {
        const guint8 byte = *bytes->at++;
        if (shift < 64)
            value |= (guint64)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    bytes->failed = TRUE;
    return 0;
}

static inline gint64
pm_bytes_sleb(PmBytes *bytes)
{
    guint64 value = 0;
    for (guint shift = 0; bytes->at < bytes->end;) {
        const guint8 byte = *bytes->at++;
        if (shift < 64)
            value |= (guint64)(byte & 0x7f) << shift;
        shift += 7;
        if ((byte & 0x80) != 0)
            continue;
        if (shift < 64 && (byte & 0x40) != 0)
            value |= ~(guint64)0 << shift;
        return (gint64)value;
    }
    bytes->failed = TRUE;
    return 0;
}

/* A string that ends within the run, or NULL. */
static inline const char *
pm_bytes_string(PmBytes *bytes)
{
    const guint8 *start = bytes->at;
    const guint8 *end = memchr(start, '\0', pm_bytes_left(bytes));
    if (end == NULL) {
        bytes->failed = TRUE;
        bytes->at = bytes->end;
        return NULL;
    }
    bytes->at = end + 1;
    return (const char *)start;
}
