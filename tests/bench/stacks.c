/*
 * A process like case 3: COUNT thread stacks of 10,240 KB with a guard page each, made with mmap,
 * of which the topmost 80 KB are touched; and a small heap. It aborts; the core is as long as its
 * address space, and nearly all of it is a hole.
 *
 * Usage: stacks [COUNT]      (default 28000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_BYTES   ((size_t)10240 * 1024)
#define TOUCHED_BYTES ((size_t)80 * 1024)
#define GUARD_BYTES   ((size_t)4096)

static void
make_stack(void)
{
    char *stack = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE) != 0) {
        perror("stacks: mmap");
        exit(1);
    }
    memset(stack + GUARD_BYTES + STACK_BYTES - TOUCHED_BYTES, 0x5a, TOUCHED_BYTES);
}

int
main(int argc, char **argv)
{
    const unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 28000;
    for (unsigned long i = 0; i < count; i++) {
        make_stack();
        char *block = malloc(200);
        if (block != NULL)
            memset(block, 'x', 200);
    }
    abort();
}
