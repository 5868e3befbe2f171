/*
 * A process that runs while it is looked at: the sample busy.
 */
#pragma once

#include <glib.h>

/* @folder: temporary; its counter is in it. */
typedef struct {
    GPid pid;
    char *folder;
    char *counter;
} RealLive;

/*
 * Starts the sample busy with @options, words parted by spaces, and waits until it allocates. It is
 * killed with the test.
 *
 * Returns: (transfer full): NULL after g_test_skip() or g_test_fail().
 */
RealLive *real_live_start(const char *options);

/* The same of a copy in its folder, which was removed by the time this returns. */
RealLive *real_live_start_removed(const char *options);

/* Kills it and removes the folder. */
void real_live_free(RealLive *live);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RealLive, real_live_free)

/* Fails the test unless within ten seconds it is seen to go on, traced and stopped by nobody. */
void real_live_check(const RealLive *live);

/* The file NAME of its /proc entry; "" where it cannot be read. (transfer full) */
char *real_live_read(const RealLive *live, const char *name);

/* How many entries @folder has, hidden ones too. */
guint real_live_count_files(const char *folder);
