/*
 * Claims; see claims.h.
 */
#include "analysis/sites/claims.h"

#include "analysis/schema/matrix.h"

#include <string.h>

/* A narrow store stands for a field; wider ones of zeros are the clearing of a record. */
#define FIELD_BYTES 8

/*
 * What a value is worth. The chances are those with which the fields of records of programs hold
 * such a value at any one place: half are 0, and the larger the number, the rarer. The changes are
 * judgements: what is set to 0 or to a small number is mostly set so that it can change; magic
 * numbers and classes stay.
 */
typedef struct {
    double chance;
    double change;
    double change_often;
} Worth;

static const Worth zero_worth = {0.5, 0.4, 0.45};
static const Worth chunk_worth = {0.15, 0.2, 0.4};
static const Worth vtable_worth = {2e-4, 0.02, 0.03};
static const Worth code_worth = {3e-4, 0.08, 0.4};
static const Worth rodata_worth = {5e-4, 0.15, 0.5};
static const Worth data_worth = {2e-3, 0.2, 0.5};

static Worth
weigh_number(guint64 value, gsize width_bytes)
{
    const guint64 all_ones =
        width_bytes >= 8 ? G_MAXUINT64 : (G_GUINT64_CONSTANT(1) << (8 * width_bytes)) - 1;
    if (value == 1)
        return (Worth){0.15, 0.25, 0.6};
    if (value == all_ones || value < 16)
        return (Worth){0.06, 0.25, 0.6};
    if (value < 256)
        return (Worth){0.015, 0.2, 0.6};
    if (value < 65536)
        return (Worth){4e-3, 0.12, 0.5};
    return (Worth){5e-4, 0.04, 0.3};
}

static Worth
weigh_target(PmWordKind kind)
{
    switch (kind) {
    case PM_WORD_VTABLE:
        return vtable_worth;
    case PM_WORD_CODE:
        return code_worth;
    case PM_WORD_RODATA:
        return rodata_worth;
    default:
        return data_worth;
    }
}

static gboolean
is_module_place(PmWordKind kind)
{
    return kind == PM_WORD_VTABLE || kind == PM_WORD_CODE || kind == PM_WORD_RODATA ||
           kind == PM_WORD_DATA;
}

/* The worth of claim->bytes, whatever they are. */
static void
set_worth(PmClaim *claim, PmPlaces *places)
{
    PmWord word = {.kind = PM_WORD_NUMBER};
    gboolean is_zero = TRUE;
    for (gsize i = 0; i < claim->width_bytes; i++)
        is_zero = is_zero && claim->bytes[i] == 0;
    claim->value = pm_load_number(claim->bytes, MIN(claim->width_bytes, FIELD_BYTES));
    if (claim->width_bytes == FIELD_BYTES && claim->value >= 65536)
        pm_places_classify(places, claim->value, &word);
    claim->target = word.kind;
    Worth worth;
    if (is_zero) {
        claim->kind = PM_CLAIM_ZERO;
        worth = zero_worth;
    } else if (is_module_place(word.kind)) {
        claim->kind = PM_CLAIM_ADDRESS;
        worth = weigh_target(word.kind);
    } else {
        claim->kind = PM_CLAIM_NUMBER;
        worth = weigh_number(claim->width_bytes > FIELD_BYTES ? G_MAXUINT64 - 1 : claim->value,
                             claim->width_bytes);
    }
    claim->chance = worth.chance;
    claim->change = worth.change;
    claim->change_often = worth.change_often;
}

static void
set_number(PmClaim *claim, guint64 value)
{
    for (gsize i = 0; i < claim->width_bytes && i < sizeof value; i++)
        claim->bytes[i] = (guint8)(value >> (8 * i));
}

/* Fills in @claim from @store; FALSE where it claims nothing. */
static gboolean
make_claim(PmClaim *claim, const PmStore *store, PmPlaces *places)
{
    const PmSubject *subject = pm_places_get_subject(places);
    switch ((PmStoredKind)store->kind) {
    case PM_STORED_CONSTANT:
        if (store->width_bytes > FIELD_BYTES && store->value != 0) {
            claim->width_bytes = PM_CLAIM_BYTES;
            memset(claim->bytes, (int)(store->value & 0xff), PM_CLAIM_BYTES);
            break;
        }
        set_number(claim, store->value);
        break;
    case PM_STORED_ADDRESS:
        set_number(claim, store->value);
        break;
    case PM_STORED_COPY:
        if (claim->width_bytes > PM_CLAIM_BYTES ||
            !pm_space_read(pm_process_get_space(subject->process), store->value, claim->bytes,
                           claim->width_bytes))
            return FALSE;
        break;
    case PM_STORED_RESULT:
        claim->kind = PM_CLAIM_CHUNK;
        claim->target = PM_WORD_CHUNK;
        claim->chance = chunk_worth.chance;
        claim->change = chunk_worth.change;
        claim->change_often = chunk_worth.change_often;
        return claim->offset % FIELD_BYTES == 0 && claim->width_bytes == FIELD_BYTES;
    default:
        return FALSE;
    }
    set_worth(claim, places);
    if (store->kind == PM_STORED_COPY) {
        /* The module's own may have changed since. */
        PmWord word;
        pm_places_classify(places, store->value, &word);
        if (word.kind != PM_WORD_RODATA && word.kind != PM_WORD_CODE)
            claim->change = MAX(claim->change, 0.3);
    }
    return TRUE;
}

static gboolean
is_clearing(const PmStore *store)
{
    return store->kind == PM_STORED_CONSTANT && store->value == 0 &&
           (store->width_bytes == 0 || store->width_bytes > FIELD_BYTES);
}

static void
set_zeroed(PmClaims *claims, gsize start, gsize end, gboolean zeroed)
{
    for (gsize i = start; i < end; i++) {
        if (claims->zeroed[i] != zeroed)
            claims->zeroed_bytes += zeroed ? 1 : -(gsize)1;
        claims->zeroed[i] = zeroed;
    }
}

static gsize
get_end(const PmStore *store, gsize stride)
{
    const gsize start = (gsize)store->offset;
    return store->width_bytes == 0 || store->width_bytes > stride - start
               ? stride
               : start + store->width_bytes;
}

/* Whether the allocator in the end is one that clears what it returns. */
static gboolean
clears_all(const PmSite *site)
{
    const char *name = site->allocator;
    for (gsize i = 0; site->through != NULL && site->through[i] != NULL; i++)
        name = site->through[i];
    return g_strcmp0(name, "calloc") == 0 || g_strcmp0(name, "g_malloc0") == 0 ||
           g_strcmp0(name, "g_malloc0_n") == 0 || g_strcmp0(name, "g_slice_alloc0") == 0;
}

void
pm_claims_init(PmClaims *ret_claims, const PmSite *site, guint64 request_bytes, PmPlaces *places,
               gsize stride_bytes)
{
    PmClaims claims = {.claims = g_array_new(FALSE, FALSE, sizeof(PmClaim)),
                       .zeroed = g_new0(gboolean, stride_bytes + 1),
                       .clears_all = clears_all(site),
                       .request_bytes = request_bytes};
    const GArray *stores = site->stores;
    for (guint i = 0; i < stores->len; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        if (store->offset >= 0 && (gsize)store->offset < stride_bytes && is_clearing(store))
            set_zeroed(&claims, (gsize)store->offset, get_end(store, stride_bytes), TRUE);
    }
    for (guint i = 0; i < stores->len; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        if (store->offset < 0 || (gsize)store->offset >= stride_bytes || is_clearing(store))
            continue;
        set_zeroed(&claims, (gsize)store->offset, get_end(store, stride_bytes), FALSE);
        PmClaim claim = {.offset = (gsize)store->offset, .width_bytes = store->width_bytes};
        if (store->width_bytes > 0 && store->width_bytes <= stride_bytes - claim.offset &&
            make_claim(&claim, store, places))
            g_array_append_val(claims.claims, claim);
    }
    *ret_claims = claims;
}

void
pm_claims_clear(PmClaims *claims)
{
    if (claims->claims != NULL)
        g_array_unref(claims->claims);
    g_free(claims->zeroed);
    *claims = (PmClaims){0};
}
