/*
 * What heapwalk/dwarf/types.h keeps of types for the next run: that it says the same, needs no
 * DWARF, goes on where it ends, and that nothing in it is believed.
 */
#include "dwarf/types.h"

#include "compiled.h"

#include <glib/gstdio.h>
#include <string.h>

static const char source[] =
    "#include <stdlib.h>\n"
    "enum color { RED = 1, GREEN = -4, BLUE = 9 };\n"
    "struct other { long a[3]; struct other *next; struct hidden *opaque; char text[8]; };\n"
    "struct node { struct node *next; struct other *other; int (*call)(struct node *);\n"
    "              enum color color; unsigned bits : 3; unsigned more : 5; union {\n"
    "              long number; struct node *nodes[2]; } any; char text[2][4]; };\n"
    "typedef struct { double x, y; void *data; struct node *(*table)[3]; char pad[32]; } pair_t;\n"
    "struct node first; pair_t pairs[3]; struct other other;\n"
    "int main(void) { abort(); }\n";

static const CompiledSource sources[] = {{"main.c", source}, {NULL, NULL}};

static Compiled *compiled;
static char *cache;
static char *store_folder;

static void
describe(PmTypes *types, const PmType *type, guint depth, GString *text)
{
    gsize count = 0;
    g_string_append_printf(text, "%*s%s kind %d size %" G_GUINT64_FORMAT " at %s:%u %d%d%d",
                           (int)depth, "", type->name, (int)type->kind, type->size_bytes,
                           type->file == NULL ? "-" : type->file, type->line, type->is_declaration,
                           type->is_polymorphic, type->is_cxx);
    g_string_append_printf(text, " count %" G_GUINT64_FORMAT " module %s\n",
                           pm_type_get_count(types, type),
                           type->module == NULL ? "-" : type->module->path);
    if (depth > 4)
        return;
    const gint64 *values = pm_type_get_enumerators(types, type, &count);
    for (gsize i = 0; i < count; i++)
        g_string_append_printf(text, "%*svalue %" G_GINT64_FORMAT "\n", (int)depth, "", values[i]);
    const PmType *target = pm_type_get_target(types, type);
    if (target != NULL)
        describe(types, target, depth + 1, text);
    const PmField *fields = pm_type_get_fields(types, type, &count);
    for (gsize i = 0; i < count; i++) {
        g_string_append_printf(text, "%*s.%s %" G_GUINT64_FORMAT " %u:%u %d%d\n", (int)depth, "",
                               fields[i].name, fields[i].offset_bytes, fields[i].bit_offset,
                               fields[i].bit_count, fields[i].is_base, fields[i].is_vptr);
        describe(types, fields[i].type, depth + 1, text);
    }
}

/* All that is known of structures of @bytes bytes of the program. */
static char *
ask(const char *folder, guint64 bytes)
{
    const PmTypesOptions options = {.cache_folder = folder};
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmTypes) types = pm_types_new(compiled->process, &options, diagnostics);
    g_autoptr(GPtrArray) found = pm_types_find_by_size(types, bytes, bytes);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < found->len; i++) {
        const PmType *type = g_ptr_array_index(found, i);
        if (type->module == compiled_get_module(compiled))
            describe(types, type, 0, text);
    }
    return g_string_free(text, FALSE);
}

/* The size of the structure called @name. */
static guint64
find_size(const char *name)
{
    const PmTypesOptions options = {.cache_folder = ""};
    g_autoptr(PmTypes) types = pm_types_new(compiled->process, &options, compiled->diagnostics);
    g_autoptr(GPtrArray) found = pm_types_find_by_name(types, name, compiled_get_module(compiled));
    g_assert_cmpuint(found->len, ==, 1);
    return ((const PmType *)g_ptr_array_index(found, 0))->size_bytes;
}

/* The one file of the store. (transfer full) */
static char *
find_file(void)
{
    g_autoptr(GDir) folder = g_dir_open(store_folder, 0, NULL);
    g_assert_nonnull(folder);
    const char *name = g_dir_read_name(folder);
    g_assert_nonnull(name);
    return g_build_filename(store_folder, name, NULL);
}

static gboolean
prepare(void)
{
    if (compiled == NULL) {
        g_test_skip("there is no core to be looked at");
        return FALSE;
    }
    g_assert_true(compiled_run(compiled, "rm -rf cache"));
    return TRUE;
}

static void
test_same(void)
{
    if (!prepare())
        return;
    const guint64 bytes = find_size("node");
    g_autofree char *expected = ask("", bytes);
    g_assert_nonnull(strstr(expected, "struct node kind"));
    g_assert_nonnull(strstr(expected, "value -4\n"));
    g_assert_false(g_file_test(store_folder, G_FILE_TEST_EXISTS));
    for (guint i = 0; i < 3; i++) {
        g_autofree char *text = ask(cache, bytes);
        g_assert_cmpstr(text, ==, expected);
    }
    g_autofree char *file = find_file();
    g_assert_true(g_file_test(file, G_FILE_TEST_IS_REGULAR));
}

/* Another size, other members: what is not in the store comes from DWARF, and is the same type. */
static void
test_goes_on(void)
{
    if (!prepare())
        return;
    static const char *const names[] = {"node", "pair_t", "other", "node"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        const guint64 bytes = find_size(names[i]);
        g_autofree char *expected = ask("", bytes);
        g_autofree char *text = ask(cache, bytes);
        g_assert_cmpstr(text, ==, expected);
    }
}

/* Only found, its members not asked for: they are found later. */
static void
test_members_later(void)
{
    if (!prepare())
        return;
    const guint64 bytes = find_size("node");
    g_autofree char *expected = ask("", bytes);
    const PmTypesOptions options = {.cache_folder = cache};
    PmTypes *types = pm_types_new(compiled->process, &options, compiled->diagnostics);
    g_ptr_array_unref(pm_types_find_by_size(types, bytes, bytes));
    pm_types_free(types);
    g_autofree char *text = ask(cache, bytes);
    g_assert_cmpstr(text, ==, expected);
}

#define STEPS 61

static void
test_damage(void)
{
    if (!prepare())
        return;
    const guint64 bytes = find_size("node");
    g_autofree char *expected = ask("", bytes);
    g_free(ask(cache, bytes));
    g_autofree char *file = find_file();
    g_autofree char *good = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(file, &good, &count, NULL));
    for (guint i = 0; i < STEPS; i++) {
        const gsize at = count * i / STEPS;
        g_autofree char *bad = g_memdup2(good, count);
        bad[at] = (char)(bad[at] ^ (1 << i % 8));
        FILE *stream = g_fopen(file, "wb");
        g_assert_nonnull(stream);
        const gsize kept = i % 3 == 0 ? at : count;
        g_assert_cmpuint(fwrite(bad, 1, kept, stream), ==, kept);
        g_assert_cmpint(fclose(stream), ==, 0);
        g_autofree char *text = ask(cache, bytes);
        g_assert_cmpstr(text, ==, expected);
    }
}

static void
prepare_once(void)
{
    compiled = compiled_new("gcc", sources, "-g -O0");
    if (compiled == NULL)
        return;
    cache = g_build_filename(compiled->folder, "cache", NULL);
    store_folder = g_build_filename(cache, "types-read", NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/typestore/prepared", prepare_once);
    g_test_add_func("/typestore/same", test_same);
    g_test_add_func("/typestore/goes-on", test_goes_on);
    g_test_add_func("/typestore/members-later", test_members_later);
    g_test_add_func("/typestore/damage", test_damage);
    const int status = g_test_run();
    compiled_free(compiled);
    g_free(cache);
    g_free(store_folder);
    return status;
}
