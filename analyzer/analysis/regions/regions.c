/*
 * The address space region by region; see regions.h. Claims are laid over the mappings, and what
 * nobody claims is told by its file, its permissions, and what it looks like.
 */
#include "analysis/regions/regions-private.h"

#include <elf.h>
#include <string.h>

const char *
pm_region_kind_name(PmRegionKind kind)
{
    static const char *const names[PM_REGION_KINDS] = {
        "main-heap",    "arena-heap",     "mmapped-chunk", "stack-main",   "stack-live",
        "stack-cached", "stack-unjoined", "stack-orphan",  "stack-signal", "guard",
        "module-text",  "module-rodata",  "module-relro",  "module-data",  "module-bss",
        "vdso",         "shared-memory",  "file",          "anonymous"};
    return names[kind];
}

gboolean
pm_region_kind_is_stack(PmRegionKind kind)
{
    return kind >= PM_REGION_STACK_MAIN && kind <= PM_REGION_STACK_SIGNAL;
}

const char *
pm_stack_proof_name(PmStackProof proof)
{
    static const char *const names[] = {NULL,        "list",         "control-block",
                                        "registers", "signal-frame", "shape"};
    return names[proof];
}

/*
 * Memory that processes can share, by the names that the kernel gives it (mm/shmem.c, ipc/shm.c):
 * memfd_create(), System V, POSIX, and MAP_SHARED without a file.
 */
static gboolean
is_shared_memory(const char *path)
{
    static const char *const prefixes[] = {"/memfd:", "/SYSV", "/dev/shm/", "/dev/zero",
                                           "/anon_hugepage"};
    for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++)
        if (g_str_has_prefix(path, prefixes[i]))
            return TRUE;
    return FALSE;
}

/* What @region is where nobody claims it. */
static PmRegionKind
tell_kind(const PmRegion *region)
{
    if (region->path != NULL && is_shared_memory(region->path))
        return PM_REGION_SHARED_MEMORY;
    if (region->path != NULL)
        return PM_REGION_FILE;
    if (region->flags == 0)
        return PM_REGION_GUARD;
    return PM_REGION_ANONYMOUS;
}

/* What of a module @region is; its own permissions decide, which the program may have changed. */
static PmRegionKind
tell_module_kind(PmRegionKind claimed, const PmRegion *region)
{
    if (!region->flags_known)
        return claimed;
    if (region->flags & PF_X)
        return PM_REGION_MODULE_TEXT;
    if ((region->flags & PF_W) == 0)
        return claimed == PM_REGION_MODULE_TEXT ? PM_REGION_MODULE_RODATA : claimed;
    return claimed == PM_REGION_MODULE_BSS ? claimed : PM_REGION_MODULE_DATA;
}

static gboolean
is_module_kind(PmRegionKind kind)
{
    return kind >= PM_REGION_MODULE_TEXT && kind <= PM_REGION_MODULE_BSS;
}

/* Makes of @region, which lies within @claim, what the claim says, as far as it can be true. */
static void
apply_claim(const PmRegion *claim, PmRegion *region)
{
    const gboolean writable = (region->flags & PF_W) != 0;
    const PmRegionKind told = tell_kind(region);
    region->kind = told;
    if (is_module_kind(claim->kind)) {
        /* Between the parts of a module the loader leaves nothing that can be reached. */
        if (!region->flags_known || region->flags != 0)
            region->kind = tell_module_kind(claim->kind, region);
        region->path = claim->path;
        return;
    }
    if (pm_region_kind_is_stack(claim->kind) && !writable) {
        /* HotSpot's zones; gcore lets guards be read. */
        if (region->path == NULL)
            region->kind = PM_REGION_GUARD;
        return;
    }
    if (claim->kind == PM_REGION_ARENA_HEAP && claim->flags_known && writable)
        return;
    region->kind = claim->kind;
    region->arena = claim->arena;
    region->tid = claim->tid;
    region->proof = claim->proof;
    region->guard_bytes = claim->guard_bytes;
    if (claim->path != NULL)
        region->path = claim->path;
}

/*
 * Cuts @mapping where claims begin and end.
 *
 * @next: (inout): the first of @claims that may reach into it.
 */
static void
cut_mapping(GArray *result, const PmRegion *mapping, const GArray *claims, guint *next)
{
    PmRegion region = *mapping;
    for (PmAddr at = mapping->range.start; at < mapping->range.end; at = region.range.end) {
        while (*next < claims->len && g_array_index(claims, PmRegion, *next).range.end <= at)
            (*next)++;
        const PmRegion *claim =
            *next < claims->len ? &g_array_index(claims, PmRegion, *next) : NULL;
        region = *mapping;
        region.range.start = at;
        if (claim != NULL && claim->range.start <= at) {
            region.range.end = MIN(mapping->range.end, claim->range.end);
            apply_claim(claim, &region);
        } else {
            if (claim != NULL)
                region.range.end = MIN(mapping->range.end, claim->range.start);
            region.kind = tell_kind(&region);
        }
        g_array_append_val(result, region);
    }
}

static GArray *
apply_claims(const GArray *mappings, const GArray *claims)
{
    GArray *result = g_array_sized_new(FALSE, FALSE, sizeof(PmRegion), mappings->len + claims->len);
    guint next = 0;
    for (guint i = 0; i < mappings->len; i++)
        cut_mapping(result, &g_array_index(mappings, PmRegion, i), claims, &next);
    return result;
}

/* The kernel's data pages for the vdso, which lie below it and have no name in a core; and the old
 * vsyscall page of x86-64. */
static void
find_vvar(GArray *regions)
{
    for (guint i = regions->len; i-- > 0;) {
        PmRegion *region = &g_array_index(regions, PmRegion, i);
        const PmRegion *above =
            i + 1 < regions->len ? &g_array_index(regions, PmRegion, i + 1) : NULL;
        const gboolean below_vdso = above != NULL && above->kind == PM_REGION_VDSO &&
                                    above->range.start == region->range.end;
        const gboolean no_write = (region->flags & PF_W) == 0;
        if ((region->kind == PM_REGION_ANONYMOUS && no_write && below_vdso) ||
            region->range.start == G_GUINT64_CONSTANT(0xffffffffff600000))
            region->kind = PM_REGION_VDSO;
    }
}

static void
sum_up(PmRegions *regions)
{
    for (guint i = 0; i < regions->regions->len; i++) {
        const PmRegion *region = &g_array_index(regions->regions, PmRegion, i);
        pm_region_total_add(&regions->totals[region->kind], region);
        pm_region_total_add(&regions->totals[PM_REGION_KINDS], region);
    }
}

PmRegions *
pm_regions_new(const PmSubject *subject, const PmRegionsOptions *options)
{
    PmRegions *regions = g_new0(PmRegions, 1);
    GArray *mappings = pm_regions_list_mappings(subject->image);
    GArray *claims = pm_regions_list_claims(subject, &regions->listed);
    GArray *told = apply_claims(mappings, claims);
    g_array_unref(mappings);
    g_array_unref(claims);
    find_vvar(told);
    regions->subject = subject;
    regions->regions = pm_regions_find_orphans(subject, told, regions->listed, options->jobs);
    pm_regions_release_held(subject, regions->regions, options->jobs);
    pm_regions_measure(subject, options, regions->regions);
    regions->groups = pm_regions_group(regions->regions);
    sum_up(regions);
    return regions;
}

void
pm_regions_free(PmRegions *regions)
{
    if (regions == NULL)
        return;
    g_array_unref(regions->regions);
    g_array_unref(regions->groups);
    g_free(regions);
}

const PmRegion *
pm_regions_get(const PmRegions *regions, gsize *ret_count)
{
    *ret_count = regions->regions->len;
    return (const PmRegion *)(gconstpointer)regions->regions->data;
}

const PmRegion *
pm_regions_find(const PmRegions *regions, PmAddr address)
{
    gsize low = 0, high = regions->regions->len;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (g_array_index(regions->regions, PmRegion, middle).range.end > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == regions->regions->len)
        return NULL;
    const PmRegion *region = &g_array_index(regions->regions, PmRegion, low);
    return pm_range_contains(region->range, address) ? region : NULL;
}

gboolean
pm_regions_have_lists(const PmRegions *regions)
{
    return regions->listed;
}

const PmRegionTotal *
pm_regions_get_total(const PmRegions *regions, PmRegionKind kind)
{
    return &regions->totals[kind];
}

const PmRegionGroup *
pm_regions_get_groups(const PmRegions *regions, gsize *ret_count)
{
    *ret_count = regions->groups->len;
    return (const PmRegionGroup *)(gconstpointer)regions->groups->data;
}
