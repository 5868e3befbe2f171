/*
 * Stands before the functions that end a program; see hook-exit.h.
 */
#include "hook-exit.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The next definition of one of the functions below. */
static void *
find_next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

void
exit(int status)
{
    hook_exit_reached();
    ((void (*)(int))find_next("exit"))(status);
    __builtin_unreachable();
}

void
_exit(int status)
{
    hook_exit_reached();
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}

void
_Exit(int status)
{
    _exit(status);
}

void
abort(void)
{
    hook_exit_reached();
    ((void (*)(void))find_next("abort"))();
    __builtin_unreachable();
}

typedef int (*MainFunction)(int argc, char **argv, char **variables);

static MainFunction real_main;

static int
run_main(int argc, char **argv, char **variables)
{
    exit(real_main(argc, argv, variables));
}

/* libc calls its own exit() after main, past this library's. */
typedef int (*StartFunction)(MainFunction main, int argc, char **argv, void (*init)(void),
                             void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(MainFunction main, int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

int
/* NOLINTNEXTLINE(readability-function-size): glibc's parameters */
__libc_start_main(MainFunction main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                  void (*rtld_fini)(void), void *stack_end)
{
    real_main = main;
    StartFunction next = (StartFunction)find_next("__libc_start_main");
    return next(run_main, argc, argv, init, fini, rtld_fini, stack_end);
}
