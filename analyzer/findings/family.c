/*
 * Families of sizes; see family.h. Looks at a sample of all lost chunks, by what single chunks say
 * of themselves.
 */
#include "findings/family.h"

#include "analysis/format.h"
#include "findings/draw.h"
#include "findings/weights.h"

#define SAMPLE 4096

/* Fewer sizes are suspects of their own. A family holds this much more than the largest of them. */
#define SIZES_LEAST  4
#define CHUNKS_LEAST 10
#define OUTWEIGHS    1.5

/* @name: NULL for chunks that nothing names. @sizes: the chunk_bytes, and how many of each. @some:
 * there may be more sizes, for a sample was looked at. @estimated: the sample holds other things as
 * well, so that nobody counted how many there are. */
typedef struct {
    const char *name;
    gboolean some;
    gboolean estimated;
    guint64 chunks;
    guint64 bytes;
    guint64 smallest;
    guint64 largest;
    GHashTable *sizes;
} Family;

static void
clear_family(gpointer data)
{
    Family *family = data;
    g_hash_table_unref(family->sizes);
}

static const char *
name_chunk(const PmNamer *namer, const PmChunk *chunk)
{
    PmTyped typed = {.by = PM_TYPED_NOT};
    if (namer->typing != NULL)
        pm_typing_get(namer->typing, chunk, &typed);
    if (typed.by != PM_TYPED_NOT)
        return typed.name;
    PmRecognition recognition = {.elements = 1};
    if (namer->recognisers != NULL &&
        pm_recognisers_ask(namer->recognisers, chunk, NULL, &recognition))
        return recognition.name;
    return NULL;
}

static Family *
get_family(GArray *families, const char *name)
{
    for (guint i = 0; i < families->len; i++) {
        Family *family = &g_array_index(families, Family, i);
        if (g_strcmp0(family->name, name) == 0)
            return family;
    }
    const Family family = {.name = name,
                           .smallest = G_MAXUINT64,
                           .sizes =
                               g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL)};
    g_array_append_val(families, family);
    return &g_array_index(families, Family, families->len - 1);
}

static void
add_chunk(Family *family, const PmChunk *chunk)
{
    family->chunks++;
    family->bytes += chunk->chunk_bytes;
    family->smallest = MIN(family->smallest, chunk->chunk_bytes);
    family->largest = MAX(family->largest, chunk->chunk_bytes);
    const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(family->sizes, &chunk->chunk_bytes));
    g_hash_table_insert(family->sizes, g_memdup2(&chunk->chunk_bytes, sizeof chunk->chunk_bytes),
                        GUINT_TO_POINTER(count + 1));
}

/* The size that most of its chunks have, of several the smallest. */
static guint64
get_commonest(const Family *family)
{
    GHashTableIter iter;
    gpointer size = NULL, count = NULL;
    guint64 commonest = 0;
    guint most = 0;
    g_hash_table_iter_init(&iter, family->sizes);
    while (g_hash_table_iter_next(&iter, &size, &count)) {
        const guint64 chunk_bytes = *(const guint64 *)size;
        const guint chunks = GPOINTER_TO_UINT(count);
        if (chunks < most || (chunks == most && chunk_bytes > commonest))
            continue;
        most = chunks;
        commonest = chunk_bytes;
    }
    return commonest;
}

/* A number of the sample as one of all lost chunks. */
static guint64
scale(guint64 number, guint64 sampled, guint64 all)
{
    return sampled == 0 ? 0 : (guint64)((double)number / (double)sampled * (double)all + 0.5);
}

static void
add_evidence(PmSuspect *suspect, const PmFindingsInput *input, const Family *family, double share)
{
    pm_evidence_add(suspect->evidence, "lost", pm_weigh_lost(suspect->chunks),
                    "nothing in the process leads to any of them");
    pm_evidence_add(suspect->evidence, "sizes", 0,
                    "%s%s sizes of chunks from 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER
                    "x%s; no one of them stands out",
                    family->some ? "at least " : "",
                    pm_format_count(g_hash_table_size(family->sizes)).text, family->smallest,
                    family->largest, family->some ? " in a sample" : "");
    pm_evidence_add(suspect->evidence, "share", pm_weigh_lost_share(share),
                    "%s, %s of what is in use", pm_format_bytes(suspect->bytes).text,
                    pm_format_share(share).text);
    pm_weigh_trifle(suspect->evidence, suspect->bytes, share);
    if (suspect->type != NULL)
        pm_evidence_add(suspect->evidence, "homogeneity", PM_WEIGHT_HOMOGENEOUS, "all are %s",
                        suspect->type);
    pm_weigh_rate(input, suspect, suspect->chunks);
    pm_weigh_doubts(input, suspect->evidence, TRUE);
}

static PmSuspect *
make_suspect(const PmFindingsInput *input, const Family *family, guint64 commonest, guint64 chunks,
             guint64 bytes)
{
    PmSuspect *suspect = pm_suspect_new(PM_SUSPECT_SIZE);
    const double share = pm_share(bytes, input->sizes->states[PM_CHUNK_USED].chunk_bytes);
    suspect->chunks = chunks;
    suspect->bytes = bytes;
    suspect->share_of_used = share;
    suspect->lost_share = 1;
    suspect->type = g_strdup(family->name);
    suspect->title = g_strdup_printf(
        "%s of %s%s sizes · %s%s · %s · %s of what is in use",
        family->name != NULL ? family->name : "lost chunks", family->some ? "at least " : "",
        pm_format_count(g_hash_table_size(family->sizes)).text, family->estimated ? "about " : "",
        pm_format_things(chunks, "chunk").text, pm_format_bytes(bytes).text,
        pm_format_share(share).text);
    add_evidence(suspect, input, family, share);
    pm_suspect_add_next(suspect, "sites %s --variable --chunk-size 0x%" G_GINT64_MODIFIER "x",
                        input->again, commonest);
    pm_suspect_add_next(suspect, "leaks %s --top 0", input->again);
    pm_suspect_add_next(suspect, "sample %s --reach lost --count 20", input->again);
    if (g_strcmp0(family->name, "text") == 0)
        pm_suspect_add_next(suspect, "strings %s --reach lost", input->again);
    return suspect;
}

static gsize
count_lost_sizes(const PmSizes *sizes)
{
    gsize count = 0;
    for (gsize i = 0; i < sizes->row_count; i++)
        count += sizes->rows[i].lost_chunks > 0;
    return count;
}

static Family *
find_largest(const GArray *families)
{
    Family *largest = NULL;
    for (guint i = 0; i < families->len; i++) {
        Family *family = &g_array_index(families, Family, i);
        if (g_hash_table_size(family->sizes) >= SIZES_LEAST && family->chunks >= CHUNKS_LEAST &&
            (largest == NULL || family->bytes > largest->bytes))
            largest = family;
    }
    return largest;
}

gboolean
pm_family_find(const PmFindingsInput *input, const PmHidden *hidden, guint64 most_blamed,
               PmFamilyFinding *ret_finding)
{
    if (input->reach == NULL)
        return FALSE;
    const PmReachResult *result = pm_reach_get_result(input->reach);
    const PmReachSum *lost = &result->lost;
    if ((double)lost->chunk_bytes <= (double)most_blamed * OUTWEIGHS)
        return FALSE;
    g_autoptr(PmSample) sample = pm_draw_chunks(input, 0, PM_REACH_LOST, SAMPLE);
    g_autoptr(GArray) families = g_array_new(FALSE, FALSE, sizeof(Family));
    g_array_set_clear_func(families, clear_family);
    guint64 sampled_bytes = 0;
    for (gsize i = 0; i < sample->count; i++) {
        add_chunk(get_family(families, name_chunk(input->namer, &sample->chunks[i])),
                  &sample->chunks[i]);
        sampled_bytes += sample->chunks[i].chunk_bytes;
    }
    Family *largest = find_largest(families);
    if (largest == NULL)
        return FALSE;
    largest->some =
        g_hash_table_size(largest->sizes) < count_lost_sizes(input->sizes) && !sample->is_whole;
    largest->estimated = !sample->is_whole && largest->chunks < sample->count;
    const guint64 bytes = scale(largest->bytes, sampled_bytes, lost->chunk_bytes);
    if ((double)bytes <= (double)most_blamed * OUTWEIGHS)
        return FALSE;
    const guint64 commonest = get_commonest(largest);
    PmSuspect *suspect = make_suspect(input, largest, commonest,
                                      scale(largest->chunks, sample->count, lost->chunks), bytes);
    const guint64 roots =
        result->classes[PM_REACH_LEAK_ROOT].chunks + result->classes[PM_REACH_LEAK_CYCLE].chunks;
    if (hidden != NULL)
        pm_hidden_weigh(hidden, 0, suspect->evidence);
    suspect->confidence = pm_weigh_all(suspect->evidence, pm_weigh_most(input, roots));
    suspect->interest = (double)bytes * suspect->confidence;
    *ret_finding = (PmFamilyFinding){suspect, commonest};
    return TRUE;
}
