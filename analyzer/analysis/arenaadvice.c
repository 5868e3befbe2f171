/*
 * Which settings of malloc the figures speak for; see arenas.h. Each rule asks for bytes that
 * matter and for a share that matters: below either nothing is said.
 */
#include "analysis/arenas.h"
#include "analysis/format.h"

/* Less than this is not worth a setting. */
#define WORTH_BYTES ((guint64)8 << 20)
/* Of what the arenas hold: less than this is what a heap usually has in reserve. */
#define WORTH_SHARE 0.25

/* Fewer arenas than this are no crowd. */
#define CROWD_ARENAS 8
/* A crowd is too many where this share of it is mostly free, and of its memory is free. */
#define CROWD_SHARE 0.5
/* An arena is mostly free where less than this share of what it holds is in use. */
#define MOSTLY_USED 0.5
/* A usual choice, and glibc's own for one processor of 64 bit. (arena.c, NARENAS_FROM_NCORES) */
#define FEWER_ARENAS 8

/* What takes memory of @bytes: less what is free and untouched. */
static guint64
get_held(guint64 bytes, const PmTrim *trim)
{
    return bytes > trim->untouched_bytes ? bytes - trim->untouched_bytes : 0;
}

static gboolean
is_worth(guint64 bytes, guint64 of_bytes)
{
    return bytes >= WORTH_BYTES && pm_share(bytes, of_bytes) >= WORTH_SHARE;
}

/* @text: taken. */
static void
add_advice(PmArenas *arenas, const char *setting, guint64 bytes, char *text)
{
    const PmAdvice advice = {.setting = setting, .bytes = bytes, .text = text};
    g_array_append_val(arenas->advice, advice);
}

static void
advise_trim(PmArenas *arenas)
{
    const PmArenaTotals *totals = &arenas->totals;
    const guint64 bytes = pm_trim_bytes(&totals->trim);
    const guint64 held = get_held(totals->system_bytes, &totals->trim);
    if (!is_worth(bytes, held))
        return;
    GString *text = g_string_new(NULL);
    g_string_append_printf(text,
                           "malloc_trim(0) would give back %s, %s of the %s that the arenas hold: ",
                           pm_format_bytes(bytes).text, pm_format_share(pm_share(bytes, held)).text,
                           pm_format_bytes(held).text);
    if (totals->trim.chunk_bytes > 0)
        g_string_append_printf(text, "%s of whole pages inside free chunks%s",
                               pm_format_bytes(totals->trim.chunk_bytes).text,
                               totals->trim.top_bytes > 0 ? ", " : "");
    if (totals->trim.top_bytes > 0)
        g_string_append_printf(text, "%s of the main arena's top",
                               pm_format_bytes(totals->trim.top_bytes).text);
    g_string_append(text, ". free() itself gives back only what lies at the end of a heap.");
    add_advice(arenas, "malloc_trim", bytes, g_string_free(text, FALSE));
}

/* How many thread arenas are mostly free. */
static guint64
count_mostly_free(const PmArenas *arenas)
{
    guint64 count = 0;
    for (gsize i = 0; i < arenas->count; i++) {
        const PmArenaFacts *facts = &arenas->arenas[i];
        const guint64 held = get_held(facts->arena->system_bytes, &facts->trim);
        count += facts->arena->kind == PM_ARENA_THREAD &&
                 pm_share(facts->arena->used_bytes, held) < MOSTLY_USED;
    }
    return count;
}

/*
 * Free memory of one arena serves no thread of another. Where many arenas are mostly free, fewer
 * would do with less.
 */
static void
advise_arena_max(PmArenas *arenas)
{
    const PmArenaTotals *totals = &arenas->thread_totals;
    const guint64 held = get_held(totals->system_bytes, &totals->trim);
    const guint64 free_bytes = pm_arenas_held_free(totals->free_bytes, &totals->trim);
    const guint64 mostly_free = count_mostly_free(arenas);
    if (totals->thread_arenas < CROWD_ARENAS || free_bytes < WORTH_BYTES ||
        pm_share(free_bytes, held) < CROWD_SHARE ||
        pm_share(mostly_free, totals->thread_arenas) < CROWD_SHARE)
        return;
    GString *text = g_string_new(NULL);
    g_string_append_printf(
        text, "%s hold %s, of which %s (%s) is in use, and reserve %s of address space; ",
        pm_format_things(totals->thread_arenas, "thread arena").text, pm_format_bytes(held).text,
        pm_format_bytes(totals->used_bytes).text,
        pm_format_share(pm_share(totals->used_bytes, held)).text,
        pm_format_bytes(totals->reserved_bytes).text);
    g_string_append_printf(text, "%s of them are more than half free",
                           pm_format_count(mostly_free).text);
    if (totals->threadless > 0)
        g_string_append_printf(text, ", %s %s no thread", pm_format_count(totals->threadless).text,
                               totals->threadless == 1 ? "has" : "have");
    g_string_append_printf(
        text,
        ". What is free in one serves no thread of another: with M_ARENA_MAX threads share fewer "
        "arenas, and wait for each other more often (mallopt(M_ARENA_MAX, %u), or in the "
        "environment GLIBC_TUNABLES=glibc.malloc.arena_max=%u).",
        FEWER_ARENAS, FEWER_ARENAS);
    if (arenas->settings_known && arenas->settings.arena_max > 0)
        g_string_append_printf(text, " It is set to %s now.",
                               pm_format_count(arenas->settings.arena_max).text);
    add_advice(arenas, "M_ARENA_MAX", free_bytes, g_string_free(text, FALSE));
}

/*
 * free() of an mmapped chunk raises mmap_threshold to its size, and trim_threshold to twice that
 * (malloc.c, __libc_free): from then on blocks of such sizes come from the arenas, and go back to
 * the kernel no more where something behind them is in use.
 */
static void
advise_mmap_threshold(PmArenas *arenas)
{
    const PmMallocSettings *settings = &arenas->settings;
    const guint64 threshold = settings->mmap_threshold_bytes;
    const guint64 held = get_held(arenas->totals.system_bytes, &arenas->totals.trim);
    guint64 chunks = 0, bytes = 0;
    if (!arenas->settings_known || settings->fixed || threshold <= PM_MMAP_THRESHOLD_DEFAULT ||
        settings->trim_threshold_bytes != 2 * threshold)
        return;
    for (gsize i = 0; i < arenas->count; i++) {
        const PmArena *arena = arenas->arenas[i].arena;
        for (gsize j = 0; j < arena->bin_count; j++) {
            if (arena->bins[j].chunk_bytes < PM_MMAP_THRESHOLD_DEFAULT)
                continue;
            chunks += arena->bins[j].chunks[PM_CHUNK_BIN];
            bytes += arena->bins[j].chunks[PM_CHUNK_BIN] * arena->bins[j].chunk_bytes;
        }
    }
    /* What takes no memory any more is no reason. */
    bytes = MIN(bytes, arenas->totals.trim.chunk_bytes);
    if (!is_worth(bytes, held))
        return;
    add_advice(
        arenas, "M_MMAP_THRESHOLD", bytes,
        g_strdup_printf(
            "the program freed a mapped block of %s, and malloc's mmap threshold rose to that from "
            "%s: smaller blocks now come from the arenas. There %s of at least %s hold up to %s "
            "between "
            "chunks in use. With M_MMAP_THRESHOLD set, blocks above it get a mapping each, which "
            "free() gives back (mallopt(M_MMAP_THRESHOLD, %u), or in the environment "
            "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=%u).",
            pm_format_bytes(threshold).text, pm_format_bytes(PM_MMAP_THRESHOLD_DEFAULT).text,
            pm_format_things(chunks, "free chunk").text,
            pm_format_bytes(PM_MMAP_THRESHOLD_DEFAULT).text, pm_format_bytes(bytes).text,
            (guint)PM_MMAP_THRESHOLD_DEFAULT, (guint)PM_MMAP_THRESHOLD_DEFAULT));
}

static int
compare_advice(gconstpointer left, gconstpointer right)
{
    const PmAdvice *a = left;
    const PmAdvice *b = right;
    return a->bytes < b->bytes ? 1 : a->bytes > b->bytes ? -1 : 0;
}

void
pm_arenas_advise(PmArenas *arenas)
{
    advise_trim(arenas);
    advise_arena_max(arenas);
    advise_mmap_threshold(arenas);
    g_array_sort(arenas->advice, compare_advice);
}
