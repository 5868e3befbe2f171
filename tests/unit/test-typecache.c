/*
 * The cache of heapwalk/dwarf/types.h: that it is used, and that nothing in it is believed.
 */
#include "dwarf/types.h"

#include "compiled.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static const char source[] = "#include <stdlib.h>\n"
                             "struct node { struct node *next; int key; char text[12]; };\n"
                             "enum color { RED, GREEN };\n"
                             "union any { long number; struct node *node; };\n"
                             "typedef struct { enum color color; union any any; } pair_t;\n"
                             "struct node first; pair_t pairs[3]; __thread int per_thread = 2;\n"
                             "static union any any;\n"
                             "int main(void) { static int count; count++; any.number = 3;\n"
                             "    pairs[0].any = any; per_thread++; abort(); }\n";

static const CompiledSource sources[] = {{"main.c", source}, {NULL, NULL}};

static Compiled *compiled;
static char *cache;      /* the cache's folder */
static char *index_path; /* the program's index in it */
static char *expected;   /* what a table without a cache says */

/* How often progress was reported: a cached index needs none. */
static void
count_progress(gpointer data, const char *module, guint64 done, guint64 total)
{
    guint *count = data;
    g_assert_nonnull(module);
    g_assert_cmpuint(done, <=, total);
    (*count)++;
}

/* All that the program's module has, in words. */
static char *
describe_all(PmTypes *types)
{
    GString *text = g_string_new(NULL);
    const GArray *variables = pm_types_get_variables(types, compiled_get_module(compiled));
    for (guint i = 0; i < variables->len; i++) {
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, i);
        g_string_append_printf(text, "%s %" G_GINT64_MODIFIER "x %d %s %" G_GUINT64_FORMAT "\n",
                               variable->name, variable->address, variable->is_tls,
                               variable->type->name, variable->type->size_bytes);
    }
    static const char *const names[] = {"node", "enum color", "any", "pair_t"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GPtrArray) found =
            pm_types_find_by_name(types, names[i], compiled_get_module(compiled));
        g_string_append_printf(text, "%s %u\n", names[i], found->len);
        if (found->len == 0)
            continue;
        gsize count = 0;
        const PmType *type = g_ptr_array_index(found, 0);
        const PmField *fields = pm_type_get_fields(types, type, &count);
        for (gsize j = 0; j < count; j++)
            g_string_append_printf(text, "%s %s\n", fields[j].name, fields[j].type->name);
    }
    return g_string_free(text, FALSE);
}

/* @ret_rebuilt: a note said that the cache was no good. Returns: how often progress was reported
 * until the module was known. */
static guint
open_with(const char *folder, char **ret_text, gboolean *ret_rebuilt)
{
    guint count = 0;
    const PmTypesOptions options = {
        .cache_folder = folder, .progress = count_progress, .progress_data = &count};
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmTypes) types = pm_types_new(compiled->process, &options, diagnostics);
    pm_types_get_variables(types, compiled_get_module(compiled));
    const guint progress = count;
    *ret_text = describe_all(types);
    *ret_rebuilt = pm_diagnostics_count_code(diagnostics, "cache-rebuilt") > 0;
    return progress;
}

static void
assert_rebuilt(const char *what, gsize place)
{
    g_autofree char *text = NULL;
    gboolean is_rebuilt = FALSE;
    const guint progress = open_with(cache, &text, &is_rebuilt);
    if (progress == 0 || !is_rebuilt || strcmp(text, expected) != 0)
        g_test_message("%s at %" G_GSIZE_FORMAT ": progress %u", what, place, progress);
    g_assert_cmpuint(progress, >, 0);
    g_assert_true(is_rebuilt);
    g_assert_cmpstr(text, ==, expected);
}

static void
assert_cached(void)
{
    g_autofree char *text = NULL;
    gboolean is_rebuilt = FALSE;
    g_assert_cmpuint(open_with(cache, &text, &is_rebuilt), ==, 0);
    g_assert_false(is_rebuilt);
    g_assert_cmpstr(text, ==, expected);
}

/* g_file_set_contents() would wait for the disk. */
static void
write_index(const char *bytes, gsize count)
{
    FILE *file = g_fopen(index_path, "wb");
    g_assert_nonnull(file);
    g_assert_cmpuint(fwrite(bytes, 1, count, file), ==, count);
    g_assert_cmpint(fclose(file), ==, 0);
}

static gboolean
prepare(void)
{
    if (compiled == NULL)
        g_test_skip("there is no core to be looked at");
    return compiled != NULL;
}

static void
test_used(void)
{
    g_autofree char *text = NULL;
    g_autofree char *folder = g_build_filename(cache, "types", NULL);
    gboolean is_rebuilt = FALSE;
    GStatBuf status;
    if (!prepare())
        return;
    g_assert_cmpuint(open_with("", &text, &is_rebuilt), >, 0);
    g_assert_cmpstr(text, ==, expected);
    g_assert_false(g_file_test(cache, G_FILE_TEST_EXISTS));
    g_clear_pointer(&text, g_free);
    g_assert_cmpuint(open_with(cache, &text, &is_rebuilt), >, 0);
    g_assert_cmpstr(text, ==, expected);
    g_assert_false(is_rebuilt);
    g_assert_nonnull(strstr(text, "pair_t 1\ncolor enum color\nany union any\n"));
    g_assert_cmpint(g_stat(index_path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    g_assert_cmpint(g_stat(folder, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0700);
    assert_cached();
}

#define PLACES 257

static void
test_flipped(void)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    if (!prepare())
        return;
    g_assert_true(g_file_get_contents(index_path, &bytes, &count, NULL));
    for (gsize i = 0; i < PLACES; i++) {
        g_autofree char *copy = g_memdup2(bytes, count);
        const gsize place = i * (count - 1) / (PLACES - 1);
        copy[place] = (char)((guint8)copy[place] ^ (1u << g_test_rand_int_range(0, 8)));
        write_index(copy, count);
        assert_rebuilt("flipped", place);
    }
    assert_cached();
}

static void
test_truncated(void)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    if (!prepare())
        return;
    g_assert_true(g_file_get_contents(index_path, &bytes, &count, NULL));
    for (gsize i = 0; i < PLACES; i++) {
        const gsize left = i * (count - 1) / (PLACES - 1);
        write_index(bytes, left);
        assert_rebuilt("truncated", left);
    }
    assert_cached();
}

/* As heapwalk/dwarf/indexcache.c has it: eight bytes behind the magic, of all that follows. */
static void
forge_checksum(guint8 *bytes, gsize count)
{
    guint32 counts[4]; /* types, variables, splits, strings */
    guint64 sum = 0;
    gsize at = 16;
    memcpy(counts, bytes + 24, sizeof counts);
    const gsize parts[] = {312 - 16,
                           48 * (gsize)counts[0],
                           32 * (gsize)counts[1],
                           32 * (gsize)counts[2],
                           4 * (gsize)counts[0],
                           counts[3]};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        gsize left = MIN(parts[i], count - at);
        for (; left >= 8; at += 8, left -= 8) {
            guint64 word = 0;
            memcpy(&word, bytes + at, 8);
            sum = (sum ^ word) * 0x9e3779b97f4a7c15;
            sum ^= sum >> 32;
        }
        for (; left > 0; at++, left--)
            sum = ((sum ^ bytes[at]) * 0x9e3779b97f4a7c15) ^ 1;
    }
    memcpy(bytes + 8, &sum, sizeof sum);
}

/* It may say what it likes then, and nothing worse comes of it. */
static void
test_forged(void)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    if (!prepare())
        return;
    g_assert_true(g_file_get_contents(index_path, &bytes, &count, NULL));
    g_autofree char *same = g_memdup2(bytes, count);
    forge_checksum((guint8 *)same, count);
    g_assert_true(memcmp(same, bytes, count) == 0);
    for (guint i = 0; i < 4 * PLACES; i++) {
        g_autofree char *copy = g_memdup2(bytes, count);
        g_autofree char *text = NULL;
        gboolean is_rebuilt = FALSE;
        for (guint j = 0; j < 1 + i % 4; j++)
            copy[24 + (guint32)g_test_rand_int() % (count - 24)] =
                (char)g_test_rand_int_range(0, 256);
        forge_checksum((guint8 *)copy, count);
        write_index(copy, count);
        open_with(cache, &text, &is_rebuilt);
    }
    write_index(bytes, count);
    assert_cached();
}

/* The same build-id, but not the same file. */
static void
test_outdated(void)
{
    if (!prepare())
        return;
    FILE *program = g_fopen(compiled->program, "ab");
    g_assert_nonnull(program);
    g_assert_cmpint(fputc(0, program), ==, 0);
    g_assert_cmpint(fclose(program), ==, 0);
    compiled_reopen(compiled);
    assert_rebuilt("outdated", 0);
    assert_cached();
}

static void
test_unwritable(void)
{
    g_autofree char *text = NULL;
    gboolean is_rebuilt = FALSE;
    if (!prepare())
        return;
    g_autofree char *below_file = g_build_filename(compiled->core, "cache", NULL);
    g_assert_cmpuint(open_with(below_file, &text, &is_rebuilt), >, 0);
    g_assert_cmpstr(text, ==, expected);
    g_assert_false(is_rebuilt);
}

static void
prepare_once(void)
{
    gboolean is_rebuilt = FALSE;
    compiled = compiled_new("gcc", sources, "-g -O0");
    if (compiled == NULL)
        return;
    const PmModule *module = compiled_get_module(compiled);
    g_assert_nonnull(module->build_id);
    cache = g_build_filename(compiled->folder, "cache", NULL);
    index_path = g_build_filename(cache, "types", module->build_id, NULL);
    open_with("", &expected, &is_rebuilt);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/typecache/prepared", prepare_once);
    g_test_add_func("/typecache/used", test_used);
    g_test_add_func("/typecache/flipped", test_flipped);
    g_test_add_func("/typecache/truncated", test_truncated);
    g_test_add_func("/typecache/forged", test_forged);
    g_test_add_func("/typecache/outdated", test_outdated);
    g_test_add_func("/typecache/unwritable", test_unwritable);
    const int status = g_test_run();
    compiled_free(compiled);
    g_free(cache);
    g_free(index_path);
    g_free(expected);
    return status;
}
