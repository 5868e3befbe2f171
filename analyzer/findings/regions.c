#include "findings/regions.h"

#include "analysis/format.h"
#include "findings/weights.h"

#include <math.h>

/* Groups that are looked into, the largest ones first. */
#define GROUPS_MOST 3

/* Fewer stacks, or fewer mapped bytes, are no finding. */
#define ORPHANS_LEAST      3
#define ORPHAN_BYTES_LEAST ((guint64)4 << 20)
#define UNJOINED_LEAST     4
#define ANONYMOUS_LEAST    16
#define ANONYMOUS_SHARE    0.2
#define ANONYMOUS_BYTES    ((guint64)64 << 20)

/*
 * Of bytes that are mapped and were never touched one in so many counts: they cost address space,
 * page tables and what the system may promise, but no memory.
 */
#define UNTOUCHED_PART 16

/* Orphans: that glibc does not know them; that nothing points into them; what each tenfold adds. */
#define WEIGHT_UNKNOWN    0.35
#define WEIGHT_SHAPE      0.20
#define WEIGHT_UNHELD     0.15
#define WEIGHT_DECADE     0.08
#define WEIGHT_REPEATS    0.25
#define WEIGHT_UNLISTED   (-0.25)
#define WEIGHT_SHAPE_ONLY (-0.02)

/* Unjoined: glibc's own word for it; but a thread may be joined later. */
#define WEIGHT_LISTED   0.40
#define WEIGHT_UNJOINED 0.20
#define WEIGHT_LATER    (-0.15)

/* Mappings of the program's own may be meant. */
#define WEIGHT_EQUAL 0.15
#define WEIGHT_POOL  (-0.10)

/* @real_bytes: touched, or not zero where the core has no holes. */
typedef struct {
    const PmFindingsInput *input;
    const PmRegionGroup *group;
    guint64 real_bytes;
    guint64 whole_bytes;
    PmSuspect *suspect;
} Making;

/* Whole KiB up to a GiB: "10,240 KiB", as people know sizes of stacks. */
static PmShort
format_size(guint64 bytes)
{
    PmShort text = pm_format_bytes(bytes);
    if (bytes % 1024 == 0 && bytes >> 30 == 0)
        (void)g_snprintf(text.text, sizeof text.text, "%s KiB", pm_format_count(bytes / 1024).text);
    return text;
}

/* "10,240 KiB + 4 KiB guard". (transfer full) */
static char *
describe_shape(const PmRegionGroup *group)
{
    if (group->guard_bytes == 0)
        return g_strdup(format_size(group->mapped_bytes).text);
    return g_strdup_printf("%s + %s guard", format_size(group->mapped_bytes).text,
                           format_size(group->guard_bytes).text);
}

/* @noun: "orphan thread stack". */
static void
begin(Making *making, const char *noun)
{
    const PmFindingsInput *input = making->input;
    const PmRegionGroup *group = making->group;
    const PmRegionTotal *all = pm_regions_get_total(input->regions, PM_REGION_KINDS);
    const gboolean touched = group->total.touched_bytes != PM_BYTES_UNKNOWN;
    PmSuspect *suspect = pm_suspect_new(PM_SUSPECT_REGION);
    making->suspect = suspect;
    making->real_bytes = touched ? group->total.touched_bytes
                                 : pm_regions_count_group(input->regions, group, input->jobs);
    making->whole_bytes = touched ? all->touched_bytes : all->dumped_bytes;
    suspect->chunks = group->total.regions;
    suspect->bytes = group->total.mapped_bytes;
    suspect->share_of_used = pm_share(making->real_bytes, making->whole_bytes);
    g_autofree char *shape = describe_shape(group);
    suspect->title = g_strdup_printf(
        "%s of %s · %s mapped · %s %s", pm_format_things(group->total.regions, noun).text, shape,
        pm_format_bytes(group->total.mapped_bytes).text, pm_format_bytes(making->real_bytes).text,
        touched ? "touched" : "not zero");
}

/* Whose threads they were. */
static void
add_origin(Making *making)
{
    const PmProcess *process = making->input->subject->process;
    PmStackOrigin origin;
    PmSymbol symbol;
    guint64 offset_bytes = 0;
    pm_regions_find_origin(making->input->regions, making->group, &origin);
    if (origin.address == PM_ADDR_NONE || origin.count < 2)
        return;
    const PmModule *module = pm_process_find_module(process, origin.address);
    g_autofree char *path = module == NULL ? NULL : g_path_get_basename(module->path);
    g_autofree char *code = NULL;
    if (pm_process_symbolize(process, origin.address - 1, &symbol, &offset_bytes) &&
        offset_bytes < MAX(symbol.size_bytes, 1))
        code = g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x (%s)", symbol.name, offset_bytes + 1,
                               path == NULL ? "?" : path);
    else if (module != NULL)
        code = g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", path, origin.address - module->bias);
    else
        code = g_strdup(pm_format_address(origin.address).text);
    pm_evidence_add(making->suspect->evidence, "ran", 0,
                    "the oldest return address outside libc is %s in %u of %u that were looked at",
                    code, origin.count, origin.looked);
}

static double
weigh_number(guint64 regions)
{
    return MIN(WEIGHT_DECADE * log10((double)MAX(regions, 1)), WEIGHT_REPEATS);
}

static void
add_number(Making *making)
{
    const guint64 regions = making->group->total.regions;
    pm_evidence_add(making->suspect->evidence, "repeats", weigh_number(regions),
                    "%s of one size, of each of which %s are in use on average",
                    pm_format_things(regions, "mapping").text,
                    pm_format_bytes(making->real_bytes / regions).text);
}

static PmSuspect *
finish(Making *making)
{
    PmSuspect *suspect = making->suspect;
    pm_weigh_rate(making->input, making->suspect, making->suspect->chunks);
    pm_suspect_add_next(suspect, "maps %s", making->input->again);
    if (pm_region_kind_is_stack(making->group->kind))
        pm_suspect_add_next(suspect, "threads %s", making->input->again);
    suspect->confidence = pm_weigh_all(suspect->evidence, PM_CONFIDENCE_MOST);
    const guint64 mapped = making->group->total.mapped_bytes;
    const guint64 untouched = mapped > making->real_bytes ? mapped - making->real_bytes : 0;
    suspect->interest =
        ((double)making->real_bytes + (double)untouched / UNTOUCHED_PART) * suspect->confidence;
    return suspect;
}

/* What glibc says of stacks, beside these. */
static void
add_lists(Making *making)
{
    const PmRegions *regions = making->input->regions;
    GArray *evidence = making->suspect->evidence;
    if (!pm_regions_have_lists(regions)) {
        pm_evidence_add(evidence, "lists", WEIGHT_UNLISTED,
                        "glibc's lists of stacks were not found in this core: it may know them");
        return;
    }
    pm_evidence_add(
        evidence, "threads", WEIGHT_UNKNOWN,
        "no thread runs on them, and glibc does not know them: it has %s of live threads, %s in "
        "its "
        "cache, %s of threads that nobody joined",
        pm_format_things(pm_regions_get_total(regions, PM_REGION_STACK_LIVE)->regions, "stack")
            .text,
        pm_format_count(pm_regions_get_total(regions, PM_REGION_STACK_CACHED)->regions).text,
        pm_format_count(pm_regions_get_total(regions, PM_REGION_STACK_UNJOINED)->regions).text);
}

static PmSuspect *
suspect_orphans(Making *making)
{
    begin(making, "orphan thread stack");
    GArray *evidence = making->suspect->evidence;
    add_lists(making);
    if (making->group->by_shape == 0)
        pm_evidence_add(evidence, "control", WEIGHT_SHAPE,
                        "a control block of pthreads stands in each, which is on no list");
    else
        pm_evidence_add(evidence, "shape", WEIGHT_SHAPE,
                        "each has a guard below, return addresses at its upper end and, but for "
                        "those that were filled, nothing in its lowest page");
    add_number(making);
    if (making->group->by_shape > 0)
        pm_evidence_add(evidence, "held", WEIGHT_UNHELD,
                        "nothing points to a frame on them, as what resumes a coroutine does");
    add_origin(making);
    if (making->group->by_shape > 0)
        pm_evidence_add(evidence, "shape", WEIGHT_SHAPE_ONLY,
                        "%s known by the shape alone: glibc never made them",
                        making->group->by_shape == making->group->total.regions ? "they are"
                                                                                : "some are");
    return finish(making);
}

static PmSuspect *
suspect_unjoined(Making *making)
{
    begin(making, "stack");
    PmSuspect *suspect = making->suspect;
    g_autofree char *title = suspect->title;
    suspect->title = g_strconcat("threads that nobody joined · ", title, NULL);
    pm_evidence_add(suspect->evidence, "threads", WEIGHT_LISTED,
                    "glibc has them in its list of stacks in use, but their threads ended: each "
                    "waits for pthread_join()");
    pm_evidence_add(suspect->evidence, "repeats",
                    WEIGHT_UNJOINED * weigh_number(making->group->total.regions) / WEIGHT_DECADE,
                    "%s of one size, of each of which %s are in use on average",
                    pm_format_things(making->group->total.regions, "stack").text,
                    pm_format_bytes(making->real_bytes / making->group->total.regions).text);
    add_origin(making);
    pm_evidence_add(suspect->evidence, "moment", WEIGHT_LATER,
                    "a core shows one moment: who made them may be about to join them");
    return finish(making);
}

static PmSuspect *
suspect_mappings(Making *making)
{
    begin(making, "anonymous mapping");
    GArray *evidence = making->suspect->evidence;
    add_number(making);
    pm_evidence_add(evidence, "share", WEIGHT_EQUAL * making->suspect->share_of_used,
                    "%s of all memory of the process",
                    pm_format_share(making->suspect->share_of_used).text);
    pm_evidence_add(evidence, "pool", WEIGHT_POOL,
                    "another allocator, a pool or a cache of the program's own looks so, too");
    return finish(making);
}

/* Whether @group is worth a look; bytes that cannot be told apart from a core count as mapped. */
static gboolean
is_many(const PmFindingsInput *input, const PmRegionGroup *group)
{
    const guint64 regions = group->total.regions;
    const guint64 mapped = group->total.mapped_bytes;
    if (group->kind == PM_REGION_STACK_ORPHAN)
        return regions >= ORPHANS_LEAST && mapped >= ORPHAN_BYTES_LEAST;
    if (group->kind == PM_REGION_STACK_UNJOINED)
        return regions >= UNJOINED_LEAST && mapped >= ORPHAN_BYTES_LEAST;
    const PmRegionTotal *all = pm_regions_get_total(input->regions, PM_REGION_KINDS);
    const gboolean touched = group->total.touched_bytes != PM_BYTES_UNKNOWN;
    const guint64 real = touched ? group->total.touched_bytes : group->total.dumped_bytes;
    const guint64 whole = touched ? all->touched_bytes : all->dumped_bytes;
    return group->kind == PM_REGION_ANONYMOUS && regions >= ANONYMOUS_LEAST &&
           real >= ANONYMOUS_BYTES && pm_share(real, whole) >= ANONYMOUS_SHARE;
}

void
pm_regions_suspect(const PmFindingsInput *input, GPtrArray *suspects)
{
    gsize count = 0;
    guint found = 0;
    const PmRegionGroup *groups = pm_regions_get_groups(input->regions, &count);
    for (gsize i = 0; i < count && found < GROUPS_MOST; i++) {
        Making making = {.input = input, .group = &groups[i]};
        PmSuspect *suspect = NULL;
        if (!is_many(input, &groups[i]))
            continue;
        if (groups[i].kind == PM_REGION_STACK_ORPHAN)
            suspect = suspect_orphans(&making);
        else if (groups[i].kind == PM_REGION_STACK_UNJOINED)
            suspect = suspect_unjoined(&making);
        else
            suspect = suspect_mappings(&making);
        g_ptr_array_add(suspects, suspect);
        found++;
    }
}
