/*
 * analysis/contents: what words point to, on hand-made processes of both word sizes; text in raw
 * bytes, and counting in bounded memory, against naive ones.
 */
#include "analysis/contents/describe.h"
#include "analysis/contents/strings.h"
#include "analysis/contents/stringtable.h"
#include "analysis/contents/text.h"

#include "opened-subject.h"

#include <string.h>

static void
check(PmPlaces *places, guint64 value, PmWordKind kind)
{
    PmWord word, plain;
    pm_places_classify(places, value, &word);
    pm_places_classify_plain(places, value, &plain);
    if (word.kind != kind)
        g_error("0x%" G_GINT64_MODIFIER "x is %s, not %s", value, pm_word_kind_name(word.kind),
                pm_word_kind_name(kind));
    g_assert_cmpint(plain.kind, ==, kind);
    g_assert_true(!pm_word_kind_is_pointer(kind) || pm_places_may_point(places, value));
}

static void
check_chunk(PmPlaces *places, const HeapChunk *chunk, guint64 word)
{
    const gboolean used = chunk->state == HEAP_USED || chunk->state == HEAP_RUNTIME;
    check(places, chunk->address - word, PM_WORD_HEAP);
    if (chunk->state == HEAP_TOP) {
        check(places, chunk->address, PM_WORD_HEAP);
        return;
    }
    check(places, chunk->address, used ? PM_WORD_CHUNK : PM_WORD_FREE_CHUNK);
    check(places, chunk->address + 1, used ? PM_WORD_CHUNK_INTERIOR : PM_WORD_FREE_CHUNK);
    check(places, chunk->address + chunk->usable_bytes - 1,
          used ? PM_WORD_CHUNK_INTERIOR : PM_WORD_FREE_CHUNK);
}

static void
test_places(gconstpointer data)
{
    Subject made;
    OpenedSubject opened;
    gsize count = 0;
    const guint64 word = GPOINTER_TO_UINT(data);
    subject_init(&made, (guint)word, 36, FALSE);
    subject_fill(&made);
    const Places *at = made.places;
    opened_subject_init(&opened, &made, 2);
    g_autoptr(PmPlaces) places = pm_places_new(&opened.subject);
    const HeapChunk *chunks = heap_builder_get_chunks(made.heap, &count);
    for (gsize i = 0; i < count; i++)
        check_chunk(places, &chunks[i], word);
    check(places, 0, PM_WORD_ZERO);
    check(places, 1, PM_WORD_NUMBER);
    check(places, 0x1000, PM_WORD_NUMBER);
    check(places, G_MAXUINT64, PM_WORD_NUMBER);
    check(places, at->brk - 1, PM_WORD_NUMBER);
    check(places, at->libc, PM_WORD_CODE);
    check(places, at->libc + LIBC_TEXT - 1, PM_WORD_CODE);
    check(places, at->libc + LIBC_TEXT, PM_WORD_DATA);
    check(places, at->libc + LIBC_TEXT + LIBC_DATA - 1, PM_WORD_DATA);
    check(places, at->libc + LIBC_TEXT + LIBC_DATA, PM_WORD_NUMBER);
    /* Two threads, with their control blocks and static TLS in the last page. */
    const guint64 stacks[] = {at->stack, at->thread_stack};
    for (guint i = 0; i < 2; i++) {
        PmWord found;
        check(places, stacks[i] + 0x800, PM_WORD_STACK);
        check(places, stacks[i] + 0x10, PM_WORD_STACK);
        pm_places_classify(places, stacks[i] + 0x900, &found);
        g_assert_nonnull(found.thread);
        g_assert_cmpuint(found.thread->tid, ==, 100 + i);
    }
    /* The rest of a mapping that main arenas used to have, and what thread heaps may grow to. */
    check(places, at->segments + 64, PM_WORD_MAPPING);
    if (word == 8)
        check(places, at->heap + at->heap_max - 8, PM_WORD_HEAP);
    opened_subject_clear(&opened);
    subject_clear(&made);
}

/* Without a heap nothing is a chunk. */
static void
test_no_heap(void)
{
    Subject made;
    OpenedSubject opened;
    subject_init(&made, 8, 36, FALSE);
    subject_fill(&made);
    opened_subject_init(&opened, &made, 2);
    PmSubject bare = opened.subject;
    bare.ptmalloc = NULL;
    g_autoptr(PmPlaces) places = pm_places_new(&bare);
    check(places, made.places->brk + 0x100, PM_WORD_MAPPING);
    check(places, made.places->stack + 0x800, PM_WORD_STACK);
    g_assert_null(pm_places_get_resolver(places));
    opened_subject_clear(&opened);
    subject_clear(&made);
}

static void
check_described(PmDescriber *describer, guint64 value, const char *expected)
{
    PmWordText text;
    pm_describer_describe(describer, value, &text);
    g_assert_cmpstr(text.text, ==, expected);
    pm_word_text_clear(&text);
}

static char *
type_everything(gpointer data, const PmChunk *chunk)
{
    g_assert_cmpstr(data, ==, "data");
    return g_strdup_printf("type of %" G_GUINT64_FORMAT, chunk->usable_bytes);
}

static void
test_describe(void)
{
    Subject made;
    OpenedSubject opened;
    gsize count = 0;
    subject_init(&made, 8, 36, FALSE);
    subject_fill(&made);
    const HeapChunk *chunks = heap_builder_get_chunks(made.heap, &count);
    gsize used = 0, free = 0;
    while (chunks[used].state != HEAP_USED)
        used++;
    while (chunks[free].state != HEAP_BIN)
        free++;
    opened_subject_init(&opened, &made, 2);
    g_autoptr(PmPlaces) places = pm_places_new(&opened.subject);
    g_autoptr(PmDescriber) describer = pm_describer_new(places, NULL);
    g_autofree char *start =
        g_strdup_printf("%" G_GUINT64_FORMAT " bytes, used", chunks[used].bytes);
    g_autofree char *inside =
        g_strdup_printf("+0x8 in %" G_GUINT64_FORMAT " bytes at 0x%" G_GINT64_MODIFIER "x, bin",
                        chunks[free].bytes, chunks[free].address);
    g_autofree char *typed =
        g_strdup_printf("%s, type of %" G_GUINT64_FORMAT, start, chunks[used].usable_bytes);
    check_described(describer, 0, NULL);
    check_described(describer, 77, NULL);
    check_described(describer, chunks[used].address, start);
    check_described(describer, chunks[free].address + 8, inside);
    check_described(describer, chunks[used].address - 8, "in a heap, but in no chunk");
    check_described(describer, made.places->libc + 0x1230, "libc.so.6+0x1230");
    check_described(describer, made.places->stack + 0x900, "stack of thread 100");
    check_described(describer, made.places->stack + 0x100,
                    "stack of thread 100, below its stack pointer");
    pm_describer_set_typer(describer, type_everything, (gpointer) "data");
    check_described(describer, chunks[used].address, typed);
    check_described(describer, chunks[free].address + 8, inside);
    opened_subject_clear(&opened);
    subject_clear(&made);
}

/* Strings of scanned bytes, one a line. */
typedef struct {
    const guint8 *bytes;
    GString *lines;
} Lines;

static void
add_line(gpointer data, gsize offset, gsize length)
{
    Lines *lines = data;
    g_string_append_printf(lines->lines, "%" G_GSIZE_FORMAT ":", offset);
    g_string_append_len(lines->lines, (const char *)lines->bytes + offset, (gssize)length);
    g_string_append_c(lines->lines, '\n');
}

static char *
scan(const void *bytes, gsize count, gsize characters_min)
{
    Lines lines = {bytes, g_string_new(NULL)};
    pm_text_scan(bytes, count, characters_min, add_line, &lines);
    return g_string_free(lines.lines, FALSE);
}

/* The same, without haste: for each end the longest text before it. */
static char *
scan_naively(const guint8 *bytes, gsize count, gsize characters_min)
{
    Lines lines = {bytes, g_string_new(NULL)};
    gsize start = 0, characters = 0;
    gboolean visible = FALSE;
    for (gsize at = 0; at <= count;) {
        const guint length = at < count ? pm_text_get_character(bytes + at, count - at) : 0;
        if (length > 0) {
            characters++;
            visible = visible || bytes[at] > ' ';
            at += length;
            continue;
        }
        if ((at == count || bytes[at] == 0) && characters >= characters_min && visible)
            add_line(&lines, start, at - start);
        at++;
        start = at;
        characters = 0;
        visible = FALSE;
    }
    return g_string_free(lines.lines, FALSE);
}

static void
test_text(void)
{
    static const struct {
        const char *bytes;
        gsize count;
        gsize min;
        const char *expected;
    } cases[] = {
#define CASE(literal, min, expected) {literal, sizeof(literal) - 1, min, expected}
        CASE("", 1, ""),
        CASE("\0\0\0\0\0\0\0\0\0", 1, ""),
        CASE("abcd\0", 4, "0:abcd\n"),
        CASE("abcd", 4, "0:abcd\n"),
        CASE("abc\0", 4, ""),
        CASE("abcd\x01\0", 4, ""),
        CASE("\x01\x02"
             "abcd\0\0\0efghijklmnop\0q",
             4, "2:abcd\n9:efghijklmnop\n"),
        CASE("\xff"
             "abcd\0",
             4, "1:abcd\n"),
        CASE("a\tb\r\nc\0", 4, "0:a\tb\r\nc\n"),
        CASE("    \t   \0", 4, ""),
        CASE("abcd\x7f"
             "efgh\0",
             4, "5:efgh\n"),
        CASE("gr\xc3\xb6\xc3\x9f"
             "er\0",
             6,
             "0:gr\xc3\xb6\xc3\x9f"
             "er\n"),
        CASE("gr\xc3\xb6\xc3\x9f"
             "er\0",
             7, ""),
        /* Overlong, surrogate, beyond Unicode, cut off, a control character of Latin-1. */
        CASE("\xc0\xaf"
             "abcd\0",
             4, "2:abcd\n"),
        CASE("\xed\xa0\x80"
             "abcd\0",
             4, "3:abcd\n"),
        CASE("\xf4\x90\x80\x80"
             "abcd\0",
             4, "4:abcd\n"),
        CASE("abcd\xe6\x97\0", 4, ""),
        CASE("\xc2\x85"
             "abcd\0",
             4, "2:abcd\n"),
        CASE("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xf0\x9f\x98\x80\0", 4,
             "0:\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xf0\x9f\x98\x80\n"),
#undef CASE
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = scan(cases[i].bytes, cases[i].count, cases[i].min);
        g_assert_cmpstr(found, ==, cases[i].expected);
    }
}

static void
test_text_random(void)
{
    static const guint8 letters[] = {0, 0, 0, 'a', 'b', ' ', 1, 8, 9, 0x7f, 0xc3, 0xa4, 0xe6, 0xff};
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    guint8 bytes[80];
    for (guint round = 0; round < 20000; round++) {
        const gsize count = (gsize)g_rand_int_range(rand, 0, sizeof bytes);
        const gsize min = (gsize)g_rand_int_range(rand, 1, 6);
        const gint kinds = g_rand_int_range(rand, 1, (gint)G_N_ELEMENTS(letters) + 1);
        for (gsize i = 0; i < count; i++)
            bytes[i] = letters[g_rand_int_range(rand, 0, kinds)];
        g_autofree char *found = scan(bytes, count, min);
        g_autofree char *expected = scan_naively(bytes, count, min);
        g_assert_cmpstr(found, ==, expected);
    }
}

static const PmStringEntry *
find_entry(const PmStringTable *table, guint64 hash)
{
    for (gsize i = 0; i < table->capacity; i++)
        if (table->entries[i].count > 0 && table->entries[i].hash == hash)
            return &table->entries[i];
    return NULL;
}

/* Frequent ones among many rare ones: their counts are short by no more than is said. */
static void
test_table(void)
{
    PmStringTable table;
    g_autoptr(GRand) rand = g_rand_new_with_seed(5);
    guint64 added[100] = {0};
    pm_string_table_init(&table, 5000);
    for (guint i = 0; i < 400000; i++) {
        const gboolean frequent = g_rand_int_range(rand, 0, 4) == 0;
        const guint64 number =
            frequent ? (guint64)g_rand_int_range(rand, 0, 100) : 1000 + (guint64)i;
        const PmStringEntry entry = {.hash = pm_string_hash((const guint8 *)&number, 8),
                                     .length_bytes = 8,
                                     .count = 1,
                                     .address = i};
        if (frequent)
            added[number]++;
        pm_string_table_add(&table, &entry);
        g_assert_cmpuint(table.used, <=, 5000);
    }
    g_assert_cmpuint(table.forgotten, >, 100000);
    g_assert_cmpuint(table.shortfall, <, 500);
    for (guint64 number = 0; number < 100; number++) {
        const PmStringEntry *entry = find_entry(&table, pm_string_hash((const guint8 *)&number, 8));
        g_assert_nonnull(entry);
        g_assert_cmpuint(entry->count, <=, added[number]);
        g_assert_cmpuint(entry->count + table.shortfall, >=, added[number]);
    }
    pm_string_table_clear(&table);
}

/* The texts of a hand-made heap, the pointers among them not. */
static void
test_strings(gconstpointer data)
{
    Subject made;
    OpenedSubject opened;
    gsize count = 0, used = 0;
    const guint word = GPOINTER_TO_UINT(data);
    subject_init(&made, word, 36, FALSE);
    subject_fill(&made);
    const HeapChunk *chunks = heap_builder_get_chunks(made.heap, &count);
    for (gsize i = 0; i < count; i++) {
        if (chunks[i].state == HEAP_USED && chunks[i].usable_bytes >= 24) {
            heap_put_bytes(made.heap, chunks[i].address, "a text of 19 letters", 21);
            used++;
        } else if (chunks[i].state == HEAP_BIN) {
            heap_put_bytes(made.heap, chunks[i].address + 32, "not in use", 11);
        }
    }
    opened_subject_init(&opened, &made, 2);
    g_autoptr(PmPlaces) places = pm_places_new(&opened.subject);
    const PmChunkFilter filter = {.states = 1u << PM_CHUNK_USED};
    const PmStringsOptions options = {.characters_min = 4, .jobs = 2};
    g_autoptr(PmStrings) strings = pm_strings_new(places, NULL, &filter, &options);
    /* The others are the filling of the builder's chunks. */
    g_assert_cmpuint(strings->inside_count, >=, 1);
    g_assert_cmpuint(strings->inside[0].count, ==, used);
    g_assert_cmpuint(strings->inside[0].length_bytes, ==, 20);
    g_assert_cmpuint(strings->pointed_count, ==, 0);
    g_assert_cmpuint(strings->missing_bytes, ==, 0);
    for (gsize i = 1; i < strings->inside_count; i++) {
        gsize length = 0;
        g_autofree char *other = pm_strings_read(&opened.subject, &strings->inside[i], 4, &length);
        g_assert_cmpstr(other, ==, "ZZZZ");
    }
    gsize bytes = 0;
    g_autofree char *text = pm_strings_read(&opened.subject, &strings->inside[0], 6, &bytes);
    g_assert_cmpuint(bytes, ==, 6);
    g_assert_cmpstr(text, ==, "a text");
    opened_subject_clear(&opened);
    subject_clear(&made);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/contents/places-64", GUINT_TO_POINTER(8), test_places);
    g_test_add_data_func("/contents/places-32", GUINT_TO_POINTER(4), test_places);
    g_test_add_func("/contents/no-heap", test_no_heap);
    g_test_add_func("/contents/describe", test_describe);
    g_test_add_func("/contents/text", test_text);
    g_test_add_func("/contents/text-random", test_text_random);
    g_test_add_func("/contents/table", test_table);
    g_test_add_data_func("/contents/strings-64", GUINT_TO_POINTER(8), test_strings);
    g_test_add_data_func("/contents/strings-32", GUINT_TO_POINTER(4), test_strings);
    return g_test_run();
}
