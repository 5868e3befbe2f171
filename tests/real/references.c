/*
 * Paths and references of the leak scan, held against the words of the core.
 */
#include "problems.h"
#include "reach.h"
#include "run.h"
#include "words.h"

#include <string.h>

#define WORD 8

/* A word of one block that points into another. */
typedef struct {
    const RealRow *from;
    guint64 offset;
    const RealRow *to;
} Reference;

/* One block that was asked about. @references: all between blocks. @problems: of the whole core. */
typedef struct {
    const RealTruth *truth;
    RealWords *words;
    GArray *references;
    const RealHolder *holder;
    const RealRow *row;
    RealProblems *problems;
} Question;

static void G_GNUC_PRINTF(2, 3) complain(const Question *question, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    real_problems_add(question->problems, "%s at 0x%" G_GINT64_MODIFIER "x: %s",
                      question->row->name, question->row->address, text);
}

/* setjmp() stores rbp mangled; which value stands for which address is not for this reader. */
static gboolean
is_mangled(const Question *question)
{
    return g_str_equal(question->row->name, "jump-rbp");
}

static gboolean
has_word(const Question *question, guint64 address, guint64 expected)
{
    guint64 word = 0;
    return (real_words_get(question->words, address, &word) && word == expected) ||
           is_mangled(question);
}

static gboolean
is_lost(const RealRow *row)
{
    return g_str_has_prefix(row->reach, "leak-");
}

/* The word of @step that points to @next. Registers have no address; their label has their name. */
static void
check_step(const Question *question, JsonObject *step, JsonObject *next)
{
    const guint64 to_offset = real_member_uint(next, "to_offset");
    const guint64 expected = real_member_address(next, "address") + to_offset;
    guint64 address = real_member_address(step, "address");
    const char *kind = real_member_text(step, "kind");
    if (g_strcmp0(kind, "registers") == 0)
        return;
    if (g_strcmp0(kind, "chunk") == 0)
        address += real_member_uint(step, "offset");
    if (!has_word(question, address, expected))
        complain(question,
                 "the path leads from 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER
                 "x, but the word there does not",
                 address, expected);
    if (to_offset == 0 && g_strcmp0(real_member_text(next, "edge"), "start") != 0)
        complain(question, "a start edge is called %s", real_member_text(next, "edge"));
}

static void
check_root(const Question *question, JsonObject *root)
{
    const char *kind = real_member_text(root, "kind");
    const char *symbol = real_member_text(root, "symbol");
    const RealHolder *holder = question->holder;
    const gboolean weak = json_object_get_boolean_member_with_default(root, "weak", TRUE);
    if (weak != g_str_equal(question->row->reach, "reachable-weak"))
        complain(question, "its class is %s, but its path begins at a %s root: %s",
                 question->row->reach, weak ? "weak" : "strong", real_member_text(root, "label"));
    if (holder->name == NULL)
        return;
    if (g_strcmp0(kind, holder->kind) != 0 ||
        (holder->symbol != NULL && g_strcmp0(symbol, holder->symbol) != 0))
        complain(question, "its path begins at %s %s, but %s %s holds it", kind,
                 symbol ? symbol : "(no symbol)", holder->kind,
                 holder->symbol ? holder->symbol : "");
    const char *label = real_member_text(root, "label");
    const char *register_name = strrchr(question->row->name, '-');
    register_name = register_name ? register_name + 1 : question->row->name;
    if (g_str_equal(holder->kind, "registers") && strstr(question->row->name, "mm") == NULL &&
        (label == NULL || !g_str_has_prefix(label, register_name)))
        complain(question, "%s does not name the register", label);
}

static void
check_path(const Question *question, JsonNode *document)
{
    JsonArray *steps = real_get_array(document, "data.steps");
    const guint count = json_array_get_length(steps);
    if (is_lost(question->row) != (count == 0)) {
        complain(question, "%s, with a path of %u steps", question->row->reach, count);
        return;
    }
    if (count == 0)
        return;
    check_root(question, json_array_get_object_element(steps, 0));
    for (guint i = 0; i + 1 < count; i++)
        check_step(question, json_array_get_object_element(steps, i),
                   json_array_get_object_element(steps, i + 1));
    JsonObject *last = json_array_get_object_element(steps, count - 1);
    if (real_member_address(last, "address") != question->row->address)
        complain(question, "the path does not end at it");
}

/* The block whose bytes hold @address, or NULL. */
static const RealRow *
find_block(const RealTruth *truth, guint64 address)
{
    guint low = 0, high = truth->live->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(truth->live, RealRow, middle).address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const RealRow *row = &g_array_index(truth->live, RealRow, low - 1);
    return address - row->address < row->usable_bytes ? row : NULL;
}

/* What the words of the core say: every aligned word of a block that points into another one. */
static GArray *
find_references(const RealTruth *truth, RealWords *words)
{
    GArray *references = g_array_new(FALSE, FALSE, sizeof(Reference));
    for (guint i = 0; i < truth->live->len; i++) {
        const RealRow *row = &g_array_index(truth->live, RealRow, i);
        for (guint64 offset = 0; offset + WORD <= row->usable_bytes; offset += WORD) {
            guint64 word = 0;
            if (!real_words_get(words, row->address + offset, &word))
                continue;
            const RealRow *to = find_block(truth, word);
            const Reference reference = {row, offset, to};
            if (to != NULL && to != row)
                g_array_append_val(references, reference);
        }
    }
    return references;
}

/* How many there are from @from (NULL: any block) to @to (NULL: any), at @offset (-1: any). */
static guint
count_references(const Question *question, const RealRow *from, gint64 offset, const RealRow *to)
{
    guint count = 0;
    for (guint i = 0; i < question->references->len; i++) {
        const Reference *one = &g_array_index(question->references, Reference, i);
        if ((from == NULL || one->from == from) && (to == NULL || one->to == to) &&
            (offset < 0 || one->offset == (guint64)offset))
            count++;
    }
    return count;
}

/* What comes from a block of the ledger must be there; what comes from elsewhere must be true. */
static void
check_incoming(const Question *question, JsonNode *document)
{
    JsonArray *incoming = real_get_array(document, "data.incoming");
    guint said = 0;
    for (guint i = 0; i < json_array_get_length(incoming); i++) {
        JsonObject *one = json_array_get_object_element(incoming, i);
        const guint64 from = real_member_address(one, "from");
        const char *root = real_member_text(one, "root");
        const RealRow *row = root == NULL ? real_truth_find(question->truth, from) : NULL;
        const guint64 to = question->row->address + real_member_uint(one, "to_offset");
        if (row != NULL) {
            said++;
            if (!count_references(question, row, json_object_get_int_member(one, "offset"),
                                  question->row))
                complain(question, "%s + 0x%" G_GINT64_MODIFIER "x does not refer to it",
                         row->name ? row->name : "a block", real_member_uint(one, "offset"));
        } else if (g_strcmp0(root, "registers") != 0 &&
                   !has_word(question, root ? from : from + real_member_uint(one, "offset"), to)) {
            complain(question, "0x%" G_GINT64_MODIFIER "x (%s) does not refer to it", from,
                     root ? root : "a chunk");
        }
    }
    const guint is = count_references(question, NULL, -1, question->row);
    if (said != is)
        complain(question, "%u words of blocks refer to it, `refs` has %u", is, said);
}

static void
check_outgoing(const Question *question, JsonNode *document)
{
    JsonArray *outgoing = real_get_array(document, "data.outgoing");
    guint said = 0;
    for (guint i = 0; i < json_array_get_length(outgoing); i++) {
        JsonObject *one = json_array_get_object_element(outgoing, i);
        const RealRow *target = real_truth_find(question->truth, real_member_address(one, "to"));
        said += target != NULL ? 1 : 0;
        if (target != NULL && !count_references(question, question->row,
                                                json_object_get_int_member(one, "offset"), target))
            complain(question, "it does not refer to %s", target->name ? target->name : "a block");
    }
    const guint is = count_references(question, question->row, -1, NULL);
    if (said != is)
        complain(question, "%u of its words refer to blocks, `refs` has %u", is, said);
}

static void
ask_about(const RealSubject *subject, const Question *question)
{
    g_autofree char *address = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", question->row->address);
    g_autoptr(JsonNode) path = real_ask(subject, "path", address);
    if (path != NULL)
        check_path(question, path);
    g_autoptr(JsonNode) references = real_ask(subject, "refs", address);
    if (references == NULL)
        return;
    check_incoming(question, references);
    check_outgoing(question, references);
}

void
real_compare_references(const RealSubject *subject, const RealTruth *truth,
                        const RealHolder *holders)
{
    g_autoptr(RealWords) words = real_words_open(subject->core);
    g_autoptr(GArray) references = find_references(truth, words);
    g_autoptr(GHashTable) last = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) done = g_hash_table_new(g_str_hash, g_str_equal);
    RealProblems problems;
    real_problems_init(&problems, "untrue words about references");
    for (guint i = 0; i < truth->live->len; i++) {
        RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (row->name != NULL)
            g_hash_table_replace(last, row->name, row);
    }
    for (guint i = 0; i < truth->live->len; i++) {
        RealRow *row = &g_array_index(truth->live, RealRow, i);
        if (row->name == NULL ||
            (!g_hash_table_add(done, row->name) && g_hash_table_lookup(last, row->name) != row))
            continue;
        const RealHolder *holder = holders;
        while (holder->name != NULL && !g_str_equal(holder->name, row->name))
            holder++;
        ask_about(subject, &(Question){truth, words, references, holder, row, &problems});
    }
    real_problems_report(&problems);
}
