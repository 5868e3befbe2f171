/*
 * types and chunks on samples whose ledger says of every chunk what it is: pointers of every kind
 * in C, the containers of the C++ library, forty structures under typed variables, polymorphic
 * objects with DWARF and stripped of everything; and that what types says adds up.
 */
#include "build.h"
#include "lookup.h"

#include <string.h>

/* Every chunk in use, with its type and how that is known. */
#define CHUNKS "chunks --state used --paths"

/* What a row of the ledger is to be called: a pattern, or NULL where the row does not matter.
 * (transfer full) */
typedef char *(*Expect)(const RealRow *row);

static gboolean
open_sample(const char *name, RealCoreKind kind, RealLookup *lookup)
{
    return real_lookup_init(lookup, real_run_built_sample(name, "", kind), CHUNKS);
}

static gboolean
matches(const char *pattern, const char *name)
{
    return name != NULL && (strcmp(pattern, name) == 0 || g_pattern_match_simple(pattern, name));
}

/* Compares the type of every chunk that @expect speaks of. Returns: how many there were. */
static guint
check_types(const RealLookup *lookup, Expect expect)
{
    guint checked = 0;
    for (guint i = 0; i < lookup->truth->live->len; i++) {
        const RealRow *row = &g_array_index(lookup->truth->live, RealRow, i);
        g_autofree char *expected = row->name == NULL ? NULL : expect(row);
        JsonObject *chunk = real_lookup_find(lookup, row->address);
        if (expected == NULL)
            continue;
        checked++;
        if (chunk == NULL) {
            real_fail("0x%" G_GINT64_MODIFIER "x, a %s, is not among the chunks", row->address,
                      expected);
            continue;
        }
        const char *type = real_member_text(chunk, "type");
        if (strcmp(expected, "noise") == 0 ? type != NULL : !matches(expected, type))
            real_fail("0x%" G_GINT64_MODIFIER "x is a %s, but is called %s (%s, by %s)",
                      row->address, expected, type == NULL ? "nothing" : type,
                      real_member_text(chunk, "path"), real_member_text(chunk, "type_source"));
    }
    return checked;
}

/* The name in the ledger, with a space for each ~. */
static char *
expect_name(const RealRow *row)
{
    char *name = g_strdelimit(g_strdup(row->name), "~", ' ');
    if (name[0] == '?')
        memmove(name, name + 1, strlen(name));
    return name;
}

/* The rows of `types` add up to what `sizes` says is in use, each kind of row with what belongs to
 * it. */
static void
check_sums(const RealLookup *lookup)
{
    JsonNode *types = real_ask(&lookup->subject, "types", NULL);
    JsonNode *sizes = real_ask(&lookup->subject, "sizes", NULL);
    guint64 chunks = 0;
    guint64 bytes = 0;
    if (types == NULL || sizes == NULL)
        return;
    JsonArray *rows = real_get_array(types, "data.types");
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = json_array_get_object_element(rows, i);
        chunks += real_member_uint(row, "chunks");
        bytes += real_member_uint(row, "chunk_bytes");
        if (real_member_text(row, "name") == NULL || real_member_text(row, "source") == NULL)
            real_fail("row %u of types has no name or no source", i);
    }
    g_assert_cmpuint(chunks, ==, real_get_uint(sizes, "data.totals.used.chunks"));
    g_assert_cmpuint(bytes, ==, real_get_uint(sizes, "data.totals.used.chunk_bytes"));
    g_assert_cmpuint(real_get_uint(types, "data.coverage.typed_bytes"), <=,
                     real_get_uint(types, "data.coverage.reached_bytes"));
    json_node_unref(types);
    json_node_unref(sizes);
}

/* The path of the chunk that the ledger calls @name; the first one. */
static const char *
find_path(const RealLookup *lookup, const char *name)
{
    for (guint i = 0; i < lookup->truth->live->len; i++) {
        const RealRow *row = &g_array_index(lookup->truth->live, RealRow, i);
        JsonObject *chunk = real_lookup_find(lookup, row->address);
        if (g_strcmp0(row->name, name) == 0 && chunk != NULL)
            return real_member_text(chunk, "path");
    }
    return NULL;
}

static void
test_pointers(void)
{
    RealLookup lookup;
    if (open_sample("typed", REAL_KERNEL_CORE, &lookup)) {
        g_assert_cmpuint(check_types(&lookup, expect_name), >, 600);
        check_sums(&lookup);
        /* How they are known, as a debugger takes it. */
        g_assert_cmpstr(find_path(&lookup, "struct~point[]"), ==, "*registry.points");
        g_assert_cmpstr(find_path(&lookup, "struct~packet"), ==, "*registry.inner.first");
        g_assert_cmpstr(find_path(&lookup, "struct~gadget"), ==, "*gadget");
        g_assert_cmpstr(find_path(&lookup, "struct~label"), !=, NULL);
        JsonNode *types = real_ask(&lookup.subject, "types", NULL);
        JsonArray *conflicts = real_get_array(types, "data.conflicts");
        gboolean found = FALSE;
        for (guint i = 0; i < json_array_get_length(conflicts); i++) {
            JsonObject *conflict = json_array_get_object_element(conflicts, i);
            found = found || (g_strcmp0(real_member_text(conflict, "type"), "struct gadget") == 0 &&
                              g_strcmp0(real_member_text(conflict, "other"), "struct widget") == 0);
        }
        if (!found)
            real_fail("the stale pointer to a widget is no conflict");
        json_node_unref(types);
    }
    real_lookup_clear(&lookup);
}

static void
test_filter(void)
{
    RealLookup lookup;
    if (open_sample("typed", REAL_GCORE, &lookup)) {
        g_assert_cmpuint(check_types(&lookup, expect_name), >, 600);
        JsonNode *some = real_ask(&lookup.subject, "chunks --type task", NULL);
        JsonArray *chunks = real_get_array(some, "data.chunks");
        g_assert_cmpuint(json_array_get_length(chunks), ==, 40);
        for (guint i = 0; i < json_array_get_length(chunks); i++)
            g_assert_cmpstr(real_member_text(json_array_get_object_element(chunks, i), "type"), ==,
                            "struct task");
        json_node_unref(some);
    }
    real_lookup_clear(&lookup);
}

static void
test_containers(void)
{
    RealLookup lookup;
    if (open_sample("typed-std", REAL_KERNEL_CORE, &lookup)) {
        g_assert_cmpuint(check_types(&lookup, expect_name), >, 300);
        check_sums(&lookup);
    }
    real_lookup_clear(&lookup);
}

/* Of the forty structures every instance, for each is held by a typed variable. */
static char *
expect_struct(const RealRow *row)
{
    static const char *const others[] = {"pointers", "noise", "zeros", NULL};
    if (g_strv_contains(others, row->name))
        return NULL;
    /* Those that end in _t have a typedef's name alone. */
    if (g_str_has_suffix(row->name, "_t"))
        return g_strdup(row->name);
    return strcmp(row->name, "text") == 0 ? g_strdup("*char[]")
                                          : g_strconcat("struct ", row->name, NULL);
}

static void
test_structs(void)
{
    RealLookup lookup;
    if (open_sample("structs40", REAL_KERNEL_CORE, &lookup)) {
        g_assert_cmpuint(check_types(&lookup, expect_struct), >=, 2560);
        check_sums(&lookup);
    }
    real_lookup_clear(&lookup);
}

/* Classes with virtual functions: of others nothing is left in a stripped program. */
static char *
expect_class(const RealRow *row)
{
    if (g_str_has_prefix(row->name, "plain:") || g_str_has_prefix(row->name, "texts") ||
        strcmp(row->name, "fields") == 0 || strcmp(row->name, "target") == 0 ||
        strcmp(row->name, "under-construction") == 0)
        return NULL;
    return expect_name(row);
}

/* The same, without those that were built without RTTI: only symbols know them. */
static char *
expect_class_by_rtti(const RealRow *row)
{
    return g_str_has_prefix(row->name, "bare::") ? NULL : expect_class(row);
}

static void
test_classes(gconstpointer data)
{
    const gboolean strip = data != NULL;
    g_autofree char *plugin = real_get_sample("libtypes-cxx-plugin.so");
    g_autofree char *folder = g_dir_make_tmp("postmalloc-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "types-cxx", NULL);
    const char *const program[] = {path, "--plugin", plugin, NULL};
    RealLookup lookup = {0};
    if (!g_file_test(plugin, G_FILE_TEST_EXISTS)) {
        g_test_skip("the sample was not built: it takes a C++ compiler");
    } else if (!real_copy_sample("types-cxx", folder, strip)) {
        real_fail("types-cxx could not be copied and stripped");
    } else if (real_lookup_init(&lookup, real_run_sample(program, "", REAL_KERNEL_CORE), CHUNKS)) {
        g_assert_cmpuint(check_types(&lookup, strip ? expect_class_by_rtti : expect_class), >=,
                         224);
        check_sums(&lookup);
    }
    real_lookup_clear(&lookup);
    real_remove(folder);
}

/* Without randomisation the heap begins right behind the program's data: vtables are told from what
 * the heap holds none the less. */
static void
test_heap_beside_program(void)
{
    g_autofree char *program = real_get_sample("types-cxx");
    const char *const words[] = {"setarch", "--addr-no-randomize", program, NULL};
    if (!real_require_program("setarch", "to place the heap"))
        return;
    g_autoptr(RealRun) run = real_run_sample(words, "--seed 1", REAL_KERNEL_CORE);
    RealSubject subject = {.core = run == NULL ? NULL : run->core};
    g_autoptr(JsonNode) document = run == NULL ? NULL : real_ask(&subject, "types", NULL);
    if (document == NULL)
        return;
    JsonArray *types = real_get_array(document, "data.types");
    guint found = 0;
    for (guint i = 0; i < json_array_get_length(types); i++) {
        JsonObject *type = json_array_get_object_element(types, i);
        found += g_strcmp0(json_object_get_string_member(type, "source"), "vtable") == 0;
    }
    g_assert_cmpuint(found, >, 10);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/real/types/heap-beside-program", test_heap_beside_program);
    g_test_add_func("/types/pointers", test_pointers);
    g_test_add_func("/types/filter", test_filter);
    g_test_add_func("/types/containers", test_containers);
    g_test_add_func("/types/structs", test_structs);
    g_test_add_data_func("/types/classes", NULL, test_classes);
    g_test_add_data_func("/types/classes-stripped", "strip", test_classes);
    return g_test_run();
}
