/*
 * Every thread's tcache: finds the struct through the thread's TLS without a symbol, and takes the
 * chunks in its bins for what they are: free, though their in-use bit is set.
 */
#include "process/stacks.h"
#include "ptmalloc/ptmalloc-private.h"

/* What ld.so reserves for the static TLS of later libraries, and more. (elf/dl-tls.c) */
#define FURTHER_TLS_BYTES 4096

typedef struct {
    PmPtmalloc *ptmalloc;
    const PmTcacheLayout *layout;
    PmAddr address; /* user pointer of the struct */
    guint32 tid;    /* of the thread whose it is, or 0 */
    guint64 entries[80];
    guint counts[80];
} Tcache;

/* The chunk size that bin @bin serves; 0 for the large bins of 2.42 and later, which serve ranges.
 */
static guint64
bin_chunk_bytes(const PmPtmalloc *ptmalloc, guint bin)
{
    if (bin >= 64)
        return 0;
    return pm_min_chunk_bytes(ptmalloc->word_bytes) + (guint64)bin * ptmalloc->layout->alignment;
}

static gboolean
bin_serves(const PmPtmalloc *ptmalloc, guint bin, guint64 chunk_bytes)
{
    if (bin < 64)
        return chunk_bytes == bin_chunk_bytes(ptmalloc, bin);
    /* 2.42, large_csize2tidx: one bin for each power of two above 0x410. */
    return chunk_bytes <= G_MAXUINT32 && chunk_bytes > 0x410 &&
           bin == 64 + (guint)__builtin_clz(0x410) - (guint)__builtin_clz((guint32)chunk_bytes);
}

/* Reads the struct at @address as @layout has it. */
static gboolean
read_struct(PmPtmalloc *ptmalloc, const PmTcacheLayout *layout, PmAddr address, Tcache *ret_tcache)
{
    guint8 bytes[0x300];
    Tcache tcache = {.ptmalloc = ptmalloc, .layout = layout, .address = address};
    if (!pm_space_read(ptmalloc->space, address, bytes, layout->struct_bytes))
        return FALSE;
    for (guint i = 0; i < layout->bins; i++) {
        const guint8 *count = bytes + (gsize)i * layout->count_bytes;
        tcache.counts[i] = count[0] | (layout->count_bytes == 2 ? (guint)count[1] << 8 : 0);
        tcache.entries[i] = pm_load_word(bytes + layout->entries + (gsize)i * ptmalloc->word_bytes,
                                         ptmalloc->word_bytes);
    }
    *ret_tcache = tcache;
    return TRUE;
}

/*
 * How well the struct fits what a tcache must be.
 *
 * @in_libc: the pointer to it is in libc's own thread-locals, where nothing else has its size: its
 * bins may be as damaged as they will. Elsewhere one damaged bin in four that hold a chunk is let
 * pass.
 * @ret_entries: (out): bins that hold a chunk of the right size, or one in a lost part of the core.
 * Returns: FALSE where it cannot be one.
 */
static gboolean
looks_right(const Tcache *tcache, gboolean in_libc, guint *ret_entries)
{
    guint good = 0;
    guint bad = 0;
    guint full = 0; /* num_slots of an empty bin, the same for all */

    for (guint i = 0; i < tcache->layout->bins; i++) {
        PmChunk chunk;
        const guint64 entry = tcache->entries[i];
        if (entry == 0) {
            if (!tcache->layout->inverted)
                bad += tcache->counts[i] != 0;
            else if (full == 0)
                full = tcache->counts[i];
            else if (tcache->counts[i] != 0)
                bad += tcache->counts[i] != full;
            continue;
        }
        const gboolean chunk_fits =
            pm_heap_find_chunk(tcache->ptmalloc->heap, entry, &chunk, NULL) &&
            chunk.address == entry && bin_serves(tcache->ptmalloc, i, chunk.chunk_bytes);
        const gboolean count_fits = tcache->layout->inverted || tcache->counts[i] != 0;
        if (count_fits && (chunk_fits || pm_ptmalloc_is_lost(tcache->ptmalloc, entry)))
            good++;
        else
            bad++;
    }
    *ret_entries = good;
    if (tcache->layout->inverted && good == 0 && full == 0)
        return FALSE;
    return in_libc || bad * 3 <= good;
}

/* Reads the chunk at @address as the tcache struct of one of the layouts that the versions allow.
 */
static gboolean
read_candidate(PmPtmalloc *ptmalloc, const PmChunk *chunk, gboolean in_libc, Tcache *ret_tcache,
               guint *ret_entries)
{
    gsize count = 0;
    const PmTcacheLayout *layouts = pm_tcache_layouts(&count);
    for (gsize i = 0; i < count; i++) {
        const PmTcacheLayout *layout = &layouts[i];
        if (layout->word_bytes != ptmalloc->word_bytes ||
            !pm_ptmalloc_allows(ptmalloc, layout->first_version, layout->last_version))
            continue;
        /* A remainder too small to stand alone stays with the chunk. */
        if (chunk->chunk_bytes != layout->chunk_bytes &&
            chunk->chunk_bytes != layout->chunk_bytes + ptmalloc->layout->alignment)
            continue;
        if (read_struct(ptmalloc, layout, chunk->address, ret_tcache) &&
            looks_right(ret_tcache, in_libc, ret_entries))
            return TRUE;
    }
    return FALSE;
}

/* A thread changes the list and the count one after the other. (malloc.c, tcache_put, tcache_get)
 */
static void
report_count(const Tcache *tcache, guint bin, const char *list, guint length)
{
    PmPtmalloc *ptmalloc = tcache->ptmalloc;
    const guint count = tcache->counts[bin];
    g_autofree char *text =
        g_strdup_printf("%s holds %u chunks but counts %u", list, length, count);
    g_autofree char *who = NULL;
    if (length == count + 1 || count == length + 1)
        who = pm_in_flight_explain_thread(ptmalloc->in_flight, tcache->tid);
    if (who != NULL)
        pm_ptmalloc_note_in_flight(ptmalloc, NULL, tcache->address, text, who);
    else
        pm_ptmalloc_violation(ptmalloc, NULL, "tcache-count", tcache->address, "%s", text);
}

/* Follows one bin, marking what it holds and adding it to @sum. */
static void
mark_bin(const Tcache *tcache, guint bin, PmThreadCache *sum)
{
    PmPtmalloc *ptmalloc = tcache->ptmalloc;
    const guint64 bin_bytes = bin_chunk_bytes(ptmalloc, bin);
    PmAddr entry = tcache->entries[bin];
    guint length = 0;
    if (entry == 0 && (tcache->layout->inverted || tcache->counts[bin] == 0))
        return;
    g_autofree char *list =
        g_strdup_printf("the tcache bin for chunks of 0x%" G_GINT64_MODIFIER "x bytes", bin_bytes);
    PmFreeLink link = {
        .state = PM_CHUNK_TCACHE,
        .list = list,
        .holder = tcache->address + tcache->layout->entries + bin * ptmalloc->word_bytes,
    };

    for (; entry != 0; length++) {
        PmChunk chunk;
        guint64 stored = 0;
        link.target = entry;
        if (!pm_ptmalloc_take_free(ptmalloc, &link, &chunk))
            return;
        sum->chunks++;
        sum->chunk_bytes += chunk.chunk_bytes;
        if (!bin_serves(ptmalloc, bin, chunk.chunk_bytes))
            pm_ptmalloc_violation(ptmalloc, NULL, "tcache-size", entry,
                                  "a chunk of 0x%" G_GINT64_MODIFIER
                                  "x bytes in the tcache bin for 0x%" G_GINT64_MODIFIER "x",
                                  chunk.chunk_bytes, bin_bytes);
        if (!pm_read(ptmalloc, entry, &stored)) {
            pm_diagnostics_add(ptmalloc->diagnostics, "list-lost", PM_SEVERITY_WARNING, entry,
                               "the rest of %s is not in the core: freed chunks in it may be shown "
                               "as used",
                               list);
            return;
        }
        link.holder = entry;
        entry = pm_ptmalloc_decode_link(ptmalloc, entry, stored);
    }
    if (!tcache->layout->inverted && length != tcache->counts[bin])
        report_count(tcache, bin, list, length);
}

/* Marks a thread's tcache: its bins' chunks as free, itself as glibc's own. */
static void
mark_tcache(const Tcache *tcache, const PmThread *thread)
{
    PmThreadCache sum = {.tid = thread != NULL ? thread->tid : 0, .address = tcache->address};
    tcache->ptmalloc->tcache = tcache->layout;
    pm_ptmalloc_narrow_versions(tcache->ptmalloc, tcache->layout->first_version,
                                tcache->layout->last_version);
    for (guint i = 0; i < tcache->layout->bins; i++)
        mark_bin(tcache, i, &sum);
    if (sum.tid != 0)
        g_array_append_val(tcache->ptmalloc->caches, sum);
    pm_ptmalloc_add_runtime(tcache->ptmalloc, tcache->address, PM_RUNTIME_TCACHE,
                            thread != NULL && thread->tid != 0
                                ? g_strdup_printf("tcache struct of thread %u", thread->tid)
                                : g_strdup("tcache struct of a thread"));
}

/*
 * Where libc's own thread-locals of @thread are; its whole static TLS where that cannot be told.
 *
 * @ret_exact: (out): which of the two.
 */
static PmRange
get_tls_range(const PmPtmalloc *ptmalloc, const PmThread *thread, gboolean *ret_exact)
{
    PmAddr block = 0;
    const PmModule *libc = pm_process_get_libc(ptmalloc->process);
    *ret_exact = libc != NULL && libc->tls_modid != 0 && libc->tls_bytes != 0 &&
                 !libc->is_executable &&
                 pm_process_get_tls_block(ptmalloc->process, thread, libc->tls_modid, &block);
    if (*ret_exact)
        return (PmRange){block, block + MIN(libc->tls_bytes, 65536)};
    if (pm_range_bytes(thread->static_tls) > 0)
        return thread->static_tls;
    if (thread->tp == PM_ADDR_NONE || thread->tp < 4096)
        return (PmRange){0, 0};
    return (PmRange){thread->tp - 4096, thread->tp};
}

/* Reads what the word at @at of a thread's TLS points to, if that may be a tcache struct. */
static gboolean
read_pointer(PmPtmalloc *ptmalloc, PmAddr at, gboolean in_libc, Tcache *ret_tcache,
             guint *ret_entries, guint *ret_ring)
{
    guint64 word = 0;
    PmChunk chunk;
    if (!pm_read(ptmalloc, at, &word) || word == 0 ||
        !pm_heap_find_chunk(ptmalloc->heap, word, &chunk, NULL) || chunk.address != word ||
        pm_chunk_state_is_free(chunk.state) || chunk.mmapped ||
        !read_candidate(ptmalloc, &chunk, in_libc, ret_tcache, ret_entries))
        return FALSE;
    *ret_ring = pm_ptmalloc_get_build(ptmalloc, chunk.arena)->ring;
    return TRUE;
}

/*
 * Looks at every word of a thread's TLS for one that points to a chunk that looks like a tcache
 * struct: that is `tcache`. Among several candidates the one with the most entries wins, and the
 * one made first where that does not tell: a thread makes its tcache before any other chunk.
 */
static void
search_thread(PmPtmalloc *ptmalloc, const PmThread *thread, GHashTable *seen)
{
    gboolean exact = FALSE;
    gboolean found = FALSE;
    guint best_entries = 0;
    Tcache best;
    const PmRange tls = get_tls_range(ptmalloc, thread, &exact);

    for (PmAddr at = pm_align_up(tls.start, ptmalloc->word_bytes); at < tls.end;
         at += ptmalloc->word_bytes) {
        Tcache tcache;
        guint entries = 0, ring = 0;
        if (!read_pointer(ptmalloc, at, exact, &tcache, &entries, &ring))
            continue;
        if (!found || entries > best_entries ||
            (entries == best_entries && tcache.address < best.address)) {
            best = tcache;
            best_entries = entries;
        }
        found = TRUE;
    }
    if (found && g_hash_table_add(seen, GSIZE_TO_POINTER((gsize)best.address))) {
        best.tid = thread->tid;
        mark_tcache(&best, thread);
    }
}

/*
 * Every further libc (dlmopen) has a `tcache` of its own in the static TLS of a thread; which words
 * are its thread-locals is not known, nor, by the DTV, how far what ld.so gave to later libraries
 * reaches. Its structs are in its own arenas.
 */
static void
search_further_libcs(PmPtmalloc *ptmalloc, const PmThread *thread, GHashTable *seen)
{
    const PmArenaBuild *own = pm_ptmalloc_find_build(ptmalloc, ptmalloc->glibc.main_arena);
    if (own == NULL || thread->tp == PM_ADDR_NONE || thread->tp < FURTHER_TLS_BYTES)
        return;
    PmAddr start = thread->tp - FURTHER_TLS_BYTES;
    if (pm_range_bytes(thread->static_tls) > 0)
        start = MIN(start, thread->static_tls.start);
    for (PmAddr at = pm_align_up(start, ptmalloc->word_bytes); at < thread->tp;
         at += ptmalloc->word_bytes) {
        Tcache tcache;
        guint entries = 0, ring = 0;
        if (read_pointer(ptmalloc, at, FALSE, &tcache, &entries, &ring) && ring != own->ring &&
            entries > 0 && g_hash_table_add(seen, GSIZE_TO_POINTER((gsize)tcache.address)))
            mark_tcache(&tcache, thread);
    }
}

/* The word of a thread's TLS that is the address of an arena is `thread_arena`. */
static void
find_thread_arena(PmPtmalloc *ptmalloc, const PmThread *thread)
{
    gboolean exact = FALSE;
    const PmRange tls = get_tls_range(ptmalloc, thread, &exact);
    for (PmAddr at = pm_align_up(tls.start, ptmalloc->word_bytes); at < tls.end;
         at += ptmalloc->word_bytes) {
        guint64 word = 0;
        PmArenaBuild *build = NULL;
        if (pm_read(ptmalloc, at, &word) && word != 0)
            build = pm_ptmalloc_find_build(ptmalloc, word);
        if (build == NULL)
            continue;
        if (thread->tid != 0)
            g_array_append_val(build->threads, thread->tid);
        return;
    }
}

/*
 * The threads that the core does not tell of: a main thread that called pthread_exit, and in the
 * child of a fork all that its parent had. Their control blocks are still listed, and nobody
 * flushed their tcaches; those of threads that ended have none.
 */
static void
search_ended_threads(PmPtmalloc *ptmalloc, const PmThread *threads, gsize count, GHashTable *seen)
{
    gsize tcb_count = 0;
    g_autofree PmTcb *tcbs = pm_process_find_tcbs(ptmalloc->process, &tcb_count);
    /* All threads share one layout of static TLS. */
    PmRange reach = {0, 0};
    for (gsize i = 0; i < count && reach.end == 0; i++)
        if (pm_range_bytes(threads[i].static_tls) > 0 && threads[i].static_tls.end > threads[i].tp)
            reach = (PmRange){threads[i].tp - threads[i].static_tls.start,
                              threads[i].static_tls.end - threads[i].tp};

    for (gsize i = 0; i < tcb_count; i++) {
        PmThread thread = {.tid = tcbs[i].tid, .tp = tcbs[i].tp, .dtv = tcbs[i].dtv};
        gboolean is_known = FALSE;
        for (gsize j = 0; j < count && !is_known; j++)
            is_known = threads[j].tp == thread.tp;
        if (is_known)
            continue;
        if (reach.end != 0 && thread.tp > reach.start)
            thread.static_tls = (PmRange){thread.tp - reach.start, thread.tp + reach.end};
        search_thread(ptmalloc, &thread, seen);
    }
}

/*
 * Without threads (a core that lost its notes) the structs are looked for among the chunks of their
 * size. An empty one cannot be told from any zeroed chunk, and stays used.
 */
static void
search_heap(PmPtmalloc *ptmalloc, GHashTable *seen)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Tcache));
    PmHeapIter iter;
    PmChunk chunk;

    pm_heap_iter_init(&iter, ptmalloc->heap, 0);
    while (pm_heap_iter_next(&iter, &chunk)) {
        Tcache tcache;
        guint entries = 0;
        if (chunk.state == PM_CHUNK_USED && !chunk.mmapped && chunk.chunk_bytes < 0x400 &&
            chunk.chunk_bytes >= 0x150 &&
            read_candidate(ptmalloc, &chunk, FALSE, &tcache, &entries) && entries > 0)
            g_array_append_val(found, tcache);
    }
    for (guint i = 0; i < found->len; i++) {
        const Tcache *tcache = &g_array_index(found, Tcache, i);
        if (g_hash_table_add(seen, GSIZE_TO_POINTER((gsize)tcache->address)))
            mark_tcache(tcache, NULL);
    }
}

void
pm_ptmalloc_mark_tcaches(PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(ptmalloc->process, &count);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);

    for (gsize i = 0; i < count; i++) {
        find_thread_arena(ptmalloc, &threads[i]);
        search_thread(ptmalloc, &threads[i], seen);
        if (ptmalloc->rings > 1)
            search_further_libcs(ptmalloc, &threads[i], seen);
    }
    if (count > 0)
        search_ended_threads(ptmalloc, threads, count, seen);
    /* A cut core may have lost control blocks, and arenas with the tcache structs in them. */
    const gboolean cut = pm_image_is_truncated(pm_space_get_image(ptmalloc->space));
    if (count == 0 || cut)
        search_heap(ptmalloc, seen);
}
