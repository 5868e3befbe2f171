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

#define BLOCKS 3

/*
 * struct pthread: `list` and `tid`. nptl/descr.h: behind a header that the ABI fixes, the same
 * from 2.17 to 2.44. @blocks: where stackblock, stackblock_size and guardsize stand, of which 0
 * ends the list: x86-64 the same from 2.31 to 2.44; i386 2.36 to 2.41, 2.43 and later, 2.31.
 */
typedef struct {
    guint list;
    guint tid;
    guint blocks[BLOCKS];
    guint joinid; /* from here to the block lies joinid; 0 where that is not known */
} PthreadLayout;

static const PthreadLayout layout_x86_64 = {0x2c0, 0x2d0, {0x690, 0, 0}, 0x610};
static const PthreadLayout layout_i386 = {0x60, 0x68, {0x260, 0x268, 0x270}, 0};

/* A control block with the head of the list that it was met on, or PM_ADDR_NONE. @is_thread: of a
 * thread that the core tells of; @is_live: and notes the registers of. */
typedef struct {
    PmTcb tcb;
    PmAddr head;
    gboolean is_thread;
    gboolean is_live;
} Found;

typedef struct {
    const PmProcess *process;
    const PmSpace *space;
    const PthreadLayout *layout;
    guint64 word_bytes;
    GArray *found;      /* Found */
    GHashTable *seen;   /* control block → its index in @found, plus 1 */
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
 * What struct pthread says at @offset of the stack: believed where the control block lies near the
 * end of it.
 */
static gboolean
read_block_at(const Finder *finder, PmAddr tp, guint offset, PmTcb *tcb)
{
    const guint64 word = finder->word_bytes;
    guint64 start = 0, bytes = 0, guard = 0;
    PmAddr end = 0;
    if (!pm_space_read_word(finder->space, tp + offset, &start) ||
        !pm_space_read_word(finder->space, tp + offset + word, &bytes) ||
        !pm_addr_add(start, bytes, &end))
        return FALSE;
    /* A stack that the program made (pthread_attr_setstack) may begin anywhere. */
    if (start == 0 || tp <= start || tp >= end || end - tp > 65536)
        return FALSE;
    tcb->block = (PmRange){start, end};
    if (pm_space_read_word(finder->space, tp + offset + 2 * word, &guard) && guard % 4096 == 0 &&
        start % 4096 == 0 && guard < tp - start)
        tcb->guard_bytes = guard;
    return TRUE;
}

/*
 * Whether the thread ended and nobody will ask what it returned. pthread_join() leaves -1 as tid;
 * of a detached thread `joinid` is its own address. (nptl: pthread_join_common.c, IS_DETACHED)
 */
static gboolean
is_spent(const Finder *finder, const PmTcb *tcb)
{
    const PthreadLayout *layout = finder->layout;
    if (tcb->tid == TID_JOINED)
        return TRUE;
    for (guint at = layout->joinid; layout->joinid != 0 && tcb->tid == 0 && at < layout->blocks[0];
         at += 8) {
        guint64 word = 0;
        if (pm_space_read_word(finder->space, tcb->tp + at, &word) && word == tcb->tp)
            return TRUE;
    }
    return FALSE;
}

/* @tcb: with its thread pointer. */
static void
read_tcb(const Finder *finder, PmTcb *tcb)
{
    const PmAddr tp = tcb->tp;
    pm_space_read_word(finder->space, tp + finder->word_bytes, &tcb->dtv);
    pm_space_read_u32(finder->space, tp + finder->layout->tid, &tcb->tid);
    for (guint i = 0; i < BLOCKS && finder->layout->blocks[i] != 0; i++)
        if (read_block_at(finder, tp, finder->layout->blocks[i], tcb))
            break;
    tcb->spent = is_spent(finder, tcb);
}

static void
add_tcb(Finder *finder, PmAddr tp, PmAddr head)
{
    Found found = {{.tp = tp, .dtv = PM_ADDR_NONE}, head, FALSE, FALSE};
    g_hash_table_add(finder->listed, GSIZE_TO_POINTER((gsize)tp));
    const guint seen =
        GPOINTER_TO_UINT(g_hash_table_lookup(finder->seen, GSIZE_TO_POINTER((gsize)tp)));
    if (seen != 0) {
        Found *first = &g_array_index(finder->found, Found, seen - 1);
        if (first->head == PM_ADDR_NONE)
            first->head = head;
        return;
    }
    if (finder->found->len >= TCBS_MAX)
        return;
    read_tcb(finder, &found.tcb);
    g_array_append_val(finder->found, found);
    g_hash_table_insert(finder->seen, GSIZE_TO_POINTER((gsize)tp),
                        GUINT_TO_POINTER(finder->found->len));
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
        add_tcb(finder, tp, head);
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

/* What the control blocks on one list tell of it. */
typedef struct {
    gboolean has_main;  /* a live thread without a block */
    gboolean has_live;  /* a live thread on a stack of glibc's */
    gboolean has_spent; /* a thread that was joined or detached */
} Members;

static gboolean
is_in_interpreter(const PmProcess *process, PmAddr address)
{
    const PmModule *module = pm_process_find_module(process, address);
    return module != NULL && module->is_interpreter;
}

/*
 * Which list begins at @head. Where its members do not tell, its place does: from 2.34 on the heads
 * stand in _rtld_global in the order used, user, cache (ldsodefs.h); @user: that of the main
 * thread.
 */
static PmStackList
tell_list(const Finder *finder, const Members *members, PmAddr head, PmAddr user)
{
    const guint64 head_bytes = 2 * finder->word_bytes;
    if (head == user || members->has_main)
        return PM_STACK_LIST_USER;
    if (user != PM_ADDR_NONE && is_in_interpreter(finder->process, user)) {
        if (head == user + head_bytes)
            return PM_STACK_LIST_CACHE;
        if (head == user - head_bytes)
            return PM_STACK_LIST_USED;
    }
    if (members->has_live)
        return PM_STACK_LIST_USED;
    return members->has_spent ? PM_STACK_LIST_CACHE : PM_STACK_LIST_USED;
}

static Members *
get_members(GHashTable *lists, PmAddr head)
{
    Members *members = g_hash_table_lookup(lists, GSIZE_TO_POINTER((gsize)head));
    if (members == NULL) {
        members = g_new0(Members, 1);
        g_hash_table_insert(lists, GSIZE_TO_POINTER((gsize)head), members);
    }
    return members;
}

static void
tell_lists(Finder *finder)
{
    g_autoptr(GHashTable) lists =
        g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    PmAddr user = PM_ADDR_NONE;
    for (guint i = 0; i < finder->found->len; i++) {
        const Found *found = &g_array_index(finder->found, Found, i);
        if (found->head == PM_ADDR_NONE)
            continue;
        Members *members = get_members(lists, found->head);
        const gboolean has_block = pm_range_bytes(found->tcb.block) > 0;
        members->has_main = members->has_main || (found->is_thread && !has_block);
        members->has_live = members->has_live || (found->is_live && has_block);
        members->has_spent = members->has_spent || found->tcb.spent;
        if (members->has_main)
            user = found->head;
    }
    for (guint i = 0; i < finder->found->len; i++) {
        Found *found = &g_array_index(finder->found, Found, i);
        if (found->head == PM_ADDR_NONE)
            continue;
        found->tcb.list = tell_list(finder, get_members(lists, found->head), found->head, user);
        found->tcb.spent = found->tcb.spent || found->tcb.list == PM_STACK_LIST_CACHE;
    }
}

static void
init_finder(Finder *finder, const PmProcess *process)
{
    const PmTarget *target = pm_space_get_target(pm_process_get_space(process));
    *finder = (Finder){
        .process = process,
        .space = pm_process_get_space(process),
        .layout = target->arch == PM_ARCH_I386 ? &layout_i386 : &layout_x86_64,
        .word_bytes = target->word_bytes,
    };
}

static gboolean
is_x86(const PmProcess *process)
{
    return pm_image_get_target(process->image)->arch != PM_ARCH_AARCH64;
}

gboolean
pm_process_read_tcb(const PmProcess *process, PmAddr tp, PmTcb *ret_tcb)
{
    Finder finder;
    PmTcb tcb = {.tp = tp, .dtv = PM_ADDR_NONE};
    init_finder(&finder, process);
    if (!is_x86(process) || !is_tcb(&finder, tp))
        return FALSE;
    read_tcb(&finder, &tcb);
    if (pm_range_bytes(tcb.block) == 0)
        return FALSE;
    *ret_tcb = tcb;
    return TRUE;
}

PmTcb *
pm_process_find_tcbs(const PmProcess *process, gsize *ret_count)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GHashTable) listed = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GHashTable) heads = g_hash_table_new(g_direct_hash, g_direct_equal);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Found));
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    Finder finder;
    init_finder(&finder, process);
    finder.found = found;
    finder.seen = seen;
    finder.listed = listed;

    for (gsize i = 0; i < count; i++) {
        Found one = {{.tp = threads[i].tp, .dtv = threads[i].dtv, .tid = threads[i].tid},
                     PM_ADDR_NONE,
                     TRUE,
                     !threads[i].recovered};
        if (one.tcb.tp == PM_ADDR_NONE ||
            g_hash_table_contains(seen, GSIZE_TO_POINTER((gsize)one.tcb.tp)))
            continue;
        if (is_x86(process)) {
            PmTcb read = {.tp = one.tcb.tp, .dtv = PM_ADDR_NONE};
            read_tcb(&finder, &read);
            one.tcb.block = read.block;
            one.tcb.guard_bytes = read.guard_bytes;
            one.tcb.spent = threads[i].recovered && read.spent;
        }
        g_array_append_val(found, one);
        g_hash_table_insert(seen, GSIZE_TO_POINTER((gsize)one.tcb.tp),
                            GUINT_TO_POINTER(found->len));
    }
    if (is_x86(process))
        search_lists(&finder, threads, count, heads);
    tell_lists(&finder);

    *ret_count = found->len;
    PmTcb *tcbs = found->len == 0 ? NULL : g_new(PmTcb, found->len);
    for (guint i = 0; i < found->len; i++)
        tcbs[i] = g_array_index(found, Found, i).tcb;
    return tcbs;
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
