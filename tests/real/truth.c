/*
 * Reading a ledger.
 */
#include "truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD 8

/*
 * malloc_usable_size() is the chunk less one word, which the next chunk's prev_size lends; an
 * mmapped chunk has no next one, and has two words less; since 2.43 it keeps a word of its own
 * after the end. (malloc.c, musable; PTMALLOC.md 4)
 */
static guint64
get_chunk_bytes(const RealTruth *truth, const RealRow *row)
{
    gboolean two_words = row->place == REAL_PLACE_MMAPPED && !real_truth_is_since(truth, 43);
    return row->usable_bytes + (two_words ? 2 * WORD : WORD);
}

static guint64
get_field(const char *line, const char *name)
{
    g_autofree char *key = g_strdup_printf(" %s=", name);
    const char *at = strstr(line, key);
    g_assert(at != NULL);
    return g_ascii_strtoull(at + strlen(key), NULL, 10);
}

/* Returns: TRUE for "# end". */
static gboolean
read_comment(RealTruth *truth, const char *line)
{
    if (sscanf(line, "# pid %u", &truth->pid) == 1)
        return FALSE;
    if (g_str_has_prefix(line, "# glibc ")) {
        truth->glibc = g_strdup(line + strlen("# glibc "));
        g_assert_cmpint(sscanf(truth->glibc, "%u.%u", &truth->glibc_major, &truth->glibc_minor), ==,
                        2);
    } else if (g_str_has_prefix(line, "# mapped ")) {
        truth->mapped_bytes = get_field(line, "bytes");
    } else if (g_str_has_prefix(line, "# mallinfo ")) {
        truth->mallinfo = (RealMallinfo){
            .arena = get_field(line, "arena"),
            .hblks = get_field(line, "hblks"),
            .hblkhd = get_field(line, "hblkhd"),
            .fordblks = get_field(line, "fordblks"),
            .fsmblks = get_field(line, "fsmblks"),
        };
    }
    return g_str_equal(line, "# end");
}

static void
read_row(RealTruth *truth, const char *line)
{
    RealRow row = {0};
    char kind[16], place[16], state[16], name[64] = "";
    int fields = sscanf(line,
                        "0x%" G_GINT64_MODIFIER "x %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                        " %15s %15s %15s %19s %63s",
                        &row.address, &row.requested_bytes, &row.usable_bytes, kind, place, state,
                        row.reach, name);
    g_assert_cmpint(fields, >=, 7);
    row.place = g_str_equal(place, "main")     ? REAL_PLACE_MAIN
                : g_str_equal(place, "thread") ? REAL_PLACE_THREAD
                                               : REAL_PLACE_MMAPPED;
    if (row.place == REAL_PLACE_MAIN)
        truth->first_of_main = MIN(truth->first_of_main, row.address);
    if (g_str_equal(state, "freed")) {
        truth->freed++;
        return;
    }
    g_assert_cmpstr(state, ==, "live");
    row.name = *name ? g_strdup(name) : NULL;
    row.chunk_bytes = get_chunk_bytes(truth, &row);
    g_array_append_val(truth->live, row);
}

static int
compare_rows(gconstpointer a, gconstpointer b)
{
    const RealRow *left = a, *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

RealTruth *
real_truth_read(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert(error == NULL);
    RealTruth *truth = g_new0(RealTruth, 1);
    truth->live = g_array_new(FALSE, FALSE, sizeof(RealRow));
    truth->first_of_main = G_MAXUINT64;
    gboolean ended = FALSE;
    for (char *line = text, *next = NULL; !ended && *line; line = next) {
        next = strchr(line, '\n');
        g_assert(next != NULL);
        *next++ = 0;
        if (*line == '#')
            ended = read_comment(truth, line);
        else
            read_row(truth, line);
    }
    g_assert(ended);
    g_array_sort(truth->live, compare_rows);
    for (guint i = 1; i < truth->live->len; i++) {
        g_assert_cmpuint(g_array_index(truth->live, RealRow, i - 1).address, <,
                         g_array_index(truth->live, RealRow, i).address);
    }
    return truth;
}

void
real_truth_free(RealTruth *truth)
{
    for (guint i = 0; i < truth->live->len; i++)
        g_free(g_array_index(truth->live, RealRow, i).name);
    g_array_unref(truth->live);
    g_free(truth->glibc);
    g_free(truth);
}

RealRow *
real_truth_find(const RealTruth *truth, guint64 address)
{
    RealRow key = {.address = address};
    return bsearch(&key, truth->live->data, truth->live->len, sizeof key, compare_rows);
}

void
real_truth_reset(const RealTruth *truth)
{
    for (guint i = 0; i < truth->live->len; i++)
        g_array_index(truth->live, RealRow, i).seen = FALSE;
}

gboolean
real_truth_is_since(const RealTruth *truth, guint minor)
{
    return truth->glibc_major > 2 || truth->glibc_minor >= minor;
}
