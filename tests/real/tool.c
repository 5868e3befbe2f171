/*
 * Running postmalloc and reading what it says.
 */
#include "tool.h"

#include "run.h"

#include <string.h>
#include <sys/wait.h>

#define TOOL_SECONDS 120

/* `postmalloc COMMAND OPTIONS --format json CORE ARGUMENT`; its standard output goes to @output.
 * Returns: the wait status; the text of standard error. */
static int
run_tool_into(const RealSubject *subject, const char *command, const char *argument,
              const char *output, char **ret_errors)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    const char *executable = g_getenv("POSTMALLOC");
    g_assert_nonnull(executable);
    g_ptr_array_add(words, (gpointer)executable);
    g_auto(GStrv) parts = g_strsplit(command, " ", -1);
    for (gsize i = 0; parts[i] != NULL; i++)
        g_ptr_array_add(words, parts[i]);
    for (gsize i = 0; subject->options != NULL && subject->options[i] != NULL; i++)
        g_ptr_array_add(words, (gpointer)subject->options[i]);
    const char *last[] = {"--format", "json", subject->core, argument, NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(last); i++)
        g_ptr_array_add(words, (gpointer)last[i]);
    g_autofree char *errors = g_strconcat(output, ".stderr", NULL);
    int status =
        real_run_command((const char *const *)words->pdata, NULL, output, errors, TOOL_SECONDS);
    if (!g_file_get_contents(errors, ret_errors, NULL, NULL))
        *ret_errors = g_strdup("");
    return status;
}

/* Returns: the document, with the exit status in @ret_status. NULL after g_test_fail(). */
static JsonNode *
run_tool(const RealSubject *subject, const char *command, const char *argument, int *ret_status)
{
    g_autofree char *folder = g_dir_make_tmp("postmalloc-ask-XXXXXX", NULL);
    g_autofree char *output = g_build_filename(folder, "stdout", NULL);
    g_autofree char *text = NULL;
    int status = run_tool_into(subject, command, argument, output, &text);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *document = NULL;
    if (status == -1 || !WIFEXITED(status))
        real_fail("postmalloc %s: wait status %d: %s", command, status, text);
    else if (!json_parser_load_from_mapped_file(parser, output, &error))
        real_fail("postmalloc %s: %s; %s", command, error->message, text);
    else if ((document = json_parser_steal_root(parser)) == NULL)
        real_fail("postmalloc %s: wait status %d, and no answer: %s", command, status, text);
    real_remove(folder);
    *ret_status = status == -1 ? -1 : WEXITSTATUS(status);
    return document;
}

gboolean
real_ask_into(const RealSubject *subject, const char *command, const char *path)
{
    g_autofree char *text = NULL;
    int status = run_tool_into(subject, command, NULL, path, &text);
    if (status != 0)
        real_fail("postmalloc %s: wait status %d: %s", command, status, text);
    return status == 0;
}

JsonNode *
real_ask(const RealSubject *subject, const char *command, const char *argument)
{
    int status = 0;
    g_autoptr(JsonNode) document = run_tool(subject, command, argument, &status);
    if (document == NULL)
        return NULL;
    if (status == 0)
        return g_steal_pointer(&document);
    g_autofree char *text = json_to_string(document, FALSE);
    real_fail("postmalloc %s: status %d: %.2000s", command, status, text);
    return NULL;
}

JsonNode *
real_ask_refused(const RealSubject *subject, const char *command)
{
    int status = 0;
    g_autoptr(JsonNode) document = run_tool(subject, command, NULL, &status);
    if (document == NULL)
        return NULL;
    if (status == 1)
        return g_steal_pointer(&document);
    real_fail("postmalloc %s: status %d, not 1", command, status);
    return NULL;
}

JsonNode *
real_get(JsonNode *document, const char *path)
{
    JsonNode *node = document;
    g_auto(GStrv) names = g_strsplit(path, ".", -1);
    for (gsize i = 0; names[i] != NULL && node != NULL; i++) {
        node = JSON_NODE_HOLDS_OBJECT(node)
                   ? json_object_get_member(json_node_get_object(node), names[i])
                   : NULL;
    }
    if (node == NULL)
        real_fail("the JSON has no %s", path);
    return node;
}

JsonArray *
real_get_array(JsonNode *document, const char *path)
{
    static JsonArray *empty;
    JsonNode *node = real_get(document, path);
    if (node != NULL && JSON_NODE_HOLDS_ARRAY(node))
        return json_node_get_array(node);
    if (empty == NULL)
        empty = json_array_new();
    return empty;
}

guint64
real_get_uint(JsonNode *document, const char *path)
{
    JsonNode *node = real_get(document, path);
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) ? (guint64)json_node_get_int(node) : 0;
}

const char *
real_get_string(JsonNode *document, const char *path)
{
    JsonNode *node = real_get(document, path);
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

guint64
real_member_address(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node))
        return G_MAXUINT64;
    const char *text = json_node_get_string(node);
    if (text == NULL || !g_str_has_prefix(text, "0x")) {
        real_fail("%s is no address", name);
        return G_MAXUINT64;
    }
    return g_ascii_strtoull(text, NULL, 16);
}

guint64
real_member_uint(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_INT64) {
        real_fail("%s is no number", name);
        return 0;
    }
    return (guint64)json_node_get_int(node);
}

const char *
real_member_text(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

char *
real_list_warnings(JsonNode *document)
{
    GString *text = g_string_new(NULL);
    JsonArray *diagnostics = real_get_array(document, "diagnostics");
    for (guint i = 0; i < json_array_get_length(diagnostics); i++) {
        JsonObject *one = json_array_get_object_element(diagnostics, i);
        if (g_strcmp0(json_object_get_string_member(one, "severity"), "note") != 0) {
            g_string_append_printf(text, "%s: %s\n", json_object_get_string_member(one, "code"),
                                   json_object_get_string_member(one, "text"));
        }
    }
    return g_string_free(text, FALSE);
}
