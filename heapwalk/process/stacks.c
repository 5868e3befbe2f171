#include "process/stacks.h"

#include "process/process-private.h"

#define TCBS_MAX (1u << 20)
/* Nodes that are looked at on all lists: one that is a loop without a head has none for any thread
 * on it. */
#define STEPS_MAX (8 * TCBS_MAX)
/* How far the heads of the other lists lie from the one that a thread leads to: they are neighbours
 * in _rtld_global (2.34 and later) or in libpthread's static data. */
#define HEADS_DISTANCE 0x8000
#define TID_JOINED     G_MAXUINT32

/*
 * struct pthread: `list` and `tid`. nptl/descr.h: behind a header that the ABI fixes, the same
 * from 2.17 to 2.44.
 */
typedef struct {
    guint list;
    guint tid;
    guint block;
    guint joinid; /* from here to `block` lies joinid */
} PthreadLayout;

static const PthreadLayout layout_x86_64 = {0x2c0, 0x2d0, 0x690, 0x610};
static const PthreadLayout layout_i386 = {0x60, 0x68, 0, 0};

typedef struct {
    const PmProcess *process;
    const PmSpace *space;
    const PthreadLayout *layout;
    guint64 word_bytes;
    GArray *tcbs; /* PmTcb */
    GHashTable *seen;
    guint steps;        /* nodes looked at */
    GHashTable *listed; /* control blocks met on a list */
} Finder;

/* x86: the control block begins with its own address, and repeats it in its third word. (nptl,
 * tcbhead_t) */
static gboolean
is_tcb(const Finder *finder, PmAddr tp)
{
    guint64 tcb = 0, self = 0;
    return pm_space_read_word(finder->space, tp, &tcb) && tcb == tp &&
           pm_space_read_word(finder->space, tp + 2 * finder->word_bytes, &self) && self == tp;
}

/*
 * struct pthread's stackblock and stackblock_size (the same offset from 2.31 to 2.44): believed
 * where the control block lies near the end of what they say.
 */
static PmRange
read_block(const Finder *finder, PmAddr tp)
{
    guint64 start = 0, bytes = 0;
    PmAddr end = 0;
    const PmRange none = {0, 0};
    if (finder->layout->block == 0 ||
        !pm_space_read_word(finder->space, tp + finder->layout->block, &start) ||
        !pm_space_read_word(finder->space, tp + finder->layout->block + finder->word_bytes,
                            &bytes) ||
        !pm_addr_add(start, bytes, &end))
        return none;
    /* A stack that the program made (pthread_attr_setstack) may begin anywhere. */
    if (start == 0 || tp <= start || tp >= end || end - tp > 65536)
        return none;
    return (PmRange){start, end};
}

/*
 * Whether the thread ended and nobody will ask what it returned. pthread_join() leaves -1 as tid;
 * of a detached thread `joinid` is its own address. (nptl: pthread_join_common.c, IS_DETACHED)
 */
static gboolean
is_spent(const Finder *finder, const PmTcb *tcb)
{
    if (tcb->tid == TID_JOINED)
        return TRUE;
    for (guint at = finder->layout->joinid; tcb->tid == 0 && at < finder->layout->block; at += 8) {
        guint64 word = 0;
        if (pm_space_read_word(finder->space, tcb->tp + at, &word) && word == tcb->tp)
            return TRUE;
    }
    return FALSE;
}

static void
add_tcb(Finder *finder, PmAddr tp)
{
    PmTcb tcb = {.tp = tp, .dtv = PM_ADDR_NONE};
    g_hash_table_add(finder->listed, GSIZE_TO_POINTER((gsize)tp));
    if (finder->tcbs->len >= TCBS_MAX ||
        !g_hash_table_add(finder->seen, GSIZE_TO_POINTER((gsize)tp)))
        return;
    pm_space_read_word(finder->space, tp + finder->word_bytes, &tcb.dtv);
    pm_space_read_u32(finder->space, tp + finder->layout->tid, &tcb.tid);
    tcb.block = read_block(finder, tp);
    tcb.spent = is_spent(finder, &tcb);
    g_array_append_val(finder->tcbs, tcb);
}

/*
 * Follows the list that @tp is on until it leaves the control blocks: there is its head.
 *
 * Returns: FALSE where the list is damaged or not in the core.
 */
static gboolean
find_head(Finder *finder, PmAddr tp, PmAddr *ret_head)
{
    PmAddr node = tp + finder->layout->list;
    for (; finder->steps < STEPS_MAX; finder->steps++) {
        if (!pm_space_read_word(finder->space, node, &node) || node < finder->layout->list)
            return FALSE;
        if (!is_tcb(finder, node - finder->layout->list)) {
            *ret_head = node;
            return TRUE;
        }
    }
    return FALSE;
}

/* Adds the control blocks of the list whose head may be at @head. */
static void
add_list(Finder *finder, PmAddr head)
{
    PmAddr node = 0, back = 0;
    if (!pm_space_read_word(finder->space, head, &node) || node < finder->layout->list ||
        !pm_space_read_word(finder->space, node + finder->word_bytes, &back) || back != head)
        return;
    for (; finder->steps < STEPS_MAX && node != head && node >= finder->layout->list;
         finder->steps++) {
        const PmAddr tp = node - finder->layout->list;
        if (!is_tcb(finder, tp))
            return;
        add_tcb(finder, tp);
        if (!pm_space_read_word(finder->space, node, &node))
            return;
    }
}

static void
search_lists(Finder *finder, const PmThread *threads, gsize count, GHashTable *heads)
{
    for (gsize i = 0; i < count; i++) {
        PmAddr head = 0;
        if (threads[i].tp == PM_ADDR_NONE ||
            g_hash_table_contains(finder->listed, GSIZE_TO_POINTER((gsize)threads[i].tp)) ||
            !is_tcb(finder, threads[i].tp) || !find_head(finder, threads[i].tp, &head) ||
            !g_hash_table_add(heads, GSIZE_TO_POINTER((gsize)head)))
            continue;
        const PmAddr start = head > HEADS_DISTANCE ? head - HEADS_DISTANCE : 0;
        for (PmAddr at = start; at < head + HEADS_DISTANCE && finder->steps < STEPS_MAX;
             at += finder->word_bytes, finder->steps++)
            add_list(finder, at);
    }
}

PmTcb *
pm_process_find_tcbs(const PmProcess *process, gsize *ret_count)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GHashTable) listed = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GHashTable) heads = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GArray) tcbs = g_array_new(FALSE, FALSE, sizeof(PmTcb));
    const PmSpace *space = pm_process_get_space(process);
    const PmTarget *target = pm_space_get_target(space);
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    Finder finder = {
        .process = process,
        .space = space,
        .layout = target->arch == PM_ARCH_I386 ? &layout_i386 : &layout_x86_64,
        .word_bytes = target->word_bytes,
        .tcbs = tcbs,
        .seen = seen,
        .listed = listed,
    };

    for (gsize i = 0; i < count; i++) {
        PmTcb tcb = {.tp = threads[i].tp, .dtv = threads[i].dtv, .tid = threads[i].tid};
        if (tcb.tp != PM_ADDR_NONE && g_hash_table_add(seen, GSIZE_TO_POINTER((gsize)tcb.tp))) {
            tcb.block = read_block(&finder, tcb.tp);
            g_array_append_val(tcbs, tcb);
        }
    }
    if (target->arch == PM_ARCH_X86_64 || target->arch == PM_ARCH_I386)
        search_lists(&finder, threads, count, heads);
    return (PmTcb *)(gpointer)g_array_steal(tcbs, ret_count);
}

PmRange
pm_process_get_own_stack(const PmProcess *process, const PmThread *thread, const PmTcb *tcb)
{
    guint64 at_random = 0;
    if (tcb != NULL && pm_range_bytes(tcb->block) > 0)
        return tcb->block;
    if (thread->tid != process->info.pid || thread->recovered ||
        !pm_process_get_auxv(process, AT_RANDOM, &at_random))
        return thread->stack;
    const PmSegment *segment = pm_image_find_segment(process->image, at_random);
    if (segment == NULL)
        return (PmRange){at_random, at_random};
    return (PmRange){segment->start, segment->start + segment->mapped_bytes};
}
