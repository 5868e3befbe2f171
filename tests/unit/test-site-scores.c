/*
 * What sites' stores are worth against rows that are made by hand, what requests and texts are, and
 * how lists of stores are kept.
 */
#include "analysis/evidence.h"
#include "analysis/sites/fingerprint.h"
#include "analysis/sites/prior.h"
#include "analysis/sites/scale.h"
#include "analysis/sites/texts.h"

#include <string.h>

#define ROWS   100
#define BYTES  48
#define MAGIC  G_GUINT64_CONSTANT(0x5a17c0de)
#define VTABLE G_GUINT64_CONSTANT(0x555555558010)

/* Rows, and claims that a test fills in. */
typedef struct {
    PmSiteRows *rows;
    PmClaims claims;
    float logs[ROWS];
} Case;

static void
case_init(Case *made)
{
    *made = (Case){.rows = pm_site_rows_new(ROWS, BYTES, 8, 1)};
    made->rows->layout_rows[0] = ROWS;
    made->claims.claims = g_array_new(FALSE, FALSE, sizeof(PmClaim));
    made->claims.zeroed = g_new0(gboolean, BYTES + 1);
    made->claims.request_bytes = 40;
}

static void
case_clear(Case *made)
{
    pm_site_rows_free(made->rows);
    pm_claims_clear(&made->claims);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Case, case_clear)

static void
put_word(Case *made, gsize row, gsize word, PmWordKind kind, guint64 value)
{
    PmMatrix *matrix = made->rows->matrix;
    for (gsize i = 0; i < 8; i++)
        matrix->bytes[row * matrix->stride + word * 8 + i] = (guint8)(value >> (8 * i));
    matrix->kinds[row * matrix->words + word] = (guint8)(value == 0 ? PM_WORD_ZERO : kind);
}

static void
put_all(Case *made, gsize word, PmWordKind kind, guint64 value)
{
    for (gsize row = 0; row < ROWS; row++)
        put_word(made, row, word, kind, value);
}

/* As claims.c weighs values of their kind. */
static void
claim(Case *made, gsize word, PmClaimKind kind, PmWordKind target, guint64 value)
{
    PmClaim one = {.kind = kind,
                   .target = target,
                   .offset = 8 * word,
                   .width_bytes = 8,
                   .count = 1,
                   .values = {value},
                   .chance = kind == PM_CLAIM_ZERO      ? 0.5
                             : kind == PM_CLAIM_ADDRESS ? 2e-4
                             : value < 16               ? 0.06
                                                        : 5e-4,
                   .change = kind == PM_CLAIM_ZERO      ? 0.4
                             : kind == PM_CLAIM_ADDRESS ? 0.02
                             : value < 16               ? 0.25
                                                        : 0.04,
                   .change_often = kind == PM_CLAIM_ADDRESS ? 0.03 : 0.6};
    for (gsize i = 0; i < 8; i++)
        one.bytes[0][i] = (guint8)(value >> (8 * i));
    g_array_append_val(made->claims.claims, one);
}

/* The mean of the logarithms; all rows that are alike have one. */
static double
weigh(Case *made)
{
    double sum = 0;
    g_assert_true(pm_fingerprint_weigh(made->rows, &made->claims, made->logs));
    for (gsize row = 0; row < ROWS; row++)
        sum += (double)made->logs[row];
    return sum / ROWS;
}

static void
test_constants(void)
{
    g_auto(Case) kept = {0};
    case_init(&kept);
    claim(&kept, 1, PM_CLAIM_NUMBER, PM_WORD_NUMBER, MAGIC);
    put_all(&kept, 1, PM_WORD_NUMBER, MAGIC);
    const double agrees = weigh(&kept);
    g_assert_cmpfloat(agrees, >, 6);
    put_all(&kept, 1, PM_WORD_NUMBER, MAGIC + 1);
    const double differs = weigh(&kept);
    g_assert_cmpfloat(differs, <, -2.5);
    /* A pointer is even less likely there. */
    put_all(&kept, 1, PM_WORD_CHUNK, 0x555555559000);
    g_assert_cmpfloat(weigh(&kept), <, differs - 0.5);
}

static void
test_zeros(void)
{
    g_auto(Case) made = {0};
    case_init(&made);
    for (gsize word = 0; word < 5; word++)
        claim(&made, word, PM_CLAIM_ZERO, PM_WORD_ZERO, 0);
    const double kept = weigh(&made);
    g_assert_cmpfloat(kept, >, 0);
    g_assert_cmpfloat(kept, <=, 1.01);
    for (gsize word = 0; word < 5; word++)
        put_all(&made, word, PM_WORD_NUMBER, 1000 + word);
    const double changed = weigh(&made);
    g_assert_cmpfloat(changed, <, 0);
    g_assert_cmpfloat(changed, >=, -1.51);
}

/* A state that some of the chunks still have is one that changes: the others say little against it.
 * A vtable is not. */
static void
test_changes(void)
{
    g_auto(Case) state = {0};
    case_init(&state);
    claim(&state, 0, PM_CLAIM_NUMBER, PM_WORD_NUMBER, 3);
    put_all(&state, 0, PM_WORD_NUMBER, 9);
    weigh(&state);
    const double never = (double)state.logs[ROWS - 1];
    for (gsize row = 0; row < ROWS / 4; row++)
        put_word(&state, row, 0, PM_WORD_NUMBER, 3);
    weigh(&state);
    g_assert_cmpfloat((double)state.logs[ROWS - 1], >, never + 0.5);
    g_assert_cmpfloat((double)state.logs[0], >, 2);

    g_auto(Case) object = {0};
    case_init(&object);
    claim(&object, 0, PM_CLAIM_ADDRESS, PM_WORD_VTABLE, VTABLE);
    put_all(&object, 0, PM_WORD_VTABLE, VTABLE + 64);
    for (gsize row = 0; row < ROWS / 4; row++)
        put_word(&object, row, 0, PM_WORD_VTABLE, VTABLE);
    weigh(&object);
    g_assert_cmpfloat((double)object.logs[ROWS - 1], <, -3);
}

static void
test_alternatives(void)
{
    g_auto(Case) made = {0};
    case_init(&made);
    claim(&made, 0, PM_CLAIM_NUMBER, PM_WORD_NUMBER, MAGIC);
    PmClaim *one = &g_array_index(made.claims.claims, PmClaim, 0);
    one->count = 2;
    one->values[1] = 7;
    one->bytes[1][0] = 7;
    put_all(&made, 0, PM_WORD_NUMBER, 7);
    g_assert_cmpfloat(weigh(&made), >, 2);
    put_all(&made, 0, PM_WORD_NUMBER, MAGIC);
    g_assert_cmpfloat(weigh(&made), >, 2);
    put_all(&made, 0, PM_WORD_NUMBER, 8);
    g_assert_cmpfloat(weigh(&made), <, -2);
}

static PmStore
make_store(gint32 offset, guint32 width, guint64 value)
{
    return (PmStore){
        .offset = offset, .width_bytes = width, .value = value, .kind = PM_STORED_CONSTANT};
}

/* A compiler writes two fields of 16 bits with one store, a length and a capacity: the first one
 * changes, and the second stays. */
static void
test_merged(void)
{
    g_auto(Case) made = {0};
    const PmStore store = make_store(8, 4, 0x1000000);
    PmSite site = {.allocator = (char *)"malloc",
                   .stores = g_array_new(FALSE, FALSE, sizeof(PmStore))};
    case_init(&made);
    pm_claims_clear(&made.claims);
    g_array_append_val(site.stores, store);
    pm_claims_init(&made.claims, &site, 40, NULL, BYTES);
    put_all(&made, 1, PM_WORD_NUMBER, 0x1000000);
    g_assert_cmpfloat(weigh(&made), >, 4);
    for (gsize row = 0; row < ROWS; row++)
        put_word(&made, row, 1, PM_WORD_NUMBER, 0x1000000 + 1 + row);
    g_assert_cmpfloat(weigh(&made), >, 4);
    put_all(&made, 1, PM_WORD_NUMBER, 0x2000000);
    g_assert_cmpfloat(weigh(&made), <, -2);
    g_array_unref(site.stores);
}

/* calloc() clears what lies behind the request, too. */
static void
test_clearing(void)
{
    g_auto(Case) made = {0};
    case_init(&made);
    made.claims.zeroed_bytes = BYTES;
    for (gsize i = 0; i < BYTES; i++)
        made.claims.zeroed[i] = TRUE;
    made.claims.clears_all = TRUE;
    g_assert_cmpfloat(weigh(&made), <, 1);
    made.rows->is_used = TRUE;
    g_assert_cmpfloat(weigh(&made), >, 1);
    put_all(&made, 0, PM_WORD_NUMBER, 12345);
    g_assert_cmpfloat(weigh(&made), >, 1);
    put_all(&made, 5, PM_WORD_NUMBER, 0x17);
    g_assert_cmpfloat(weigh(&made), <, -2);
    made.claims.request_bytes = PM_SIZE_UNKNOWN;
    g_assert_cmpfloat(weigh(&made), >, 0);
    /* A pointer to a free chunk is what a former owner left. */
    put_all(&made, 2, PM_WORD_FREE_CHUNK, 0x555555559000);
    g_assert_cmpfloat(weigh(&made), <, 0.5);
}

/* Evidence counts the chunks that are the site's own, and says few things. */
static void
test_evidence(void)
{
    g_auto(Case) made = {0};
    float shares[ROWS] = {0};
    case_init(&made);
    for (gsize word = 0; word < 6; word++) {
        claim(&made, word, PM_CLAIM_NUMBER, PM_WORD_NUMBER, MAGIC + word);
        for (gsize row = 0; row < ROWS / 10; row++)
            put_word(&made, row, word, PM_WORD_NUMBER, MAGIC + word);
    }
    for (gsize row = 0; row < ROWS / 10; row++)
        shares[row] = 0.1F;
    g_autoptr(GArray) evidence = pm_evidence_new();
    g_assert_cmpfloat(pm_fingerprint_explain(made.rows, &made.claims, shares, NULL, evidence), >,
                      6);
    g_assert_cmpuint(evidence->len, ==, 3);
    const PmEvidence *first = &g_array_index(evidence, PmEvidence, 0);
    g_assert_cmpstr(first->signal, ==, "stores");
    g_assert_cmpfloat(first->weight, >, 0.5);
    g_assert_nonnull(strstr(first->text, "10 of 100"));

    g_auto(Case) empty = {0};
    case_init(&empty);
    g_assert_false(pm_fingerprint_weigh(empty.rows, &empty.claims, empty.logs));
}

static PmSite
make_site(guint64 size)
{
    return (PmSite){.kind = PM_SITE_EXACT, .size = pm_value_constant(size)};
}

static void
test_requests(void)
{
    const PmSchemaRequest request = {.known = TRUE, .request = 20, .padded = 24, .confidence = 0.8};
    const PmSchemaRequest unknown = {.known = FALSE};
    const PmSite same = make_site(20), padded = make_site(24), less = make_site(16);
    const PmSite more = make_site(40);
    PmSite range = {.kind = PM_SITE_RANGE};
    range.size = pm_value_range(1, 16);
    g_assert_cmpfloat(pm_prior_of_request(&request, &same), >, 2);
    g_assert_cmpfloat(pm_prior_of_request(&request, &padded), >, 2);
    g_assert_cmpfloat(pm_prior_of_request(&request, &more), <, 1);
    g_assert_cmpfloat(pm_prior_of_request(&request, &less), <,
                      pm_prior_of_request(&request, &more));
    g_assert_cmpfloat(pm_prior_of_request(&unknown, &less), ==, 1);
    g_assert_cmpfloat(pm_prior_of_request(&request, &range), ==, 1);

    PmSchemaColumn columns[] = {{.offset_bytes = 0, .width_bytes = 8, .kind = PM_COLUMN_NUMBER},
                                {.offset_bytes = 16, .width_bytes = 1, .kind = PM_COLUMN_CONSTANT}};
    const PmSchemaLayout layout = {.columns = columns, .column_count = 2};
    const PmSite short_of_it = make_site(16);
    const PmSite reaches_it = make_site(17);
    g_assert_cmpfloat(pm_prior_of_end(&layout, &short_of_it), <, 0.5);
    g_assert_cmpfloat(pm_prior_of_end(&layout, &reaches_it), ==, 1);
}

/* What a site that asks for @scale weighs for requests from @min to @max. */
static double
weigh_scale(PmScale scale, guint64 min, guint64 max)
{
    const PmSiteClues clues = {.request_min = min, .request_max = max, .variable = TRUE};
    const PmValue unknown = pm_value_unknown();
    const PmSite site = {.kind = PM_SITE_VARIABLE, .size = pm_scale_set(&unknown, scale)};
    g_autoptr(GArray) evidence = pm_evidence_new();
    PmRankedSite ranked = {.site = &site, .evidence = evidence};
    return pm_prior_of_size(&clues, &site, &ranked);
}

/* The larger the records of which a multiple is of the class, the more that says. */
static void
test_steps(void)
{
    const double any = weigh_scale(PM_SCALE_NONE, 32633, 32648);
    g_assert_cmpfloat(weigh_scale((PmScale){8160, 0}, 32633, 32648), >, 100 * any);
    g_assert_cmpfloat(weigh_scale((PmScale){8160, 8}, 32633, 32648), >, 100 * any);
    g_assert_cmpfloat(weigh_scale((PmScale){8160, 16}, 32633, 32648), <, any);
    g_assert_cmpfloat(weigh_scale((PmScale){48, 0}, 32633, 32648), >, any);
    g_assert_cmpfloat(weigh_scale((PmScale){48, 24}, 32633, 32648), <, any);
    /* A header that is larger than the class. */
    g_assert_cmpfloat(weigh_scale((PmScale){48, 64}, 0, 24), <, weigh_scale(PM_SCALE_NONE, 0, 24));
    /* Every class has a multiple of 8. */
    const double small = weigh_scale(PM_SCALE_NONE, 121, 136);
    g_assert_cmpfloat(weigh_scale((PmScale){8, 100}, 121, 136), ==, small);
    /* What is asked for besides is seldom much less than all. */
    g_assert_cmpfloat(weigh_scale((PmScale){1, 120}, 121, 136), >, 5 * small);
    g_assert_cmpfloat(weigh_scale((PmScale){1, 1}, 121, 136), <, 2 * small);
    g_assert_cmpfloat(weigh_scale((PmScale){1, 137}, 121, 136), <, small);
}

/* What the kind of text in a chunk that begins with @text says of @site. */
static double
weigh_text(const char *text, guint64 request_max, const PmSite *site)
{
    PmSchemaColumn column = {.kind = PM_COLUMN_TEXT};
    PmSchemaLayout layout = {.columns = &column, .column_count = 1};
    const PmSchema schema = {.layouts = &layout, .layout_count = 1};
    const PmSiteClues clues = {.request_max = request_max, .schema = &schema};
    double factors[PM_TEXT_KINDS];
    g_auto(Case) made = {0};
    case_init(&made);
    memcpy(made.rows->matrix->bytes, text, strlen(text) + 1);
    g_autofree guint8 *kinds = pm_texts_read(&clues, made.rows);
    pm_texts_weigh(&clues, site, factors);
    return factors[kinds[0]];
}

/* Texts that end where their chunks do were asked for by their length; in others there is room. */
static void
test_texts(void)
{
    const PmValue unknown = pm_value_unknown();
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(PmStore));
    const PmSite any = {
        .kind = PM_SITE_VARIABLE, .size = unknown, .allocator = (char *)"malloc", .stores = none};
    PmSite constant = any, length = any, record = any;
    constant.kind = PM_SITE_EXACT;
    constant.size = pm_value_constant(40);
    length.size = pm_scale_set(&unknown, (PmScale){1, 1});
    record.size = pm_scale_set(&unknown, (PmScale){1, 24});
    const char *fits = "a text of thirty-four letters, oh", *is_short = "a short text";
    g_assert_cmpfloat(weigh_text(fits, 40, &constant), <, weigh_text(is_short, 40, &constant));
    g_assert_cmpfloat(weigh_text(fits, 40, &any), >, weigh_text(is_short, 40, &any));
    g_assert_cmpfloat(weigh_text(fits, 40, &any), >, 4 * weigh_text(fits, 40, &constant));
    g_assert_cmpfloat(weigh_text(fits, 40, &length), >, weigh_text(fits, 40, &any));
    g_assert_cmpfloat(weigh_text(fits, 40, &record), <, weigh_text(fits, 40, &any));
    /* The same by any request that the class serves. */
    g_assert_cmpfloat(weigh_text(fits, 33, &constant), ==, weigh_text(fits, 40, &constant));
    /* In the smallest chunks all texts end. */
    g_assert_cmpfloat(weigh_text(is_short, 24, &constant), ==, weigh_text("", 24, &constant));
}

static void
test_stores(void)
{
    g_autoptr(GArray) stores = g_array_new(FALSE, FALSE, sizeof(PmStore));
    PmStore late = make_store(8, 4, 1);
    const PmStore passed = {.offset = 8, .width_bytes = 4, .kind = PM_STORED_PASSED, .value = 99};
    const PmStore before = make_store(0, 8, 5);
    late.is_late = TRUE;
    pm_stores_add(stores, &late);
    pm_stores_add(stores, &passed);
    pm_stores_add(stores, &before);
    g_assert_cmpuint(stores->len, ==, 3);
    g_assert_cmpint(g_array_index(stores, PmStore, 0).offset, ==, 0);
    /* The same once more, and not late. */
    late.is_late = FALSE;
    pm_stores_add(stores, &late);
    g_assert_cmpuint(stores->len, ==, 3);
    g_assert_false(g_array_index(stores, PmStore, 1).is_late);
    for (guint64 value = 2; value <= PM_STORES_AT_ONE_PLACE; value++) {
        const PmStore other = make_store(8, 4, value);
        pm_stores_add(stores, &other);
        g_assert_cmpuint(stores->len, ==, 2 + value);
    }
    const PmStore too_many = make_store(8, 4, 100);
    pm_stores_add(stores, &too_many);
    g_assert_cmpuint(stores->len, ==, 3);
    g_assert_cmpuint(g_array_index(stores, PmStore, 1).kind, ==, PM_STORED_OTHER);
    g_assert_cmpuint(g_array_index(stores, PmStore, 2).kind, ==, PM_STORED_PASSED);
    for (gint32 i = 0; i < 2 * PM_STORES_MAX; i++) {
        const PmStore more = make_store(100 + i, 1, 1);
        pm_stores_add(stores, &more);
    }
    g_assert_cmpuint(stores->len, ==, PM_STORES_MAX);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/site-scores/constants", test_constants);
    g_test_add_func("/site-scores/zeros", test_zeros);
    g_test_add_func("/site-scores/changes", test_changes);
    g_test_add_func("/site-scores/alternatives", test_alternatives);
    g_test_add_func("/site-scores/merged", test_merged);
    g_test_add_func("/site-scores/clearing", test_clearing);
    g_test_add_func("/site-scores/evidence", test_evidence);
    g_test_add_func("/site-scores/requests", test_requests);
    g_test_add_func("/site-scores/steps", test_steps);
    g_test_add_func("/site-scores/texts", test_texts);
    g_test_add_func("/site-scores/stores", test_stores);
    return g_test_run();
}
