/*
 * From references to functions; see units.h. Function bounds come from .eh_frame; what has no frame
 * description, such as hand-written assembly, is bounded by its symbol, or else by its neighbours.
 */
#include "analysis/sites/units.h"

#include <string.h>

/* Where nothing tells a function's beginning, so much before the reference is read: enough for the
 * disassembler to fall into step. */
#define GUESS_BYTES 2048
/* @members: guint, ascending: the functions (indexes of code->functions) that hold references. */
typedef struct {
    const PmModuleCode *code;
    GPtrArray *units;
    GArray *members;
    GHashTable *joined; /* guint + 1 → guint + 1: functions that belong to another */
    PmFlow *flow;
} Search;

static void
unit_free(gpointer data)
{
    PmUnit *unit = data;
    g_array_unref(unit->ranges);
    g_free(unit);
}

guint64
pm_unit_measure(const PmUnit *unit)
{
    guint64 bytes = 0;
    for (guint i = 0; i < unit->ranges->len; i++) {
        const PmCodeRange *range = &g_array_index(unit->ranges, PmCodeRange, i);
        bytes += range->end - range->start;
    }
    return bytes;
}

static PmUnit *
add_unit(Search *search, guint64 function, gboolean is_guess)
{
    PmUnit *unit = g_new0(PmUnit, 1);
    unit->ranges = g_array_new(FALSE, FALSE, sizeof(PmCodeRange));
    unit->function = function;
    unit->is_guess = is_guess;
    g_ptr_array_add(search->units, unit);
    return unit;
}

static gboolean
add_range(const Search *search, PmUnit *unit, guint64 start, guint64 end)
{
    PmCodeRange range;
    if (!pm_module_code_get_range(search->code, start, end, &range))
        return FALSE;
    g_array_append_val(unit->ranges, range);
    return TRUE;
}

static guint
get_function_index(const Search *search, const PmFunctionRange *range)
{
    return (guint)(range - (const PmFunctionRange *)(gpointer)search->code->functions->data);
}

static const PmFunctionRange *
get_function(const Search *search, guint index)
{
    return &g_array_index(search->code->functions, PmFunctionRange, index);
}

/* The bounds that the frame descriptions around @address leave. */
static void
get_gap(const Search *search, guint64 address, guint64 *ret_start, guint64 *ret_end)
{
    const GArray *functions = search->code->functions;
    const PmCodeRange *text = pm_module_code_find_text(search->code, address);
    guint low = 0, high = functions->len;
    *ret_start = text->start;
    *ret_end = text->end;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(functions, PmFunctionRange, middle).start > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low > 0)
        *ret_start = MAX(*ret_start, get_function(search, low - 1)->end);
    if (low < functions->len)
        *ret_end = MIN(*ret_end, get_function(search, low)->start);
}

/* A reference in what has no frame description. Returns: where its unit ends. */
static guint64
add_undescribed(Search *search, guint64 address)
{
    const PmModuleCode *code = search->code;
    guint64 start = 0, end = 0, offset = 0;
    PmSymbol symbol;
    get_gap(search, address, &start, &end);
    const gboolean named =
        pm_process_symbolize(code->process, code->module->bias + address, &symbol, &offset) &&
        offset < symbol.size_bytes && address - offset >= start;
    PmUnit *unit = NULL;
    if (named) {
        start = address - offset;
        end = MIN(end, start + symbol.size_bytes);
        unit = add_unit(search, start, FALSE);
    } else {
        if (address - start > GUESS_BYTES)
            start = pm_align_down(address - GUESS_BYTES, 16);
        end = MIN(end, address + GUESS_BYTES);
        unit = add_unit(search, PM_ADDR_NONE, TRUE);
    }
    add_range(search, unit, start, end);
    return end;
}

/* A linkage table's jumps refer to what they lead to; they are no functions. */
static gboolean
is_in_thunk(const Search *search, const PmReference *reference)
{
    return pm_module_code_find_thunk(search->code, reference->address) != NULL;
}

static void
collect_members(Search *search, const GArray *references)
{
    guint64 done = 0;
    for (guint i = 0; i < references->len; i++) {
        const PmReference *reference = &g_array_index(references, PmReference, i);
        if (is_in_thunk(search, reference))
            continue;
        const PmFunctionRange *range =
            pm_frames_find_range(search->code->functions, reference->address);
        if (range == NULL && reference->address >= done) {
            done = add_undescribed(search, reference->address);
        } else if (range != NULL) {
            const guint index = get_function_index(search, range);
            if (search->members->len == 0 ||
                g_array_index(search->members, guint, search->members->len - 1) != index)
                g_array_append_val(search->members, index);
        }
    }
}

static guint
find_group(const Search *search, guint index)
{
    gpointer parent = NULL;
    while ((parent = g_hash_table_lookup(search->joined, GUINT_TO_POINTER(index + 1))) != NULL)
        index = GPOINTER_TO_UINT(parent) - 1;
    return index;
}

static void
join_groups(Search *search, guint a, guint b)
{
    const guint first = find_group(search, a);
    const guint second = find_group(search, b);
    if (first != second)
        g_hash_table_insert(search->joined, GUINT_TO_POINTER(MAX(first, second) + 1),
                            GUINT_TO_POINTER(MIN(first, second) + 1));
}

/* Whether an instruction begins at @address of the function @range. */
static gboolean
is_instruction(const Search *search, const PmFunctionRange *range, guint64 address)
{
    const PmMachine *machine = search->code->machine;
    PmCodeRange code;
    PmOp ops[PM_OPS_MAX];
    if (search->flow == NULL ||
        !pm_module_code_get_range(search->code, range->start, range->end, &code))
        return FALSE;
    guint64 at = code.start;
    while (at < address) {
        const guint count =
            machine->decode(pm_flow_get_decoder(search->flow), code.bytes + (at - code.start),
                            (gsize)(code.end - at), at, ops);
        at += MAX(ops[count - 1].length, 1);
    }
    return at == address;
}

static gboolean
is_member(const Search *search, guint index)
{
    guint low = 0, high = search->members->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const guint found = g_array_index(search->members, guint, middle);
        if (found == index)
            return TRUE;
        if (found < index)
            low = middle + 1;
        else
            high = middle;
    }
    return FALSE;
}

/*
 * A jump into the middle of a member, or to one that no call enters: both functions are one.
 */
static void
join_parts(Search *search)
{
    const GArray *strays = search->code->strays;
    for (guint i = 0; i < strays->len; i++) {
        const PmReference *jump = &g_array_index(strays, PmReference, i);
        const PmFunctionRange *to = pm_frames_find_range(search->code->functions, jump->target);
        if (to == NULL || !is_member(search, get_function_index(search, to)))
            continue;
        const PmFunctionRange *from = pm_frames_find_range(search->code->functions, jump->address);
        if (from != NULL && is_instruction(search, from, jump->address))
            join_groups(search, get_function_index(search, from), get_function_index(search, to));
    }
}

static gint
compare_indexes(gconstpointer a, gconstpointer b)
{
    const guint left = *(const guint *)a;
    const guint right = *(const guint *)b;
    return left < right ? -1 : left > right;
}

/* Adds the functions that were joined with a member to the members. */
static void
complete_members(Search *search)
{
    GHashTableIter iter;
    gpointer key = NULL, value = NULL;
    g_hash_table_iter_init(&iter, search->joined);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const guint pair[2] = {GPOINTER_TO_UINT(key) - 1, GPOINTER_TO_UINT(value) - 1};
        g_array_append_vals(search->members, pair, 2);
    }
    g_array_sort(search->members, compare_indexes);
    guint kept = 0;
    for (guint i = 0; i < search->members->len; i++) {
        const guint index = g_array_index(search->members, guint, i);
        if (kept == 0 || g_array_index(search->members, guint, kept - 1) != index)
            g_array_index(search->members, guint, kept++) = index;
    }
    g_array_set_size(search->members, kept);
}

/* One unit a group; calls enter it at its one function that is no part of another. */
static void
make_units(Search *search)
{
    g_autoptr(GHashTable) units = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < search->members->len; i++) {
        const guint index = g_array_index(search->members, guint, i);
        const PmFunctionRange *range = get_function(search, index);
        gpointer key = GUINT_TO_POINTER(find_group(search, index) + 1);
        PmUnit *unit = g_hash_table_lookup(units, key);
        if (unit == NULL) {
            unit = add_unit(search, PM_ADDR_NONE, FALSE);
            g_hash_table_insert(units, key, unit);
        }
        if (add_range(search, unit, range->start, range->end) && !range->is_part &&
            unit->function == PM_ADDR_NONE)
            unit->function = range->start;
    }
}

GPtrArray *
pm_units_find(const PmModuleCode *code, const GArray *references)
{
    Search search = {.code = code};
    search.units = g_ptr_array_new_with_free_func(unit_free);
    search.members = g_array_new(FALSE, FALSE, sizeof(guint));
    search.joined = g_hash_table_new(NULL, NULL);
    search.flow = pm_flow_pool_take(code->pool);
    collect_members(&search, references);
    join_parts(&search);
    complete_members(&search);
    make_units(&search);
    pm_flow_pool_give(code->pool, search.flow);
    g_hash_table_unref(search.joined);
    g_array_unref(search.members);
    return search.units;
}
