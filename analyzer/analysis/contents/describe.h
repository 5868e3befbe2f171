/*
 * Names for words: what a value points to, in one line for a person. Slower than places.h, which
 * only tells kinds: it looks up symbols, reads strings and unwinds threads.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/reach/reach.h"

/* The type of a chunk by whatever the caller knows beyond vtables: (transfer full), or NULL. */
typedef char *(*PmChunkTyper)(gpointer data, const PmChunk *chunk);

typedef struct PmDescriber PmDescriber;

/* @places: borrowed. @reach: (nullable): borrowed; without it no classes are told. */
PmDescriber *pm_describer_new(PmPlaces *places, const PmReach *reach);
void pm_describer_free(PmDescriber *describer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmDescriber, pm_describer_free)

const PmSubject *pm_describer_get_subject(const PmDescriber *describer);

/* Asks @typer first for the type of every chunk in use. @data: borrowed. */
void pm_describer_set_typer(PmDescriber *describer, PmChunkTyper typer, gpointer data);

/*
 * The vtable that the first word of the user data of @chunk holds, where that is one of a whole
 * object; NULL for other chunks, and for free ones.
 */
const PmVtable *pm_describer_get_vtable(PmDescriber *describer, const PmChunk *chunk);

/* The typer's answer, or else the class of the vtable; (transfer full), NULL where neither knows. A
 * class whose object is only being constructed or destroyed (PM_VTABLE_OF_CONSTRUCTION) is none. */
char *pm_describer_get_type(PmDescriber *describer, const PmChunk *chunk);

/* The class of @chunk, PM_REACH_NONE where it has none or there was no scan. */
PmReachClass pm_describer_get_class(const PmDescriber *describer, const PmChunk *chunk);

/*
 * @word: as pm_places_classify(). @chunk: valid for the three chunk kinds, with @offset_bytes into
 * it.
 * @is_string: @text is a string that it points to, without quotes, at most PM_WORD_STRING_MAX bytes
 *   of it and maybe not UTF-8 at its end; @string_bytes is its whole length.
 * @text: owned; NULL for numbers and zeros. Bytes of the core may be among it: to be sanitised.
 *   "32 bytes, reachable, app::Circle"; "vtable of app::Circle"; "parse_event+0x1f (app)";
 *   "stack of thread 7, in parse_event"; "app+0x1040"; "/usr/share/x+0x10"; "anonymous mapping
 *   0x7f12…+0x10".
 */
typedef struct {
    PmWord word;
    PmChunk chunk;
    guint64 offset_bytes;
    gboolean is_string;
    gsize string_bytes;
    char *text;
} PmWordText;

#define PM_WORD_STRING_MAX 256

/* One thread at a time. */
void pm_describer_describe(PmDescriber *describer, guint64 value, PmWordText *ret_text);
void pm_word_text_clear(PmWordText *text);
