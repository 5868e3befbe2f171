#include "analysis/reach/roots.h"

#include <elf.h>
#include <string.h>

#include "analysis/reach/labels.h"
#include "base/intervals.h"
#include "process/stacks.h"

#define PAGE 4096
/* psABI, x86-64: what a leaf function may use below its stack pointer. */
#define RED_ZONE_BYTES 128
/* What ld.so keeps below the static TLS of the start-up modules for those that dlopen() brings and
 * that cannot do with dynamic TLS: 1,664 bytes and some by default. (elf/dl-tls.c,
 * TLS_STATIC_SURPLUS) */
#define TLS_SURPLUS_BYTES 4096
/* struct pthread and what precedes it of a thread that ended, where its stack's bounds are not
 * known: larger than any version's (0x900 in 2.36). */
#define THREAD_BLOCK_BYTES 0x1000
/* Where x86-64 keeps the pointer guard in the thread control block (tcbhead_t.pointer_guard). */
#define GUARD_OFFSET_X86_64 0x30
/* From uc_stack.ss_sp of a signal frame's ucontext to uc_stack.ss_size, to the saved RSP, and past
 * it. (Linux, asm/sigcontext.h of x86-64) */
#define UC_SIZE_OFFSET 0x10
#define UC_RSP_OFFSET  0x90
#define UC_BYTES       0x98

/* A tag of an interval: an index into kinds of claims. Excluded memory is no root. */
#define TAG_EXCLUDED G_MAXUINT64

struct PmRoots {
    const PmSubject *subject;
    GArray *roots; /* PmRoot: registers, then ranges */
    guint register_count;
    PmIntervals *claims;
    GArray *templates; /* PmRoot, by tag: what an interval is */
    PmRootCoverage coverage;
    gboolean guard_known;
    guint64 guard;
};

const char *
pm_root_kind_name(PmRootKind kind)
{
    static const char *const names[PM_ROOT_KINDS] = {
        "registers",     "stack",         "stack (bounds unknown)",
        "tls",           "thread block",  "module data",
        "loader",        "shared memory", "mapped file",
        "runtime chunk", "heap gap",      "unclassified mapping",
    };
    return (guint)kind < PM_ROOT_KINDS ? names[kind] : "unknown";
}

static void
exclude(PmRoots *roots, PmRange range)
{
    if (range.start < range.end)
        pm_intervals_add(roots->claims, range, TAG_EXCLUDED);
}

/* Claims @range for a root that is like @template; what was claimed before stays. */
static void
claim(PmRoots *roots, PmRange range, const PmRoot *template)
{
    if (range.start >= range.end)
        return;
    g_array_append_vals(roots->templates, template, 1);
    pm_intervals_add(roots->claims, range, roots->templates->len - 1);
}

static gint
compare_ranges(gconstpointer a, gconstpointer b)
{
    const PmRange *left = a;
    const PmRange *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/*
 * malloc's own memory: the state among libc's data, and heaps. What lies between chunks (damage, a
 * foreign sbrk) may hold references all the same: weak roots.
 */
static void
claim_heaps(PmRoots *roots)
{
    const PmPtmalloc *ptmalloc = roots->subject->ptmalloc;
    g_autoptr(GArray) own = pm_ptmalloc_get_state_ranges(ptmalloc);
    g_autoptr(GArray) gaps = pm_heap_get_gaps(pm_ptmalloc_get_heap(ptmalloc));
    const PmRoot gap = {.kind = PM_ROOT_HEAP_GAP, .weak = TRUE};
    gsize count = 0;

    for (guint i = 0; i < gaps->len; i++)
        claim(roots, g_array_index(gaps, PmRange, i), &gap);
    const PmHeapRegion *regions = pm_heap_get_regions(pm_ptmalloc_get_heap(ptmalloc), &count);
    for (gsize i = 0; i < count; i++)
        g_array_append_val(own, regions[i].range);
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            PmRange heap = {arenas[i].heaps[j].start, arenas[i].heaps[j].end};
            /* The reserve behind a thread heap holds nothing; gcore writes it out as zeros. */
            if (arenas[i].kind == PM_ARENA_THREAD)
                heap.end = MAX(heap.end, heap.start + pm_ptmalloc_get_heap_max_bytes(ptmalloc));
            g_array_append_val(own, heap);
        }
    }
    g_array_sort(own, compare_ranges);
    for (guint i = 0; i < own->len; i++)
        exclude(roots, g_array_index(own, PmRange, i));
}

/* The mapping that holds @address. */
static PmRange
get_mapping(const PmRoots *roots, PmAddr address)
{
    const PmSegment *segment = pm_image_find_segment(roots->subject->image, address);
    if (segment == NULL)
        return (PmRange){address, address};
    return (PmRange){segment->start, segment->start + segment->mapped_bytes};
}

/*
 * The DTV, where it is no chunk: ld.so makes the main thread's before there is a malloc.
 */
static void
claim_dtv(PmRoots *roots, const PmThread *thread)
{
    const PmRoot root = {.kind = PM_ROOT_TLS, .tid = thread->tid};
    const guint64 slot_bytes = 2 * (guint64)pm_image_get_target(roots->subject->image)->word_bytes;
    const guint64 slots = pm_process_get_dtv_slots(roots->subject->process, thread);
    if (thread->dtv != PM_ADDR_NONE && thread->dtv >= slot_bytes && slots > 0)
        claim(roots, (PmRange){thread->dtv - slot_bytes, thread->dtv + (slots + 1) * slot_bytes},
              &root);
}

/* The thread-locals of a running thread. */
static void
claim_thread_locals(PmRoots *roots, const PmThread *thread, PmRange stack)
{
    PmRoot root = {.kind = PM_ROOT_TLS, .tid = thread->tid};
    PmRange tls = thread->static_tls;
    if (thread->tp == PM_ADDR_NONE)
        return;
    if (pm_range_contains(stack, thread->tp))
        tls.end = stack.end;
    else if (pm_range_bytes(tls) > 0)
        tls.start = MAX(get_mapping(roots, thread->tp).start,
                        tls.start - MIN(tls.start, TLS_SURPLUS_BYTES));
    claim_dtv(roots, thread);
    claim(roots, (PmRange){tls.start, MIN(tls.end, thread->tp)}, &root);
    root.kind = PM_ROOT_THREAD_BLOCK;
    claim(roots, (PmRange){MAX(tls.start, thread->tp), tls.end}, &root);
}

static gboolean
is_bounded(const PmThread *thread, PmRange stack)
{
    return thread->sp != PM_ADDR_NONE && pm_range_contains(stack, thread->sp);
}

/* A thread whose SP lies elsewhere: what is live of its stack is not known, nor what it runs on. */
static void
claim_unbounded_stack(PmRoots *roots, const PmThread *thread, PmRange stack)
{
    const PmRoot root = {.kind = PM_ROOT_STACK_UNBOUNDED, .tid = thread->tid};
    claim(roots, stack, &root);
    if (thread->sp != PM_ADDR_NONE)
        claim(roots, get_mapping(roots, thread->sp), &root);
}

/*
 * Where the live part of @stack begins. Frames lie below SP where a handler runs on an alternate
 * stack that is itself part of the stack, an array in some caller's frame: then the signal frame
 * says how far down they reach.
 */
static PmAddr
find_live_start(const PmRoots *roots, const PmThread *thread, PmRange stack)
{
    const PmSpace *space = pm_process_get_space(roots->subject->process);
    PmAddr lowest = thread->sp;
    PmAddr at = pm_align_up(thread->sp, 8);
    const gboolean known = pm_image_get_target(roots->subject->image)->arch == PM_ARCH_X86_64;

    while (known && at < stack.end) {
        PmSpan span;
        pm_space_get_span(space, at, &span);
        const guint64 length = MIN(span.length_bytes, stack.end - at);
        for (guint64 i = 0; span.bytes != NULL && i + UC_BYTES <= length; i += 8) {
            const PmAddr start = pm_load_u64(span.bytes + i);
            const guint64 bytes = pm_load_u64(span.bytes + i + UC_SIZE_OFFSET);
            const PmAddr sp = pm_load_u64(span.bytes + i + UC_RSP_OFFSET);
            if (start >= stack.start && start <= at + i && bytes > at + i - start &&
                bytes <= stack.end - start && sp < start && pm_range_contains(stack, sp))
                lowest = MIN(lowest, sp);
        }
        if (at + length > G_MAXUINT64 - 8)
            break;
        at = pm_align_up(at + length, 8);
    }
    /* The other ABIs have none. */
    const guint64 red_zone =
        pm_image_get_target(roots->subject->image)->arch == PM_ARCH_X86_64 ? RED_ZONE_BYTES : 0;
    return MAX(stack.start, lowest - MIN(lowest, red_zone));
}

static gboolean
is_module_data(const PmRoots *roots, PmAddr address)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(roots->subject->process, &count);
    for (gsize i = 0; i < count; i++)
        for (gsize j = 0; j < modules[i].data_count; j++)
            if (pm_range_contains(modules[i].data[j], address))
                return TRUE;
    return FALSE;
}

/*
 * A thread on its own stack; what lies below SP is dead. But where only the mapping around SP is
 * known (a thread of a bare clone()) and that is a module's data, variables lie below the stack.
 */
static void
claim_bounded_stack(PmRoots *roots, const PmThread *thread, PmRange stack)
{
    const PmRoot root = {.kind = PM_ROOT_STACK, .tid = thread->tid};
    const PmAddr live = find_live_start(roots, thread, stack);
    const gboolean guessed = stack.start == thread->stack.start && stack.end == thread->stack.end;
    claim(roots, (PmRange){live, stack.end}, &root);
    if (!guessed || !is_module_data(roots, thread->sp))
        exclude(roots, (PmRange){stack.start, live});
}

/*
 * A thread that ended, whose stack glibc keeps: what it returned stands in its struct pthread until
 * it is joined; its stack and its thread-locals are dead. Once it is joined all of it is, also the
 * argument that it was started with.
 */
static void
claim_ended_thread(PmRoots *roots, const PmTcb *tcb)
{
    const PmRoot root = {.kind = PM_ROOT_THREAD_BLOCK};
    PmRange block = {tcb->tp, tcb->tp + THREAD_BLOCK_BYTES};
    if (pm_range_bytes(tcb->block) > 0)
        block.end = tcb->block.end;
    if (!tcb->spent)
        claim(roots, block, &root);
    exclude(roots, tcb->block);
}

static void
add_registers(PmRoots *roots, const PmThread *thread)
{
    gsize count = 0;
    const PmNote *notes = pm_image_get_notes(roots->subject->image, &count);
    PmRoot root = {.kind = PM_ROOT_REGISTERS,
                   .tid = thread->tid,
                   .bytes = thread->registers,
                   .byte_count = thread->registers_bytes,
                   .note_type = NT_PRSTATUS};
    if (thread->registers != NULL)
        g_array_append_val(roots->roots, root);
    for (gsize i = 0; i < thread->note_count && thread->first_note + i < count; i++) {
        const PmNote *note = &notes[thread->first_note + i];
        /* The vector registers, and with them the x87 and control words, which point nowhere. */
        if (note->type != NT_FPREGSET && note->type != NT_PRXFPREG && note->type != NT_X86_XSTATE)
            continue;
        root.bytes = note->desc;
        root.byte_count = note->desc_bytes;
        root.note_type = note->type;
        g_array_append_val(roots->roots, root);
    }
}

static void
read_guard(PmRoots *roots, const PmThread *thread)
{
    guint64 guard = 0;
    if (roots->guard_known || thread->tp == PM_ADDR_NONE ||
        pm_image_get_target(roots->subject->image)->arch != PM_ARCH_X86_64 ||
        !pm_space_read_word(pm_process_get_space(roots->subject->process),
                            thread->tp + GUARD_OFFSET_X86_64, &guard))
        return;
    roots->guard = guard;
    roots->guard_known = TRUE;
}

/*
 * Thread-locals first, then what a thread may run on that is not its own, and only then what is
 * dead: a thread may run on a part of another's stack that the other does not use.
 */
static void
claim_threads(PmRoots *roots)
{
    gsize count = 0;
    gsize tcb_count = 0;
    const PmThread *threads = pm_process_get_threads(roots->subject->process, &count);
    g_autofree PmTcb *tcbs = pm_process_find_tcbs(roots->subject->process, &tcb_count);
    g_autofree PmRange *stacks = g_new(PmRange, count + 1);
    g_autoptr(GHashTable) by_tp = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_autoptr(GHashTable) running = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (gsize i = 0; i < tcb_count; i++)
        g_hash_table_insert(by_tp, &tcbs[i].tp, &tcbs[i]);
    for (gsize i = 0; i < count; i++) {
        g_hash_table_add(running, (gpointer)&threads[i].tp);
        add_registers(roots, &threads[i]);
        read_guard(roots, &threads[i]);
        stacks[i] = pm_process_get_own_stack(roots->subject->process, &threads[i],
                                             g_hash_table_lookup(by_tp, &threads[i].tp));
        claim_thread_locals(roots, &threads[i], stacks[i]);
    }
    for (gsize i = 0; i < count; i++)
        if (!is_bounded(&threads[i], stacks[i]))
            claim_unbounded_stack(roots, &threads[i], stacks[i]);
    for (gsize i = 0; i < count; i++)
        if (is_bounded(&threads[i], stacks[i]))
            claim_bounded_stack(roots, &threads[i], stacks[i]);
    for (gsize i = 0; i < tcb_count; i++)
        if (!g_hash_table_contains(running, &tcbs[i].tp))
            claim_ended_thread(roots, &tcbs[i]);
}

/* Module data, and the pages that ld.so took for the link maps before there was a malloc. */
static void
claim_modules(PmRoots *roots)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(roots->subject->process, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRoot root = {.kind = PM_ROOT_MODULE_DATA, .module = &modules[i]};
        for (gsize j = 0; j < modules[i].data_count; j++)
            claim(roots, modules[i].data[j], &root);
    }
    for (gsize i = 0; i < count; i++) {
        const PmRoot root = {.kind = PM_ROOT_LOADER};
        if (modules[i].link_map != PM_ADDR_NONE)
            claim(roots, get_mapping(roots, modules[i].link_map), &root);
    }
}

static gboolean
is_shared_memory(const PmFileMapping *file)
{
    return g_str_has_prefix(file->path, "/dev/shm/") || g_str_has_prefix(file->path, "/dev/zero") ||
           g_str_has_prefix(file->path, "/SYSV") || g_str_has_prefix(file->path, "/memfd:");
}

/* What is left of the mappings: shared ones and files that can be written, and whatever no file
 * backs. Shared memory that can only be read may have been written through another mapping, or
 * before: it is a weak root. */
static void
claim_rest(PmRoots *roots)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(roots->subject->image, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRange range = {segments[i].start, segments[i].start + segments[i].mapped_bytes};
        const PmFileMapping *file =
            pm_image_find_file_mapping(roots->subject->image, segments[i].start);
        PmRoot root = {.kind = PM_ROOT_UNCLASSIFIED, .weak = TRUE};
        if (file != NULL) {
            const gboolean writable = (segments[i].flags & PF_W) != 0;
            const gboolean shared = is_shared_memory(file);
            if (!writable && !shared)
                continue;
            root.kind = shared ? PM_ROOT_SHARED : PM_ROOT_FILE;
            root.weak = !writable;
        }
        claim(roots, range, &root);
    }
}

/* Turns claims into roots. */
static void
freeze(PmRoots *roots)
{
    gsize count = 0;
    const PmInterval *intervals = pm_intervals_get(roots->claims, &count);
    roots->register_count = roots->roots->len;
    for (gsize i = 0; i < count; i++) {
        if (intervals[i].tag == TAG_EXCLUDED)
            continue;
        PmRoot root = g_array_index(roots->templates, PmRoot, intervals[i].tag);
        root.range = (PmRange){intervals[i].start, intervals[i].end};
        g_array_append_val(roots->roots, root);
    }
}

static void
measure_coverage(PmRoots *roots)
{
    const PmSpace *space = pm_process_get_space(roots->subject->process);
    PmRootCoverage *coverage = &roots->coverage;
    for (guint i = roots->register_count; i < roots->roots->len; i++) {
        const PmRoot *root = &g_array_index(roots->roots, PmRoot, i);
        PmAddr address = root->range.start;
        while (!root->weak && address < root->range.end) {
            PmSpan span;
            pm_space_get_span(space, address, &span);
            const guint64 bytes = MIN(span.length_bytes, root->range.end - address);
            const gboolean present =
                span.kind == PM_BYTES_DUMPED || span.kind == PM_BYTES_FROM_FILE;
            if (present)
                coverage->present_bytes += bytes;
            if (present || span.kind == PM_BYTES_LOST || span.kind == PM_BYTES_NOT_DUMPED)
                coverage->wanted_bytes += bytes;
            else
                coverage->never_written_bytes += bytes;
            address += bytes;
        }
    }
}

PmRoots *
pm_roots_new(const PmSubject *subject)
{
    PmRoots *roots = g_new0(PmRoots, 1);
    roots->subject = subject;
    roots->roots = g_array_new(FALSE, FALSE, sizeof(PmRoot));
    roots->claims = pm_intervals_new();
    roots->templates = g_array_new(FALSE, FALSE, sizeof(PmRoot));
    claim_heaps(roots);
    claim_threads(roots);
    claim_modules(roots);
    claim_rest(roots);
    freeze(roots);
    measure_coverage(roots);
    return roots;
}

void
pm_roots_free(PmRoots *roots)
{
    if (roots == NULL)
        return;
    g_array_unref(roots->roots);
    pm_intervals_free(roots->claims);
    g_array_unref(roots->templates);
    g_free(roots);
}

const PmRoot *
pm_roots_get(const PmRoots *roots, gsize *ret_count)
{
    *ret_count = roots->roots->len;
    return (const PmRoot *)(gpointer)roots->roots->data;
}

void
pm_roots_get_coverage(const PmRoots *roots, PmRootCoverage *ret_coverage)
{
    *ret_coverage = roots->coverage;
}

gboolean
pm_roots_get_guard(const PmRoots *roots, guint64 *ret_guard)
{
    if (roots->guard_known)
        *ret_guard = roots->guard;
    return roots->guard_known;
}

const PmSubject *
pm_roots_get_subject(const PmRoots *roots)
{
    return roots->subject;
}
