/*
 * Claims; see claims.h.
 */
#include "analysis/sites/claims.h"

#include "analysis/schema/matrix.h"

#include <string.h>

/* A narrow store stands for a field; wider ones of zeros are the clearing of a record. */
#define FIELD_BYTES 8

/* How often at least something else is there where the store is a late one, or one of several. */
#define LATE_CHANGE 0.35
#define CHANCE_MAX  0.9

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

/* What one store says. */
typedef struct {
    PmClaimKind kind;
    PmWordKind target;
    guint8 bytes[PM_CLAIM_BYTES];
    guint64 value;
    Worth worth;
} Said;

/* The worth of said->bytes, whatever they are. */
static void
set_worth(Said *said, gsize width_bytes, PmPlaces *places)
{
    PmWord word = {.kind = PM_WORD_NUMBER};
    gboolean is_zero = TRUE;
    for (gsize i = 0; i < width_bytes; i++)
        is_zero = is_zero && said->bytes[i] == 0;
    said->value = pm_load_number(said->bytes, MIN(width_bytes, FIELD_BYTES));
    if (width_bytes == FIELD_BYTES && said->value >= 65536)
        pm_places_classify(places, said->value, &word);
    said->target = word.kind;
    if (is_zero) {
        said->kind = PM_CLAIM_ZERO;
        said->worth = zero_worth;
    } else if (is_module_place(word.kind)) {
        said->kind = PM_CLAIM_ADDRESS;
        said->worth = weigh_target(word.kind);
    } else {
        said->kind = PM_CLAIM_NUMBER;
        said->worth =
            weigh_number(width_bytes > FIELD_BYTES ? G_MAXUINT64 - 1 : said->value, width_bytes);
    }
}

static void
set_number(Said *said, guint64 value, gsize width_bytes)
{
    for (gsize i = 0; i < width_bytes && i < sizeof value; i++)
        said->bytes[i] = (guint8)(value >> (8 * i));
}

/* What the module has at the place that @store copies; FALSE where that is not there. */
static gboolean
read_copy(const PmStore *store, PmPlaces *places, Said *said)
{
    const PmSpace *space = pm_process_get_space(pm_places_get_subject(places)->process);
    PmWord word;
    if (store->width_bytes > PM_CLAIM_BYTES ||
        !pm_space_read(space, store->value, said->bytes, store->width_bytes))
        return FALSE;
    set_worth(said, store->width_bytes, places);
    /* The module's own may have changed since. */
    pm_places_classify(places, store->value, &word);
    if (word.kind != PM_WORD_RODATA && word.kind != PM_WORD_CODE)
        said->worth.change = MAX(said->worth.change, LATE_CHANGE);
    return TRUE;
}

/* Fills in @said from @store; FALSE where it is not known what is stored. */
static gboolean
read_store(const PmStore *store, PmPlaces *places, Said *said)
{
    switch ((PmStoredKind)store->kind) {
    case PM_STORED_CONSTANT:
        if (store->width_bytes > FIELD_BYTES)
            memset(said->bytes, (int)(store->value & 0xff), PM_CLAIM_BYTES);
        else
            set_number(said, store->value, store->width_bytes);
        break;
    case PM_STORED_ADDRESS:
        set_number(said, store->value, store->width_bytes);
        break;
    case PM_STORED_COPY:
        return read_copy(store, places, said);
    case PM_STORED_RESULT:
        said->kind = PM_CLAIM_CHUNK;
        said->target = PM_WORD_CHUNK;
        said->worth = chunk_worth;
        return store->offset % FIELD_BYTES == 0 && store->width_bytes == FIELD_BYTES;
    default:
        return FALSE;
    }
    set_worth(said, MIN(store->width_bytes, PM_CLAIM_BYTES), places);
    return TRUE;
}

/* Adds what one more store says of the same place: another thing that may be there. Of vtables the
 * last one stays: constructors of derived classes follow those of their bases. */
static void
add_said(PmClaim *claim, gboolean is_late, const Said *said)
{
    const gboolean replaces =
        claim->count > 0 && said->target == PM_WORD_VTABLE && claim->target == PM_WORD_VTABLE;
    if (claim->count == 0 || replaces) {
        claim->count = 0;
        claim->kind = said->kind;
        claim->target = said->target;
        claim->chance = said->worth.chance;
        claim->change = said->worth.change;
        claim->change_often = said->worth.change_often;
    } else {
        if (said->kind != claim->kind)
            claim->kind = PM_CLAIM_NUMBER;
        claim->chance = MIN(claim->chance + said->worth.chance, CHANCE_MAX);
        claim->change = MAX(claim->change, LATE_CHANGE);
    }
    if (is_late && said->target != PM_WORD_VTABLE)
        claim->change = MAX(claim->change, LATE_CHANGE);
    claim->change_often = MAX(claim->change_often, claim->change);
    memcpy(claim->bytes[claim->count], said->bytes, PM_CLAIM_BYTES);
    claim->values[claim->count++] = said->value;
}

static gboolean
is_same_place(const PmStore *a, const PmStore *b)
{
    return a->offset == b->offset && a->width_bytes == b->width_bytes;
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

static gboolean
is_inside(const PmStore *store, gsize stride)
{
    return store->kind != PM_STORED_PASSED && store->offset >= 0 && (gsize)store->offset < stride;
}

/* Adds the halves of @claim to the parts, and their own, and tells @claim. */
static void
add_parts(PmClaims *claims, PmClaim *claim, PmPlaces *places)
{
    const gsize half_bytes = claim->width_bytes / 2;
    PmClaim halves[2] = {{.offset = claim->offset, .width_bytes = half_bytes},
                         {.offset = claim->offset + half_bytes, .width_bytes = half_bytes}};
    if (claim->kind != PM_CLAIM_NUMBER || claim->count != 1 || half_bytes == 0)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(halves); i++) {
        Said said = {.value = 0};
        memcpy(said.bytes, claim->bytes[0] + i * half_bytes, half_bytes);
        set_worth(&said, half_bytes, places);
        add_said(&halves[i], claim->change >= LATE_CHANGE, &said);
        add_parts(claims, &halves[i], places);
    }
    claim->parts = claims->parts->len + 1;
    g_array_append_vals(claims->parts, halves, G_N_ELEMENTS(halves));
}

/* The claim of all stores of the place of number @first, the first of them. Nothing where one is of
 * something that is not known, but for one that comes late. */
static void
add_place(PmClaims *claims, const GArray *stores, guint first, PmPlaces *places)
{
    const PmStore *start = &g_array_index(stores, PmStore, first);
    PmClaim claim = {.offset = (gsize)start->offset,
                     .width_bytes = MIN(start->width_bytes, PM_CLAIM_BYTES)};
    for (guint i = first; i < stores->len; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        Said said = {.value = 0};
        if (store->kind == PM_STORED_PASSED || !is_same_place(start, store))
            continue;
        if (read_store(store, places, &said) && claim.count < PM_STORES_AT_ONE_PLACE)
            add_said(&claim, store->is_late != 0, &said);
        else if (!store->is_late)
            return;
        else
            claim.change = MAX(claim.change, LATE_CHANGE);
    }
    if (claim.count == 0)
        return;
    add_parts(claims, &claim, places);
    g_array_append_val(claims->claims, claim);
}

/* Whether a store of the same place comes before number @index. */
static gboolean
is_repeated(const GArray *stores, guint index)
{
    const PmStore *store = &g_array_index(stores, PmStore, index);
    for (guint i = 0; i < index; i++) {
        const PmStore *other = &g_array_index(stores, PmStore, i);
        if (other->kind != PM_STORED_PASSED && !is_clearing(other) && is_same_place(other, store))
            return TRUE;
    }
    return FALSE;
}

/* Whether @store writes 0 to what was cleared: that says nothing more. */
static gboolean
is_zero_already(const PmClaims *claims, const PmStore *store, gsize stride)
{
    if (store->kind != PM_STORED_CONSTANT || store->value != 0)
        return FALSE;
    for (gsize i = (gsize)store->offset; i < get_end(store, stride); i++)
        if (!claims->zeroed[i])
            return FALSE;
    return TRUE;
}

void
pm_claims_init(PmClaims *ret_claims, const PmSite *site, guint64 request_bytes, PmPlaces *places,
               gsize stride_bytes)
{
    PmClaims claims = {.claims = g_array_new(FALSE, FALSE, sizeof(PmClaim)),
                       .parts = g_array_new(FALSE, FALSE, sizeof(PmClaim)),
                       .zeroed = g_new0(gboolean, stride_bytes + 1),
                       .clears_all = clears_all(site),
                       .request_bytes = request_bytes};
    const GArray *stores = site->stores;
    for (guint i = 0; i < stores->len; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        if (is_inside(store, stride_bytes) && is_clearing(store))
            set_zeroed(&claims, (gsize)store->offset, get_end(store, stride_bytes), TRUE);
    }
    for (guint i = 0; i < stores->len; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        if (!is_inside(store, stride_bytes) || is_clearing(store) ||
            is_zero_already(&claims, store, stride_bytes))
            continue;
        set_zeroed(&claims, (gsize)store->offset, get_end(store, stride_bytes), FALSE);
        if (store->width_bytes > 0 && store->width_bytes <= stride_bytes - (gsize)store->offset &&
            !is_repeated(stores, i))
            add_place(&claims, stores, i, places);
    }
    *ret_claims = claims;
}

void
pm_claims_clear(PmClaims *claims)
{
    if (claims->claims != NULL)
        g_array_unref(claims->claims);
    if (claims->parts != NULL)
        g_array_unref(claims->parts);
    g_free(claims->zeroed);
    *claims = (PmClaims){0};
}
