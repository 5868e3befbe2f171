#include "dwarf/spelling.h"

#include <string.h>

/* Templates within templates. */
#define DEPTH_MAX      64
#define NAME_BYTES_MAX 65536

static gboolean
is_word(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '$' || (guchar)c >= 0x80;
}

/* The integers and floats that are spelled with several words, in any order. */
typedef struct {
    guint longs;
    gboolean is_short;
    gboolean is_signed;
    gboolean is_unsigned;
    gboolean is_char;
    gboolean is_double;
    gboolean is_int;
    gboolean is_const;
    gboolean is_volatile;
} Words;

static gboolean
add_word(Words *words, const char *word, gsize length)
{
    static const char *const known[] = {"long", "short",  "signed", "unsigned", "char",
                                        "int",  "double", "const",  "volatile"};
    gsize i = 0;
    while (i < G_N_ELEMENTS(known) &&
           (strlen(known[i]) != length || memcmp(known[i], word, length) != 0))
        i++;
    switch (i) {
    case 0:
        words->longs++;
        break;
    case 1:
        words->is_short = TRUE;
        break;
    case 2:
        words->is_signed = TRUE;
        break;
    case 3:
        words->is_unsigned = TRUE;
        break;
    case 4:
        words->is_char = TRUE;
        break;
    case 5:
        words->is_int = TRUE;
        break;
    case 6:
        words->is_double = TRUE;
        break;
    case 7:
        words->is_const = TRUE;
        break;
    case 8:
        words->is_volatile = TRUE;
        break;
    default:
        return FALSE;
    }
    return TRUE;
}

static gboolean
has_type(const Words *words)
{
    return words->longs > 0 || words->is_short || words->is_signed || words->is_unsigned ||
           words->is_char || words->is_double || words->is_int;
}

static void
append_type(GString *out, const Words *words)
{
    if (words->is_unsigned)
        g_string_append_c(out, 'u');
    if (words->is_double)
        g_string_append(out, words->longs > 0 ? "longdouble" : "double");
    else if (words->is_char)
        g_string_append(out, words->is_signed ? "schar" : "char");
    else if (words->is_short)
        g_string_append(out, "short");
    else
        g_string_append(out, words->longs == 0 ? "int" : words->longs == 1 ? "long" : "longlong");
}

static void
append_qualifiers(GString *out, Words *words)
{
    if (words->is_const)
        g_string_append(out, " const");
    if (words->is_volatile)
        g_string_append(out, " volatile");
    words->is_const = words->is_volatile = FALSE;
}

typedef struct {
    const char *at;
    GString *out;
    guint depth;
} Scan;

static void scan_list(Scan *scan);

/* Where the bracket at @open is closed again; NULL where it is not. */
static const char *
find_close(const char *open)
{
    guint depth = 0;
    for (const char *at = open; *at != '\0'; at++) {
        if (*at == '(')
            depth++;
        else if (*at == ')' && --depth == 0)
            return at;
    }
    return NULL;
}

/* A function's parameters in the name of what is local to it: "f(int) const::Local". */
static const char *
find_scope_behind(const char *open)
{
    const char *close = find_close(open);
    if (close == NULL || g_str_has_prefix(open, "(anonymous namespace)"))
        return NULL;
    close++;
    if (g_str_has_prefix(close, " const"))
        close += strlen(" const");
    return g_str_has_prefix(close, "::") ? close : NULL;
}

/* One word: a part of a number's name, a qualifier, a keyword, a literal, or a name. */
static void
scan_word(Scan *scan, Words *words, gboolean is_first)
{
    const char *start = scan->at;
    while (is_word(*scan->at))
        scan->at++;
    gsize length = (gsize)(scan->at - start);
    static const char *const keywords[] = {"struct", "class", "union", "enum"};
    for (gsize i = 0; i < G_N_ELEMENTS(keywords) && is_first; i++)
        if (strlen(keywords[i]) == length && memcmp(keywords[i], start, length) == 0 &&
            *scan->at == ' ')
            return;
    if (add_word(words, start, length))
        return;
    if (g_ascii_isdigit(*start))
        while (length > 1 && strchr("uUlL", start[length - 1]) != NULL &&
               !g_str_has_prefix(start, "0x"))
            length--;
    else if (scan->out->len > 0 && is_word(scan->out->str[scan->out->len - 1]))
        g_string_append_c(scan->out, ' ');
    g_string_append_len(scan->out, start, (gssize)length);
}

/* What stands between two words. FALSE at the end of this type. */
static gboolean
scan_mark(Scan *scan, Words *words)
{
    const char c = *scan->at;
    if (c == '\0' || c == ',' || c == '>' || c == ')')
        return FALSE;
    if (g_str_has_prefix(scan->at, "{anonymous}") ||
        g_str_has_prefix(scan->at, "(anonymous namespace)")) {
        scan->at += strlen(c == '{' ? "{anonymous}" : "(anonymous namespace)");
        g_string_append(scan->out, "{anonymous}");
        return TRUE;
    }
    const char *behind = c == '(' ? find_scope_behind(scan->at) : NULL;
    if (behind != NULL) {
        scan->at = behind;
        return TRUE;
    }
    if (c == '*' || c == '&' || c == '(' || c == '[')
        append_qualifiers(scan->out, words);
    scan->at++;
    g_string_append_c(scan->out, c);
    if (c != '<' && c != '(')
        return TRUE;
    scan_list(scan);
    if (*scan->at != '\0')
        g_string_append_c(scan->out, *scan->at++);
    return TRUE;
}

/* One type, its qualifiers behind what they qualify. */
static void
scan_type(Scan *scan)
{
    Words words = {0};
    gboolean is_first = TRUE;
    while (TRUE) {
        if (*scan->at == ' ') {
            scan->at++;
            continue;
        }
        const gboolean is_type_word = has_type(&words);
        if (is_word(*scan->at)) {
            scan_word(scan, &words, is_first);
            is_first = FALSE;
            continue;
        }
        if (is_type_word) {
            append_type(scan->out, &words);
            words = (Words){.is_const = words.is_const, .is_volatile = words.is_volatile};
        }
        if (!scan_mark(scan, &words))
            break;
    }
    append_qualifiers(scan->out, &words);
}

/* Types with commas between them, up to what closes them. */
static void
scan_list(Scan *scan)
{
    if (++scan->depth > DEPTH_MAX) {
        g_string_append(scan->out, scan->at);
        scan->at += strlen(scan->at);
    }
    scan_type(scan);
    while (*scan->at == ',') {
        g_string_append_c(scan->out, ',');
        scan->at++;
        scan_type(scan);
    }
    scan->depth--;
}

char *
pm_spelling_normalize(const char *name)
{
    GString *out = g_string_new(NULL);
    Scan scan = {.at = name, .out = out};
    if (strnlen(name, NAME_BYTES_MAX) == NAME_BYTES_MAX) {
        g_string_append(out, name);
        return g_string_free(out, FALSE);
    }
    scan_list(&scan);
    /* A bracket that nothing opened: an operator's name. */
    g_string_append(out, scan.at);
    return g_string_free(out, FALSE);
}

void
pm_spelling_append_base(GString *text, const char *name)
{
    Words words = {0};
    for (const char *at = name; *at != '\0';) {
        const gsize length = strcspn(at, " ");
        if (length > 0 && !add_word(&words, at, length)) {
            g_string_append_len(text, name, (gssize)strnlen(name, NAME_BYTES_MAX));
            return;
        }
        at += length + strspn(at + length, " ");
    }
    const gboolean is_plain_int = !words.is_char && !words.is_double && !words.is_short;
    if (words.is_unsigned)
        g_string_append(text, "unsigned ");
    else if (words.is_signed && words.is_char)
        g_string_append(text, "signed ");
    for (guint i = 0; i < MIN(words.longs, 2); i++)
        g_string_append(text, i + 1 < words.longs || words.is_double ? "long " : "long");
    if (words.is_char)
        g_string_append(text, "char");
    else if (words.is_double)
        g_string_append(text, "double");
    else if (words.is_short)
        g_string_append(text, "short");
    else if (is_plain_int && words.longs == 0)
        g_string_append(text, "int");
}

guint64
pm_spelling_hash(const char *name)
{
    g_autofree char *normal = pm_spelling_normalize(name);
    guint64 hash = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *at = normal; *at != '\0'; at++)
        hash = (hash ^ (guchar)*at) * 0x100000001b3;
    return hash;
}
