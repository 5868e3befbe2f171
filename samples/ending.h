/*
 * How the threads of a sample end: without a trace of an address in registers or in the dead part
 * of their stacks.
 */
#pragma once

#include <stdbool.h>

/* abort(), or with @stop SIGSTOP to the process (and abort() should it ever be continued). */
_Noreturn void ending_die(bool stop);

/* Sleeps forever. */
_Noreturn void ending_park(void);
