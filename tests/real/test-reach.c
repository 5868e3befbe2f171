/*
 * The leak scan on samples whose ledger has the class of every block: each scene of the sample
 * reach by itself, and samples that make heaps of other shapes.
 */
#include "reach.h"
#include "run.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    const char *name;
    const char *sample;
    const char *options;
} Case;

static const Case cases[] = {
    {"clean", "reach", "--clean"},
    {"shapes", "reach",
     "--header --list --tree --ring --interior --lost-list --lost-tree --lost-ring --lost-rings "
     "--lost-linked-rings --lost-child --lost-shared-child --self --moved --bins --freed "
     "--freed-to-top"},
    {"threads", "reach",
     "--registers --vectors --keys --plugin --closed-plugin --thread-stack --thread-plugin "
     "--thread-below-sp --thread-arena --thread-bins --handler --mapped-fibre --block-fibre "
     "--lost-list --below-sp"},
    {"cxx", "reach-cxx", ""},
    {"cxx-clean", "reach-cxx", "--clean"},
    {"mix", "mix", "--printf"},
    {"mix-exit-some", "mix", "--exit-some --seed 2"},
    {"body", "layouts", "--body"},
    {"foreign-sbrk", "layouts", "--body --foreign-sbrk"},
    {"noncontiguous", "layouts", "--body --noncontiguous"},
    {"many-mmapped", "layouts", "--body --many-mmapped 300"},
    {"case1", "case1", "20000"},
    {"case2", "case2", "500"},
};

/* What holds blocks of these names at the end, found through names in the sample's source. */
static const RealHolder holders[] = {
    {"list", "module data", "list_root"},
    {"tree", "module data", "tree_root"},
    {"ring", "module data", "ring_root"},
    {"last-word-held", "module data", "last_word_root"},
    {"large-held", "module data", "large_root"},
    {"fan-held", "module data", "fan_root"},
    {"zero", "module data", "zero_root"},
    {"interior-held", "module data", "interior_root"},
    {"both-held", "module data", "both_roots"},
    {"slack", "module data", "slack_root"},
    {"deep-list", "module data", "deep_root"},
    {"kept-child", "module data", "kept_root"},
    {"header-before", "module data", "header_roots"},
    {"data", "module data", "data_root"},
    {"plugin-data", "module data", "plugin_data"},
    {"plugin-bss", "module data", "plugin_bss"},
    {"jump-rbx", "module data", "plain_jump"},
    {"jump-rbp", "module data", "mangled_jump"},
    {"block-fibre-stack", "module data", "block_context"},
    {"block-fibre", "module data", "block_context"},
    {"main-arena-again", "module data", "crossing_root"},
    {"environment", "module data", NULL},
    {"on-exit", "module data", NULL},
    {"late-on-exit", "module data", NULL},
    {"stream-buffer", "module data", NULL},
    {"thread-local", "tls", NULL},
    {"other-thread-local", "tls", NULL},
    {"static-plugin-thread-local", "tls", NULL},
    {"low-key", "thread block", NULL},
    {"high-key", "thread block", NULL},
    {"thread-low-key", "thread block", NULL},
    {"thread-high-key", "thread block", NULL},
    {"unjoined-result", "thread block", NULL},
    {"unjoined-argument", "thread block", NULL},
    {"thread-stack-held", "stack", NULL},
    {"red-zone", "stack", NULL},
    {"thread-red-zone", "stack", NULL},
    {"interrupted-stack", "stack (bounds unknown)", NULL},
    {"alternate-stack", "stack (bounds unknown)", NULL},
    {"main-interrupted-stack", "stack (bounds unknown)", NULL},
    {"main-alternate-stack", "stack (bounds unknown)", NULL},
    {"left-stack", "stack (bounds unknown)", NULL},
    {"mapped-fibre", "unclassified mapping", NULL},
    {"mapping", "unclassified mapping", NULL},
    {"mapping-beside", "unclassified mapping", NULL},
    {"shared", "shared memory", NULL},
    {"memfd", "shared memory", NULL},
    {"private-file", "mapped file", NULL},
    {"shared-file", "mapped file", NULL},
    {"rbx", "registers", NULL},
    {"rbp", "registers", NULL},
    {"r12", "registers", NULL},
    {"r13", "registers", NULL},
    {"r14", "registers", NULL},
    {"r15", "registers", NULL},
    {"xmm8", "registers", NULL},
    {"ymm10", "registers", NULL},
    {"zmm20", "registers", NULL},
    {"thread-r12", "registers", NULL},
    {"thread-rbp", "registers", NULL},
    {"thread-xmm8", "registers", NULL},
    {NULL, NULL, NULL},
};

/* The groups of a scene: the chunk size of their roots (0: shared), roots, rings among them, and
 * lost chunks; "control" is one more in each. */
typedef struct {
    const char *scene;
    guint64 groups[4][4];
} Grouping;

static const Grouping groupings[] = {
    {"--lost-list", {{48, 1, 0, 7}}},
    {"--lost-tree", {{48, 1, 0, 31}}},
    {"--lost-ring", {{48, 1, 1, 6}}},
    {"--lost-ring-with-tail", {{48, 1, 1, 6}}},
    {"--lost-ring-with-root", {{48, 1, 0, 5}}},
    {"--lost-rings", {{48, 1, 1, 8}}},
    {"--lost-linked-rings", {{48, 2, 2, 9}}},
    {"--lost-shared-child", {{112, 1, 0, 2}, {208, 1, 0, 2}, {0, 0, 0, 2}}},
    {"--lost-diamond", {{48, 1, 0, 4}}},
    {"--self", {{48, 1, 0, 1}}},
    {"--lost-deep-list", {{48, 1, 0, 100000}}},
    {"--lost-deep-ring", {{48, 1, 1, 100000}}},
};

static const guint64 control_group[4] = {3008, 1, 0, 1};

static gboolean
has_group(JsonArray *groups, const guint64 expected[4])
{
    for (guint i = 0; i < json_array_get_length(groups); i++) {
        JsonObject *group = json_array_get_object_element(groups, i);
        const gboolean shared = json_object_get_null_member(group, "chunk_bytes");
        if ((shared ? 0 : real_member_uint(group, "chunk_bytes")) == expected[0] &&
            real_member_uint(group, "roots") == expected[1] &&
            real_member_uint(group, "cycles") == expected[2] &&
            real_member_uint(group, "lost_chunks") == expected[3])
            return TRUE;
    }
    return FALSE;
}

static void
compare_groups(JsonNode *document, const char *scene)
{
    JsonArray *groups = real_get_array(document, "data.groups");
    for (gsize i = 0; i < G_N_ELEMENTS(groupings); i++) {
        if (g_strcmp0(groupings[i].scene, scene) != 0)
            continue;
        gboolean all = has_group(groups, control_group);
        guint count = 1;
        for (gsize j = 0; groupings[i].groups[j][3] != 0; j++, count++)
            all = all && has_group(groups, groupings[i].groups[j]);
        if (!all || count != json_array_get_length(groups)) {
            g_autofree char *text = json_to_string(real_get(document, "data.groups"), FALSE);
            real_fail("the groups are others than those of the scene: %s", text);
        }
    }
}

/*
 * With what this machine knows of libc and without its symbols, by one worker and by eight: these
 * two agree in everything, the others in all but the names of types and the groups that hang on
 * them.
 */
static void
compare_classes(const RealRun *run, RealTruth *truth, const Case *one)
{
    g_autofree char *nothing = g_build_filename(run->folder, "nothing", NULL);
    g_assert_cmpint(g_mkdir_with_parents(nothing, 0700), ==, 0);
    const char *variants[][5] = {{"-j", "1", NULL},
                                 {"-j", "8", NULL},
                                 {"-j", "1", "--debug-dir", nothing, NULL},
                                 {"-j", "8", "--debug-dir", nothing, NULL}};
    g_autofree char *first = NULL;
    g_autofree char *same = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(variants); i++) {
        RealSubject subject = {run->core, variants[i]};
        g_autoptr(JsonNode) document = real_compare_reach(&subject, truth);
        if (document == NULL)
            return;
        g_autofree char *text = json_to_string(real_get(document, "data"), FALSE);
        g_autofree char *sums = json_to_string(real_get(document, "data.classes"), FALSE);
        if (i % 2 == 1 && !g_str_equal(text, same))
            real_fail("the answers differ: %.2000s\n%.2000s", same, text);
        g_free(same);
        same = g_steal_pointer(&text);
        if (first != NULL && !g_str_equal(sums, first))
            real_fail("the classes differ: %s\n%s", first, sums);
        if (first != NULL)
            continue;
        first = g_steal_pointer(&sums);
        compare_groups(document, one->options);
        if (strstr(one->options, "--clean") != NULL)
            g_assert_cmpuint(real_get_uint(document, "data.lost.chunks"), ==, 0);
    }
}

static void
test_case(const Case *one, RealCoreKind kind)
{
    g_autoptr(RealRun) run = real_run_built_sample(one->sample, one->options, kind);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    compare_classes(run, truth, one);
    if (kind == REAL_KERNEL_CORE) {
        RealSubject subject = {.core = run->core};
        real_compare_references(&subject, truth, holders);
    }
}

static void
test_kernel_core(gconstpointer one)
{
    test_case(one, REAL_KERNEL_CORE);
}

static void
test_gcore(gconstpointer one)
{
    test_case(one, REAL_GCORE);
}

static void
add_case(const char *group, const Case *one)
{
    const char *name = one->name + strspn(one->name, "-");
    g_autofree char *kernel = g_strdup_printf("/real/reach/%s%s/kernel", group, name);
    g_autofree char *gcore = g_strdup_printf("/real/reach/%s%s/gcore", group, name);
    g_test_add_data_func(kernel, one, test_kernel_core);
    g_test_add_data_func(gcore, one, test_gcore);
}

/* As the sample itself lists them. */
static void
add_scenes(void)
{
    g_autofree char *sample = real_get_sample("reach");
    char *command[] = {sample, "--scenes", NULL};
    char *output = NULL;
    g_assert_true(
        g_spawn_sync(NULL, command, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, NULL, NULL));
    char **scenes = g_strsplit(g_strchomp(output), "\n", -1);
    Case *all = g_new0(Case, g_strv_length(scenes));
    g_free(output);
    for (gsize i = 0; scenes[i] != NULL; i++) {
        all[i] = (Case){scenes[i], "reach", scenes[i]};
        add_case("scenes/", &all[i]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    add_scenes();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        add_case("", &cases[i]);
    return g_test_run();
}
