/*
 * Lossy counting; see stringtable.h. Open addressing, at most two thirds full.
 */
#include "analysis/contents/stringtable.h"

#include <string.h>

#define CAPACITY_FIRST 1024

void
pm_string_table_init(PmStringTable *table, gsize used_max)
{
    *table = (PmStringTable){.used_max = used_max};
    table->entries = g_try_new0(PmStringEntry, CAPACITY_FIRST);
    table->capacity = table->entries != NULL ? CAPACITY_FIRST : 0;
}

void
pm_string_table_clear(PmStringTable *table)
{
    g_free(table->entries);
    *table = (PmStringTable){.entries = NULL};
}

/* The slot of that hash and length, or the free one where it belongs. */
static PmStringEntry *
find_slot(PmStringEntry *entries, gsize capacity, guint64 hash, guint64 length_bytes)
{
    gsize at = (gsize)(hash ^ hash >> 32) & (capacity - 1);
    while (entries[at].count > 0 &&
           (entries[at].hash != hash || entries[at].length_bytes != length_bytes))
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

/* Moves all entries with a count above @above to a table of @capacity slots. FALSE without memory
 * for it. */
static gboolean
move(PmStringTable *table, gsize capacity, guint64 above)
{
    PmStringEntry *entries = g_try_new0(PmStringEntry, capacity);
    if (entries == NULL)
        return FALSE;
    gsize used = 0;
    for (gsize i = 0; i < table->capacity; i++) {
        const PmStringEntry *entry = &table->entries[i];
        if (entry->count <= above)
            continue;
        *find_slot(entries, capacity, entry->hash, entry->length_bytes) = *entry;
        used++;
    }
    g_free(table->entries);
    table->entries = entries;
    table->capacity = capacity;
    table->used = used;
    return TRUE;
}

/* Forgets the rarest until at least a quarter is gone. */
static void
forget(PmStringTable *table)
{
    const gsize before = table->used;
    guint64 above = 0;
    gsize kept = before;
    while (kept > before / 4 * 3) {
        above = above == 0 ? 1 : 2 * above;
        kept = 0;
        for (gsize i = 0; i < table->capacity; i++)
            kept += table->entries[i].count > above ? 1 : 0;
    }
    if (!move(table, table->capacity, above)) {
        memset(table->entries, 0, table->capacity * sizeof *table->entries);
        table->used = 0;
    }
    table->forgotten += before - table->used;
    table->shortfall += above;
}

static void
make_room(PmStringTable *table)
{
    if (table->used >= table->used_max)
        forget(table);
    if (table->used >= table->capacity / 3 * 2 && !move(table, 2 * table->capacity, 0))
        forget(table);
}

void
pm_string_table_add(PmStringTable *table, const PmStringEntry *entry)
{
    if (table->capacity == 0) {
        table->forgotten++;
        return;
    }
    PmStringEntry *slot =
        find_slot(table->entries, table->capacity, entry->hash, entry->length_bytes);
    if (slot->count > 0) {
        slot->count += entry->count;
        slot->address = MIN(slot->address, entry->address);
        return;
    }
    *slot = *entry;
    table->used++;
    make_room(table);
}

guint64
pm_string_hash(const guint8 *bytes, gsize count)
{
    guint64 hash = count * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    for (gsize at = 0; at < count; at += 8) {
        guint64 word = 0;
        memcpy(&word, bytes + at, MIN(count - at, 8));
        hash = (hash ^ GUINT64_FROM_LE(word)) * G_GUINT64_CONSTANT(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return hash;
}
