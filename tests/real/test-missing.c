/*
 * Cores whose program is not on this machine, or lies under a sysroot; cores that are cut off;
 * programs that never called malloc.
 */
#include "compare.h"
#include "run.h"

#include <glib/gstdio.h>
#include <string.h>

/* The name that the psABI gives the loader (x86-64 psABI, "Program Loading"). */
#define LOADER "/lib64/ld-linux-x86-64.so.2"

/* Copies @from into @folder, links followed; the copy's path. */
static char *
copy_into(const char *folder, const char *from)
{
    g_autofree char *name = g_path_get_basename(from);
    char *copy = g_build_filename(folder, name, NULL);
    const char *command[] = {"cp", "-L", from, copy, NULL};
    g_assert_cmpint(real_run_command(command, NULL, NULL, NULL, 10), ==, 0);
    return copy;
}

/* A folder with the loader, the sample and its libraries, as a container might have them: out of
 * the way of the usual paths. */
typedef struct {
    char *folder;
    char *loader;
    char *sample;
} Container;

static void
container_init(Container *container, const char *name)
{
    container->folder = g_dir_make_tmp("postmalloc-container-XXXXXX", NULL);
    g_autofree char *sample = real_get_sample(name);
    container->sample = copy_into(container->folder, sample);
    container->loader = copy_into(container->folder, LOADER);
    g_autofree char *list = g_build_filename(container->folder, "list", NULL);
    const char *command[] = {LOADER, "--list", sample, NULL};
    g_assert_cmpint(real_run_command(command, NULL, list, NULL, 10), ==, 0);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(list, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL; i++) {
        const char *arrow = strstr(lines[i], "=> /");
        if (arrow == NULL)
            continue;
        g_auto(GStrv) words = g_strsplit(arrow + strlen("=> "), " ", 2);
        g_autofree char *copy = copy_into(container->folder, words[0]);
    }
}

static void
container_clear(Container *container)
{
    real_remove(container->folder);
    g_free(container->folder);
    g_free(container->loader);
    g_free(container->sample);
}

static RealRun *
container_run(const Container *container, const char *options, RealCoreKind kind)
{
    const char *program[] = {container->loader, "--library-path", container->folder,
                             container->sample, NULL};
    return real_run_sample(program, options, kind);
}

typedef struct {
    const char *name;
    const char *sample;
    const char *options;
    RealCoreKind kind;
    guint threads;
    gboolean printed;
} Case;

static const Case cases[] = {
    {"mix/kernel", "mix", "--printf --threads 4", REAL_KERNEL_CORE, 5, TRUE},
    {"mix/gcore", "mix", "--threads 3", REAL_GCORE, 4, FALSE},
    {"noncontiguous", "layouts", "--body --noncontiguous", REAL_KERNEL_CORE, 1, FALSE},
    {"foreign-sbrk", "layouts", "--foreign-sbrk", REAL_KERNEL_CORE, 1, FALSE},
    {"top-pad", "layouts", "--top-pad 1M --body --many-mmapped 20", REAL_KERNEL_CORE, 1, FALSE},
};

/* How the module whose file is called @name was found: "found", "missing" or "mismatch". */
static void
expect_module(const RealSubject *subject, const char *name, const char *state)
{
    g_autoptr(JsonNode) info = real_ask(subject, "info", NULL);
    if (info == NULL)
        return;
    guint seen = 0;
    JsonArray *modules = real_get_array(info, "data.modules");
    for (guint i = 0; i < json_array_get_length(modules); i++) {
        JsonObject *module = json_array_get_object_element(modules, i);
        g_autofree char *base = g_path_get_basename(json_object_get_string_member(module, "path"));
        if (!g_str_equal(base, name))
            continue;
        seen++;
        g_assert_cmpstr(json_object_get_string_member(module, "elf"), ==, state);
    }
    g_assert_cmpuint(seen, ==, 1);
}

static void
test_no_binaries(gconstpointer data)
{
    const Case *one = data;
    Container container;
    container_init(&container, one->sample);
    g_autoptr(RealRun) run = container_run(&container, one->options, one->kind);
    container_clear(&container);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    /* A separate debug file would still tell libc's symbols. */
    const char *options[] = {"--debug-dir", run->folder, NULL};
    RealSubject subject = {.core = run->core, .options = options};
    RealExpected expected = {
        .threads = one->threads,
        .mp_may_hide = strstr(one->options, "--top-pad") != NULL,
        .found_by = "signature",
        .libc_missing = TRUE,
        .runtime = real_expect_runtime(one->threads, 0, one->printed),
    };
    real_compare(&subject, truth, &expected);
    expect_module(&subject, "libc.so.6", "missing");
}

/* The container's files at another place, under --sysroot. */
static void
test_sysroot(void)
{
    Container container;
    container_init(&container, "mix");
    g_autoptr(RealRun) run = container_run(&container, "--threads 2", REAL_KERNEL_CORE);
    if (run != NULL) {
        g_autofree char *sysroot = g_build_filename(run->folder, "sysroot", NULL);
        g_autofree char *moved = g_build_filename(sysroot, container.folder, NULL);
        g_assert_cmpint(g_mkdir_with_parents(moved, 0700), ==, 0);
        g_assert_cmpint(g_rmdir(moved), ==, 0);
        const char *command[] = {"mv", container.folder, moved, NULL};
        g_assert_cmpint(real_run_command(command, NULL, NULL, NULL, 10), ==, 0);
        g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
        const char *options[] = {"--sysroot", sysroot, NULL};
        RealSubject subject = {.core = run->core, .options = options};
        RealExpected expected = {.threads = 3, .runtime = real_expect_runtime(3, 0, FALSE)};
        real_compare(&subject, truth, &expected);
        expect_module(&subject, "libc.so.6", "found");
        expect_module(&subject, "mix", "found");
    }
    container_clear(&container);
}

/* One stretch of memory that the file holds. */
typedef struct {
    guint64 start;
    guint64 end;
} Present;

static guint64
load(const guint8 *bytes, gsize size)
{
    guint64 value = 0;
    memcpy(&value, bytes, size);
    return GUINT64_FROM_LE(value);
}

/* The PT_LOADs of a 64-bit core whose bytes lie in the file, by our own reading (ELF gABI:
 * Elf64_Ehdr, Elf64_Phdr). */
static GArray *
read_present(const char *core)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(core, FALSE, NULL);
    g_assert_nonnull(file);
    const guint8 *bytes = (const guint8 *)g_mapped_file_get_contents(file);
    guint64 length = g_mapped_file_get_length(file);
    guint64 headers = load(bytes + 32, 8), size = load(bytes + 54, 2), count = load(bytes + 56, 2);
    GArray *present = g_array_new(FALSE, FALSE, sizeof(Present));
    for (guint64 i = 0; i < count; i++) {
        const guint8 *header = bytes + headers + i * size;
        guint64 offset = load(header + 8, 8), address = load(header + 16, 8),
                dumped = load(header + 32, 8);
        if (load(header, 4) != 1 || offset >= length)
            continue;
        Present one = {address, address + MIN(dumped, length - offset)};
        g_array_append_val(present, one);
    }
    return present;
}

static gboolean
is_present(const GArray *present, const RealRow *row)
{
    for (guint i = 0; i < present->len; i++) {
        const Present *one = &g_array_index(present, Present, i);
        if (row->address - 16 >= one->start && row->address - 16 + row->chunk_bytes <= one->end)
            return TRUE;
    }
    return FALSE;
}

/*
 * A snapshot whose second half is lost, and with it the notes, libc's data (so main_arena) and most
 * stacks. Of the thread arenas that are there, every chunk that is there is right; nothing that is
 * reported is wrong.
 */
static void
test_cut(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("mix", "", REAL_GCORE);
    if (run == NULL)
        return;
    real_run_cut(run, 1, 2);
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(GArray) present = read_present(run->core);
    RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "chunks --state used --limit 0", NULL);
    if (document == NULL)
        return;
    g_assert_true(json_node_get_boolean(real_get(document, "core.truncated")));
    JsonArray *chunks = real_get_array(document, "data.chunks");
    guint extra = 0, wrong = 0, missing = 0, expected = 0;
    for (guint i = 0; i < json_array_get_length(chunks); i++) {
        JsonObject *chunk = json_array_get_object_element(chunks, i);
        RealRow *row = real_truth_find(truth, real_member_address(chunk, "address"));
        if (row == NULL) {
            if (g_strcmp0(json_object_get_string_member(chunk, "state"), "runtime") != 0 &&
                extra++ < 8)
                g_test_message("extra: %s", json_object_get_string_member(chunk, "address"));
            continue;
        }
        row->seen = TRUE;
        wrong += row->chunk_bytes != real_member_uint(chunk, "chunk_bytes");
    }
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (row->place == REAL_PLACE_MAIN || !is_present(present, row))
            continue;
        expected++;
        if (!row->seen && missing++ < 8)
            g_test_message("missing: 0x%" G_GINT64_MODIFIER "x place %d", row->address, row->place);
    }
    g_assert_cmpuint(expected, >, 1000);
    g_assert_cmpuint(extra, ==, 0);
    g_assert_cmpuint(wrong, ==, 0);
    g_assert_cmpuint(missing, ==, 0);
}

/* A program that has a glibc but never allocated: refused with a word that scripts know, not an
 * empty answer or a crash. */
static void
test_never_allocated(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("layouts", "", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask_refused(&subject, "arenas");
    if (document != NULL)
        g_assert_cmpstr(real_get_string(document, "error.code"), ==, "no-heap");
    g_autoptr(JsonNode) info = real_ask(&subject, "info", NULL);
    if (info != NULL)
        g_assert_nonnull(real_get_string(info, "data.process.executable"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/real/no-binaries/", cases[i].name, NULL);
        g_test_add_data_func(path, &cases[i], test_no_binaries);
    }
    g_test_add_func("/real/sysroot", test_sysroot);
    g_test_add_func("/real/cut-snapshot", test_cut);
    g_test_add_func("/real/never-allocated", test_never_allocated);
    return g_test_run();
}
