/*
 * analysis/types/recogniser on hand-made chunks: what is named, and above all what is not.
 */
#include "analysis/types/recogniser.h"

#include "opened-subject.h"

#include <string.h>

/* A heap whose chunks are put one by one, then opened. */
typedef struct {
    Subject made;
    gsize word;
    OpenedSubject opened;
    PmPlaces *places;
    PmRecognisers *recognisers;
} Heap;

static void
heap_init(Heap *heap, guint word)
{
    *heap = (Heap){.word = word};
    subject_init(&heap->made, word, 31, FALSE);
    subject_begin_main_arena(&heap->made);
}

/* The user pointer of the next chunk. */
static guint64
heap_get_next(const Heap *heap)
{
    return heap->made.arenas[0].at + 2 * heap->word;
}

static gboolean
heap_has_room(const Heap *heap, gsize request)
{
    return heap->made.arenas[0].at + request + 0x400 < heap->made.places->brk + BRK_BYTES;
}

/* A chunk that malloc(@request) gives, filled with @filler, and @bytes at its start. */
static guint64
heap_add(Heap *heap, gsize request, guint8 filler, const void *bytes, gsize count)
{
    const gsize least = 4 * heap->word;
    const gsize size = MAX((request + heap->word + 15) & ~(gsize)15, least);
    const guint64 user = heap_arena_put(&heap->made.arenas[0], size, HEAP_USED);
    g_autofree guint8 *all = g_malloc(size - heap->word);
    memset(all, filler, size - heap->word);
    memcpy(all, bytes, count);
    g_assert_cmpuint(count, <=, request);
    heap_put_bytes(heap->made.heap, user, all, size - heap->word);
    return user;
}

static void
heap_open(Heap *heap)
{
    subject_end_main_arena(&heap->made);
    heap_put_par(heap->made.heap, subject_get_par(&heap->made), heap->made.places->brk);
    opened_subject_init(&heap->opened, &heap->made, 1);
    heap->places = pm_places_new(&heap->opened.subject);
    heap->recognisers = pm_recognisers_new(heap->places, NULL);
}

static void
heap_clear(Heap *heap)
{
    pm_recognisers_free(heap->recognisers);
    pm_places_free(heap->places);
    opened_subject_clear(&heap->opened);
    subject_clear(&heap->made);
}

/* NULL where nobody knows the chunk at @user. */
static const char *
heap_ask(const Heap *heap, guint64 user, PmRecognition *recognition)
{
    PmChunk chunk;
    g_assert_true(
        pm_heap_find_chunk(pm_ptmalloc_get_heap(heap->opened.ptmalloc), user, &chunk, NULL));
    g_assert_cmphex(chunk.address, ==, user);
    if (!pm_recognisers_ask(heap->recognisers, &chunk, NULL, recognition))
        return NULL;
    g_assert_cmpfloat(recognition->confidence, >, 0);
    g_assert_cmpfloat(recognition->confidence, <=, 1);
    g_assert_cmpuint(recognition->elements, >=, 1);
    g_assert_nonnull(recognition->reason);
    return recognition->name;
}

/* @bytes of @count, in a chunk for @request full of @filler. @name: what it is, or NULL. @least,
 * @most: bounds of the confidence. */
typedef struct {
    const char *bytes;
    gsize count;
    gsize request;
    guint8 filler;
    const char *name;
    double least;
    double most;
} Case;

#define TEXT(text, request, filler, name, least, most)                                             \
    {                                                                                              \
        text, sizeof(text), request, filler, name, least, most                                     \
    }

/* On 64 bit. */
static const Case cases[] = {
    /* Words, whose length is that of the request. */
    TEXT("alpha", 6, 0, "text", 0.5, 0.7),
    TEXT("name", 5, 0, "text", 0.4, 0.6),
    TEXT("identifier", 11, 0, "text", 0.8, 0.9),
    TEXT("/usr/share/locale/de", 21, 0, "text", 0.9, 1),
    TEXT("/usr/share/locale/de/LC_MESSAGES", 33, 0xee, "text", 0.8, 1),
    TEXT("a line of text\twith a tab, and the end of a line\r\n", 51, 0, "text", 0.9, 1),
    TEXT("12345.678", 10, 0, "text", 0.8, 1),
    TEXT("Gr\xc3\xb6\xc3\x9f"
         "entabelle",
         15, 0, "text", 0.8, 1),
    TEXT("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe6\x96\x87\xe5\xad\x97", 19, 0, "text",
         0.9, 1),
    /* Numbers that print, and tags of four letters. */
    TEXT("A", 8, 0, NULL, 0, 0),
    TEXT("ab", 8, 0, NULL, 0, 0),
    TEXT("abc", 8, 0, NULL, 0, 0),
    TEXT("RIFF", 8, 0, NULL, 0, 0),
    TEXT("x#7q", 8, 0, NULL, 0, 0),
    TEXT("]4k,", 8, 0, NULL, 0, 0),
    TEXT("mj\x24@7*u@", 24, 0, NULL, 0, 0),
    /* A string in a structure of its size goes on with numbers; one that is short is refused. */
    {"tag12\0\0\0\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0", 24, 24, 0, NULL, 0, 0},
    /* A short string in a large chunk: a line buffer, or anything. */
    TEXT("hello", 1024, 0, NULL, 0, 0),
    TEXT("a name of a structure's first member", 512, 0, NULL, 0, 0),
    TEXT("a line in a buffer that has grown by doubling, as they do", 100, 0, "text buffer", 0.6,
         0.8),
    TEXT("a line in a buffer that has grown by doubling, as they do", 100, 0xee, "text buffer", 0.4,
         0.6),
    /* Several. */
    TEXT("PATH=/usr/bin:/bin\0HOME=/root\0LANG=C.UTF-8\0TERM=xterm", 56, 0, "strings", 0.8, 1),
    /* Text without NUL: to the end; exactly as much as was asked for; not so. */
    {"0123456789 abcdefghijklm", 24, 24, 0, "text", 0.7, 0.9},
    {"the text of a file, read into as many bytes", 43, 43, 0xee, "text", 0.6, 0.8},
    {"the text of a file, read into as many bytes", 43, 200, 0xee, NULL, 0, 0},
    /* Not UTF-8: cut within a character; overlong; a surrogate; Latin 1; a control character. */
    {"identifier\xc3", 12, 12, 0, NULL, 0, 0},
    {"identifi\xc0\xaf.", 12, 12, 0, NULL, 0, 0},
    {"identif\xed\xa0\x80.", 12, 12, 0, NULL, 0, 0},
    {"Gr\xf6\xdf"
     "enwerte",
     12, 12, 0, NULL, 0, 0},
    {"identif\x07"
     "ier",
     12, 12, 0, NULL, 0, 0},
    /* Wide characters; and numbers of 16 and 32 bits that are none. */
    {"w\0i\0d\0e\0 \0t\0e\0x\0t\0 \0o\0f\0 \0U\0T\0F\0\0", 34, 34, 0, "text (UTF-16)", 0.7, 1},
    {"w\0\0\0i\0\0\0d\0\0\0e\0\0\0 \0\0\0t\0\0\0e\0\0\0x\0\0\0t\0\0\0s\0\0\0 \0\0\0t\0\0\0h\0\0\0e"
     "\0\0\0s\0\0\0e\0\0\0\0\0\0",
     68, 68, 0, "text (UTF-32)", 0.7, 1},
    {"1\0"
     "3\0"
     "5\0"
     "7\0"
     "9\0!\0#\0%\0'\0"
     ")\0"
     "+\0"
     "1\0"
     "3\0"
     "5\0"
     "7\0"
     "9\0"
     ";\0\0",
     36, 36, 0, NULL, 0, 0},
    {"w\0i\0d\0e\0 \0t\0e\0x\0t\0\0", 20, 20, 0, NULL, 0, 0},
    {"w\0i\0d\0e\0 \0t\0e\0x\0t\0 \0o\0f\0 \0U\0T\0F\0\0", 34, 200, 0, NULL, 0, 0},
    /* sds: length, capacity, flags; the capacity fits the request. */
    {"\x0d\x0d\x01"
     "hello, world!",
     17, 17, 0, "sds (sdshdr8)", 0.8, 1},
    {"\x08\x28\x01"
     "spare by",
     12, 44, 0, NULL, 0, 0}, /* 40 of capacity need 44, class 40 has 56 */
    {"\x08\x34\x01"
     "spare by",
     12, 56, 0, "sds (sdshdr8)", 0.8, 1}, /* to the last usable byte */
    {"\x10\x10\x01"
     "hello, world!",
     17, 20, 0, NULL, 0, 0}, /* a NUL before its length */
    {"\x0d\x08\x01"
     "hello, world!",
     17, 17, 0, NULL, 0, 0}, /* longer than its capacity */
    {"\x0d\x0d\x02"
     "hello, world!",
     17, 17, 0, NULL, 0, 0}, /* another header's flags */
    {"\x0c\0\x0c\0\x02"
     "hello, world",
     18, 18, 0, "sds (sdshdr16)", 0.8, 1},
    /* Listpacks of "abc" and 5: total, count, entries with their lengths behind them, end. */
    {"\x0e\0\0\0\x02\0\x83"
     "abc\x04\x05\x01\xff",
     14, 14, 0, "listpack (Redis)", 0.9, 1},
    {"\x0e\0\0\0\x02\0\x83"
     "abc\x04\x05\x01\xff",
     14, 200, 0, "listpack (Redis)", 0.9, 1},
    {"\x0e\0\0\0\x03\0\x83"
     "abc\x04\x05\x01\xff",
     14, 14, 0, NULL, 0, 0}, /* three of them */
    {"\x0e\0\0\0\x02\0\x83"
     "abc\x05\x05\x01\xff",
     14, 14, 0, NULL, 0, 0}, /* another length */
    {"\x0f\0\0\0\x02\0\x83"
     "abc\x04\x05\x01\xff",
     14, 14, 0, NULL, 0, 0},                                                     /* another total */
    {"\x0e\0\0\0\x02\0\xf0\xff\xff\xff\xff\x05\x01\xff", 14, 14, 0, NULL, 0, 0}, /* 4 GiB */
    {"\x0b\0\0\0\x0b\0\0\0\x03"
     "hello world",
     21, 21, 0, "sds (sdshdr32)", 0.8, 1},
};

static void
test_cases(void)
{
    Heap heap;
    guint64 users[G_N_ELEMENTS(cases)];
    heap_init(&heap, 8);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        users[i] = heap_add(&heap, MAX(cases[i].request, cases[i].count), cases[i].filler,
                            cases[i].bytes, cases[i].count);
    heap_open(&heap);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        PmRecognition found;
        const char *name = heap_ask(&heap, users[i], &found);
        g_autofree char *shown = g_strescape(cases[i].bytes, NULL);
        g_test_message("case %" G_GSIZE_FORMAT ": %s", i, shown);
        g_assert_cmpstr(name, ==, cases[i].name);
        if (name == NULL)
            continue;
        g_assert_cmpfloat(found.confidence, >=, cases[i].least);
        g_assert_cmpfloat(found.confidence, <=, cases[i].most);
    }
    heap_clear(&heap);
}

/* What fills the @index-th chunk of a kind that is no text. */
typedef void (*Fill)(GRand *random, guint64 index, guint8 *bytes, gsize count);

static void
fill_random(GRand *random, G_GNUC_UNUSED guint64 index, guint8 *bytes, gsize count)
{
    for (gsize i = 0; i < count; i++)
        bytes[i] = (guint8)g_rand_int(random);
}

static void
fill_hash(GRand *random, G_GNUC_UNUSED guint64 index, guint8 *bytes, gsize count)
{
    const guint32 value = g_rand_int(random);
    memset(bytes, 0, count);
    memcpy(bytes, &value, sizeof value);
}

static void
fill_hash64(GRand *random, G_GNUC_UNUSED guint64 index, guint8 *bytes, gsize count)
{
    memset(bytes, 0, count);
    fill_random(random, index, bytes, 8);
}

static void
fill_counter(G_GNUC_UNUSED GRand *random, guint64 index, guint8 *bytes, gsize count)
{
    const guint64 value = 20000 + index * 7;
    memset(bytes, 0, count);
    memcpy(bytes, &value, sizeof value);
}

static void
fill_double(GRand *random, G_GNUC_UNUSED guint64 index, guint8 *bytes, gsize count)
{
    const double value = g_rand_double_range(random, -1000, 1000);
    memset(bytes, 0, count);
    memcpy(bytes, &value, sizeof value);
}

static void
fill_doubles(GRand *random, G_GNUC_UNUSED guint64 index, guint8 *bytes, gsize count)
{
    for (gsize i = 0; i + 8 <= count; i += 8)
        fill_double(random, index, bytes + i, 8);
}

static void
fill_shorts(GRand *random, G_GNUC_UNUSED guint64 index, guint8 *bytes, gsize count)
{
    memset(bytes, 0, count);
    for (gsize i = 0; i + 2 <= count; i += 2)
        bytes[i] = (guint8)g_rand_int_range(random, 0, 128);
}

static void
fill_pointers(G_GNUC_UNUSED GRand *random, guint64 index, guint8 *bytes, gsize count)
{
    for (gsize i = 0; i + 8 <= count; i += 8) {
        const guint64 value = G_GUINT64_CONSTANT(0x555555550000) + index * 32 + i;
        memcpy(bytes + i, &value, 8);
    }
}

/* @false_per_10000: how many may be named: of random numbers of 32 bits in a chunk of
 * zeros one in 12,000 is a word of four letters. */
static const struct {
    const char *name;
    Fill fill;
    guint false_per_10000;
} kinds[] = {
    {"random", fill_random, 0},   {"hash", fill_hash, 3},         {"hash64", fill_hash64, 2},
    {"counter", fill_counter, 0}, {"double", fill_double, 0},     {"doubles", fill_doubles, 0},
    {"shorts", fill_shorts, 0},   {"pointers", fill_pointers, 0},
};

/* How many of the chunks at @users have a name, each with a line. */
static guint64
count_names(const Heap *heap, const GArray *users)
{
    guint64 named = 0;
    for (guint i = 0; i < users->len; i++) {
        PmRecognition found;
        const guint64 user = g_array_index(users, guint64, i);
        guint64 first = 0;
        if (heap_ask(heap, user, &found) == NULL)
            continue;
        g_assert_true(pm_space_read_word(pm_process_get_space(heap->opened.process), user, &first));
        g_test_message("0x%016" G_GINT64_MODIFIER "x is no %s", first, found.name);
        named++;
    }
    return named;
}

/* Chunks of every size class up to 256 bytes, full of what is no text: 30,000 of each kind. */
static void
test_false_names(gconstpointer data)
{
    const gsize kind = GPOINTER_TO_SIZE(data);
    g_autoptr(GRand) random = g_rand_new_with_seed(11);
    guint64 count = 0;
    guint64 named = 0;
    while (count < 30000) {
        Heap heap;
        g_autoptr(GArray) users = g_array_new(FALSE, FALSE, sizeof(guint64));
        heap_init(&heap, 8);
        for (guint i = 0; heap_has_room(&heap, 256); i++) {
            guint8 bytes[256] = {0};
            const gsize request = i % 8 != 0 ? 24 : 24 + 16 * (i / 8 % 14);
            kinds[kind].fill(random, count + i, bytes, request);
            const guint64 user = heap_add(&heap, request, 0, bytes, request);
            g_array_append_val(users, user);
        }
        heap_open(&heap);
        named += count_names(&heap, users);
        count += users->len;
        heap_clear(&heap);
    }
    g_test_message("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " named", named, count);
    g_assert_cmpuint(named * 10000, <=, count * kinds[kind].false_per_10000);
}

/* A redisObject points behind the header of the sds that follows it; any other pointer is none. */
static void
test_embedded_string(void)
{
    Heap heap;
    guint8 bytes[24] = {0x80, 0, 0, 0, 1};
    heap_init(&heap, 8);
    const guint64 good = heap_get_next(&heap);
    const guint64 text = good + 19;
    memcpy(bytes + 8, &text, 8);
    memcpy(bytes + 16,
           "\x04\x04\x01"
           "abcd",
           8);
    g_assert_cmphex(heap_add(&heap, 24, 0, bytes, 24), ==, good);
    const guint64 bad = heap_add(&heap, 24, 0, bytes, 24);
    heap_open(&heap);
    PmRecognition found;
    g_assert_cmpstr(heap_ask(&heap, good, &found), ==, "redisObject (embstr)");
    g_assert_null(heap_ask(&heap, bad, &found));
    heap_clear(&heap);
}

/* glibc's: a directory stream whose entries and sizes agree, a list of exit functions. */
static void
test_glibc(void)
{
    static const guint8 entry[] = {9, 0, 0, 0, 0,  0, 0, 0,   1, 0, 0, 0,
                                   0, 0, 0, 0, 24, 0, 4, '.', 0, 0, 0, 0};
    g_autofree guint8 *dir = g_malloc0(48 + 8192);
    guint64 exits[130] = {0, 5};
    Heap heap;
    const guint32 fd = 3;
    const guint64 numbers[] = {8192, sizeof entry, 0, 0};
    memcpy(dir, &fd, sizeof fd);
    memcpy(dir + 8, numbers, sizeof numbers);
    memcpy(dir + 48, entry, sizeof entry);
    for (gsize i = 0; i < 5; i++) {
        exits[2 + 4 * i] = 4;
        exits[3 + 4 * i] = G_GUINT64_CONSTANT(0x9ab3f2d100567123) + i;
    }
    heap_init(&heap, 8);
    const guint64 stream = heap_add(&heap, 48 + 8192, 0, dir, 48 + 8192);
    dir[48 + 16] = 25; /* no entry is that long */
    const guint64 no_entry = heap_add(&heap, 48 + 8192, 0, dir, 48 + 8192);
    dir[48 + 16] = 24;
    const guint64 too_large = heap_add(&heap, 48 + 8192 + 64, 0, dir, 48 + 8192);
    const guint64 list = heap_add(&heap, sizeof exits, 0, exits, sizeof exits);
    exits[1] = 4; /* one that is used lies behind them */
    const guint64 no_list = heap_add(&heap, sizeof exits, 0, exits, sizeof exits);
    heap_open(&heap);
    PmRecognition found;
    g_assert_cmpstr(heap_ask(&heap, stream, &found), ==, "DIR");
    g_assert_null(heap_ask(&heap, no_entry, &found));
    g_assert_null(heap_ask(&heap, too_large, &found));
    g_assert_cmpstr(heap_ask(&heap, list, &found), ==, "exit functions (glibc)");
    g_assert_null(heap_ask(&heap, no_list, &found));
    heap_clear(&heap);
}

/* zlib's states and streams point to each other. */
static void
test_zlib(void)
{
    guint64 state[512] = {0};
    guint64 stream[14] = {0};
    Heap heap;
    heap_init(&heap, 8);
    const guint64 inflate = heap_get_next(&heap);
    stream[7] = inflate;
    state[0] = inflate + sizeof state + 16;
    state[1] = 16196;
    g_assert_cmphex(heap_add(&heap, sizeof state + 8, 0, state, sizeof state), ==, inflate);
    g_assert_cmphex(heap_add(&heap, sizeof stream, 0, stream, sizeof stream), ==, state[0]);
    /* The stream does not point back to this one. */
    const guint64 copy = heap_add(&heap, sizeof state, 0, state, sizeof state);
    heap_open(&heap);
    PmRecognition found;
    g_assert_cmpstr(heap_ask(&heap, inflate, &found), ==, "inflate state (zlib)");
    g_assert_null(heap_ask(&heap, copy, &found));
    heap_clear(&heap);
}

/* Words of 32 bits: text, and random bytes. */
static void
test_small_words(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    Heap heap;
    guint8 bytes[28];
    guint named = 0;
    heap_init(&heap, 4);
    const guint64 text = heap_add(&heap, 21, 0, "/usr/share/locale/de", 21);
    const guint64 first = heap_get_next(&heap);
    guint count = 0;
    for (; heap_has_room(&heap, 28); count++) {
        fill_random(random, count, bytes, sizeof bytes);
        (void)heap_add(&heap, sizeof bytes, 0, bytes, sizeof bytes);
    }
    heap_open(&heap);
    PmRecognition found;
    g_assert_cmpstr(heap_ask(&heap, text, &found), ==, "text");
    for (guint i = 0; i < count; i++)
        named += heap_ask(&heap, first + i * G_GUINT64_CONSTANT(32), &found) != NULL ? 1 : 0;
    g_assert_cmpuint(named, ==, 0);
    heap_clear(&heap);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_func("/recognisers/cases", test_cases);
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strconcat("/recognisers/false-names/", kinds[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_false_names);
    }
    g_test_add_func("/recognisers/embedded-string", test_embedded_string);
    g_test_add_func("/recognisers/glibc", test_glibc);
    g_test_add_func("/recognisers/zlib", test_zlib);
    g_test_add_func("/recognisers/small-words", test_small_words);
    return g_test_run();
}
