/*
 * Running list-recognitions; see recognitions.h.
 */
#include "recognitions.h"

#include <string.h>

#define LIST_SECONDS 120

static void
clear_recognition(gpointer data)
{
    RealRecognition *recognition = data;
    g_free(recognition->id);
    g_free(recognition->type);
    g_free(recognition->name);
}

static gint
compare(gconstpointer a, gconstpointer b)
{
    const guint64 left = ((const RealRecognition *)a)->address;
    const guint64 right = ((const RealRecognition *)b)->address;
    return (left > right) - (left < right);
}

GArray *
real_list_recognitions(const RealRun *run)
{
    g_autofree char *list = g_build_filename(run->folder, "recognitions", NULL);
    g_autofree char *errors = g_build_filename(run->folder, "errors", NULL);
    g_autofree char *text = NULL;
    const char *command[] = {g_getenv("POSTMALLOC_LIST_RECOGNITIONS"), "--all", run->core, NULL};
    const int status = real_run_command(command, run->folder, list, errors, LIST_SECONDS);
    if (status != 0 || !g_file_get_contents(list, &text, NULL, NULL)) {
        real_fail("%s ended with %d", command[0], status);
        return NULL;
    }
    GArray *recognitions = g_array_new(FALSE, FALSE, sizeof(RealRecognition));
    g_array_set_clear_func(recognitions, clear_recognition);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], "\t", -1);
        g_assert_cmpuint(g_strv_length(parts), ==, 8);
        const RealRecognition recognition = {
            .address = g_ascii_strtoull(parts[0], NULL, 16),
            .usable_bytes = g_ascii_strtoull(parts[1], NULL, 10),
            .id = g_strdup(parts[2]),
            .offset_bytes = g_ascii_strtoull(parts[3], NULL, 10),
            .confidence = g_ascii_strtod(parts[4], NULL),
            .type = g_strdup(parts[5]),
            .name = g_strdup(parts[6]),
        };
        g_array_append_val(recognitions, recognition);
    }
    g_array_sort(recognitions, compare);
    return recognitions;
}

const RealRecognition *
real_find_recognition(const GArray *recognitions, guint64 address)
{
    guint low = 0, high = recognitions->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        const RealRecognition *one = &g_array_index(recognitions, RealRecognition, middle);
        if (address < one->address)
            high = middle;
        else if (address - one->address >= one->usable_bytes)
            low = middle + 1;
        else
            return one;
    }
    return NULL;
}
