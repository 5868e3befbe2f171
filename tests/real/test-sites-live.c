/*
 * `sites` on programs of Debian, against what they did: every allocation whose innermost known call
 * site has a constant size must have been of that size.
 */
#include "run.h"
#include "tool.h"

#include <string.h>

#define FRAMES 12

/* What recorder.c writes. */
typedef struct {
    guint64 size;
    guint64 callers[FRAMES];
} Record;

typedef struct {
    const char *name;
    const char *command; /* words parted by spaces */
    guint exact_min;     /* so many of its allocations are from sites with a constant */
} Program;

static const Program programs[] = {
    {"openssl", "openssl genrsa 1024", 100},
    {"sqlite3", "sqlite3 :memory: .tables", 1},
    {"xz", "xz --keep --stdout /bin/true", 5},
    {"objdump", "objdump -d /bin/true", 5},
    {"readelf", "readelf -a /bin/true", 1},
    {"python3", "/usr/bin/python3 -c pass", 10},
    {"gdb", "gdb -nx -batch -ex help /bin/true", 100},
    {"bash", "bash -c set", 1},
};

/* By its return address. */
typedef struct {
    gboolean has_sizes;
    GArray *sizes; /* guint64 */
    gboolean has_range;
    guint64 low;
    guint64 high;
    char *text;
} Site;

static void
site_free(gpointer data)
{
    Site *site = data;
    g_array_unref(site->sizes);
    g_free(site->text);
    g_free(site);
}

static Site *
read_site(JsonObject *object)
{
    Site *site = g_new0(Site, 1);
    const char *function = json_object_get_string_member(object, "function");
    JsonNode *requests = json_object_get_member(object, "requests");
    site->sizes = g_array_new(FALSE, FALSE, sizeof(guint64));
    site->has_sizes = requests != NULL && JSON_NODE_HOLDS_ARRAY(requests);
    site->has_range = json_object_has_member(object, "request_min");
    if (site->has_range) {
        site->low = real_member_uint(object, "request_min");
        site->high = real_member_uint(object, "request_max");
    }
    for (guint i = 0; site->has_sizes && i < json_array_get_length(json_node_get_array(requests));
         i++) {
        const guint64 size = (guint64)json_array_get_int_element(json_node_get_array(requests), i);
        g_array_append_val(site->sizes, size);
    }
    site->text = g_strdup_printf(
        "%s in %s+0x%" G_GINT64_MODIFIER "x of %s",
        json_object_get_string_member(object, "argument"), function != NULL ? function : "?",
        real_member_uint(object, "offset"), json_object_get_string_member(object, "module"));
    return site;
}

/* guint64 * → Site *. */
static GHashTable *
read_sites(JsonNode *document)
{
    GHashTable *sites = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, site_free);
    JsonArray *array = real_get_array(document, "data.sites");
    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonObject *object = json_array_get_object_element(array, i);
        const guint64 address = real_member_address(object, "return_address");
        if (address != G_MAXUINT64)
            g_hash_table_insert(sites, g_memdup2(&address, sizeof address), read_site(object));
    }
    return sites;
}

static gboolean
is_possible(const Site *site, guint64 size)
{
    if (site->has_range)
        return size >= site->low && size <= site->high;
    for (guint i = 0; i < site->sizes->len; i++)
        if (g_array_index(site->sizes, guint64, i) == size)
            return TRUE;
    return !site->has_sizes;
}

static void
compare(const Program *program, GHashTable *sites, const Record *records, gsize count)
{
    guint exact = 0, other = 0, wrong = 0;
    g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
    for (gsize i = 0; i < count; i++) {
        Site *site = NULL;
        for (guint j = 0; j < FRAMES && site == NULL; j++)
            site = g_hash_table_lookup(sites, &records[i].callers[j]);
        if (site == NULL)
            continue;
        if (site->has_sizes) {
            exact++;
            g_hash_table_add(used, site);
        } else {
            other++;
        }
        if (!is_possible(site, records[i].size) && wrong++ < 10)
            real_fail("%s asked for %" G_GUINT64_FORMAT, site->text, records[i].size);
    }
    g_test_message("%s: of %u different allocations %u are from %u sites with constants, %u from "
                   "others, %u differ",
                   program->name, (guint)count, exact, g_hash_table_size(used), other, wrong);
    g_assert_cmpuint(exact, >=, program->exact_min);
}

static void
look(const Program *program, const RealRun *run, const char *record)
{
    g_autofree char *bytes = NULL;
    gsize size = 0;
    const RealSubject subject = {.core = run->core};
    g_autoptr(JsonNode) document = real_ask(&subject, "sites --variable", NULL);
    if (document == NULL || !g_file_get_contents(record, &bytes, &size, NULL)) {
        real_fail("%s left no record", program->name);
        return;
    }
    g_autoptr(GHashTable) sites = read_sites(document);
    compare(program, sites, (const Record *)(gconstpointer)bytes, size / sizeof(Record));
}

static void
test_program(gconstpointer data)
{
    const Program *program = data;
    g_auto(GStrv) command = g_strsplit(program->command, " ", -1);
    g_autofree char *folder = g_dir_make_tmp("postmalloc-record-XXXXXX", NULL);
    g_autofree char *record = g_build_filename(folder, "record", NULL);
    g_autofree char *preload = g_strconcat("LD_PRELOAD=", g_getenv("POSTMALLOC_RECORDER"), NULL);
    g_autofree char *variable = g_strconcat("POSTMALLOC_RECORD=", record, NULL);
    const char *const environment[] = {preload, variable, NULL};
    if (real_require_program(command[0], "this test looks at")) {
        g_autoptr(RealRun) run = real_run_to_signal((const char *const *)command, environment);
        if (run != NULL)
            look(program, run, record);
    }
    real_remove(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    for (gsize i = 0; i < G_N_ELEMENTS(programs); i++) {
        g_autofree char *path = g_strconcat("/real/sites-live/", programs[i].name, NULL);
        g_test_add_data_func(path, &programs[i], test_program);
    }
    return real_test_run();
}
