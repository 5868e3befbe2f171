/*
 * What knows a kind of chunk by its contents: text, a stdio stream, a Python object. Each is one
 * file in recognisers/ and one line of the table in recogniser.c. Tens of millions of chunks are
 * filtered by what a recogniser declares before it is called.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/requests.h"
#include "dwarf/types.h"

/*
 * A chunk to be looked at, in use.
 *
 * @bytes: its first @count bytes, as the core has them; borrowed. @requests: the malloc(n) that
 * give such a chunk; a chunk may also serve a request of the size class below
 * (pm_recogniser_fit()).
 * @first: what its first word is; filled for recognisers that restrict the first word only.
 */
typedef struct {
    const PmChunk *chunk;
    const guint8 *bytes;
    gsize count;
    PmRequests requests;
    PmWord first;
} PmRecogniserChunk;

/* What @bytes shows of longer chunks; a recogniser that needs more reads it from the space. */
#define PM_RECOGNISER_BYTES 256

/*
 * @name: of what the chunk is, "text", "FILE", "dict (Python)"; borrowed from the recogniser's
 *   state or static. @type: its DWARF type, or NULL. @offset_bytes: where in the user data it
 *   begins. @elements: 1, or how many of @type; at least 1.
 * @confidence: 0…1. @reason: one line for a person; static.
 */
typedef struct {
    const char *name;
    const PmType *type;
    guint64 offset_bytes;
    guint64 elements;
    double confidence;
    const char *reason;
} PmRecognition;

/*
 * @id: "text", "stdio", "cpython"; static.
 * @min_bytes, @max_bytes: of usable_bytes, inclusive. @first_words: bit k for PmWordKind k of the
 *   first word (PM_RECOGNISER_ANY_WORD for all, which spares its classification).
 * @open: (nullable): looks once whether this process has any of its kind; returns its state, or
 * NULL where it has none: it is then not called again. Without it the state is NULL. @types: NULL
 * where the caller has none: no recognition has a type then.
 * @recognise: FALSE where the chunk is something else; @ret_recognition then untouched. It begins
 * as
 *   {.elements = 1}. One thread at a time. Chunks of any content come: nothing in them may be
 *   trusted.
 * @close: (nullable): frees the state.
 */
typedef struct {
    const char *id;
    guint64 min_bytes;
    guint64 max_bytes;
    guint32 first_words;
    gpointer (*open)(PmPlaces *places, PmTypes *types);
    gboolean (*recognise)(gpointer state, const PmRecogniserChunk *chunk,
                          PmRecognition *ret_recognition);
    void (*close)(gpointer state);
} PmRecogniser;

#define PM_RECOGNISER_ANY_WORD ((1U << PM_WORD_KINDS) - 1)

/* All recognisers of this process, opened. */
typedef struct PmRecognisers PmRecognisers;

/* @places: of a subject with a heap. @types: may be NULL. Both borrowed for the life of the result.
 */
PmRecognisers *pm_recognisers_new(PmPlaces *places, PmTypes *types);
void pm_recognisers_free(PmRecognisers *recognisers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmRecognisers, pm_recognisers_free)

/*
 * What @chunk, in use, is by the recogniser that is surest; of two as sure, the first of the table.
 *
 * @ret_id: (out) (optional): of the recogniser, static. @ret_recognition: lives as long as
 *   @recognisers.
 * Returns: FALSE where none knows it. Reads the chunk only where some recogniser's size range
 * admits it; fastest for ascending addresses. One thread at a time.
 */
gboolean pm_recognisers_ask(PmRecognisers *recognisers, const PmChunk *chunk, const char **ret_id,
                            PmRecognition *ret_recognition);
