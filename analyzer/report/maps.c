/*
 * maps: what the address space is, by kind, by shape, and region by region.
 */
#include "report/maps.h"

#include "report/facts.h"
#include "report/table.h"

#include <elf.h>

/* A path in the last column of the list. */
#define WHAT_COLUMNS 40

static void
write_bytes(PmJson *json, const char *key, guint64 bytes)
{
    if (bytes == PM_BYTES_UNKNOWN)
        pm_json_null(json, key);
    else
        pm_json_uint(json, key, bytes);
}

static void
write_total(PmJson *json, const PmRegionTotal *total)
{
    pm_json_uint(json, "regions", total->regions);
    pm_json_uint(json, "mapped_bytes", total->mapped_bytes);
    pm_json_uint(json, "dumped_bytes", total->dumped_bytes);
    write_bytes(json, "touched_bytes", total->touched_bytes);
    write_bytes(json, "nonzero_bytes", total->nonzero_bytes);
}

/* "rw-"; of what only NT_FILE tells, "???". */
static const char *
format_permissions(const PmRegion *region, char text[4])
{
    if (!region->flags_known)
        return "???";
    text[0] = region->flags & PF_R ? 'r' : '-';
    text[1] = region->flags & PF_W ? 'w' : '-';
    text[2] = region->flags & PF_X ? 'x' : '-';
    text[3] = '\0';
    return text;
}

static void
write_region(PmJson *json, const PmRegion *region)
{
    char permissions[4];
    pm_json_begin_object(json, NULL);
    pm_json_address(json, "start", region->range.start);
    pm_json_address(json, "end", region->range.end);
    pm_json_string(json, "permissions",
                   region->flags_known ? format_permissions(region, permissions) : NULL);
    pm_json_string(json, "kind", pm_region_kind_name(region->kind));
    pm_json_string(json, "file", region->path);
    pm_json_uint(json, "mapped_bytes", pm_region_mapped_bytes(region));
    pm_json_uint(json, "dumped_bytes", region->dumped_bytes);
    write_bytes(json, "touched_bytes", region->touched_bytes);
    write_bytes(json, "nonzero_bytes", region->nonzero_bytes);
    if (region->tid == 0)
        pm_json_null(json, "thread");
    else
        pm_json_uint(json, "thread", region->tid);
    pm_json_address(json, "arena", region->arena);
    pm_json_uint(json, "guard_bytes", region->guard_bytes);
    pm_json_string(json, "found_by", pm_stack_proof_name(region->proof));
    pm_json_end_object(json);
}

static void
write_kinds(PmJson *json, const PmRegions *regions)
{
    pm_json_begin_array(json, "kinds");
    for (guint kind = 0; kind < PM_REGION_KINDS; kind++) {
        const PmRegionTotal *total = pm_regions_get_total(regions, (PmRegionKind)kind);
        if (total->regions == 0)
            continue;
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "kind", pm_region_kind_name((PmRegionKind)kind));
        write_total(json, total);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_json_begin_object(json, "total");
    write_total(json, pm_regions_get_total(regions, PM_REGION_KINDS));
    pm_json_end_object(json);
}

static void
write_repeated(const PmSink *sink, const PmRegions *regions)
{
    PmJson *json = sink->json;
    gsize count = 0;
    const PmRegionGroup *groups = pm_regions_get_groups(regions, &count);
    const guint64 shown = pm_sink_rows(sink->top_given ? sink->top : 0, count);
    pm_json_begin_array(json, "repeated");
    for (gsize i = 0; i < shown; i++) {
        pm_json_begin_object(json, NULL);
        pm_json_string(json, "kind", pm_region_kind_name(groups[i].kind));
        pm_json_uint(json, "mapped_bytes", groups[i].mapped_bytes);
        pm_json_uint(json, "guard_bytes", groups[i].guard_bytes);
        pm_json_uint(json, "regions", groups[i].total.regions);
        pm_json_uint(json, "total_bytes", groups[i].total.mapped_bytes);
        write_bytes(json, "touched_bytes", groups[i].total.touched_bytes);
        write_bytes(json, "nonzero_bytes", groups[i].total.nonzero_bytes);
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_sink_json_omitted(sink, "repeated", count - shown);
}

static void
write_json(const PmSink *sink, const PmSubject *subject, const PmRegions *regions)
{
    gsize count = 0;
    const PmRegion *all = pm_regions_get(regions, &count);
    const guint64 shown = pm_sink_rows(sink->top_given ? sink->top : 0, count);
    pm_sink_begin(sink, subject);
    write_kinds(sink->json, regions);
    write_repeated(sink, regions);
    pm_json_begin_array(sink->json, "regions");
    for (gsize i = 0; i < shown; i++)
        write_region(sink->json, &all[i]);
    pm_json_end_array(sink->json);
    pm_sink_json_omitted(sink, "regions", count - shown);
    pm_sink_end(sink);
}

/* NULL, a dash in a table, for what is not known. */
static const char *
format_bytes(guint64 bytes, PmShort *text)
{
    if (bytes == PM_BYTES_UNKNOWN)
        return NULL;
    *text = pm_format_bytes(bytes);
    return text->text;
}

static void
add_bytes(PmTable *table, guint64 bytes)
{
    PmShort text;
    pm_table_add_cell(table, format_bytes(bytes, &text));
}

/* Whole KiB up to a GiB, as people know sizes of stacks: "10,240 KiB". */
static void
add_size(PmTable *table, guint64 bytes)
{
    if (bytes == 0 || bytes % 1024 != 0 || bytes >> 30 != 0) {
        add_bytes(table, bytes);
        return;
    }
    g_autofree char *text = g_strdup_printf("%s KiB", pm_format_count(bytes / 1024).text);
    pm_table_add_cell(table, text);
}

static void
add_total(PmTable *table, const char *label, const PmRegionTotal *total)
{
    pm_table_add_row(table);
    pm_table_add_cell(table, label);
    pm_table_add_cell(table, pm_format_count(total->regions).text);
    add_bytes(table, total->mapped_bytes);
    add_bytes(table, total->dumped_bytes);
    add_bytes(table, total->touched_bytes);
    add_bytes(table, total->nonzero_bytes);
}

/* "5.86 GiB touched", or NULL. (transfer full) */
static char *
describe_bytes(guint64 bytes, const char *what)
{
    return bytes == PM_BYTES_UNKNOWN ? NULL
                                     : g_strdup_printf("%s %s", pm_format_bytes(bytes).text, what);
}

static void
print_headline(const PmSink *sink, const PmRegionTotal *total)
{
    g_autofree char *mapped = describe_bytes(total->mapped_bytes, "mapped");
    g_autofree char *dumped = describe_bytes(total->dumped_bytes, "dumped");
    g_autofree char *touched = describe_bytes(total->touched_bytes, "touched");
    g_autofree char *nonzero = describe_bytes(total->nonzero_bytes, "not zero");
    const PmShort regions = pm_format_things(total->regions, "region");
    const char *const items[] = {regions.text, mapped, touched != NULL ? touched : dumped, nonzero,
                                 NULL};
    pm_sink_items(sink, items);
}

static void
print_kinds(const PmSink *sink, const PmSubject *subject, const PmRegions *regions)
{
    static const PmColumn columns[] = {{"KIND", FALSE},  {"REGIONS", TRUE}, {"MAPPED", TRUE},
                                       {"DUMPED", TRUE}, {"TOUCHED", TRUE}, {"NON-ZERO", TRUE}};
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (guint kind = 0; kind < PM_REGION_KINDS; kind++) {
        const PmRegionTotal *total = pm_regions_get_total(regions, (PmRegionKind)kind);
        if (total->regions > 0)
            add_total(table, pm_region_kind_name((PmRegionKind)kind), total);
    }
    add_total(table, "all", pm_regions_get_total(regions, PM_REGION_KINDS));
    pm_sink_heading(sink, "WHAT IS MAPPED");
    pm_table_print(table, 2);
    if (!pm_image_has_holes(subject->image))
        pm_sink_line(sink, "  The core has no holes that would tell what was touched.");
    const guint64 lost = pm_image_get_coverage(subject->image)->lost_bytes;
    if (lost > 0)
        pm_sink_line(sink, "  %s of this were dumped and are lost: the core is cut off",
                     pm_format_bytes(lost).text);
}

static void
print_repeated(const PmSink *sink, const PmRegions *regions)
{
    static const PmColumn columns[] = {{"KIND", FALSE},   {"SIZE", TRUE},   {"GUARD", TRUE},
                                       {"REGIONS", TRUE}, {"MAPPED", TRUE}, {"TOUCHED", TRUE},
                                       {"NON-ZERO", TRUE}};
    gsize count = 0;
    const PmRegionGroup *groups = pm_regions_get_groups(regions, &count);
    const guint64 shown = pm_sink_rows(sink->top, count);
    if (count == 0)
        return;
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < shown; i++) {
        pm_table_add_row(table);
        pm_table_add_cell(table, pm_region_kind_name(groups[i].kind));
        add_size(table, groups[i].mapped_bytes);
        add_size(table, groups[i].guard_bytes);
        pm_table_add_cell(table, pm_format_count(groups[i].total.regions).text);
        add_bytes(table, groups[i].total.mapped_bytes);
        add_bytes(table, groups[i].total.touched_bytes);
        add_bytes(table, groups[i].total.nonzero_bytes);
    }
    pm_sink_heading(sink, "WHAT REPEATS");
    pm_table_print(table, 2);
    if (shown < count)
        pm_sink_line(sink, "  %s: postmalloc maps %s --top 0",
                     pm_format_more(count - shown, "shape").text, sink->again);
}

/* Whose the region is, for a person. (transfer full) (nullable) */
static char *
describe_owner(const PmSink *sink, const PmRegion *region)
{
    if (region->tid != 0)
        return g_strdup_printf("thread %u", region->tid);
    if (region->arena != PM_ADDR_NONE)
        return g_strdup_printf("arena %s", pm_format_address(region->arena).text);
    if (region->path != NULL)
        return pm_sanitise_short(region->path, sink->utf8, WHAT_COLUMNS);
    if (region->proof == PM_STACK_BY_SHAPE)
        return g_strdup(region->kind == PM_REGION_STACK_ORPHAN ? "by its shape"
                                                               : "a stack that is pointed into");
    return region->kind == PM_REGION_STACK_ORPHAN ? g_strdup("by its control block") : NULL;
}

/* Whether there is more in @left than in @right. */
static gboolean
is_fuller(const PmRegion *left, const PmRegion *right)
{
    const guint64 left_bytes = left->nonzero_bytes == PM_BYTES_UNKNOWN ? 0 : left->nonzero_bytes;
    const guint64 right_bytes = right->nonzero_bytes == PM_BYTES_UNKNOWN ? 0 : right->nonzero_bytes;
    if (left_bytes != right_bytes)
        return left_bytes > right_bytes;
    return pm_region_mapped_bytes(left) > pm_region_mapped_bytes(right);
}

/* Keeps the fullest @count of all that come, the fullest first. */
static void
insert_fullest(GPtrArray *fullest, guint count, const PmRegion *region)
{
    guint low = 0, high = fullest->len;
    if (high == count && (high == 0 || !is_fuller(region, g_ptr_array_index(fullest, high - 1))))
        return;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (is_fuller(region, g_ptr_array_index(fullest, middle)))
            high = middle;
        else
            low = middle + 1;
    }
    g_ptr_array_insert(fullest, (gint)low, (gpointer)region);
    if (fullest->len > count)
        g_ptr_array_set_size(fullest, (gint)count);
}

static void
add_region_row(const PmSink *sink, PmTable *table, const PmRegion *region)
{
    char permissions[4];
    g_autofree char *owner = describe_owner(sink, region);
    pm_table_add_row(table);
    pm_table_add_cell(table, pm_format_address(region->range.start).text);
    pm_table_add_cell(table, format_permissions(region, permissions));
    pm_table_add_cell(table, pm_region_kind_name(region->kind));
    add_bytes(table, pm_region_mapped_bytes(region));
    add_bytes(table, region->touched_bytes);
    add_bytes(table, region->nonzero_bytes);
    pm_table_add_cell(table, owner == NULL ? "" : owner);
}

static void
print_regions(const PmSink *sink, const PmRegions *regions)
{
    static const PmColumn columns[] = {{"START", FALSE}, {"PERM", FALSE},   {"KIND", FALSE},
                                       {"MAPPED", TRUE}, {"TOUCHED", TRUE}, {"NON-ZERO", TRUE},
                                       {"WHAT", FALSE}};
    gsize count = 0;
    const PmRegion *all = pm_regions_get(regions, &count);
    const guint64 shown = pm_sink_rows(sink->top, count);
    g_autoptr(GPtrArray) sorted = g_ptr_array_sized_new((guint)shown + 1);
    for (gsize i = 0; i < count; i++) {
        if (shown == count)
            g_ptr_array_add(sorted, (gpointer)&all[i]);
        else
            insert_fullest(sorted, (guint)shown, &all[i]);
    }
    g_autoptr(PmTable) table = pm_table_new(sink, columns, G_N_ELEMENTS(columns));
    for (gsize i = 0; i < shown; i++)
        add_region_row(sink, table, g_ptr_array_index(sorted, (guint)i));
    pm_sink_heading(sink, shown < count ? "THE FULLEST REGIONS" : "REGIONS");
    pm_table_print(table, 2);
    if (shown < count)
        pm_sink_line(sink, "  %s: postmalloc maps %s --top 0",
                     pm_format_more(count - shown, "region").text, sink->again);
}

void
pm_report_maps(const PmSink *sink, const PmSubject *subject, const PmRegions *regions)
{
    if (sink->json != NULL) {
        write_json(sink, subject, regions);
        return;
    }
    print_headline(sink, pm_regions_get_total(regions, PM_REGION_KINDS));
    print_kinds(sink, subject, regions);
    print_repeated(sink, regions);
    print_regions(sink, regions);
    if (subject->heap_message != NULL)
        pm_sink_paragraph(sink, "", 0, subject->heap_message);
}
