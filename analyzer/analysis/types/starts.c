/*
 * Where typed pointers begin: variables, thread-locals, locals of frames; and what chunks say of
 * themselves.
 */
#include "analysis/types/typing-private.h"

#include "analysis/chunks.h"
#include "dwarf/locals.h"

#include <string.h>

static void
add_variable(PmTyping *typing, const PmTypedVariable *variable, PmAddr address)
{
    PmPointee *target = pm_plans_get_target(typing->plans, variable->type);
    const gboolean is_array = variable->type->kind == PM_TYPE_ARRAY;
    if (target->kind != PM_POINTEE_POINTER && target->kind != PM_POINTEE_RECORD)
        return;
    const PmObject object = {.address = address,
                             .bytes = variable->type->size_bytes,
                             .type = variable->type,
                             .target = target,
                             .name = variable->name,
                             .module = variable->module,
                             .is_array = is_array,
                             .is_tls = variable->is_tls};
    if (object.bytes > 0)
        (void)pm_propagate_add_object(typing, &object);
}

/* A thread-local variable has a place in each thread whose block of its module is there. */
static void
add_thread_local(PmTyping *typing, const PmTypedVariable *variable)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(typing->process, &count);
    for (gsize i = 0; i < count; i++) {
        PmAddr block = 0;
        PmAddr address = 0;
        if (variable->module->tls_modid != 0 &&
            pm_process_get_tls_block(typing->process, &threads[i], variable->module->tls_modid,
                                     &block) &&
            pm_addr_add(block, variable->address, &address))
            add_variable(typing, variable, address);
    }
}

void
pm_starts_add_variables(PmTyping *typing)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(typing->process, &count);
    for (gsize i = 0; i < count; i++) {
        if (!modules[i].dwarf)
            continue;
        const GArray *variables = pm_types_get_variables(typing->types, &modules[i]);
        for (guint j = 0; variables != NULL && j < variables->len; j++) {
            const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, j);
            if (variable->is_tls)
                add_thread_local(typing, variable);
            else
                add_variable(typing, variable, variable->address);
        }
    }
    typing->variable_count = typing->objects->len;
}

/* From this confidence on a recogniser knows better than an array's declaration. */
#define SURE 0.9

/* Locals may not be set yet, or no more. */
#define LOCAL_LEVEL 2

static void
add_local(PmTyping *typing, const PmTypedLocal *local)
{
    PmPointee *target = pm_plans_get_target(typing->plans, local->type);
    if (target->kind != PM_POINTEE_POINTER && target->kind != PM_POINTEE_RECORD)
        return;
    const PmObject object = {.address = local->is_value ? local->value : local->address,
                             .bytes = local->type->size_bytes,
                             .type = local->type,
                             .target = target,
                             .name = local->name,
                             .level = LOCAL_LEVEL,
                             .is_array = local->type->kind == PM_TYPE_ARRAY,
                             .is_value = local->is_value,
                             .is_local = TRUE};
    if (object.bytes > 0)
        (void)pm_propagate_add_object(typing, &object);
}

void
pm_starts_add_locals(PmTyping *typing)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(typing->process, &count);
    for (gsize i = 0; i < count; i++) {
        g_autoptr(GArray) locals = pm_types_get_locals(typing->types, &threads[i]);
        for (guint j = 0; locals != NULL && j < locals->len; j++)
            add_local(typing, &g_array_index(locals, PmTypedLocal, j));
    }
}

static void
look_for_vtable(PmTyping *typing, const PmSpot *spot, G_GNUC_UNUSED gpointer data)
{
    const guint32 old = pm_assignments_get_binding(&typing->assignments, spot->slot);
    if (old == 0 || pm_typing_get_binding(typing, old)->rank < PM_RANK_VTABLE)
        (void)pm_propagate_assign(typing, spot, pm_classes_decide(typing, spot), 0);
}

void
pm_starts_sweep_vtables(PmTyping *typing)
{
    pm_typing_sweep(typing, FALSE, look_for_vtable, NULL);
}

static guint
get_level(double confidence)
{
    if (confidence >= 0.9)
        return 0;
    if (confidence >= 0.8)
        return 1;
    return confidence >= 0.6 ? 2 : 3;
}

static guint32
make_binding(PmTyping *typing, const PmRecognition *found)
{
    PmPointee *target =
        found->type == NULL ? NULL : pm_plans_get_target(typing->plans, found->type);
    const PmShape shape = found->elements > 1 ? PM_SHAPE_ARRAY : PM_SHAPE_HEAD;
    const PmBinding binding = {
        .by = PM_TYPED_BY_RECOGNISER,
        .shape = target == NULL ? PM_SHAPE_NAME : shape,
        .rank = found->confidence >= SURE ? PM_RANK_WHOLE : PM_RANK_RECOGNISED,
        .level = get_level(found->confidence),
        .offset_bytes = found->offset_bytes,
        .target = target,
        .name = pm_typing_intern_name(typing, found->name),
        .reason = found->reason,
    };
    return pm_typing_intern(typing, &binding);
}

/* Whether a recogniser is asked about a chunk that pointers gave @binding: a stale one may have
 * given an array, of bytes or of anything. */
static gboolean
is_doubtful(const PmBinding *binding)
{
    return binding->by == PM_TYPED_BY_FIT ||
           (binding->by == PM_TYPED_BY_POINTER && binding->rank < PM_RANK_WHOLE);
}

/* Whether nothing but a pointer, which the contents contradict, gave @binding. */
static gboolean
is_contradicted(const PmBinding *binding)
{
    return binding->rank == PM_RANK_HEAD && binding->level >= PM_LEVEL_WEAK;
}

/* What recognisers look at of a chunk in use; its place among all chunks takes a search. */
static void
fill_chunk(const PmTyping *typing, const PmSpot *spot, PmChunk *ret_chunk)
{
    gsize count = 0;
    PmSlotChunk chunk;
    const PmHeapRegion *regions =
        pm_heap_get_regions(pm_ptmalloc_get_heap(typing->subject->ptmalloc), &count);
    pm_resolver_get_chunk(typing->resolver, spot->slot, spot->region, &chunk);
    *ret_chunk = (PmChunk){.address = chunk.user,
                           .chunk_bytes = chunk.chunk_bytes,
                           .usable_bytes = chunk.usable_bytes,
                           .arena = regions[spot->region].arena,
                           .mmapped = regions[spot->region].mmapped,
                           .state = PM_CHUNK_USED};
}

static void
ask_recognisers(PmTyping *typing, const PmSpot *spot, gpointer data)
{
    PmRecognition found = {0};
    PmChunk chunk;
    const char *id = NULL;
    const guint32 old = pm_assignments_get_binding(&typing->assignments, spot->slot);
    if (old != 0 && !is_doubtful(pm_typing_get_binding(typing, old)))
        return;
    fill_chunk(typing, spot, &chunk);
    if (!pm_recognisers_ask(data, &chunk, &id, &found) ||
        pm_chunks_find_runtime(typing->subject->ptmalloc, chunk.address) != NULL)
        return;
    /* Text is what char[] holds. */
    if (old == 0 ||
        (found.confidence >= SURE &&
         (strcmp(id, "text") != 0 || is_contradicted(pm_typing_get_binding(typing, old)))))
        (void)pm_propagate_assign(typing, spot, make_binding(typing, &found), 0);
}

void
pm_starts_sweep_recognisers(PmTyping *typing)
{
    typing->recognisers = pm_recognisers_new(typing->places, typing->types);
    pm_typing_sweep(typing, FALSE, ask_recognisers, typing->recognisers);
}
