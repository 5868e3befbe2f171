/*
 * What is at one address: a chunk, a symbol, a stack, another region, or nothing.
 */
#pragma once

#include "analysis/regions/regions.h"
#include "analysis/requests.h"
#include "analysis/subject.h"

typedef enum {
    PM_PLACE_CHUNK,
    PM_PLACE_FREE_CHUNK,
    PM_PLACE_SYMBOL,
    PM_PLACE_STACK,
    PM_PLACE_REGION,
    PM_PLACE_UNMAPPED,
} PmPlace;

/* "chunk", "free-chunk", "symbol", "stack", "region", "unmapped"; static. */
const char *pm_place_name(PmPlace place);

#define PM_PREVIEW_BYTES 64

/*
 * Everything known about @address. What does not apply is zero, FALSE or NULL; all pointers are
 * borrowed from the subject.
 *
 * @chunk, @chunk_offset: valid for the two chunk places. @runtime: what glibc uses it for.
 * @arena: of the chunk; or in whose heap the address lies although in no chunk.
 * @has_before, @has_after: its neighbours in the same heap.
 * @has_symbol: @symbol at or before @address, @symbol_offset bytes away. @module: that maps the
 * address.
 * @thread: whose stack it is on. @red_zone: just below the stack pointer, where x86-64 lets a
 * function keep what it has not pushed: the leak scan counts it as live.
 * @has_region: @region is the segment, cut to the file mapping where there is one; @flags as
 * PmSegment's.
 * @region_kind: as `maps` has it; asked for where the address is in no chunk.
 * @bytes: what kind of bytes are there, and whether they are a hole.
 * @preview: @preview_count bytes from @preview_start, for a person to look at.
 */
typedef struct {
    PmAddr address;
    PmPlace place;
    PmChunk chunk;
    gint64 chunk_offset;
    const PmArena *arena;
    const char *runtime;
    PmRequests requests;
    gboolean has_before;
    gboolean has_after;
    PmChunk before;
    PmChunk after;
    gboolean has_symbol;
    PmSymbol symbol;
    guint64 symbol_offset;
    const PmModule *module;
    const PmThread *thread;
    gboolean red_zone;
    gboolean has_region;
    PmRange region;
    PmRegionKind region_kind;
    guint32 flags;
    const char *file;
    PmBytesKind bytes;
    PmAddr preview_start;
    gsize preview_count;
    guint8 preview[PM_PREVIEW_BYTES];
} PmLookup;

/* Answers for @address; needs no heap. Never fails. */
void pm_lookup(const PmSubject *subject, PmAddr address, PmLookup *ret_lookup);
