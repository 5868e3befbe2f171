/*
 * Asks fetch-glibc and fetch-programs for what they get from the network, or have in their cache.
 */
#pragma once

#include <glib.h>

/* @folder: where it is, or NULL. @version: beside it. @why: where @folder is NULL, why. */
typedef struct {
    char *folder;
    char *version;
    char *why;
} RealFetched;

/*
 * Runs @script with @names, at most for @seconds.
 *
 * @names: @count of them. @ret_fetched: as many; the strings in it are the caller's.
 */
void real_fetch(const char *script, const char *const *names, gsize count, guint seconds,
                RealFetched *ret_fetched);
