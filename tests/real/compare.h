/*
 * Compares what postmalloc says of a core with a sample's ledger: every chunk, every sum.
 */
#pragma once

#include "tool.h"
#include "truth.h"

/* The blocks that glibc itself holds in the heap at the end, by the name that `show` gives them. */
typedef struct {
    guint tcaches;        /* "tcache struct of …": threads that have one */
    guint dtvs;           /* "DTV of …": threads beside main, exited ones on cached stacks too */
    guint stdout_buffers; /* "buffer of stdout" */
    guint link_maps; /* "link map of …": a static program's vdso; those of others are not in the
                        heap */
} RealRuntime;

/*
 * @threads: live ones, main too. @found_by: how main_arena must have been found, or NULL for any
 * way.
 * @libc_missing: no file of libc is to be had, so that glibc's version may be unknown.
 * @mp_may_hide: mp_ has unusual settings, so that it need not be found without symbols.
 * @startup_blocks: used chunks before the program's first one, which a static program's start-up
 * makes: the origin's path
 *   (_dl_get_origin), two lists of search folders (_dl_init_paths), since 2.35 the table of
 * _dl_find_object_init.
 * @runtime: glibc's own blocks; anything else that is in use must be in the ledger.
 */
typedef struct {
    guint threads;
    const char *found_by;
    gboolean libc_missing;
    gboolean mp_may_hide;
    guint startup_blocks;
    RealRuntime runtime;
} RealExpected;

/*
 * Asks `chunks`, `arenas`, `sizes`, `info`, `check`, and `show` for each of glibc's own blocks;
 * fails the test with the first few differences of each kind:
 *   - used chunks are the ledger's live rows and glibc's own blocks as expected; address, size and
 * arena of each
 *   - used + free + overhead == system_bytes for each arena; their sums are those of the chunks,
 * and what mallinfo() said
 *   - mmapped chunks and bytes, counted and expected, are what mallinfo() said
 *   - the histogram has each size as often as the ledger
 *   - every thread is at one arena; nothing is damaged, nothing violated
 */
void real_compare(const RealSubject *subject, RealTruth *truth, const RealExpected *expected);

/* Expected blocks of a sample whose @threads live threads (main too) have allocated and freed,
 * @exited more having exited. */
RealRuntime real_expect_runtime(guint threads, guint exited, gboolean printed);
