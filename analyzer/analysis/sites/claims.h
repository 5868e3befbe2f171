/*
 * What the stores of a site claim of the bytes of its chunks, with how much each claim is worth.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/sites/sites.h"

typedef enum {
    PM_CLAIM_ZERO,
    PM_CLAIM_NUMBER,
    PM_CLAIM_ADDRESS, /* of a module */
    PM_CLAIM_CHUNK,   /* whatever an allocator returned */
} PmClaimKind;

/* The widest store of one instruction: of a vector register. */
#define PM_CLAIM_BYTES 16

/*
 * One claim: one of @count things is there.
 *
 * @bytes: of each, @width_bytes of it at @offset; not of PM_CLAIM_CHUNK, which has none.
 * @values: the first 8 of them as numbers. @target: what the first leads to as an address.
 * @chance: how often a chunk of another site holds the same there.
 * @change: how often the program puts something else there later; @change_often: where other chunks
 * of the layout still have what was stored, so that the field is known to be one that changes.
 * @parts: one more than the number, in the site's parts, of the first of its two halves; 0 where it
 * has none.
 */
typedef struct {
    PmClaimKind kind;
    PmWordKind target;
    gsize offset;
    gsize width_bytes;
    guint count;
    guint8 bytes[PM_STORES_AT_ONE_PLACE][PM_CLAIM_BYTES];
    guint64 values[PM_STORES_AT_ONE_PLACE];
    double chance;
    double change;
    double change_often;
    guint parts;
} PmClaim;

/*
 * All of a site.
 *
 * @claims: PmClaim, by offset. @parts: PmClaim, the halves of numbers, and theirs: compilers write
 * neighbouring fields with one store. @zeroed: of each byte whether it was zeroed with many others,
 * and not written since as far as is known; @zeroed_bytes of them. @clears_all: by the allocator,
 * which clears what lies behind the request, too: (malloc.c, __libc_calloc) all of the chunk's
 * usable bytes. @request_bytes: what it asks for, PM_SIZE_UNKNOWN where that is not one number.
 */
typedef struct {
    GArray *claims;
    GArray *parts;
    gboolean *zeroed;
    gsize zeroed_bytes;
    gboolean clears_all;
    guint64 request_bytes;
} PmClaims;

/*
 * The claims of @site on the first @stride_bytes of its chunks.
 *
 * @request_bytes: which of its sizes is meant, or PM_SIZE_UNKNOWN. @places: of its process.
 * @ret_claims: (out): to be cleared.
 */
void pm_claims_init(PmClaims *ret_claims, const PmSite *site, guint64 request_bytes,
                    PmPlaces *places, gsize stride_bytes);
void pm_claims_clear(PmClaims *claims);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PmClaims, pm_claims_clear)
