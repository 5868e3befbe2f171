/*
 * pm_types_describe_variable() on a real core of this program, whose own variables are what is
 * looked for; and with its DWARF damaged.
 */
#include "dwarf/types.h"

#include <gelf.h>
#include <glib/gstdio.h>

#include "chains.h"
#include "core-builder.h"

typedef struct Node {
    struct Node *next;
    guint32 first;
    guint32 second;
} Node;

typedef struct {
    guint64 count;
    struct {
        Node *head;
        guint8 tag; /* and padding behind it */
    } buckets[4];
    Node nodes[2][3];
    union {
        guint64 number;
        Node *pointer;
        struct {
            guint32 low;
            Node *high;
        } pair;
    } any;
    struct {
        Node *unnamed;
    };
    Node *const *volatile last;
} Table;

typedef const volatile Table Session;

typedef struct {
    guint64 count;
    Node *items[];
} OpenEnd;

/* Outside them nothing may see that they are never written. */
#define KEPT __attribute__((used))

static KEPT Table table;
static KEPT Session sessions[2];
static KEPT Node *(*callbacks[2][2])(void);
static KEPT OpenEnd open_end = {2, {NULL, (Node *)&table}};
static KEPT __thread guint64 thread_count = 1;
static KEPT __thread Table thread_table;

static char *folder;
static char *core;
static const char *skip_reason;
static PmDiagnostics *diagnostics;
static PmImage *image;
static PmProcess *process;
static PmTypes *types;

/* Returns: the address of a variable that no other function can name. */
static G_NO_INLINE guint64 *
get_counter(void)
{
    static guint64 counter = 7;
    counter++;
    return &counter;
}

static void
open_core(void)
{
    g_autoptr(GError) error = NULL;
    gsize count = 0;
    diagnostics = pm_diagnostics_new();
    image = pm_image_open(core, diagnostics, &error);
    g_assert_no_error(error);
    process = pm_process_open(image, NULL, diagnostics, &error);
    g_assert_no_error(error);
    types = pm_types_new(process, &(PmTypesOptions){.cache_folder = ""}, diagnostics);
    const PmModule *modules = pm_process_get_modules(process, &count);
    g_assert_cmpuint(count, >, 0);
    if (!modules[0].dwarf)
        skip_reason = "this program was built without debug information";
}

static gboolean
prepare(void)
{
    if (skip_reason != NULL)
        g_test_skip(skip_reason);
    return skip_reason == NULL;
}

static void
assert_variable(const volatile void *variable, gsize offset, const char *expected)
{
    g_autofree char *text = pm_types_describe_variable(types, (guintptr)variable + offset);
    g_assert_cmpstr(text, ==, expected);
}

static void
test_fields(void)
{
    if (!prepare())
        return;
    assert_variable(&table, 0, "table.count");
    assert_variable(&table.buckets[3].head, 0, "table.buckets[3].head");
    assert_variable(&table.buckets[0].tag, 0, "table.buckets[0].tag");
    assert_variable(&table.buckets[1].head, 4, "table.buckets[1].head + 0x4");
    assert_variable(&table.buckets[1].tag, 1, "table.buckets[1] + 0x9");
    assert_variable(&table.nodes[1][2].second, 0, "table.nodes[1][2].second");
    assert_variable(&table.nodes[1][2].second, 2, "table.nodes[1][2].second + 0x2");
    assert_variable(&table.unnamed, 0, "table.unnamed");
    assert_variable(&table.last, 0, "table.last");
    assert_variable(&sessions[1].nodes[0][1].next, 0, "sessions[1].nodes[0][1].next");
    assert_variable(&callbacks[1][0], 0, "callbacks[1][0]");
}

static void
test_unions(void)
{
    if (!prepare())
        return;
    assert_variable(&table.any, 0, "table.any.pointer");
    assert_variable(&table.any.pair.high, 0, "table.any.pair.high");
    assert_variable(&table.any, 4, "table.any.number + 0x4");
}

static void
test_places(void)
{
    if (!prepare())
        return;
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    assert_variable(get_counter(), 0, "get_counter::counter");
    assert_variable(&open_end.items[0], 0, "open_end.items[0]");
    assert_variable(&open_end.items[1], 0, "open_end.items[1]");
    assert_variable(&chain_facts, 0, "chain_facts");
    assert_variable((gconstpointer)(guintptr)modules[0].start, 0, NULL);
    assert_variable(NULL, 0, NULL);
    assert_variable(&count, 0, NULL);
}

static void
assert_thread_local(const PmThread *thread, PmAddr address, const char *expected)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(process, &count);
    const PmModule *module = NULL;
    g_autofree char *text = pm_types_describe_thread_local(types, thread, address, &module);
    g_assert_cmpstr(text, ==, expected);
    g_assert_true(module == (expected != NULL ? &modules[0] : NULL));
}

/* All threads have them; the main thread's are where they are in this process, which the one that
 * died was forked from. */
static void
test_thread_locals(void)
{
    if (!prepare())
        return;
    gsize thread_number = 0;
    const PmThread *threads = pm_process_get_threads(process, &thread_number);
    const guint64 distance = (guintptr)&thread_table - (guintptr)&thread_count;
    const gsize within = offsetof(Table, nodes[1][1].next);
    g_assert_cmpuint(thread_number, ==, 3);
    assert_thread_local(&threads[0], (guintptr)&thread_count, "thread_count");
    for (gsize i = 0; i < thread_number; i++) {
        const PmAddr start = threads[i].tp - threads[0].tp + (guintptr)&thread_count;
        assert_thread_local(&threads[i], start, "thread_count");
        assert_thread_local(&threads[i], start + 4, "thread_count + 0x4");
        assert_thread_local(&threads[i], start + distance + within,
                            "thread_table.nodes[1][1].next");
        assert_thread_local(&threads[i], threads[i].tp, NULL);
        assert_thread_local(&threads[i], threads[(i + 1) % 3].tp - threads[i].tp + start, NULL);
    }
}

/* Where this program's .debug_info or .debug_abbrev is in its file. */
static void
find_section(const char *path, const char *wanted, guint64 *ret_offset, guint64 *ret_bytes)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    size_t names = 0;
    Elf_Scn *section = NULL;
    g_assert_true(g_file_get_contents(path, &bytes, &count, NULL));
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory(bytes, count);
    g_assert_cmpint(elf_getshdrstrndx(elf, &names), ==, 0);
    while ((section = elf_nextscn(elf, section)) != NULL) {
        GElf_Shdr header;
        g_assert_nonnull(gelf_getshdr(section, &header));
        if (g_strcmp0(elf_strptr(elf, names, header.sh_name), wanted) != 0)
            continue;
        *ret_offset = header.sh_offset;
        *ret_bytes = header.sh_size;
    }
    elf_end(elf);
}

#define DAMAGE_ROUNDS 24
#define DAMAGE_PLACES 32

/* Whatever it says then, it says it and ends. */
static void
describe_all(const char *program)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PmProcess) damaged =
        pm_process_open(image, &(PmProcessOptions){.exe = program}, diagnostics, &error);
    gsize count = 0;
    g_assert_no_error(error);
    g_autoptr(PmTypes) damaged_types =
        pm_types_new(damaged, &(PmTypesOptions){.cache_folder = ""}, diagnostics);
    const PmModule *modules = pm_process_get_modules(damaged, &count);
    const PmThread *threads = pm_process_get_threads(damaged, &count);
    g_assert_cmpstr(modules[0].file, ==, program);
    for (PmAddr at = (guintptr)&table; at < (guintptr)(&table + 1); at += 4) {
        g_autofree char *text = pm_types_describe_variable(damaged_types, at);
        g_assert_true(text == NULL || text[0] != '\0');
    }
    for (PmAddr at = threads[0].static_tls.start; at < threads[0].static_tls.end; at += 4) {
        g_autofree char *text =
            pm_types_describe_thread_local(damaged_types, &threads[0], at, NULL);
        g_assert_true(text == NULL || text[0] != '\0');
    }
}

static void
test_damaged(void)
{
    static const char *const sections[] = {".debug_info", ".debug_abbrev"};
    if (!prepare())
        return;
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *copy = g_build_filename(folder, "program", NULL);
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(program, &bytes, &count, NULL));
    for (guint round = 0; round < DAMAGE_ROUNDS; round++) {
        guint64 offset = 0, section_bytes = 0;
        find_section(program, sections[round % 2], &offset, &section_bytes);
        g_assert_cmpuint(section_bytes, >, 0);
        g_assert_true(g_file_set_contents(copy, bytes, (gssize)count, NULL));
        for (guint i = 0; i < DAMAGE_PLACES; i++) {
            const guint8 byte = (guint8)g_test_rand_int_range(0, 256);
            const guint64 place = (guint32)g_test_rand_int() % section_bytes;
            core_file_patch(copy, offset + place, &byte, 1);
        }
        describe_all(copy);
    }
    g_unlink(copy);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    chains_prepare();
    folder = g_dir_make_tmp("postmalloc-XXXXXX", NULL);
    g_assert_nonnull(folder);
#ifndef __x86_64__
    skip_reason = "what is expected here is written for x86-64";
#else
    core = chains_make_core(folder, "core", FALSE, &skip_reason);
#endif
    if (skip_reason == NULL)
        open_core();
    g_test_add_func("/variables/fields", test_fields);
    g_test_add_func("/variables/unions", test_unions);
    g_test_add_func("/variables/places", test_places);
    g_test_add_func("/variables/thread-locals", test_thread_locals);
    g_test_add_func("/variables/damaged", test_damaged);
    const int status = g_test_run();
    if (process != NULL) {
        pm_types_free(types);
        pm_process_free(process);
        pm_image_free(image);
        pm_diagnostics_free(diagnostics);
        g_unlink(core);
    }
    g_free(core);
    g_rmdir(folder);
    g_free(folder);
    return status;
}
