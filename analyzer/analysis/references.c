/*
 * The ends of references; see references.h. The searches themselves are the scan's.
 */
#include "analysis/references.h"

#include "analysis/chunks.h"
#include "analysis/leaks.h"

gboolean
pm_held_chunk_find(const PmSubject *subject, const PmReach *reach, PmAddr address,
                   PmHeldChunk *ret_held, GError **error)
{
    PmHeldChunk held = {.address = address};
    if (!pm_heap_find_chunk(pm_ptmalloc_get_heap(subject->ptmalloc), address, &held.chunk,
                            &held.offset_bytes)) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "0x%" G_GINT64_MODIFIER "x lies in no chunk of malloc's; `postmalloc show` "
                    "says what is there",
                    address);
        return FALSE;
    }
    if (pm_chunk_state_is_free(held.chunk.state)) {
        g_set_error(error, PM_ERROR, PM_ERROR_NOT_FOUND,
                    "0x%" G_GINT64_MODIFIER "x lies in no chunk in use: the one at "
                    "0x%" G_GINT64_MODIFIER "x is free (%s), and references to free chunks do not "
                    "count",
                    address, held.chunk.address, pm_chunk_state_name(held.chunk.state));
        return FALSE;
    }
    held.reach_class = pm_reach_get_class(reach, &held.chunk);
    held.runtime = pm_chunks_find_runtime(subject->ptmalloc, held.chunk.address);
    held.certain = pm_leaks_are_certain(subject, reach);
    *ret_held = held;
    return TRUE;
}

void
pm_reference_ends_init(PmReferenceEnds *ends, const PmSubject *subject, const PmReach *reach,
                       const PmReference *reference)
{
    const PmHeap *heap = pm_ptmalloc_get_heap(subject->ptmalloc);
    *ends = (PmReferenceEnds){
        .reference = reference, .from_class = PM_REACH_NONE, .to_class = PM_REACH_NONE};
    if (pm_heap_find_chunk(heap, reference->to, &ends->to, NULL))
        ends->to_class = pm_reach_get_class(reach, &ends->to);
    if (reference->root != NULL)
        ends->label = pm_roots_describe(pm_reach_get_roots(reach), reference->root, reference->from,
                                        &ends->symbol, &ends->symbol_offset_bytes);
    else if (pm_heap_find_chunk(heap, reference->from_chunk, &ends->from, NULL))
        ends->from_class = pm_reach_get_class(reach, &ends->from);
}

void
pm_reference_ends_clear(PmReferenceEnds *ends)
{
    g_clear_pointer(&ends->label, g_free);
    g_clear_pointer(&ends->symbol, g_free);
}

PmReferences *
pm_references_new(const PmReach *reach, const PmHeldChunk *held, guint64 limit, gboolean outgoing)
{
    PmReferences *references = g_new0(PmReferences, 1);
    references->held = *held;
    references->incoming =
        pm_reach_find_incoming(reach, &held->chunk, limit, &references->incoming_omitted);
    if (outgoing)
        references->outgoing = pm_reach_find_outgoing(reach, &held->chunk);
    return references;
}

void
pm_references_free(PmReferences *references)
{
    g_array_unref(references->incoming);
    if (references->outgoing != NULL)
        g_array_unref(references->outgoing);
    g_free(references);
}

PmPath *
pm_path_new(const PmReach *reach, const PmHeldChunk *held, GError **error)
{
    /* No root leads to what is lost: the scan has looked already. */
    GArray *steps = pm_reach_class_is_lost(held->reach_class)
                        ? g_array_new(FALSE, FALSE, sizeof(PmReference))
                        : pm_reach_find_path(reach, &held->chunk, error);
    if (steps == NULL)
        return NULL;
    PmPath *path = g_new0(PmPath, 1);
    path->held = *held;
    path->steps = steps;
    return path;
}

void
pm_path_free(PmPath *path)
{
    g_array_unref(path->steps);
    g_free(path);
}
