/*
 * glibc's malloc, 2.17 to the newest: finds main_arena, walks every arena, heap and mmapped chunk
 * into a heap index, and accounts for every byte. Facts are in glibc's malloc/malloc.c and
 * malloc/arena.c of each version.
 */
#pragma once

#include "heap/heap.h"
#include "process/process.h"

typedef enum {
    PM_FOUND_BY_SYMBOL,     /* the module's own symbol table */
    PM_FOUND_BY_DEBUG_FILE, /* its separate debug file */
    PM_FOUND_BY_SIGNATURE,  /* the shape of its bins, without any symbol */
} PmFoundBy;

/* "symbol", "debug-file", "signature"; static. */
const char *pm_found_by_name(PmFoundBy found_by);

/*
 * @version: "2.36", from libc's banner, or NULL where it was not in the core or in a file.
 * @family: the versions that what is in the core allows: "2.36", "2.35-2.41", "2.43 and later".
 * @main_arena: PM_ADDR_NONE where only thread arenas were found. @mp: struct malloc_par, or
 * PM_ADDR_NONE.
 */
typedef struct {
    char *version;
    char *family;
    PmAddr main_arena;
    PmFoundBy found_by;
    PmAddr mp;
    const PmModule *module;
} PmGlibc;

typedef enum {
    PM_ARENA_MAIN,
    PM_ARENA_THREAD,
} PmArenaKind;

/* What overhead_bytes is made of; their sum. */
typedef enum {
    PM_OVERHEAD_HEAP_INFO,
    PM_OVERHEAD_MALLOC_STATE,
    PM_OVERHEAD_ALIGNMENT,
    PM_OVERHEAD_FENCEPOSTS,
    PM_OVERHEAD_FOREIGN_SBRK,
    PM_OVERHEAD_DAMAGED, /* skipped, because what was there made no sense */
    PM_OVERHEAD_UNREAD,  /* not in the core: lost, excluded */
} PmOverhead;
#define PM_OVERHEADS 7

/* "heap_info", "malloc_state", "alignment", "fenceposts", "foreign_sbrk", "damaged", "unread";
 * static. */
const char *pm_overhead_name(PmOverhead overhead);

/*
 * One heap of an arena: [start, end) is what counts in system_mem. @pin: user address of its last
 * chunk that is neither top nor in a bin, whichever list it may be in, or PM_ADDR_NONE.
 */
typedef struct {
    PmAddr start;
    PmAddr end;
    guint64 used_bytes;
    guint64 free_bytes;
    guint64 overhead_bytes;
    PmAddr pin;
} PmArenaHeap;

/* Chunks of one exact size. */
typedef struct {
    guint64 chunk_bytes;
    guint64 chunks[PM_CHUNK_STATES];
    guint64 mmapped_chunks; /* how many of them are mmapped */
} PmSizeCount;

/*
 * @system_bytes: malloc_state.system_mem as the core holds it. used + free + overhead ==
 * system_bytes; where a damaged heap does not add up, a diagnostic ("arena-sum") says by how much.
 * @threads: tids attached (their thread_arena points here), @thread_count of them.
 * @bins: chunks in state bin by size, ascending; @bin_count of them.
 */
typedef struct {
    PmAddr address;
    PmArenaKind kind;
    gboolean contiguous;
    PmArenaHeap *heaps;
    gsize heap_count;
    guint64 system_bytes;
    guint64 used_bytes;
    guint64 free_bytes;
    guint64 top_bytes;
    guint64 tcache_bytes;
    guint64 fastbin_bytes;
    guint64 bin_bytes;
    guint64 overhead_bytes;
    guint64 overhead[PM_OVERHEADS];
    guint64 largest_free_bytes;
    PmAddr top;
    gboolean locked; /* its mutex was held: it may be in the middle of an operation */
    guint32 *threads;
    gsize thread_count;
    PmSizeCount *bins;
    gsize bin_count;
} PmArena;

/* @expected_known: mp_ was found, so that expected_chunks and expected_bytes are n_mmaps and
 * mmapped_mem. */
typedef struct {
    guint64 chunks;
    guint64 bytes; /* whole mappings, as mmapped_mem counts them */
    gboolean expected_known;
    guint64 expected_chunks;
    guint64 expected_bytes;
} PmMmapped;

typedef enum {
    PM_RUNTIME_TCACHE,
    PM_RUNTIME_DTV,
    PM_RUNTIME_TLS_BLOCK,
    PM_RUNTIME_LINK_MAP,
    PM_RUNTIME_STDIO_BUFFER,
} PmRuntimeKind;

/* What a runtime chunk is, for a person in @what: "tcache struct of thread 7", "DTV of thread 7",
 * "link map of libfoo.so", "buffer of stdout". */
typedef struct {
    PmAddr address; /* user pointer */
    PmRuntimeKind kind;
    gboolean dead; /* of a thread that ended and was joined or detached: nobody reads it again */
    char *what;
} PmRuntimeChunk;

/* A thread's tcache. @address: of the struct, a user pointer. @chunks, @chunk_bytes: what is in its
 * bins. */
typedef struct {
    guint32 tid;
    PmAddr address;
    guint64 chunks;
    guint64 chunk_bytes;
} PmThreadCache;

/*
 * @jobs: worker threads, 0 for as many as there are processors. @verify_bins: follow every bin's
 * list too, which no state depends on, for what `check` reports.
 */
typedef struct {
    guint jobs;
    gboolean verify_bins;
} PmPtmallocOptions;

typedef struct PmPtmalloc PmPtmalloc;

/*
 * Walks the whole glibc heap of @process.
 *
 * @process, @diagnostics: borrowed for the life of the result. @options may be NULL.
 * Returns: (transfer full): NULL with PM_ERROR_NO_HEAP where no arena was found or malloc was never
 * used; the message then names the allocator that was recognised, and what to try. NULL with
 * PM_ERROR_MEMORY where the index does not fit the limits of this process. Damage is told in
 * diagnostics whose codes `check` lists (violations.h).
 */
PmPtmalloc *pm_ptmalloc_walk(const PmProcess *process, const PmPtmallocOptions *options,
                             PmDiagnostics *diagnostics, GError **error);
void pm_ptmalloc_free(PmPtmalloc *ptmalloc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmPtmalloc, pm_ptmalloc_free)

const PmHeap *pm_ptmalloc_get_heap(const PmPtmalloc *ptmalloc);
const PmGlibc *pm_ptmalloc_get_glibc(const PmPtmalloc *ptmalloc);

/* The arenas: main_arena first (where there is one), then as the ring goes. PmChunk.arena is an
 * index here. Borrowed. */
const PmArena *pm_ptmalloc_get_arenas(const PmPtmalloc *ptmalloc, gsize *ret_count);
const PmMmapped *pm_ptmalloc_get_mmapped(const PmPtmalloc *ptmalloc);

/* The histogram over all arenas and mmapped chunks, by chunk_bytes ascending. Borrowed. */
const PmSizeCount *pm_ptmalloc_get_sizes(const PmPtmalloc *ptmalloc, gsize *ret_count);

/* usable_bytes of the mmapped chunks by their state cannot be told from a size alone; their sum is
 * here. */
guint64 pm_ptmalloc_get_usable_bytes(const PmPtmalloc *ptmalloc, PmChunkState state);

/*
 * malloc's own state that lies among other data: main arenas and mp_. What it points to is no
 * reference.
 *
 * Returns: (transfer full): PmRange, in no order.
 */
GArray *pm_ptmalloc_get_state_ranges(const PmPtmalloc *ptmalloc);

/* The address space that a thread heap may grow to, from its start: HEAP_MAX_SIZE. */
guint64 pm_ptmalloc_get_heap_max_bytes(const PmPtmalloc *ptmalloc);

/*
 * The settings in mp_; malloc.c, struct malloc_par.
 *
 * @arena_max: 0 where nobody set it. @fixed: one of the thresholds was set, so that free() does not
 * raise them (no_dyn_threshold).
 */
typedef struct {
    guint64 trim_threshold_bytes;
    guint64 mmap_threshold_bytes;
    guint64 top_pad_bytes;
    guint64 arena_max;
    gboolean fixed;
} PmMallocSettings;

/* The mmap_threshold that malloc begins with. (malloc.c, DEFAULT_MMAP_THRESHOLD_MIN) */
#define PM_MMAP_THRESHOLD_DEFAULT ((guint64)128 << 10)

/* FALSE where mp_ was not found or is not in the core; @ret_settings is then untouched. */
gboolean pm_ptmalloc_get_settings(const PmPtmalloc *ptmalloc, PmMallocSettings *ret_settings);

/* glibc's own chunks, in ascending address order. Borrowed. */
const PmRuntimeChunk *pm_ptmalloc_get_runtime_chunks(const PmPtmalloc *ptmalloc, gsize *ret_count);

/* The tcaches of threads whose number is known, in the order of the threads; a thread without one
 * has never freed or allocated. Borrowed. */
const PmThreadCache *pm_ptmalloc_get_thread_caches(const PmPtmalloc *ptmalloc, gsize *ret_count);

/*
 * The requests malloc(n) that give a chunk of @chunk_bytes: @ret_min ≤ n ≤ @ret_max. (malloc.c,
 * checked_request2size)
 */
void pm_ptmalloc_get_request_range(const PmPtmalloc *ptmalloc, guint64 chunk_bytes,
                                   guint64 *ret_min, guint64 *ret_max);

/* The chunk_bytes that serve malloc(@request_bytes) from a heap; saturates at G_MAXUINT64. */
guint64 pm_ptmalloc_get_chunk_bytes(const PmPtmalloc *ptmalloc, guint64 request_bytes);
