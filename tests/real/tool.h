/*
 * Asks the postmalloc executable, and reads its JSON.
 */
#pragma once

#include <json-glib/json-glib.h>

/* A core and the options with which it is opened (NULL-terminated; NULL for none). */
typedef struct {
    const char *core;
    const char *const *options;
} RealSubject;

/*
 * Runs `postmalloc COMMAND OPTIONS --format json CORE` and parses what it prints.
 *
 * @command: the command and its own options, parted by spaces; where a word follows CORE, it is
 * given as @argument (else NULL). Returns: (transfer full): the whole document; NULL after
 * g_test_fail() where the status was not 0 or it does not parse.
 */
JsonNode *real_ask(const RealSubject *subject, const char *command, const char *argument);

/*
 * The same, for answers that are too large for a document: what was printed goes to @path.
 *
 * Returns: FALSE after g_test_fail().
 */
gboolean real_ask_into(const RealSubject *subject, const char *command, const char *path);

/*
 * The same, for a question that must not be answered.
 *
 * Returns: (transfer full): the document with "error", after a status of 1 was seen; NULL after
 * g_test_fail().
 */
JsonNode *real_ask_refused(const RealSubject *subject, const char *command);

/*
 * What is at @path of @document: member names parted by dots, from the top ("data.mmapped.chunks").
 * A member that is missing fails the test and gives NULL. Borrowed.
 */
JsonNode *real_get(JsonNode *document, const char *path);

/* The array, number or string at @path; an empty array, 0, NULL where it is missing or JSON null.
 * Borrowed. */
JsonArray *real_get_array(JsonNode *document, const char *path);
guint64 real_get_uint(JsonNode *document, const char *path);
const char *real_get_string(JsonNode *document, const char *path);

/* The address in the string member @name of @object; G_MAXUINT64 where it is JSON null. */
guint64 real_member_address(JsonObject *object, const char *name);

/* A member that must be there and be a whole number; else the test fails. */
guint64 real_member_uint(JsonObject *object, const char *name);

/* The string member @name of @object; NULL where it is missing or JSON null. Borrowed. */
const char *real_member_text(JsonObject *object, const char *name);

/* The diagnostics of @document that are warnings or errors, one a line; "" where there are none. */
char *real_list_warnings(JsonNode *document);
