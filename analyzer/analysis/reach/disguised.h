/*
 * Addresses of lost chunks that stand in live memory in a form that the scan does not take for a
 * pointer: in packed structures, with flags in their upper bits, one word beside the chunk. Where
 * there are such, the program may still know the chunks, and nothing was lost.
 */
#pragma once

#include "analysis/reach/reach.h"

typedef enum {
    PM_DISGUISE_NONE,
    PM_DISGUISE_UNALIGNED, /* at an address that no pointer is aligned to */
    PM_DISGUISE_TAGGED,    /* other bits in the upper 16 */
    PM_DISGUISE_SHIFTED,   /* shifted up by 16, other bits below */
    PM_DISGUISE_BESIDE,    /* one past the end, or a word before the start; nothing live there */
} PmDisguise;
#define PM_DISGUISES 5

/* So much live memory is searched at most; of more, roots first and then every n-th chunk. */
#define PM_DISGUISED_BYTES_MAX (256U << 20)

/*
 * One lost chunk that is looked for. @at: where the first disguised address of it stands, an offset
 * for registers; only where @disguise is not PM_DISGUISE_NONE.
 */
typedef struct {
    PmAddr user;
    guint64 usable_bytes;
    PmDisguise disguise;
    PmAddr at;
} PmDisguised;

/*
 * Looks for each of @sought in roots, weak ones as well, and in chunks that are not lost.
 *
 * @sought: ascending by user, each once; .disguise and .at are filled in. Nothing is found in
 * targets other than 64-bit ones. Never fails.
 */
void pm_disguised_find(const PmReach *reach, PmDisguised *sought, gsize count);
