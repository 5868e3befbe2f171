/*
 * Where results go: text for people or one JSON object for scripts. Holds what every rendering
 * needs to know, and writes what all documents share: the JSON envelope, headings, the line that
 * tells of rows left out.
 */
#pragma once

#include "analysis/format.h"
#include "analysis/subject.h"
#include "report/json.h"

/* What prose is wrapped at. */
#define PM_SINK_COLUMNS 100

/*
 * @json: NULL in text.
 * @command: its name. @core_path: as the user gave it.
 * @again: how to name this core and its files in a further command, quoted for the shell; with it
 * "next" lines can be pasted.
 * @top: rows in ranked tables, @limit: rows in lists; 0 means all. @top_given: the user said so.
 * @color: escape sequences may be used. @utf8: characters beyond ASCII may be.
 * @verbose: -v.
 */
typedef struct {
    PmOutput *output;
    PmJson *json;
    const char *command;
    const char *core_path;
    const char *again;
    guint64 top;
    guint64 limit;
    gboolean top_given;
    gboolean color;
    gboolean utf8;
    gboolean verbose;
} PmSink;

/* JSON alone: the envelope up to "data", whose object is then open. In text it does nothing. */
void pm_sink_begin(const PmSink *sink, const PmSubject *subject);

/* Closes what pm_sink_begin() opened. */
void pm_sink_end(const PmSink *sink);

/*
 * JSON alone: the whole document of a failure.
 *
 * @subject: what was opened; its image may be NULL, and then "core" is null.
 */
void pm_sink_fail(const PmSink *sink, const PmSubject *subject, const GError *error);

/* How many of @count rows of a table are shown under @limit (0: all). */
guint64 pm_sink_rows(guint64 limit, guint64 count);

/* "<list>_omitted" in JSON where rows were cut. @list: the key of the list, which was just closed.
 */
void pm_sink_json_omitted(const PmSink *sink, const char *list, guint64 omitted);

/* Text: a heading line in bold where colour is allowed, after an empty line unless it is the first.
 */
void pm_sink_heading(const PmSink *sink, const char *text);

/* Text: @text in bold where colour is allowed; no line end. */
void pm_sink_emphasise(const PmSink *sink, const char *text);

/*
 * Text: @items joined by pm_sink_dot(), on as many lines of PM_SINK_COLUMNS as it takes; made safe
 * for the terminal. NULL ends the list.
 */
void pm_sink_items(const PmSink *sink, const char *const *items);

/*
 * Text: @label in a column of @indent, beside it @text in lines of PM_SINK_COLUMNS; both made safe
 * for the terminal.
 */
void pm_sink_paragraph(const PmSink *sink, const char *label, guint indent, const char *text);

/* Text: printf of a whole line that holds no string from the core. */
void pm_sink_line(const PmSink *sink, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Text: "name   value" with the names in one column; @value is made safe for the terminal. NULL
 * prints "unknown". */
void pm_sink_field(const PmSink *sink, const char *name, const char *value);

/* A horizontal bar of @share of @columns; "" for none. */
char *pm_sink_bar(const PmSink *sink, double share, guint columns);

/* "·" or "-": between the items of a line. Static. */
const char *pm_sink_dot(const PmSink *sink);

/* "–" or "-": between the ends of a range. Static. */
const char *pm_sink_dash(const PmSink *sink);
