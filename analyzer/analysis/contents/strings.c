/*
 * Reading strings out of chunks; see strings.h. Threads take a few blocks of the heap at a time and
 * count into tables that are split by hash, so that they seldom wait for each other and memory does
 * not grow with their number.
 */
#include "analysis/contents/strings.h"

#include "analysis/contents/population.h"
#include "analysis/contents/stringtable.h"
#include "analysis/contents/text.h"
#include "base/jobs.h"

#include <stdlib.h>
#include <string.h>

#define SHARD_BITS 6
#define SHARDS     (1u << SHARD_BITS)
/* Different strings that are kept, over all shards: 64 MiB; and of those that are pointed to. */
#define INSIDE_MAX  ((gsize)1 << 20)
#define POINTED_MAX ((gsize)1 << 18)
/* Blocks of planes (64 KiB of heap each) that one job takes. */
#define JOB_BLOCKS 32

/* @inside, @outside: by text. @rodata: by address, to be measured at the end: they are few, and
 * many words point to each. */
typedef struct {
    GMutex lock;
    PmStringTable inside;
    PmStringTable outside;
    PmStringTable rodata;
} Shard;

/* What all threads see. */
typedef struct {
    const PmPlaces *places;
    const PmSpace *space;
    const PmPopulation *population;
    gsize characters_min;
    const GArray *blocks; /* PmPopulationBlock */
    guint64 word_bytes;
    gboolean follows_chunks;
    Shard *shards;
    PmStrings *strings; /* its totals, under the lock of the first shard */
} Scan;

/* What one thread has. @bytes, @count, @at: the run that is being scanned, and where it stands. */
typedef struct {
    const Scan *scan;
    PmSpan span;
    const guint8 *bytes;
    gsize count;
    PmAddr at;
    PmStrings totals;
} Worker;

static Shard *
get_shard(const Scan *scan, guint64 hash)
{
    return &scan->shards[hash >> (64 - SHARD_BITS)];
}

/* Whether the @length bytes at @offset are part of one aligned word that points somewhere. */
static gboolean
is_pointer(const Worker *worker, gsize offset, gsize length)
{
    const guint64 word_bytes = worker->scan->word_bytes;
    const gsize into = (gsize)((worker->at + offset) % word_bytes);
    PmWord word;
    if (into > offset || into + length > word_bytes || offset - into + word_bytes > worker->count)
        return FALSE;
    pm_places_classify_plain(worker->scan->places,
                             pm_load_word(worker->bytes + offset - into, word_bytes), &word);
    return pm_word_kind_is_pointer(word.kind);
}

static void
visit_string(gpointer data, gsize offset, gsize length)
{
    Worker *worker = data;
    if (length <= worker->scan->word_bytes && is_pointer(worker, offset, length))
        return;
    const PmStringEntry entry = {
        .hash = pm_string_hash(worker->bytes + offset, length),
        .length_bytes = length,
        .count = 1,
        .address = worker->at + offset,
    };
    Shard *shard = get_shard(worker->scan, entry.hash);
    g_mutex_lock(&shard->lock);
    pm_string_table_add(&shard->inside, &entry);
    g_mutex_unlock(&shard->lock);
    worker->totals.found++;
    worker->totals.found_bytes += length;
}

/* The string at @address, with a count of 0; FALSE where there is none. */
static gboolean
read_pointed(const Scan *scan, PmAddr address, PmStringEntry *ret_entry)
{
    guint8 bytes[PM_TEXT_STRING_BYTES_MAX];
    const gsize length =
        pm_text_read_string(scan->space, address, scan->characters_min, bytes, NULL);
    if (length == 0)
        return FALSE;
    *ret_entry = (PmStringEntry){
        .hash = pm_string_hash(bytes, length), .length_bytes = length, .address = address};
    return TRUE;
}

static void
follow_rodata(const Scan *scan, PmAddr address)
{
    const PmStringEntry entry = {
        .hash = pm_string_hash((const guint8 *)&address, sizeof address),
        .count = 1,
        .address = address,
    };
    Shard *shard = get_shard(scan, entry.hash);
    g_mutex_lock(&shard->lock);
    pm_string_table_add(&shard->rodata, &entry);
    g_mutex_unlock(&shard->lock);
}

/* A chunk in use that is looked at by no one else. */
static void
follow_chunk(const Scan *scan, const PmWord *word, PmAddr address)
{
    const PmResolver *resolver = pm_places_get_resolver(scan->places);
    PmSlotChunk found;
    PmChunk chunk;
    PmStringEntry entry;
    pm_resolver_get_chunk(resolver, word->hit.slot, word->hit.region, &found);
    if (!pm_heap_find_chunk(scan->population->heap, found.user - scan->word_bytes, &chunk, NULL) ||
        pm_chunk_walk_passes(&scan->population->walk, &chunk) ||
        !read_pointed(scan, address, &entry))
        return;
    entry.count = 1;
    Shard *shard = get_shard(scan, entry.hash);
    g_mutex_lock(&shard->lock);
    pm_string_table_add(&shard->outside, &entry);
    g_mutex_unlock(&shard->lock);
}

/* Follows the aligned words of the run. */
static void
follow_words(const Worker *worker)
{
    const Scan *scan = worker->scan;
    const guint64 word_bytes = scan->word_bytes;
    gsize at = (gsize)(pm_align_up(worker->at, word_bytes) - worker->at);
    for (; at + word_bytes <= worker->count; at += word_bytes) {
        const guint64 value = pm_load_word(worker->bytes + at, word_bytes);
        PmWord word;
        if (!pm_places_may_point(scan->places, value))
            continue;
        pm_places_classify_plain(scan->places, value, &word);
        if (word.kind == PM_WORD_RODATA)
            follow_rodata(scan, value);
        else if (scan->follows_chunks &&
                 (word.kind == PM_WORD_CHUNK || word.kind == PM_WORD_CHUNK_INTERIOR))
            follow_chunk(scan, &word, value);
    }
}

/* The user data of one chunk, in as many runs as it takes. */
static void
scan_chunk(Worker *worker, const PmSlotChunk *chunk)
{
    const PmAddr end = chunk->user + chunk->usable_bytes;
    worker->totals.chunks++;
    worker->totals.scanned_bytes += chunk->usable_bytes;
    for (PmAddr at = chunk->user; at < end;) {
        if (at - worker->span.start >= worker->span.length_bytes)
            pm_space_get_span(worker->scan->space, at, &worker->span);
        const guint64 offset = at - worker->span.start;
        const guint64 count = MIN(worker->span.length_bytes - offset, end - at);
        if (worker->span.bytes != NULL) {
            worker->bytes = worker->span.bytes + offset;
            worker->count = (gsize)count;
            worker->at = at;
            pm_text_scan(worker->bytes, worker->count, worker->scan->characters_min, visit_string,
                         worker);
            follow_words(worker);
        } else if (!worker->span.hole) {
            worker->totals.missing_bytes += count;
        }
        at += count;
    }
}

static void
scan_block(Worker *worker, const PmPopulationBlock *block)
{
    const PmPopulation *population = worker->scan->population;
    const PmResolver *resolver = pm_places_get_resolver(worker->scan->places);
    guint64 masks[PM_POPULATION_WORDS];
    guint64 words = 0;
    const PmSlot first = pm_resolver_get_sweep(resolver, block->region, &words) +
                         block->first_word * PM_HEAP_WORD_GRANULES;
    pm_population_match(population, block, masks);
    for (gsize i = 0; i < PM_POPULATION_WORDS; i++) {
        for (guint64 mask = masks[i]; mask != 0; mask &= mask - 1) {
            PmSlotChunk chunk;
            pm_resolver_get_chunk(
                resolver, first + i * PM_HEAP_WORD_GRANULES + (guint64)__builtin_ctzll(mask),
                block->region, &chunk);
            scan_chunk(worker, &chunk);
        }
    }
}

static void
work(PmJobs *jobs, gpointer data)
{
    const Scan *scan = data;
    Worker worker = {.scan = scan};
    guint64 job = 0;
    while (pm_jobs_next(jobs, &job)) {
        const guint64 end = MIN((job + 1) * JOB_BLOCKS, scan->blocks->len);
        for (guint64 i = job * JOB_BLOCKS; i < end; i++)
            scan_block(&worker, &g_array_index(scan->blocks, PmPopulationBlock, i));
    }
    g_mutex_lock(&scan->shards[0].lock);
    scan->strings->chunks += worker.totals.chunks;
    scan->strings->scanned_bytes += worker.totals.scanned_bytes;
    scan->strings->missing_bytes += worker.totals.missing_bytes;
    scan->strings->found += worker.totals.found;
    scan->strings->found_bytes += worker.totals.found_bytes;
    g_mutex_unlock(&scan->shards[0].lock);
}

static Shard *
make_shards(void)
{
    Shard *shards = g_new0(Shard, SHARDS);
    for (guint i = 0; i < SHARDS; i++) {
        g_mutex_init(&shards[i].lock);
        pm_string_table_init(&shards[i].inside, INSIDE_MAX / SHARDS);
        pm_string_table_init(&shards[i].outside, POINTED_MAX / SHARDS);
        pm_string_table_init(&shards[i].rodata, POINTED_MAX / SHARDS);
    }
    return shards;
}

static void
free_shards(Shard *shards)
{
    for (guint i = 0; i < SHARDS; i++) {
        g_mutex_clear(&shards[i].lock);
        pm_string_table_clear(&shards[i].inside);
        pm_string_table_clear(&shards[i].outside);
        pm_string_table_clear(&shards[i].rodata);
    }
    g_free(shards);
}

/* Reads what was counted by address alone, and counts it by text. */
static void
measure_rodata(const Scan *scan)
{
    for (guint i = 0; i < SHARDS; i++) {
        const PmStringTable *table = &scan->shards[i].rodata;
        for (gsize j = 0; j < table->capacity; j++) {
            PmStringEntry entry;
            if (table->entries[j].count == 0 ||
                !read_pointed(scan, table->entries[j].address, &entry))
                continue;
            entry.count = table->entries[j].count;
            pm_string_table_add(&get_shard(scan, entry.hash)->outside, &entry);
        }
    }
}

static gint
compare_by_count(gconstpointer a, gconstpointer b)
{
    const PmString *left = a;
    const PmString *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    if (left->bytes != right->bytes)
        return left->bytes > right->bytes ? -1 : 1;
    return left->example < right->example ? -1 : left->example > right->example;
}

static gint
compare_by_bytes(gconstpointer a, gconstpointer b)
{
    const PmString *left = a;
    const PmString *right = b;
    if (left->bytes != right->bytes)
        return left->bytes > right->bytes ? -1 : 1;
    return compare_by_count(a, b);
}

static void
append_entries(const Scan *scan, const PmStringTable *table, gboolean pointed, GArray *strings)
{
    for (gsize i = 0; i < table->capacity; i++) {
        const PmStringEntry *entry = &table->entries[i];
        PmString string = {.length_bytes = entry->length_bytes,
                           .count = entry->count,
                           .bytes = entry->count * entry->length_bytes,
                           .example = entry->address};
        PmWord word = {.kind = PM_WORD_NUMBER};
        if (entry->count == 0)
            continue;
        if (pointed)
            pm_places_classify_plain(scan->places, entry->address, &word);
        string.kind = word.kind;
        g_array_append_val(strings, string);
    }
}

static PmString *
rank(const Scan *scan, gboolean pointed, gboolean by_bytes, gsize *ret_count)
{
    GArray *strings = g_array_new(FALSE, FALSE, sizeof(PmString));
    for (guint i = 0; i < SHARDS; i++)
        append_entries(scan, pointed ? &scan->shards[i].outside : &scan->shards[i].inside, pointed,
                       strings);
    g_array_sort(strings, by_bytes ? compare_by_bytes : compare_by_count);
    return (PmString *)(gpointer)g_array_steal(strings, ret_count);
}

static void
sum_forgotten(const Shard *shards, PmStrings *strings)
{
    for (guint i = 0; i < SHARDS; i++) {
        const PmStringTable *tables[] = {&shards[i].inside, &shards[i].outside, &shards[i].rodata};
        for (gsize j = 0; j < G_N_ELEMENTS(tables); j++) {
            strings->forgotten += tables[j]->forgotten;
            strings->shortfall = MAX(strings->shortfall, tables[j]->shortfall);
        }
    }
}

static GArray *
list_blocks(const PmPopulation *population)
{
    GArray *blocks = g_array_new(FALSE, FALSE, sizeof(PmPopulationBlock));
    PmPopulationBlock block;
    gboolean more = pm_population_next(population, NULL, &block);
    while (more) {
        g_array_append_val(blocks, block);
        more = pm_population_next(population, &block, &block);
    }
    return blocks;
}

PmStrings *
pm_strings_new(const PmPlaces *places, const PmReach *reach, const PmChunkFilter *filter,
               const PmStringsOptions *options)
{
    const PmSubject *subject = pm_places_get_subject(places);
    PmStrings *strings = g_new0(PmStrings, 1);
    PmPopulation population;
    /* No one owns what top holds. */
    PmChunkFilter owned = *filter;
    owned.states &= ~(1u << PM_CHUNK_TOP);
    pm_population_init(&population, subject, reach, &owned);
    g_autoptr(GArray) blocks = list_blocks(&population);
    Scan scan = {
        .places = places,
        .space = pm_process_get_space(subject->process),
        .population = &population,
        .characters_min = MAX(options->characters_min, 1),
        .blocks = blocks,
        .word_bytes = pm_image_get_target(subject->image)->word_bytes,
        /* Where all chunks in use are looked at, none is outside. */
        .follows_chunks = filter->by_request || filter->by_chunk_bytes || filter->by_arena ||
                          filter->reaches != 0 || (filter->states >> PM_CHUNK_USED & 1) == 0,
        .shards = make_shards(),
        .strings = strings,
    };
    pm_jobs_run(options->jobs, (blocks->len + JOB_BLOCKS - 1) / JOB_BLOCKS, work, &scan);
    measure_rodata(&scan);
    strings->inside = rank(&scan, FALSE, options->by_bytes, &strings->inside_count);
    strings->pointed = rank(&scan, TRUE, options->by_bytes, &strings->pointed_count);
    sum_forgotten(scan.shards, strings);
    free_shards(scan.shards);
    return strings;
}

void
pm_strings_free(PmStrings *strings)
{
    if (strings == NULL)
        return;
    g_free(strings->inside);
    g_free(strings->pointed);
    g_free(strings);
}

char *
pm_strings_read(const PmSubject *subject, const PmString *string, gsize max_bytes, gsize *ret_count)
{
    const PmSpace *space = pm_process_get_space(subject->process);
    gsize count = (gsize)MIN(string->length_bytes, max_bytes);
    char *text = g_malloc0(count + 1);
    if (!pm_space_read(space, string->example, text, count))
        count = 0;
    text[count] = '\0';
    *ret_count = count;
    return text;
}
