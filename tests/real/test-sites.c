/*
 * `sites` on samples/sites.c, built in many ways: each function's name says what it asks for. With
 * symbols and stripped; then an unstripped twin tells where the functions are.
 */
#include "run.h"
#include "tool.h"

#include <glib/gstdio.h>
#include <string.h>

#define BUILD_SECONDS 60
/* Of the sizes that can be told by the code alone. */
#define RECALL_WITH_SYMBOLS 0.95
#define RECALL_STRIPPED     0.90

typedef struct {
    const char *name;
    const char *compiler; /* NULL for the one that built the project */
    const char *flags;
    gboolean is_static;
} Variant;

static const Variant variants[] = {
    {"O0", NULL, "-O0", FALSE},
    {"O1", NULL, "-O1", FALSE},
    {"O2", NULL, "-O2", FALSE},
    {"O3", NULL, "-O3", FALSE},
    {"Os", NULL, "-Os", FALSE},
    {"O0-no-pie", NULL, "-O0 -fno-pie -no-pie", FALSE},
    {"O2-no-pie", NULL, "-O2 -fno-pie -no-pie", FALSE},
    {"O0-no-plt", NULL, "-O0 -fno-plt", FALSE},
    {"O2-no-plt", NULL, "-O2 -fno-plt", FALSE},
    {"O2-plt-sec", NULL, "-O2 -fcf-protection -Wl,-z,ibtplt", FALSE},
    {"O2-lazy", NULL, "-O2 -Wl,-z,lazy", FALSE},
    {"O2-now", NULL, "-O2 -Wl,-z,now", FALSE},
    {"O0-static", NULL, "-O0 -static", TRUE},
    {"O2-static", NULL, "-O2 -static", TRUE},
    {"clang-O0", "clang", "-O0", FALSE},
    {"clang-O1", "clang", "-O1", FALSE},
    {"clang-O2", "clang", "-O2", FALSE},
    {"clang-O3", "clang", "-O3", FALSE},
    {"clang-O2-no-pie", "clang", "-O2 -fno-pie -no-pie", FALSE},
    {"clang-O2-no-plt", "clang", "-O2 -fno-plt", FALSE},
    {"clang-O2-static", "clang", "-O2 -static", TRUE},
};

/* A function whose name is the truth: [@start, @end) in the file. */
typedef struct {
    char *name;
    guint64 start;
    guint64 end;
} Function;

/* A variant that was built. @glib, @libraries: flags for GLib; "" where it is left out. */
typedef struct {
    const Variant *variant;
    char *folder;
    char *program;
    char *library;
    gboolean with_cxx;
    char *glib;
} Build;

static void
function_clear(gpointer data)
{
    g_free(((Function *)data)->name);
}

static void
add_words(GPtrArray *command, const char *words)
{
    g_auto(GStrv) parts = g_strsplit(words, " ", -1);
    for (gsize i = 0; parts[i] != NULL; i++)
        if (*parts[i])
            g_ptr_array_add(command, g_strdup(parts[i]));
}

static void
add_source(GPtrArray *command, const char *name)
{
    g_ptr_array_add(command, g_build_filename(g_getenv("POSTMALLOC_SAMPLES_SOURCE"), name, NULL));
}

static gboolean
run_words(GPtrArray *command, const char *output)
{
    g_ptr_array_add(command, NULL);
    return real_run_command((const char *const *)command->pdata, NULL, output, output,
                            BUILD_SECONDS) == 0;
}

/* What `pkg-config --cflags --libs glib-2.0` prints; "" where there is none. */
static char *
find_glib(const char *folder)
{
    static const char *const command[] = {"pkg-config", "--cflags", "--libs", "glib-2.0", NULL};
    g_autofree char *path = g_build_filename(folder, "glib-flags", NULL);
    char *flags = NULL;
    if (real_run_command(command, NULL, path, NULL, BUILD_SECONDS) != 0 ||
        !g_file_get_contents(path, &flags, NULL, NULL))
        return g_strdup("");
    return g_strdelimit(g_strchomp(flags), "\n", ' ');
}

static GPtrArray *
start_command(const Build *build)
{
    const char *compiler = build->variant->compiler;
    GPtrArray *command = g_ptr_array_new_with_free_func(g_free);
    add_words(command, compiler != NULL ? compiler : g_getenv("POSTMALLOC_CC"));
    add_words(command, "-D_GNU_SOURCE -g -w");
    add_words(command, build->variant->flags);
    return command;
}

static gboolean
build_library(const Build *build, const char *log)
{
    g_autoptr(GPtrArray) command = start_command(build);
    add_words(command, "-shared -fPIC -Wl,-soname,libsites.so -o");
    g_ptr_array_add(command, g_strdup(build->library));
    add_source(command, "sites-lib.c");
    return run_words(command, log);
}

static gboolean
build_program(const Build *build, const char *log)
{
    g_autoptr(GPtrArray) command = start_command(build);
    add_words(command, "-o");
    g_ptr_array_add(command, g_strdup(build->program));
    add_source(command, "sites.c");
    add_source(command, "sites-keep.c");
    if (build->with_cxx) {
        add_words(command, "-DWITH_CXX");
        add_source(command, "sites-cxx.cc");
    }
    if (build->glib[0] != '\0') {
        add_words(command, "-DWITH_GLIB");
        add_source(command, "sites-glib.c");
    }
    if (build->variant->is_static)
        add_source(command, "sites-lib.c");
    else
        g_ptr_array_add(command, g_strdup(build->library));
    g_ptr_array_add(command, g_strconcat("-Wl,-rpath,", build->folder, NULL));
    add_words(command, build->glib);
    if (build->with_cxx)
        add_words(command, "-lstdc++");
    return run_words(command, log);
}

/* FALSE after g_test_skip(). */
static gboolean
build_all(Build *build)
{
    const Variant *variant = build->variant;
    g_autofree char *log = g_build_filename(build->folder, "log", NULL);
    g_autofree char *cxx = g_find_program_in_path("g++");
    build->with_cxx = cxx != NULL;
    build->glib = variant->is_static ? g_strdup("") : find_glib(build->folder);
    if ((variant->is_static || build_library(build, log)) && build_program(build, log))
        return TRUE;
    g_autofree char *text = NULL;
    g_file_get_contents(log, &text, NULL, NULL);
    g_autofree char *why =
        g_strdup_printf("the sample cannot be built so here: %.600s", text ? text : "");
    g_test_skip(why);
    return FALSE;
}

static void
build_clear(Build *build)
{
    real_remove(build->folder);
    g_free(build->folder);
    g_free(build->program);
    g_free(build->library);
    g_free(build->glib);
}

/* The functions of @file whose names are the truth. */
static void
read_functions(const char *file, GArray *functions)
{
    const char *const command[] = {"nm", "--defined-only", "-S", file, NULL};
    g_autofree char *path = g_strconcat(file, ".symbols", NULL);
    g_autofree char *text = NULL;
    g_assert_cmpint(real_run_command(command, NULL, path, NULL, BUILD_SECONDS), ==, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    real_remove(path);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
        if (g_strv_length(words) != 4 || !g_regex_match_simple("^s[0-9][0-9]_", words[3], 0, 0))
            continue;
        Function function = {.name = g_strndup(words[3], strcspn(words[3], "."))};
        function.start = g_ascii_strtoull(words[0], NULL, 16);
        function.end = function.start + g_ascii_strtoull(words[1], NULL, 16);
        g_array_append_val(functions, function);
    }
}

/* What to take from an address of @file's code to have one of the file. */
static guint64
find_bias(const RealSubject *subject, const char *file)
{
    g_autofree char *bytes = NULL;
    gsize size = 0;
    g_assert_true(g_file_get_contents(file, &bytes, &size, NULL));
    g_assert_cmpuint(size, >, 18);
    if (bytes[16] == 2) /* ET_EXEC */
        return 0;
    g_autoptr(JsonNode) info = real_ask(subject, "info", NULL);
    JsonArray *modules = info != NULL ? real_get_array(info, "data.modules") : json_array_new();
    for (guint i = 0; i < json_array_get_length(modules); i++) {
        JsonObject *module = json_array_get_object_element(modules, i);
        if (g_strcmp0(json_object_get_string_member(module, "path"), file) == 0)
            return real_member_address(module, "start");
    }
    real_fail("info does not know %s", file);
    return 0;
}

/* What the sites of one function say. */
typedef struct {
    guint sites;
    guint unknown;   /* sites that name no size */
    GArray *numbers; /* guint64, ascending, without doubles */
} Answer;

static gint
compare_numbers(gconstpointer a, gconstpointer b)
{
    const guint64 left = *(const guint64 *)a;
    const guint64 right = *(const guint64 *)b;
    return left < right ? -1 : left > right;
}

static void
add_site(Answer *answer, JsonObject *site)
{
    answer->sites++;
    JsonNode *requests = json_object_get_member(site, "requests");
    if (requests == NULL || !JSON_NODE_HOLDS_ARRAY(requests)) {
        answer->unknown++;
        return;
    }
    JsonArray *array = json_node_get_array(requests);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        const guint64 number = (guint64)json_array_get_int_element(array, i);
        gboolean known = FALSE;
        for (guint j = 0; j < answer->numbers->len; j++)
            known = known || g_array_index(answer->numbers, guint64, j) == number;
        if (!known)
            g_array_append_val(answer->numbers, number);
    }
    g_array_sort(answer->numbers, compare_numbers);
}

/* The sites of @function, among all its parts, in @file. */
static Answer
collect(JsonArray *sites, const char *file, guint64 bias, const GArray *functions, const char *name)
{
    Answer answer = {.numbers = g_array_new(FALSE, FALSE, sizeof(guint64))};
    for (guint i = 0; i < json_array_get_length(sites); i++) {
        JsonObject *site = json_array_get_object_element(sites, i);
        if (g_strcmp0(json_object_get_string_member(site, "module"), file) != 0)
            continue;
        const guint64 address = real_member_address(site, "address") - bias;
        for (guint j = 0; j < functions->len; j++) {
            const Function *function = &g_array_index(functions, Function, j);
            if (address >= function->start && address < function->end &&
                strcmp(function->name, name) == 0)
                add_site(&answer, site);
        }
    }
    return answer;
}

static char *
describe(const Answer *answer)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%u sites, %u without a size:", answer->sites, answer->unknown);
    for (guint i = 0; i < answer->numbers->len; i++)
        g_string_append_printf(text, " %" G_GUINT64_FORMAT,
                               g_array_index(answer->numbers, guint64, i));
    return g_string_free(text, FALSE);
}

/* Whether @number may be asked for by a function of the truth @words. */
static gboolean
is_possible(char **words, guint64 number)
{
    const char *kind = words[1];
    if (strcmp(kind, "unknown") == 0)
        return FALSE;
    const guint64 first = g_ascii_strtoull(words[2], NULL, 10);
    if (strcmp(kind, "in") == 0)
        return number >= first && number <= g_ascii_strtoull(words[3], NULL, 10);
    if (strcmp(kind, "multiple") == 0)
        return number % first == 0;
    for (gsize i = 2; words[i] != NULL; i += words[i + 1] != NULL ? 2 : 1)
        if (g_ascii_strtoull(words[i], NULL, 10) == number)
            return TRUE;
    return FALSE;
}

/* How many sizes the truth @words names; 0 where it need not be told. */
static guint
count_sizes(char **words)
{
    return strcmp(words[1], "is") == 0 ? (g_strv_length(words) - 1) / 2 : 0;
}

/* @recoverable: functions whose size can be told, @found: of which it was. */
typedef struct {
    guint functions;
    guint recoverable;
    guint found;
} Tally;

/* Every function once, however many parts it has. */
static gboolean
is_repeated(const GArray *functions, guint index)
{
    const char *name = g_array_index(functions, Function, index).name;
    for (guint i = 0; i < index; i++)
        if (strcmp(g_array_index(functions, Function, i).name, name) == 0)
            return TRUE;
    return FALSE;
}

static void
judge(Tally *tally, const char *name, const Answer *answer)
{
    g_auto(GStrv) words = g_strsplit(name, "_", -1);
    g_autofree char *seen = describe(answer);
    tally->functions++;
    for (guint i = 0; i < answer->numbers->len; i++)
        if (!is_possible(words, g_array_index(answer->numbers, guint64, i)))
            real_fail("%s cannot ask for that: %s", name, seen);
    if (answer->sites == 0 && strcmp(words[1], "maybe") != 0)
        g_test_message("%s: not found", name);
    const guint sizes = count_sizes(words);
    if (sizes == 0)
        return;
    tally->recoverable++;
    if (answer->numbers->len == sizes && answer->unknown == 0)
        tally->found++;
    else
        g_test_message("%s: %s", name, seen);
}

static void
judge_file(Tally *tally, const RealSubject *subject, JsonArray *sites, const char *file,
           const GArray *functions)
{
    const guint64 bias = find_bias(subject, file);
    for (guint i = 0; i < functions->len; i++) {
        if (is_repeated(functions, i))
            continue;
        const char *name = g_array_index(functions, Function, i).name;
        Answer answer = collect(sites, file, bias, functions, name);
        judge(tally, name, &answer);
        g_array_unref(answer.numbers);
    }
}

/* Runs the program as it is now, and compares what `sites` says with its names. */
static void
compare(const Build *build, const GArray *program, const GArray *library, double least)
{
    const char *const command[] = {build->program, NULL};
    g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "sites --variable", NULL);
    if (document == NULL)
        return;
    JsonArray *sites = real_get_array(document, "data.sites");
    Tally tally = {0};
    judge_file(&tally, &subject, sites, build->program, program);
    if (!build->variant->is_static)
        judge_file(&tally, &subject, sites, build->library, library);
    const double recall = (double)tally.found / tally.recoverable;
    g_test_message("%s%s: %u functions, the sizes of %u of %u recoverable ones found",
                   build->variant->name, least < RECALL_WITH_SYMBOLS ? " stripped" : "",
                   tally.functions, tally.found, tally.recoverable);
    if (tally.functions < 60 || recall < least)
        real_fail("%u functions, recall %.3f", tally.functions, recall);
}

static gboolean
strip(const char *file)
{
    const char *const command[] = {"strip", "--strip-all", file, NULL};
    return real_run_command(command, NULL, NULL, NULL, BUILD_SECONDS) == 0;
}

/* A stripped static program has no name for its malloc. */
static void
compare_nameless(const Build *build)
{
    const char *const command[] = {build->program, NULL};
    g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "sites --variable", NULL);
    if (document == NULL)
        return;
    JsonArray *nameless = real_get_array(document, "data.modules_nameless");
    g_assert_cmpuint(json_array_get_length(nameless), ==, 1);
    g_assert_cmpstr(json_array_get_string_element(nameless, 0), ==, build->program);
    g_assert_cmpuint(json_array_get_length(real_get_array(document, "data.sites")), ==, 0);
}

static gboolean
start_build(Build *build, const Variant *variant)
{
    *build = (Build){.variant = variant};
    if (variant->compiler != NULL && !real_require_program(variant->compiler, "builds this one"))
        return FALSE;
    build->folder = g_dir_make_tmp("postmalloc-sites-XXXXXX", NULL);
    build->program = g_build_filename(build->folder, "program", NULL);
    build->library = g_build_filename(build->folder, "libsites.so", NULL);
    return build_all(build);
}

static GArray *
new_functions(void)
{
    GArray *functions = g_array_new(FALSE, FALSE, sizeof(Function));
    g_array_set_clear_func(functions, function_clear);
    return functions;
}

static void
test_variant(gconstpointer data)
{
    Build build;
    if (start_build(&build, data)) {
        g_autoptr(GArray) program = new_functions();
        g_autoptr(GArray) library = new_functions();
        read_functions(build.program, program);
        if (!build.variant->is_static)
            read_functions(build.library, library);
        compare(&build, program, library, RECALL_WITH_SYMBOLS);
        if (!strip(build.program) || (!build.variant->is_static && !strip(build.library)))
            g_test_skip("strip (package binutils) is not here");
        else if (build.variant->is_static)
            compare_nameless(&build);
        else
            compare(&build, program, library, RECALL_STRIPPED);
    }
    if (build.folder != NULL)
        build_clear(&build);
}

/* @ret_stale: how many files of the cache could not be used. */
static char *
ask_text(const RealSubject *subject, guint *ret_stale)
{
    *ret_stale = 0;
    g_autoptr(JsonNode) document = real_ask(subject, "sites --variable", NULL);
    if (document == NULL)
        return g_strdup("");
    JsonArray *diagnostics = real_get_array(document, "diagnostics");
    for (guint i = 0; i < json_array_get_length(diagnostics); i++) {
        JsonObject *one = json_array_get_object_element(diagnostics, i);
        if (strcmp(json_object_get_string_member(one, "code"), "cache-stale") == 0)
            (*ret_stale)++;
    }
    return json_to_string(real_get(document, "data"), FALSE);
}

/* Every file of the cache but @position's byte changed. */
static guint
damage(const char *folder, gsize position)
{
    guint damaged = 0;
    g_autofree char *sites = g_build_filename(folder, "postmalloc", "sites", NULL);
    g_autoptr(GDir) files = g_dir_open(sites, 0, NULL);
    const char *name = NULL;
    while (files != NULL && (name = g_dir_read_name(files)) != NULL) {
        g_autofree char *path = g_build_filename(sites, name, NULL);
        g_autofree char *bytes = NULL;
        gsize count = 0;
        if (!g_file_get_contents(path, &bytes, &count, NULL) || count == 0)
            continue;
        bytes[position % count] ^= 0x20;
        g_assert_true(g_file_set_contents(path, bytes, (gssize)count, NULL));
        damaged++;
    }
    return damaged;
}

/* The same answer from the cache, and from one that was damaged. */
static void
look_with_cache(const Build *build)
{
    static const gsize positions[] = {0, 9, 17, 26, 33, 41, 48, 60, 100, 200, 333, 1000};
    const char *const command[] = {build->program, NULL};
    g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    guint stale = 0;
    g_autofree char *first = ask_text(&subject, &stale);
    g_autofree char *second = ask_text(&subject, &stale);
    g_assert_cmpstr(first, ==, second);
    g_assert_cmpuint(stale, ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(positions); i++) {
        g_assert_cmpuint(damage(g_getenv("XDG_CACHE_HOME"), positions[i]), >, 1);
        g_autofree char *again = ask_text(&subject, &stale);
        g_assert_cmpstr(first, ==, again);
        g_assert_cmpuint(stale, >, 1);
    }
}

static void
test_cache(void)
{
    Build build;
    if (start_build(&build, &variants[2]))
        look_with_cache(&build);
    build_clear(&build);
}

static gboolean
is_unread(JsonNode *document, const char *path)
{
    JsonArray *unread = real_get_array(document, "data.modules_unread");
    for (guint i = 0; i < json_array_get_length(unread); i++)
        if (g_strcmp0(json_array_get_string_element(unread, i), path) == 0)
            return TRUE;
    return FALSE;
}

/* Without its files a module's code is where the core has it, or else nowhere, which is said. */
static void
look_without_files(const Build *build, const char *option)
{
    const char *const command[] = {build->program, option, NULL};
    g_autoptr(GArray) program = new_functions();
    g_autofree char *kept = g_strconcat(build->program, ".kept", NULL);
    read_functions(build->program, program);
    g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
    if (run == NULL)
        return;
    const RealSubject subject = {.core = run->core};
    const guint64 bias = find_bias(&subject, build->program);
    g_assert_cmpint(g_rename(build->program, kept), ==, 0);
    g_autoptr(JsonNode) document = real_ask(&subject, "sites", NULL);
    g_assert_cmpint(g_rename(kept, build->program), ==, 0);
    if (document == NULL)
        return;
    Answer answer = collect(real_get_array(document, "data.sites"), build->program, bias, program,
                            "s45_is_368");
    g_assert_cmpint(is_unread(document, build->program), ==, option == NULL);
    g_assert_cmpuint(answer.sites, ==, option == NULL ? 0 : 1);
    if (answer.sites == 1)
        g_assert_cmpuint(g_array_index(answer.numbers, guint64, 0), ==, 368);
    g_array_unref(answer.numbers);
}

static void
test_without_files(void)
{
    Build build;
    if (start_build(&build, &variants[2])) {
        look_without_files(&build, NULL);
        look_without_files(&build, "--dump-code");
    }
    build_clear(&build);
}

static void
look_at_exact(JsonNode *document)
{
    JsonArray *sites = real_get_array(document, "data.sites");
    g_assert_cmpuint(json_array_get_length(sites), ==, 1);
    JsonObject *site = json_array_get_object_element(sites, 0);
    const char *function = json_object_get_string_member(site, "function");
    const char *argument = json_object_get_string_member(site, "argument");
    const char *file = json_object_get_string_member(site, "file");
    g_assert_cmpuint(real_member_uint(site, "request_bytes"), ==, 1048576);
    g_assert_cmpstr(function, ==, "s15_is_1048576");
    g_assert_cmpstr(argument, ==, "malloc(1048576)");
    g_assert_true(g_str_has_suffix(file, "sites.c"));
    g_assert_cmpuint(real_member_uint(site, "line"), >, 0);
}

static void
look_at_chunk(JsonNode *document, guint64 chunk_bytes)
{
    JsonArray *sites = real_get_array(document, "data.sites");
    g_assert_cmpuint(json_array_get_length(sites), >, 0);
    for (guint i = 0; i < json_array_get_length(sites); i++) {
        const guint64 request =
            real_member_uint(json_array_get_object_element(sites, i), "request_bytes");
        g_assert_cmpuint(request, >=, chunk_bytes - 23);
        g_assert_cmpuint(request, <=, chunk_bytes - 8);
    }
}

/* A store of @kind at @offset, or NULL. */
static JsonObject *
find_store(JsonObject *site, gint64 offset, gint64 width, const char *kind)
{
    JsonArray *stores = json_object_get_array_member(site, "stores");
    for (guint i = 0; i < json_array_get_length(stores); i++) {
        JsonObject *store = json_array_get_object_element(stores, i);
        if (json_object_get_int_member(store, "offset") == offset &&
            strcmp(json_object_get_string_member(store, "kind"), kind) == 0 &&
            !json_object_get_null_member(store, "width") &&
            json_object_get_int_member(store, "width") == width)
            return store;
    }
    return NULL;
}

/* What s68_is_720 stores, and what xcalloc() did before. */
static void
look_at_stores(JsonNode *document, guint64 other_call)
{
    JsonArray *sites = real_get_array(document, "data.sites");
    for (guint i = 0; i < json_array_get_length(sites); i++) {
        JsonObject *site = json_array_get_object_element(sites, i);
        const char *function = json_object_get_string_member(site, "function");
        if (g_strcmp0(function, "s68_is_720") != 0)
            continue;
        JsonObject *kind = find_store(site, 8, 2, "constant");
        JsonObject *release = find_store(site, 16, 8, "address");
        JsonArray *stores = json_object_get_array_member(site, "stores");
        JsonObject *zeros = json_array_get_object_element(stores, 0);
        g_assert_true(kind != NULL && real_member_uint(kind, "value") == 0x1107);
        g_assert_true(release != NULL && real_member_address(release, "value") == other_call);
        g_assert_cmpint(json_object_get_int_member(zeros, "offset"), ==, 0);
        g_assert_cmpuint(real_member_uint(zeros, "value"), ==, 0);
        return;
    }
    real_fail("s68_is_720 is no site");
}

static guint64
find_address(const Build *build, const RealSubject *subject, const char *name)
{
    const char *const command[] = {"nm", "--defined-only", build->program, NULL};
    g_autofree char *path = g_strconcat(build->program, ".names", NULL);
    g_autofree char *text = NULL;
    g_autofree char *wanted = g_strconcat(" T ", name, NULL);
    g_assert_cmpint(real_run_command(command, NULL, path, NULL, BUILD_SECONDS), ==, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    const char *found = strstr(text, wanted);
    g_assert_true(found != NULL && found - text >= 16);
    return find_bias(subject, build->program) + g_ascii_strtoull(found - 16, NULL, 16);
}

/* --size is the exact request, --chunk-size all that give the chunk. */
static void
test_query(void)
{
    Build build;
    if (start_build(&build, &variants[2])) {
        const char *const command[] = {build.program, NULL};
        g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
        const RealSubject subject = {.core = run != NULL ? run->core : NULL};
        g_autoptr(JsonNode) exact =
            run != NULL ? real_ask(&subject, "sites --size 1048576", NULL) : NULL;
        g_autoptr(JsonNode) chunk =
            run != NULL ? real_ask(&subject, "sites --chunk-size 0x2f0", NULL) : NULL;
        g_autoptr(JsonNode) stores =
            run != NULL ? real_ask(&subject, "sites --size 720", NULL) : NULL;
        if (exact != NULL && chunk != NULL && stores != NULL) {
            look_at_exact(exact);
            look_at_chunk(chunk, 0x2f0);
            look_at_stores(stores, find_address(&build, &subject, "other_call"));
        }
    }
    build_clear(&build);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strconcat("/real/sites/", variants[i].name, NULL);
        g_test_add_data_func(path, &variants[i], test_variant);
    }
    g_test_add_func("/real/sites/query", test_query);
    g_test_add_func("/real/sites/without-files", test_without_files);
    g_test_add_func("/real/sites/cache", test_cache);
    return real_test_run();
}
