/* heapwalk/image/space.h: every kind of bytes, where runs end, reads across runs, and a naive
 * model. */
#include "image/space.h"

#include <string.h>

#include "core-builder.h"

#define PAGE G_GUINT64_CONSTANT(4096)

/* The core under test: dumped with a hole inside, partly dumped, anonymous and file-backed without
 * bytes. */
#define WHOLE G_GUINT64_CONSTANT(0x10000) /* 4 pages dumped: 1 of bytes, 2 of hole, 1 of bytes */
#define NEXT  G_GUINT64_CONSTANT(0x14000) /* right behind it: 1 page dumped of 2 */
#define TEXT  G_GUINT64_CONSTANT(0x20000) /* 4 pages of a file, none dumped */
#define DATA                                                                                       \
    G_GUINT64_CONSTANT(0x24000) /* 2 pages of a file, writable, dumped, last in the file           \
                                 */
#define UNMAPPED G_GUINT64_CONSTANT(0x30000) /* only in NT_FILE: gcore left the mapping out */

static guint8 pattern[4 * PAGE];
static guint8 ends[4 * PAGE]; /* pages 0 and 3 of the pattern, zeros between */
static guint8 file_bytes[8 * PAGE];

typedef struct {
    CoreFile *path;
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmSpace *space;
    guint64 data_offset; /* DATA's place in the file */
} Fixture;

static void
add_segments(CoreBuilder *builder)
{
    core_builder_add_segment(builder, &(CoreSegment){.start = WHOLE,
                                                     .mapped_bytes = 4 * PAGE,
                                                     .dumped_bytes = 4 * PAGE,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = ends,
                                                     .bytes_count = 4 * PAGE});
    core_builder_add_segment(builder, &(CoreSegment){.start = NEXT,
                                                     .mapped_bytes = 2 * PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = pattern + PAGE,
                                                     .bytes_count = PAGE});
    core_builder_add_segment(
        builder, &(CoreSegment){.start = TEXT, .mapped_bytes = 4 * PAGE, .flags = PF_R | PF_X});
    core_builder_add_segment(builder, &(CoreSegment){.start = DATA,
                                                     .mapped_bytes = 2 * PAGE,
                                                     .dumped_bytes = 2 * PAGE,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = pattern,
                                                     .bytes_count = 2 * PAGE});
}

/* @cut_bytes: how much to cut off the end of the file. */
static void
fixture_init(Fixture *fixture, guint16 machine, guint64 cut_bytes)
{
    static const CoreFileMapping mappings[] = {
        {TEXT, TEXT + 4 * PAGE, 0, "/usr/bin/prog"},
        {DATA, DATA + 2 * PAGE, 4, "/usr/bin/prog"},
        {UNMAPPED, UNMAPPED + PAGE, 0, "/usr/lib/libc.so.6"},
    };
    g_autoptr(CoreBuilder) builder = core_builder_new(machine);
    add_segments(builder);
    core_builder_add_file_mappings(builder, mappings, G_N_ELEMENTS(mappings));
    fixture->path = core_builder_write_temp(builder);
    fixture->data_offset = core_builder_get_segment_offset(builder, 3);
    core_file_truncate(fixture->path, core_builder_get_file_bytes(builder) - cut_bytes);

    g_autoptr(GError) error = NULL;
    fixture->diagnostics = pm_diagnostics_new();
    fixture->image = pm_image_open(fixture->path, fixture->diagnostics, &error);
    g_assert_no_error(error);
    fixture->space = pm_space_new(fixture->image);
}

static void
fixture_clear(Fixture *fixture)
{
    pm_space_free(fixture->space);
    pm_image_free(fixture->image);
    pm_diagnostics_free(fixture->diagnostics);
    core_file_remove(fixture->path);
}

/* The span at @address is of @kind, to @end exactly, and holds @bytes (NULL: none to be had). */
static void
assert_span(const PmSpace *space, PmAddr address, PmBytesKind kind, PmAddr end, const guint8 *bytes)
{
    PmSpan span;
    pm_space_get_span(space, address, &span);
    g_assert_cmpstr(pm_bytes_kind_name(span.kind), ==, pm_bytes_kind_name(kind));
    g_assert_cmphex(span.start, ==, address);
    g_assert_cmphex(span.start + span.length_bytes, ==, end);
    if (bytes != NULL)
        g_assert_true(memcmp(span.bytes, bytes, span.length_bytes) == 0);
    else
        g_assert_null(span.bytes);
}

static void
test_kinds(void)
{
    Fixture fixture;
    fixture_init(&fixture, EM_X86_64, 0);
    const PmSpace *space = fixture.space;

    assert_span(space, 0, PM_BYTES_NOT_MAPPED, WHOLE, NULL);
    assert_span(space, NEXT, PM_BYTES_DUMPED, NEXT + PAGE, pattern + PAGE);
    assert_span(space, NEXT + PAGE - 1, PM_BYTES_DUMPED, NEXT + PAGE, pattern + 2 * PAGE - 1);
    assert_span(space, NEXT + PAGE, PM_BYTES_NOT_WRITTEN, NEXT + 2 * PAGE, NULL);
    assert_span(space, NEXT + 2 * PAGE, PM_BYTES_NOT_MAPPED, TEXT, NULL);
    assert_span(space, TEXT + 100, PM_BYTES_NOT_DUMPED, TEXT + 4 * PAGE, NULL);
    assert_span(space, DATA, PM_BYTES_DUMPED, DATA + 2 * PAGE, pattern);
    assert_span(space, UNMAPPED, PM_BYTES_NOT_DUMPED, UNMAPPED + PAGE, NULL);

    PmSpan last;
    pm_space_get_span(space, G_MAXUINT64, &last);
    g_assert_cmpint(last.kind, ==, PM_BYTES_NOT_MAPPED);
    g_assert_cmpuint(last.length_bytes, >=, 1);
    pm_space_get_span(space, UNMAPPED + PAGE, &last);
    g_assert_cmpint(last.kind, ==, PM_BYTES_NOT_MAPPED);
    g_assert_cmpuint(last.length_bytes, <=, G_MAXUINT64 - (UNMAPPED + PAGE) + 1);
    fixture_clear(&fixture);
}

static void
test_lost(void)
{
    Fixture fixture;
    fixture_init(&fixture, EM_X86_64, PAGE + 10);
    const PmSpace *space = fixture.space;
    const PmAddr cut = DATA + PAGE - 10;

    assert_span(space, DATA, PM_BYTES_DUMPED, cut, pattern);
    assert_span(space, cut, PM_BYTES_LOST, DATA + 2 * PAGE, NULL);
    guint64 word = 77;
    g_assert_false(pm_space_read_word(space, cut - 4, &word));
    g_assert_cmpuint(word, ==, 77);
    g_assert_true(pm_space_read_word(space, cut - 8, &word));

    /* Lost bytes of a writable mapping were not those of the file. */
    pm_space_add_file_bytes(fixture.space, TEXT, file_bytes, 4 * PAGE, FALSE);
    pm_space_add_file_bytes(fixture.space, DATA, file_bytes + 4 * PAGE, 2 * PAGE, TRUE);
    assert_span(space, cut, PM_BYTES_LOST, DATA + 2 * PAGE, NULL);
    fixture_clear(&fixture);
}

static void
test_lost_but_read_only(void)
{
    Fixture fixture;
    fixture_init(&fixture, EM_X86_64, PAGE);
    pm_space_add_file_bytes(fixture.space, DATA, file_bytes, 2 * PAGE, FALSE);
    assert_span(fixture.space, DATA, PM_BYTES_DUMPED, DATA + PAGE, pattern);
    assert_span(fixture.space, DATA + PAGE, PM_BYTES_FROM_FILE, DATA + 2 * PAGE, file_bytes + PAGE);
    fixture_clear(&fixture);
}

static void
test_file_bytes(void)
{
    Fixture fixture;
    fixture_init(&fixture, EM_X86_64, 0);
    PmSpace *space = fixture.space;
    /* Two offers that overlap, the second one around the first: the first one wins. */
    pm_space_add_file_bytes(space, TEXT + PAGE, file_bytes, PAGE, FALSE);
    assert_span(space, TEXT, PM_BYTES_NOT_DUMPED, TEXT + PAGE, NULL);
    pm_space_add_file_bytes(space, TEXT, file_bytes + 2 * PAGE, 3 * PAGE, FALSE);
    pm_space_add_file_bytes(space, WHOLE, file_bytes, 8 * PAGE, FALSE);
    pm_space_add_file_bytes(space, UNMAPPED, file_bytes + 7 * PAGE, PAGE / 2, FALSE);

    assert_span(space, TEXT, PM_BYTES_FROM_FILE, TEXT + PAGE, file_bytes + 2 * PAGE);
    assert_span(space, TEXT + PAGE + 1, PM_BYTES_FROM_FILE, TEXT + 2 * PAGE, file_bytes + 1);
    assert_span(space, TEXT + 2 * PAGE, PM_BYTES_FROM_FILE, TEXT + 3 * PAGE, file_bytes + 4 * PAGE);
    assert_span(space, TEXT + 3 * PAGE, PM_BYTES_NOT_DUMPED, TEXT + 4 * PAGE, NULL);
    /* What the core holds is never taken from a file. */
    assert_span(space, NEXT, PM_BYTES_DUMPED, NEXT + PAGE, pattern + PAGE);
    assert_span(space, NEXT + PAGE, PM_BYTES_FROM_FILE, NEXT + 2 * PAGE, file_bytes + 5 * PAGE);
    assert_span(space, UNMAPPED, PM_BYTES_FROM_FILE, UNMAPPED + PAGE / 2, file_bytes + 7 * PAGE);
    assert_span(space, UNMAPPED + PAGE / 2, PM_BYTES_NOT_DUMPED, UNMAPPED + PAGE, NULL);
    fixture_clear(&fixture);
}

static void
test_read_across_runs(void)
{
    Fixture fixture;
    fixture_init(&fixture, EM_X86_64, 0);
    g_autofree guint8 *buffer = g_malloc(6 * PAGE);

    /* Bytes, hole, bytes, next segment: unaligned start and end. */
    g_assert_true(pm_space_read(fixture.space, WHOLE + 5, buffer, 5 * PAGE - 10));
    g_assert_true(memcmp(buffer, ends + 5, 4 * PAGE - 5) == 0);
    g_assert_true(memcmp(buffer + 4 * PAGE - 5, pattern + PAGE, PAGE - 5) == 0);

    g_assert_true(pm_space_read(fixture.space, NEXT + PAGE - 1, buffer, 1));
    g_assert_false(pm_space_read(fixture.space, NEXT + PAGE - 1, buffer, 2));
    g_assert_false(pm_space_read(fixture.space, WHOLE - 1, buffer, 2));
    g_assert_false(pm_space_read(fixture.space, TEXT, buffer, 1));
    g_assert_false(pm_space_read(fixture.space, G_MAXUINT64 - 3, buffer, 8));
    g_assert_true(pm_space_read(fixture.space, TEXT, buffer, 0));
    fixture_clear(&fixture);
}

static void
test_words(gconstpointer data)
{
    const guint16 machine = (guint16)GPOINTER_TO_UINT(data);
    const guint word_bytes = machine == EM_386 ? 4 : 8;
    Fixture fixture;
    fixture_init(&fixture, machine, 0);
    for (guint shift = 0; shift < 9; shift++) {
        guint64 expected = 0;
        memcpy(&expected, ends + 11 + shift, word_bytes);
        guint64 word = 0;
        g_assert_true(pm_space_read_word(fixture.space, WHOLE + 11 + shift, &word));
        g_assert_cmphex(word, ==, GUINT64_FROM_LE(expected));
    }
    guint32 value = 0;
    g_assert_true(pm_space_read_u32(fixture.space, NEXT + PAGE - 4, &value));
    g_assert_false(pm_space_read_u32(fixture.space, NEXT + PAGE - 3, &value));
    fixture_clear(&fixture);
}

static void
assert_string(const PmSpace *space, PmAddr address, gsize max_bytes, const char *expected)
{
    g_autofree char *string = pm_space_read_string(space, address, max_bytes);
    g_assert_cmpstr(string, ==, expected);
}

static void
test_strings(void)
{
    static guint8 bytes[3 * PAGE];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "hello\0\xff\xfe", 9);
    bytes[PAGE - 1] = 0; /* then PAGE × 'x' up to the hole */
    memset(bytes + 2 * PAGE, 0, PAGE);
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000,
                                                     .mapped_bytes = 3 * PAGE,
                                                     .dumped_bytes = 3 * PAGE,
                                                     .bytes = bytes,
                                                     .bytes_count = 2 * PAGE});
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x20000,
                                                     .mapped_bytes = PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .bytes = bytes + PAGE,
                                                     .bytes_count = PAGE});
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, NULL);
    g_autoptr(PmSpace) space = pm_space_new(image);

    assert_string(space, 0x10000, 100, "hello");
    assert_string(space, 0x10000, 6, "hello");
    assert_string(space, 0x10000, 5, NULL);
    assert_string(space, 0x10005, 100, "");
    assert_string(space, 0x10006, 100, "\xff\xfe");
    assert_string(space, 0x1fff0, 100, NULL);
    assert_string(space, 0x20000, 2 * PAGE, NULL); /* runs off the mapping */
    g_autofree char *long_string = pm_space_read_string(space, 0x11000, 2 * PAGE);
    g_assert_cmpuint(strlen(long_string), ==, PAGE);
}

static void
test_peek(void)
{
    Fixture fixture;
    fixture_init(&fixture, EM_X86_64, 0);
    const guint8 *bytes = pm_space_peek(fixture.space, NEXT + 3, PAGE - 3);
    g_assert_nonnull(bytes);
    g_assert_true(memcmp(bytes, pattern + PAGE + 3, PAGE - 3) == 0);
    g_assert_null(pm_space_peek(fixture.space, NEXT + 3, PAGE - 2));
    g_assert_null(pm_space_peek(fixture.space, TEXT, 1));
    g_assert_null(pm_space_peek(fixture.space, 0, 1));
    fixture_clear(&fixture);
}

static void
test_hole(void)
{
    const guint64 big = 1 << 26;
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000,
                                                     .mapped_bytes = big,
                                                     .dumped_bytes = big,
                                                     .bytes = pattern,
                                                     .bytes_count = PAGE,
                                                     .bytes_at = big / 2});
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, NULL);
    g_autoptr(PmSpace) space = pm_space_new(image);
    if (!pm_image_has_holes(image)) {
        g_test_skip("the temporary folder's file system keeps no holes");
        return;
    }
    PmSpan span;
    pm_space_get_span(space, 0x10000 + 8, &span);
    g_assert_cmpint(span.kind, ==, PM_BYTES_DUMPED);
    g_assert_true(span.hole);
    g_assert_null(span.bytes);
    g_assert_cmpuint(span.length_bytes, ==, big / 2 - 8);
    g_assert_null(pm_space_peek(space, 0x10000, 8));
    guint64 word = 77;
    g_assert_true(pm_space_read_word(space, 0x10000 + big - 8, &word));
    g_assert_cmpuint(word, ==, 0);
    g_assert_true(pm_space_read_word(space, 0x10000 + big / 2 - 3, &word));
    guint64 expected = 0;
    memcpy((guint8 *)&expected + 3, pattern, 5);
    g_assert_cmphex(word, ==, GUINT64_FROM_LE(expected));
}

/* A segment that ends at the top of the address space, as the vsyscall page nearly does. */
static void
test_top_of_memory(void)
{
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    const PmAddr start = G_GUINT64_CONSTANT(0xffffffffff600000);
    core_builder_add_segment(builder, &(CoreSegment){.start = start,
                                                     .mapped_bytes = PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .bytes = pattern,
                                                     .bytes_count = PAGE});
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, NULL);
    g_autoptr(PmSpace) space = pm_space_new(image);
    assert_span(space, start, PM_BYTES_DUMPED, start + PAGE, pattern);
    guint64 word = 0;
    g_assert_true(pm_space_read_word(space, start + PAGE - 8, &word));
    g_assert_false(pm_space_read_word(space, start + PAGE - 7, &word));
    g_assert_false(pm_space_read_word(space, G_MAXUINT64 - 7, &word));
    g_assert_false(pm_space_read_word(space, G_MAXUINT64, &word));
}

/* Byte by byte: kind and value of the runs agree with a model of one entry a byte. */
static void
test_model(void)
{
    const guint pages = 64;
    g_autofree guint8 *kinds = g_malloc((gsize)pages * PAGE);
    memset(kinds, PM_BYTES_NOT_MAPPED, (gsize)pages * PAGE);
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_set_gcore_layout(builder);
    for (guint page = 0; page < pages;) {
        guint mapped = (guint)g_test_rand_int_range(1, 5);
        mapped = MIN(mapped, pages - page);
        const guint most = mapped * (guint)PAGE;
        const guint dumped = (guint)g_test_rand_int_range(0, (gint)most + 1);
        if (g_test_rand_int_range(0, 4) != 0) {
            core_builder_add_segment(builder, &(CoreSegment){.start = (guint64)page * PAGE,
                                                             .mapped_bytes = (guint64)mapped * PAGE,
                                                             .dumped_bytes = dumped,
                                                             .bytes = pattern,
                                                             .bytes_count = dumped});
            memset(kinds + (gsize)page * PAGE, PM_BYTES_NOT_WRITTEN, (gsize)mapped * PAGE);
            memset(kinds + (gsize)page * PAGE, PM_BYTES_DUMPED, dumped);
        }
        page += mapped;
    }
    g_autoptr(CoreFile) path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, NULL);
    g_autoptr(PmSpace) space = pm_space_new(image);

    const PmAddr end = (PmAddr)pages * PAGE;
    for (PmAddr address = 0; address < end;) {
        PmSpan span;
        pm_space_get_span(space, address, &span);
        const guint64 part = MIN(span.length_bytes, end - address);
        g_assert_cmpuint(part, >, 0);
        for (guint64 i = 0; i < part; i++)
            g_assert_cmpint(kinds[address + i], ==, (gint)span.kind);
        const PmSegment *segment = pm_image_find_segment(image, address);
        if (span.kind == PM_BYTES_DUMPED)
            g_assert_true(memcmp(span.bytes, pattern + (address - segment->start), part) == 0);
        address += part;
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < sizeof pattern; i++)
        pattern[i] = (guint8)(i * 13 + i / 256 + 1);
    for (gsize i = 0; i < sizeof file_bytes; i++)
        file_bytes[i] = (guint8)(i * 29 + i / 256 + 101);
    memcpy(ends, pattern, PAGE);
    memcpy(ends + (gsize)3 * PAGE, pattern + (gsize)3 * PAGE, PAGE);

    g_test_add_func("/space/kinds", test_kinds);
    g_test_add_func("/space/lost", test_lost);
    g_test_add_func("/space/lost-but-read-only", test_lost_but_read_only);
    g_test_add_func("/space/file-bytes", test_file_bytes);
    g_test_add_func("/space/read-across-runs", test_read_across_runs);
    g_test_add_data_func("/space/words/x86-64", GUINT_TO_POINTER(EM_X86_64), test_words);
    g_test_add_data_func("/space/words/i386", GUINT_TO_POINTER(EM_386), test_words);
    g_test_add_func("/space/strings", test_strings);
    g_test_add_func("/space/peek", test_peek);
    g_test_add_func("/space/hole", test_hole);
    g_test_add_func("/space/top-of-memory", test_top_of_memory);
    g_test_add_func("/space/model", test_model);
    return g_test_run();
}
