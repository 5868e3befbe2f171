/*
 * What the files of this room share: the result while it is built. Each stage is one file;
 * ptmalloc.c runs them in order.
 */
#pragma once

#include "heap/builder.h"
#include "ptmalloc/layout.h"
#include "ptmalloc/ptmalloc.h"

/* Counts by size of one arena, while it is walked and corrected: chunk_bytes → PmSizeCount. */
typedef GHashTable PmSizeTable;

/* One arena while it is built. */
typedef struct {
    PmArena arena; /* what is handed out; its arrays are filled at the end */
    guint32 index;
    guint ring;    /* the arenas of one libc are linked in a ring; number of it */
    GArray *heaps; /* PmArenaHeap */
    PmSizeTable *sizes;
    GArray *foreign_gaps; /* guint64: bytes between segments that others took by sbrk */
    GArray *threads;      /* guint32 tids */
    GMutex lock;          /* for sizes, heaps and the sums, while heaps are walked side by side */
} PmArenaBuild;

/* inflight.c: the threads that a running process was stopped in while they were inside malloc. */
typedef struct PmInFlight PmInFlight;

struct PmPtmalloc {
    const PmProcess *process;
    const PmSpace *space;
    PmDiagnostics *diagnostics;
    guint64 word_bytes;
    guint jobs;
    gboolean verify_bins;
    PmGlibc glibc;
    guint minor;                   /* of the version, 0 where unknown */
    guint first_minor, last_minor; /* what the core allows; both are minor where that is known */
    const PmStateLayout *layout;
    const PmParLayout *par;       /* NULL where mp_ was not found */
    const PmTcacheLayout *tcache; /* NULL where no tcache was met */
    guint64 heap_max_bytes;       /* what thread heaps are aligned to */
    GPtrArray *arenas;            /* PmArenaBuild */
    guint rings;                  /* of arenas; more than one where dlmopen loaded a further libc */
    guint64 searched_headers;     /* by all searches for chains; atomic */
    PmHeapBuilder *builder;
    PmHeap *heap;
    PmMmapped mmapped;
    GArray *runs;      /* PmRange: stretches of writable memory that no file backs, ascending */
    GArray *stretches; /* PmRange: the same of any permission; mprotect splits heaps */
    GArray *claimed; /* PmRange: address ranges that are main segments or thread heaps, ascending */
    PmSizeTable *mmapped_sizes;
    guint64 mmapped_usable_bytes;
    GArray *runtime; /* PmRuntimeChunk */
    PmInFlight *in_flight;
    GArray *caches; /* PmThreadCache */
    guint64 usable_bytes[PM_CHUNK_STATES];
    PmArena *public_arenas;
    PmSizeCount *sizes;
    gsize size_count;
};

static inline PmArenaBuild *
pm_ptmalloc_get_build(const PmPtmalloc *ptmalloc, gsize index)
{
    return g_ptr_array_index(ptmalloc->arenas, index);
}

/* Reads the target word at @address; FALSE where it cannot be read. */
static inline gboolean
pm_read(const PmPtmalloc *ptmalloc, PmAddr address, guint64 *ret_word)
{
    return pm_space_read_word(ptmalloc->space, address, ret_word);
}

/* The arena whose malloc_state is at @state, or NULL. */
PmArenaBuild *pm_ptmalloc_find_build(const PmPtmalloc *ptmalloc, PmAddr state);

/* Adds an arena whose malloc_state is at @address. */
PmArenaBuild *pm_ptmalloc_add_arena(PmPtmalloc *ptmalloc, PmAddr address, PmArenaKind kind);

/*
 * What may be only the effect of stopping a running process inside malloc is no damage: a note of
 * the code "in-flight" in place of a violation. None of a process that a signal ended: whoever died
 * inside malloc may have died of the damage.
 */
PmInFlight *pm_in_flight_new(const PmProcess *process);
void pm_in_flight_free(PmInFlight *in_flight);

/*
 * Who was at work where the violation @code in @build's arena was met at @address, if that explains
 * it: "thread 7 (free) was inside malloc". May be called from several threads.
 *
 * Returns: (transfer full): NULL where nothing explains it.
 */
char *pm_in_flight_explain(PmInFlight *in_flight, const PmArenaBuild *build, const char *code,
                           PmAddr address);

/* The same of the thread @tid, whatever it is working on; NULL where it was not inside malloc. */
char *pm_in_flight_explain_thread(PmInFlight *in_flight, guint32 tid);

/* How many threads were inside malloc and did not wait for a lock. @ret_who: (out) (transfer full):
 * which, NULL where none was. */
guint pm_in_flight_count(PmInFlight *in_flight, char **ret_who);

/* Adds the note. @build: may be NULL. */
void pm_ptmalloc_note_in_flight(PmPtmalloc *ptmalloc, const PmArenaBuild *build, PmAddr address,
                                const char *text, const char *who);

/* Diagnostics about the heap go through these, so that an arena that was locked is judged more
 * mildly. */
void pm_ptmalloc_violation(PmPtmalloc *ptmalloc, const PmArenaBuild *build, const char *code,
                           PmAddr address, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Whether versions @first … @last are among those that the core allows. */
static inline gboolean
pm_ptmalloc_allows(const PmPtmalloc *ptmalloc, guint first, guint last)
{
    return first <= ptmalloc->last_minor && last >= ptmalloc->first_minor;
}

/* Keeps only the versions @first … @last of those allowed; nothing where that would leave none. */
void pm_ptmalloc_narrow_versions(PmPtmalloc *ptmalloc, guint first, guint last);

/* The entry of @table for @chunk_bytes, made where it is missing. */
PmSizeCount *pm_size_table_get(PmSizeTable *table, guint64 chunk_bytes);
PmSizeTable *pm_size_table_new(void);

/* The entries by chunk_bytes ascending; transfer full. */
PmSizeCount *pm_size_table_freeze(PmSizeTable *table, gsize *ret_count);

/*
 * The stages, in their order.
 *
 * find.c: version, layout, arenas. FALSE with PM_ERROR_NO_HEAP.
 */
gboolean pm_ptmalloc_find_arenas(PmPtmalloc *ptmalloc, GError **error);

/* par.c: mp_. */
void pm_ptmalloc_find_par(PmPtmalloc *ptmalloc);

/* Reads mp_'s field at @offset of @count bytes; FALSE where mp_ is not known or not readable. */
gboolean pm_ptmalloc_read_par(const PmPtmalloc *ptmalloc, guint offset, guint64 count,
                              guint64 *ret_value);

/* heaps.c: walks every heap of every arena into the builder. FALSE with PM_ERROR_MEMORY. */
gboolean pm_ptmalloc_walk_heaps(PmPtmalloc *ptmalloc, GError **error);

/* mmapped.c: finds the mmapped chunks. Needs the claimed ranges. */
void pm_ptmalloc_find_mmapped(PmPtmalloc *ptmalloc);

/* Work on the frozen heap. tcache.c, fastbins.c, bins.c, runtime.c. */
void pm_ptmalloc_mark_tcaches(PmPtmalloc *ptmalloc);
void pm_ptmalloc_mark_fastbins(PmPtmalloc *ptmalloc);
void pm_ptmalloc_verify_bins(PmPtmalloc *ptmalloc);
void pm_ptmalloc_mark_runtime(PmPtmalloc *ptmalloc);

/* Notes a chunk of glibc's own; @what is taken. */
void pm_ptmalloc_add_runtime(PmPtmalloc *ptmalloc, PmAddr user, PmRuntimeKind kind, char *what);

/* Marks a chunk as free in a list and corrects the counts of its arena. */
PmMarkResult pm_ptmalloc_mark_free(PmPtmalloc *ptmalloc, PmAddr header, PmChunkState state,
                                   PmChunk *ret_chunk);

/*
 * A link of a list of free chunks.
 *
 * @build: the arena whose list it is, or NULL. @state: what the list makes of its chunks:
 * PM_CHUNK_TCACHE or PM_CHUNK_FASTBIN. @list: for a person. @holder: the chunk or the slot that
 * holds the link. @target: the user pointer that it leads to.
 */
typedef struct {
    const PmArenaBuild *build;
    PmChunkState state;
    const char *list;
    PmAddr holder;
    PmAddr target;
} PmFreeLink;

/* Marks the chunk that @link leads to. FALSE where it leads astray, which is then reported, at the
 * holder. */
gboolean pm_ptmalloc_take_free(PmPtmalloc *ptmalloc, const PmFreeLink *link, PmChunk *ret_chunk);

/* cut.c: whether @address was in the core before that was cut off. */
gboolean pm_ptmalloc_is_lost(const PmPtmalloc *ptmalloc, PmAddr address);

/* Marks the freed chunks whose lists lead through the lost part of a core. */
void pm_ptmalloc_mark_cut_lists(PmPtmalloc *ptmalloc);

/*
 * What a free chunk's link really points to.
 *
 * @position: the address of the link itself. 2.32 and later store it as (position >> 12) ^ pointer
 * (safe-linking).
 */
PmAddr pm_ptmalloc_decode_link(const PmPtmalloc *ptmalloc, PmAddr position, guint64 stored);

/* accounts.c: the sums of every arena, and the histogram. */
void pm_ptmalloc_account(PmPtmalloc *ptmalloc);

/* The stretch of memory without a file, of any permission, that holds @address, or NULL. */
const PmRange *pm_ptmalloc_find_stretch(const PmPtmalloc *ptmalloc, PmAddr address);

/*
 * Whether @range is memory without a file. Its pages may have got other permissions since it was
 * allocated (guards of coroutine stacks, say), and gcore leaves out those that cannot be read: the
 * first and the last page must be there, and half of it.
 */
gboolean pm_ptmalloc_is_memory(const PmPtmalloc *ptmalloc, PmRange range);

/* The first claimed range that ends behind @address, or NULL. */
const PmRange *pm_ptmalloc_find_next_claimed(const PmPtmalloc *ptmalloc, PmAddr address);

/* The claimed range that holds @address, or NULL. */
const PmRange *pm_ptmalloc_find_claimed(const PmPtmalloc *ptmalloc, PmAddr address);
