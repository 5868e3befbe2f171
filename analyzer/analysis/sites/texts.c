/*
 * Text in chunks; see texts.h.
 */
#include "analysis/sites/texts.h"

#include "analysis/sites/allocators.h"
#include "analysis/sites/scale.h"

#include <string.h>

/* Chunks that begin with text come from copies of strings, whose sizes vary. */
#define VARIABLE 6.0
#define CONSTANT 0.4
#define OTHER    2.0
#define COPIED   2.0
#define FIELD    0.15
/* A site that asks for something and one more: for the end of a string. */
#define LENGTH 3.0
/* And one that asks for room besides, or for records: there is something else in front. */
#define RECORD       0.3
#define RECORD_BYTES 16
/* A buffer that grows has room left, and what was there may have been cut. */
#define SHORT 0.5

/* Requests that one class serves, but for the smallest; and the header, which is no part of them.
 */
#define CLASS_BYTES  G_GUINT64_CONSTANT(16)
#define HEADER_BYTES 8

gboolean
pm_texts_begin(const PmSchemaLayout *layout)
{
    return !layout->is_rest && layout->column_count > 0 &&
           layout->columns[0].kind == PM_COLUMN_TEXT;
}

/* The largest request that a chunk of the class serves; 0 where the chunks are of many classes. */
static guint64
get_usable(const PmSiteClues *clues)
{
    if (clues->varied)
        return 0;
    return pm_align_up(clues->request_max + HEADER_BYTES, CLASS_BYTES) - HEADER_BYTES;
}

static PmTextKind
classify(guint64 usable_bytes, const guint8 *bytes, gsize count)
{
    const gsize length = strnlen((const char *)bytes, count);
    if (length == count || length >= usable_bytes || usable_bytes < 2 * CLASS_BYTES)
        return PM_TEXT_ANY;
    return usable_bytes - length <= CLASS_BYTES ? PM_TEXT_FITTING : PM_TEXT_SHORT;
}

guint8 *
pm_texts_read(const PmSiteClues *clues, const PmSiteRows *rows)
{
    const PmMatrix *matrix = rows->matrix;
    guint8 *kinds = g_new0(guint8, matrix->rows + 1);
    for (gsize row = 0; row < matrix->rows; row++)
        if (rows->layouts[row] < clues->schema->layout_count &&
            pm_texts_begin(&clues->schema->layouts[rows->layouts[row]]))
            kinds[row] =
                (guint8)classify(get_usable(clues), pm_matrix_get_row(matrix, row), matrix->stride);
    return kinds;
}

/* Whether @site copies a string: strdup() and the like. */
static gboolean
copies_text(const PmSite *site)
{
    const PmAllocator *allocator = pm_allocator_find(site->allocator);
    return allocator != NULL && allocator->rule == PM_SIZE_STRING;
}

/* Whether @site asks for a length and one more. */
static gboolean
asks_for_length(const PmSite *site)
{
    return site->kind == PM_SITE_VARIABLE &&
           pm_scale_equals(pm_scale_get(NULL, &site->size), (PmScale){1, 1});
}

static gboolean
asks_for_record(const PmSite *site)
{
    const PmScale scale = pm_scale_get(NULL, &site->size);
    return site->kind == PM_SITE_VARIABLE &&
           (scale.factor >= RECORD_BYTES || scale.added >= RECORD_BYTES);
}

/* Whether the first thing of a chunk is, for @site, a number or an address: a field, and no text.
 */
static gboolean
writes_field(const PmSite *site)
{
    for (guint i = 0; i < site->stores->len; i++) {
        const PmStore *store = &g_array_index(site->stores, PmStore, i);
        const gboolean is_word = store->width_bytes == 4 || store->width_bytes == 8;
        if (store->offset == 0 && is_word && !store->is_late &&
            (store->kind == PM_STORED_ADDRESS || store->kind == PM_STORED_RESULT ||
             store->kind == PM_STORED_ARGUMENT ||
             (store->kind == PM_STORED_CONSTANT && store->value < 0x100)))
            return TRUE;
    }
    return FALSE;
}

void
pm_texts_weigh(const PmSiteClues *clues, const PmSite *site, double ret_factors[PM_TEXT_KINDS])
{
    const gboolean is_constant = site->kind <= PM_SITE_SEVERAL;
    const double factor = (is_constant ? CONSTANT : VARIABLE) * (copies_text(site)       ? COPIED
                                                                 : writes_field(site)    ? FIELD
                                                                 : asks_for_length(site) ? LENGTH
                                                                 : asks_for_record(site) ? RECORD
                                                                                         : 1);
    ret_factors[PM_TEXT_NONE] = 1;
    ret_factors[PM_TEXT_ANY] = factor;
    /* Texts of any length in memory of one size end in its last bytes as often as in others. */
    const double share = (double)CLASS_BYTES / (double)MAX(get_usable(clues), CLASS_BYTES);
    ret_factors[PM_TEXT_FITTING] = is_constant ? factor * share : factor;
    ret_factors[PM_TEXT_SHORT] = is_constant ? factor : factor * SHORT;
}

void
pm_texts_explain(PmTextKind kind, PmRankedSite *ranked)
{
    const PmSite *site = ranked->site;
    const gboolean is_constant = site->kind <= PM_SITE_SEVERAL;
    if (kind == PM_TEXT_NONE)
        return;
    if (copies_text(site))
        pm_evidence_add(ranked->evidence, "contents", 0.45,
                        "the chunks hold text, which it copies");
    else if (writes_field(site))
        pm_evidence_add(ranked->evidence, "contents", -0.5,
                        "it writes a number or an address where the text begins");
    else if (asks_for_length(site))
        pm_evidence_add(ranked->evidence, "contents", 0.4,
                        "the chunks hold text: it asks for a length, and one more for the end");
    else if (asks_for_record(site))
        pm_evidence_add(ranked->evidence, "contents", -0.3,
                        "the chunks hold text: it asks for more than that");
    else if (kind == PM_TEXT_FITTING && is_constant)
        pm_evidence_add(ranked->evidence, "contents", -0.45,
                        "the chunks hold texts that end where they do, as memory for a copy is "
                        "asked for");
    else
        pm_evidence_add(ranked->evidence, "contents", is_constant ? -0.3 : 0.3,
                        "the chunks hold text: strings are mostly of sizes that vary%s",
                        is_constant ? "" : ", as what it asks for may");
}

double
pm_texts_weigh_other(PmTextKind kind)
{
    return kind == PM_TEXT_NONE ? 1 : OTHER;
}
