/*
 * The executable on input that is no core, a core of another machine, a cut-off core, a core with
 * numbers that cannot be: one clear line and status 1, or a partial answer that says so; never a
 * crash, a hang or a huge allocation.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../real/run.h"
#include "core-builder.h"

#define PAGE       G_GUINT64_CONSTANT(4096)
#define SECONDS    20
#define DATA_LIMIT "--data=268435456"

static char *folder;
static const char *const commands[] = {"info", "sizes", "report", "arenas", "chunks", "check"};

typedef struct {
    int exit_status;
    char *output;
    char *errors;
} Answer;

static void
answer_clear(Answer *answer)
{
    g_free(answer->output);
    g_free(answer->errors);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

/* Runs postmalloc; a signal or a time-out fails the test. @format: "text" or "json". */
static void
ask(const char *command, const char *format, const char *core, Answer *ret_answer)
{
    g_autofree char *output = g_build_filename(folder, "output", NULL);
    g_autofree char *errors = g_build_filename(folder, "errors", NULL);
    const char *program = g_getenv("POSTMALLOC");
    const char *limited[] = {"prlimit",  DATA_LIMIT, program, command,
                             "--format", format,     core,    NULL};
    g_assert_nonnull(program);
    real_remove(output);
    real_remove(errors);
    /* The sanitizers keep shadows larger than any limit. */
    const gboolean is_limited = g_getenv("ASAN_BUILD") == NULL;
    const int status =
        real_run_command(is_limited ? limited : limited + 2, NULL, output, errors, SECONDS);
    *ret_answer = (Answer){0};
    g_assert_true(g_file_get_contents(output, &ret_answer->output, NULL, NULL));
    g_assert_true(g_file_get_contents(errors, &ret_answer->errors, NULL, NULL));
    if (status == -1 || !WIFEXITED(status))
        g_error("postmalloc %s %s: wait status %d: %s", command, core, status, ret_answer->errors);
    ret_answer->exit_status = WEXITSTATUS(status);
    if (ret_answer->exit_status > 1)
        g_error("postmalloc %s %s: status %d: %s", command, core, ret_answer->exit_status,
                ret_answer->errors);
}

/* One line that begins with the program and names the file. */
static void
assert_one_line(const Answer *answer, const char *core)
{
    const char *newline = strchr(answer->errors, '\n');
    g_assert_true(g_str_has_prefix(answer->errors, "postmalloc: "));
    if (newline == NULL || newline[1] != '\0' || strstr(answer->errors, core) == NULL)
        g_error("not one line about %s: \"%s\"", core, answer->errors);
}

/* @word: what the line must say, or NULL. */
static void
assert_refused(const char *core, const char *word)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_auto(Answer) text = {0};
        ask(commands[i], "text", core, &text);
        g_assert_cmpint(text.exit_status, ==, 1);
        g_assert_cmpstr(text.output, ==, "");
        assert_one_line(&text, core);
        if (word != NULL && strstr(text.errors, word) == NULL)
            g_error("\"%s\" does not say \"%s\"", text.errors, word);
    }
}

/*
 * An answer about a damaged core: refused in one line, or given with a word about the damage.
 * @must_say: whether an answer must come with "truncated" or a diagnostic.
 */
static int
assert_honest(const char *command, const char *core, gboolean must_say)
{
    g_auto(Answer) json = {0};
    ask(command, "json", core, &json);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    json_parser_load_from_data(parser, json.output, -1, &error);
    if (error != NULL)
        g_error("postmalloc %s --format json %s: %s: \"%s\"", command, core, error->message,
                json.output);
    JsonObject *document = json_node_get_object(json_parser_get_root(parser));
    g_assert_cmpint(json_object_has_member(document, "error"), ==, json.exit_status == 1);
    if (json.exit_status == 1)
        return 1;
    JsonObject *described = json_object_get_object_member(document, "core");
    JsonArray *diagnostics = json_object_get_array_member(document, "diagnostics");
    g_assert_true(json_object_has_member(document, "data"));
    if (must_say && !json_object_get_boolean_member(described, "truncated") &&
        json_array_get_length(diagnostics) == 0)
        g_error("postmalloc %s %s answers as if nothing were wrong", command, core);
    return 0;
}

static void
test_no_core(void)
{
    g_autoptr(CoreFile) empty = core_file_new("", 0);
    assert_refused(empty, "empty");
    g_autoptr(CoreFile) text = core_file_new("It was a dark and stormy night.\n", 32);
    assert_refused(text, "not an ELF file");
    g_autoptr(CoreFile) zeros = core_file_new((const guint8[8192]){0}, 8192);
    assert_refused(zeros, NULL);
    assert_refused(folder, NULL);
    g_autofree char *missing = g_build_filename(folder, "missing", NULL);
    assert_refused(missing, g_strerror(ENOENT));
    assert_refused(g_getenv("POSTMALLOC"), "not a core");
}

static void
test_pipe(void)
{
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    assert_refused(fifo, NULL);
}

static CoreBuilder *
new_small_core(guint16 machine)
{
    static const guint8 bytes[4096] = {1, 2, 3};
    static const CoreFileMapping mappings[] = {
        {0x400000, 0x401000, 0, "/usr/bin/prog"},
        {0x500000, 0x501000, 0, "/usr/lib/libc.so.6"},
    };
    CoreBuilder *builder = core_builder_new(machine);
    for (guint64 i = 0; i < 3; i++)
        core_builder_add_segment(builder, &(CoreSegment){.start = 0x400000 + i * 0x100000,
                                                         .mapped_bytes = 2 * PAGE,
                                                         .dumped_bytes = PAGE,
                                                         .flags = PF_R | PF_W,
                                                         .bytes = bytes,
                                                         .bytes_count = PAGE});
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 9, .signal = 6, .sp = 0x400100});
    core_builder_add_prpsinfo(builder, 9, "prog", "prog");
    core_builder_add_auxv(builder, (const guint64[2][2]){{AT_PAGESZ, 4096}, {AT_NULL, 0}}, 2);
    core_builder_add_file_mappings(builder, mappings, G_N_ELEMENTS(mappings));
    return builder;
}

static void
test_other_machines(void)
{
    static const struct {
        guint16 machine;
        guint8 data;
    } others[] = {
        {EM_S390, ELFDATA2MSB},    {EM_PPC64, ELFDATA2MSB}, {EM_PPC64, ELFDATA2LSB},
        {EM_AARCH64, ELFDATA2MSB}, {EM_RISCV, ELFDATA2LSB}, {EM_ARM, ELFDATA2LSB},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autoptr(CoreBuilder) builder = new_small_core(others[i].machine);
        core_builder_set_ident(builder, others[i].data, ET_CORE);
        g_autoptr(CoreFile) core = core_builder_write_temp(builder);
        assert_refused(core, "support");
    }
}

/* A healthy core without a heap, in every supported shape: described, and sizes says why it cannot.
 */
static void
test_no_heap(gconstpointer data)
{
    g_autoptr(CoreBuilder) builder = new_small_core((guint16)GPOINTER_TO_UINT(data));
    g_autoptr(CoreFile) core = core_builder_write_temp(builder);
    g_assert_cmpint(assert_honest("info", core, FALSE), ==, 0);
    g_assert_cmpint(assert_honest("report", core, FALSE), ==, 0);
    g_assert_cmpint(assert_honest("sizes", core, FALSE), ==, 1);
    g_auto(Answer) text = {0};
    ask("sizes", "text", core, &text);
    g_assert_cmpint(text.exit_status, ==, 1);
    g_assert_cmpstr(text.output, ==, "");
}

/* Numbers that cannot be, one at a time. */
static void
test_absurd_numbers(void)
{
    static const guint64 numbers[] = {0, 0xfffe, 0xffffffff, G_MAXINT64, G_MAXUINT64};
    g_autoptr(CoreBuilder) builder = new_small_core(EM_X86_64);
    {
        g_autoptr(CoreFile) core = core_builder_write_temp(builder);
    }
    const guint64 load = core_builder_get_phdr_offset(builder, 1);
    const guint64 notes = core_builder_get_notes_offset(builder);
    /* NT_FILE is the last note: its count, page size and first entry. */
    const guint64 file_note = notes + core_builder_get_notes_bytes(builder) - 96;
    const struct {
        guint64 offset;
        guint size_bytes;
    } fields[] = {
        {offsetof(Elf64_Ehdr, e_phnum), 2},
        {offsetof(Elf64_Ehdr, e_phoff), 8},
        {offsetof(Elf64_Ehdr, e_phentsize), 2},
        {core_builder_get_phdr_offset(builder, 0) + offsetof(Elf64_Phdr, p_filesz), 8},
        {core_builder_get_phdr_offset(builder, 0) + offsetof(Elf64_Phdr, p_offset), 8},
        {load + offsetof(Elf64_Phdr, p_offset), 8},
        {load + offsetof(Elf64_Phdr, p_vaddr), 8},
        {load + offsetof(Elf64_Phdr, p_filesz), 8},
        {load + offsetof(Elf64_Phdr, p_memsz), 8},
        {notes, 4},
        {notes + 4, 4},
        {file_note, 8},
        {file_note + 8, 8},
        {file_note + 16, 8},
        {file_note + 24, 8},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(numbers); j++) {
            const guint64 value = GUINT64_TO_LE(numbers[j]);
            g_autoptr(CoreFile) core = core_builder_write_temp(builder);
            core_file_patch(core, fields[i].offset, &value, fields[i].size_bytes);
            assert_honest("report", core, FALSE);
            assert_honest("sizes", core, FALSE);
        }
    }
}

/* A real core, cut at every 4 KiB of its first MiB, from the end. */
static void
test_cut(gconstpointer data)
{
    const RealCoreKind kind = (RealCoreKind)GPOINTER_TO_INT(data);
    const char *program[] = {g_getenv("POSTMALLOC_SUBJECT"), NULL};
    g_autoptr(RealRun) run = real_run_sample(program, "10000", kind);
    if (run == NULL)
        return;
    const guint64 end = 256 * PAGE;
    GStatBuf status;
    g_assert_cmpint(g_stat(run->core, &status), ==, 0);
    g_assert_cmpuint((guint64)status.st_size, >, end);
    g_assert_cmpint(assert_honest("sizes", run->core, FALSE), ==, 0);
    guint answered = 0;
    for (guint64 cut = end; cut > 0; cut -= PAGE) {
        core_file_truncate(run->core, cut);
        answered += assert_honest("report", run->core, TRUE) == 0;
        if (cut % (8 * PAGE) == 0)
            assert_honest("sizes", run->core, TRUE);
    }
    g_test_message("report answered %u of 256", answered);
    g_assert_cmpuint(answered, >, 200);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("postmalloc-bad-XXXXXX", NULL);
    g_test_add_func("/bad-input/no-core", test_no_core);
    g_test_add_func("/bad-input/pipe", test_pipe);
    g_test_add_func("/bad-input/other-machines", test_other_machines);
    g_test_add_data_func("/bad-input/no-heap/x86-64", GUINT_TO_POINTER(EM_X86_64), test_no_heap);
    g_test_add_data_func("/bad-input/no-heap/i386", GUINT_TO_POINTER(EM_386), test_no_heap);
    g_test_add_data_func("/bad-input/no-heap/aarch64", GUINT_TO_POINTER(EM_AARCH64), test_no_heap);
    g_test_add_func("/bad-input/absurd-numbers", test_absurd_numbers);
    g_test_add_data_func("/bad-input/cut/kernel", GINT_TO_POINTER(REAL_KERNEL_CORE), test_cut);
    g_test_add_data_func("/bad-input/cut/gcore", GINT_TO_POINTER(REAL_GCORE), test_cut);
    const int status = g_test_run();
    real_remove(folder);
    g_free(folder);
    return status;
}
