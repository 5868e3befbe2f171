/*
 * Loses what GLib allocates.
 *
 * Usage: losses-glib WAY [OPTIONS OF ledger.h]
 *
 * Ways, and the function whose call asks for what is lost:
 *   events    make_event: records (g_new0), which own a text
 *   arrays    make_array: arrays whose number of elements is a constant (g_malloc_n)
 *   nothing   (a table of hashes and a list, which are kept)
 */
#include "ledger.h"

#include <glib.h>
#include <string.h>

#define COUNT 4000

typedef struct {
    guint64 time;
    guint kind;
    guint flags;
    char *text;
    gpointer target;
    guint8 data[100];
} Event;

static G_GNUC_NO_INLINE Event *
make_event(guint number)
{
    Event *event = g_new0(Event, 1);
    event->time = number;
    event->kind = 3;
    event->text = g_strdup_printf("event %u", number);
    return event;
}

static G_GNUC_NO_INLINE guint32 *
make_array(guint number)
{
    guint32 *array = g_malloc_n(75, sizeof *array);
    for (guint i = 0; i < 75; i++)
        array[i] = number;
    return array;
}

static GHashTable *table;
static GList *list;

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    const char *way = "nothing";
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            way = argv[i];
    ledger_open(&options);
    table = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (guint i = 0; i < COUNT; i++) {
        gpointer made = NULL;
        if (!strcmp(way, "events")) {
            made = make_event(i);
        } else if (!strcmp(way, "arrays")) {
            made = make_array(i);
        } else {
            g_hash_table_insert(table, GUINT_TO_POINTER(i), make_event(i));
            list = g_list_prepend(list, make_array(i));
        }
        __asm__ volatile("" : : "r"(made) : "memory");
    }
    ledger_finish(&options);
}
