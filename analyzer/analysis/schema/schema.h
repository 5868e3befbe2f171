/*
 * What chunks of one size look like: found by looking at a sample of their bytes, column by column,
 * clustered into layouts. Knows nothing of DWARF.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/contents/sampler.h"
#include "analysis/requests.h"

typedef enum {
    PM_COLUMN_ZERO,     /* zero in every chunk */
    PM_COLUMN_CONSTANT, /* one value, not zero */
    PM_COLUMN_FLAG,     /* 0 or one other value */
    PM_COLUMN_ENUM,     /* few values, small numbers */
    PM_COLUMN_COUNTER,  /* rises with the address */
    PM_COLUMN_SECONDS,  /* epoch seconds in a plausible window */
    PM_COLUMN_MILLISECONDS,
    PM_COLUMN_MICROSECONDS,
    PM_COLUMN_NANOSECONDS,
    PM_COLUMN_POINTER,  /* to the start of a chunk in use, or null */
    PM_COLUMN_INTERIOR, /* into a chunk in use */
    PM_COLUMN_FREED,    /* into free chunks: stale */
    PM_COLUMN_VTABLE,
    PM_COLUMN_CODE,
    PM_COLUMN_RODATA,
    PM_COLUMN_DATA,
    PM_COLUMN_STACK,
    PM_COLUMN_MAPPING,
    PM_COLUMN_DOUBLE,
    PM_COLUMN_FLOAT,
    PM_COLUMN_LENGTH, /* small numbers that fit the chunk or a text beside it */
    PM_COLUMN_NUMBER, /* numbers of a bounded range, none of the above */
    PM_COLUMN_TEXT,   /* ASCII or UTF-8 */
    PM_COLUMN_RANDOM, /* every value about as likely as any other */
    PM_COLUMN_SLACK,  /* behind the inferred request: not the program's */
    PM_COLUMN_MIXED,  /* no one kind fits */
} PmColumnKind;

/* "zero", "constant", "flag", …; "pointer", "pointer-interior", "pointer-freed", "vtable", "code",
 * "rodata", "data", "stack", "mapping"; static. */
const char *pm_column_kind_name(PmColumnKind kind);

/*
 * @width_bytes: 8, 4, 2, 1; of text, zero, random and slack any number.
 * @distinct: values seen, at most the sample. @min, @max: as unsigned little-endian numbers (of
 * columns of up to 8 bytes); of text the lengths of the shortest and the longest.
 * @nulls: chunks in which the column is zero (of text: empty).
 * @rank_correlation: of the value with the address, −1…1, over chunks in which it is not zero;
 * within each arena. 0 where it does not apply.
 * @text: one line for a person: "0x10", "parse_event+0x1f (app)", "vtable of app::Session",
 * "2026-08-20 03:12:07 … 2026-11-18 00:00:01", "rises by 1 from 17 to 36999"; owned.
 */
typedef struct {
    guint64 offset_bytes;
    guint64 width_bytes;
    PmColumnKind kind;
    guint64 distinct;
    guint64 min;
    guint64 max;
    guint64 nulls;
    double rank_correlation;
    char *text;
} PmSchemaColumn;

/*
 * What the bytes behind the data betray of the request. @known: they do, and the data end where
 * malloc(@request) would end them; @padded: what was asked for where the record has padding at its
 * end, which nobody writes either; the same as @request where its fields need none.
 * @confidence: 0…1. @evidence: why, or why not, for a person; owned, never NULL.
 */
typedef struct {
    gboolean known;
    guint64 request;
    guint64 padded;
    double confidence;
    char *evidence;
} PmSchemaRequest;

/*
 * One layout. @chunks_sampled of the sample; @share of it; @estimate: of the whole population.
 * @signature: what tells it from the others, short, for a person and for grouping:
 *   "00 10 00 …", "vtable of app::Session", "pointer, pointer, counter, text"; owned.
 * @name: what it is, where that is known (now: the class whose vtable its chunks have); owned, or
 *   NULL.
 * @is_rest: no layout, but the chunks of all that were too few for one of their own.
 * @request: as far as this layout's chunks tell.
 * @onset_seconds, @last_seconds, @rate_per_hour: (has_rate): oldest and newest of the time stamps
 * at
 *   @time_offset_bytes, and how many chunks of the whole population an hour in the nine tenths
 *   between.
 * @examples: user pointers of a few of its chunks.
 */
typedef struct {
    guint64 chunks_sampled;
    double share;
    guint64 estimate;
    char *signature;
    char *name;
    gboolean is_rest;
    PmSchemaColumn *columns;
    gsize column_count;
    PmSchemaRequest request;
    gboolean has_rate;
    guint64 time_offset_bytes;
    double rate_per_hour;
    gint64 onset_seconds;
    gint64 last_seconds;
    PmAddr examples[4];
    guint example_count;
} PmSchemaLayout;

typedef struct PmClusters PmClusters;

/*
 * @sample: owned. @bytes_per_chunk: how many bytes of each were looked at (large chunks: their
 * head). @unread: chunks of the sample whose bytes the core has not.
 * @layout_of: for each chunk of the sample the index of its layout; layout_count where it is
 * unread.
 * @requests: the range that the class serves.
 * @request: what was inferred: where layouts disagree, nothing.
 * @arenas: chunks of the sample by arena index (guint64 each), @arena_count of them; @mmapped
 * apart.
 * @clusters: of pm_schema_match() alone.
 */
typedef struct {
    PmSample *sample;
    guint64 chunk_bytes;
    gsize bytes_per_chunk;
    gsize unread;
    PmSchemaLayout *layouts;
    gsize layout_count;
    guint16 *layout_of;
    PmRequests requests;
    PmSchemaRequest request;
    guint64 *arenas;
    gsize arena_count;
    guint64 mmapped;
    guint word_bytes;
    PmClusters *clusters;
} PmSchema;

/* What is looked at of each chunk, and how many chunks. */
#define PM_SCHEMA_BYTES_MAX   512
#define PM_SCHEMA_SAMPLE      4096
#define PM_SCHEMA_LAYOUTS_MAX 16

/* @places: made for the same subject. @sample: (transfer full): chunks of one chunk_bytes. Never
 * fails; without chunks it has no layouts. */
PmSchema *pm_schema_new(PmPlaces *places, PmSample *sample);
void pm_schema_free(PmSchema *schema);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSchema, pm_schema_free)

/* The layout that a chunk of the same size, which need not be in the sample, looks like: its first
 * @count bytes are @bytes. Returns: an index of schema->layouts, or layout_count where it looks
 * like none. Fast: for every chunk of a class. */
gsize pm_schema_match(const PmSchema *schema, PmPlaces *places, const guint8 *bytes, gsize count);
