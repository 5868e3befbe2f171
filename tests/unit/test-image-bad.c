/* heapwalk/image/image.h on bad input: what is refused and how, truncation anywhere, numbers that
 * cannot be. */
#include "image/image.h"

#include <glib/gstdio.h>
#include <string.h>

#include "core-builder.h"

#define PAGE G_GUINT64_CONSTANT(4096)

static guint8 ones[4 * PAGE];

static void
assert_refused(const char *path, PmError code, const char *word_in_message)
{
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(GError) error = NULL;
    PmImage *image = pm_image_open(path, diagnostics, &error);
    g_assert_null(image);
    g_assert_error(error, PM_ERROR, (gint)code);
    g_assert_nonnull(strstr(error->message, path));
    g_assert_null(strchr(error->message, '\n'));
    if (word_in_message != NULL && strstr(error->message, word_in_message) == NULL)
        g_error("\"%s\" does not say \"%s\"", error->message, word_in_message);
}

static void
assert_bytes_refused(const void *bytes, gsize count, PmError code, const char *word)
{
    g_autoptr(CoreFile) path = core_file_new(bytes, count);
    assert_refused(path, code, word);
}

static void
test_not_a_core(void)
{
    assert_refused("/nonexistent/core", PM_ERROR_OPEN, NULL);
    assert_refused(g_get_tmp_dir(), PM_ERROR_OPEN, NULL);
    assert_bytes_refused("", 0, PM_ERROR_NOT_A_CORE, "empty");
    assert_bytes_refused("\177", 1, PM_ERROR_NOT_A_CORE, NULL);
    assert_bytes_refused("\177ELF", 4, PM_ERROR_NOT_A_CORE, NULL);
    assert_bytes_refused("Once upon a time\n", 17, PM_ERROR_NOT_A_CORE, NULL);
    assert_bytes_refused(ones, sizeof ones, PM_ERROR_NOT_A_CORE, NULL);
}

static CoreBuilder *
new_small_core(guint16 machine)
{
    CoreBuilder *builder = core_builder_new(machine);
    for (guint64 i = 0; i < 3; i++)
        core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000 * (i + 1),
                                                         .mapped_bytes = 2 * PAGE,
                                                         .dumped_bytes = (i + 1) * PAGE / 2,
                                                         .flags = PF_R | PF_W,
                                                         .bytes = ones,
                                                         .bytes_count = (i + 1) * PAGE / 2});
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 9, .signal = 11});
    core_builder_add_prpsinfo(builder, 9, "small", "small core");
    return builder;
}

static void
test_other_elf_files(void)
{
    static const guint16 types[] = {ET_EXEC, ET_DYN, ET_REL};
    for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autoptr(CoreBuilder) builder = new_small_core(EM_X86_64);
        core_builder_set_ident(builder, ELFDATA2LSB, types[i]);
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        assert_refused(path, PM_ERROR_NOT_A_CORE, "not a core");
    }
    static const guint16 machines[] = {EM_S390, EM_PPC64, EM_RISCV, EM_ARM, 0, 0xffff};
    for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_autoptr(CoreBuilder) builder = new_small_core(machines[i]);
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        assert_refused(path, PM_ERROR_UNSUPPORTED, "x86_64");
    }
    static const guint16 big_endian[] = {EM_S390, EM_PPC, EM_AARCH64};
    for (gsize i = 0; i < G_N_ELEMENTS(big_endian); i++) {
        g_autoptr(CoreBuilder) builder = new_small_core(big_endian[i]);
        core_builder_set_ident(builder, ELFDATA2MSB, ET_CORE);
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        assert_refused(path, PM_ERROR_UNSUPPORTED, "big-endian");
    }
}

/* The message names the command that unpacks it. */
static void
test_compressed(void)
{
    static const struct {
        const char *magic;
        gsize magic_bytes;
        const char *command;
    } formats[] = {
        {"\x28\xb5\x2f\xfd", 4, "zstd -d"},
        {"\x04\x22\x4d\x18", 4, "lz4 -d"},
        {"\xfd\x37\x7a\x58\x5a\x00", 6, "xz -d"},
        {"\x1f\x8b\x08", 3, "gunzip"},
        {"BZh9", 4, "bunzip2"},
        {"ProblemType: Crash\nArchitecture: amd64\n", 40, "apport-unpack"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        guint8 bytes[256] = {0};
        memcpy(bytes, formats[i].magic, formats[i].magic_bytes);
        assert_bytes_refused(bytes, sizeof bytes, PM_ERROR_COMPRESSED, formats[i].command);
    }
}

/* What must be true of every image, whatever its file said. */
static void
assert_consistent(const PmImage *image)
{
    const PmCoverage *coverage = pm_image_get_coverage(image);
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    guint64 mapped = 0, dumped = 0, present = 0;
    PmAddr end = 0;
    for (gsize i = 0; i < count; i++) {
        g_assert_cmphex(segments[i].start, >=, end);
        g_assert_true(pm_addr_add(segments[i].start, segments[i].mapped_bytes, &end));
        g_assert_cmpuint(segments[i].dumped_bytes, <=, segments[i].mapped_bytes);
        g_assert_cmpuint(segments[i].present_bytes, <=, segments[i].dumped_bytes);
        if (segments[i].present_bytes > 0)
            g_assert_cmpuint(segments[i].present_bytes, <=,
                             coverage->file_bytes - segments[i].file_offset);
        mapped += segments[i].mapped_bytes;
        dumped += segments[i].dumped_bytes;
        present += segments[i].present_bytes;
    }
    g_assert_cmpuint(coverage->mapped_bytes, ==, mapped);
    g_assert_cmpuint(coverage->dumped_bytes, ==, dumped);
    g_assert_cmpuint(coverage->lost_bytes, ==, dumped - present);

    const guint8 *file = NULL;
    guint64 run_bytes = 0;
    pm_image_get_run(image, 0, &file, &run_bytes);
    const PmNote *notes = pm_image_get_notes(image, &count);
    for (gsize i = 0; i < count; i++) {
        g_assert_true((const guint8 *)notes[i].name >= file);
        g_assert_true((const guint8 *)notes[i].name + notes[i].name_bytes <= notes[i].desc);
        g_assert_cmpuint((gsize)(notes[i].desc - file) + notes[i].desc_bytes, <=,
                         coverage->file_bytes);
    }
}

/* A core cut at @cut either opens and says so, or has not even an ELF header. */
static void
assert_cut(const CoreBuilder *builder, const char *path, guint64 cut, guint64 ehdr_bytes)
{
    core_file_truncate(path, cut);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, &error);
    if (cut < ehdr_bytes) {
        g_assert_error(error, PM_ERROR, PM_ERROR_NOT_A_CORE);
        return;
    }
    g_assert_no_error(error);
    assert_consistent(image);
    g_assert_true(pm_image_is_truncated(image));
    g_assert_cmpuint(pm_diagnostics_count_code(diagnostics, "truncated"), ==, 1);

    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    guint64 headers = 0;
    while (headers < 3 && core_builder_get_phdr_offset(builder, headers + 2) <= cut)
        headers++;
    g_assert_cmpuint(count, ==, headers);
    for (gsize i = 0; i < count; i++) {
        guint64 offset = core_builder_get_segment_offset(builder, i);
        guint64 present = cut > offset ? MIN(cut - offset, segments[i].dumped_bytes) : 0;
        g_assert_cmpuint(segments[i].present_bytes, ==, present);
    }
}

/* Every byte of the headers and notes; then some places in memory. */
static void
test_cut_anywhere(gconstpointer data)
{
    const guint16 machine = (guint16)GPOINTER_TO_UINT(data);
    const guint64 ehdr_bytes = machine == EM_386 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
    for (guint variant = 0; variant < 4; variant++) {
        g_autoptr(CoreBuilder) builder = new_small_core(machine);
        if (variant & 1)
            core_builder_set_gcore_layout(builder);
        if (variant & 2)
            core_builder_set_extended_numbering(builder);
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        guint64 cut = core_builder_get_file_bytes(builder);
        const guint64 headers = core_builder_get_phdr_offset(builder, 4) + 600;
        while (cut > 0) {
            cut -= cut > headers ? MIN(cut - headers, 97) : 1;
            assert_cut(builder, path, cut, ehdr_bytes);
        }
    }
}

/* gcore's notes come last, so a cut takes them; memory stays. */
static void
test_cut_notes(void)
{
    g_autoptr(CoreBuilder) builder = new_small_core(EM_X86_64);
    core_builder_set_gcore_layout(builder);
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    core_file_truncate(path, core_builder_get_notes_offset(builder) + 12 + 8 + 336 + 5);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, &error);
    g_assert_no_error(error);
    gsize count = 0;
    const PmNote *notes = pm_image_get_notes(image, &count);
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpuint(notes[0].type, ==, NT_PRSTATUS);
    g_assert_cmpuint(pm_image_get_coverage(image)->lost_bytes, ==, 0);
    g_assert_true(pm_image_is_truncated(image));
}

static void
test_overlap(void)
{
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000, .mapped_bytes = 4 * PAGE});
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x12000, .mapped_bytes = 4 * PAGE});
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x14000, .mapped_bytes = PAGE});
    core_builder_add_prpsinfo(builder, 1, "prog", "prog");
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, NULL);
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmphex(segments[0].start, ==, 0x10000);
    g_assert_cmphex(segments[1].start, ==, 0x14000);
    g_assert_cmpuint(pm_diagnostics_get_count(diagnostics), ==, 1);
    g_assert_cmphex(pm_diagnostics_get(diagnostics, 0)->address, ==, 0x12000);
    assert_consistent(image);
}

/* Overwrites one field with each of some numbers that cannot be; opening must stay sane. */
static void
try_numbers(CoreBuilder *builder, guint64 offset, guint size_bytes)
{
    static const guint64 numbers[] = {0,
                                      1,
                                      7,
                                      0x7fffffff,
                                      0x80000000,
                                      0xfffffff0,
                                      0xffffffff,
                                      G_GUINT64_CONSTANT(0x100000000),
                                      G_GUINT64_CONSTANT(0x4000000000000000),
                                      G_GUINT64_CONSTANT(0x7ffffffffffffff0),
                                      G_GUINT64_CONSTANT(0x8000000000000000),
                                      G_GUINT64_CONSTANT(0xfffffffffffff000),
                                      G_MAXUINT64};
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        guint64 value = GUINT64_TO_LE(numbers[i]);
        core_file_patch(path, offset, &value, size_bytes);
        g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(PmImage) image = pm_image_open(path, diagnostics, &error);
        g_assert_true((image == NULL) == (error != NULL));
        if (image != NULL)
            assert_consistent(image);
        else
            g_assert_true(error->domain == PM_ERROR);
    }
}

static void
test_absurd_headers(void)
{
    g_autoptr(CoreBuilder) builder = new_small_core(EM_X86_64);
    static const struct {
        gsize offset;
        guint size_bytes;
    } fields[] = {
        {offsetof(Elf64_Ehdr, e_phoff), 8},     {offsetof(Elf64_Ehdr, e_shoff), 8},
        {offsetof(Elf64_Ehdr, e_phentsize), 2}, {offsetof(Elf64_Ehdr, e_phnum), 2},
        {offsetof(Elf64_Ehdr, e_shentsize), 2}, {offsetof(Elf64_Ehdr, e_shnum), 2},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        try_numbers(builder, fields[i].offset, fields[i].size_bytes);
    for (gsize i = 0; i < 4; i++) {
        guint64 phdr = core_builder_get_phdr_offset(builder, i);
        try_numbers(builder, phdr + offsetof(Elf64_Phdr, p_type), 4);
        try_numbers(builder, phdr + offsetof(Elf64_Phdr, p_offset), 8);
        try_numbers(builder, phdr + offsetof(Elf64_Phdr, p_vaddr), 8);
        try_numbers(builder, phdr + offsetof(Elf64_Phdr, p_filesz), 8);
        try_numbers(builder, phdr + offsetof(Elf64_Phdr, p_memsz), 8);
    }
}

static void
test_absurd_extended_numbering(void)
{
    g_autoptr(CoreBuilder) builder = new_small_core(EM_X86_64);
    core_builder_set_extended_numbering(builder);
    {
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    }
    guint64 shdr = core_builder_get_file_bytes(builder) - sizeof(Elf64_Shdr);
    try_numbers(builder, shdr + offsetof(Elf64_Shdr, sh_info), 4);
    try_numbers(builder, offsetof(Elf64_Ehdr, e_shoff), 8);
}

static void
test_absurd_notes(void)
{
    static const CoreFileMapping mappings[] = {
        {0x400000, 0x401000, 0, "/usr/bin/prog"},
        {0x500000, 0x501000, 0, "/usr/lib/libc.so.6"},
    };
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000, .mapped_bytes = PAGE});
    core_builder_add_file_mappings(builder, mappings, G_N_ELEMENTS(mappings));
    core_builder_add_prpsinfo(builder, 1, "prog", "prog");
    {
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    }
    guint64 note = core_builder_get_notes_offset(builder);
    try_numbers(builder, note, 4);     /* n_namesz */
    try_numbers(builder, note + 4, 4); /* n_descsz */
    try_numbers(builder, note + 8, 4); /* n_type */
    for (guint64 word = 0; word < 8; word++)
        try_numbers(builder, note + 20 + 8 * word, 8); /* count, page size, the mappings */
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    memset(ones, 1, sizeof ones);
    g_test_add_func("/image-bad/not-a-core", test_not_a_core);
    g_test_add_func("/image-bad/other-elf-files", test_other_elf_files);
    g_test_add_func("/image-bad/compressed", test_compressed);
    g_test_add_data_func("/image-bad/cut/x86-64", GUINT_TO_POINTER(EM_X86_64), test_cut_anywhere);
    g_test_add_data_func("/image-bad/cut/i386", GUINT_TO_POINTER(EM_386), test_cut_anywhere);
    g_test_add_func("/image-bad/cut/notes", test_cut_notes);
    g_test_add_func("/image-bad/overlap", test_overlap);
    g_test_add_func("/image-bad/absurd/headers", test_absurd_headers);
    g_test_add_func("/image-bad/absurd/extended-numbering", test_absurd_extended_numbering);
    g_test_add_func("/image-bad/absurd/notes", test_absurd_notes);
    return g_test_run();
}
