/*
 * The thread control blocks that glibc keeps: of live threads, and of those that ended but whose
 * stack is cached for reuse or not joined yet. Found through the lists that every struct pthread is
 * linked into, without symbols.
 */
#pragma once

#include "process/process.h"

/*
 * @tid: 0 for a thread that ended. @dtv: address of dtv[0], or PM_ADDR_NONE.
 * @spent: it ended, and was joined or detached: nothing in its block will be read again. (x86-64;
 * else only where it was joined)
 * @block: the whole stack as glibc mapped it, guard included, with the control block near its end;
 * empty for the main thread, whose stack the kernel made, and where it cannot be told.
 */
typedef struct {
    PmAddr tp;
    PmAddr dtv;
    guint32 tid;
    gboolean spent;
    PmRange block;
} PmTcb;

/*
 * All thread control blocks, each once; those of pm_process_get_threads() first.
 *
 * Returns: (transfer full): NULL where there are none.
 */
PmTcb *pm_process_find_tcbs(const PmProcess *process, gsize *ret_count);

/*
 * The stack that belongs to @thread, which need not be the one that it runs on: glibc's block, or
 * the mapping of the kernel's own stack for the main thread, known by AT_RANDOM, which the kernel
 * puts at its base; else thread->stack.
 *
 * @tcb: (nullable): of the thread.
 */
PmRange pm_process_get_own_stack(const PmProcess *process, const PmThread *thread,
                                 const PmTcb *tcb);
