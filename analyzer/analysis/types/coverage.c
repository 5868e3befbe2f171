#include "analysis/types/coverage.h"

#include "analysis/types/typing-private.h"

#include <stdlib.h>
#include <string.h>

#define EDGES_MAX 20000
/* How far ahead of its turn a chunk is fetched. */
#define AHEAD 16

/* An untyped chunk that waits, and the edge by which it was entered. */
typedef struct {
    PmSlot slot;
    guint32 region;
    guint32 edge;
} Untyped;

/* A place of a type: the key of edges. @where: a PmType, or a PmObject's name. */
typedef struct {
    gconstpointer where;
    guint64 offset_bytes;
} EdgeKey;

/* What is being scanned. @edge: G_MAXUINT32 where its own words are named. */
typedef struct {
    const PmBinding *binding;
    PmAddr start;
    guint32 edge;
} Source;

/* A word that was read, until what it leads to has come nearer. */
typedef struct {
    Source source;
    PmAddr at;
    guint64 value;
} Word;

typedef struct {
    PmTyping *typing;
    PmTypeCoverage *coverage;
    guint64 *visited;
    PmSlotQueue typed;
    GArray *untyped;   /* Untyped */
    GHashTable *edges; /* EdgeKey → index */
    GArray *list;      /* PmUntypedEdge */
    GArray *variables; /* guint32, indexes of objects by address */
    Word ahead[PM_WORDS_AHEAD];
    guint ahead_first;
    guint ahead_count;
    PmReader reader;
} Closure;

#define EDGE_NONE G_MAXUINT32

static guint
hash_key(gconstpointer key)
{
    const EdgeKey *edge = key;
    return g_direct_hash(edge->where) * 31 + (guint)edge->offset_bytes;
}

static gboolean
equal_keys(gconstpointer a, gconstpointer b)
{
    const EdgeKey *left = a;
    const EdgeKey *right = b;
    return left->where == right->where && left->offset_bytes == right->offset_bytes;
}

/* Every index of the path becomes "[]". */
static char *
strip_indexes(const char *path)
{
    GString *text = g_string_new(NULL);
    for (const char *at = path; *at != '\0'; at++) {
        g_string_append_c(text, *at);
        if (*at == '[')
            while (g_ascii_isdigit(at[1]))
                at++;
    }
    return g_string_free(text, FALSE);
}

static char *
describe_target(PmTyping *typing, PmPointee *target, guint64 offset)
{
    const PmPlan *plan = target == NULL ? NULL : pm_plans_get(typing->plans, target);
    for (guint i = 0; plan != NULL && i < plan->slot_count; i++) {
        const PmPlanSlot *slot = &plan->slots[i];
        if (offset < slot->offset_bytes ||
            offset - slot->offset_bytes >= slot->count * slot->stride_bytes ||
            (offset - slot->offset_bytes) % slot->stride_bytes != 0)
            continue;
        if (slot->edge->target_count > 1)
            return g_strdup("union");
        const PmType *type = slot->edge->targets[0]->type;
        const char *name = type == NULL ? "void" : type->name;
        return g_strconcat(name, g_str_has_suffix(name, "*") ? "*" : " *", NULL);
    }
    return g_strdup("no pointer");
}

/* The number of the edge @key, made with @field (transfer full) and what is there. */
static guint32
find_edge(Closure *closure, const EdgeKey *key)
{
    gpointer known = NULL;
    if (g_hash_table_lookup_extended(closure->edges, key, NULL, &known))
        return GPOINTER_TO_UINT(known);
    return EDGE_NONE;
}

static guint32
add_edge(Closure *closure, const EdgeKey *key, char *field, char *target)
{
    const PmUntypedEdge edge = {.field = field, .target = target};
    const guint32 index = closure->list->len;
    g_array_append_val(closure->list, edge);
    g_hash_table_insert(closure->edges, g_memdup2(key, sizeof *key), GUINT_TO_POINTER(index));
    return index;
}

/* All edges past EDGES_MAX are one. */
static guint32
get_other_edge(Closure *closure)
{
    const EdgeKey key = {closure, 0};
    const guint32 known = find_edge(closure, &key);
    return known != EDGE_NONE ? known
                              : add_edge(closure, &key, g_strdup("other fields"), g_strdup("?"));
}

static const PmObject *
find_variable(const Closure *closure, PmAddr address)
{
    guint low = 0;
    guint high = closure->variables->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const PmObject *object = &g_array_index(closure->typing->objects, PmObject,
                                                g_array_index(closure->variables, guint32, middle));
        if (object->address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const PmObject *object = &g_array_index(closure->typing->objects, PmObject,
                                            g_array_index(closure->variables, guint32, low - 1));
    return address - object->address < object->bytes ? object : NULL;
}

static const char *
get_module_name(const Closure *closure, PmAddr address)
{
    const PmModule *module = pm_process_find_module(closure->typing->process, address);
    const char *slash = module == NULL ? NULL : strrchr(module->path, '/');
    if (module == NULL)
        return "thread-locals";
    return slash != NULL ? slash + 1 : module->path;
}

/* The edge of a word of a root. */
static guint32
name_root(Closure *closure, PmAddr at)
{
    PmTyping *typing = closure->typing;
    const PmObject *object = find_variable(closure, at);
    const char *module = get_module_name(closure, at);
    const EdgeKey key = {object != NULL ? (gconstpointer)object->name : (gconstpointer)module,
                         object != NULL ? at - object->address : 0};
    const guint32 known = find_edge(closure, &key);
    if (known != EDGE_NONE)
        return known;
    if (closure->list->len >= EDGES_MAX)
        return get_other_edge(closure);
    if (object == NULL)
        return add_edge(closure, &key, g_strdup_printf("data of %s without a declaration", module),
                        g_strdup("unknown"));
    g_autofree char *path =
        pm_type_describe_offset(typing->types, object->type, at - object->address);
    g_autofree char *plain = strip_indexes(path);
    guint64 offset = at - object->address;
    if (object->is_array && object->target->size_bytes != 0)
        offset %= object->target->size_bytes;
    return add_edge(closure, &key, g_strdup_printf("%s%s (%s)", object->name, plain, module),
                    describe_target(typing, object->target, offset));
}

/* The edge of a word of a chunk with a type. */
static guint32
name_field(Closure *closure, const Source *source, PmAddr at)
{
    PmTyping *typing = closure->typing;
    const PmBinding *binding = source->binding;
    PmPointee *target = binding->target;
    guint64 offset = at - source->start;
    const char *behind = "";
    if (target != NULL && target->size_bytes != 0 && offset >= binding->offset_bytes) {
        offset -= binding->offset_bytes;
        const PmPlan *plan = pm_plans_get(typing->plans, target);
        if (binding->shape == PM_SHAPE_ARRAY) {
            offset %= target->size_bytes;
        } else if (plan != NULL && plan->tail != NULL && plan->tail->size_bytes != 0 &&
                   offset >= plan->tail_offset_bytes) {
            offset = (offset - plan->tail_offset_bytes) % plan->tail->size_bytes;
            target = plan->tail;
            behind = "[]";
        } else if (offset >= target->size_bytes) {
            offset = 0;
            target = NULL;
            behind = " behind its end";
        }
    } else {
        offset = 0;
        target = NULL;
    }
    const EdgeKey key = {target != NULL ? (gconstpointer)target : (gconstpointer)binding->name,
                         offset};
    const guint32 known = find_edge(closure, &key);
    if (known != EDGE_NONE)
        return known;
    if (closure->list->len >= EDGES_MAX)
        return get_other_edge(closure);
    if (target == NULL)
        return add_edge(closure, &key, g_strconcat(binding->name, behind, NULL),
                        g_strdup("unknown"));
    g_autofree char *path = pm_type_describe_offset(typing->types, target->type, offset);
    g_autofree char *plain = strip_indexes(path);
    return add_edge(closure, &key, g_strconcat(target->type->name, plain, NULL),
                    describe_target(typing, target, offset));
}

static void
enter(Closure *closure, const PmSpot *spot, const Source *source, PmAddr at)
{
    PmTyping *typing = closure->typing;
    PmTypeCoverage *coverage = closure->coverage;
    PmSlotChunk chunk;
    const guint64 half = spot->slot >> 1;
    if ((closure->visited[half >> 6] >> (half & 63) & 1) != 0)
        return;
    closure->visited[half >> 6] |= (guint64)1 << (half & 63);
    pm_resolver_get_chunk(typing->resolver, spot->slot, spot->region, &chunk);
    coverage->reached_chunks++;
    coverage->reached_bytes += chunk.chunk_bytes;
    const guint32 id = pm_assignments_get_binding(&typing->assignments, spot->slot);
    const gboolean by_fit = pm_typing_get_binding(typing, id)->by == PM_TYPED_BY_FIT;
    if (id != 0 && by_fit)
        coverage->fit_bytes += chunk.chunk_bytes;
    if (id != 0 && !by_fit) {
        coverage->typed_chunks++;
        coverage->typed_bytes += chunk.chunk_bytes;
        pm_slot_queue_push(&closure->typed, spot->slot, spot->region);
        return;
    }
    Untyped untyped = {spot->slot, spot->region, source->edge};
    if (untyped.edge == EDGE_NONE)
        untyped.edge =
            source->binding == NULL ? name_root(closure, at) : name_field(closure, source, at);
    PmUntypedEdge *edge = &g_array_index(closure->list, PmUntypedEdge, untyped.edge);
    edge->chunks++;
    edge->chunk_bytes += chunk.chunk_bytes;
    if (closure->untyped->len < PM_SLOT_QUEUE_MAX / 4)
        g_array_append_val(closure->untyped, untyped);
    else
        coverage->complete = FALSE;
}

static void
enter_oldest(Closure *closure)
{
    PmSpot spot;
    const Word word = closure->ahead[closure->ahead_first];
    closure->ahead_first = (closure->ahead_first + 1) & (PM_WORDS_AHEAD - 1);
    closure->ahead_count--;
    if (pm_propagate_find(closure->typing, word.value, &spot))
        enter(closure, &spot, &word.source, word.at);
}

static void
put_off(Closure *closure, const Word *word)
{
    PmSlot slot = 0;
    pm_propagate_prefetch(closure->typing, word->value, closure->typed.count < AHEAD);
    if (pm_resolver_prefetch(closure->typing->resolver, word->value, &slot))
        __builtin_prefetch(&closure->visited[slot >> 7]);
    if (closure->ahead_count == PM_WORDS_AHEAD)
        enter_oldest(closure);
    closure->ahead[(closure->ahead_first + closure->ahead_count++) & (PM_WORDS_AHEAD - 1)] = *word;
}

static void
scan(Closure *closure, PmRange range, const Source *source)
{
    PmTyping *typing = closure->typing;
    const guint word_bytes = typing->word_bytes;
    PmAddr at = pm_align_up(range.start, word_bytes);
    while (at < range.end) {
        guint64 length = 0;
        const guint8 *bytes = pm_reader_get(&closure->reader, at, &length);
        length = MIN(length, range.end - at);
        for (guint64 i = 0; bytes != NULL && i + word_bytes <= length; i += word_bytes) {
            const Word word = {*source, at + i, pm_load_word(bytes + i, word_bytes)};
            if (pm_resolver_may_hold(&typing->filter, word.value))
                put_off(closure, &word);
        }
        const PmAddr next = pm_align_up(at + length, word_bytes);
        if (next <= at)
            return;
        at = next;
    }
}

static void
scan_slot(Closure *closure, PmSlot slot, guint32 region, guint32 edge)
{
    PmTyping *typing = closure->typing;
    PmSlotChunk chunk;
    pm_resolver_get_chunk(typing->resolver, slot, region, &chunk);
    const guint32 id = pm_assignments_get_binding(&typing->assignments, slot);
    const Source source = {.binding = id == 0 ? NULL : pm_typing_get_binding(typing, id),
                           .start = chunk.user,
                           .edge = edge};
    scan(closure, (PmRange){chunk.user, chunk.user + chunk.usable_bytes}, &source);
}

/* Fetches the chunk that waits behind @ahead others. */
static void
prefetch_waiting(Closure *closure, guint64 ahead)
{
    guint64 words = 0;
    guint64 slot_bytes = 0;
    const PmResolver *resolver = closure->typing->resolver;
    if (closure->typed.count <= ahead)
        return;
    const guint64 item = pm_slot_queue_peek(&closure->typed, ahead);
    const guint32 region = pm_slot_queue_get_region(item);
    const PmSlot first = pm_resolver_get_sweep(resolver, region, &words);
    const PmAddr user = pm_resolver_get_first_user(resolver, region, &slot_bytes);
    pm_propagate_prefetch(closure->typing,
                          user + (pm_slot_queue_get_slot(item) - first) * slot_bytes, TRUE);
}

/* What has a type first: then what has none is entered by the field that should have named it. */
static void
drain(Closure *closure)
{
    for (;;) {
        if (closure->typed.count > 0) {
            prefetch_waiting(closure, AHEAD);
            const guint64 item = pm_slot_queue_pop(&closure->typed);
            scan_slot(closure, pm_slot_queue_get_slot(item), pm_slot_queue_get_region(item),
                      EDGE_NONE);
            continue;
        }
        if (closure->ahead_count > 0) {
            enter_oldest(closure);
            continue;
        }
        if (closure->untyped->len == 0)
            return;
        const Untyped untyped = g_array_index(closure->untyped, Untyped, closure->untyped->len - 1);
        g_array_set_size(closure->untyped, closure->untyped->len - 1);
        scan_slot(closure, untyped.slot, untyped.region, untyped.edge);
    }
}

static void
scan_roots(Closure *closure, const PmRoots *roots)
{
    PmTyping *typing = closure->typing;
    gsize count = 0;
    gsize thread_count = 0;
    const Source source = {.edge = EDGE_NONE};
    const PmRoot *all = pm_roots_get(roots, &count);
    for (gsize i = 0; i < count; i++)
        if (all[i].kind == PM_ROOT_MODULE_DATA && all[i].module != NULL && all[i].module->dwarf)
            scan(closure, all[i].range, &source);
    const PmModule *modules = pm_process_get_modules(typing->process, &count);
    const PmThread *threads = pm_process_get_threads(typing->process, &thread_count);
    for (gsize i = 0; i < count; i++) {
        PmAddr block = 0;
        PmAddr end = 0;
        for (gsize j = 0; modules[i].dwarf && modules[i].tls_modid != 0 && j < thread_count; j++)
            if (pm_process_get_tls_block(typing->process, &threads[j], modules[i].tls_modid,
                                         &block) &&
                pm_addr_add(block, modules[i].tls_bytes, &end))
                scan(closure, (PmRange){block, end}, &source);
    }
}

/* glibc's own chunks have no class, and lead nowhere. */
static void
exclude_runtime(Closure *closure)
{
    gsize count = 0;
    PmSpot spot;
    const PmRuntimeChunk *chunks =
        pm_ptmalloc_get_runtime_chunks(closure->typing->subject->ptmalloc, &count);
    for (gsize i = 0; i < count; i++)
        if (pm_propagate_find(closure->typing, chunks[i].address, &spot))
            closure->visited[spot.slot >> 7] |= (guint64)1 << (spot.slot >> 1 & 63);
}

static gint
compare_variables(gconstpointer a, gconstpointer b, gpointer data)
{
    const GArray *objects = data;
    const PmAddr left = g_array_index(objects, PmObject, *(const guint32 *)a).address;
    const PmAddr right = g_array_index(objects, PmObject, *(const guint32 *)b).address;
    return left < right ? -1 : left > right;
}

static int
compare_edges(const void *a, const void *b)
{
    const PmUntypedEdge *left = a;
    const PmUntypedEdge *right = b;
    if (left->chunk_bytes != right->chunk_bytes)
        return left->chunk_bytes > right->chunk_bytes ? -1 : 1;
    return strcmp(left->field, right->field);
}

/* Fields that are named the same, of one variable's elements for example, are one. */
static void
merge_edges(Closure *closure)
{
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    guint kept = 0;
    for (guint i = 0; i < closure->list->len; i++) {
        PmUntypedEdge edge = g_array_index(closure->list, PmUntypedEdge, i);
        gpointer place = NULL;
        if (g_hash_table_lookup_extended(by_name, edge.field, NULL, &place)) {
            PmUntypedEdge *other =
                &g_array_index(closure->list, PmUntypedEdge, GPOINTER_TO_UINT(place));
            other->chunks += edge.chunks;
            other->chunk_bytes += edge.chunk_bytes;
            g_free(edge.field);
            g_free(edge.target);
            continue;
        }
        g_hash_table_insert(by_name, edge.field, GUINT_TO_POINTER(kept));
        g_array_index(closure->list, PmUntypedEdge, kept++) = edge;
    }
    g_array_set_size(closure->list, kept);
}

static void
run_closure(Closure *closure, const PmRoots *roots)
{
    PmTyping *typing = closure->typing;
    for (guint32 i = 1; i < typing->variable_count; i++)
        g_array_append_val(closure->variables, i);
    g_array_sort_with_data(closure->variables, compare_variables, typing->objects);
    exclude_runtime(closure);
    scan_roots(closure, roots);
    drain(closure);
    merge_edges(closure);
    if (closure->typed.spilled)
        closure->coverage->complete = FALSE;
}

PmTypeCoverage *
pm_type_coverage_new(PmTyping *typing, const PmRoots *roots)
{
    PmTypeCoverage *coverage = g_new0(PmTypeCoverage, 1);
    if (typing->resolver == NULL)
        return coverage;
    Closure closure = {
        .typing = typing,
        .coverage = coverage,
        .visited = g_try_malloc0_n((pm_resolver_get_slots(typing->resolver) >> 7) + 1, 8),
        .untyped = g_array_new(FALSE, FALSE, sizeof(Untyped)),
        .edges = g_hash_table_new_full(hash_key, equal_keys, g_free, NULL),
        .list = g_array_new(FALSE, FALSE, sizeof(PmUntypedEdge)),
        .variables = g_array_new(FALSE, FALSE, sizeof(guint32)),
        .reader = {.space = typing->reader.space},
    };
    coverage->complete = closure.visited != NULL;
    if (closure.visited != NULL)
        run_closure(&closure, roots);
    coverage->edge_count = closure.list->len;
    coverage->edges = (PmUntypedEdge *)(gpointer)g_array_free(closure.list, FALSE);
    if (coverage->edge_count > 0)
        qsort(coverage->edges, coverage->edge_count, sizeof *coverage->edges, compare_edges);
    pm_slot_queue_clear(&closure.typed);
    g_free(closure.visited);
    g_array_unref(closure.untyped);
    g_hash_table_unref(closure.edges);
    g_array_unref(closure.variables);
    return coverage;
}

void
pm_type_coverage_free(PmTypeCoverage *coverage)
{
    for (gsize i = 0; i < coverage->edge_count; i++) {
        g_free(coverage->edges[i].field);
        g_free(coverage->edges[i].target);
    }
    g_free(coverage->edges);
    g_free(coverage);
}
