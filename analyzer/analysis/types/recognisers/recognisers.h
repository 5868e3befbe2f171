/*
 * For the files of this folder: the table's entries, and what they share.
 */
#pragma once

#include "analysis/types/recogniser.h"

extern const PmRecogniser pm_recogniser_cpython;
extern const PmRecogniser pm_recogniser_cxxruntime;
extern const PmRecogniser pm_recogniser_glibc;
extern const PmRecogniser pm_recogniser_gobject;
extern const PmRecogniser pm_recogniser_packed;
extern const PmRecogniser pm_recogniser_sds;
extern const PmRecogniser pm_recogniser_stdio;
extern const PmRecogniser pm_recogniser_text;
extern const PmRecogniser pm_recogniser_zlib;

/* How a request agrees with the size of a chunk. */
typedef enum {
    PM_FIT_NONE,
    PM_FIT_CLASS_BELOW, /* malloc leaves a rest that is too small for a chunk of its own with the
                           chunk (malloc.c, _int_malloc and _int_realloc: remainder < MINSIZE) */
    PM_FIT_EXACT,
} PmFit;

/* Whether malloc(@request_bytes) gives @chunk. */
PmFit pm_recogniser_fit(const PmRecogniserChunk *chunk, guint64 request_bytes);

/* The first definition of a type named @name, those of @prefer (nullable) first; NULL where there
 * is none or @types is NULL. Slow: for open(). */
const PmType *pm_recogniser_find_type(PmTypes *types, const char *name, const PmModule *prefer);

/* Words of the target within [@bytes, @bytes + @count): word @index; 0 behind the end. */
static inline guint64
pm_recogniser_load(const PmRecogniserChunk *chunk, guint64 word_bytes, gsize index)
{
    const gsize offset = index * word_bytes;
    return offset + word_bytes <= chunk->count ? pm_load_word(chunk->bytes + offset, word_bytes)
                                               : 0;
}
