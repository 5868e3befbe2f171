/*
 * Words as lines and as JSON; see words.h.
 */
#include "report/words.h"

#include <string.h>

/* Columns left of the description: offset, hex and ASCII of a word of eight bytes. */
#define DETAIL_COLUMNS 52
/* Words that are alike from which on they are told once. */
#define REPEATED_MIN 3

static guint
get_word_bytes(const PmDescriber *describer)
{
    return pm_image_get_target(pm_describer_get_subject(describer)->image)->word_bytes;
}

/* What a word points to, safe for a terminal; a string in quotes. (transfer full) */
static char *
format_detail(const PmSink *sink, const PmWordText *text)
{
    if (!text->is_string)
        return pm_sanitise_short(text->text, sink->utf8, DETAIL_COLUMNS);
    g_autofree char *safe = pm_sanitise(text->text, sink->utf8);
    const gsize columns = DETAIL_COLUMNS - 5;
    const gsize length = (gsize)g_utf8_strlen(safe, -1);
    if (length <= columns && text->string_bytes <= PM_WORD_STRING_MAX)
        return g_strdup_printf("\"%s\"", safe);
    g_autofree char *head = g_utf8_substring(safe, 0, (glong)MIN(columns, length));
    return g_strdup_printf("\"%s\"...", head);
}

/* One line of up to @width bytes; a shorter one where memory ends within a word. */
static void
print_line(const PmSink *sink, const guint8 *bytes, gsize count, gsize width, guint64 offset,
           const char *detail)
{
    char hex[3 * 8 + 1] = "";
    char ascii[8 + 1] = "";
    for (gsize i = 0; i < width; i++) {
        const gboolean here = i < count;
        g_snprintf(hex + 3 * i, 4, here ? "%02x " : "   ", here ? bytes[i] : 0);
        ascii[i] = ' ';
        if (here)
            ascii[i] = g_ascii_isprint((gchar)bytes[i]) ? (gchar)bytes[i] : '.';
    }
    char place[24];
    g_snprintf(place, sizeof place, "+0x%" G_GINT64_MODIFIER "x", offset);
    GString *line = g_string_new(NULL);
    g_string_append_printf(line, "  %-8s %s %s  %s", place, hex, ascii,
                           detail == NULL ? "" : detail);
    while (line->len > 0 && line->str[line->len - 1] == ' ')
        g_string_truncate(line, line->len - 1);
    pm_output_append(sink->output, line->str, line->len);
    pm_output_char(sink->output, '\n');
    g_string_free(line, TRUE);
}

/* How many words from @at on are the same. */
static gsize
count_alike(const PmWords *words, gsize at, gsize width)
{
    gsize alike = 1;
    while (at + (alike + 1) * width <= words->count &&
           memcmp(words->bytes + at, words->bytes + at + alike * width, width) == 0)
        alike++;
    return alike;
}

void
pm_words_print(const PmSink *sink, PmDescriber *describer, const PmWords *words)
{
    const gsize width = get_word_bytes(describer);
    for (gsize at = 0; at < words->count;) {
        const gsize count = MIN(width, words->count - at);
        gsize alike = count == width ? count_alike(words, at, width) : 1;
        PmWordText text = {.text = NULL};
        if (count == width)
            pm_describer_describe(describer, pm_load_word(words->bytes + at, width), &text);
        g_autofree char *detail = format_detail(sink, &text);
        pm_word_text_clear(&text);
        print_line(sink, words->bytes + at, count, width, words->offset_bytes + at, detail);
        if (alike >= REPEATED_MIN)
            pm_sink_line(sink, "           the same in %s", pm_format_more(alike - 1, "word").text);
        else
            alike = 1;
        at += alike * width;
    }
}

static void
write_word(PmJson *json, const PmWordText *text, guint64 offset, guint64 value)
{
    const gboolean is_chunk = text->word.kind == PM_WORD_CHUNK ||
                              text->word.kind == PM_WORD_CHUNK_INTERIOR ||
                              text->word.kind == PM_WORD_FREE_CHUNK;
    char hex[24];
    g_snprintf(hex, sizeof hex, "0x%" G_GINT64_MODIFIER "x", value);
    pm_json_begin_object(json, NULL);
    pm_json_uint(json, "offset", offset);
    pm_json_string(json, "value", hex);
    pm_json_string(json, "what", text->is_string ? "string" : pm_word_kind_name(text->word.kind));
    pm_json_string(json, "detail", text->text);
    if (is_chunk) {
        pm_json_address(json, "chunk", text->chunk.address);
        pm_json_uint(json, "chunk_offset", text->offset_bytes);
    }
    if (text->is_string)
        pm_json_uint(json, "string_bytes", text->string_bytes);
    if (text->word.module != NULL)
        pm_json_string(json, "module", text->word.module->path);
    if (text->word.thread != NULL)
        pm_json_uint(json, "thread", text->word.thread->tid);
    pm_json_end_object(json);
}

void
pm_words_write(const PmSink *sink, PmDescriber *describer, const PmWords *words)
{
    const gsize width = get_word_bytes(describer);
    pm_json_begin_array(sink->json, "words");
    for (gsize at = 0; at + width <= words->count; at += width) {
        PmWordText text;
        const guint64 value = pm_load_word(words->bytes + at, width);
        pm_describer_describe(describer, value, &text);
        write_word(sink->json, &text, words->offset_bytes + at, value);
        pm_word_text_clear(&text);
    }
    pm_json_end_array(sink->json);
}
