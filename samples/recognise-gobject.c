/*
 * Instances of GObject classes, with private data and without. The names in the ledger are those of
 * the classes. GLib before 2.76 is told to take each from malloc.
 *
 * Usage: recognise-gobject [OPTIONS OF ledger.h]
 */
#include "ledger.h"

#include <glib-object.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define INSTANCES ((size_t)50)

typedef struct {
    GObject parent;
    int number;
} PlainThing;

typedef struct {
    GObjectClass parent;
} PlainThingClass;

typedef struct {
    PlainThing parent;
} DerivedThing;

typedef struct {
    PlainThingClass parent;
} DerivedThingClass;

typedef struct {
    char text[40];
} DerivedThingPrivate;

static GType plain_thing_get_type(void);
static GType derived_thing_get_type(void);

G_DEFINE_TYPE(PlainThing, plain_thing, G_TYPE_OBJECT)
G_DEFINE_TYPE_WITH_PRIVATE(DerivedThing, derived_thing, plain_thing_get_type())

static void
plain_thing_class_init(PlainThingClass *class)
{
    (void)class;
}

static void
plain_thing_init(PlainThing *thing)
{
    thing->number = 7;
}

static void
derived_thing_class_init(DerivedThingClass *class)
{
    (void)class;
}

static void
derived_thing_init(DerivedThing *thing)
{
    (void)thing;
}

/* @offset: of the instance in its chunk. */
static void
make(GType type, const char *name, size_t offset)
{
    for (size_t i = 0; i < INSTANCES; i++) {
        char *chunk = (char *)g_object_new(type, NULL) - offset;
        ledger_describe(ledger_add(chunk, malloc_usable_size(chunk), LEDGER_CALLOC),
                        LEDGER_REACHABLE, name);
    }
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    if (getenv("G_SLICE") == NULL) {
        setenv("G_SLICE", "always-malloc", 1);
        execv("/proc/self/exe", argv);
    }
    for (int i = 1; i < argc; i++) {
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    }
    ledger_open(&options);
    ledger_table_open(3 * INSTANCES);
    make(plain_thing_get_type(), "PlainThing", 0);
    /* Private data is 40 bytes, in units of 16. */
    make(derived_thing_get_type(), "DerivedThing", 48);
    ledger_finish(&options);
}
