/* heapwalk/image/image.h on well-formed cores: layouts, classes, notes, holes, many segments. */
#include "image/image.h"

#include <string.h>

#include "core-builder.h"

#define PAGE G_GUINT64_CONSTANT(4096)

/* Bytes that tell their own offset. */
static guint8 pattern[4 * PAGE];

static PmImage *
open_core(const char *path, PmDiagnostics *diagnostics)
{
    g_autoptr(GError) error = NULL;
    PmImage *image = pm_image_open(path, diagnostics, &error);
    g_assert_no_error(error);
    g_assert_nonnull(image);
    return image;
}

/* Three segments: all dumped, partly dumped, not dumped; added in descending address order. */
static void
add_three_segments(CoreBuilder *builder)
{
    core_builder_add_segment(
        builder, &(CoreSegment){.start = 0x30000, .mapped_bytes = 2 * PAGE, .flags = PF_R | PF_W});
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x20000,
                                                     .mapped_bytes = 4 * PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .flags = PF_R | PF_X,
                                                     .bytes = pattern + PAGE,
                                                     .bytes_count = PAGE});
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000,
                                                     .mapped_bytes = 2 * PAGE,
                                                     .dumped_bytes = 2 * PAGE,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = pattern,
                                                     .bytes_count = 2 * PAGE});
}

static void
assert_segment(const PmSegment *segment, PmAddr start, guint64 mapped_bytes, guint64 dumped_bytes,
               guint32 flags)
{
    g_assert_cmphex(segment->start, ==, start);
    g_assert_cmpuint(segment->mapped_bytes, ==, mapped_bytes);
    g_assert_cmpuint(segment->dumped_bytes, ==, dumped_bytes);
    g_assert_cmpuint(segment->present_bytes, ==, dumped_bytes);
    g_assert_cmpuint(segment->flags, ==, flags);
}

static void
assert_three_segments(const PmImage *image)
{
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);
    g_assert_cmpuint(count, ==, 3);
    assert_segment(&segments[0], 0x10000, 2 * PAGE, 2 * PAGE, PF_R | PF_W);
    assert_segment(&segments[1], 0x20000, 4 * PAGE, PAGE, PF_R | PF_X);
    assert_segment(&segments[2], 0x30000, 2 * PAGE, 0, PF_R | PF_W);

    const PmCoverage *coverage = pm_image_get_coverage(image);
    g_assert_cmpuint(coverage->mapped_bytes, ==, 8 * PAGE);
    g_assert_cmpuint(coverage->dumped_bytes, ==, 3 * PAGE);
    g_assert_cmpuint(coverage->lost_bytes, ==, 0);
    g_assert_false(pm_image_is_truncated(image));

    const guint8 *bytes = NULL;
    guint64 length_bytes = 0;
    pm_image_get_run(image, segments[1].file_offset, &bytes, &length_bytes);
    g_assert_cmpuint(length_bytes, >=, PAGE);
    g_assert_true(memcmp(bytes, pattern + PAGE, PAGE) == 0);
}

static void
test_layout(gconstpointer data)
{
    const guint16 machine = (guint16)GPOINTER_TO_UINT(data);
    for (guint gcore = 0; gcore < 2; gcore++) {
        g_autoptr(CoreBuilder) builder = core_builder_new(machine);
        if (gcore)
            core_builder_set_gcore_layout(builder);
        add_three_segments(builder);
        core_builder_add_prpsinfo(builder, 4711, "prog", "prog --with arguments");
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
        g_autoptr(PmImage) image = open_core(path, diagnostics);

        g_assert_cmpint(pm_image_get_origin(image), ==, gcore ? PM_ORIGIN_GCORE : PM_ORIGIN_KERNEL);
        g_assert_cmpstr(pm_image_get_path(image), ==, path);
        assert_three_segments(image);
        g_assert_cmpuint(pm_image_get_coverage(image)->file_bytes, ==,
                         core_builder_get_file_bytes(builder));
        g_assert_cmpuint(pm_image_get_coverage(image)->expected_bytes, <=,
                         core_builder_get_file_bytes(builder));
        g_assert_cmpuint(pm_diagnostics_get_count(diagnostics), ==, 0);
    }
}

static void
test_target(void)
{
    static const struct {
        guint16 machine;
        PmArch arch;
        guint word_bytes;
        const char *name;
    } targets[] = {
        {EM_X86_64, PM_ARCH_X86_64, 8, "x86_64"},
        {EM_386, PM_ARCH_I386, 4, "i386"},
        {EM_AARCH64, PM_ARCH_AARCH64, 8, "aarch64"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_autoptr(CoreBuilder) builder = core_builder_new(targets[i].machine);
        add_three_segments(builder);
        g_autoptr(CoreFile) path = core_builder_write_temp(builder);
        g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
        g_autoptr(PmImage) image = open_core(path, diagnostics);
        const PmTarget *target = pm_image_get_target(image);
        g_assert_cmpint(target->arch, ==, targets[i].arch);
        g_assert_cmpuint(target->word_bytes, ==, targets[i].word_bytes);
        g_assert_cmpstr(target->name, ==, targets[i].name);
    }
}

static void
test_find_segment(void)
{
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    add_three_segments(builder);
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = open_core(path, diagnostics);
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(image, &count);

    g_assert_null(pm_image_find_segment(image, 0));
    g_assert_null(pm_image_find_segment(image, 0xffff));
    g_assert_true(pm_image_find_segment(image, 0x10000) == &segments[0]);
    g_assert_true(pm_image_find_segment(image, 0x11fff) == &segments[0]);
    g_assert_null(pm_image_find_segment(image, 0x12000));
    g_assert_true(pm_image_find_segment(image, 0x23fff) == &segments[1]);
    g_assert_true(pm_image_find_segment(image, 0x31fff) == &segments[2]);
    g_assert_null(pm_image_find_segment(image, 0x32000));
    g_assert_null(pm_image_find_segment(image, G_MAXUINT64));
}

static void
test_notes(void)
{
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    add_three_segments(builder);
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 100, .signal = 6});
    core_builder_add_note(builder, "CORE", NT_FPREGSET, pattern, 5);
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 101});
    core_builder_add_note(builder, "LINUX", NT_X86_XSTATE, pattern, 33);
    core_builder_add_note(builder, "CORE", 0x7777, NULL, 0);
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = open_core(path, diagnostics);

    static const guint32 types[] = {NT_PRSTATUS, NT_FPREGSET, NT_PRSTATUS, NT_X86_XSTATE, 0x7777};
    static const guint32 sizes[] = {336, 5, 336, 33, 0};
    gsize count = 0;
    const PmNote *notes = pm_image_get_notes(image, &count);
    g_assert_cmpuint(count, ==, G_N_ELEMENTS(types));
    for (gsize i = 0; i < count; i++) {
        g_assert_cmpuint(notes[i].type, ==, types[i]);
        g_assert_cmpuint(notes[i].desc_bytes, ==, sizes[i]);
    }
    g_assert_cmpuint(notes[3].name_bytes, ==, 5);
    g_assert_true(memcmp(notes[3].name, "LINUX", 5) == 0);
    g_assert_true(memcmp(notes[3].desc, pattern, 33) == 0);

    g_assert_true(pm_image_find_note(image, "CORE", NT_PRSTATUS) == &notes[0]);
    g_assert_true(pm_image_find_note(image, "LINUX", NT_X86_XSTATE) == &notes[3]);
    g_assert_null(pm_image_find_note(image, "CORE", NT_X86_XSTATE));
    g_assert_null(pm_image_find_note(image, "COR", NT_PRSTATUS));
}

static void
test_file_mappings(gconstpointer data)
{
    static const CoreFileMapping written[] = {
        {0x7f0000, 0x7f2000, 3, "/usr/lib/libc.so.6"},
        {0x400000, 0x401000, 0, "/usr/bin/prog"},
        {0x401000, 0x403000, 1, "/usr/bin/prog"},
    };
    g_autoptr(CoreBuilder) builder = core_builder_new((guint16)GPOINTER_TO_UINT(data));
    add_three_segments(builder);
    core_builder_add_file_mappings(builder, written, G_N_ELEMENTS(written));
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = open_core(path, diagnostics);

    gsize count = 0;
    const PmFileMapping *mappings = pm_image_get_file_mappings(image, &count);
    g_assert_cmpuint(count, ==, 3);
    g_assert_cmphex(mappings[0].start, ==, 0x400000);
    g_assert_cmpstr(mappings[0].path, ==, "/usr/bin/prog");
    g_assert_cmphex(mappings[2].start, ==, 0x7f0000);
    g_assert_cmphex(mappings[2].end, ==, 0x7f2000);
    g_assert_cmpuint(mappings[2].file_offset_bytes, ==, 3 * PAGE);
    g_assert_cmpstr(mappings[2].path, ==, "/usr/lib/libc.so.6");

    g_assert_null(pm_image_find_file_mapping(image, 0x3fffff));
    g_assert_true(pm_image_find_file_mapping(image, 0x400fff) == &mappings[0]);
    g_assert_true(pm_image_find_file_mapping(image, 0x401000) == &mappings[1]);
    g_assert_null(pm_image_find_file_mapping(image, 0x403000));
    g_assert_true(pm_image_find_file_mapping(image, 0x7f1fff) == &mappings[2]);
    g_assert_null(pm_image_find_file_mapping(image, 0x7f2000));
}

/* More than 65,534 segments: their number stands in a section header (PN_XNUM). */
static void
test_many_segments(void)
{
    const guint64 many = 70000;
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    for (guint64 i = 0; i < many; i++)
        core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000 + 2 * i * PAGE,
                                                         .mapped_bytes = PAGE,
                                                         .dumped_bytes = i == many - 1 ? PAGE : 0,
                                                         .bytes = pattern,
                                                         .bytes_count = i == many - 1 ? PAGE : 0});
    core_builder_add_prpsinfo(builder, 1, "many", "many");
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    const PmAddr last = 0x10000 + 2 * (many - 1) * PAGE;
    {
        g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
        g_autoptr(PmImage) image = open_core(path, diagnostics);
        gsize count = 0;
        pm_image_get_segments(image, &count);
        g_assert_cmpuint(count, ==, many);
        g_assert_cmphex(pm_image_find_segment(image, last + 5)->start, ==, last);
        g_assert_null(pm_image_find_segment(image, last - PAGE));
        g_assert_nonnull(pm_image_find_note(image, "CORE", NT_PRPSINFO));
        g_assert_false(pm_image_is_truncated(image));
    }

    /* Without the section header, which a cut-off core has lost, the table itself is still there.
     */
    core_file_truncate(path, core_builder_get_file_bytes(builder) - 10);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = open_core(path, diagnostics);
    gsize count = 0;
    pm_image_get_segments(image, &count);
    g_assert_cmpuint(count, ==, many);
    g_assert_true(pm_image_is_truncated(image));
    g_assert_cmpuint(pm_diagnostics_count_code(diagnostics, "truncated"), ==, 1);
}

static void
test_extended_numbering_of_few(gconstpointer data)
{
    g_autoptr(CoreBuilder) builder = core_builder_new((guint16)GPOINTER_TO_UINT(data));
    core_builder_set_extended_numbering(builder);
    add_three_segments(builder);
    core_builder_add_prpsinfo(builder, 4711, "prog", "prog");
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = open_core(path, diagnostics);
    assert_three_segments(image);
}

/* A terabyte of holes: never read (there is no such memory here), and told from the bytes that are.
 */
static void
test_holes(void)
{
    const guint64 terabyte = G_GUINT64_CONSTANT(1) << 40;
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000,
                                                     .mapped_bytes = terabyte,
                                                     .dumped_bytes = terabyte,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = pattern,
                                                     .bytes_count = 2 * PAGE,
                                                     .bytes_at = terabyte / 2});
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = open_core(path, diagnostics);
    if (!pm_image_has_holes(image)) {
        g_test_skip("the temporary folder's file system keeps no holes");
        return;
    }
    const guint64 offset = core_builder_get_segment_offset(builder, 0);
    const guint8 *bytes = NULL;
    guint64 length_bytes = 0;
    pm_image_get_run(image, offset, &bytes, &length_bytes);
    g_assert_null(bytes);
    g_assert_cmpuint(length_bytes, ==, terabyte / 2);
    pm_image_get_run(image, offset + terabyte / 2, &bytes, &length_bytes);
    g_assert_cmpuint(length_bytes, ==, 2 * PAGE);
    g_assert_true(memcmp(bytes, pattern, 2 * PAGE) == 0);
    pm_image_get_run(image, offset + terabyte - 1, &bytes, &length_bytes);
    g_assert_null(bytes);
    g_assert_cmpuint(length_bytes, ==, 1);

    g_assert_cmpuint(pm_image_count_extent_bytes(image, offset, terabyte), ==, 2 * PAGE);
    g_assert_cmpuint(pm_image_count_extent_bytes(image, offset + terabyte / 2 + 100, 200), ==, 200);
    g_assert_cmpuint(pm_image_count_extent_bytes(image, offset + terabyte / 2 + PAGE, terabyte), ==,
                     PAGE);
    g_assert_cmpuint(pm_image_count_extent_bytes(image, offset, PAGE), ==, 0);
    g_assert_cmpuint(pm_image_get_coverage(image)->disk_bytes, <, 1 << 20);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < sizeof pattern; i++)
        pattern[i] = (guint8)(i * 7 + i / 256 + 1);

    g_test_add_data_func("/image/layout/x86-64", GUINT_TO_POINTER(EM_X86_64), test_layout);
    g_test_add_data_func("/image/layout/i386", GUINT_TO_POINTER(EM_386), test_layout);
    g_test_add_func("/image/target", test_target);
    g_test_add_func("/image/find-segment", test_find_segment);
    g_test_add_func("/image/notes", test_notes);
    g_test_add_data_func("/image/file-mappings/x86-64", GUINT_TO_POINTER(EM_X86_64),
                         test_file_mappings);
    g_test_add_data_func("/image/file-mappings/i386", GUINT_TO_POINTER(EM_386), test_file_mappings);
    g_test_add_func("/image/many-segments", test_many_segments);
    g_test_add_data_func("/image/extended-numbering/x86-64", GUINT_TO_POINTER(EM_X86_64),
                         test_extended_numbering_of_few);
    g_test_add_data_func("/image/extended-numbering/i386", GUINT_TO_POINTER(EM_386),
                         test_extended_numbering_of_few);
    g_test_add_func("/image/holes", test_holes);
    return g_test_run();
}
