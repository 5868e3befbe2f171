/*
 * Weights before the bytes; see prior.h.
 */
#include "analysis/sites/prior.h"

#include "analysis/sites/scale.h"

#include <math.h>

/* What a site weighs before the bytes are looked at, beside one that always asks for the size. */
#define WEIGHT_POINTER 0.8

/*
 * Of a site of which only bounds are known: sizes are as likely as logarithms are dense, from its
 * least size on, up to SIZE_SPAN above it; the first RANGE_GRAIN bytes count as one step. So often
 * it asks for the very least: what is there before a length of 0 or a buffer's initial size.
 */
#define RANGE_GRAIN    16
#define RANGE_SPAN     ((guint64)16 << 20)
#define RANGE_AT_LEAST 0.35

/* Of a site that may ask for a size, or for any other, beside one of which nothing is known: where
 * that size is of the class, and where it is not. */
#define OPEN_SAME  5.0
#define OPEN_OTHER 0.3

/* Of a site that asks for a granule less: it gets the chunk where malloc cannot split that off,
 * because less than a chunk would be left (malloc.c, _int_malloc: remainder_size < MINSIZE). */
#define UNSPLIT       0.03
#define GRANULE_BYTES 16

/* What is no multiple of the records that a site asks for is hardly from there: the product
 * wrapped, or a constant was not seen. Of numbers below RANGE_GRAIN every class has multiples. */
#define STEPS_MISSED 0.05

/* The request that slack betrays, when that is certain: how much likelier a site that asks for it,
 * and how much less likely one that asks for less or for more. What asks for more may have left its
 * end unused; what asks for less would have written where it must not. */
#define REQUEST_SAME 4.0
#define REQUEST_LESS 0.05
#define REQUEST_MORE 0.3

/* A function that nothing leads to may still have been looked up by name. */
#define UNUSED 0.003
/* One of the program's that nothing refers to, but that a linker kept: the compiler inlined all
 * calls of it, or something refers to it in a way that is not seen. */
#define LEFT_OVER 0.3

/* Data behind the end of what a site asks for. */
#define BEYOND_END 0.15

/* What the runtime asks for on its own account is mostly something of which there is one: the less
 * likely a site of it, the more chunks there are. */
#define RUNTIME_FEW   0.4
#define RUNTIME_MANY  0.02
#define RUNTIME_COUNT 1000
/* Of what it asks for by a size that varies, some is for its callers: copies of strings, buffers of
 * lines, folders that are read. */
#define RUNTIME_VARIED 0.3
/* And the dynamic linker still less: when it loads a module. */
#define RUNTIME_LINKER 0.02

static void
add_set_evidence(const PmSite *site, guint matches, PmRankedSite *ranked)
{
    if (site->size.count == 1)
        pm_evidence_add(ranked->evidence, "size", 0.3,
                        "it always asks for %" G_GUINT64_FORMAT " bytes", site->size.v[0]);
    else
        pm_evidence_add(ranked->evidence, "size", 0.1,
                        "%u of the %u sizes that it may ask for are of this class", matches,
                        site->size.count);
}

/* How likely a size of the class is where all multiples of @scale's factor, and what it adds, are
 * possible: as likely as the logarithms of their numbers are dense. */
static double
weigh_steps(const PmSiteClues *clues, PmScale scale)
{
    const gint64 factor = (gint64)scale.factor;
    const gint64 from = (gint64)clues->request_min - scale.added;
    const gint64 to = (gint64)clues->request_max - scale.added;
    const gint64 first = MAX((from + factor - 1) / factor, 0);
    const gint64 last = to / factor;
    if (to < 0 || first > last)
        return 0;
    return log((double)(last + 2) / (double)(first + 1)) /
           log((double)RANGE_SPAN / (double)factor + 1);
}

/* How likely a size of the class is where all from @least to @most are possible. */
static double
weigh_spread(const PmSiteClues *clues, guint64 least, guint64 most)
{
    const guint64 from = MAX(least, clues->request_min);
    const guint64 to = MIN(most, clues->request_max);
    if (from > to)
        return 0;
    const double span = (double)MAX(MIN(most - least, RANGE_SPAN), to - least) + 1;
    return log(((double)(to - least) + 1 + RANGE_GRAIN) / ((double)(from - least) + RANGE_GRAIN)) /
           log((span + RANGE_GRAIN) / RANGE_GRAIN);
}

/* The same where the code itself has bounds, of which the lower one is asked for often. */
static double
weigh_range(const PmSiteClues *clues, guint64 least, guint64 most)
{
    const double spread = weigh_spread(clues, least, most);
    if (least == 0 || spread <= 0)
        return spread;
    return (1 - RANGE_AT_LEAST) * spread + (clues->request_min <= least ? RANGE_AT_LEAST : 0);
}

/* A site of which is known what it may ask for, but not under which conditions, nor what else. */
static double
weigh_open(const PmSiteClues *clues, const PmSite *site, PmRankedSite *ranked)
{
    const PmValue *size = &site->size;
    for (guint i = 0; i < size->count; i++) {
        if (size->v[i] < clues->request_min || size->v[i] > clues->request_max)
            continue;
        pm_evidence_add(ranked->evidence, "size", 0.05,
                        "it may ask for %" G_GUINT64_FORMAT " bytes, and for others", size->v[i]);
        return OPEN_SAME * weigh_spread(clues, 0, G_MAXUINT64);
    }
    pm_evidence_add(ranked->evidence, "size", -0.05,
                    "it may ask for %" G_GUINT64_FORMAT " bytes; what else is not known",
                    size->v[0]);
    return OPEN_OTHER * weigh_spread(clues, 0, G_MAXUINT64);
}

/* How likely a size of the class is by the steps in which a site's sizes grow. */
static double
weigh_scale(const PmSiteClues *clues, PmScale scale)
{
    if (scale.factor >= RANGE_GRAIN)
        return weigh_steps(clues, scale);
    return weigh_spread(clues, scale.factor == 1 ? (guint64)MAX(scale.added, 0) : 0, G_MAXUINT64);
}

static void
add_scale_evidence(PmScale scale, gboolean fits, PmRankedSite *ranked)
{
    const gboolean is_record = scale.factor >= RANGE_GRAIN;
    g_autofree char *more = is_record && scale.added != 0
                                ? g_strdup_printf(" and %" G_GINT64_FORMAT " %s", ABS(scale.added),
                                                  scale.added > 0 ? "more" : "less")
                                : g_strdup("");
    if (is_record)
        pm_evidence_add(ranked->evidence, "size", fits ? 0.05 : -0.3,
                        "it asks for multiples of %" G_GUINT64_FORMAT " bytes%s: %s", scale.factor,
                        more, fits ? "this class has one" : "this class has none");
    else if (scale.factor == 1 && scale.added >= RANGE_GRAIN)
        pm_evidence_add(ranked->evidence, "size", fits ? 0.05 : -0.3,
                        "it asks for %" G_GINT64_FORMAT " bytes and as many more as it needs",
                        scale.added);
    else
        pm_evidence_add(ranked->evidence, "size", 0, "nothing is known of the size it asks for");
}

static double
weigh_unsplit(const PmSiteClues *clues, const PmSite *site, PmRankedSite *ranked)
{
    const guint64 width = clues->request_max - clues->request_min + 1;
    if (clues->varied || width != GRANULE_BYTES || clues->request_min <= GRANULE_BYTES ||
        site->kind != PM_SITE_EXACT || site->size.v[0] >= clues->request_min ||
        site->size.v[0] < clues->request_min - GRANULE_BYTES)
        return 0;
    ranked->request_bytes = site->size.v[0];
    pm_evidence_add(ranked->evidence, "size", -0.05,
                    "it asks for %" G_GUINT64_FORMAT " bytes, which get such a chunk where malloc "
                    "cannot split off the rest",
                    site->size.v[0]);
    return UNSPLIT;
}

/* A site of which at most is known in what steps its sizes grow. */
static double
weigh_unknown(const PmSiteClues *clues, const PmValue *size, PmRankedSite *ranked)
{
    const PmScale scale = pm_scale_get(NULL, size);
    const double weight = weigh_scale(clues, scale);
    add_scale_evidence(scale, weight > 0, ranked);
    return MAX(weight, STEPS_MISSED * weigh_spread(clues, 0, G_MAXUINT64));
}

double
pm_prior_of_size(const PmSiteClues *clues, const PmSite *site, PmRankedSite *ranked)
{
    const PmValue *size = &site->size;
    ranked->request_bytes = PM_SIZE_UNKNOWN;
    if (site->kind == PM_SITE_VARIABLE && size->kind == PM_VALUE_SET)
        return clues->variable ? weigh_open(clues, site, ranked) : 0;
    if (site->kind == PM_SITE_VARIABLE)
        return clues->variable ? weigh_unknown(clues, size, ranked) : 0;
    if (site->kind == PM_SITE_RANGE) {
        pm_evidence_add(ranked->evidence, "size", 0,
                        "it asks for %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " bytes",
                        size->v[0], size->v[1]);
        return clues->variable ? weigh_range(clues, size->v[0], size->v[1]) : 0;
    }
    guint matches = 0;
    for (guint i = 0; i < size->count && !clues->varied; i++) {
        if (size->v[i] < clues->request_min || size->v[i] > clues->request_max)
            continue;
        ranked->request_bytes = matches++ == 0 ? size->v[i] : PM_SIZE_UNKNOWN;
    }
    if (matches == 0)
        return weigh_unsplit(clues, site, ranked);
    add_set_evidence(site, matches, ranked);
    if (site->by_pointer)
        pm_evidence_add(ranked->evidence, "size", -0.05,
                        "through a pointer, which may have held another function before");
    return (double)matches / size->count * (site->by_pointer ? WEIGHT_POINTER : 1);
}

gboolean
pm_prior_is_runtime(const PmProcess *process, const PmModule *module)
{
    static const char *const names[] = {"libstdc++.so", "libgcc_s.so", "libc++.so", "libc++abi.so"};
    if (module->is_executable)
        return FALSE;
    if (module == pm_process_get_libc(process) || module->is_interpreter)
        return TRUE;
    g_autofree char *base = g_path_get_basename(module->path);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_str_has_prefix(base, names[i]))
            return TRUE;
    return FALSE;
}

double
pm_prior_of_module(const PmSiteClues *clues, gboolean is_runtime, PmRankedSite *ranked)
{
    const PmSchema *schema = clues->schema;
    const gboolean is_many = schema != NULL && schema->sample->population >= RUNTIME_COUNT;
    if (ranked->site->module->is_interpreter) {
        pm_evidence_add(ranked->evidence, "module", tanh(log(RUNTIME_LINKER) / 3),
                        "the dynamic linker asks for little once the program runs");
        return RUNTIME_LINKER;
    }
    if (!is_runtime)
        return 1;
    if (ranked->site->kind >= PM_SITE_RANGE) {
        pm_evidence_add(ranked->evidence, "module", tanh(log(RUNTIME_VARIED) / 3),
                        "the runtime allocates for the program in few of its functions");
        return RUNTIME_VARIED;
    }
    pm_evidence_add(ranked->evidence, "module", is_many ? -0.5 : -0.2,
                    "the runtime's own calls seldom make many chunks");
    return is_many ? RUNTIME_MANY : RUNTIME_FEW;
}

double
pm_prior_of_use(const PmSites *sites, PmRankedSite *ranked)
{
    if (!pm_sites_may_run(sites, ranked->site)) {
        pm_evidence_add(
            ranked->evidence, "unused", tanh(log(UNUSED) / 3),
            "no code that may have run and no data of the process lead to its function");
        return UNUSED;
    }
    if (pm_sites_is_referred(sites, ranked->site))
        return 1;
    pm_evidence_add(ranked->evidence, "unreferred", tanh(log(LEFT_OVER) / 3),
                    "nothing refers to its function: it may be left over, inlined wherever it is "
                    "called");
    return LEFT_OVER;
}

double
pm_prior_of_request(const PmSchemaRequest *request, const PmSite *site)
{
    gboolean is_less = FALSE;
    if (!request->known || site->kind >= PM_SITE_RANGE)
        return 1;
    for (guint i = 0; i < site->size.count; i++) {
        if (site->size.v[i] >= request->request &&
            site->size.v[i] <= MAX(request->request, request->padded))
            return 1 + request->confidence * (REQUEST_SAME - 1);
        is_less = is_less || site->size.v[i] < request->request;
    }
    return 1 - request->confidence * (1 - (is_less ? REQUEST_LESS : REQUEST_MORE));
}

/* Whether a column shows what a program put there, and hardly anything left over from other
 * records: those differ from chunk to chunk. */
static gboolean
is_written(const PmSchemaLayout *layout, const PmSchemaColumn *column)
{
    switch (column->kind) {
    case PM_COLUMN_CONSTANT:
    case PM_COLUMN_VTABLE:
    case PM_COLUMN_COUNTER:
        return TRUE;
    case PM_COLUMN_ENUM:
    case PM_COLUMN_SECONDS:
    case PM_COLUMN_MILLISECONDS:
    case PM_COLUMN_MICROSECONDS:
    case PM_COLUMN_NANOSECONDS:
    case PM_COLUMN_POINTER:
    case PM_COLUMN_CODE:
    case PM_COLUMN_RODATA:
    case PM_COLUMN_DATA:
    case PM_COLUMN_DOUBLE:
        return column->nulls * 4 <= layout->chunks_sampled;
    default:
        return FALSE;
    }
}

/* Where the data of a layout end at least; 0 where that is not known. */
static gsize
find_data_end(const PmSchemaLayout *layout)
{
    gsize end = 0;
    for (gsize i = 0; !layout->is_rest && i < layout->column_count; i++)
        if (is_written(layout, &layout->columns[i]))
            end = layout->columns[i].offset_bytes + 1;
    return end;
}

double
pm_prior_of_end(const PmSchemaLayout *layout, const PmSite *site)
{
    if (site->kind >= PM_SITE_RANGE)
        return 1;
    for (guint i = 0; i < site->size.count; i++)
        if (site->size.v[i] >= find_data_end(layout))
            return 1;
    return BEYOND_END;
}

static void
add_request_evidence(const PmSchemaRequest *request, double factor, PmRankedSite *ranked)
{
    g_autofree char *range = request->padded > request->request
                                 ? g_strdup_printf("%" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                                                   request->request, request->padded)
                                 : g_strdup_printf("%" G_GUINT64_FORMAT, request->request);
    pm_evidence_add(ranked->evidence, "request", tanh(log(factor) / 3),
                    "what lies behind the data says that %s bytes were asked for%s", range,
                    factor > 1 ? ", as it does" : "; it asks for others");
}

void
pm_prior_explain(const PmSchemaLayout *layout, PmRankedSite *ranked)
{
    if (layout->request.known && ranked->site->kind <= PM_SITE_SEVERAL)
        add_request_evidence(&layout->request, pm_prior_of_request(&layout->request, ranked->site),
                             ranked);
    if (pm_prior_of_end(layout, ranked->site) < 1)
        pm_evidence_add(ranked->evidence, "request", tanh(log(BEYOND_END) / 3),
                        "the chunks hold data at +%" G_GSIZE_FORMAT ", behind what it asks for",
                        find_data_end(layout) - 1);
}
