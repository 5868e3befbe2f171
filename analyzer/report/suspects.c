/*
 * Suspects as text and JSON; see suspects.h.
 */
#include "report/suspects.h"

#include "report/evidence.h"
#include "report/sites.h"

#include <string.h>

/* The page's columns: where a suspect's labels and their texts begin. */
#define LABEL_INDENT 5
#define TEXT_INDENT  18

/* Suspects in full where the user did not ask for more (-v), and all that are listed: those of more
 * than low confidence, or, where there are none, fewer. */
#define IN_FULL    1
#define LISTED     4
#define LISTED_LOW 2

/* Sites that are named, and the least score of one. */
#define SITES_SHOWN  3
#define SITE_SCORE   0.04
#define SITE_COLUMNS 75

/* A suspect of low confidence needs this share of what is in use to be listed. */
#define NOTABLE_SHARE 0.02

static void
write_share(PmJson *json, const char *key, double share)
{
    if (share < 0)
        pm_json_null(json, key);
    else
        pm_json_double(json, key, share);
}

static void
write_size(PmJson *json, const char *key, guint64 bytes)
{
    if (bytes == PM_SUSPECT_NONE)
        pm_json_null(json, key);
    else
        pm_json_uint(json, key, bytes);
}

/* "site" is the first of "sites". */
static void
write_sites(const PmSink *sink, const PmSuspect *suspect)
{
    PmJson *json = sink->json;
    const GPtrArray *sites = suspect->sites;
    if (sites == NULL || sites->len == 0)
        pm_json_null(json, "site");
    else
        pm_site_write_json(sink, "site", g_ptr_array_index(sites, 0));
    pm_json_begin_array(json, "sites");
    for (guint i = 0; sites != NULL && i < sites->len; i++)
        pm_site_write_json(sink, NULL, g_ptr_array_index(sites, i));
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "sites", suspect->sites_omitted);
}

static void
write_next(PmJson *json, const GPtrArray *next)
{
    pm_json_begin_array(json, "next");
    for (guint i = 0; i < next->len; i++) {
        g_autofree char *command = g_strconcat("postmalloc ", g_ptr_array_index(next, i), NULL);
        pm_json_string(json, NULL, command);
    }
    pm_json_end_array(json);
}

static void
write_suspect(const PmSink *sink, const PmSuspect *suspect, guint rank)
{
    PmJson *json = sink->json;
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "rank", rank);
    pm_json_string(json, "kind", pm_suspect_kind_name(suspect->kind));
    pm_json_string(json, "title", suspect->title);
    write_size(json, "chunk_bytes", suspect->chunk_bytes);
    write_size(json, "request_bytes", suspect->request_bytes);
    pm_json_uint(json, "chunks", suspect->chunks);
    pm_json_uint(json, "bytes", suspect->bytes);
    write_share(json, "share_of_used", suspect->share_of_used);
    write_share(json, "lost_share", suspect->lost_share);
    write_share(json, "per_hour", suspect->per_hour);
    pm_json_string(json, "type", suspect->type);
    pm_json_string(json, "looks_like", suspect->looks);
    pm_json_double(json, "confidence", suspect->confidence);
    pm_json_string(json, "confidence_word", pm_confidence_word(suspect->confidence));
    write_sites(sink, suspect);
    pm_evidence_write_json(json, suspect->evidence);
    write_next(json, suspect->next);
    pm_json_end_object(json);
}

void
pm_suspects_write_json(const PmSink *sink, const PmFindings *findings)
{
    const guint count = findings->suspects->len;
    const guint64 shown = pm_sink_rows(sink->top_given ? sink->top : 0, count);
    pm_json_begin_array(sink->json, "suspects");
    for (guint i = 0; i < shown; i++)
        write_suspect(sink, g_ptr_array_index(findings->suspects, i), i + 1);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "suspects", count - shown);
}

/* ---- text ---- */

/* @text with the dots and dashes between its items as the terminal can show them. (transfer full)
 */
static char *
spell_dots(const PmSink *sink, const char *text)
{
    g_auto(GStrv) items = g_strsplit(text, "·", -1);
    g_autofree char *dotted = g_strjoinv(pm_sink_dot(sink), items);
    g_auto(GStrv) ends = g_strsplit(dotted, "–", -1);
    return g_strjoinv(pm_sink_dash(sink), ends);
}

static void
print_line(const PmSink *sink, const char *label, const char *text)
{
    g_autofree char *indented = g_strdup_printf("%*s%s", LABEL_INDENT, "", label);
    g_autofree char *spelt = spell_dots(sink, text);
    pm_sink_paragraph(sink, indented, TEXT_INDENT, spelt);
}

/* Whether the title or another line says it already. */
static gboolean
is_said(const PmSuspect *suspect, const PmEvidence *seen)
{
    if (suspect->kind != PM_SUSPECT_SIZE)
        return FALSE;
    return strcmp(seen->signal, "share") == 0 ||
           (strcmp(seen->signal, "homogeneity") == 0 && suspect->looks != NULL);
}

static void
print_for(const PmSink *sink, const PmSuspect *suspect)
{
    for (guint i = 0; i < suspect->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(suspect->evidence, PmEvidence, i);
        if (seen->weight >= 0 && (sink->verbose || !is_said(suspect, seen)))
            print_line(sink, seen->signal, seen->text);
    }
    if (suspect->looks != NULL)
        print_line(sink, "looks like", suspect->looks);
}

static void
print_site(const PmSink *sink, const char *label, const PmRankedSite *ranked)
{
    g_autofree char *text = pm_site_describe(sink, ranked->site);
    g_autofree char *cut = pm_sanitise_short(text, sink->utf8, SITE_COLUMNS);
    g_autofree char *scored = g_strdup_printf("%-*s %.2f", SITE_COLUMNS, cut, ranked->score);
    print_line(sink, label, scored);
    g_autofree char *inlined = pm_site_describe_inlined(ranked->site);
    if (inlined == NULL)
        return;
    g_autofree char *indented = g_strdup_printf("  %s", inlined);
    print_line(sink, "", indented);
}

/* The strongest of what tells a site from others that ask for the same size. */
static void
print_reason(const PmSink *sink, const PmRankedSite *ranked)
{
    for (guint i = 0; i < ranked->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(ranked->evidence, PmEvidence, i);
        if (strcmp(seen->signal, "size") == 0 || seen->weight <= 0)
            continue;
        g_autofree char *text = g_strdup_printf("  %s", seen->text);
        print_line(sink, "", text);
        return;
    }
}

/* Of a suspect of which no site is likely enough to be named. */
static void
print_no_site(const PmSink *sink, const char *label, const PmSuspect *suspect)
{
    if (suspect->sites->len == 0) {
        print_line(sink, label, "not known: no call of malloc is found in the code that is here");
        return;
    }
    if (suspect->askers == 0) {
        print_line(sink, label,
                   "no call that is known to ask for such a size; sites --variable "
                   "lists those of which the size is not known");
        return;
    }
    g_autofree char *text = g_strdup_printf(
        suspect->askers == 1 ? "%s is known to ask for such a size, and is not likely; sites has it"
                             : "%s are known to ask for such a size, and none stands out; sites "
                               "lists them",
        pm_format_things(suspect->askers, "call").text);
    print_line(sink, label, text);
}

/* Who made them, likeliest first; what tells the first from others in a line below. */
static void
print_sites(const PmSink *sink, const PmFindings *findings, const PmSuspect *suspect)
{
    const char *label = "made by";
    guint shown = 0;
    if (suspect->sites == NULL) {
        if (suspect->kind == PM_SUSPECT_SIZE && findings->sites_message != NULL)
            print_line(sink, label, findings->sites_message);
        return;
    }
    for (guint i = 0; i < suspect->sites->len && shown < SITES_SHOWN; i++) {
        const PmRankedSite *ranked = g_ptr_array_index(suspect->sites, i);
        if (ranked->score < SITE_SCORE)
            break;
        print_site(sink, label, ranked);
        label = "";
        if (shown++ == 0)
            print_reason(sink, ranked);
    }
    if (shown == 0)
        print_no_site(sink, label, suspect);
}

static void
print_against(const PmSink *sink, const PmSuspect *suspect)
{
    const char *label = "against";
    for (guint i = 0; i < suspect->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(suspect->evidence, PmEvidence, i);
        if (seen->weight >= 0)
            continue;
        print_line(sink, label, seen->text);
        label = "";
    }
}

static void
print_next(const PmSink *sink, const PmSuspect *suspect)
{
    for (guint i = 0; i < suspect->next->len; i++)
        pm_sink_line(sink, "%*s%-*s postmalloc %s", LABEL_INDENT, "",
                     TEXT_INDENT - LABEL_INDENT - 1, i == 0 ? "next" : "",
                     (const char *)g_ptr_array_index(suspect->next, i));
}

static void
print_title(const PmSink *sink, const PmSuspect *suspect, guint rank)
{
    g_autofree char *spelt = spell_dots(sink, suspect->title);
    g_autofree char *title = pm_sanitise(spelt, sink->utf8);
    g_autofree char *line = g_strdup_printf("%u  %s", rank, title);
    g_autofree char *sure =
        g_strdup_printf("%s confidence", pm_confidence_word(suspect->confidence));
    const glong room = PM_SINK_COLUMNS - g_utf8_strlen(line, -1) - (glong)strlen(sure);
    pm_sink_emphasise(sink, line);
    if (room >= 2)
        pm_output_printf(sink->output, "%*s%s\n", (int)room, "", sure);
    else
        pm_output_printf(sink->output, "\n%*s%s\n", PM_SINK_COLUMNS - (int)strlen(sure), "", sure);
}

/* A suspect in a line: the strongest of what speaks for it. */
static void
print_briefly(const PmSink *sink, const PmSuspect *suspect)
{
    const PmEvidence *strongest = NULL;
    for (guint i = 0; i < suspect->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(suspect->evidence, PmEvidence, i);
        if (!is_said(suspect, seen) && (strongest == NULL || seen->weight > strongest->weight))
            strongest = seen;
    }
    if (strongest != NULL)
        print_line(sink, strongest->signal, strongest->text);
    if (suspect->type != NULL)
        print_line(sink, "type", suspect->type);
    const PmRankedSite *ranked = suspect->sites != NULL && suspect->sites->len > 0
                                     ? g_ptr_array_index(suspect->sites, 0)
                                     : NULL;
    if (ranked == NULL || ranked->score < SITE_SCORE)
        return;
    print_site(sink, "made by", ranked);
}

static void
print_suspect(const PmSink *sink, const PmFindings *findings, guint index)
{
    const PmSuspect *suspect = g_ptr_array_index(findings->suspects, index);
    print_title(sink, suspect, index + 1);
    if (index >= IN_FULL && !sink->verbose) {
        print_briefly(sink, suspect);
        return;
    }
    print_for(sink, suspect);
    print_sites(sink, findings, suspect);
    print_against(sink, suspect);
    print_next(sink, suspect);
}

/* Whether a suspect of low confidence is worth a line beside "nothing stands out". Free memory has
 * no share of what is in use; it is suspected only where there is much of it. */
static gboolean
is_notable(const PmSuspect *suspect)
{
    return suspect->confidence >= PM_CONFIDENCE_MEDIUM || suspect->kind == PM_SUSPECT_ARENA ||
           suspect->share_of_used >= NOTABLE_SHARE;
}

/* How many of the suspects the page has where the user did not say. */
static guint
count_listed(const PmFindings *findings)
{
    const gboolean has_suspects = pm_findings_have_suspects(findings);
    const double least = has_suspects ? PM_CONFIDENCE_MEDIUM : 0;
    const guint most = MIN(findings->suspects->len, has_suspects ? LISTED : LISTED_LOW);
    guint count = 0;
    while (count < most) {
        const PmSuspect *suspect = g_ptr_array_index(findings->suspects, count);
        if (suspect->confidence < least || !is_notable(suspect))
            break;
        count++;
    }
    return count;
}

void
pm_suspects_print(const PmSink *sink, const PmFindings *findings)
{
    const guint count = findings->suspects->len;
    const guint64 shown = sink->top_given ? pm_sink_rows(sink->top, count) : count_listed(findings);
    pm_sink_heading(sink, "SUSPECTS");
    if (!pm_findings_have_suspects(findings))
        pm_sink_line(sink, "Nothing stands out%s",
                     shown == 0 ? "." : "; what comes nearest, with low confidence:");
    for (guint i = 0; i < shown; i++)
        print_suspect(sink, findings, i);
    if (shown < count && pm_findings_have_suspects(findings))
        pm_sink_line(sink, "%s: postmalloc report %s --top 0 -v",
                     pm_format_more(count - shown, "suspect").text, sink->again);
}
