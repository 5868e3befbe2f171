/*
 * Inlined functions; see inlined.h.
 */
#include "dwarf/inlined.h"

#include "dwarf/types-private.h"

/* Source file number @number of the line table of the unit of @die; NULL where there is none. */
static const char *
get_source_file(Dwarf_Die *die, guint64 number)
{
    Dwarf_Die unit;
    Dwarf_Files *files = NULL;
    size_t count = 0;
    if (dwarf_diecu(die, &unit, NULL, NULL) == NULL ||
        dwarf_getsrcfiles(&unit, &files, &count) != 0 || number >= count)
        return NULL;
    return dwarf_filesrc(files, number, NULL, NULL);
}

static void
add_call(PmTypes *types, Dwarf_Die *die, GArray *inlined)
{
    guint64 file = 0, line = 0;
    PmInlined call = {.function = pm_types_name_function(types, die)};
    if (pm_die_get_number(die, DW_AT_call_file, &file) &&
        pm_die_get_number(die, DW_AT_call_line, &line) && line <= G_MAXUINT)
        call.file = get_source_file(die, file);
    call.line = call.file != NULL ? (guint)line : 0;
    g_array_prepend_val(inlined, call);
}

GArray *
pm_types_get_inlined(PmTypes *types, PmAddr code)
{
    GArray *inlined = g_array_new(FALSE, FALSE, sizeof(PmInlined));
    const PmModule *loaded = pm_process_find_module(types->process, code);
    PmTypeModule *module = loaded != NULL ? pm_types_open_module(types, loaded) : NULL;
    guint left_out = G_MAXUINT; /* what is deeper than this */
    Dwarf_Die function;
    PmDieWalk walk;
    if (module == NULL || !pm_types_find_function(types, module, code - module->bias, &function))
        return inlined;
    const PmUnit *unit = pm_names_get_unit(types->names, &function);
    if (unit == NULL)
        return inlined;
    pm_die_walk_init_at(&walk, unit, &function);
    while (inlined->len < PM_INLINED_MAX && pm_die_walk_next(&walk)) {
        if (walk.depth > left_out)
            continue;
        left_out = G_MAXUINT;
        Dwarf_Die die = pm_die_walk_get(&walk);
        if (!pm_types_is_entered(&walk, &die, code - module->bias)) {
            left_out = walk.depth;
            pm_die_walk_skip(&walk);
        } else if (walk.tag == DW_TAG_inlined_subroutine) {
            add_call(types, &die, inlined);
        }
    }
    return inlined;
}
