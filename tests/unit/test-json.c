/* analyzer/report/json: what it writes parses, whatever went in; json-glib is the judge. */
#include "report/json.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Collects what a writer sends through a pipe-less file. */
typedef struct {
    PmOutput *output;
    PmJson json;
    int fd;
} Fixture;

static void
set_up(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *path = NULL;
    fixture->fd = g_file_open_tmp("test-json-XXXXXX", &path, NULL);
    g_assert_cmpint(fixture->fd, >=, 0);
    (void)unlink(path);
    fixture->output = pm_output_new(fixture->fd);
    pm_json_init(&fixture->json, fixture->output);
}

static void
tear_down(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    pm_output_free(fixture->output);
    (void)close(fixture->fd);
}

/* Everything that was written. (transfer full) */
static char *
take_text(Fixture *fixture)
{
    g_assert_true(pm_output_flush(fixture->output));
    gsize length = (gsize)lseek(fixture->fd, 0, SEEK_END);
    char *text = g_malloc0(length + 1);
    g_assert_cmpint((gint64)pread(fixture->fd, text, length, 0), ==, (gint64)length);
    return text;
}

static JsonNode *
take_document(Fixture *fixture)
{
    g_autofree char *text = take_text(fixture);
    g_autoptr(GError) error = NULL;
    JsonNode *root = json_from_string(text, &error);
    g_assert_no_error(error);
    g_assert_nonnull(root);
    return root;
}

static void
test_shape(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    PmJson *json = &fixture->json;
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "largest", G_MAXUINT64);
    pm_json_int(json, "smallest", G_MININT64);
    pm_json_begin_array(json, "none");
    pm_json_end_array(json);
    pm_json_begin_array(json, "numbers");
    pm_json_uint(json, NULL, 0);
    pm_json_uint(json, NULL, 1234567890);
    pm_json_end_array(json);
    pm_json_begin_object(json, "inner");
    pm_json_end_object(json);
    pm_json_bool(json, "yes", TRUE);
    pm_json_bool(json, "no", FALSE);
    pm_json_null(json, "nothing");
    pm_json_string(json, "unknown", NULL);
    pm_json_address(json, "zero", 0);
    pm_json_address(json, "address", 0x7f12a0);
    pm_json_address(json, "last", G_MAXUINT64 - 1);
    pm_json_address(json, "nowhere", PM_ADDR_NONE);
    pm_json_end_object(json);
    g_autofree char *text = take_text(fixture);
    g_assert_cmpstr(
        text, ==,
        "{\"largest\":18446744073709551615,\"smallest\":-9223372036854775808,\"none\":[],"
        "\"numbers\":[0,1234567890],\"inner\":{},\"yes\":true,\"no\":false,\"nothing\":null,"
        "\"unknown\":null,\"zero\":\"0x0\",\"address\":\"0x7f12a0\","
        "\"last\":\"0xfffffffffffffffe\",\"nowhere\":null}\n");
}

static void
test_doubles(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    PmJson *json = &fixture->json;
    pm_json_begin_array(json, NULL);
    pm_json_double(json, NULL, 0);
    pm_json_double(json, NULL, 1.0 / 3);
    pm_json_double(json, NULL, 1e300);
    pm_json_double(json, NULL, NAN);
    pm_json_double(json, NULL, INFINITY);
    pm_json_double(json, NULL, -INFINITY);
    pm_json_end_array(json);
    g_autofree char *text = take_text(fixture);
    g_assert_cmpstr(text, ==, "[0,0.333333,1e+300,null,null,null]\n");
}

static void
test_strings(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"quote \" slash \\ / end", "quote \" slash \\ / end"},
        {"\n\t\r\b\f\x01\x1f\x7f", "\n\t\r\b\f\x01\x1f\x7f"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        /* A byte that begins nothing, one that goes on from nothing, a cut-off end. */
        {"a\xff"
         "b\x80\xe2\x82",
         "a\\xffb\\x80\\xe2\\x82"},
        /* Overlong, a surrogate, and past the last character. */
        {"\xc0\xaf", "\\xc0\\xaf"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
    };
    PmJson *json = &fixture->json;
    pm_json_begin_array(json, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
        pm_json_string(json, NULL, pairs[i][0]);
    pm_json_bytes(json, NULL, "a\0b", 3);
    pm_json_end_array(json);
    g_autofree char *text = take_text(fixture);
    g_assert_nonnull(strstr(text, "a\\u0000b"));
    g_autoptr(JsonNode) root = take_document(fixture);
    JsonArray *array = json_node_get_array(root);
    g_assert_cmpuint(json_array_get_length(array), ==, G_N_ELEMENTS(pairs) + 1);
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++)
        g_assert_cmpstr(json_array_get_string_element(array, i), ==, pairs[i][1]);
}

/* Any bytes whatever give one string that parses. */
static void
test_random_bytes(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    PmJson *json = &fixture->json;
    pm_json_begin_array(json, NULL);
    for (guint i = 0; i < 2000; i++) {
        char bytes[40];
        gsize count = (gsize)g_test_rand_int_range(0, sizeof bytes);
        for (gsize j = 0; j < count; j++)
            bytes[j] = (char)g_test_rand_int_range(1, 256);
        pm_json_bytes(json, NULL, bytes, count);
    }
    pm_json_end_array(json);
    g_autoptr(JsonNode) root = take_document(fixture);
    g_assert_cmpuint(json_array_get_length(json_node_get_array(root)), ==, 2000);
}

/* Many times the buffer, so that every kind of value meets its edge. */
static void
test_long_stream(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    const guint64 rows = 60000;
    PmJson *json = &fixture->json;
    g_autofree char *wide = g_strnfill(PM_OUTPUT_BUFFER_BYTES + 17, 'w');
    pm_json_begin_object(json, NULL);
    pm_json_string(json, "wide", wide);
    pm_json_begin_array(json, "rows");
    for (guint64 i = 0; i < rows; i++) {
        pm_json_begin_object(json, NULL);
        pm_json_uint(json, "n", i);
        pm_json_address(json, "address", i * 0x10001);
        pm_json_string(json, "text", "\x01\x02");
        pm_json_end_object(json);
    }
    pm_json_end_array(json);
    pm_json_end_object(json);
    g_autoptr(JsonNode) root = take_document(fixture);
    JsonObject *object = json_node_get_object(root);
    g_assert_cmpstr(json_object_get_string_member(object, "wide"), ==, wide);
    JsonArray *array = json_object_get_array_member(object, "rows");
    g_assert_cmpuint(json_array_get_length(array), ==, rows);
    for (guint i = 0; i < rows; i++) {
        JsonObject *row = json_array_get_object_element(array, i);
        g_autofree char *address =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", (guint64)i * 0x10001);
        g_assert_cmpint(json_object_get_int_member(row, "n"), ==, i);
        g_assert_cmpstr(json_object_get_string_member(row, "address"), ==, address);
    }
}

/* A full disk is told, once, and nothing hangs. */
static void
test_write_error(void)
{
    g_autoptr(PmOutput) output = pm_output_new(-1);
    for (guint i = 0; i < 100000; i++)
        pm_output_append(output, "0123456789", 10);
    g_assert_false(pm_output_flush(output));
    g_assert_cmpint(output->error, ==, EBADF);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/json/shape", Fixture, NULL, set_up, test_shape, tear_down);
    g_test_add("/json/doubles", Fixture, NULL, set_up, test_doubles, tear_down);
    g_test_add("/json/strings", Fixture, NULL, set_up, test_strings, tear_down);
    g_test_add("/json/random-bytes", Fixture, NULL, set_up, test_random_bytes, tear_down);
    g_test_add("/json/long-stream", Fixture, NULL, set_up, test_long_stream, tear_down);
    g_test_add_func("/output/write-error", test_write_error);
    return g_test_run();
}
