/*
 * The thread control blocks that glibc keeps: of live threads, and of those that ended but whose
 * stack is cached for reuse or not joined yet. Found through the lists that every struct pthread is
 * linked into, without symbols.
 */
#pragma once

#include "process/process.h"

/* Which of glibc's lists a control block is on (nptl/allocatestack.c). */
typedef enum {
    PM_STACK_LIST_NONE,  /* on none, or on one that could not be told from the others */
    PM_STACK_LIST_USED,  /* stacks that glibc made, of threads that run or were not joined yet */
    PM_STACK_LIST_CACHE, /* stacks that glibc made and keeps for the next thread */
    PM_STACK_LIST_USER,  /* the main thread, and stacks that the program made */
} PmStackList;

/*
 * @tid: 0 for a thread that ended; from 2.43 on it may keep its number. @dtv: address of dtv[0], or
 * PM_ADDR_NONE.
 * @spent: it ended, and was joined or detached: nothing in its block will be read again. (x86-64;
 * else only where it was joined, or where its list tells)
 * @block: the whole stack as glibc mapped it, guard included, with the control block near its end;
 * empty for the main thread, whose stack the kernel made, and where it cannot be told.
 * @guard_bytes: of the block, at its start; 0 where there is none or it cannot be told.
 */
typedef struct {
    PmAddr tp;
    PmAddr dtv;
    guint32 tid;
    gboolean spent;
    PmStackList list;
    PmRange block;
    guint64 guard_bytes;
} PmTcb;

/*
 * All thread control blocks, each once; those of pm_process_get_threads() first.
 *
 * Returns: (transfer full): NULL where there are none.
 */
PmTcb *pm_process_find_tcbs(const PmProcess *process, gsize *ret_count);

/*
 * The control block at @tp, which no list led to: told by its shape and by a stack around it.
 *
 * Returns: FALSE where there is none; @ret_tcb then untouched. list is PM_STACK_LIST_NONE.
 */
gboolean pm_process_read_tcb(const PmProcess *process, PmAddr tp, PmTcb *ret_tcb);

/*
 * The stack that belongs to @thread, which need not be the one that it runs on: glibc's block, or
 * the mapping of the kernel's own stack for the main thread, known by AT_RANDOM, which the kernel
 * puts at its base; else thread->stack.
 *
 * @tcb: (nullable): of the thread.
 */
PmRange pm_process_get_own_stack(const PmProcess *process, const PmThread *thread,
                                 const PmTcb *tcb);
