/*
 * Names by contents: of a sample against its ledger, of Python against what the program says of its
 * own objects before it stops, and for objects that it does not tell of against gdb.
 */
#include "recognitions.h"
#include "truth.h"

#include <string.h>

/* What a name in the ledger of samples/recognise.c allows, and how many in 100 must be known. */
static const struct {
    const char *told;
    const char *names[2];
    guint least_percent;
} kinds[] = {
    {"nothing", {NULL}, 0},
    {"text", {"text"}, 95},
    {"wide", {"text (UTF-16)"}, 90},
    {"FILE", {"FILE"}, 100},
    {"FILE-popen", {"FILE (popen)"}, 100},
    {"FILE-memstream", {"FILE (memstream)"}, 100},
    {"FILE-fopencookie", {"FILE (fopencookie)"}, 100},
    {"stream-buffer", {"stdio buffer", "memstream buffer"}, 100},
    {"DIR", {"DIR"}, 100},
};

static void
check_kind(const RealTruth *truth, const GArray *recognitions, gsize kind)
{
    guint64 told = 0;
    guint64 known = 0;
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (g_strcmp0(row->name, kinds[kind].told) != 0)
            continue;
        const RealRecognition *found = real_find_recognition(recognitions, row->address);
        g_assert_nonnull(found);
        g_assert_cmphex(found->address, ==, row->address);
        told++;
        if (strcmp(found->name, "-") == 0)
            continue;
        known++;
        if (g_strcmp0(found->name, kinds[kind].names[0]) != 0 &&
            g_strcmp0(found->name, kinds[kind].names[1]) != 0)
            real_fail("the chunk at 0x%" G_GINT64_MODIFIER "x is called %s (%.2f), but is %s",
                      row->address, found->name, found->confidence, row->name);
    }
    g_test_message("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " called %s", known, told,
                   kinds[kind].told);
    g_assert_cmpuint(told, >, 0);
    g_assert_cmpuint(known * 100, >=, told * kinds[kind].least_percent);
}

static void
test_sample(gconstpointer data)
{
    g_autoptr(RealRun) run = real_run_built_sample("recognise", data, REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(GArray) recognitions = real_list_recognitions(run);
    for (gsize i = 0; recognitions != NULL && i < G_N_ELEMENTS(kinds); i++)
        check_kind(truth, recognitions, i);
}

/* Exceptions that are kept, by the names of their classes. */
static void
test_exceptions(void)
{
    guint pools = 0;
    g_autoptr(RealRun) run = real_run_built_sample("recognise-cxx", "", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(GArray) recognitions = real_list_recognitions(run);
    if (recognitions == NULL)
        return;
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        const RealRecognition *found = real_find_recognition(recognitions, row->address);
        g_autofree char *name = g_strconcat("exception ", row->name, NULL);
        if (strcmp(row->name, "std::string") == 0)
            g_assert_true(g_str_has_prefix(found->name, "exception std::__cxx11::basic_string<"));
        else
            g_assert_cmpstr(found->name, ==, name);
        g_assert_cmpuint(found->offset_bytes, ==, 128);
    }
    for (guint i = 0; i < recognitions->len; i++)
        pools += g_str_has_prefix(g_array_index(recognitions, RealRecognition, i).name,
                                  "emergency exception pool")
                     ? 1
                     : 0;
    g_assert_cmpuint(pools, ==, 1);
}

/* Instances by the names of their classes; those with private data begin behind it. */
static void
test_gobject(void)
{
    g_autoptr(RealRun) run = real_run_built_sample("recognise-gobject", "", REAL_KERNEL_CORE);
    if (run == NULL)
        return;
    g_autoptr(RealTruth) truth = real_truth_read(run->ledger);
    g_autoptr(GArray) recognitions = real_list_recognitions(run);
    if (recognitions == NULL)
        return;
    g_assert_cmpuint(truth->live->len, ==, 100);
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        const RealRecognition *found = real_find_recognition(recognitions, row->address);
        g_autofree char *name = g_strconcat(row->name, " (GType)", NULL);
        const gboolean is_plain = strcmp(row->name, "PlainThing") == 0;
        g_assert_cmpstr(found->name, ==, name);
        g_assert_cmpuint(found->offset_bytes, ==, is_plain ? 0 : 48);
        g_assert_cmpstr(found->type, ==, row->name);
    }
}

/*
 * Makes objects of many kinds, keeps all that the collector knows and what those lead to, and tells
 * of each its address and the name of its class.
 */
static const char python_script[] =
    "import array, collections, contextvars, ctypes, datetime, decimal, enum, fractions, "
    "functools\n"
    "import gc, io, itertools, json, os, re, signal, struct, sys, threading, types, weakref\n"
    "class Plain:\n"
    "    def __init__(self, number):\n"
    "        self.number, self.text, self.items = number, 'text %d' % number, [number] * 3\n"
    "class Slotted:\n"
    "    __slots__ = 'left', 'right'\n"
    "    def __init__(self): self.left = self.right = None\n"
    "class Meta(type): pass\n"
    "class Made(Plain, metaclass=Meta): pass\n"
    "class Keys(dict): pass\n"
    "class Row(collections.namedtuple('Row', 'a b c')): pass\n"
    "class Colour(enum.Enum): RED = 1; GREEN = 2\n"
    "class Number(int): pass\n"
    "class Text(str): pass\n"
    "class Octets(bytes): pass\n"
    "class Failure(Exception): pass\n"
    "def generate(number):\n"
    "    yield from range(number)\n"
    "async def wait(): pass\n"
    "def close(number):\n"
    "    return lambda: number\n"
    "kept = []\n"
    "for i in range(300):\n"
    "    kept += [Plain(i), Slotted(), Made(i), Keys(a=i), Row(i, str(i), [i]), Number(i + "
    "2**70),\n"
    "             Text('t' * (i % 40)), Octets(b'o' * i), Failure('number', i), generate(i),\n"
    "             close(i), {j: str(j) for j in range(i)}, set(range(i)), frozenset(range(i)),\n"
    "             collections.deque(range(i)), collections.OrderedDict(a=i), 2 ** (i * 3),\n"
    "             -(2 ** i), i / 7, complex(i, 1), 'x' * i, '\\xe4' * i, '\\u20ac' * i,\n"
    "             '\\U0001f600' * (i % 9), b'y' * i, bytearray(i), memoryview(bytearray(9)),\n"
    "             array.array('d', range(i % 50)), decimal.Decimal(i) / 7, fractions.Fraction(i, "
    "7),\n"
    "             datetime.datetime.fromtimestamp(i), datetime.timedelta(i), io.StringIO('s'),\n"
    "             io.BytesIO(b's'), iter([i]), zip([i], [i]), itertools.count(i), map(str, [i]),\n"
    "             types.SimpleNamespace(a=i), slice(i, i + 1), weakref.ref(Slotted),\n"
    "             tuple(range(i % 30)), list(range(i)), contextvars.ContextVar('v%d' % i),\n"
    "             re.compile('a%d(b|c)' % i), re.match('(a)(b)', 'ab'), struct.Struct('4i'),\n"
    "             type('Dynamic%d' % i, (Plain,), {'extra': i}), ctypes.c_long(i), range(i),\n"
    "             property(close), staticmethod(close), functools.partial(close, i),\n"
    "             types.MethodType(close, i)]\n"
    "waiting = wait()\n"
    "try:\n"
    "    raise Failure('raised')\n"
    "except Failure as caught:\n"
    "    kept.append(caught)\n"
    "def walk():\n"
    "    seen, stack = {}, gc.get_objects()\n"
    "    while stack:\n"
    "        one = stack.pop()\n"
    "        if id(one) not in seen and one is not stack and one is not seen:\n"
    "            seen[id(one)] = one\n"
    "            stack.extend(gc.get_referents(one))\n"
    "    return seen\n"
    "seen = walk()\n"
    "gc.disable()\n"
    "with open('objects', 'w') as told:\n"
    "    for number, one in seen.items():\n"
    "        told.write('%#x %s\\n' % (number, type(one).__name__))\n"
    "os.kill(os.getpid(), signal.SIGSTOP)\n";

/* gdb names the objects whose addresses are in "asked", by the type of PyObject where it knows
 * that. */
static const char gdb_script[] =
    "import gdb\n"
    "memory = gdb.selected_inferior()\n"
    "def word(address):\n"
    "    return int.from_bytes(bytes(memory.read_memory(address, 8)), 'little')\n"
    "def text(address):\n"
    "    out = b''\n"
    "    while not out.endswith(b'\\0'): out += bytes(memory.read_memory(address + len(out), 1))\n"
    "    return out[:-1].decode()\n"
    "try: pointer = gdb.lookup_type('PyObject').pointer()\n"
    "except gdb.error: pointer = None\n"
    "names = {}\n"
    "with open('named', 'w') as named:\n"
    "    for line in open('asked'):\n"
    "        address = int(line, 16)\n"
    "        kind = word(address + 8)\n"
    "        if pointer: kind = int(gdb.Value(address).cast(pointer)['ob_type'])\n"
    "        if kind not in names:\n"
    "            if pointer: value = "
    "gdb.Value(address).cast(pointer)['ob_type']['tp_name'].string()\n"
    "            else: value = text(word(kind + 24))\n"
    "            names[kind] = value\n"
    "        named.write(names[kind] + '\\n')\n";

/* @allocator: of PYTHONMALLOC, or NULL. @least_objects: that lie in chunks. */
typedef struct {
    const char *name;
    const char *program;
    const char *allocator;
    guint least_objects;
} PythonCase;

static const PythonCase python_cases[] = {
    {"malloc", "/usr/bin/python3", "PYTHONMALLOC=malloc", 50000},
    {"malloc-debug", "/usr/bin/python3", "PYTHONMALLOC=malloc_debug", 50000},
    {"pymalloc", "/usr/bin/python3", NULL, 500},
    {"debug-build", "/usr/bin/python3.11-dbg", "PYTHONMALLOC=malloc", 50000},
};

/* Interpreters of other versions, by their paths parted by colons. */
#define MORE_PYTHONS "POSTMALLOC_PYTHONS"

/* The last part of "collections.deque (Python)", as __name__ has it. */
static char *
get_plain_name(const char *label)
{
    g_autofree char *name = g_strndup(label, strlen(label) - strlen(" (Python)"));
    const char *dot = strrchr(name, '.');
    return g_strdup(dot != NULL ? dot + 1 : name);
}

static gboolean
is_object_name(const RealRecognition *found)
{
    static const char *const tables[] = {"dict keys (Python)",        "set table (Python)",
                                         "deque block (Python)",      "object pointers (Python)",
                                         "attribute values (Python)", "parser block (Python)"};
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
        if (strcmp(found->name, tables[i]) == 0)
            return FALSE;
    }
    return strcmp(found->id, "cpython") == 0 && g_str_has_suffix(found->name, " (Python)");
}

static void
count_miss(GHashTable *misses, const char *name)
{
    const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(misses, name));
    g_hash_table_insert(misses, g_strdup(name), GUINT_TO_POINTER(count + 1));
}

static void
print_misses(GHashTable *misses)
{
    GHashTableIter iter;
    gpointer name = NULL;
    gpointer count = NULL;
    g_hash_table_iter_init(&iter, misses);
    while (g_hash_table_iter_next(&iter, &name, &count))
        g_test_message("not known: %u of %s", GPOINTER_TO_UINT(count), (const char *)name);
}

/*
 * Every object that the program told of has its own name or none; 95 in 100 of those in chunks are
 * known. @told: the addresses that it told of, to be filled.
 */
static void
compare_objects(const RealRun *run, const GArray *recognitions, guint least, GHashTable *told)
{
    g_autofree char *path = g_build_filename(run->folder, "objects", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GHashTable) misses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint in_chunks = 0;
    guint known = 0;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) {
        char *name = NULL;
        const guint64 address = g_ascii_strtoull(lines[i], &name, 16);
        const RealRecognition *found = real_find_recognition(recognitions, address);
        g_hash_table_insert(told, g_memdup2(&address, sizeof address), told);
        name = g_strchug(name);
        if (found == NULL)
            continue;
        in_chunks++;
        if (!is_object_name(found) || found->address + found->offset_bytes != address) {
            count_miss(misses, name);
            if (strcmp(found->name, "-") != 0)
                real_fail("0x%" G_GINT64_MODIFIER "x is a %s, and is called %s", address, name,
                          found->name);
            continue;
        }
        g_autofree char *plain = get_plain_name(found->name);
        known++;
        if (strcmp(plain, name) != 0)
            real_fail("0x%" G_GINT64_MODIFIER "x is a %s, and is called %s", address, name,
                      found->name);
    }
    g_test_message("%u of %u objects in chunks known", known, in_chunks);
    print_misses(misses);
    g_assert_cmpuint(in_chunks, >=, least);
    g_assert_cmpuint((guint64)known * 100, >=, (guint64)in_chunks * 95);
}

/* Those that the program did not tell of: what gdb calls them. */
static void
compare_others(const RealRun *run, const char *program, const GArray *recognitions,
               GHashTable *told)
{
    g_autofree char *script = g_build_filename(run->folder, "name.py", NULL);
    g_autofree char *asked = g_build_filename(run->folder, "asked", NULL);
    g_autofree char *named = g_build_filename(run->folder, "named", NULL);
    g_autofree char *log = g_build_filename(run->folder, "gdb.log", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GString) addresses = g_string_new(NULL);
    g_autoptr(GPtrArray) others = g_ptr_array_new();
    guint all = 0;
    for (guint i = 0; i < recognitions->len; i++) {
        RealRecognition *found = &g_array_index(recognitions, RealRecognition, i);
        const guint64 address = found->address + found->offset_bytes;
        if (!is_object_name(found))
            continue;
        all++;
        /* One in 50 of those that are known to be right: gdb agrees with the program, too. */
        if (g_hash_table_contains(told, &address) && all % 50 != 0)
            continue;
        g_ptr_array_add(others, found);
        g_string_append_printf(addresses, "0x%" G_GINT64_MODIFIER "x\n", address);
    }
    g_test_message("%u objects named, gdb is asked about %u", all, others->len);
    g_assert_true(g_file_set_contents(asked, addresses->str, -1, NULL));
    g_assert_true(g_file_set_contents(script, gdb_script, -1, NULL));
    const char *command[] = {"gdb", "-nx",  "-batch", "-iex",    "set debuginfod enabled off",
                             "-x",  script, program,  run->core, NULL};
    (void)real_run_command(command, run->folder, log, log, 300);
    if (!g_file_get_contents(named, &text, NULL, NULL)) {
        real_fail("gdb named nothing");
        return;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, others->len + 1);
    for (guint i = 0; i < others->len; i++) {
        const RealRecognition *found = g_ptr_array_index(others, i);
        g_autofree char *label = g_strconcat(lines[i], " (Python)", NULL);
        if (strcmp(label, found->name) != 0)
            real_fail("0x%" G_GINT64_MODIFIER "x is called %s, gdb says %s", found->address,
                      found->name, lines[i]);
    }
}

static void
test_python(gconstpointer data)
{
    const PythonCase *one = data;
    const char *command[] = {one->program, "-c", python_script, NULL};
    const char *environment[] = {one->allocator, NULL};
    g_autoptr(GHashTable) told = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    if (!real_require_program(one->program, "this test looks at"))
        return;
    g_autoptr(RealRun) run = real_run_to_stop(command, environment);
    if (run == NULL)
        return;
    g_autoptr(GArray) recognitions = real_list_recognitions(run);
    if (recognitions == NULL)
        return;
    compare_objects(run, recognitions, one->least_objects, told);
    compare_others(run, one->program, recognitions, told);
}

static void
add_more_pythons(void)
{
    const char *more = g_getenv(MORE_PYTHONS);
    g_auto(GStrv) paths = g_strsplit(more != NULL ? more : "", ":", -1);
    for (gsize i = 0; paths[i] != NULL && *paths[i] != '\0'; i++) {
        g_autofree char *path = g_strconcat("/real/recognisers/python", paths[i], NULL);
        PythonCase *one = g_new0(PythonCase, 1);
        *one = (PythonCase){g_strdup(path), g_strdup(paths[i]), "PYTHONMALLOC=malloc", 50000};
        g_test_add_data_func(path, one, test_python);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_data_func("/real/recognisers/sample", "", test_sample);
    g_test_add_data_func("/real/recognisers/sample-seed", "--seed 77", test_sample);
    g_test_add_func("/real/recognisers/exceptions", test_exceptions);
    g_test_add_func("/real/recognisers/gobject", test_gobject);
    for (gsize i = 0; i < G_N_ELEMENTS(python_cases); i++) {
        g_autofree char *path =
            g_strconcat("/real/recognisers/python/", python_cases[i].name, NULL);
        g_test_add_data_func(path, &python_cases[i], test_python);
    }
    add_more_pythons();
    return g_test_run();
}
