/*
 * What keeps chunks alive: registers, stacks, thread-local storage, module data, mappings. Every
 * root keeps its label. (REACHABILITY.md, "Roots")
 */
#pragma once

#include "analysis/subject.h"

typedef enum {
    PM_ROOT_REGISTERS,
    PM_ROOT_STACK,           /* from SP less the red zone to the stack's base */
    PM_ROOT_STACK_UNBOUNDED, /* SP lies outside the thread's known stack, or is not known */
    PM_ROOT_TLS,             /* static TLS */
    PM_ROOT_THREAD_BLOCK,    /* the thread control block and struct pthread */
    PM_ROOT_MODULE_DATA,     /* relro, .data, .bss and the anonymous tail */
    PM_ROOT_LOADER,          /* ld.so's own memory: link maps */
    PM_ROOT_SHARED,          /* shared memory */
    PM_ROOT_FILE,            /* a mapped file that is writable */
    PM_ROOT_RUNTIME,         /* a chunk of glibc's own: a DTV, dynamic TLS, a link map */
    PM_ROOT_HEAP_GAP,        /* weak: a part of a heap that is no chunk: damage, a foreign sbrk */
    PM_ROOT_UNCLASSIFIED,    /* weak: any other mapping without a file */
} PmRootKind;
#define PM_ROOT_KINDS 12

/* "registers", "stack", "stack (bounds unknown)", "tls", "thread block", "module data", "loader",
 * "shared memory", "mapped file", "runtime chunk", "heap gap", "unclassified mapping"; static. */
const char *pm_root_kind_name(PmRootKind kind);

/*
 * One root: a range of target memory, or a thread's registers.
 *
 * @range: empty for registers. @bytes, @byte_count: the note's bytes, for registers alone.
 * @weak: a closure of its own. @tid: 0 where it is no thread's. @module: NULL where it is none's.
 */
typedef struct {
    PmRootKind kind;
    gboolean weak;
    PmRange range;
    const guint8 *bytes;
    gsize byte_count;
    guint32 note_type; /* NT_PRSTATUS …, for registers */
    guint32 tid;
    const PmModule *module;
} PmRoot;

/*
 * @present_bytes, @wanted_bytes: of strong roots: what of them the core or a module's file has, and
 * what it should have; memory that was never written counts in neither.
 */
typedef struct {
    guint64 present_bytes;
    guint64 wanted_bytes;
    guint64 never_written_bytes;
} PmRootCoverage;

typedef struct PmRoots PmRoots;

/* @subject: with a heap; borrowed for the life of the roots. Never fails. */
PmRoots *pm_roots_new(const PmSubject *subject);
void pm_roots_free(PmRoots *roots);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmRoots, pm_roots_free)

/* Registers first, then ranges in ascending order, which do not overlap. Borrowed. */
const PmRoot *pm_roots_get(const PmRoots *roots, gsize *ret_count);

void pm_roots_get_coverage(const PmRoots *roots, PmRootCoverage *ret_coverage);

/*
 * What a mangled pointer stands for (setjmp, atexit: x86-64's PTR_MANGLE rotates left by 17 after
 * an exclusive or with the guard of the thread control block).
 *
 * Returns: FALSE where the guard is not known.
 */
gboolean pm_roots_get_guard(const PmRoots *roots, guint64 *ret_guard);

static inline guint64
pm_roots_demangle(guint64 value, guint64 guard)
{
    return ((value >> 17) | (value << 47)) ^ guard;
}

/*
 * Where a word of a root is, for a person: "session_table.buckets[3].head (app)" and "cache_head
 * (thread-local, app) of thread 7" where DWARF tells, else "session_table (app) + 0x40" and "tls of
 * thread 7 + 0x40"; "stack of thread 7, in parse_event", "rbx of thread 7", "unclassified mapping
 * 0x7f12… + 0x10".
 *
 * @address: of the word; for registers its offset in @root->bytes.
 * @ret_symbol, @ret_offset_bytes: (out) (optional): the symbol alone (transfer full, or NULL) and
 *   the distance from it, or from the root's start where there is none.
 * Returns: (transfer full): one line. One thread at a time (it looks up symbols, may unwind, and
 *   may read a module's DWARF).
 */
char *pm_roots_describe(const PmRoots *roots, const PmRoot *root, PmAddr address, char **ret_symbol,
                        guint64 *ret_offset_bytes);
