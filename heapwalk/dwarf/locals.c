/*
 * What is in the function that a frame is in, and in the functions that were inlined there.
 */
#include "dwarf/locals.h"

#include "dwarf/evaluate.h"
#include "dwarf/types-private.h"

#include <stdlib.h>

/* Of all units of one module, and of all functions of one unit. */
#define RANGES_MAX (1u << 20)
/* Locals of one thread. */
#define LOCALS_MAX 65536
/* Functions in classes in namespaces, inlined ones in blocks in inlined ones. */
#define NEST_MAX 128

/* Code of one unit or one function, and its DIE. */
typedef struct {
    guint64 start;
    guint64 end;
    Dwarf_Die die;
} CodeRange;

static gint
compare_ranges(gconstpointer a, gconstpointer b)
{
    const CodeRange *left = a;
    const CodeRange *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static void
add_ranges(GArray *ranges, Dwarf_Die *die)
{
    Dwarf_Addr base = 0, start = 0, end = 0;
    ptrdiff_t cursor = 0;
    while (ranges->len < RANGES_MAX &&
           (cursor = dwarf_ranges(die, cursor, &base, &start, &end)) > 0) {
        const CodeRange range = {start, end, *die};
        if (start < end)
            g_array_append_val(ranges, range);
    }
}

/* The DIE of @ranges whose code holds @code. */
static gboolean
find_range(const GArray *ranges, guint64 code, Dwarf_Die *ret_die)
{
    guint low = 0, high = ranges->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(ranges, CodeRange, middle).start > code)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0 || code >= g_array_index(ranges, CodeRange, low - 1).end)
        return FALSE;
    *ret_die = g_array_index(ranges, CodeRange, low - 1).die;
    return TRUE;
}

/* .debug_aranges would say it faster, but not all compilers write it. */
static const GArray *
get_unit_ranges(PmTypes *types, PmTypeModule *module)
{
    if (module->unit_ranges != NULL)
        return module->unit_ranges;
    PmSections *sections = pm_names_get_sections(types->names, module->dwarf);
    PmUnitCursor cursor = {0};
    PmUnit unit;
    module->unit_ranges = g_array_new(FALSE, FALSE, sizeof(CodeRange));
    while (pm_unit_next(sections, &cursor, &unit))
        if (unit.kind == DW_UT_compile || unit.kind == DW_UT_skeleton)
            add_ranges(module->unit_ranges, &unit.root);
    g_array_sort(module->unit_ranges, compare_ranges);
    return module->unit_ranges;
}

/* The functions of the unit with the topmost DIE @root. */
static const GArray *
get_function_ranges(PmTypes *types, Dwarf_Die *root)
{
    GArray *ranges = g_hash_table_lookup(types->functions, root->cu);
    const PmUnit *unit = pm_names_get_unit(types->names, root);
    PmDieWalk walk;
    if (ranges != NULL)
        return ranges;
    ranges = g_array_new(FALSE, FALSE, sizeof(CodeRange));
    g_hash_table_insert(types->functions, root->cu, ranges);
    if (unit == NULL)
        return ranges;
    pm_die_walk_init(&walk, unit);
    while (pm_die_walk_next(&walk)) {
        Dwarf_Die die = pm_die_walk_get(&walk);
        if (walk.tag == DW_TAG_subprogram && walk.has_children)
            add_ranges(ranges, &die);
        else if (walk.tag == DW_TAG_inlined_subroutine)
            pm_die_walk_skip(&walk);
    }
    g_array_sort(ranges, compare_ranges);
    return ranges;
}

gboolean
pm_types_find_function(PmTypes *types, PmTypeModule *module, guint64 code, Dwarf_Die *ret_function)
{
    Dwarf_Die root, split;
    if (!find_range(get_unit_ranges(types, module), code, &root))
        return FALSE;
    if (pm_names_get_split(types->names, &root, NULL, &split))
        root = split;
    return find_range(get_function_ranges(types, &root), code, ret_function);
}

/*
 * One frame.
 *
 * @code: as the module's DWARF has it. @function: of the innermost function so far, by @functions,
 * each at its depth in the tree.
 */
typedef struct {
    PmTypes *types;
    PmTypeModule *module;
    GArray *locals;
    PmTypedLocal template;
    guint64 code;
    PmEvaluation evaluation;
    const char *functions[NEST_MAX];
    guint depths[NEST_MAX];
    guint count;
} Frame;

const char *
pm_types_name_function(PmTypes *types, Dwarf_Die *die)
{
    GString *text = g_string_new(NULL);
    if (pm_names_is_scoped(types->names, die))
        pm_names_append_scopes(types->names, die, text);
    const char *name = pm_names_get_name(types->names, die);
    g_string_append_len(text, name, (gssize)strnlen(name, PM_NAME_BYTES_MAX));
    const char *kept = g_string_chunk_insert_const(types->strings, text->str);
    g_string_free(text, TRUE);
    return kept;
}

static void
set_frame_base(Frame *frame, Dwarf_Die *function)
{
    Dwarf_Attribute attribute;
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    frame->evaluation.frame_base = NULL;
    if (dwarf_attr_integrate(function, DW_AT_frame_base, &attribute) == NULL ||
        dwarf_getlocation_addr(&attribute, frame->code, &ops, &count, 1) != 1)
        return;
    frame->evaluation.frame_base = ops;
    frame->evaluation.frame_base_count = count;
}

/* What a register holds of a type that is smaller is in its low bytes. */
static guint64
cut_value(guint64 value, guint64 size_bytes)
{
    return size_bytes < 8 ? value & (((guint64)1 << (size_bytes * 8)) - 1) : value;
}

static void
add_local(Frame *frame, Dwarf_Die *die)
{
    PmTypedLocal local = frame->template;
    Dwarf_Attribute attribute;
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    PmLocation location;
    if (frame->locals->len >= LOCALS_MAX || dwarf_attr(die, DW_AT_location, &attribute) == NULL ||
        dwarf_getlocation_addr(&attribute, frame->code, &ops, &count, 1) != 1 ||
        !pm_evaluate(&frame->evaluation, &attribute, ops, count, &location))
        return;
    const char *name = pm_names_get_name(frame->types->names, die);
    const PmTypeEntry *type = pm_types_intern_of(frame->types, frame->module->module, die);
    if (name[0] == '\0' || type == NULL || type == frame->types->unknown)
        return;
    const guint64 size_bytes = type->type.size_bytes;
    if (location.is_value && (size_bytes == 0 || size_bytes > frame->types->word_bytes))
        return;
    local.name = name;
    local.function = frame->functions[frame->count - 1];
    local.type = &type->type;
    local.is_value = location.is_value;
    if (location.is_value)
        local.value = cut_value(location.value, size_bytes);
    else
        local.address = location.value;
    g_array_append_val(frame->locals, local);
}

static void
enter_function(Frame *frame, const PmDieWalk *walk, Dwarf_Die *die)
{
    if (frame->count == NEST_MAX)
        return;
    frame->functions[frame->count] = pm_types_name_function(frame->types, die);
    frame->depths[frame->count++] = walk->depth;
    if (walk->tag == DW_TAG_subprogram)
        set_frame_base(frame, die);
}

gboolean
pm_types_is_entered(const PmDieWalk *walk, Dwarf_Die *die, guint64 code)
{
    switch (walk->tag) {
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
        return dwarf_haspc(die, code) > 0;
    default:
        return FALSE;
    }
}

static void
add_locals(Frame *frame, Dwarf_Die *function)
{
    const PmUnit *unit = pm_names_get_unit(frame->types->names, function);
    guint left_out = G_MAXUINT; /* what is deeper than this */
    PmDieWalk walk;
    if (unit == NULL)
        return;
    pm_die_walk_init_at(&walk, unit, function);
    while (pm_die_walk_next(&walk)) {
        if (walk.depth > left_out)
            continue;
        left_out = G_MAXUINT;
        while (frame->count > 0 && frame->depths[frame->count - 1] >= walk.depth)
            frame->count--;
        Dwarf_Die die = pm_die_walk_get(&walk);
        if (frame->count > 0 &&
            (walk.tag == DW_TAG_variable || walk.tag == DW_TAG_formal_parameter)) {
            add_local(frame, &die);
        } else if (walk.has_children && !pm_types_is_entered(&walk, &die, frame->code)) {
            left_out = walk.depth;
            pm_die_walk_skip(&walk);
        } else if (walk.has_children &&
                   (walk.tag == DW_TAG_subprogram || walk.tag == DW_TAG_inlined_subroutine)) {
            enter_function(frame, &walk, &die);
        }
    }
}

/* Adds the locals of the function at @code, which @template says the frame of. */
static void
add_frame(PmTypes *types, PmAddr code, const PmFrameRegisters *registers,
          const PmTypedLocal *template, GArray *locals)
{
    const PmModule *loaded = pm_process_find_module(types->process, code);
    PmTypeModule *module = loaded != NULL ? pm_types_open_module(types, loaded) : NULL;
    Dwarf_Die function;
    if (module == NULL || !pm_types_find_function(types, module, code - module->bias, &function))
        return;
    Frame frame = {
        .types = types,
        .module = module,
        .locals = locals,
        .template = *template,
        .code = code - module->bias,
        .evaluation = {.space = pm_process_get_space(types->process),
                       .registers = registers,
                       .bias = module->bias,
                       .word_bytes = types->word_bytes},
    };
    add_locals(&frame, &function);
}

GArray *
pm_types_get_locals(PmTypes *types, const PmThread *thread)
{
    GArray *locals = g_array_new(FALSE, FALSE, sizeof(PmTypedLocal));
    g_autofree PmFrameRegisters *registers = NULL;
    gsize count = 0;
    gboolean is_complete = FALSE;
    g_autofree PmFrame *frames =
        pm_process_unwind_registers(types->process, thread, &registers, &count, &is_complete);
    for (gsize i = 0; i < MIN(count, PM_LOCALS_FRAMES_MAX); i++) {
        const PmTypedLocal template = {.thread = thread, .frame = (guint)i};
        add_frame(types, pm_frame_get_code(&frames[i]), &registers[i], &template, locals);
    }
    return locals;
}

GArray *
pm_types_get_locals_at(PmTypes *types, PmAddr code, const PmFrameRegisters *registers)
{
    GArray *locals = g_array_new(FALSE, FALSE, sizeof(PmTypedLocal));
    const PmTypedLocal template = {.thread = NULL};
    add_frame(types, code, registers, &template, locals);
    return locals;
}
