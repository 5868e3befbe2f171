/*
 * What a word of memory means, were it a pointer: asked of millions of words, so it is a table made
 * once. What the word is called is describe.h's business.
 */
#pragma once

#include "analysis/subject.h"
#include "heap/resolver.h"
#include "process/rtti.h"

typedef enum {
    PM_WORD_NUMBER, /* points nowhere that is mapped */
    PM_WORD_ZERO,
    PM_WORD_CHUNK,          /* the user pointer of a chunk in use (runtime included) */
    PM_WORD_CHUNK_INTERIOR, /* into the user data of a chunk in use */
    PM_WORD_FREE_CHUNK,     /* into the user data of a free chunk */
    PM_WORD_HEAP,           /* in a heap, but in no chunk's user data: a header, the top, a gap */
    PM_WORD_VTABLE,         /* the address point of a vtable */
    PM_WORD_CODE,           /* executable bytes of a module or of another mapping */
    PM_WORD_RODATA,         /* bytes of a module that cannot be written (relro is PM_WORD_DATA) */
    PM_WORD_DATA,           /* a module's writable data, its anonymous tail, static TLS */
    PM_WORD_STACK,          /* a live thread's stack */
    PM_WORD_MAPPING, /* any other mapping: anonymous, a file, shared memory, the vdso's data */
} PmWordKind;
#define PM_WORD_KINDS 12

/* "number", "zero", "chunk", "chunk-interior", "free-chunk", "heap", "vtable", "code", "rodata",
 * "data", "stack", "mapping"; static. */
const char *pm_word_kind_name(PmWordKind kind);

/* TRUE for every kind but number and zero. */
gboolean pm_word_kind_is_pointer(PmWordKind kind);

/*
 * @thread: for PM_WORD_STACK, and for PM_WORD_DATA in its static TLS; @module: where the word
 * points into one; @vtable: for PM_WORD_VTABLE; else NULL. @hit: for the three chunk kinds.
 */
typedef struct {
    PmWordKind kind;
    const PmThread *thread;
    const PmModule *module;
    const PmVtable *vtable;
    PmHit hit;
} PmWord;

typedef struct PmPlaces PmPlaces;

/* @subject: borrowed for the life of the table; without a heap no word is a chunk. Never fails. */
PmPlaces *pm_places_new(const PmSubject *subject);
void pm_places_free(PmPlaces *places);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmPlaces, pm_places_free)

/* What @value is. O(log mappings). One thread at a time, because of vtables. */
void pm_places_classify(PmPlaces *places, guint64 value, PmWord *ret_word);

/* FALSE only for a number or zero: quick, for most words are. Thread-safe. */
gboolean pm_places_may_point(const PmPlaces *places, guint64 value);

/* As pm_places_classify(), but a vtable is the data or read-only data that it lies in. Thread-safe.
 */
void pm_places_classify_plain(const PmPlaces *places, guint64 value, PmWord *ret_word);

/* NULL without a heap. Borrowed. */
const PmResolver *pm_places_get_resolver(const PmPlaces *places);
PmRtti *pm_places_get_rtti(PmPlaces *places);
const PmSubject *pm_places_get_subject(const PmPlaces *places);
