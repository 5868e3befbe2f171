/*
 * Chunks of kinds that are known by their contents (text, streams and their buffers, directory
 * streams), and of kinds that are not and look like them. What each is, is its name in the ledger:
 * "nothing" where no name would be true.
 *
 * Usage: recognise [OPTIONS OF ledger.h]
 */
#include "ledger.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>
#include <wchar.h>

#define TEXTS     2000
#define NUMBERS   1000
#define TABLE     20000
#define LONGEST   300
#define DIRECTORY "/proc/self"

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
    return (ledger_random(&seed) >> 20) % below;
}

/* The slack stays what it was: it is what a recogniser meets. */
static void
tell(void *pointer, const char *name)
{
    if (pointer == NULL)
        abort();
    ledger_describe(ledger_add(pointer, malloc_usable_size(pointer), LEDGER_MALLOC),
                    LEDGER_REACHABLE, name);
}

/* So that later chunks have had another life. */
static void
churn(void)
{
    void *kept[500];
    for (size_t i = 0; i < 500; i++) {
        kept[i] = malloc(1 + draw(400));
        ledger_fill(kept[i], malloc_usable_size(kept[i]), &seed, false);
    }
    for (size_t i = 0; i < 500; i++)
        free(kept[i]);
}

static void
write_words(char *text, size_t length)
{
    static const char *const words[] = {"session", "user",  "/var/lib", "de_DE", "error: ", "x=1",
                                        "Content", "-type", "index",    "42",    "the ",    "name"};
    size_t at = 0;
    while (at < length) {
        const char *word = words[draw(sizeof words / sizeof *words)];
        while (*word != '\0' && at < length)
            text[at++] = *word++;
    }
    text[length] = '\0';
}

static void
make_texts(void)
{
    for (size_t i = 0; i < TEXTS; i++) {
        size_t length = i % LONGEST;
        char *text = malloc(length + 1);
        write_words(text, length);
        tell(text, "text");
    }
    /* A name at the start of a structure, with a pointer behind it; a name in a large buffer. */
    for (size_t i = 0; i < NUMBERS; i++) {
        struct {
            char name[16];
            void *next;
        } *record = calloc(1, sizeof *record);
        write_words(record->name, draw(15));
        record->next = record;
        tell(record, "nothing");
        char *buffer = malloc(1024);
        write_words(buffer, draw(400));
        tell(buffer, "nothing");
    }
    for (size_t i = 0; i < 100; i++) {
        char text[LONGEST];
        size_t length = 16 + draw(100);
        char16_t *wide = malloc((length + 1) * sizeof *wide);
        write_words(text, length);
        for (size_t j = 0; j <= length; j++)
            wide[j] = (char16_t)text[j];
        tell(wide, "wide");
    }
}

static void
make_numbers(void)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        size_t bytes = 1 + draw(2000);
        unsigned char *random = malloc(bytes);
        ledger_fill(random, bytes, &seed, false);
        tell(random, "nothing");
        uint64_t *counter = calloc(3, sizeof *counter);
        counter[0] = 1700000000 + i;
        counter[1] = i;
        tell(counter, "nothing");
        double *doubles = malloc(10 * sizeof *doubles);
        for (size_t j = 0; j < 10; j++)
            doubles[j] = (double)draw(1000000) / 977.0;
        tell(doubles, "nothing");
        unsigned char *image = malloc(64);
        for (size_t j = 0; j < 64; j++)
            image[j] = (unsigned char)(30 + draw(100));
        tell(image, "nothing");
    }
}

static ssize_t
read_zeros(void *cookie, char *buffer, size_t bytes)
{
    (void)cookie;
    memset(buffer, 0, bytes);
    return (ssize_t)bytes;
}

/* Streams that are read from have a buffer. */
static void
tell_stream(FILE *stream, const char *name)
{
    tell(stream, name);
    if (stream->_IO_buf_base != NULL)
        tell(stream->_IO_buf_base, "stream-buffer");
}

static void
make_streams(void)
{
    static char *text;
    static size_t text_bytes;
    for (int i = 0; i < 20; i++) {
        FILE *file = fopen("/proc/self/maps", "r");
        (void)fgetc(file);
        tell_stream(file, "FILE");
        tell_stream(fopen("/dev/null", "w"), "FILE");
        cookie_io_functions_t functions = {.read = read_zeros};
        FILE *cookie = fopencookie(NULL, "r", functions);
        (void)fgetc(cookie);
        tell_stream(cookie, "FILE-fopencookie");
    }
    FILE *pipe = popen("echo word", "r");
    (void)fgetc(pipe);
    tell_stream(pipe, "FILE-popen");
    FILE *memory = open_memstream(&text, &text_bytes);
    (void)fprintf(memory, "%d words", 5);
    tell_stream(memory, "FILE-memstream");
    FILE *wide = fopen("/dev/null", "w");
    (void)fputwc(L'w', wide);
    tell_stream(wide, "FILE");
    for (int i = 0; i < 5; i++) {
        DIR *directory = opendir(DIRECTORY);
        if (i > 0)
            (void)readdir(directory);
        tell(directory, "DIR");
    }
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++) {
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    }
    ledger_open(&options);
    ledger_table_open(TABLE);
    seed = options.seed;
    make_streams();
    churn();
    make_texts();
    churn();
    make_numbers();
    ledger_finish(&options);
}
