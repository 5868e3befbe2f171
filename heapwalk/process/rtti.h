/*
 * Vtables and the classes that they belong to, by the Itanium C++ ABI's run-time type information
 * alone: works on stripped files. Where a program was built without RTTI, its symbols serve.
 * Knows nothing of DWARF.
 */
#pragma once

#include "process/process.h"

typedef enum {
    PM_VTABLE_BY_RTTI,   /* its type_info was read and checked */
    PM_VTABLE_BY_SYMBOL, /* _ZTV… covers it, and it is an address point */
} PmVtableProof;

/* Whether a vtable is that of complete objects of its class. */
typedef enum {
    PM_VTABLE_OF_OBJECT,
    PM_VTABLE_OF_CONSTRUCTION, /* by its symbol, _ZTC…: of an object that is being constructed or
                                  destroyed; its real class is derived from the one named */
    PM_VTABLE_UNSURE,          /* no symbol tells, and the class has virtual bases, without which
                                  there are no construction vtables */
} PmVtableUse;

/* "object", "construction", "unsure"; static. */
const char *pm_vtable_use_name(PmVtableUse use);

/*
 * An address point: what the first word of an object (or of a base within it) holds.
 *
 * @class_name: demangled, "app::Cache<int>"; @mangled where that fails. @mangled: as in the
 *   type_info, "N3app5CacheIiEE".
 * @offset_to_top: from the vtable: 0 for the object itself, negative for a base that lies
 *   −@offset_to_top bytes within it.
 * @type_info: PM_ADDR_NONE where it was found by symbol. @module: where the vtable lies.
 */
typedef struct {
    PmAddr address;
    const char *class_name;
    const char *mangled;
    gint64 offset_to_top;
    PmAddr type_info;
    const PmModule *module;
    PmVtableProof proof;
    PmVtableUse use;
} PmVtable;

typedef struct PmRtti PmRtti;

/* @process: borrowed for its life. Reads nothing yet. */
PmRtti *pm_rtti_new(const PmProcess *process);
void pm_rtti_free(PmRtti *rtti);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmRtti, pm_rtti_free)

/*
 * The vtable whose address point is @value, or NULL. Borrowed; lives as long as @rtti.
 *
 * Checked: the word before it leads to a type_info, whose own vtable is that of one of the ABI's
 * three kinds of type_info for classes, which is proven by their names in turn; its name is that of
 * a class; the offset-to-top before that is none or a plausible negative one. (Itanium C++ ABI,
 * 2.5.2 "Virtual Table Components", 2.9.5 "RTTI Layout")
 *
 * Both answers are remembered (the negative ones as far as a small table goes). A NULL for what
 * lies in no module is O(log modules) and thread-safe; otherwise one thread at a time.
 */
const PmVtable *pm_rtti_find(PmRtti *rtti, PmAddr value);

/* A direct base of a class. @offset_bytes: unknown (G_MAXUINT64) for a virtual one. */
typedef struct {
    const char *class_name;
    guint64 offset_bytes;
    gboolean is_virtual;
} PmRttiBase;

/* The direct bases that the type_info of @vtable names (transfer full): PmRttiBase, borrowed names;
 * empty where it has none, or where the vtable was found by symbol. */
GArray *pm_rtti_get_bases(PmRtti *rtti, const PmVtable *vtable);
