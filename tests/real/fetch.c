/*
 * Running the scripts that fetch, and reading their lines.
 */
#include "fetch.h"

#include "run.h"

/* One line of a script: "NAME FOLDER VERSION" or "NAME - REASON". */
static void
read_line(const char *line, const char *const *names, gsize count, RealFetched *fetched)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    if (g_strv_length(words) < 3)
        return;
    for (gsize i = 0; i < count; i++) {
        if (!g_str_equal(words[0], names[i]))
            continue;
        if (g_str_equal(words[1], "-")) {
            fetched[i].why = g_strdup(words[2]);
        } else {
            fetched[i].folder = g_strdup(words[1]);
            fetched[i].version = g_strdup(words[2]);
        }
    }
}

void
real_fetch(const char *script, const char *const *names, gsize count, guint seconds,
           RealFetched *ret_fetched)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-fetch-XXXXXX", NULL);
    g_autofree char *output = g_build_filename(folder, "output", NULL);
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_ptr_array_add(command, (gpointer)script);
    for (gsize i = 0; i < count; i++)
        g_ptr_array_add(command, (gpointer)names[i]);
    g_ptr_array_add(command, NULL);
    g_autofree char *text = NULL;
    if (real_run_command((const char *const *)command->pdata, NULL, output, NULL, seconds) == 0)
        g_file_get_contents(output, &text, NULL, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (gsize i = 0; lines[i] != NULL; i++)
        read_line(lines[i], names, count, ret_fetched);
    for (gsize i = 0; i < count; i++) {
        if (ret_fetched[i].folder == NULL && ret_fetched[i].why == NULL)
            ret_fetched[i].why = g_strdup_printf("%s gave no answer", script);
    }
    real_remove(folder);
}
