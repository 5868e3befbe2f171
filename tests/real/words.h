/*
 * Words of a core by their address: a reader of its own, so that what postmalloc says of memory can
 * be held against it. 64-bit cores of this machine's byte order.
 */
#pragma once

#include <glib.h>

typedef struct RealWords RealWords;

/* A core that cannot be read is a g_assert(). */
RealWords *real_words_open(const char *core);
void real_words_free(RealWords *words);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RealWords, real_words_free)

/* Returns: FALSE where the core does not have the word at @address. Fast for neighbours. */
gboolean real_words_get(RealWords *words, guint64 address, guint64 *ret_word);
