/*
 * Call sites as text and JSON; see sites.h.
 */
#include "report/sites.h"

#include "dwarf/inlined.h"
#include "report/evidence.h"
#include "report/table.h"

#include <string.h>

#define PLACE_COLUMNS  36
#define LINE_COLUMNS   22
#define MODULE_COLUMNS 18
#define STORES_LISTED  3
/* Evidence of less weight is not worth a line. */
#define REASON_MIN 0.1

static const char *
get_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void
write_requests(const PmSink *sink, const PmSite *site)
{
    PmJson *json = sink->json;
    if (site->kind <= PM_SITE_SEVERAL) {
        pm_json_begin_array(json, "requests");
        for (guint i = 0; i < site->size.count; i++)
            pm_json_uint(json, NULL, site->size.v[i]);
        pm_json_end_array(json);
    } else {
        pm_json_null(json, "requests");
    }
    if (site->size.kind == PM_VALUE_RANGE) {
        pm_json_uint(json, "request_min", site->size.v[0]);
        pm_json_uint(json, "request_max", site->size.v[1]);
    }
    if (site->kind == PM_SITE_VARIABLE && site->size.kind == PM_VALUE_SET) {
        pm_json_begin_array(json, "possible_requests");
        for (guint i = 0; i < site->size.count; i++)
            pm_json_uint(json, NULL, site->size.v[i]);
        pm_json_end_array(json);
    }
}

static void
write_inlined(const PmSink *sink, const GArray *inlined)
{
    PmJson *json = sink->json;
    pm_json_begin_array(json, "inlined");
    for (guint i = 0; inlined != NULL && i < inlined->len; i++) {
        const PmInlined *call = &g_array_index(inlined, PmInlined, i);
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "function", call->function);
        pm_json_string(json, "call_file", call->file);
        if (call->line != 0)
            pm_json_uint(json, "call_line", call->line);
        else
            pm_json_null(json, "call_line");
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

static void
write_stores(const PmSink *sink, const GArray *stores)
{
    PmJson *json = sink->json;
    pm_json_begin_array(json, "stores");
    for (guint i = 0; i < stores->len; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        const gboolean is_address = store->kind == PM_STORED_ADDRESS ||
                                    store->kind == PM_STORED_COPY ||
                                    store->kind == PM_STORED_PASSED;
        pm_json_begin_object(json, NULL);
        pm_json_int(json, "offset", store->offset);
        if (store->width_bytes != 0 && store->kind != PM_STORED_PASSED)
            pm_json_uint(json, "width", store->width_bytes);
        else
            pm_json_null(json, "width");
        pm_json_string(json, "kind", pm_stored_kind_name((PmStoredKind)store->kind));
        if (is_address)
            pm_json_address(json, "value", store->value);
        else if (store->kind == PM_STORED_CONSTANT)
            pm_json_uint(json, "value", store->value);
        else
            pm_json_null(json, "value");
        pm_json_bool(json, "late", store->is_late != 0);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
}

void
pm_site_write_json(const PmSink *sink, const char *key, const PmRankedSite *ranked)
{
    const PmSite *site = ranked->site;
    PmJson *json = sink->json;
    pm_json_begin_object(json, key);
    pm_json_string(json, "module", site->module->path);
    pm_json_address(json, "address", site->address);
    pm_json_address(json, "return_address", site->return_address);
    pm_json_string(json, "function", site->function);
    pm_json_uint(json, "offset", site->offset_bytes);
    pm_json_string(json, "file", site->file);
    if (site->line != 0)
        pm_json_uint(json, "line", site->line);
    else
        pm_json_null(json, "line");
    write_inlined(sink, site->inlined);
    pm_json_string(json, "allocator", site->allocator);
    pm_json_begin_array(json, "through");
    for (gsize i = 0; site->through != NULL && site->through[i] != NULL; i++)
        pm_json_string(json, NULL, site->through[i]);
    pm_json_end_array(json);
    pm_json_bool(json, "by_pointer", site->by_pointer);
    pm_json_string(json, "argument", site->argument);
    if (ranked->request_bytes != PM_SIZE_UNKNOWN)
        pm_json_uint(json, "request_bytes", ranked->request_bytes);
    else
        pm_json_null(json, "request_bytes");
    write_requests(sink, site);
    write_stores(sink, site->stores);
    pm_json_string(json, "variable", site->type != NULL ? site->variable : NULL);
    pm_json_string(json, "type", site->type != NULL ? site->type->name : NULL);
    pm_json_double(json, "score", ranked->score);
    pm_evidence_write_json(json, ranked->evidence);
    pm_json_end_object(json);
}

static void
write_counts(const PmSink *sink, const PmSiteCounts *counts)
{
    PmJson *json = sink->json;
    pm_json_begin_object(json, "counts");
    pm_json_uint(json, "exact", counts->sites[PM_SITE_EXACT]);
    pm_json_uint(json, "several", counts->sites[PM_SITE_SEVERAL]);
    pm_json_uint(json, "range", counts->sites[PM_SITE_RANGE]);
    pm_json_uint(json, "variable", counts->sites[PM_SITE_VARIABLE]);
    pm_json_uint(json, "forwarding", counts->forwarding);
    pm_json_uint(json, "wrappers", counts->wrappers);
    pm_json_uint(json, "modules", counts->modules);
    pm_json_uint(json, "text_bytes", counts->text_bytes);
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmSitesAnswer *answer)
{
    gsize unread_count = 0, nameless_count = 0;
    const PmSites *sites = answer->sites;
    const gsize count = answer->ranked->len;
    const PmUnreadModule *unread = pm_sites_get_unread(sites, &unread_count);
    const PmModule *const *nameless = pm_sites_get_nameless(sites, &nameless_count);
    const guint64 shown = pm_sink_rows(sink->top_given ? sink->top : 0, count);
    pm_sink_begin(sink, subject);
    pm_json_begin_array(sink->json, "sites");
    for (guint64 i = 0; i < shown; i++)
        pm_site_write_json(sink, NULL, g_ptr_array_index(answer->ranked, (guint)i));
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "sites", count - shown);
    if (answer->chunk_bytes != 0) {
        pm_json_uint(sink->json, "chunk_bytes", answer->chunk_bytes);
        pm_json_uint(sink->json, "chunks", answer->chunks);
    } else {
        pm_json_null(sink->json, "chunk_bytes");
        pm_json_null(sink->json, "chunks");
    }
    write_counts(sink, pm_sites_get_counts(sites));
    pm_json_begin_array(sink->json, "modules_unread");
    for (gsize i = 0; i < unread_count; i++)
        pm_json_string(sink->json, NULL, unread[i].module->path);
    pm_json_end_array(sink->json);
    pm_json_begin_array(sink->json, "modules_nameless");
    for (gsize i = 0; i < nameless_count; i++)
        pm_json_string(sink->json, NULL, nameless[i]->path);
    pm_json_end_array(sink->json);
    pm_sink_end(sink);
}

static void
print_answer(const PmSink *sink, const PmSiteQuery *query, const PmSites *sites, gsize count)
{
    const PmSiteCounts *counts = pm_sites_get_counts(sites);
    gsize total = 0;
    for (guint i = 0; i <= PM_SITE_VARIABLE; i++)
        total += counts->sites[i];
    g_autofree char *what = NULL;
    if (!query->by_request)
        what = g_strdup("have a constant size");
    else if (query->request_min == query->request_max)
        what = g_strdup_printf("can ask for %" G_GUINT64_FORMAT " bytes", query->request_min);
    else
        what = g_strdup_printf("can ask for %" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT " bytes",
                               query->request_min, pm_sink_dash(sink), query->request_max);
    g_autofree char *answer = g_strdup_printf(
        "%s of %s in %s %s%s.", pm_format_count(count).text,
        pm_format_things(total, "call site").text, pm_format_things(counts->modules, "module").text,
        what, query->variable ? ", or their size is not known" : "");
    pm_sink_emphasise(sink, answer);
    pm_output_char(sink->output, '\n');
    GString *rest = g_string_new(NULL);
    g_string_append_printf(rest, "Of all sites %s ask for one size, %s for one of several",
                           pm_format_count(counts->sites[PM_SITE_EXACT]).text,
                           pm_format_count(counts->sites[PM_SITE_SEVERAL]).text);
    g_string_append_printf(rest, "; of %s only bounds are known, of %s nothing%s.",
                           pm_format_count(counts->sites[PM_SITE_RANGE]).text,
                           pm_format_count(counts->sites[PM_SITE_VARIABLE]).text,
                           query->variable ? "" : " (--variable)");
    g_string_append_printf(rest, " %s %s on what %s callers ask for.",
                           pm_format_things(counts->wrappers, "function").text,
                           counts->wrappers == 1 ? "passes" : "pass",
                           counts->wrappers == 1 ? "its" : "their");
    g_autofree char *text = g_string_free(rest, FALSE);
    pm_sink_paragraph(sink, "", 0, text);
}

static char *
format_place(const PmSink *sink, const PmSite *site)
{
    g_autofree char *offset = g_strdup_printf("+0x%" G_GINT64_MODIFIER "x", site->offset_bytes);
    const char *name = site->function != NULL ? site->function : get_base_name(site->module->path);
    const gsize room = PLACE_COLUMNS - MIN(strlen(offset), PLACE_COLUMNS - 8);
    g_autofree char *cut = pm_sanitise_short(name, sink->utf8, room);
    return g_strconcat(cut, offset, NULL);
}

static char *
format_line(const PmSink *sink, const PmSite *site)
{
    if (site->file == NULL)
        return NULL;
    g_autofree char *line = g_strdup_printf("%s:%u", get_base_name(site->file), site->line);
    return pm_sanitise_short(line, sink->utf8, LINE_COLUMNS);
}

char *
pm_site_describe(const PmSink *sink, const PmSite *site)
{
    g_autofree char *place = format_place(sink, site);
    g_autofree char *line = format_line(sink, site);
    g_autofree char *module =
        pm_sanitise_short(get_base_name(site->module->path), sink->utf8, MODULE_COLUMNS);
    g_autofree char *call = pm_sanitise_short(site->argument, sink->utf8, PLACE_COLUMNS);
    return g_strdup_printf("%s  %s%s%s  %s", place, line != NULL ? line : "",
                           line != NULL ? "  " : "", site->function != NULL ? module : "", call);
}

/* "writes 0x1107 to +8, an address to +16": what tells its chunks from others. */
static void
append_stores(GString *text, const GArray *stores)
{
    guint listed = 0;
    for (guint i = 0; i < stores->len && listed < STORES_LISTED; i++) {
        const PmStore *store = &g_array_index(stores, PmStore, i);
        const char *before = listed > 0 ? ", " : text->len > 0 ? "; writes " : "writes ";
        if (store->kind == PM_STORED_CONSTANT && store->value != 0)
            g_string_append_printf(text, "%s0x%" G_GINT64_MODIFIER "x to +%d", before, store->value,
                                   store->offset);
        else if (store->kind == PM_STORED_ADDRESS)
            g_string_append_printf(text, "%san address to +%d", before, store->offset);
        else
            continue;
        listed++;
    }
}

char *
pm_site_describe_inlined(const PmSite *site)
{
    if (site->inlined == NULL || site->inlined->len == 0)
        return NULL;
    GString *text = g_string_new("inlined: ");
    for (guint i = 0; i < site->inlined->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? " in " : "",
                               g_array_index(site->inlined, PmInlined, i).function);
    return g_string_free(text, FALSE);
}

/* How the call gets to what it calls, where that is not plain, the variable that its result goes
 * to, and (-v) what its function writes there. (transfer full) (nullable) */
static char *
format_note(const PmSink *sink, const PmSite *site)
{
    GString *text = g_string_new(site->by_pointer ? "through a pointer" : "");
    if (site->through != NULL) {
        g_autofree char *chain = g_strjoinv(", ", site->through);
        g_string_append_printf(text, "%sby way of %s", text->len > 0 ? "; " : "", chain);
    }
    if (site->type != NULL)
        g_string_append_printf(text, "%sto %s, a pointer to %s", text->len > 0 ? "; " : "",
                               site->variable, site->type->name);
    if (sink->verbose)
        append_stores(text, site->stores);
    return g_string_free(text, text->len == 0);
}

static void
add_reason(const PmSink *sink, PmTable *table, const char *sign, const char *reason)
{
    g_autofree char *text = g_strdup_printf("%s %s", sign, reason);
    g_autofree char *plain = pm_sanitise_short(text, sink->utf8, PM_SINK_COLUMNS - 8);
    pm_table_add_note(table, 4, plain);
}

/* What says most for the site, beside its size, and what says most against it. */
static void
add_reasons(const PmSink *sink, PmTable *table, const PmRankedSite *ranked)
{
    const PmEvidence *most = NULL, *least = NULL;
    for (guint i = 0; i < ranked->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(ranked->evidence, PmEvidence, i);
        if (strcmp(seen->signal, "size") == 0)
            continue;
        if (seen->weight >= REASON_MIN && (most == NULL || seen->weight > most->weight))
            most = seen;
        if (seen->weight <= -REASON_MIN && (least == NULL || seen->weight < least->weight))
            least = seen;
    }
    if (most != NULL)
        add_reason(sink, table, "+", most->text);
    if (least != NULL)
        add_reason(sink, table, "-", least->text);
}

static void
print_table(const PmSink *sink, const GPtrArray *ranked)
{
    static const PmColumn columns[] = {
        {"CALL", FALSE}, {"IN", FALSE}, {"LINE", FALSE}, {"MODULE", FALSE}, {"SCORE", TRUE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    const gsize count = ranked->len;
    const guint64 shown = pm_sink_rows(sink->top, count);
    for (guint64 i = 0; i < shown; i++) {
        const PmRankedSite *row = g_ptr_array_index(ranked, (guint)i);
        const PmSite *site = row->site;
        g_autofree char *call = pm_sanitise_short(site->argument, sink->utf8, PLACE_COLUMNS);
        g_autofree char *place = format_place(sink, site);
        g_autofree char *line = format_line(sink, site);
        g_autofree char *module =
            pm_sanitise_short(get_base_name(site->module->path), sink->utf8, MODULE_COLUMNS);
        g_autofree char *score = g_strdup_printf("%.2f", row->score);
        pm_table_add_row(table);
        pm_table_add_cell(table, call);
        pm_table_add_cell(table, place);
        pm_table_add_cell(table, line);
        pm_table_add_cell(table, module);
        pm_table_add_cell(table, score);
        g_autofree char *inlined = pm_site_describe_inlined(site);
        if (inlined != NULL) {
            g_autofree char *plain = pm_sanitise_short(inlined, sink->utf8, PM_SINK_COLUMNS - 8);
            pm_table_add_note(table, 4, plain);
        }
        g_autofree char *note = format_note(sink, site);
        if (note != NULL) {
            g_autofree char *plain = pm_sanitise_short(note, sink->utf8, PM_SINK_COLUMNS - 8);
            pm_table_add_note(table, 4, plain);
        }
        add_reasons(sink, table, row);
    }
    pm_output_char(sink->output, '\n');
    pm_table_print(table, 2);
    if (shown < count)
        pm_sink_line(sink, "  %s: --top 0", pm_format_more(count - shown, "site").text);
}

static void
print_unread(const PmSink *sink, const PmSites *sites)
{
    gsize count = 0, nameless_count = 0;
    const PmUnreadModule *unread = pm_sites_get_unread(sites, &count);
    const PmModule *const *nameless = pm_sites_get_nameless(sites, &nameless_count);
    GString *names = g_string_new(NULL);
    for (gsize i = 0; i < count; i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "",
                               get_base_name(unread[i].module->path));
    if (count > 0) {
        pm_output_char(sink->output, '\n');
        g_autofree char *text = g_strdup_printf(
            "The code of %s is not here, or not all of it: %s. --sysroot or --exe may lead to it.",
            pm_format_things(count, "module").text, names->str);
        pm_sink_paragraph(sink, "", 0, text);
    }
    for (gsize i = 0; i < nameless_count; i++) {
        g_autofree char *text =
            g_strdup_printf("%s holds malloc, but no symbol says where: calls of it are not found.",
                            get_base_name(nameless[i]->path));
        pm_sink_paragraph(sink, "", 0, text);
    }
    g_string_free(names, TRUE);
}

/* What the scores come from. */
static void
print_source(const PmSink *sink, const PmSubject *subject, const PmSitesAnswer *answer)
{
    g_autofree char *text = NULL;
    if (!answer->query->by_request ||
        (answer->ranked->len == 0 && (answer->chunk_bytes == 0 || answer->chunks > 0)))
        return;
    if (answer->chunk_bytes == 0)
        text = g_strdup_printf("There are no chunks to hold the sites against: %s. The scores are "
                               "those of the calls alone.",
                               subject->heap_message != NULL ? subject->heap_message
                                                             : "no heap was found");
    else if (answer->chunks == 0)
        text = g_strdup_printf(
            "No chunk of that size (0x%" G_GINT64_MODIFIER "x) is in use%s.", answer->chunk_bytes,
            answer->ranked->len > 0 ? ": the scores are those of the calls alone" : "");
    else
        text = g_strdup_printf("A score is the share of the %s of 0x%" G_GINT64_MODIFIER
                               "x bytes that came from the "
                               "site, as far as %s.",
                               pm_format_things(answer->chunks, "chunk").text, answer->chunk_bytes,
                               "their bytes, the stacks and the arenas tell");
    pm_output_char(sink->output, '\n');
    pm_sink_paragraph(sink, "", 0, text);
}

void
pm_report_sites(const PmSink *sink, const PmSubject *subject, const PmSitesAnswer *answer)
{
    if (sink->json != NULL) {
        write_json(sink, subject, answer);
        return;
    }
    print_answer(sink, answer->query, answer->sites, answer->ranked->len);
    if (answer->ranked->len > 0)
        print_table(sink, answer->ranked);
    print_source(sink, subject, answer);
    print_unread(sink, answer->sites);
}
