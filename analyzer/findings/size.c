/*
 * A chunk size as a suspect; see size.h.
 */
#include "findings/size.h"

#include "analysis/format.h"
#include "findings/draw.h"
#include "findings/weights.h"

#include <string.h>

/* From this share of the sample on the chunks are one kind; from the second on, so much so that
 * what one of them asked for is what all of them did. */
#define HOMOGENEOUS 0.9
#define UNIFORM     0.98

/* A suspect for its share alone is never more than low: one core does not tell growth. */
#define LIVE_MOST (PM_CONFIDENCE_MEDIUM - 0.05)

/* A site with this score tells the request. */
#define TELLING_SCORE 0.75

/* Of what nothing is lost, this much of the bytes interests. */
#define LIVE_INTEREST 0.1

/* One suspect in the making. */
typedef struct {
    const PmFindingsInput *input;
    const PmSizeCandidate *candidate;
    PmSizeFinding *finding;
    PmSuspect *suspect;
    const PmSchema *schema;
} Making;

/* Whether what is sampled, the lost ones or the others, is as good as all. */
static gboolean
speaks_for_all(const PmSizeFinding *finding)
{
    const double lost_share = finding->suspect->lost_share;
    return lost_share < 0 || (finding->samples_lost ? lost_share : 1 - lost_share) >= UNIFORM;
}

static const PmNamedRow *
get_main_row(const PmSizeFinding *finding)
{
    return finding->naming->row_count > 0 ? &finding->naming->rows[0] : NULL;
}

/* What a sample of one side is called, where there is another. */
static const char *
get_sampled(const Making *making)
{
    if (speaks_for_all(making->finding))
        return "sampled";
    return making->finding->samples_lost ? "lost ones sampled" : "that are not lost sampled";
}

/* ---- the evidence ---- */

static void
add_lost(const Making *making)
{
    const PmSizeRow *row = making->candidate->row;
    PmSuspect *suspect = making->suspect;
    const double weight = pm_weigh_lost(row->lost_chunks);
    if (row->lost_chunks == row->used_chunks)
        pm_evidence_add(suspect->evidence, "lost", weight,
                        row->lost_chunks == 1
                            ? "nothing in the process refers to it any more"
                            : "100 %%: nothing in the process leads to any of them");
    else
        pm_evidence_add(
            suspect->evidence, "lost", weight, "%s of them, %s: nothing in the process leads there",
            pm_format_count(row->lost_chunks).text, pm_format_share(suspect->lost_share).text);
}

/* How lost chunks hang together. Those that others answer for are no suspects of their own. */
static void
add_ties(const Making *making)
{
    const PmSizeCandidate *candidate = making->candidate;
    const gboolean is_answered = making->finding->samples_lost && !making->finding->is_lost;
    if (candidate->roots > 0 && candidate->ring_chunks > 0)
        pm_evidence_add(making->suspect->evidence, "rings", 0,
                        "%s, %s, are in rings with them that nothing else leads to",
                        pm_format_more(candidate->ring_chunks, "lost chunk").text,
                        pm_format_bytes(candidate->ring_bytes).text);
    if (candidate->roots > 0 && candidate->hanging_chunks > 0)
        pm_evidence_add(making->suspect->evidence, "hanging", PM_WEIGHT_HANGING,
                        "%s, %s, only they lead to",
                        pm_format_more(candidate->hanging_chunks, "lost chunk").text,
                        pm_format_bytes(candidate->hanging_bytes).text);
    if (candidate->indirect > candidate->roots)
        pm_evidence_add(making->suspect->evidence, "indirect", is_answered ? PM_WEIGHT_LIVE : 0,
                        "%s of them hang on other lost chunks: postmalloc leaks names the roots",
                        pm_format_count(candidate->indirect).text);
}

static void
add_reachable(const Making *making)
{
    pm_evidence_add(making->suspect->evidence, "reachable", PM_WEIGHT_LIVE,
                    "something refers to %s: a structure of the program's, not a leak by itself; "
                    "a second core would tell whether it grows",
                    making->candidate->row->lost_chunks == 0 ? "every one of them"
                                                             : "most of them");
}

static void
add_share(const Making *making)
{
    const PmSizeRow *row = making->candidate->row;
    const PmTotal *used = &making->input->sizes->states[PM_CHUNK_USED];
    const gboolean is_lost = making->finding->is_lost;
    const guint64 bytes = is_lost ? making->candidate->blame_bytes : pm_size_row_used_bytes(row);
    const double share = MIN(pm_share(bytes, used->chunk_bytes), 1.0);
    const double weight = is_lost ? pm_weigh_lost_share(share) : pm_weigh_live_share(share);
    pm_evidence_add(making->suspect->evidence, "share", weight, "%s, %s of what is in use%s",
                    pm_format_bytes(bytes).text, pm_format_share(share).text,
                    is_lost && making->candidate->ring_bytes + making->candidate->hanging_bytes > 0
                        ? ", are lost with what hangs on them"
                        : "");
    if (is_lost)
        pm_weigh_trifle(making->suspect->evidence, bytes, share);
}

static void
add_homogeneity(const Making *making)
{
    const PmNaming *naming = making->finding->naming;
    const PmNamedRow *row = get_main_row(making->finding);
    const gsize count = making->schema->sample->count;
    if (row == NULL || count < 2)
        return;
    const double share = pm_share(row->sampled, count);
    pm_evidence_add(
        making->suspect->evidence, "homogeneity", share >= HOMOGENEOUS ? PM_WEIGHT_HOMOGENEOUS : 0,
        naming->row_count == 1 ? "one kind in %s of %s %s"
                               : "the largest of several kinds is %s of %s %s",
        pm_format_count(row->sampled).text, pm_format_count(count).text, get_sampled(making));
}

static void
add_request(const Making *making)
{
    const PmSchemaRequest *request = &making->schema->request;
    if (!request->known)
        return;
    /* With padding at its end a record may be of either size. */
    if (request->padded <= request->request)
        making->suspect->request_bytes = request->request;
    pm_evidence_add(making->suspect->evidence, "request", 0,
                    "%" G_GUINT64_FORMAT " bytes, %.0f %% sure: %s", request->request,
                    request->confidence * 100, request->evidence);
}

/* Time stamps in the chunks tell since when there are such, and how fast they came. */
static void
add_times(const Making *making)
{
    for (gsize i = 0; i < making->schema->layout_count; i++) {
        const PmSchemaLayout *layout = &making->schema->layouts[i];
        if (!layout->has_rate)
            continue;
        g_autoptr(GDateTime) first = g_date_time_new_from_unix_utc(layout->onset_seconds);
        g_autoptr(GDateTime) last = g_date_time_new_from_unix_utc(layout->last_seconds);
        if (first == NULL || last == NULL)
            continue;
        g_autofree char *from = g_date_time_format(first, "%F %T");
        g_autofree char *to = g_date_time_format(last, "%F %T");
        pm_evidence_add(making->suspect->evidence, "times", 0,
                        "time stamps at +%" G_GUINT64_FORMAT " from %s to %s UTC: about %s an hour",
                        layout->time_offset_bytes, from, to,
                        pm_format_rate(layout->rate_per_hour).text);
        return;
    }
}

static void
add_type(const Making *making)
{
    const PmNamedRow *row = get_main_row(making->finding);
    PmSuspect *suspect = making->suspect;
    if (row == NULL || row->typed.by == PM_TYPED_BY_LAYOUT)
        return;
    suspect->type = g_strdup(row->typed.name);
    pm_evidence_add(suspect->evidence, "type", 0, "%s, %.0f %% sure: %s", row->typed.name,
                    row->typed.confidence * 100,
                    row->typed.reason != NULL ? row->typed.reason
                                              : pm_typed_by_name(row->typed.by));
}

/* ---- the lines of the page ---- */

static gboolean
is_pointer(PmColumnKind kind)
{
    return kind >= PM_COLUMN_POINTER && kind <= PM_COLUMN_MAPPING;
}

static void
set_looks(const Making *making)
{
    const PmNamedRow *row = get_main_row(making->finding);
    if (row == NULL || row->layout >= making->schema->layout_count)
        return;
    const PmSchemaLayout *layout = &making->schema->layouts[row->layout];
    gboolean has_pointers = FALSE, has_text = FALSE;
    for (gsize i = 0; i < layout->column_count; i++) {
        has_pointers |= is_pointer(layout->columns[i].kind);
        has_text |= layout->columns[i].kind == PM_COLUMN_TEXT;
    }
    making->suspect->looks = g_strdup_printf(
        "%s; %s of %s %s%s", layout->signature, pm_format_count(layout->chunks_sampled).text,
        pm_format_count(making->schema->sample->count).text, get_sampled(making),
        has_pointers || has_text ? "" : "; no pointers, no text");
}

/* What the sample tells of the request is the title's where it speaks for all that this counts. */
static char *
describe_request(const PmSizeFinding *finding)
{
    if (finding->suspect->request_bytes != PM_SUSPECT_NONE && speaks_for_all(finding))
        return g_strdup_printf("requests of %" G_GUINT64_FORMAT " bytes",
                               finding->suspect->request_bytes);
    return g_strdup_printf("requests of %" G_GUINT64_FORMAT "–%" G_GUINT64_FORMAT " bytes",
                           finding->requests.min, finding->requests.max);
}

static void
set_title(const PmSizeFinding *finding)
{
    PmSuspect *suspect = finding->suspect;
    g_autofree char *request = describe_request(finding);
    suspect->title = g_strdup_printf("%s · %s · %s · %s of what is in use", request,
                                     pm_format_things(suspect->chunks, "chunk").text,
                                     pm_format_bytes(suspect->bytes).text,
                                     pm_format_share(suspect->share_of_used).text);
}

void
pm_size_finding_weigh(PmSizeFinding *finding)
{
    PmSuspect *suspect = finding->suspect;
    suspect->confidence = pm_weigh_all(suspect->evidence, finding->most);
    suspect->interest = suspect->confidence * finding->interest_bytes;
}

PmSizeFinding *
pm_size_finding_new(const PmFindingsInput *input, const PmSizeCandidate *candidate)
{
    const PmSizeRow *row = candidate->row;
    PmSizeFinding *finding = g_new0(PmSizeFinding, 1);
    finding->is_lost = candidate->blame_bytes > 0;
    finding->samples_lost = finding->is_lost || row->lost_chunks > row->used_chunks / 2;
    finding->naming = pm_naming_new(
        input->namer,
        pm_draw_chunks(input, row->chunk_bytes,
                       finding->samples_lost ? PM_REACH_LOST : PM_REACH_LIVE, PM_SCHEMA_SAMPLE));
    finding->requests = pm_size_row_requests(
        row, input->subject->ptmalloc, pm_image_get_target(input->subject->image)->word_bytes);
    finding->suspect = pm_suspect_new(PM_SUSPECT_SIZE);
    PmSuspect *suspect = finding->suspect;
    suspect->chunk_bytes = row->chunk_bytes;
    suspect->chunks = row->used_chunks;
    suspect->bytes = pm_size_row_used_bytes(row);
    suspect->share_of_used =
        pm_share(suspect->bytes, input->sizes->states[PM_CHUNK_USED].chunk_bytes);
    if (input->sizes->lost_known)
        suspect->lost_share = pm_share(row->lost_chunks, row->used_chunks);
    const Making making = {.input = input,
                           .candidate = candidate,
                           .finding = finding,
                           .suspect = suspect,
                           .schema = finding->naming->schema};
    if (finding->is_lost)
        add_lost(&making);
    else if (input->reach != NULL && !finding->samples_lost)
        add_reachable(&making);
    add_ties(&making);
    add_share(&making);
    pm_weigh_rate(input, suspect, finding->is_lost ? row->lost_chunks : row->used_chunks);
    add_times(&making);
    add_homogeneity(&making);
    add_request(&making);
    add_type(&making);
    pm_weigh_doubts(input, suspect->evidence, finding->is_lost);
    set_looks(&making);
    finding->most = finding->is_lost ? pm_weigh_most(input, candidate->roots) : LIVE_MOST;
    finding->interest_bytes =
        finding->is_lost ? (double)candidate->blame_bytes : (double)suspect->bytes * LIVE_INTEREST;
    pm_size_finding_weigh(finding);
    return finding;
}

void
pm_size_finding_free(PmSizeFinding *finding)
{
    if (finding->suspect != NULL)
        pm_suspect_free(finding->suspect);
    pm_naming_free(finding->naming);
    g_free(finding);
}

/* A chunk of the size that something still leads to, or PM_ADDR_NONE. */
static PmAddr
find_twin(const PmFindingsInput *input, guint64 chunk_bytes)
{
    g_autoptr(PmSample) sample = pm_draw_chunks(input, chunk_bytes, PM_REACH_LIVE, 1);
    return sample->count > 0 ? sample->chunks[0].address : PM_ADDR_NONE;
}

static const PmRankedSite *
get_best_site(const PmSuspect *suspect)
{
    return suspect->sites != NULL && suspect->sites->len > 0 ? g_ptr_array_index(suspect->sites, 0)
                                                             : NULL;
}

static void
add_next(PmSizeFinding *finding, const PmFindingsInput *input)
{
    PmSuspect *suspect = finding->suspect;
    const char *again = input->again;
    const PmRankedSite *best = get_best_site(suspect);
    const char *more = best != NULL && best->site->kind >= PM_SITE_RANGE ? " --variable" : "";
    if (suspect->request_bytes != PM_SUSPECT_NONE)
        pm_suspect_add_next(suspect, "sites %s --size %" G_GUINT64_FORMAT "%s", again,
                            suspect->request_bytes, more);
    else
        pm_suspect_add_next(suspect, "sites %s --chunk-size 0x%" G_GINT64_MODIFIER "x%s", again,
                            suspect->chunk_bytes, more);
    pm_suspect_add_next(suspect, "schema %s --chunk-size 0x%" G_GINT64_MODIFIER "x%s", again,
                        suspect->chunk_bytes, finding->samples_lost ? " --reach lost" : "");
    const gboolean has_live = input->reach != NULL && suspect->lost_share < 1;
    const PmAddr twin = has_live ? find_twin(input, suspect->chunk_bytes) : PM_ADDR_NONE;
    if (twin != PM_ADDR_NONE)
        pm_suspect_add_next(suspect, "path %s 0x%" G_GINT64_MODIFIER "x", again, twin);
    else
        pm_suspect_add_next(suspect, "sample %s --chunk-size 0x%" G_GINT64_MODIFIER "x%s", again,
                            suspect->chunk_bytes, finding->samples_lost ? " --reach lost" : "");
}

/* Whether all but very few of those that were looked at are of one kind. */
static gboolean
is_uniform(const PmSizeFinding *finding)
{
    const PmNamedRow *row = get_main_row(finding);
    return row != NULL && pm_share(row->sampled, finding->naming->schema->sample->count) >= UNIFORM;
}

/* Where the slack does not tell the request, a site that is likely enough does: if there is one
 * kind of chunks, and so one request. */
static void
take_request(const PmSizeFinding *finding)
{
    PmSuspect *suspect = finding->suspect;
    const PmRankedSite *best = get_best_site(suspect);
    if (suspect->request_bytes != PM_SUSPECT_NONE || best == NULL ||
        best->request_bytes == PM_SIZE_UNKNOWN || best->score < TELLING_SCORE ||
        !is_uniform(finding))
        return;
    suspect->request_bytes = best->request_bytes;
    pm_evidence_add(suspect->evidence, "request", 0,
                    "%" G_GUINT64_FORMAT " bytes, as the likeliest site asks for",
                    best->request_bytes);
}

/* Whether the chunks contradict what a site's variable says that they are. */
static gboolean
is_type_doubted(const PmRankedSite *ranked)
{
    for (guint i = 0; i < ranked->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(ranked->evidence, PmEvidence, i);
        if (strcmp(seen->signal, "type") == 0 && seen->weight < 0)
            return TRUE;
    }
    return FALSE;
}

/* What nothing else names has the type of the variable that the result of its site goes to, where
 * that site is likely enough, and asks for a record of that size. */
static void
take_type(const PmSizeFinding *finding)
{
    PmSuspect *suspect = finding->suspect;
    const PmRankedSite *best = get_best_site(suspect);
    if (suspect->type != NULL || best == NULL || best->score < TELLING_SCORE ||
        best->site->type == NULL || best->site->type->size_bytes != best->request_bytes ||
        (best->site->type->kind != PM_TYPE_STRUCT && best->site->type->kind != PM_TYPE_UNION) ||
        is_type_doubted(best) || !is_uniform(finding))
        return;
    suspect->type = g_strdup(best->site->type->name);
    pm_evidence_add(suspect->evidence, "type", 0,
                    "%s, by the variable %s to which the result of the likeliest site goes",
                    best->site->type->name, best->site->variable);
}

static gsize
count_untyped_modules(const PmSubject *subject)
{
    gsize count = 0, untyped = 0;
    const PmModule *modules = pm_process_get_modules(subject->process, &count);
    for (gsize i = 0; i < count; i++)
        untyped += !modules[i].is_vdso && !modules[i].dwarf;
    return untyped;
}

/* What comes nearest to a type where neither the chunks nor a site tell one. */
static void
add_nearest(const PmSizeFinding *finding, const PmFindingsInput *input)
{
    const PmNamedRow *row = get_main_row(finding);
    PmSuspect *suspect = finding->suspect;
    if (suspect->type != NULL || row == NULL)
        return;
    if (pm_named_row_has_near(row))
        pm_evidence_add(suspect->evidence, "type", 0, "none fits well; the nearest is %s, fit %.2f",
                        row->nearest->name, row->nearest_fit);
    const gsize untyped = count_untyped_modules(input->subject);
    if (untyped > 0)
        pm_evidence_add(suspect->evidence, "types-missing", PM_WEIGHT_UNTYPED,
                        "%s without DWARF could not be searched for types",
                        pm_format_things(untyped, "module").text);
}

void
pm_size_finding_finish(PmSizeFinding *finding, const PmFindingsInput *input)
{
    take_request(finding);
    take_type(finding);
    add_nearest(finding, input);
    pm_size_finding_weigh(finding);
    set_title(finding);
    add_next(finding, input);
}
