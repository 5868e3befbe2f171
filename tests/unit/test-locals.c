/*
 * heapwalk/dwarf/locals.h and inlined.h on programs that are compiled here and die in known
 * functions.
 */
#include "dwarf/inlined.h"
#include "dwarf/locals.h"

#include "compiled.h"

#include <string.h>

static const char source[] =
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "struct item { struct item *next; int number; char text[20]; };\n"
    "struct item first = { 0, 11, \"first\" }, second = { &first, 22, \"second\" };\n"
    "volatile int sink;\n"
    "static inline __attribute__((always_inline)) void deepest(struct item *inlined) {\n"
    "    struct item *volatile kept = inlined->next;\n"
    "    sink = kept->number;\n"
    "    abort();\n"
    "}\n"
    "__attribute__((noinline)) void innermost(struct item *list, long count) {\n"
    "    struct item copy = *list;\n"
    "    static int visits = 1;\n"
    "    volatile int number = (int)count + visits;\n"
    "    if (number > 0) {\n"
    "        struct item *volatile in_block = list;\n"
    "        memcpy(copy.text, \"copied\", 7);\n"
    "        __asm__ volatile(\"\" : : \"r\"(&copy) : \"memory\");\n"
    "        deepest(in_block);\n"
    "    }\n"
    "    sink = copy.number;\n"
    "}\n"
    "__attribute__((noinline)) int outer(struct item *argument) {\n"
    "    struct item *local = argument->next;\n"
    "    struct item *volatile stored = local;\n"
    "    innermost(argument, 5);\n"
    "    return local->number + stored->number;\n"
    "}\n"
    "int main(int argc, char **argv) {\n"
    "    (void)argv;\n"
    "    return outer(argc > 0 ? &second : 0) + argc;\n"
    "}\n";

static const CompiledSource sources[] = {{"main.c", source}, {NULL, NULL}};

typedef struct {
    const Compiled *compiled;
    const GArray *locals;
    PmAddr first;
    PmAddr second;
} Subject;

static const PmTypedLocal *
find_local(const Subject *subject, const char *function, const char *name)
{
    const PmTypedLocal *found = NULL;
    for (guint i = 0; i < subject->locals->len; i++) {
        const PmTypedLocal *local = &g_array_index(subject->locals, PmTypedLocal, i);
        if (!g_str_equal(local->function, function) || !g_str_equal(local->name, name))
            continue;
        g_assert_null(found);
        found = local;
    }
    return found;
}

/* A local that must be there: what it holds, a word. */
static guint64
read_local(const Subject *subject, const char *function, const char *name, const char *type)
{
    const PmTypedLocal *local = find_local(subject, function, name);
    guint64 value = 0;
    if (local == NULL)
        g_test_message("no %s in %s", name, function);
    g_assert_nonnull(local);
    g_assert_cmpstr(local->type->name, ==, type);
    if (local->is_value)
        return local->value;
    g_assert_true(pm_space_read_word(pm_process_get_space(subject->compiled->process),
                                     local->address, &value));
    return local->type->size_bytes == 4 ? value & G_MAXUINT32 : value;
}

/* One that need not be there, but must be right where it is. */
static void
check_local(const Subject *subject, const char *function, const char *name, const char *type,
            guint64 expected)
{
    if (find_local(subject, function, name) != NULL)
        g_assert_cmphex(read_local(subject, function, name, type), ==, expected);
    else
        g_test_message("%s in %s is not known here", name, function);
}

static PmAddr
find_symbol(const Compiled *compiled, const char *name)
{
    PmSymbol symbol;
    g_assert_true(
        pm_process_lookup_symbol(compiled->process, compiled_get_module(compiled), name, &symbol));
    return symbol.address;
}

static void
check_always(const Subject *subject)
{
    const PmTypedLocal *copy = find_local(subject, "innermost", "copy");
    char text[20] = "";
    g_assert_cmphex(read_local(subject, "deepest", "kept", "struct item *"), ==, subject->first);
    g_assert_cmphex(read_local(subject, "innermost", "in_block", "struct item *"), ==,
                    subject->second);
    g_assert_cmpuint(read_local(subject, "innermost", "number", "int"), ==, 6);
    g_assert_cmphex(read_local(subject, "outer", "stored", "struct item *"), ==, subject->first);
    g_assert_cmphex(read_local(subject, "outer", "local", "struct item *"), ==, subject->first);
    g_assert_nonnull(copy);
    g_assert_cmpstr(copy->type->name, ==, "struct item");
    g_assert_false(copy->is_value);
    g_assert_true(pm_space_read(pm_process_get_space(subject->compiled->process),
                                copy->address + 12, text, sizeof text));
    g_assert_cmpstr(text, ==, "copied");
}

/* deepest() is in innermost() where that died, and nothing is in outer(). */
static void
check_inlined(const Subject *subject, PmTypes *types, const PmThread *thread)
{
    gboolean complete = FALSE;
    gsize count = 0;
    guint found = 0;
    g_autofree PmFrame *frames =
        pm_process_unwind(subject->compiled->process, thread, &count, &complete);
    for (gsize i = 0; i < count; i++) {
        g_autoptr(GArray) inlined = pm_types_get_inlined(types, pm_frame_get_code(&frames[i]));
        PmSymbol symbol;
        guint64 offset = 0;
        if (!pm_process_symbolize(subject->compiled->process, pm_frame_get_code(&frames[i]),
                                  &symbol, &offset))
            continue;
        if (g_str_has_prefix(symbol.name, "outer"))
            g_assert_cmpuint(inlined->len, ==, 0);
        if (!g_str_has_prefix(symbol.name, "innermost")) /* or its .cold part */
            continue;
        const PmInlined *call = &g_array_index(inlined, PmInlined, 0);
        g_assert_cmpuint(inlined->len, ==, 1);
        g_assert_cmpstr(call->function, ==, "deepest");
        g_assert_nonnull(call->file);
        g_assert_true(g_str_has_suffix(call->file, "main.c"));
        g_assert_cmpuint(call->line, ==, 19);
        found++;
    }
    g_assert_cmpuint(found, ==, 1);
}

static void
test_locals(gconstpointer flags)
{
    const gboolean is_plain = strstr(flags, "-O0") != NULL;
    g_autoptr(Compiled) compiled = compiled_new("gcc", sources, flags);
    gsize count = 0;
    if (compiled == NULL)
        return;
    const PmThread *threads = pm_process_get_threads(compiled->process, &count);
    const PmTypesOptions options = {.cache_folder = ""};
    g_autoptr(PmTypes) types = pm_types_new(compiled->process, &options, compiled->diagnostics);
    g_autoptr(GArray) locals = pm_types_get_locals(types, &threads[0]);
    const Subject subject = {
        .compiled = compiled,
        .locals = locals,
        .first = find_symbol(compiled, "first"),
        .second = find_symbol(compiled, "second"),
    };
    check_always(&subject);
    check_inlined(&subject, types, &threads[0]);
    check_local(&subject, "outer", "argument", "struct item *", subject.second);
    check_local(&subject, "innermost", "list", "struct item *", subject.second);
    check_local(&subject, "deepest", "inlined", "struct item *", subject.second);
    check_local(&subject, "innermost", "count", "long", 5);
    check_local(&subject, "innermost", "visits", "int", 1);
    check_local(&subject, "main", "argc", "int", 1);
    if (is_plain) {
        g_assert_nonnull(find_local(&subject, "outer", "argument"));
        g_assert_nonnull(find_local(&subject, "innermost", "count"));
        g_assert_nonnull(find_local(&subject, "main", "argv"));
    }
    for (guint i = 0; i < locals->len; i++) {
        const PmTypedLocal *local = &g_array_index(locals, PmTypedLocal, i);
        g_assert_true(local->thread == &threads[0]);
        g_assert_cmpuint(local->frame, <, PM_LOCALS_FRAMES_MAX);
        g_assert_nonnull(local->type);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef __x86_64__
    g_test_add_data_func("/locals/O0", "-g -O0", test_locals);
    g_test_add_data_func("/locals/O2", "-g -O2", test_locals);
    g_test_add_data_func("/locals/O2-dwarf-4", "-g -O2 -gdwarf-4", test_locals);
    g_test_add_data_func("/locals/O2-split", "-g -O2 -gsplit-dwarf", test_locals);
    g_test_add_data_func("/locals/O2-split-4", "-g -O2 -gdwarf-4 -gsplit-dwarf", test_locals);
#endif
    return g_test_run();
}
