/*
 * The type of every chunk in use, from the strongest source that has an answer: its vtable, a typed
 * pointer that leads to it, a recogniser; then, for what is left of a size class, the structure
 * that fits a layout best; and where nothing does, the layout.
 */
#pragma once

#include "analysis/contents/places.h"
#include "analysis/reach/reach.h"
#include "dwarf/types.h"

typedef enum {
    PM_TYPED_NOT,
    PM_TYPED_BY_VTABLE,  /* RTTI, or a vtable's symbol */
    PM_TYPED_BY_POINTER, /* a typed pointer leads to it */
    PM_TYPED_BY_RECOGNISER,
    PM_TYPED_BY_FIT,     /* the structure that fits best */
    PM_TYPED_BY_LAYOUT,  /* no type: what it looks like */
    PM_TYPED_BY_RUNTIME, /* glibc's own */
} PmTypedBy;

/* "vtable", "pointer", "recogniser", "fit", "layout", "runtime"; NULL for PM_TYPED_NOT. Static. */
const char *pm_typed_by_name(PmTypedBy by);

/*
 * What one chunk is.
 *
 * @name: borrowed from the typing. @type: its DWARF type, or NULL where only a name is known.
 * @offset_bytes: where in the user data the type begins (a header of the allocator's user before
 *   it). @elements: 1, or how many of @type an array holds.
 * @confidence: 0…1. @reason: why, one line for a person; static or borrowed.
 */
typedef struct {
    PmTypedBy by;
    const char *name;
    const PmType *type;
    guint64 offset_bytes;
    guint64 elements;
    double confidence;
    const char *reason;
} PmTyped;

/* Whether @name is what @typed is called; "struct ", "union " and "enum " may be left out. FALSE
 * where it has no type. */
gboolean pm_typed_is(const PmTyped *typed, const char *name);

typedef struct PmTyping PmTyping;

/*
 * Types what can be typed: variables of all modules with DWARF, thread-locals, locals of all
 * frames, through pointers to a fixed point; vtables; recognisers.
 *
 * @places, @types: borrowed for the life of the typing; made for the same subject. Never fails;
 * what did not fit in memory is a diagnostic.
 */
PmTyping *pm_typing_new(PmPlaces *places, PmTypes *types);
void pm_typing_free(PmTyping *typing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTyping, pm_typing_free)

/* The type of @chunk by vtable, pointer, recogniser or runtime; PM_TYPED_NOT where none knows it.
 * One thread at a time (it may read the chunk). */
void pm_typing_get(PmTyping *typing, const PmChunk *chunk, PmTyped *ret_typed);

/*
 * How the type of @chunk is known, as an expression that gdb evaluates: "*server.db[0].dict",
 * "cache.head->next->value", "'app::cache'.head"; NULL where no typed pointer leads to it.
 * (transfer full)
 */
char *pm_typing_describe_path(PmTyping *typing, const PmChunk *chunk);

/*
 * Two declared types that one chunk cannot both be: @name, which it has, and @other, what another
 * pointer to it is declared to lead to. @count: pointers.
 */
typedef struct {
    const char *name;
    const char *other;
    guint64 count;
} PmTypeConflict;

/* Returns: (transfer full): PmTypeConflict, most first; the names are borrowed from the typing. */
GArray *pm_typing_get_conflicts(PmTyping *typing);
