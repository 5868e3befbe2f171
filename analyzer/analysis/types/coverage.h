/*
 * How much of what variables lead to has a type: the closure of the leak scan from .data, .bss and
 * thread-locals of modules with DWARF alone, and for what has no type in it, the field by which it
 * was entered.
 */
#pragma once

#include "analysis/reach/roots.h"
#include "analysis/types/typing.h"

/*
 * A field behind which nothing has a type. @field: "struct dictEntry.v.val", "server.db (redis)".
 * @target: what it is declared to be, "void *", "long". @chunks, @chunk_bytes: untyped, entered by
 * this field first, and what only they lead to.
 */
typedef struct {
    char *field;
    char *target;
    guint64 chunks;
    guint64 chunk_bytes;
} PmUntypedEdge;

/*
 * @reached_chunks, @reached_bytes: of the closure, glibc's own chunks left out. @typed_chunks,
 * @typed_bytes: of them, those with a type by vtable, pointer or recogniser.
 * @fit_bytes: of the others, those that a type was found for by fit.
 * @edges: most bytes first. @complete: FALSE where memory was short.
 */
typedef struct {
    guint64 reached_chunks;
    guint64 reached_bytes;
    guint64 typed_chunks;
    guint64 typed_bytes;
    guint64 fit_bytes;
    PmUntypedEdge *edges;
    gsize edge_count;
    gboolean complete;
} PmTypeCoverage;

/* @roots: of the same subject. Never fails. */
PmTypeCoverage *pm_type_coverage_new(PmTyping *typing, const PmRoots *roots);
void pm_type_coverage_free(PmTypeCoverage *coverage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTypeCoverage, pm_type_coverage_free)
