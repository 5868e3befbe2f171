/*
 * What was read of types, kept for the next run: where debug files are compressed or large, what
 * takes its time is not the index but to open them for the members of a few hundred types. The
 * whole table, as it is when it is freed, goes into a file of the user's cache folder; the next
 * table for the same modules begins with it and opens no DWARF for what is in there.
 *
 * The file's name is made of the build-ids of all modules with DWARF: FOLDER/types-read/…. It is
 * checked as an index is (indexcache.h).
 */
#pragma once

#include "dwarf/types-private.h"

/* Tables of more types are not kept. */
#define PM_STORED_TYPES_MAX 100000

/*
 * Fills the table with what is stored, on the first call only, and only if nothing but what every
 * table has is in it. Does nothing without a cache folder.
 */
void pm_type_store_load(PmTypes *types);

/* Stores the table, if there is something new in it. To be called before anything of it is freed.
 */
void pm_type_store_save(PmTypes *types);

/*
 * What is known of the definition @type of the index of @module: whether it was asked for before.
 *
 * @ret_entry: (out): NULL where it turned out to be none.
 */
gboolean pm_type_store_find(PmTypes *types, const PmTypeModule *module, const PmIndexType *type,
                            PmTypeEntry **ret_entry);

/* Remembers what it turned out to be; @entry: may be NULL. */
void pm_type_store_note(PmTypes *types, const PmTypeModule *module, const PmIndexType *type,
                        PmTypeEntry *entry);
