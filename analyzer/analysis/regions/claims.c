/*
 * What is known to own memory: malloc's heaps, the stacks that glibc and the threads' registers
 * tell of, the loaded modules. Lists of claims are laid over each other, the surest on top.
 */
#include "analysis/regions/regions-private.h"

#include "process/stacks.h"

#include <elf.h>

/* How far above a stack pointer a signal frame is looked for, in windows of PM_STACK_TOP_BYTES. */
#define SIGNAL_WINDOWS       4
#define SIGNAL_STACK_MIN     2048 /* MINSIGSTKSZ of <linux/signal.h> */
#define SIGNAL_STACK_MAX     (G_GUINT64_CONSTANT(64) << 20)
#define UC_FLAGS_MAX         0xf
#define SS_FLAGS_KNOWN       0x80000003U /* SS_AUTODISARM, SS_DISABLE, SS_ONSTACK */
#define UCONTEXT_STACK_BYTES 40
#define UCONTEXT_ALIGNMENT   16 /* both kernels align the frame that it is part of */

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
 * The alternate stack that a signal frame says it is on. @bytes: of what may be its struct
 * ucontext, which on 64 bit begins uc_flags, uc_link (the kernel leaves it 0), ss_sp, ss_flags,
 * ss_size.
 */
static gboolean
read_signal_stack(const guint8 *bytes, PmAddr address, PmRange *ret_stack)
{
    const PmAddr start = pm_load_u64(bytes + 16);
    const guint64 size_bytes = pm_load_u64(bytes + 32);
    if (start == 0 || start > address || address - start > SIGNAL_STACK_MAX ||
        size_bytes <= address - start || size_bytes < SIGNAL_STACK_MIN ||
        size_bytes > SIGNAL_STACK_MAX || pm_load_u64(bytes) > UC_FLAGS_MAX ||
        pm_load_u64(bytes + 8) != 0 || (pm_load_u32(bytes + 24) & ~SS_FLAGS_KNOWN) != 0)
        return FALSE;
    *ret_stack = (PmRange){start, start + size_bytes};
    return TRUE;
}

gboolean
pm_regions_find_signal_stack(const PmSpace *space, const PmStackTop *top, PmRange *ret_stack)
{
    if (pm_space_get_target(space)->arch == PM_ARCH_I386)
        return FALSE;
    for (guint i = 0; i < top->count; i++) {
        const PmSpan *span = &top->spans[i];
        const guint64 first = pm_align_up(span->start, UCONTEXT_ALIGNMENT) - span->start;
        for (guint64 at = first; at + UCONTEXT_STACK_BYTES <= span->length_bytes;
             at += UCONTEXT_ALIGNMENT)
            if (read_signal_stack(span->bytes + at, span->start + at, ret_stack))
                return TRUE;
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

/* The alternate stack that @thread runs on, by the signal frame somewhere above its stack pointer.
 */
static gboolean
find_signal_stack_above(const PmSubject *subject, const PmThread *thread, PmRange *ret_stack)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    PmStackTop top;
    PmAddr at = thread->sp;
    for (guint i = 0; i < SIGNAL_WINDOWS && at < thread->stack.end; i++) {
        const PmAddr end = at + MIN(thread->stack.end - at, PM_STACK_TOP_BYTES);
        PmRange stack;
        pm_stack_top_read(space, (PmRange){at, end}, &top);
        if (pm_regions_find_signal_stack(space, &top, &stack) &&
            pm_range_contains(stack, thread->sp)) {
            *ret_stack = stack;
            return TRUE;
        }
        at = end;
    }
    return FALSE;
}

/* Where @thread runs, which is not the stack that it owns. */
static void
claim_running(Stacks *stacks, const PmThread *thread)
{
    PmRange stack;
    PmRegion like = {.arena = PM_ADDR_NONE, .tid = thread->tid, .proof = PM_STACK_BY_SIGNAL_FRAME};
    if (thread->sp == PM_ADDR_NONE || pm_range_bytes(thread->stack) == 0)
        return;
    if (find_signal_stack_above(stacks->subject, thread, &stack)) {
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
