/*
 * Cores of children that die in known chains of calls. The functions of the chains say where a
 * variable of theirs is, so that a test knows which frame owns it.
 */
#pragma once

#include <glib.h>

/* The size of the stack that the signal handler runs on. */
#define CHAIN_ALTERNATE_BYTES (1u << 18)
/* More than an unwinder reports. */
#define CHAIN_RECURSIONS 3000

/*
 * Innermost first within each chain: the main thread's from CHAIN_HANDLED_INNER to CHAIN_RUN_CHILD,
 * with the signal's frames before CHAIN_INNER; a second thread's from CHAIN_THREAD_INNER to
 * CHAIN_RUN_THREAD. CHAIN_CALL_NOWHERE was called by CHAIN_RUN_CHILD.
 */
typedef enum {
    CHAIN_HANDLED_INNER,
    CHAIN_ON_SIGNAL,
    CHAIN_INNER,
    CHAIN_MIDDLE,
    CHAIN_OUTER,
    CHAIN_RUN_CHILD,
    CHAIN_THREAD_INNER,
    CHAIN_RUN_THREAD,
    CHAIN_CALL_NOWHERE,
    CHAIN_FUNCTIONS,
} ChainFunction;

/* Their names as symbols have them. The recursion's is "recurse". */
extern const char *const chain_names[CHAIN_FUNCTIONS];

/*
 * What the children say before they die.
 *
 * @slots: the address of a variable of each function. @alternate: where the alternate stack begins.
 */
typedef struct {
    guintptr slots[CHAIN_FUNCTIONS];
    guintptr alternate;
    gint ready;
} ChainFacts;

extern ChainFacts *chain_facts;

/* To be called once, before the first core is made. */
void chains_prepare(void);

/*
 * Forks a child that dumps its core into @folder.
 *
 * @calls_nowhere: it calls through NULL, without threads; otherwise it has all other chains.
 * @ret_skip_reason: (out): static; untouched unless NULL is returned.
 * Returns: (transfer full): the path of the core, named @name, or NULL where cores cannot be had
 *   here.
 */
char *chains_make_core(const char *folder, const char *name, gboolean calls_nowhere,
                       const char **ret_skip_reason);
