/*
 * The classes of a CPython 3.8 … 3.13 in the process: what a PyTypeObject says of its instances.
 * Static ones lie in modules, those of Python programs in the heap or in pymalloc's arenas.
 */
#pragma once

#include "analysis/contents/places.h"
#include "dwarf/types.h"

/* How the size of an instance is told. */
typedef enum {
    PY_SIZE_FIXED,
    PY_SIZE_ITEMS,
    PY_SIZE_LONG, /* int and what is derived from it, from 3.12 on: a tag has the number of digits
                   */
    PY_SIZE_STR,  /* str itself: its text lies behind its header, by its state */
    PY_SIZE_OPEN, /* items follow, but their number is elsewhere: generators since 3.11, instances
                     with their attributes behind them since 3.13 */
    PY_SIZE_ZONE, /* datetime and time: without its last word where it knows of no time zone */
} PySizing;

/*
 * @label: tp_name with " (Python)"; @freed_label: of an object in a free list of Python's.
 * @basic_bytes, @item_bytes: tp_basicsize, tp_itemsize.
 * @flags: tp_flags. @pre_bytes: what the allocator puts before the object: the collector's header,
 *   since 3.11 the managed dictionary and weak references.
 * @type: the DWARF structure of instances, or of the nearest base that has one; NULL.
 */
typedef struct {
    PmAddr address;
    char *label;
    char *freed_label;
    guint64 basic_bytes;
    guint64 item_bytes;
    guint64 flags;
    guint64 pre_bytes;
    PySizing sizing;
    const PmType *type;
} PyClass;

typedef struct PyClasses PyClasses;

/* @places, @types: as PmRecogniser.open(). Returns: NULL where there is no PyType_Type, or where it
 * is laid out in no way that is known (free-threaded builds). */
PyClasses *py_classes_new(PmPlaces *places, PmTypes *types);
void py_classes_free(PyClasses *classes);

/* The class whose PyTypeObject is at @address, or NULL. Remembers its answers. */
const PyClass *py_classes_find(PyClasses *classes, PmAddr address);

/*
 * The class of the object at @address of which @words are the first two (after those that
 * Py_TRACE_REFS adds): a count of references that is one, and the class; NULL where it is no
 * object.
 */
const PyClass *py_classes_find_of(PyClasses *classes, const guint64 *words);

/* How many words Py_TRACE_REFS puts before ob_refcnt: 0 or 2. */
gsize py_classes_get_shift(const PyClasses *classes);

/* 0x030b for 3.11, from Py_Version; 0 before 3.11. */
guint py_classes_get_version(const PyClasses *classes);
