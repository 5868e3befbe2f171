/*
 * Counting strings, of which there may be hundreds of millions, in bounded memory: once the table
 * is full the rarest are forgotten (lossy counting, Manku and Motwani 2002). Texts are not kept;
 * where one stands is.
 */
#pragma once

#include "base/address.h"

/* @hash: of the text. @length_bytes: of the text. @address: the lowest one where it was seen. */
typedef struct {
    guint64 hash;
    guint64 length_bytes;
    guint64 count;
    PmAddr address;
} PmStringEntry;

/*
 * @entries: @capacity slots, those in use with a count; @used of them.
 * @forgotten: entries that were dropped. @shortfall: no count is short by more than this.
 */
typedef struct {
    PmStringEntry *entries;
    gsize capacity;
    gsize used;
    gsize used_max;
    guint64 forgotten;
    guint64 shortfall;
} PmStringTable;

/* @used_max: how many different strings are kept at most. Without memory it keeps none. */
void pm_string_table_init(PmStringTable *table, gsize used_max);
void pm_string_table_clear(PmStringTable *table);

/* Adds the counts of @entry to those of the same hash and length. */
void pm_string_table_add(PmStringTable *table, const PmStringEntry *entry);

/* A hash of @count bytes. */
guint64 pm_string_hash(const guint8 *bytes, gsize count);
