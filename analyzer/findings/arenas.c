#include "findings/arenas.h"

#include "analysis/format.h"
#include "findings/weights.h"

/* Less free memory than this is nobody's trouble; nor is a smaller share of what is held. */
#define FREE_LEAST  ((guint64)16 << 20)
#define SHARE_LEAST 0.5

/* All of it free; all of that trimmable; all of it below chunks in use; too many arenas. */
#define WEIGHT_FREE   0.40
#define WEIGHT_TRIM   0.25
#define WEIGHT_PINS   0.20
#define WEIGHT_ARENAS 0.10
/* A smaller share of what is free is not worth a line. */
#define PINS_SHARE 0.05
/* A core shows one moment. */
#define WEIGHT_MOMENT (-0.10)
/* Where nothing keeps it but that nobody trimmed, it may all be in use again a moment later: never
 * more than low. */
#define PASSING_MOST (PM_CONFIDENCE_MEDIUM - 0.05)
/* All of it at the end of the main heap, where free() trims once there is more. */
#define WEIGHT_TOP (-0.15)

/* Pins that are the same thing. @name: NULL where nothing names them. */
typedef struct {
    const char *name;
    guint64 chunk_bytes;
    guint64 heaps;
    guint64 below_bytes;
} PinKind;

/* @below_bytes: free right below the pins of all heaps. @most: the kind that pins most bytes. */
typedef struct {
    guint64 heaps;
    guint64 below_bytes;
    PinKind most;
} Pins;

static const char *
name_pin(const PmFindingsInput *input, const PmChunk *chunk)
{
    PmTyped typed = {.by = PM_TYPED_NOT};
    if (chunk->state == PM_CHUNK_TCACHE)
        return "freed, but in a tcache";
    if (chunk->state == PM_CHUNK_RUNTIME)
        return "malloc's own";
    if (input->namer != NULL && input->namer->typing != NULL)
        pm_typing_get(input->namer->typing, chunk, &typed);
    return typed.by == PM_TYPED_NOT ? NULL : typed.name;
}

static PinKind *
get_kind(GArray *kinds, const char *name, guint64 chunk_bytes)
{
    for (guint i = 0; i < kinds->len; i++) {
        PinKind *kind = &g_array_index(kinds, PinKind, i);
        if (kind->chunk_bytes == chunk_bytes && g_strcmp0(kind->name, name) == 0)
            return kind;
    }
    const PinKind kind = {.name = name, .chunk_bytes = chunk_bytes};
    g_array_append_val(kinds, kind);
    return &g_array_index(kinds, PinKind, kinds->len - 1);
}

/* More heaps than this are not looked at: kinds are found one by one. */
#define HEAPS_MOST 4096

static void
count_pins(const PmFindingsInput *input, Pins *ret_pins)
{
    Pins pins = {0};
    g_autoptr(GArray) kinds = g_array_new(FALSE, FALSE, sizeof(PinKind));
    for (gsize i = 0; i < input->arenas->count; i++) {
        const PmArenaFacts *facts = &input->arenas->arenas[i];
        for (gsize j = 0; j < facts->arena->heap_count && pins.heaps < HEAPS_MOST; j++) {
            const PmPin *pin = &facts->heaps[j].pin;
            if (!pin->found || pin->below_bytes == 0)
                continue;
            PinKind *kind = get_kind(kinds, name_pin(input, &pin->chunk), pin->chunk.chunk_bytes);
            pins.heaps++;
            pins.below_bytes += pin->below_bytes;
            kind->heaps++;
            kind->below_bytes += pin->below_bytes;
            if (kind->below_bytes > pins.most.below_bytes)
                pins.most = *kind;
        }
    }
    *ret_pins = pins;
}

/* "struct session, 96 bytes"; "a chunk of 96 bytes". (transfer full) */
static char *
describe_kind(const PinKind *kind)
{
    PmShort bytes = pm_format_things(kind->chunk_bytes, "byte");
    return kind->name != NULL ? g_strdup_printf("%s, %s", kind->name, bytes.text)
                              : g_strdup_printf("a chunk of %s", bytes.text);
}

/* Returns: whether chunks in use hold much of it. */
static gboolean
add_pins(const PmFindingsInput *input, GArray *evidence, guint64 held_free)
{
    Pins pins;
    count_pins(input, &pins);
    if (pins.heaps == 0)
        return FALSE;
    const double share = pm_share(pins.below_bytes, held_free);
    if (share < PINS_SHARE)
        return FALSE;
    g_autofree char *what = describe_kind(&pins.most);
    g_autofree char *where = NULL;
    if (pins.heaps == 1)
        where = g_strdup_printf("the last chunk in use, %s,", what);
    else if (pins.most.heaps == pins.heaps)
        where = g_strdup_printf("the last chunk in use of %s, in all of them %s,",
                                pm_format_things(pins.heaps, "heap").text, what);
    else
        where = g_strdup_printf("the last chunk in use of %s, in %s of them %s,",
                                pm_format_things(pins.heaps, "heap").text,
                                pm_format_count(pins.most.heaps).text, what);
    pm_evidence_add(evidence, "pins", WEIGHT_PINS * MIN(share, 1.0),
                    "%s stands behind %s of free chunks, touched or not", where,
                    pm_format_bytes(pins.below_bytes).text);
    return TRUE;
}

static void
add_trim(const PmArenas *arenas, GArray *evidence, guint64 held_free)
{
    const PmTrim *trim = &arenas->totals.trim;
    const guint64 bytes = pm_trim_bytes(trim);
    pm_evidence_add(
        evidence, "trim", WEIGHT_TRIM * pm_share(bytes, held_free),
        bytes < held_free - held_free / 20
            ? "malloc_trim(0) would give back %s; the rest shares its pages with chunks "
              "in use, or is a thread heap's top"
            : "malloc_trim(0) would give back %s",
        pm_format_bytes(bytes).text);
    if (trim->top_bytes == 0)
        return;
    const double weight = WEIGHT_TOP * pm_share(trim->top_bytes, held_free);
    if (arenas->settings_known)
        pm_evidence_add(evidence, "top", weight,
                        "%s of it is the main arena's top, which free() gives back once it has "
                        "more than %s",
                        pm_format_bytes(trim->top_bytes).text,
                        pm_format_bytes(arenas->settings.trim_threshold_bytes).text);
    else
        pm_evidence_add(evidence, "top", weight,
                        "%s of it is the main arena's top, which free() gives back once there is "
                        "more",
                        pm_format_bytes(trim->top_bytes).text);
}

/* The advice that there are too many arenas, in the words that fit beside the rest. Returns:
 * whether it was given. */
static gboolean
add_crowd(const PmArenas *arenas, GArray *evidence)
{
    const PmArenaTotals *totals = &arenas->thread_totals;
    gboolean advised = FALSE;
    for (guint i = 0; i < arenas->advice->len; i++)
        advised = advised ||
                  g_str_equal(g_array_index(arenas->advice, PmAdvice, i).setting, "M_ARENA_MAX");
    if (!advised)
        return FALSE;
    g_autofree char *threadless = NULL;
    if (totals->threadless > 0)
        threadless = g_strdup_printf("; no thread is at %s of them",
                                     pm_format_count(totals->threadless).text);
    pm_evidence_add(evidence, "arenas", WEIGHT_ARENAS,
                    "%s, which reserve %s of address space%s: what is free in one serves no thread "
                    "of another (M_ARENA_MAX)",
                    pm_format_things(totals->thread_arenas, "thread arena").text,
                    pm_format_bytes(totals->reserved_bytes).text,
                    threadless != NULL ? threadless : "");
    return TRUE;
}

PmSuspect *
pm_arenas_suspect(const PmFindingsInput *input)
{
    const PmArenas *arenas = input->arenas;
    const PmArenaTotals *totals = &arenas->totals;
    const guint64 held = totals->system_bytes > totals->trim.untouched_bytes
                             ? totals->system_bytes - totals->trim.untouched_bytes
                             : 0;
    const guint64 held_free = pm_arenas_held_free(totals->free_bytes, &totals->trim);
    const double share = pm_share(held_free, held);
    if (held_free < FREE_LEAST || share < SHARE_LEAST)
        return NULL;

    PmSuspect *suspect = pm_suspect_new(PM_SUSPECT_ARENA);
    suspect->chunks = totals->arenas;
    suspect->bytes = held_free;
    suspect->title = g_strdup_printf("free memory in %s · %s · %s of what malloc holds in them",
                                     pm_format_things(totals->arenas, "arena").text,
                                     pm_format_bytes(held_free).text, pm_format_share(share).text);
    pm_evidence_add(suspect->evidence, "free", WEIGHT_FREE * share,
                    "chunks in use take %s; what is free stays with the process",
                    pm_format_bytes(totals->used_bytes).text);
    add_trim(arenas, suspect->evidence, held_free);
    const gboolean is_held = add_pins(input, suspect->evidence, held_free);
    const gboolean is_crowded = add_crowd(arenas, suspect->evidence);
    pm_evidence_add(
        suspect->evidence, "moment", WEIGHT_MOMENT,
        "a core shows one moment: between two peaks of its work a program looks so too");
    pm_weigh_doubts(input, suspect->evidence, FALSE);
    suspect->confidence =
        pm_weigh_all(suspect->evidence, is_held || is_crowded ? PM_CONFIDENCE_MOST : PASSING_MOST);
    suspect->interest = (double)held_free * suspect->confidence;
    pm_suspect_add_next(suspect, "arenas %s", input->again);
    return suspect;
}
