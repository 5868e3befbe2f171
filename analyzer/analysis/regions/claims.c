/*
 * What is known to own memory: malloc's heaps, the stacks that glibc and the threads' registers
 * tell of, the loaded modules. Lists of claims are laid over each other, the surest on top.
 */
#include "analysis/regions/regions-private.h"

#include "process/stacks.h"

#include <elf.h>

#define SIGNAL_SEARCH_BYTES  65536
#define SIGNAL_STACK_MIN     2048 /* MINSIGSTKSZ of <linux/signal.h> */
#define SIGNAL_STACK_MAX     (G_GUINT64_CONSTANT(64) << 20)
#define UC_FLAGS_MAX         0xf
#define SS_FLAGS_KNOWN       0x80000003U /* SS_AUTODISARM, SS_DISABLE, SS_ONSTACK */
#define UCONTEXT_STACK_WORDS 5

static void
add_claim(GArray *claims, PmRegionKind kind, PmRange range, const PmRegion *like)
{
    PmRegion claim = *like;
    claim.kind = kind;
    claim.range = (PmRange){pm_align_down(range.start, PM_REGION_PAGE_BYTES),
                            pm_align_up(range.end, PM_REGION_PAGE_BYTES)};
    if (claim.range.start < claim.range.end)
        g_array_append_val(claims, claim);
}

static GArray *
new_list(void)
{
    return g_array_new(FALSE, FALSE, sizeof(PmRegion));
}

/* Lays @layer, which is settled and freed, over @claims, which is freed. */
static GArray *
lay(GArray *claims, GArray *layer)
{
    pm_regions_settle(layer);
    GArray *result = pm_regions_overlay(claims, layer);
    g_array_unref(claims);
    g_array_unref(layer);
    return result;
}

/* A page that two PT_LOADs share belongs to the later one, which the loader maps over the other. */
static void
claim_loads(GArray *claims, const PmModule *module, const PmRegion *like)
{
    for (gsize i = 0; i < module->load_count; i++) {
        const PmModuleLoad *load = &module->loads[i];
        PmRange range = load->range;
        if (i + 1 < module->load_count && module->loads[i + 1].range.start > range.start)
            range.end = MIN(range.end, module->loads[i + 1].range.start);
        if (load->flags & PF_X) {
            add_claim(claims, PM_REGION_MODULE_TEXT, range, like);
        } else if (!(load->flags & PF_W)) {
            add_claim(claims, PM_REGION_MODULE_RODATA, range, like);
        } else {
            const PmAddr file_end = MIN(load->file_end, range.end);
            add_claim(claims, PM_REGION_MODULE_DATA, (PmRange){range.start, file_end}, like);
            add_claim(claims, PM_REGION_MODULE_BSS, (PmRange){file_end, range.end}, like);
        }
    }
}

static GArray *
claim_modules(GArray *claims, const PmProcess *process)
{
    GArray *loads = new_list();
    GArray *relros = new_list();
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRegion like = {.path = modules[i].path, .arena = PM_ADDR_NONE};
        const PmRange extent = {modules[i].start, modules[i].end};
        if (modules[i].is_vdso)
            add_claim(loads, PM_REGION_VDSO, extent, &like);
        else if (modules[i].load_count == 0)
            add_claim(loads, PM_REGION_MODULE_RODATA, extent, &like);
        else
            claim_loads(loads, &modules[i], &like);
        add_claim(relros, PM_REGION_MODULE_RELRO, modules[i].relro, &like);
    }
    return lay(lay(claims, loads), relros);
}

/*
 * The alternate stack that a signal frame at @address says it is on: struct ucontext of Linux on
 * 64 bit is uc_flags, uc_link (the kernel leaves it 0), ss_sp, ss_flags, ss_size.
 */
static gboolean
read_signal_stack(const PmSpace *space, PmAddr address, PmRange *ret_stack)
{
    guint64 words[UCONTEXT_STACK_WORDS];
    guint8 bytes[sizeof words];
    PmRange stack;
    if (!pm_space_read(space, address, bytes, sizeof bytes))
        return FALSE;
    for (guint i = 0; i < UCONTEXT_STACK_WORDS; i++)
        words[i] = pm_load_u64(bytes + (gsize)8 * i);
    stack.start = words[2];
    if (words[0] > UC_FLAGS_MAX || words[1] != 0 || ((guint32)words[3] & ~SS_FLAGS_KNOWN) != 0 ||
        words[4] < SIGNAL_STACK_MIN || words[4] > SIGNAL_STACK_MAX ||
        !pm_addr_add(stack.start, words[4], &stack.end) || !pm_range_contains(stack, address))
        return FALSE;
    *ret_stack = stack;
    return TRUE;
}

gboolean
pm_regions_find_signal_stack(const PmSubject *subject, PmRange range, PmRange *ret_stack)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    if (pm_space_get_target(space)->arch == PM_ARCH_I386)
        return FALSE;
    for (PmAddr at = pm_align_up(range.start, 8); at < range.end;) {
        PmSpan span;
        pm_space_get_span(space, at, &span);
        const PmAddr end = MIN(range.end, span.start + span.length_bytes);
        for (; span.bytes != NULL && at < end; at += 8) {
            /* ss_sp is never below the page that it is in; a quick look before all is read. */
            if (end - at >= 8 && pm_load_u64(span.bytes + (at - span.start)) <= UC_FLAGS_MAX &&
                read_signal_stack(space, at, ret_stack))
                return TRUE;
        }
        at = MAX(at, pm_align_up(end, 8));
    }
    return FALSE;
}

/*
 * The lists that threads claim by: @blocks, what glibc or the kernel made for them; @signals, the
 * alternate stacks that they run on; @running, the mappings that their stack pointers lie in.
 */
typedef struct {
    const PmSubject *subject;
    GArray *blocks;
    GArray *signals;
    GArray *running;
} Stacks;

static void
claim_block(Stacks *stacks, PmRegionKind kind, const PmTcb *tcb, guint32 tid)
{
    const PmAddr start = tcb->block.start + tcb->guard_bytes;
    const PmRegion like = {.arena = PM_ADDR_NONE,
                           .tid = tid,
                           .proof = PM_STACK_BY_LIST,
                           .guard_bytes = tcb->guard_bytes};
    const PmRegion guard = {.arena = PM_ADDR_NONE, .tid = tid};
    add_claim(stacks->blocks, PM_REGION_GUARD, (PmRange){tcb->block.start, start}, &guard);
    add_claim(stacks->blocks, kind, (PmRange){start, tcb->block.end}, &like);
}

/* Where @thread runs, which is not the stack that it owns. */
static void
claim_running(Stacks *stacks, const PmThread *thread)
{
    PmRange stack;
    PmAddr end = 0;
    PmRegion like = {.arena = PM_ADDR_NONE, .tid = thread->tid, .proof = PM_STACK_BY_SIGNAL_FRAME};
    if (thread->sp == PM_ADDR_NONE || pm_range_bytes(thread->stack) == 0)
        return;
    if (!pm_addr_add(thread->sp, SIGNAL_SEARCH_BYTES, &end))
        end = PM_ADDR_NONE;
    const PmRange search = {thread->sp, MIN(end, thread->stack.end)};
    if (pm_regions_find_signal_stack(stacks->subject, search, &stack) &&
        pm_range_contains(stack, thread->sp)) {
        add_claim(stacks->signals, PM_REGION_STACK_SIGNAL, stack, &like);
        return;
    }
    like.proof = PM_STACK_BY_REGISTERS;
    add_claim(stacks->running, PM_REGION_STACK_LIVE, thread->stack, &like);
}

/* @tcb: (nullable). */
static void
claim_thread(Stacks *stacks, const PmThread *thread, const PmTcb *tcb)
{
    const PmProcess *process = stacks->subject->process;
    const PmRange own = pm_process_get_own_stack(process, thread, tcb);
    const gboolean has_block = tcb != NULL && pm_range_bytes(tcb->block) > 0;
    const gboolean is_main =
        !has_block && thread->tid == pm_process_get_info(process)->pid && pm_range_bytes(own) > 0;
    if (thread->recovered && has_block && (thread->tid == 0 || tcb->spent)) {
        claim_block(stacks, tcb->spent ? PM_REGION_STACK_CACHED : PM_REGION_STACK_UNJOINED, tcb, 0);
        return;
    }
    if (has_block) {
        claim_block(stacks, PM_REGION_STACK_LIVE, tcb, thread->tid);
    } else if (is_main) {
        const PmRegion like = {
            .arena = PM_ADDR_NONE, .tid = thread->tid, .proof = PM_STACK_BY_REGISTERS};
        add_claim(stacks->blocks, PM_REGION_STACK_MAIN, own, &like);
    }
    if (!(has_block || is_main) || !pm_range_contains(own, thread->sp))
        claim_running(stacks, thread);
}

static GArray *
claim_stacks(GArray *claims, const PmSubject *subject, gboolean *ret_listed)
{
    Stacks stacks = {subject, new_list(), new_list(), new_list()};
    gboolean listed = FALSE;
    gsize count = 0, tcb_count = 0;
    const PmThread *threads = pm_process_get_threads(subject->process, &count);
    g_autofree PmTcb *tcbs = pm_process_find_tcbs(subject->process, &tcb_count);
    g_autoptr(GHashTable) by_tp = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_autoptr(GHashTable) running = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (gsize i = 0; i < tcb_count; i++) {
        g_hash_table_insert(by_tp, &tcbs[i].tp, &tcbs[i]);
        listed = listed || tcbs[i].list != PM_STACK_LIST_NONE;
    }
    for (gsize i = 0; i < count; i++) {
        g_hash_table_add(running, (gpointer)&threads[i].tp);
        claim_thread(&stacks, &threads[i], g_hash_table_lookup(by_tp, &threads[i].tp));
    }
    for (gsize i = 0; i < tcb_count; i++) {
        if (g_hash_table_contains(running, &tcbs[i].tp) || pm_range_bytes(tcbs[i].block) == 0)
            continue;
        claim_block(&stacks, tcbs[i].spent ? PM_REGION_STACK_CACHED : PM_REGION_STACK_UNJOINED,
                    &tcbs[i], 0);
    }
    *ret_listed = listed;
    return lay(lay(lay(claims, stacks.running), stacks.blocks), stacks.signals);
}

/* What arenas may still grow to is theirs where it cannot be written yet: flags_known says so. */
static GArray *
claim_heaps(GArray *claims, const PmPtmalloc *ptmalloc)
{
    GArray *reserves = new_list();
    GArray *heaps = new_list();
    const guint64 reserve_bytes = pm_ptmalloc_get_heap_max_bytes(ptmalloc);
    gsize count = 0;
    const PmArena *arenas = pm_ptmalloc_get_arenas(ptmalloc, &count);
    for (gsize i = 0; i < count; i++) {
        const gboolean is_main = arenas[i].kind == PM_ARENA_MAIN;
        PmRegion like = {.arena = arenas[i].address};
        for (gsize j = 0; j < arenas[i].heap_count; j++) {
            const PmArenaHeap *heap = &arenas[i].heaps[j];
            PmAddr reserve_end = 0;
            like.flags_known = FALSE;
            add_claim(heaps, is_main ? PM_REGION_MAIN_HEAP : PM_REGION_ARENA_HEAP,
                      (PmRange){heap->start, heap->end}, &like);
            like.flags_known = TRUE;
            if (!is_main &&
                pm_addr_add(pm_align_down(heap->start, reserve_bytes), reserve_bytes, &reserve_end))
                add_claim(reserves, PM_REGION_ARENA_HEAP, (PmRange){heap->end, reserve_end}, &like);
        }
    }
    const PmHeapRegion *regions = pm_heap_get_regions(pm_ptmalloc_get_heap(ptmalloc), &count);
    for (gsize i = 0; i < count; i++) {
        const PmRegion like = {.arena = PM_ADDR_NONE};
        if (regions[i].mmapped)
            add_claim(heaps, PM_REGION_MMAPPED_CHUNK, regions[i].range, &like);
    }
    return lay(lay(claims, reserves), heaps);
}

GArray *
pm_regions_list_claims(const PmSubject *subject, gboolean *ret_listed)
{
    GArray *claims = claim_modules(new_list(), subject->process);
    claims = claim_stacks(claims, subject, ret_listed);
    return subject->ptmalloc == NULL ? claims : claim_heaps(claims, subject->ptmalloc);
}
