/*
 * Line tables; see lines.h. Which unit an address belongs to is read from the units themselves:
 * .debug_aranges, which libdw would ask, is not written by every compiler.
 */
#include "process/lines.h"

#include "process/process-private.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>

#define UNITS_MAX  (1u << 20)
#define RANGES_MAX (1u << 22)

/* [@start, @end) of module addresses is the code of the unit whose DIE is at @offset. */
typedef struct {
    guint64 start;
    guint64 end;
    Dwarf_Off offset;
} Range;

/* @dwarf: NULL where the module has none here. @ranges: Range, by start. */
typedef struct {
    Dwarf *dwarf;
    GArray *ranges;
} Module;

struct PmLines {
    const PmProcess *process;
    GHashTable *modules; /* const PmModule * → Module * */
};

static void
module_free(gpointer data)
{
    Module *module = data;
    if (module->dwarf != NULL)
        dwarf_end(module->dwarf);
    g_array_unref(module->ranges);
    g_free(module);
}

PmLines *
pm_lines_new(const PmProcess *process)
{
    PmLines *lines = g_new0(PmLines, 1);
    lines->process = process;
    lines->modules = g_hash_table_new_full(NULL, NULL, NULL, module_free);
    return lines;
}

void
pm_lines_free(PmLines *lines)
{
    if (lines == NULL)
        return;
    g_hash_table_unref(lines->modules);
    g_free(lines);
}

static gint
compare_ranges(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const Range *)a)->start;
    const guint64 right = ((const Range *)b)->start;
    return left < right ? -1 : left > right;
}

static void
add_unit(GArray *ranges, Dwarf_Die *unit)
{
    Dwarf_Addr base = 0, start = 0, end = 0;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(unit, at, &base, &start, &end)) > 0 && ranges->len < RANGES_MAX) {
        const Range range = {start, end, dwarf_dieoffset(unit)};
        /* The linker gives 0 to what it left out. */
        if (start != 0 && start < end)
            g_array_append_val(ranges, range);
    }
}

static void
read_units(Module *module)
{
    Dwarf_CU *unit = NULL;
    guint8 type = 0;
    for (guint i = 0; i < UNITS_MAX; i++) {
        Dwarf_Die die;
        if (dwarf_get_units(module->dwarf, unit, &unit, NULL, &type, &die, NULL) != 0)
            break;
        if (type == DW_UT_compile || type == DW_UT_skeleton)
            add_unit(module->ranges, &die);
    }
    g_array_sort(module->ranges, compare_ranges);
}

static Module *
get_module(PmLines *lines, const PmModule *of)
{
    Module *module = g_hash_table_lookup(lines->modules, of);
    if (module != NULL)
        return module;
    module = g_new0(Module, 1);
    module->ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    g_hash_table_insert(lines->modules, (gpointer)of, module);
    const PmModuleParts *parts = pm_process_parts_of(lines->process, of);
    const PmElfFile *files[] = {parts->file, parts->debug_file};
    for (gsize i = 0; i < G_N_ELEMENTS(files) && module->dwarf == NULL; i++)
        if (files[i] != NULL && files[i]->has_dwarf)
            module->dwarf = dwarf_begin_elf(files[i]->elf, DWARF_C_READ, NULL);
    if (module->dwarf != NULL)
        read_units(module);
    return module;
}

static const Range *
find_range(const GArray *ranges, guint64 address)
{
    guint low = 0, high = ranges->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(ranges, Range, middle).start > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    const Range *range = &g_array_index(ranges, Range, low - 1);
    return address < range->end ? range : NULL;
}

gboolean
pm_lines_find(PmLines *lines, PmAddr address, const char **ret_file, guint *ret_line)
{
    const PmModule *of = pm_process_find_module(lines->process, address);
    if (of == NULL)
        return FALSE;
    const Module *module = get_module(lines, of);
    const guint64 value = address - of->bias;
    const Range *range = find_range(module->ranges, value);
    Dwarf_Die unit;
    int number = 0;
    if (range == NULL || dwarf_offdie(module->dwarf, range->offset, &unit) == NULL)
        return FALSE;
    Dwarf_Line *line = dwarf_getsrc_die(&unit, value);
    const char *file = line != NULL ? dwarf_linesrc(line, NULL, NULL) : NULL;
    if (file == NULL || dwarf_lineno(line, &number) != 0 || number <= 0)
        return FALSE;
    *ret_file = file;
    *ret_line = (guint)number;
    return TRUE;
}
