#include "ptmalloc/violations.h"

/* The messages are malloc_printerr's (malloc.c). */
static const PmViolation violations[] = {
    {"chunk-size", "free(): invalid size / free(): invalid next size / free(): invalid pointer",
     "the header was overwritten, mostly by a write past the end of the chunk before it"},
    {"prev-size", "corrupted size vs. prev_size",
     "the last bytes of the free chunk before it, or this chunk's flags, were overwritten: a write "
     "past the end by one byte, or a write after free"},
    {"arena-flag", "free(): invalid pointer",
     "the low byte of the size field was overwritten: a write past the end by one byte"},
    {"top-size", "malloc(): corrupted top size",
     "the last chunk before the unused end of the heap was written past its end"},
    {"heap-info", NULL, "the start of a thread heap was overwritten, or is not in the core"},
    {"heap-unlinked", NULL, "the list of an arena's heaps was overwritten, or is not in the core"},
    {"tcache-unaligned", "malloc(): unaligned tcache chunk detected",
     "a freed chunk was written to (use after free), or the tcache struct was overrun"},
    {"tcache-link", "malloc(): unaligned tcache chunk detected",
     "a freed chunk was written to (use after free), or the tcache struct was overrun"},
    {"tcache-repeated", "free(): double free detected in tcache 2", "the chunk was freed twice"},
    {"tcache-size", NULL, "the size field of a freed chunk was overwritten"},
    {"tcache-count", "free(): too many chunks detected in tcache",
     "the first bytes of a freed chunk were overwritten (use after free), which cut the list or "
     "led "
     "it astray"},
    {"fastbin-unaligned", "malloc(): unaligned fastbin chunk detected",
     "a freed chunk was written to (use after free)"},
    {"fastbin-link", "malloc(): memory corruption (fast)",
     "a freed chunk was written to (use after free)"},
    {"fastbin-repeated", "double free or corruption (fasttop)", "the chunk was freed twice"},
    {"fastbin-size", "malloc_consolidate(): invalid chunk size",
     "the size field of a freed chunk was overwritten"},
    {"bin-cycle", "corrupted double-linked list",
     "the links of a freed chunk were overwritten (use after free)"},
    {"bin-link", "malloc(): unsorted double linked list corrupted / corrupted double-linked list",
     "the links of a freed chunk were overwritten (use after free)"},
    {"bin-in-use", "double free or corruption (!prev)",
     "the chunk was freed twice, or the flag of the chunk behind it was overwritten"},
    {"bin-size",
     "malloc(): invalid size (unsorted) / largebin double linked list corrupted (nextsize)",
     "the size field of a freed chunk was overwritten"},
    {"bin-back-link",
     "malloc(): smallbin double linked list corrupted / malloc(): unsorted double linked list "
     "corrupted",
     "the links of a freed chunk were overwritten (use after free)"},
    {"bin-sum", "malloc(): unsorted double linked list corrupted",
     "a list of free chunks was cut, or the flags of a chunk were overwritten"},
    {"mmapped-count", "munmap_chunk(): invalid pointer",
     "the header of a large chunk was overwritten, or the counters were"},
    {"arena-ring", NULL, "the list of arenas was overwritten"},
    {"arena-sum", NULL,
     "part of the arena's memory was not found, or its counters were overwritten"},
};

const PmViolation *
pm_violation_find(const char *code)
{
    for (gsize i = 0; i < G_N_ELEMENTS(violations); i++)
        if (g_str_equal(violations[i].code, code))
            return &violations[i];
    return NULL;
}
