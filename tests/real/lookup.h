/*
 * A sample's ledger beside what postmalloc says of each of its chunks.
 */
#pragma once

#include "run.h"
#include "tool.h"
#include "truth.h"

/* @all: the document that lists the chunks. @chunks: address → JsonObject of it. NULL where it came
 * to nothing. */
typedef struct {
    RealRun *run;
    RealTruth *truth;
    RealSubject subject;
    JsonNode *all;
    GHashTable *chunks;
} RealLookup;

/*
 * Reads the ledger of @run (transfer full; may be NULL) and asks its core.
 *
 * @command: one whose "data.chunks" has members with "address". Returns: FALSE without a run, or
 * after g_test_fail(). real_lookup_clear() is due in any case.
 */
gboolean real_lookup_init(RealLookup *lookup, RealRun *run, const char *command);

/* Of one that real_lookup_init() had, or of zeros. */
void real_lookup_clear(RealLookup *lookup);

/* The chunk whose user address is @address, or NULL. Borrowed. */
JsonObject *real_lookup_find(const RealLookup *lookup, guint64 address);
