/*
 * structs: which types fit, how well, for which layout; and of what nothing could be known.
 */
#include "report/structs.h"

#include "report/table.h"

#include <string.h>

#define NAME_COLUMNS   44
#define MODULE_COLUMNS 20
#define FILE_COLUMNS   24
#define PATH_COLUMNS   70

/* Modules that are named in one line. */
#define MODULES_SHOWN 6

/* "struct item", "struct item[4]" */
static char *
name_candidate(const PmCandidate *candidate)
{
    if (!candidate->is_array)
        return g_strdup(candidate->type->name);
    return g_strdup_printf("%s[%" G_GUINT64_FORMAT "]", candidate->type->name, candidate->elements);
}

static const char *
get_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static void
write_candidate(PmJson *json, const PmCandidate *candidate, const guint *layout)
{
    const PmType *type = candidate->type;
    g_autofree char *name = name_candidate(candidate);
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "name", name);
    pm_json_uint(json, "byte_size", type->size_bytes * candidate->elements);
    pm_json_string(json, "module", type->module == NULL ? NULL : type->module->path);
    pm_json_string(json, "file", type->file);
    if (type->line == 0)
        pm_json_null(json, "line");
    else
        pm_json_uint(json, "line", type->line);
    pm_json_double(json, "fit", candidate->fit.fit);
    pm_json_double(json, "log_odds", candidate->fit.log_odds);
    pm_json_uint(json, "contradictions", candidate->fit.contradictions);
    pm_json_uint(json, "fields_checked", candidate->fit.fields_checked);
    pm_json_bool(json, "fits", pm_fit_is_good(&candidate->fit));
    pm_json_string(json, "worst_field", candidate->fit.worst);
    pm_json_uint(json, "elements", candidate->elements);
    if (layout != NULL)
        pm_json_uint(json, "layout", *layout + 1);
    pm_json_end_object(json);
}

static void
write_layout(const PmSink *sink, const PmStructsLayout *layout, guint index)
{
    PmJson *json = sink->json;
    g_autofree char *name =
        layout->fits ? name_candidate(&g_array_index(layout->candidates, PmCandidate, 0)) : NULL;
    guint64 shown = pm_sink_rows(sink->top, layout->candidates->len);
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "layout", index + 1);
    pm_json_string(json, "signature", layout->signature);
    pm_json_uint(json, "chunks_sampled", layout->chunks_sampled);
    pm_json_double(json, "share", layout->share);
    pm_json_uint(json, "estimate", layout->estimate);
    pm_json_begin_array(json, "examples");
    for (guint i = 0; i < layout->example_count; i++)
        pm_json_address(json, NULL, layout->examples[i]);
    pm_json_end_array(json);
    if (layout->request_known)
        pm_json_uint(json, "inferred_request", layout->request);
    else
        pm_json_null(json, "inferred_request");
    pm_json_string(json, "name", name);
    pm_json_begin_array(json, "structs");
    for (guint i = 0; i < shown; i++)
        write_candidate(json, &g_array_index(layout->candidates, PmCandidate, i), NULL);
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "structs", layout->candidates->len - shown);
    pm_json_end_object(json);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmStructs *structs)
{
    PmJson *json = sink->json;
    guint64 shown = pm_sink_rows(sink->top, structs->rows->len);
    pm_sink_begin(sink, subject);
    if (structs->chunk_bytes == 0)
        pm_json_null(json, "chunk_bytes");
    else
        pm_json_uint(json, "chunk_bytes", structs->chunk_bytes);
    pm_json_uint(json, "request_min", structs->requests.min);
    pm_json_uint(json, "request_max", structs->requests.max);
    pm_json_uint(json, "size_min", structs->sizes.min);
    pm_json_uint(json, "size_max", structs->sizes.max);
    pm_json_uint(json, "chunks", structs->population);
    pm_json_uint(json, "chunks_sampled", structs->sampled);
    pm_json_begin_array(json, "structs");
    for (guint i = 0; i < shown; i++) {
        const PmStructsRow *row = &g_array_index(structs->rows, PmStructsRow, i);
        write_candidate(json, row->candidate, &row->layout);
    }
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "structs", structs->rows->len - shown);
    pm_json_begin_array(json, "layouts");
    for (guint i = 0; i < structs->layout_count; i++)
        write_layout(sink, &structs->layouts[i], i);
    pm_json_end_array(json);
    pm_json_begin_array(json, "modules_without_dwarf");
    for (guint i = 0; i < structs->modules_without_dwarf->len; i++) {
        const PmModule *module = g_ptr_array_index(structs->modules_without_dwarf, i);
        pm_json_string(json, NULL, module->path);
    }
    pm_json_end_array(json);
    pm_sink_end(sink);
}

static char *
format_sizes(const PmSink *sink, PmRequests sizes)
{
    if (sizes.min == sizes.max)
        return g_strdup_printf("%" G_GUINT64_FORMAT, sizes.min);
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT, sizes.min,
                           pm_sink_dash(sink), sizes.max);
}

/* What was looked at. */
static void
print_subject(const PmSink *sink, const PmStructs *structs)
{
    g_autofree char *sizes = format_sizes(sink, structs->sizes);
    g_autofree char *requests = format_sizes(sink, structs->requests);
    g_autofree char *text = NULL;
    if (structs->sampled == 0)
        text = g_strdup_printf("No chunk serves a request of %s bytes: no type can be compared "
                               "with any.",
                               sizes);
    else
        text = g_strdup_printf("%s of %s serve requests of %s bytes%s; types of %s bytes were "
                               "compared with %s of them.",
                               pm_format_things(structs->population, "chunk").text,
                               pm_format_address(structs->chunk_bytes).text, requests,
                               structs->sizes.min == structs->requests.min &&
                                       structs->sizes.max == structs->requests.max
                                   ? ""
                                   : ", not all of them the same",
                               sizes, pm_format_count(structs->sampled).text);
    pm_sink_paragraph(sink, "", 0, text);
}

static void
add_candidate_row(PmTable *table, const PmSink *sink, const PmCandidate *candidate)
{
    const PmType *type = candidate->type;
    g_autofree char *whole = name_candidate(candidate);
    g_autofree char *name = pm_sanitise_short(whole, sink->utf8, NAME_COLUMNS);
    g_autofree char *module = type->module == NULL ? NULL
                                                   : pm_sanitise_short(get_base(type->module->path),
                                                                       sink->utf8, MODULE_COLUMNS);
    g_autofree char *file = pm_sanitise_short(type->file, sink->utf8, FILE_COLUMNS);
    g_autofree char *place = file == NULL      ? NULL
                             : type->line == 0 ? g_strdup(file)
                                               : g_strdup_printf("%s:%u", file, type->line);
    g_autofree char *size =
        g_strdup_printf("%" G_GUINT64_FORMAT, type->size_bytes * candidate->elements);
    g_autofree char *fit = g_strdup_printf("%.2f", candidate->fit.fit);
    g_autofree char *against =
        g_strdup_printf("%u of %u", candidate->fit.contradictions, candidate->fit.fields_checked);
    pm_table_add_row(table);
    pm_table_add_cell(table, name);
    pm_table_add_cell(table, size);
    pm_table_add_cell(table, module);
    pm_table_add_cell(table, place);
    pm_table_add_cell(table, fit);
    pm_table_add_cell(table, against);
    if (candidate->fit.contradictions > 0 && candidate->fit.worst != NULL) {
        g_autofree char *worst = pm_sanitise_short(candidate->fit.worst, sink->utf8, PATH_COLUMNS);
        g_autofree char *note = g_strdup_printf("most against it: %s", worst);
        pm_table_add_note(table, 2, note);
    }
}

/* What the best candidates of a layout come to. (transfer full) */
static char *
describe_verdict(const PmSink *sink, const PmStructsLayout *layout)
{
    const GArray *candidates = layout->candidates;
    if (candidates->len == 0)
        return g_strdup("No type of that size is known.");
    const PmCandidate *first = &g_array_index(candidates, PmCandidate, 0);
    g_autofree char *whole = name_candidate(first);
    g_autofree char *name = pm_sanitise_short(whole, sink->utf8, NAME_COLUMNS);
    if (layout->fits)
        return g_strdup_printf("%s fits.", name);
    if (pm_fit_is_good(&first->fit))
        return g_strdup_printf("%s fits, but others come close.", name);
    if (first->fit.log_odds > 0)
        return g_strdup_printf("None fits well; nearest is %s.", name);
    return g_strdup("None fits: what the types' fields say of these chunks is nothing, or against "
                    "them.");
}

static void
print_rows(const PmSink *sink, const PmStructs *structs)
{
    static const PmColumn columns[] = {{"TYPE", FALSE}, {"SIZE", TRUE}, {"MODULE", FALSE},
                                       {"FILE", FALSE}, {"FIT", TRUE},  {"CONTRADICTIONS", TRUE}};
    guint64 shown = pm_sink_rows(sink->top, structs->rows->len);
    if (shown == 0)
        return;
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint i = 0; i < shown; i++)
        add_candidate_row(table, sink, g_array_index(structs->rows, PmStructsRow, i).candidate);
    pm_table_print(table, 2);
    if (shown < structs->rows->len)
        pm_sink_line(sink, "  %s: --top 0",
                     pm_format_more(structs->rows->len - shown, "type").text);
}

/* One row for each layout: its type, or what it looks like. */
static void
print_layouts(const PmSink *sink, const PmStructs *structs)
{
    static const PmColumn columns[] = {
        {"SHARE", TRUE}, {"CHUNKS", TRUE}, {"TYPE", FALSE}, {"FIT", TRUE}, {"EXAMPLE", FALSE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    guint64 shown = pm_sink_rows(sink->top, structs->layout_count);
    for (guint i = 0; i < shown; i++) {
        const PmStructsLayout *layout = &structs->layouts[i];
        const PmCandidate *first = layout->candidates->len == 0
                                       ? NULL
                                       : &g_array_index(layout->candidates, PmCandidate, 0);
        g_autofree char *whole = layout->fits && first != NULL ? name_candidate(first) : NULL;
        g_autofree char *name = pm_sanitise_short(whole, sink->utf8, NAME_COLUMNS);
        g_autofree char *fit = first == NULL ? NULL : g_strdup_printf("%.2f", first->fit.fit);
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_format_share(layout->share).text);
        pm_table_add_cell(table, pm_format_count(layout->estimate).text);
        pm_table_add_cell(table, name == NULL ? "none fits" : name);
        pm_table_add_cell(table, layout->fits ? fit : NULL);
        pm_table_add_cell(table, pm_format_address(layout->examples[0]).text);
        if (!layout->fits) {
            g_autofree char *looks = pm_sanitise_short(layout->signature, sink->utf8, PATH_COLUMNS);
            pm_table_add_note(table, 2, looks);
        }
        if (!layout->fits && first != NULL && first->fit.log_odds > 0) {
            g_autofree char *near = name_candidate(first);
            g_autofree char *clean = pm_sanitise_short(near, sink->utf8, NAME_COLUMNS);
            g_autofree char *note =
                g_strdup_printf("%s: %s, fit %s, contradictions %u of %u",
                                pm_fit_is_good(&first->fit) ? "others come close to" : "nearest",
                                clean, fit, first->fit.contradictions, first->fit.fields_checked);
            pm_table_add_note(table, 2, note);
        }
    }
    pm_table_print(table, 2);
    if (shown < structs->layout_count)
        pm_sink_line(sink, "  %s: --top 0",
                     pm_format_more(structs->layout_count - shown, "layout").text);
}

static void
print_types(const PmSink *sink, const PmStructs *structs)
{
    if (structs->layout_count == 0)
        return;
    if (structs->layout_count == 1) {
        g_autofree char *verdict = describe_verdict(sink, &structs->layouts[0]);
        pm_sink_heading(sink, "TYPES, BY HOW WELL THE CHUNKS FIT");
        pm_sink_paragraph(sink, "  ", 2, verdict);
    } else {
        pm_sink_heading(sink, "WHAT THE CHUNKS ARE");
        print_layouts(sink, structs);
        pm_sink_heading(sink, "TYPES, BY HOW WELL THE CHUNKS FIT THAT THEY FIT BEST");
    }
    print_rows(sink, structs);
}

static void
print_modules(const PmSink *sink, const PmStructs *structs)
{
    const GPtrArray *modules = structs->modules_without_dwarf;
    if (modules->len == 0)
        return;
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "Without DWARF, so that their types are not known: ");
    guint64 shown = sink->verbose ? modules->len : MIN(modules->len, MODULES_SHOWN);
    for (guint i = 0; i < shown; i++) {
        const PmModule *module = g_ptr_array_index(modules, i);
        g_string_append_printf(text, "%s%s", i == 0 ? "" : ", ", get_base(module->path));
    }
    if (shown < modules->len)
        g_string_append_printf(text, " and %s (-v names them)",
                               pm_format_more(modules->len - shown, "module").text);
    g_string_append_c(text, '.');
    pm_output_char(sink->output, '\n');
    pm_sink_paragraph(sink, "", 0, text->str);
}

static void
print_next(const PmSink *sink, const PmStructs *structs)
{
    pm_sink_heading(sink, "NEXT");
    if (structs->sampled == 0) {
        pm_sink_line(sink, "  postmalloc sizes %s", sink->again);
        return;
    }
    const char *chunk = pm_format_address(structs->chunk_bytes).text;
    g_autofree char *size = g_strdup(chunk);
    pm_sink_line(sink, "  postmalloc schema --chunk-size %s %s", size, sink->again);
    pm_sink_line(sink, "  postmalloc sample --chunk-size %s %s", size, sink->again);
    pm_sink_line(sink, "  postmalloc sites --chunk-size %s %s", size, sink->again);
    if (structs->layouts[0].example_count > 0)
        pm_sink_line(sink, "  postmalloc show %s %s", sink->again,
                     pm_format_address(structs->layouts[0].examples[0]).text);
}

void
pm_report_structs(const PmSink *sink, const PmSubject *subject, const PmStructs *structs)
{
    if (sink->json != NULL) {
        write_json(sink, subject, structs);
        return;
    }
    print_subject(sink, structs);
    print_types(sink, structs);
    print_modules(sink, structs);
    print_next(sink, structs);
}
