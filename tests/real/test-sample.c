/*
 * `sample` and `strings` on samples/types-cxx: classes by their vtables, with symbols and without,
 * words of every kind, the choice of chunks, and known texts.
 */
#include "build.h"
#include "lookup.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *sample;
    gboolean stripped;
    RealCoreKind kind;
} Case;

static const Case cases[] = {
    {"kernel", "types-cxx", FALSE, REAL_KERNEL_CORE},
    {"gcore", "types-cxx", FALSE, REAL_GCORE},
    {"stripped", "types-cxx", TRUE, REAL_KERNEL_CORE},
    {"stripped-gcore", "types-cxx", TRUE, REAL_GCORE},
    {"static", "types-cxx-static", FALSE, REAL_KERNEL_CORE},
    {"static-stripped", "types-cxx-static", TRUE, REAL_KERNEL_CORE},
    {"static-stripped-gcore", "types-cxx-static", TRUE, REAL_GCORE},
};

#define PLUGIN "libtypes-cxx-plugin.so"
/* Classes with virtual functions, and objects of each. */
#define CLASSES_MIN 28U
#define OBJECTS     8U

typedef struct {
    const Case *one;
    RealLookup lookup;
} Opened;

static RealRun *
run_case(const Case *one, const char *folder)
{
    g_autofree char *program_path = g_build_filename(folder, one->sample, NULL);
    g_autofree char *plugin_path = g_build_filename(folder, PLUGIN, NULL);
    const gboolean is_static = g_str_has_suffix(one->sample, "-static");
    const char *program[] = {program_path, is_static ? NULL : "--plugin", plugin_path, NULL};
    if (!real_copy_sample(one->sample, folder, one->stripped) ||
        (!is_static && !real_copy_sample(PLUGIN, folder, one->stripped))) {
        g_test_skip("the sample was not built: it takes a C++ compiler, and for some cases a "
                    "static C++ library");
        return NULL;
    }
    return real_run_sample(program, "", one->kind);
}

static JsonObject *
get_word(JsonObject *chunk, guint index)
{
    JsonArray *words = json_object_get_array_member(chunk, "words");
    g_assert_cmpuint(index, <, json_array_get_length(words));
    return json_array_get_object_element(words, index);
}

static void
check_text(const char *what, const char *said, const char *expected)
{
    if (g_strcmp0(said, expected) != 0)
        real_fail("%s: %s, not %s", what, said != NULL ? said : "(null)",
                  expected != NULL ? expected : "(null)");
}

/* The class that the ledger names, where a vtable tells it. (transfer full) */
static char *
get_class(const Case *one, const char *name)
{
    if (strcmp(name, "under-construction") == 0)
        return g_strdup("app::Left");
    if (strstr(name, "::") == NULL || g_str_has_prefix(name, "plain:") ||
        /* Compiled without RTTI: its symbol is all there is. */
        (one->stripped && g_str_has_prefix(name, "bare::")))
        return NULL;
    return g_strdelimit(g_strdup(name), "~", ' ');
}

static void
compare_row(const Opened *opened, const RealRow *row, GHashTable *classes)
{
    JsonObject *chunk = real_lookup_find(&opened->lookup, row->address);
    if (chunk == NULL) {
        real_fail("%s (0x%" G_GINT64_MODIFIER "x) is no chunk in use", row->name, row->address);
        return;
    }
    g_autofree char *expected = get_class(opened->one, row->name);
    const gboolean whole = strcmp(row->name, "under-construction") != 0;
    check_text(row->name, real_member_text(chunk, "vtable_class"), expected);
    check_text(row->name, real_member_text(chunk, "reach"), row->reach);
    if (expected == NULL)
        return;
    g_hash_table_add(classes, g_strdup(expected));
    check_text(row->name, real_member_text(get_word(chunk, 0), "what"), "vtable");
    if (whole) {
        check_text(row->name, real_member_text(chunk, "type"), expected);
        if (!opened->one->stripped)
            check_text(row->name, real_member_text(chunk, "vtable_use"), "object");
    } else {
        check_text(row->name, real_member_text(chunk, "vtable_use"),
                   opened->one->stripped ? "unsure" : "construction");
    }
}

/* Every object is of the class that it is, and nothing else is of any. */
static void
compare_classes(const Opened *opened)
{
    g_autoptr(GHashTable) classes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint rows = 0;
    for (guint i = 0; i < opened->lookup.truth->live->len; i++) {
        const RealRow *row = &g_array_index(opened->lookup.truth->live, RealRow, i);
        rows++;
        compare_row(opened, row, classes);
    }
    g_assert_cmpuint(rows / OBJECTS, >=, CLASSES_MIN);
    g_assert_cmpuint(g_hash_table_size(classes), >=, CLASSES_MIN);
}

static const RealRow *
find_row(const RealTruth *truth, const char *name)
{
    for (guint i = 0; i < truth->live->len; i++)
        if (g_strcmp0(g_array_index(truth->live, RealRow, i).name, name) == 0)
            return &g_array_index(truth->live, RealRow, i);
    g_assert_not_reached();
}

/* The words of "fields", in the order of the sample's struct. @detail: NULL where it is not looked
 * at; with symbols alone where @symbol. */
static const struct {
    const char *what;
    const char *detail;
    gboolean symbol;
} fields[] = {
    {"code", "types_cxx_callback (", TRUE},
    {"string", "a constant text of the program", FALSE},
    {"string", "größer als 日本語", FALSE},
    {"stack", "stack of thread ", FALSE},
    {"stack", "stack of thread ", FALSE},
    {"chunk", "48 bytes, reachable", FALSE},
    {"chunk-interior", "+0x10 in 48 bytes at 0x", FALSE},
    {"data", "types_cxx_kept+0x18 (", TRUE},
    {"data", "thread-local storage of thread ", FALSE},
    {"free-chunk", "+0x40 in 1216 bytes at 0x", FALSE},
    {"mapping", "anonymous mapping 0x", FALSE},
    {"number", NULL, FALSE},
    {"zero", NULL, FALSE},
    {"vtable", "vtable of app::Circle", FALSE},
    {"code", "pthread_barrier_wait", TRUE},
};

static void
compare_threads(const Opened *opened, JsonObject *chunk)
{
    const guint64 own = real_member_uint(get_word(chunk, 3), "thread");
    const guint64 other = real_member_uint(get_word(chunk, 4), "thread");
    g_assert_cmpuint(own, ==, opened->lookup.truth->pid);
    g_assert_cmpuint(other, !=, own);
    g_assert_cmpuint(other, !=, 0);
    g_assert_cmpuint(real_member_uint(get_word(chunk, 8), "thread"), ==, own);
}

static void
compare_fields(const Opened *opened)
{
    const RealRow *row = find_row(opened->lookup.truth, "fields");
    const RealRow *target = find_row(opened->lookup.truth, "target");
    JsonObject *chunk = real_lookup_find(&opened->lookup, row->address);
    g_assert_nonnull(chunk);
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        JsonObject *word = get_word(chunk, i);
        g_autofree char *name = g_strdup_printf("word %u", i);
        const char *detail = real_member_text(word, "detail");
        g_assert_cmpuint(real_member_uint(word, "offset"), ==, (guint64)8 * i);
        check_text(name, real_member_text(word, "what"), fields[i].what);
        if (fields[i].detail == NULL)
            g_assert_null(detail);
        else if ((!fields[i].symbol || !opened->one->stripped) &&
                 (detail == NULL || !g_str_has_prefix(detail, fields[i].detail)))
            real_fail("%s: %s, not %s", name, detail, fields[i].detail);
    }
    compare_threads(opened, chunk);
    g_assert_cmphex(real_member_address(get_word(chunk, 5), "chunk"), ==, target->address);
    g_assert_cmphex(real_member_address(get_word(chunk, 6), "chunk"), ==, target->address);
    g_assert_cmpuint(real_member_uint(get_word(chunk, 6), "chunk_offset"), ==, 16);
    g_assert_cmphex(real_member_address(get_word(chunk, 11), "value"), ==, 123456);
}

/* The bytes are those that the words say. */
static void
compare_bytes(const Opened *opened)
{
    const RealRow *row = find_row(opened->lookup.truth, "texts");
    JsonObject *chunk = real_lookup_find(&opened->lookup, row->address);
    g_assert_nonnull(chunk);
    check_text("hex", real_member_text(chunk, "hex"),
               "616c7068613a2061206672657175656e742074657874"
               "000000000000000000000000000000000000");
    check_text("text", real_member_text(chunk, "text"), "alpha: a frequent text..................");
    row = find_row(opened->lookup.truth, "app::Large");
    chunk = real_lookup_find(&opened->lookup, row->address);
    g_assert_nonnull(chunk);
    g_assert_cmpuint(strlen(real_member_text(chunk, "hex")), ==, (gsize)2 * 4096);
    g_assert_cmpuint(real_member_uint(chunk, "bytes_omitted"), ==, row->usable_bytes - 4096);
}

/* `show` says the same of a chunk, also by an address inside it. */
static void
compare_show(const Opened *opened)
{
    const RealRow *row = find_row(opened->lookup.truth, "app::Document");
    g_autofree char *address = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", row->address + 4);
    g_autoptr(JsonNode) document = real_ask(&opened->lookup.subject, "show", address);
    if (document == NULL)
        return;
    check_text("show", real_get_string(document, "data.chunk.vtable_class"), "app::Document");
    check_text("show", real_get_string(document, "data.chunk.type"), "app::Document");
    JsonArray *words = real_get_array(document, "data.contents.words");
    g_assert_cmpuint(json_array_get_length(words), ==, row->usable_bytes / 8);
    check_text("show", real_member_text(json_array_get_object_element(words, 0), "detail"),
               "vtable of app::Document");
    check_text("show", real_member_text(json_array_get_object_element(words, 2), "detail"),
               "vtable of app::Document, for its base at +0x10");
}

#define WANTED 40

/* One chunk out of each of WANTED equal parts of all, in the order of addresses. */
static void
compare_choice(const Opened *opened)
{
    JsonArray *all = real_get_array(opened->lookup.all, "data.chunks");
    const guint count = json_array_get_length(all);
    g_autofree char *command = g_strdup_printf("sample --count %d --seed 4", WANTED);
    g_autoptr(JsonNode) first = real_ask(&opened->lookup.subject, command, NULL);
    g_autoptr(JsonNode) again = real_ask(&opened->lookup.subject, command, NULL);
    if (first == NULL || again == NULL)
        return;
    g_assert_cmpuint(real_get_uint(first, "data.population"), ==, count);
    g_assert_cmpuint(real_get_uint(opened->lookup.all, "data.population"), ==, count);
    JsonArray *chosen = real_get_array(first, "data.chunks");
    JsonArray *same = real_get_array(again, "data.chunks");
    g_assert_cmpuint(json_array_get_length(chosen), ==, WANTED);
    guint at = 0;
    for (guint i = 0; i < WANTED; i++) {
        const guint64 address =
            real_member_address(json_array_get_object_element(chosen, i), "address");
        g_assert_cmphex(real_member_address(json_array_get_object_element(same, i), "address"), ==,
                        address);
        while (at < count &&
               real_member_address(json_array_get_object_element(all, at), "address") != address)
            at++;
        g_assert_cmpuint(at, <, count);
        g_assert_cmpuint(at, >=, i * count / WANTED);
        g_assert_cmpuint(at, <=, (i + 1) * count / WANTED);
    }
}

/* A filter is the one of `chunks`. */
static void
compare_filter(const Opened *opened, const char *filter)
{
    g_autofree char *chunks_command = g_strconcat("chunks ", filter, NULL);
    g_autofree char *sample_command = g_strconcat("sample --count 1000000 ", filter, NULL);
    g_autoptr(JsonNode) chunks = real_ask(&opened->lookup.subject, chunks_command, NULL);
    g_autoptr(JsonNode) sample = real_ask(&opened->lookup.subject, sample_command, NULL);
    if (chunks == NULL || sample == NULL)
        return;
    JsonArray *listed = real_get_array(chunks, "data.chunks");
    JsonArray *sampled = real_get_array(sample, "data.chunks");
    g_assert_cmpuint(json_array_get_length(listed), >, 0);
    g_assert_cmpuint(json_array_get_length(sampled), ==, json_array_get_length(listed));
    for (guint i = 0; i < MIN(json_array_get_length(listed), json_array_get_length(sampled)); i++)
        g_assert_cmphex(real_member_address(json_array_get_object_element(listed, i), "address"),
                        ==,
                        real_member_address(json_array_get_object_element(sampled, i), "address"));
}

/* @count: how often `strings` must find it; 0: not at all. */
typedef struct {
    const char *text;
    guint64 count;
} Known;

static const Known inside[] = {
    {"alpha: a frequent text", 100},
    {"größer als 日本語, beta", 37},
    {"gamma behind others", 12},
    {"delta after gamma", 12},
    {"eta after overlong", 9},
    {"epsilon is cut", 0},
    {"zet", 0},
    {"theta lies in read-only data", 0},
    {"a constant text of the program", 0},
};

static const Known pointed[] = {
    {"theta lies in read-only data", 25},
    {"a constant text of the program", 1},
    {"größer als 日本語", 1},
    {"alpha: a frequent text", 0},
};

static JsonObject *
find_text(JsonArray *strings, const char *text)
{
    for (guint i = 0; i < json_array_get_length(strings); i++) {
        JsonObject *string = json_array_get_object_element(strings, i);
        if (g_strcmp0(real_member_text(string, "text"), text) == 0)
            return string;
    }
    return NULL;
}

static void
compare_known(JsonArray *strings, const Known *known, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        JsonObject *string = find_text(strings, known[i].text);
        const guint64 found = string != NULL ? real_member_uint(string, "count") : 0;
        if (found != known[i].count)
            real_fail("\"%s\": found %" G_GUINT64_FORMAT " times, not %" G_GUINT64_FORMAT,
                      known[i].text, found, known[i].count);
        if (string != NULL) {
            const guint64 length = strlen(known[i].text);
            g_assert_cmpuint(real_member_uint(string, "length_bytes"), ==, length);
            g_assert_cmpuint(real_member_uint(string, "bytes"), ==, length * found);
            g_assert_cmphex(real_member_address(string, "example"), !=, G_MAXUINT64);
        }
    }
}

/* Ranked by what was asked for. */
static void
check_rank(JsonArray *strings, const char *member)
{
    guint64 last = G_MAXUINT64;
    for (guint i = 0; i < json_array_get_length(strings); i++) {
        const guint64 value = real_member_uint(json_array_get_object_element(strings, i), member);
        g_assert_cmpuint(value, <=, last);
        last = value;
    }
}

static void
compare_strings(const Opened *opened)
{
    static const char *const commands[] = {"strings -j 1", "strings -j 8 --by bytes"};
    g_autofree char *whole = g_strnfill(104, 'w');
    g_autofree char *longest = g_strnfill(3000, 'L');
    const Known more[] = {{whole, 5}, {longest, 2}};
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autoptr(JsonNode) document = real_ask(&opened->lookup.subject, commands[i], NULL);
        if (document == NULL)
            return;
        JsonArray *strings = real_get_array(document, "data.strings");
        compare_known(strings, inside, G_N_ELEMENTS(inside));
        compare_known(strings, more, G_N_ELEMENTS(more));
        compare_known(real_get_array(document, "data.pointed"), pointed, G_N_ELEMENTS(pointed));
        check_rank(strings, i == 0 ? "count" : "bytes");
        g_assert_cmpuint(real_get_uint(document, "data.forgotten"), ==, 0);
        g_assert_cmpuint(real_get_uint(document, "data.missing_bytes"), ==, 0);
    }
}

/* By size: what other chunks hold is pointed to; shorter ones are found where they are asked for.
 */
static void
compare_strings_of_size(const Opened *opened)
{
    static const Known of_size[] = {{"zet", 9}, {"epsilon is cut", 0}};
    static const Known to_rodata[] = {{"theta lies in read-only data", 25}};
    static const Known to_chunk[] = {{"failure", OBJECTS}};
    g_autoptr(JsonNode) small =
        real_ask(&opened->lookup.subject, "strings --size 40 --min 3", NULL);
    g_autoptr(JsonNode) large = real_ask(&opened->lookup.subject, "strings --size 200", NULL);
    g_autoptr(JsonNode) failures = real_ask(&opened->lookup.subject, "strings --size 24", NULL);
    if (small == NULL || large == NULL || failures == NULL)
        return;
    compare_known(real_get_array(small, "data.strings"), of_size, G_N_ELEMENTS(of_size));
    compare_known(real_get_array(large, "data.pointed"), to_rodata, G_N_ELEMENTS(to_rodata));
    compare_known(real_get_array(failures, "data.pointed"), to_chunk, G_N_ELEMENTS(to_chunk));
}

static void
test_case(gconstpointer data)
{
    Opened opened = {.one = data};
    g_autofree char *folder = g_dir_make_tmp("postmalloc-sample-XXXXXX", NULL);
    if (real_require_program("strip", "the samples without symbols") &&
        real_lookup_init(&opened.lookup, run_case(data, folder), "sample --count 1000000")) {
        compare_classes(&opened);
        compare_fields(&opened);
        compare_bytes(&opened);
        compare_show(&opened);
        compare_choice(&opened);
        compare_filter(&opened, "--state used");
        compare_filter(&opened, "--size 40 --state used,bin,tcache");
        compare_filter(&opened, "--reach reachable --chunk-size 48");
        compare_strings(&opened);
        compare_strings_of_size(&opened);
    }
    real_lookup_clear(&opened.lookup);
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/sample/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
