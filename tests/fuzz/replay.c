/*
 * Replays a fuzz target without a fuzzer: each FILE as it is, and then N mutations of it, always
 * the same ones.
 *
 *   fuzz-core [--iterations N] [--only I] FILE...
 *
 * Where the target dies, the last line says which mutation of which file it was: --only I runs that
 * one alone.
 */
#include <glib.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No input here is larger than a few MiB, and none is worth more than this. */
#define DATA_LIMIT   (256u << 20)
#define SECONDS_EACH 20

static char last_words[1024];

/* Async-signal-safe. */
static void
on_death(int signal_number)
{
    if (write(STDERR_FILENO, last_words, strlen(last_words)) < 0)
        _exit(1);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void
run(const char *path, gint iteration, const guint8 *bytes, gsize count)
{
    g_snprintf(last_words, sizeof last_words, "died on: --iterations %d --only %d %s\n",
               iteration + 1, iteration, path);
    alarm(SECONDS_EACH);
    LLVMFuzzerTestOneInput(bytes, count);
    alarm(0);
}

/* Offsets of the words that are not zero: headers, notes, arenas, chunk headers, pointers. */
static GArray *
find_words(const guint8 *bytes, gsize count)
{
    static const guint8 zeros[8];
    GArray *words = g_array_new(FALSE, FALSE, sizeof(gsize));
    for (gsize i = 0; i + 8 <= count; i += 8)
        if (memcmp(bytes + i, zeros, 8) != 0)
            g_array_append_val(words, i);
    return words;
}

static guint64
pick_value(GRand *random, const guint8 *bytes, const GArray *words)
{
    static const guint64 edges[] = {0,
                                    1,
                                    16,
                                    0x7fffffff,
                                    0xffffffff,
                                    G_GUINT64_CONSTANT(0x7fffffffffff),
                                    G_MAXINT64,
                                    G_GUINT64_CONSTANT(0x8000000000000000),
                                    G_GUINT64_CONSTANT(0xfffffffffffff000),
                                    G_MAXUINT64};
    guint64 value = 0;
    if (g_rand_boolean(random))
        return edges[g_rand_int_range(random, 0, G_N_ELEMENTS(edges))];
    /* Another word of the same core: a pointer to the wrong place. */
    const guint other = (guint)g_rand_int_range(random, 0, (gint32)words->len);
    memcpy(&value, bytes + g_array_index(words, gsize, other), 8);
    return value;
}

/* Changes one place: mostly a word that is not zero, one in four times near the front, where the
 * headers are. */
static void
mutate(GRand *random, guint8 *bytes, const GArray *words)
{
    gint32 among = (gint32)words->len;
    if (g_rand_int_range(random, 0, 4) == 0)
        among = MIN(among, 512);
    const gsize offset = g_array_index(words, gsize, g_rand_int_range(random, 0, among));
    guint64 value = 0;
    memcpy(&value, bytes + offset, 8);
    switch (g_rand_int_range(random, 0, 5)) {
    case 0:
        value ^= (guint64)1 << g_rand_int_range(random, 0, 64);
        break;
    case 1:
        value += (guint64)g_rand_int_range(random, -64, 65);
        break;
    case 2:
        value = pick_value(random, bytes, words);
        break;
    case 3:
        value = (value & ~(guint64)0xffffffff) | (pick_value(random, bytes, words) & 0xffffffff);
        break;
    default:
        memset((guint8 *)&value + g_rand_int_range(random, 0, 8), g_rand_int_range(random, 0, 256),
               1);
    }
    memcpy(bytes + offset, &value, 8);
}

static void
replay(const char *path, gint iterations, gint only)
{
    g_autofree char *seed = NULL;
    gsize count = 0;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &seed, &count, &error))
        g_error("%s", error->message);
    if (only < 0)
        run(path, -1, (const guint8 *)seed, count);

    g_autoptr(GArray) words = find_words((const guint8 *)seed, count);
    for (gint i = 0; i < iterations && words->len > 0; i++) {
        if (only >= 0 && i != only)
            continue;
        g_autoptr(GRand) random = g_rand_new_with_seed((guint32)i);
        g_autofree guint8 *bytes = g_memdup2(seed, count);
        const gint mutations = 1 << g_rand_int_range(random, 0, 6);
        for (gint j = 0; j < mutations; j++)
            mutate(random, bytes, words);
        gsize length = count;
        if (g_rand_int_range(random, 0, 10) == 0)
            length = (gsize)g_rand_double_range(random, 64, (gdouble)count);
        run(path, i, bytes, length);
    }
}

int
main(int argc, char **argv)
{
    gint iterations = 0;
    gint only = -1;
    g_auto(GStrv) files = NULL;
    const GOptionEntry entries[] = {
        {"iterations", 0, 0, G_OPTION_ARG_INT, &iterations, "mutations of each file", "N"},
        {"only", 0, 0, G_OPTION_ARG_INT, &only, "run mutation I alone", "I"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, "FILE..."},
        {0},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || files == NULL)
        g_error("%s", error != NULL ? error->message : "no FILE");

    static const int deaths[] = {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (gsize i = 0; i < G_N_ELEMENTS(deaths); i++)
        signal(deaths[i], on_death);
#ifndef __SANITIZE_ADDRESS__
    /* The sanitizer has its own handler, which ends in SIGABRT, and its own memory. */
    signal(SIGSEGV, on_death);
    const struct rlimit limit = {DATA_LIMIT, DATA_LIMIT};
    if (setrlimit(RLIMIT_DATA, &limit) != 0)
        g_error("cannot limit the memory of this process");
#endif
    for (gsize i = 0; files[i] != NULL; i++)
        replay(files[i], iterations, only);
    return 0;
}
