/*
 * The typing as a whole: in which order the sources speak, and what is answered.
 */
#include "analysis/types/typing-private.h"

#include "analysis/chunks.h"

#include <string.h>

/* How often what was learnt is tried on everything. */
#define ROUNDS_MAX 6
/* How often types without ground are taken back. */
#define PROOFS_MAX 3

const char *
pm_typed_by_name(PmTypedBy by)
{
    static const char *const names[] = {NULL,  "vtable", "pointer", "recogniser",
                                        "fit", "layout", "runtime"};
    return (guint)by < G_N_ELEMENTS(names) ? names[by] : NULL;
}

gboolean
pm_typed_is(const PmTyped *typed, const char *name)
{
    static const char *const keywords[] = {"", "struct ", "union ", "enum "};
    for (gsize i = 0; typed->by != PM_TYPED_NOT && i < G_N_ELEMENTS(keywords); i++)
        if (g_str_has_prefix(typed->name, keywords[i]) &&
            strcmp(typed->name + strlen(keywords[i]), name) == 0)
            return TRUE;
    return FALSE;
}

double
pm_typing_get_confidence(PmTypedBy by, guint level)
{
    static const double levels[PM_LEVELS] = {0.95, 0.85, 0.7, 0.4, 0.5};
    return by == PM_TYPED_BY_VTABLE ? 0.99 : levels[MIN(level, PM_LEVELS - 1)];
}

void
pm_typing_sweep(PmTyping *typing, gboolean typed, PmSlotVisitor visit, gpointer data)
{
    gsize regions = 0;
    pm_heap_get_regions(pm_ptmalloc_get_heap(typing->subject->ptmalloc), &regions);
    for (guint32 region = 0; region < regions; region++) {
        guint64 words = 0;
        const PmSlot first = pm_resolver_get_sweep(typing->resolver, region, &words);
        for (guint64 i = 0; i < words; i++) {
            const guint64 page = (first + i * 64) >> (PM_ASSIGNMENTS_PAGE_SHIFT + 1);
            if (typed &&
                (page >= typing->assignments.page_count || typing->assignments.pages[page] == NULL))
                continue;
            guint64 bits = pm_resolver_get_used_starts(typing->resolver, region, i);
            for (; bits != 0; bits &= bits - 1) {
                const PmSlot slot = first + i * 64 + (guint64)__builtin_ctzll(bits);
                if (typed && pm_assignments_get(&typing->assignments, slot) == NULL)
                    continue;
                PmSlotChunk chunk;
                pm_resolver_get_chunk(typing->resolver, slot, region, &chunk);
                const PmSpot place = {slot, region, chunk.user, chunk.usable_bytes, 0};
                visit(typing, &place, data);
            }
        }
    }
}

static guint
hash_conflict(gconstpointer key)
{
    const PmTypeConflict *conflict = key;
    return g_str_hash(conflict->name) * 31 + g_str_hash(conflict->other);
}

static gboolean
equal_conflicts(gconstpointer a, gconstpointer b)
{
    const PmTypeConflict *left = a;
    const PmTypeConflict *right = b;
    return g_str_equal(left->name, right->name) && g_str_equal(left->other, right->other);
}

void
pm_typing_note_conflict(PmTyping *typing, const char *first, const char *second)
{
    const PmTypeConflict key = {first, second, 1};
    PmTypeConflict *known = g_hash_table_lookup(typing->conflicts, &key);
    if (known != NULL)
        known->count++;
    else if (g_hash_table_size(typing->conflicts) < PM_CONFLICTS_MAX)
        g_hash_table_add(typing->conflicts, g_memdup2(&key, sizeof key));
}

static gint
compare_conflicts(gconstpointer a, gconstpointer b)
{
    const PmTypeConflict *left = a;
    const PmTypeConflict *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    const gint names = strcmp(left->name, right->name);
    return names != 0 ? names : strcmp(left->other, right->other);
}

GArray *
pm_typing_get_conflicts(PmTyping *typing)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(PmTypeConflict));
    GHashTableIter iter;
    gpointer data = NULL;
    g_hash_table_iter_init(&iter, typing->conflicts);
    while (g_hash_table_iter_next(&iter, &data, NULL))
        g_array_append_vals(list, data, 1);
    g_array_sort(list, compare_conflicts);
    return list;
}

/* Follows what waits; and everything once more where the queue was too short. */
static void
run(PmTyping *typing)
{
    pm_propagate_run(typing);
    for (guint i = 0; typing->queue.spilled && i < ROUNDS_MAX; i++)
        pm_propagate_revisit(typing);
}

/* Learns from what has types what the rest is, until there is nothing new. Returns: whether there
 * was anything. */
static gboolean
learn(PmTyping *typing)
{
    guint rounds = 0;
    while (rounds < ROUNDS_MAX && typing->asked && pm_groups_learn(typing)) {
        pm_propagate_revisit(typing);
        run(typing);
        rounds++;
    }
    return rounds > 0;
}

/* What is left gets what little its pointers say; that leads further, where more may be learnt. */
static void
settle(PmTyping *typing)
{
    for (guint i = 0; i < ROUNDS_MAX && typing->asked; i++) {
        typing->settles = TRUE;
        pm_propagate_revisit(typing);
        typing->settles = FALSE;
        run(typing);
        if (!learn(typing))
            return;
    }
}

static void
type_all(PmTyping *typing)
{
    pm_starts_add_variables(typing);
    run(typing);
    pm_starts_sweep_vtables(typing);
    run(typing);
    (void)learn(typing);
    pm_starts_sweep_recognisers(typing);
    run(typing);
    (void)learn(typing);
    pm_starts_add_locals(typing);
    run(typing);
    (void)learn(typing);
    settle(typing);
    for (guint i = 0; i < PROOFS_MAX && typing->retyped > 0; i++) {
        pm_prove(typing);
        settle(typing);
    }
    typing->audits = TRUE;
    pm_propagate_revisit(typing);
}

PmTyping *
pm_typing_new(PmPlaces *places, PmTypes *types)
{
    PmTyping *typing = g_new0(PmTyping, 1);
    const PmSubject *subject = pm_places_get_subject(places);
    typing->places = places;
    typing->types = types;
    typing->subject = subject;
    typing->process = subject->process;
    typing->resolver = pm_places_get_resolver(places);
    typing->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    typing->reader.space = pm_process_get_space(subject->process);
    typing->target_reader.space = typing->reader.space;
    typing->plans = pm_plans_new(types);
    typing->bindings = g_array_new(FALSE, TRUE, sizeof(PmBinding));
    typing->objects = g_array_new(FALSE, TRUE, sizeof(PmObject));
    typing->names = g_string_chunk_new(4096);
    typing->conflicts = g_hash_table_new_full(hash_conflict, equal_conflicts, g_free, NULL);
    typing->groups = pm_groups_new();
    g_array_set_size(typing->bindings, 1);
    g_array_set_size(typing->objects, 1);
    if (typing->resolver == NULL)
        return typing;
    typing->filter = pm_resolver_get_filter(typing->resolver);
    pm_assignments_init(&typing->assignments, pm_resolver_get_slots(typing->resolver));
    type_all(typing);
    pm_slot_queue_clear(&typing->queue);
    if (typing->assignments.full)
        pm_diagnostics_add(subject->diagnostics, "types-memory", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "not every chunk's type could be kept: memory is short");
    return typing;
}

static void
free_table(GHashTable *table)
{
    if (table != NULL)
        g_hash_table_unref(table);
}

void
pm_typing_free(PmTyping *typing)
{
    pm_assignments_clear(&typing->assignments);
    pm_plans_free(typing->plans);
    pm_groups_free(typing->groups);
    if (typing->recognisers != NULL)
        pm_recognisers_free(typing->recognisers);
    g_array_unref(typing->bindings);
    g_array_unref(typing->objects);
    free_table(typing->binding_ids);
    free_table(typing->object_keys);
    free_table(typing->classes);
    free_table(typing->agreements);
    free_table(typing->contested);
    g_hash_table_unref(typing->conflicts);
    g_string_chunk_free(typing->names);
    pm_slot_queue_clear(&typing->queue);
    g_free(typing);
}

static guint64
count_elements(const PmBinding *binding, guint64 usable_bytes)
{
    const guint64 size = binding->target == NULL ? 0 : binding->target->size_bytes;
    if (binding->shape != PM_SHAPE_ARRAY || size == 0 || binding->offset_bytes > usable_bytes)
        return 1;
    return (usable_bytes - binding->offset_bytes) / size;
}

void
pm_typing_fill(PmTyping *typing, guint32 id, guint64 usable_bytes, PmTyped *ret_typed)
{
    const PmBinding *binding = pm_typing_get_binding(typing, id);
    *ret_typed = (PmTyped){
        .by = binding->by,
        .name = binding->name,
        .type = binding->target == NULL || binding->shape == PM_SHAPE_POOL ? NULL
                                                                           : binding->target->type,
        .offset_bytes = binding->offset_bytes,
        .elements = count_elements(binding, usable_bytes),
        .confidence = pm_typing_get_confidence(binding->by, binding->level),
        .reason = binding->reason,
    };
}

void
pm_typing_get(PmTyping *typing, const PmChunk *chunk, PmTyped *ret_typed)
{
    PmHit hit;
    *ret_typed = (PmTyped){.by = PM_TYPED_NOT, .elements = 1};
    if (chunk->state == PM_CHUNK_RUNTIME) {
        const char *what = pm_chunks_find_runtime(typing->subject->ptmalloc, chunk->address);
        *ret_typed = (PmTyped){.by = PM_TYPED_BY_RUNTIME,
                               .name = what != NULL ? what : "glibc's own",
                               .elements = 1,
                               .confidence = 1,
                               .reason = "glibc made it for itself"};
        return;
    }
    if (chunk->state != PM_CHUNK_USED || typing->resolver == NULL ||
        !pm_resolver_find(typing->resolver, chunk->address, &hit) || !hit.is_start)
        return;
    const guint32 id = pm_assignments_get_binding(&typing->assignments, hit.slot);
    if (id != 0)
        pm_typing_fill(typing, id, chunk->usable_bytes, ret_typed);
}
