/*
 * Blocks of memory as Python gets them from malloc, for cpython.c and pytables.c.
 */
#pragma once

#include "analysis/types/recognisers/pyclasses.h"
#include "analysis/types/recognisers/recognisers.h"

/* @version, @shift: of pyclasses.h. @keys … @pointer: DWARF types, or NULL. */
typedef struct {
    PyClasses *classes;
    PmPlaces *places;
    const PmSpace *space;
    gsize word_bytes;
    guint version;
    gsize shift;
    const PmType *ascii;
    const PmType *compact;
    const PmType *keys;
    const PmType *values;
    const PmType *pointer;
} PyState;

/* A block as the program asked Python for it. @start: its offset in the chunk. @bytes: its size
 * where the debug allocator says it, or 0. */
typedef struct {
    const PmRecogniserChunk *chunk;
    gsize start;
    guint64 bytes;
} PyBlock;

/* Word @index of the block; 0 behind what was read. */
static inline guint64
py_block_get_word(const PyState *state, const PyBlock *block, gsize index)
{
    const gsize at = block->start + index * state->word_bytes;
    return at + state->word_bytes <= block->chunk->count
               ? pm_load_word(block->chunk->bytes + at, state->word_bytes)
               : 0;
}

/* How a request of @bytes agrees with the block. */
PmFit py_block_get_fit(const PyState *state, const PyBlock *block, guint64 bytes);

/* The bytes that it has at most. */
static inline guint64
py_block_get_room(const PyBlock *block)
{
    return block->bytes != 0 ? block->bytes : block->chunk->chunk->usable_bytes - block->start;
}

/* Whether a living object is at @address. */
gboolean py_is_object(const PyState *state, PmAddr address);

/* What objects keep their items in: tables of dictionaries and sets, items of lists, blocks of
 * deques, values of attributes, and the parser's memory. */
gboolean py_tables_recognise(const PyState *state, const PyBlock *block,
                             PmRecognition *recognition);
