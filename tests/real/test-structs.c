/*
 * structs on samples/structs40.c: forty structures whose chunks are told by the ledger, six of them
 * of one size. By fit alone: the chunks of each structure, as the ledger has them, are compared
 * with all types of their size (those of glibc too, where its debug information is here). Through
 * the command: the layouts of a class that is a mixture.
 */
#include "analysis/structs/fit.h"
#include "opened.h"
#include "tool.h"
#include "truth.h"

#include <string.h>

#define KINDS 40
/* Of all forty the right one is to be first in nine of ten. */
#define FIRST_MIN 36

/* A core, opened as far as fits are. */
typedef struct {
    RealOpened core;
    PmTypes *types;
    PmFitter *fitter;
} Opened;

static void
opened_free(Opened *opened)
{
    pm_fitter_free(opened->fitter);
    pm_types_free(opened->types);
    real_opened_clear(&opened->core);
    g_free(opened);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Opened, opened_free)

static Opened *
open_core(const RealRun *run)
{
    Opened *opened = g_new0(Opened, 1);
    real_opened_init(&opened->core, run);
    g_autofree char *cache = g_build_filename(run->folder, "cache", NULL);
    PmTypesOptions options = {.cache_folder = cache};
    opened->types = pm_types_new(opened->core.process, &options, opened->core.diagnostics);
    opened->fitter = pm_fitter_new(opened->core.places, opened->types);
    return opened;
}

static const char *
skip_keyword(const char *name)
{
    const char *space = strchr(name, ' ');
    return g_str_has_prefix(name, "struct ") && space != NULL ? space + 1 : name;
}

/* The live chunks of the kind @name. */
static GArray *
find_chunks(const Opened *opened, const RealTruth *truth, const char *name, guint64 *ret_bytes)
{
    GArray *chunks = g_array_new(FALSE, FALSE, sizeof(PmChunk));
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        PmChunk chunk;
        if (g_strcmp0(row->name, name) != 0 ||
            !pm_heap_find_chunk(pm_ptmalloc_get_heap(opened->core.ptmalloc), row->address, &chunk,
                                NULL))
            continue;
        *ret_bytes = row->requested_bytes;
        g_array_append_val(chunks, chunk);
    }
    return chunks;
}

/* The names of kinds in the order of the ledger, each once. */
static GPtrArray *
list_kinds(const RealTruth *truth)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *kinds = g_ptr_array_new();
    static const char *const others[] = {"text", "noise", "zeros", "pointers", NULL};
    for (guint i = 0; i < truth->live->len; i++) {
        char *name = g_array_index(truth->live, RealRow, i).name;
        if (name != NULL && !g_strv_contains(others, name) && g_hash_table_add(seen, name))
            g_ptr_array_add(kinds, name);
    }
    return kinds;
}

/* The rank of @name among @candidates, from 1; 0 where it is not there. */
static guint
find_rank(const GArray *candidates, const char *name)
{
    for (guint i = 0; i < candidates->len; i++) {
        const PmCandidate *candidate = &g_array_index(candidates, PmCandidate, i);
        if (!candidate->is_array && strcmp(skip_keyword(candidate->type->name), name) == 0)
            return i + 1;
    }
    return 0;
}

/* Prints one line of the table. Returns: whether the right one is first. */
static gboolean
rank_kind(const Opened *opened, const RealTruth *truth, const char *name)
{
    guint64 bytes = 0;
    g_autoptr(GArray) chunks = find_chunks(opened, truth, name, &bytes);
    g_autoptr(GArray) candidates = pm_fitter_rank(
        opened->fitter, (const PmChunk *)(gconstpointer)chunks->data, chunks->len, bytes, bytes);
    guint rank = find_rank(candidates, name);
    const PmCandidate *first = &g_array_index(candidates, PmCandidate, 0);
    const PmCandidate *right =
        rank == 0 ? first : &g_array_index(candidates, PmCandidate, rank - 1);
    const PmCandidate *next =
        candidates->len < 2 ? NULL : &g_array_index(candidates, PmCandidate, rank == 1 ? 1 : 0);
    g_test_message("%-12s %4" G_GUINT64_FORMAT
                   " bytes, rank %u of %2u, fit %.3f (%5.1f nats, %u of "
                   "%u against), %s %s %.3f (%5.1f)",
                   name, bytes, rank, candidates->len, right->fit.fit, right->fit.log_odds,
                   right->fit.contradictions, right->fit.fields_checked,
                   rank == 1 ? "next" : "first", next == NULL ? "none" : next->type->name,
                   next == NULL ? 0 : next->fit.fit, next == NULL ? 0 : next->fit.log_odds);
    return rank == 1;
}

static RealRun *
run_sample(const char *options)
{
    return real_run_built_sample("structs40", options, REAL_KERNEL_CORE);
}

static void
test_by_fit(gconstpointer options)
{
    g_autoptr(RealRun) run = run_sample(options);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(Opened) opened = open_core(run);
    g_autoptr(GPtrArray) kinds = list_kinds(truth);
    g_assert_cmpuint(kinds->len, ==, KINDS);
    guint first = 0;
    for (guint i = 0; i < kinds->len; i++)
        first += rank_kind(opened, truth, g_ptr_array_index(kinds, i)) ? 1 : 0;
    g_test_message("the right one is first for %u of %u", first, kinds->len);
    g_assert_cmpuint(first, >=, FIRST_MIN);
}

/* Plain integers fit no pointers; where there are no pointers, they say nothing. */
static void
test_integers(void)
{
    static const struct {
        const char *type;
        const char *chunks;
        gboolean neutral;
    } pairs[] = {
        {"counters", "user", FALSE},    {"counters", "interface", FALSE},
        {"counters", "counters", TRUE}, {"date_t", "header", FALSE},
        {"date_t", "scope", FALSE},     {"date_t", "date_t", TRUE},
    };
    g_autoptr(RealRun) run = run_sample("");
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(Opened) opened = open_core(run);
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        guint64 bytes = 0;
        g_autoptr(GArray) chunks = find_chunks(opened, truth, pairs[i].chunks, &bytes);
        g_autoptr(GPtrArray) types = pm_types_find_by_name(opened->types, pairs[i].type, NULL);
        g_assert_cmpuint(types->len, ==, 1);
        PmFit fit;
        pm_fitter_score(opened->fitter, g_ptr_array_index(types, 0),
                        (const PmChunk *)(gconstpointer)chunks->data, chunks->len, 0, &fit);
        g_test_message("%s on chunks of %s: %.3f", pairs[i].type, pairs[i].chunks, fit.fit);
        if (pairs[i].neutral)
            g_assert_cmpfloat_with_epsilon(fit.fit, 0.5, 0.1);
        else
            g_assert_cmpfloat(fit.fit, <, 0.2);
        pm_fit_clear(&fit);
    }
}

/* A class that is a mixture, and the structures of the size that are in it. */
typedef struct {
    const char *command;
    guint64 bytes;
    const char *const names[9];
} Mixture;

static const Mixture mixtures[] = {
    {"structs --size 64", 64, {"session", "request", "timer", "entry", "particle", "rbnode", NULL}},
    {"structs --size 48",
     48,
     {"connection", "job", "ast", "symbol", "account", "transfer", "trie", "plugin", NULL}},
    /* Of two pointers and little else: no layout is one of these alone. */
    {"structs --size 24", 24, {"scope", "arc", NULL}},
};

/* Those that there are come before all that are not. */
static void
check_rows(const Mixture *mixture, JsonArray *structs)
{
    const guint count = g_strv_length((char **)mixture->names);
    guint found = 0;
    for (guint i = 0; i < MIN(count, json_array_get_length(structs)); i++) {
        JsonObject *object = json_array_get_object_element(structs, i);
        const char *name = skip_keyword(json_object_get_string_member(object, "name"));
        g_assert_cmpuint(real_member_uint(object, "byte_size"), ==, mixture->bytes);
        found += g_strv_contains(mixture->names, name) ? 1 : 0;
    }
    g_assert_cmpuint(found, ==, count);
}

/* What layouts are said to be, their chunks are. */
static void
check_layouts(const Mixture *mixture, JsonArray *layouts, const RealTruth *truth)
{
    guint named = 0;
    for (guint i = 0; i < json_array_get_length(layouts); i++) {
        JsonObject *layout = json_array_get_object_element(layouts, i);
        JsonArray *examples = json_object_get_array_member(layout, "examples");
        if (json_object_get_null_member(layout, "name"))
            continue;
        named++;
        const char *name = skip_keyword(json_object_get_string_member(layout, "name"));
        for (guint j = 0; j < json_array_get_length(examples); j++) {
            const char *text = json_array_get_string_element(examples, j);
            const RealRow *row = real_truth_find(truth, g_ascii_strtoull(text, NULL, 16));
            if (row == NULL || g_strcmp0(row->name, name) != 0)
                real_fail("%s is said to be %s, but is %s", text, name,
                          row == NULL ? "nothing" : row->name);
        }
    }
    g_assert_cmpuint(named, ==, g_strv_length((char **)mixture->names));
}

static void
test_mixture(void)
{
    g_autoptr(RealRun) run = run_sample("--hidden");
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    const RealSubject subject = {.core = run->core};
    for (guint i = 0; i < G_N_ELEMENTS(mixtures); i++) {
        g_autoptr(JsonNode) document = real_ask(&subject, mixtures[i].command, NULL);
        if (document == NULL)
            continue;
        check_rows(&mixtures[i], real_get_array(document, "data.structs"));
        check_layouts(&mixtures[i], real_get_array(document, "data.layouts"), truth);
        real_get_array(document, "data.modules_without_dwarf");
    }
}

/* Arrays of pointers are told by what is at their end. */
static void
test_pointers(void)
{
    g_autoptr(RealRun) run = run_sample("");
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(Opened) opened = open_core(run);
    static const struct {
        guint64 bytes;
        const char *element;
    } arrays[] = {{64, "struct user *"}, {128, "struct entry *"}};
    for (guint i = 0; i < G_N_ELEMENTS(arrays); i++) {
        g_autoptr(GArray) chunks = g_array_new(FALSE, FALSE, sizeof(PmChunk));
        for (guint j = 0; j < truth->live->len; j++) {
            const RealRow *row = &g_array_index(truth->live, RealRow, j);
            PmChunk chunk;
            if (g_strcmp0(row->name, "pointers") == 0 && row->requested_bytes == arrays[i].bytes &&
                pm_heap_find_chunk(pm_ptmalloc_get_heap(opened->core.ptmalloc), row->address,
                                   &chunk, NULL))
                g_array_append_val(chunks, chunk);
        }
        g_autoptr(GArray) candidates =
            pm_fitter_rank(opened->fitter, (const PmChunk *)(gconstpointer)chunks->data,
                           chunks->len, arrays[i].bytes, arrays[i].bytes);
        g_assert_cmpuint(candidates->len, >, 0);
        const PmCandidate *first = &g_array_index(candidates, PmCandidate, 0);
        g_assert_true(first->is_array);
        g_assert_cmpstr(first->type->name, ==, arrays[i].element);
        g_assert_cmpuint(first->elements, ==, arrays[i].bytes / 8);
    }
}

/* What the command reads of types it keeps: the second run says the same, and reads no DWARF. */
static void
test_second_run(void)
{
    g_autoptr(RealRun) run = run_sample("");
    if (run == NULL)
        return;
    g_autofree char *before = g_strdup(g_getenv("XDG_CACHE_HOME"));
    g_autofree char *cache = g_build_filename(run->folder, "cache", NULL);
    g_autofree char *kept = g_build_filename(cache, "postmalloc", "types-read", NULL);
    const RealSubject subject = {.core = run->core};
    g_setenv("XDG_CACHE_HOME", cache, TRUE);
    g_autoptr(JsonNode) first = real_ask(&subject, "structs --size 48", NULL);
    g_autoptr(GDir) folder = g_dir_open(kept, 0, NULL);
    g_assert_nonnull(folder);
    g_assert_nonnull(folder == NULL ? NULL : g_dir_read_name(folder));
    g_autoptr(JsonNode) second = real_ask(&subject, "structs --size 48", NULL);
    if (first != NULL && second != NULL) {
        g_autofree char *text = json_to_string(first, FALSE);
        g_autofree char *again = json_to_string(second, FALSE);
        g_assert_cmpstr(text, ==, again);
    }
    if (before == NULL)
        g_unsetenv("XDG_CACHE_HOME");
    else
        g_setenv("XDG_CACHE_HOME", before, TRUE);
}

/* A block that is no structure, of sizes for which there are many. */
typedef struct {
    const char *name;
    const char *options;
    guint64 bytes;
} Block;

static const Block blocks[] = {
    {"noise", "--noise 24 --zeros 24 --texts 24", 24},
    {"noise", "--noise 48 --zeros 48 --texts 48", 48},
    {"noise", "--noise 64 --zeros 64 --texts 64", 64},
    {"noise", "--noise 112 --zeros 112 --texts 112", 112},
    {"noise", "--noise 1024 --zeros 1024 --texts 1024", 1024},
};

/* The chunks of @name that were asked for with @bytes: nothing may give them its name. */
static void
rank_block(const Opened *opened, const RealTruth *truth, const char *name, guint64 bytes)
{
    g_autoptr(GArray) chunks = g_array_new(FALSE, FALSE, sizeof(PmChunk));
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        PmChunk chunk;
        if (g_strcmp0(row->name, name) == 0 && row->requested_bytes == bytes &&
            pm_heap_find_chunk(pm_ptmalloc_get_heap(opened->core.ptmalloc), row->address, &chunk,
                               NULL))
            g_array_append_val(chunks, chunk);
    }
    g_assert_cmpuint(chunks->len, >, 10);
    /* Every size that the class serves: what `--chunk-size` would ask. */
    g_autoptr(GArray) candidates =
        pm_fitter_rank(opened->fitter, (const PmChunk *)(gconstpointer)chunks->data, chunks->len,
                       bytes - 8, bytes);
    for (guint i = 0; i < candidates->len; i++) {
        const PmCandidate *candidate = &g_array_index(candidates, PmCandidate, i);
        if (i < 3)
            g_test_message("%s of %" G_GUINT64_FORMAT " bytes: %s%s %.3f (%u of %u against)", name,
                           bytes, candidate->type->name, candidate->is_array ? "[]" : "",
                           candidate->fit.fit, candidate->fit.contradictions,
                           candidate->fit.fields_checked);
        if (candidate->fit.fit >= PM_FIT_FITS)
            real_fail("%s is said to be %s", name, candidate->type->name);
    }
    g_assert_false(pm_candidate_fits(candidates, 0));
}

static void
test_blocks(gconstpointer data)
{
    const Block *block = data;
    g_autoptr(RealRun) run = run_sample(block->options);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(Opened) opened = open_core(run);
    rank_block(opened, truth, "noise", block->bytes);
    rank_block(opened, truth, "zeros", block->bytes);
    rank_block(opened, truth, "text", block->bytes);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_data_func("/real/structs/by-fit", "", test_by_fit);
    g_test_add_data_func("/real/structs/by-fit-hidden", "--hidden", test_by_fit);
    g_test_add_func("/real/structs/integers", test_integers);
    g_test_add_func("/real/structs/mixture", test_mixture);
    g_test_add_func("/real/structs/pointers", test_pointers);
    g_test_add_func("/real/structs/second-run", test_second_run);
    for (guint i = 0; i < G_N_ELEMENTS(blocks); i++) {
        g_autofree char *path =
            g_strdup_printf("/real/structs/blocks-%" G_GUINT64_FORMAT, blocks[i].bytes);
        g_test_add_data_func(path, &blocks[i], test_blocks);
    }
    return g_test_run();
}
