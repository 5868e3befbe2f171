/*
 * The ranking of sites on samples/evidence.cc: nine sites of one size, each with chunks of its
 * own, that differ only in what they write. The chunks of every layout say whose they are; the site
 * is to be first for them, with symbols and stripped; the sites that were never called are to be
 * low.
 */
#include "analysis/contents/sampler.h"
#include "analysis/sites/rank.h"
#include "build.h"
#include "opened.h"
#include "tool.h"

#include <string.h>

#define BUILD_SECONDS 60
#define REQUEST       48
#define CHUNK_BYTES   0x40
#define TAG_OFFSET    40
#define KINDS         9
/* Of what was never called. */
#define DECOY_MAX 0.05

typedef struct {
    const char *name;
    const char *flags;
    gboolean strip;
} Variant;

static const Variant variants[] = {
    {"O1", "-O1 -g", FALSE},
    {"O2", "-O2 -g", FALSE},
    {"O0", "-O0 -g", FALSE},
    {"O2-no-pie", "-O2 -g -fno-pie -no-pie", FALSE},
    {"O1-stripped", "-O1", TRUE},
    {"O2-stripped", "-O2", TRUE},
    {"O2-no-pie-stripped", "-O2 -fno-pie -no-pie", TRUE},
};

/* The functions of the sample, by address in its file. */
typedef struct {
    char *name;
    guint64 start;
    guint64 end;
} Function;

static void
function_clear(gpointer data)
{
    g_free(((Function *)data)->name);
}

/* A core, opened as far as rankings are. */
typedef struct {
    RealOpened core;
    PmSites *sites;
    PmSiteRanker *ranker;
    PmSchema *schema;
    GHashTable *seen; /* functions that were first */
} Opened;

static void
opened_free(Opened *opened)
{
    g_hash_table_unref(opened->seen);
    pm_schema_free(opened->schema);
    pm_site_ranker_free(opened->ranker);
    pm_sites_free(opened->sites);
    real_opened_clear(&opened->core);
    g_free(opened);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Opened, opened_free)

static Opened *
open_core(const RealRun *run)
{
    g_autoptr(GError) error = NULL;
    Opened *opened = g_new0(Opened, 1);
    opened->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    real_opened_init(&opened->core, run);
    const PmSiteQuery query = {.variable = TRUE, .unlocated = TRUE, .cache_folder = ""};
    opened->sites = pm_sites_new(&opened->core.subject, &query, 1, &error);
    g_assert_no_error(error);
    opened->ranker = pm_site_ranker_new(&opened->core.subject, opened->sites, opened->core.places);
    const PmChunkFilter filter = {
        .states = 1U << PM_CHUNK_USED, .by_chunk_bytes = TRUE, .chunk_bytes = CHUNK_BYTES};
    PmSample *sample = pm_sample_new(&opened->core.subject, NULL, &filter, PM_SCHEMA_SAMPLE, 1);
    opened->schema = pm_schema_new(opened->core.places, sample);
    return opened;
}

/* The functions of @program whose names begin with one of @prefixes, at least @least. */
static GArray *
read_functions(const char *program, const char *const *prefixes, guint least)
{
    const char *const command[] = {"nm", "--defined-only", "-S", program, NULL};
    g_autofree char *path = g_strconcat(program, ".symbols", NULL);
    g_autofree char *text = NULL;
    GArray *functions = g_array_new(FALSE, FALSE, sizeof(Function));
    g_array_set_clear_func(functions, function_clear);
    g_assert_cmpint(real_run_command(command, NULL, path, NULL, BUILD_SECONDS), ==, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
        gboolean wanted = FALSE;
        for (gsize j = 0; g_strv_length(words) == 4 && prefixes[j] != NULL; j++)
            wanted = wanted || g_str_has_prefix(words[3], prefixes[j]);
        if (!wanted)
            continue;
        Function function = {.name = g_strdup(words[3])};
        function.start = g_ascii_strtoull(words[0], NULL, 16);
        function.end = function.start + g_ascii_strtoull(words[1], NULL, 16);
        g_array_append_val(functions, function);
    }
    g_assert_cmpuint(functions->len, >=, least);
    return functions;
}

/* The function of the sample that @site is in, or "". */
static const char *
find_function(const GArray *functions, const PmSite *site)
{
    const guint64 address = site->address - site->module->bias;
    for (guint i = 0; site->module->is_executable && i < functions->len; i++) {
        const Function *function = &g_array_index(functions, Function, i);
        if (address >= function->start && address < function->end)
            return function->name;
    }
    return "";
}

/* Whose the chunks of a layout are; 0 where they are of more than one site. */
static guint
find_tag(const Opened *opened, gsize layout)
{
    guint tag = 0;
    for (gsize i = 0; i < opened->schema->sample->count; i++) {
        guint8 bytes[TAG_OFFSET + 1];
        if (opened->schema->layout_of[i] != layout)
            continue;
        const PmChunk *chunk = &opened->schema->sample->chunks[i];
        g_assert_true(pm_sample_read(&opened->core.subject, chunk, bytes, sizeof bytes));
        if (tag != 0 && tag != bytes[TAG_OFFSET])
            return 0;
        tag = bytes[TAG_OFFSET];
    }
    return tag;
}

static char *
describe(const GPtrArray *ranked, const GArray *functions)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < MIN(ranked->len, 4); i++) {
        const PmRankedSite *site = g_ptr_array_index(ranked, i);
        g_string_append_printf(text, "\n  %.3f %s %s", site->score,
                               find_function(functions, site->site), site->site->argument);
        for (guint j = 0; j < site->evidence->len; j++) {
            const PmEvidence *seen = &g_array_index(site->evidence, PmEvidence, j);
            g_string_append_printf(text, "\n      %+.2f %s", seen->weight, seen->text);
        }
    }
    return g_string_free(text, FALSE);
}

/* What was never called is low, and known to be contradicted. */
static void
look_at_decoys(const GPtrArray *ranked, const GArray *functions, guint tag)
{
    guint decoys = 0;
    for (guint i = 0; i < ranked->len; i++) {
        const PmRankedSite *site = g_ptr_array_index(ranked, i);
        const char *name = find_function(functions, site->site);
        if (!g_str_has_prefix(name, "decoy_"))
            continue;
        decoys++;
        if (site->score > DECOY_MAX || !site->is_contradicted)
            real_fail("%s has %.3f for the chunks of site %u", name, site->score, tag);
        const PmEvidence *last =
            &g_array_index(site->evidence, PmEvidence, site->evidence->len - 1);
        g_assert_cmpfloat(last->weight, <, 0);
    }
    g_assert_cmpuint(decoys, ==, 2);
}

/* The scores of one class are shares. */
static void
look_at_sum(const GPtrArray *ranked)
{
    double sum = 0;
    for (guint i = 0; i < ranked->len; i++)
        sum += ((const PmRankedSite *)g_ptr_array_index(ranked, i))->score;
    g_assert_cmpfloat(sum, <=, 1.0001);
}

/* Returns: FALSE where the chunks of @layout are not of one site. */
static gboolean
look_at_layout(const Opened *opened, const GArray *functions, gsize layout, gboolean *found)
{
    const guint tag = find_tag(opened, layout);
    if (tag == 0 || tag > KINDS)
        return FALSE;
    const PmSiteClues clues = {.request_min = CHUNK_BYTES - 23,
                               .request_max = CHUNK_BYTES - 8,
                               .schema = opened->schema,
                               .layout = layout,
                               .variable = TRUE,
                               .described_max = 1};
    g_autoptr(GPtrArray) ranked = pm_sites_rank(opened->ranker, &clues);
    g_autofree char *prefix = g_strdup_printf("site_%u_", tag);
    g_autofree char *text = describe(ranked, functions);
    g_assert_cmpuint(ranked->len, >, KINDS);
    const PmRankedSite *first = g_ptr_array_index(ranked, 0);
    g_test_message("site %u:%s", tag, text);
    if (!g_str_has_prefix(find_function(functions, first->site), prefix))
        real_fail("the chunks of site %u are not said to be from it:%s", tag, text);
    g_assert_cmpuint(first->request_bytes, ==, REQUEST);
    look_at_decoys(ranked, functions, tag);
    look_at_sum(ranked);
    found[tag] = TRUE;
    return TRUE;
}

static void
look(const RealRun *run, const GArray *functions)
{
    gboolean found[KINDS + 1] = {FALSE};
    g_autoptr(Opened) opened = open_core(run);
    for (gsize i = 0; i < opened->schema->layout_count; i++)
        if (!opened->schema->layouts[i].is_rest && !look_at_layout(opened, functions, i, found))
            g_test_message("layout %u is of several sites", (guint)i);
    for (guint i = 1; i <= KINDS; i++)
        if (!found[i])
            real_fail("the chunks of site %u have no layout of their own", i);
}

/* FALSE after g_test_skip(). */
static gboolean
build(const char *compiler, const char *name, const char *options, const char *program)
{
    g_autofree char *source = g_build_filename(g_getenv("POSTMALLOC_SAMPLES_SOURCE"), name, NULL);
    g_auto(GStrv) flags = g_strsplit(options, " ", -1);
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_ptr_array_add(command, (gpointer)compiler);
    g_ptr_array_add(command, (gpointer) "-fno-builtin-malloc");
    for (gsize i = 0; flags[i] != NULL; i++)
        g_ptr_array_add(command, flags[i]);
    g_ptr_array_add(command, (gpointer) "-o");
    g_ptr_array_add(command, (gpointer)program);
    g_ptr_array_add(command, source);
    g_ptr_array_add(command, NULL);
    if (real_run_command((const char *const *)command->pdata, NULL, NULL, NULL, BUILD_SECONDS) == 0)
        return TRUE;
    g_test_skip("the sample cannot be built here");
    return FALSE;
}

static void
test_variant(gconstpointer data)
{
    const Variant *variant = data;
    if (!real_require_program("g++", "builds the sample"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-evidence-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "evidence", NULL);
    if (build("g++", "evidence.cc", variant->flags, program)) {
        const char *const strip[] = {"strip", "--strip-all", program, NULL};
        const char *const command[] = {program, NULL};
        static const char *const prefixes[] = {"site_", "decoy_", NULL};
        g_autoptr(GArray) functions = read_functions(program, prefixes, KINDS + 2);
        if (variant->strip)
            g_assert_cmpint(real_run_command(strip, NULL, NULL, NULL, BUILD_SECONDS), ==, 0);
        g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
        if (run != NULL)
            look(run, functions);
    }
    real_remove(folder);
}

static const PmEvidence *
find_evidence(const PmRankedSite *site, const char *signal)
{
    for (guint i = 0; i < site->evidence->len; i++) {
        const PmEvidence *seen = &g_array_index(site->evidence, PmEvidence, i);
        if (strcmp(seen->signal, signal) == 0)
            return seen;
    }
    return NULL;
}

/* The chunks of a thread's arena came from its function, because it began there. */
static void
look_at_arena(Opened *opened, const GArray *functions, guint32 arena)
{
    const PmChunkFilter filter = {.states = 1U << PM_CHUNK_USED,
                                  .by_chunk_bytes = TRUE,
                                  .chunk_bytes = CHUNK_BYTES,
                                  .by_arena = TRUE,
                                  .arena = arena};
    PmSample *sample = pm_sample_new(&opened->core.subject, NULL, &filter, PM_SCHEMA_SAMPLE, 1);
    g_autoptr(PmSchema) schema = pm_schema_new(opened->core.places, sample);
    const PmSiteClues clues = {.request_min = CHUNK_BYTES - 23,
                               .request_max = CHUNK_BYTES - 8,
                               .schema = schema,
                               .layout = PM_RANK_ALL_LAYOUTS};
    g_autoptr(GPtrArray) ranked = pm_sites_rank(opened->ranker, &clues);
    g_autofree char *text = describe(ranked, functions);
    g_test_message("arena %u:%s", arena, text);
    g_assert_cmpuint(ranked->len, >=, 3);
    const PmRankedSite *first = g_ptr_array_index(ranked, 0);
    const PmEvidence *evidence = find_evidence(first, "arena");
    const char *name = find_function(functions, first->site);
    g_assert_true(evidence != NULL && evidence->weight > 0);
    g_assert_true(g_str_has_prefix(name, "thread_"));
    const PmRankedSite *second = g_ptr_array_index(ranked, 1);
    g_assert_cmpfloat(first->score, >, 1.5 * second->score);
    g_hash_table_add(opened->seen, g_strdup(name));
}

static void
look_at_arenas(const RealRun *run, const GArray *functions)
{
    gsize count = 0;
    g_autoptr(Opened) opened = open_core(run);
    const PmArena *arenas = pm_ptmalloc_get_arenas(opened->core.ptmalloc, &count);
    for (guint i = 0; i < count; i++)
        if (arenas[i].kind == PM_ARENA_THREAD)
            look_at_arena(opened, functions, i);
    g_assert_cmpuint(g_hash_table_size(opened->seen), ==, 2);
}

static void
test_arenas(void)
{
    static const char *const prefixes[] = {"thread_", "main_thread", NULL};
    if (!real_require_program("gcc", "builds the sample"))
        return;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-evidence-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "evidence", NULL);
    if (build("gcc", "evidence-threads.c", "-O1 -g -pthread -D_GNU_SOURCE", program)) {
        const char *const command[] = {program, NULL};
        g_autoptr(GArray) functions = read_functions(program, prefixes, 3);
        g_autoptr(RealRun) run = real_run_to_signal(command, NULL);
        if (run != NULL)
            look_at_arenas(run, functions);
    }
    real_remove(folder);
}

/* The variable that the events of case 1 go to, by its DWARF; nothing without. */
static void
test_types(gconstpointer data)
{
    const char *options = data;
    g_autofree char *folder = g_dir_make_tmp("postmalloc-evidence-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "case1", NULL);
    g_autofree char *why = NULL;
    if (real_build_sample("case1", program, options, &why)) {
        const char *const command[] = {program, NULL};
        g_autoptr(RealRun) run = real_run_sample(command, "2000 --churn", REAL_KERNEL_CORE);
        const RealSubject subject = {.core = run != NULL ? run->core : NULL};
        g_autoptr(JsonNode) document =
            run != NULL ? real_ask(&subject, "sites --size 20", NULL) : NULL;
        JsonArray *sites = document != NULL ? real_get_array(document, "data.sites") : NULL;
        if (sites != NULL && json_array_get_length(sites) > 0) {
            JsonObject *site = json_array_get_object_element(sites, 0);
            const gboolean has_dwarf = strstr(options, "-s") == NULL;
            g_assert_cmpstr(real_member_text(site, "type"), ==, has_dwarf ? "struct event" : NULL);
            g_assert_cmpstr(real_member_text(site, "variable"), ==, has_dwarf ? "event" : NULL);
            g_assert_cmpfloat(json_object_get_double_member(site, "score"), >, 0.5);
        } else if (run != NULL) {
            real_fail("no site asks for 20 bytes");
        }
    } else {
        g_test_skip(why);
    }
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strconcat("/real/evidence/", variants[i].name, NULL);
        g_test_add_data_func(path, &variants[i], test_variant);
    }
    g_test_add_func("/real/evidence/arenas", test_arenas);
    g_test_add_data_func("/real/evidence/types-O0", "-O0", test_types);
    g_test_add_data_func("/real/evidence/types-O1", "-O1", test_types);
    g_test_add_data_func("/real/evidence/types-O2", "-O2", test_types);
    g_test_add_data_func("/real/evidence/types-stripped", "-O2 -s", test_types);
    return g_test_run();
}
