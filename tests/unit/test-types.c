/*
 * heapwalk/dwarf/types.h on programs that are compiled here.
 */
#include "dwarf/types.h"

#include "dwarf/spelling.h"

#include "compiled.h"

#include <string.h>

static const char c_header[] =
    "#include <stdint.h>\n"
    "#include <stdbool.h>\n"
    "#include <complex.h>\n"
    "struct evt;\n"
    "typedef void (*callback_t)(struct evt *, int);\n"
    "enum state { STATE_OFF, STATE_ON, STATE_BAD = -3, STATE_AGAIN = 1 };\n"
    "typedef struct { int x; const char *volatile label; } spot_t;\n"
    "union value { uint64_t number; double real; void *pointer; };\n"
    "struct evt {\n"
    "    struct evt *next;\n"
    "    callback_t run;\n"
    "    unsigned flags : 3, kind : 5, : 4, rest : 20;\n"
    "    enum state state;\n"
    "    union { char small[8]; char *large; };\n"
    "    union value value;\n"
    "    bool seen;\n"
    "    _Atomic uint16_t count;\n"
    "    spot_t nodes[2][3];\n"
    "    struct hidden *secret;\n"
    "    struct nowhere *never;\n"
    "    struct { short low, high; } pair;\n"
    "    spot_t *(*table)[4];\n"
    "    double _Complex wave;\n"
    "    __int128 wide;\n"
    "    float lanes __attribute__((vector_size(16)));\n"
    "    char text[];\n"
    "};\n";

static const char c_main[] = "#include <stdlib.h>\n"
                             "#include \"msg.h\"\n"
                             "struct evt *queue;\n"
                             "spot_t nodes[5];\n"
                             "__thread long per_thread = 3;\n"
                             "struct hidden *get_hidden(void);\n"
                             "int next_id(void) { static int counter = 7; return ++counter; }\n"
                             "int main(void) {\n"
                             "    queue = calloc(1, sizeof *queue + 4);\n"
                             "    queue->secret = get_hidden();\n"
                             "    nodes[0].x = next_id() + (int)per_thread;\n"
                             "    abort();\n"
                             "}\n";

static const char c_other[] = "#include \"msg.h\"\n"
                              "struct hidden { struct evt *last; long count; };\n"
                              "static struct hidden it;\n"
                              "struct evt *other_queue;\n"
                              "struct hidden *get_hidden(void) { return &it; }\n";

static const CompiledSource c_sources[] = {
    {"msg.h", c_header},
    {"main.c", c_main},
    {"other.c", c_other},
    {NULL, NULL},
};

/* For the C library's types, which are the same in every test. */
static char *cache;

static PmTypes *
open_types(const Compiled *compiled)
{
    const PmTypesOptions options = {.cache_folder = cache};
    return pm_types_new(compiled->process, &options, compiled->diagnostics);
}

static const PmType *
find_one(PmTypes *types, const char *name)
{
    g_autoptr(GPtrArray) found = pm_types_find_by_name(types, name, NULL);
    if (found->len != 1)
        g_test_message("%u of %s", found->len, name);
    g_assert_cmpuint(found->len, ==, 1);
    return g_ptr_array_index(found, 0);
}

static const PmField *
find_field(PmTypes *types, const PmType *type, const char *name)
{
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(types, type, &count);
    for (gsize i = 0; i < count; i++)
        if (g_str_equal(fields[i].name, name))
            return &fields[i];
    g_test_message("no field %s", name);
    g_assert_not_reached();
}

static void
assert_field(PmTypes *types, const PmType *type, const char *name, guint64 offset_bytes,
             const char *type_name)
{
    const PmField *field = find_field(types, type, name);
    g_assert_cmpuint(field->offset_bytes, ==, offset_bytes);
    g_assert_cmpstr(field->type->name, ==, type_name);
}

static void
assert_bits(PmTypes *types, const PmType *type, const char *name, guint64 offset_bytes,
            guint bit_offset, guint bit_count)
{
    const PmField *field = find_field(types, type, name);
    g_assert_cmpuint(field->offset_bytes, ==, offset_bytes);
    g_assert_cmpuint(field->bit_offset, ==, bit_offset);
    g_assert_cmpuint(field->bit_count, ==, bit_count);
}

static void
assert_path(PmTypes *types, const PmType *type, guint64 offset_bytes, const char *expected)
{
    g_autofree char *path = pm_type_describe_offset(types, type, offset_bytes);
    g_assert_cmpstr(path, ==, expected);
}

static void
check_evt(PmTypes *types, const PmModule *module)
{
    const PmType *evt = find_one(types, "struct evt");
    gsize count = 0;
    g_assert_true(find_one(types, "evt") == evt);
    g_assert_cmpstr(evt->name, ==, "struct evt");
    g_assert_cmpint(evt->kind, ==, PM_TYPE_STRUCT);
    g_assert_cmpuint(evt->size_bytes, ==, 224);
    g_assert_true(evt->module == module);
    g_assert_cmpstr(evt->file, ==, "msg.h");
    g_assert_cmpuint(evt->line, ==, 9);
    g_assert_false(evt->is_cxx);
    g_assert_false(evt->is_polymorphic);
    pm_type_get_fields(types, evt, &count);
    g_assert_cmpuint(count, ==, 19);

    assert_field(types, evt, "next", 0, "struct evt *");
    g_assert_true(pm_type_get_target(types, find_field(types, evt, "next")->type) == evt);
    assert_field(types, evt, "run", 8, "void (*)(struct evt *, int)");
    assert_bits(types, evt, "flags", 16, 0, 3);
    assert_bits(types, evt, "kind", 16, 3, 5);
    assert_bits(types, evt, "rest", 16, 12, 20);
    assert_field(types, evt, "state", 20, "enum state");
    assert_field(types, evt, "", 24, "union {…} at msg.h:14");
    assert_field(types, evt, "value", 32, "union value");
    g_assert_cmpint(find_field(types, evt, "seen")->type->kind, ==, PM_TYPE_BOOL);
    assert_field(types, evt, "count", 42, "unsigned short");
    assert_field(types, evt, "nodes", 48, "spot_t[2][3]");
    assert_field(types, evt, "pair", 160, "struct {…} at msg.h:21");
    assert_field(types, evt, "table", 168, "spot_t *(*)[4]");
    g_assert_cmpint(find_field(types, evt, "wave")->type->kind, ==, PM_TYPE_FLOAT);
    assert_field(types, evt, "wide", 192, "__int128");
    assert_field(types, evt, "lanes", 208, "float[4]");
    assert_field(types, evt, "text", 224, "char[]");
    g_assert_cmpuint(find_field(types, evt, "text")->type->size_bytes, ==, 0);
}

static void
check_targets(PmTypes *types)
{
    const PmType *evt = find_one(types, "evt");
    const PmType *nodes = find_field(types, evt, "nodes")->type;
    const PmType *node = find_one(types, "spot_t");
    const PmType *secret = pm_type_get_target(types, find_field(types, evt, "secret")->type);
    const PmType *never = pm_type_get_target(types, find_field(types, evt, "never")->type);
    g_assert_cmpint(nodes->kind, ==, PM_TYPE_ARRAY);
    g_assert_cmpuint(pm_type_get_count(types, nodes), ==, 6);
    g_assert_cmpuint(nodes->size_bytes, ==, 96);
    g_assert_true(pm_type_get_target(types, nodes) == node);
    g_assert_cmpstr(node->name, ==, "spot_t");
    /* Declared in one unit, defined in the other. */
    g_assert_cmpstr(secret->name, ==, "struct hidden");
    g_assert_false(secret->is_declaration);
    g_assert_cmpuint(secret->size_bytes, ==, 16);
    g_assert_true(pm_type_get_target(types, find_field(types, secret, "last")->type) == evt);
    g_assert_cmpstr(never->name, ==, "struct nowhere");
    g_assert_true(never->is_declaration);
    g_assert_true(pm_types_get_pointer(types, evt) == find_field(types, evt, "next")->type);
    g_assert_cmpstr(pm_types_get_pointer(types, NULL)->name, ==, "void *");
    g_assert_cmpstr(pm_types_get_array(types, pm_types_get_pointer(types, evt), 8)->name, ==,
                    "struct evt *[8]");
    g_assert_cmpstr(pm_types_get_pointer(types, nodes)->name, ==, "spot_t (*)[2][3]");
}

static void
check_enums(PmTypes *types)
{
    const PmType *evt = find_one(types, "evt");
    const PmType *state = find_field(types, evt, "state")->type;
    gsize count = 0;
    const gint64 *values = pm_type_get_enumerators(types, state, &count);
    g_assert_cmpuint(count, ==, 3);
    g_assert_cmpint(values[0], ==, -3);
    g_assert_cmpint(values[1], ==, 0);
    g_assert_cmpint(values[2], ==, 1);
    g_assert_cmpuint(state->size_bytes, ==, 4);
    const PmType *target = pm_type_get_target(types, state);
    g_assert_true(target == NULL || target->kind == PM_TYPE_INT);
}

static void
check_paths(PmTypes *types)
{
    const PmType *evt = find_one(types, "evt");
    assert_path(types, evt, 0, ".next");
    assert_path(types, evt, 24, ".large");
    assert_path(types, evt, 32, ".value.pointer");
    assert_path(types, evt, 48 + 16 * 4 + 8, ".nodes[1][1].label");
    assert_path(types, evt, 162, ".pair.high");
    assert_path(types, evt, 225, ".text[1]");
    assert_path(types, evt, 49, ".nodes[0][0].x + 0x1");
    assert_path(types, evt, 41, " + 0x29");
    assert_path(types, pm_types_get_array(types, pm_types_get_pointer(types, evt), 8), 24, "[3]");
}

static const PmTypedVariable *
find_variable(const GArray *variables, const char *name)
{
    const PmTypedVariable *found = NULL;
    for (guint i = 0; i < variables->len; i++) {
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, i);
        if (!g_str_equal(variable->name, name))
            continue;
        g_assert_null(found);
        found = variable;
    }
    if (found == NULL)
        g_test_message("no variable %s", name);
    g_assert_nonnull(found);
    return found;
}

static void
check_variables(const Compiled *compiled, PmTypes *types, gboolean is_split)
{
    const PmModule *module = compiled_get_module(compiled);
    const GArray *variables = pm_types_get_variables(types, module);
    PmSymbol symbol;
    const PmTypedVariable *queue = find_variable(variables, "queue");
    g_assert_true(pm_process_lookup_symbol(compiled->process, module, "queue", &symbol));
    g_assert_cmpuint(queue->address, ==, symbol.address);
    g_assert_cmpstr(queue->type->name, ==, "struct evt *");
    g_assert_false(queue->is_tls);
    g_assert_cmpstr(find_variable(variables, "nodes")->type->name, ==, "spot_t[5]");
    g_assert_cmpstr(find_variable(variables, "it")->type->name, ==, "struct hidden");
    g_assert_cmpstr(find_variable(variables, "next_id::counter")->type->name, ==, "int");
    /* gcc 12 gives an address where a split unit's offset should be; it is not believed. */
    if (!is_split) {
        g_assert_true(find_variable(variables, "per_thread")->is_tls);
        g_assert_cmpuint(find_variable(variables, "per_thread")->address, ==, 0);
    }
    g_assert_true(find_variable(variables, "other_queue")->type == queue->type);
    for (guint i = 1; i < variables->len; i++) {
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, i);
        g_assert_true(
            variable[-1].is_tls < variable->is_tls ||
            (variable[-1].is_tls == variable->is_tls && variable[-1].address <= variable->address));
    }
}

static void
check_sizes(PmTypes *types)
{
    g_autoptr(GPtrArray) found = pm_types_find_by_size(types, 16, 224);
    const PmType *evt = find_one(types, "evt");
    gboolean has_evt = FALSE, has_node = FALSE;
    for (guint i = 0; i < found->len; i++) {
        const PmType *type = g_ptr_array_index(found, i);
        g_assert_cmpuint(type->size_bytes, >=, 16);
        g_assert_cmpuint(type->size_bytes, <=, 224);
        has_evt = has_evt || type == evt;
        has_node = has_node || g_str_equal(type->name, "spot_t");
    }
    g_assert_true(has_evt && has_node);
}

/* What a compiler, a demangler and a person say of one type. */
static void
test_spelling(void)
{
    static const char *const same[][2] = {
        {"struct item", "item"},
        {"unsigned long", "long unsigned int"},
        {"short", "short int"},
        {"unsigned", "unsigned int"},
        {"a::B<char const*>", "a::B<const char *>"},
        {"a::B<a::C<int> >", "a::B<a::C<int>>"},
        {"a::B<3ul, 4u>", "a::B<3, 4>"},
        {"a::B<std::pair<int const, long> >", "a::B<std::pair<const int, long int>>"},
        {"a::B<void (int, char const*)>", "a::B<void(int, const char*)>"},
        {"f(int, char const*)::Local", "f::Local"},
        {"a::f() const::Local", "a::f::Local"},
        {"a::B<(anonymous namespace)::C>", "a::B<{anonymous}::C>"},
        {"a::B<a::C<int> const&>", "a::B<const a::C<int> &>"},
        {"a::B<true, (a::E)1>", "a::B<true,(a::E)1>"},
        {"a::B<int [3]>", "a::B<int[3]>"},
    };
    static const char *const other[][2] = {
        {"a::B<int>", "a::B<long>"},
        {"a::B<char>", "a::B<unsigned char>"},
        {"a::B<char>", "a::B<signed char>"},
        {"a::B<int*>", "a::B<int>"},
        {"a::B<int, 3>", "a::B<int, 4>"},
        {"item", "items"},
        {"a::B<const int*>", "a::B<int*>"},
        {"a::B<const int*>", "a::B<int* const>"},
        {"long long", "long"},
        {"a::B<x y>", "a::B<xy>"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(same); i++) {
        g_autofree char *left = pm_spelling_normalize(same[i][0]);
        g_autofree char *right = pm_spelling_normalize(same[i][1]);
        g_assert_cmpstr(left, ==, right);
        g_assert_cmpuint(pm_spelling_hash(same[i][0]), ==, pm_spelling_hash(same[i][1]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(other); i++) {
        g_autofree char *left = pm_spelling_normalize(other[i][0]);
        g_autofree char *right = pm_spelling_normalize(other[i][1]);
        g_assert_cmpstr(left, !=, right);
    }
    /* Whatever a name is, it ends. */
    for (guint i = 0; i < 20000; i++) {
        char text[40] = "";
        const guint length = (guint)g_test_rand_int_range(0, sizeof text - 1);
        for (guint j = 0; j < length; j++)
            text[j] = "ab1u:<>(), *&[]{}~ "[g_test_rand_int_range(0, 19)];
        g_autofree char *normal = pm_spelling_normalize(text);
        g_assert_nonnull(normal);
    }
}

/* @data: a compiler, and its flags. */
static Compiled *
compile(const CompiledSource *sources, const char *data)
{
    g_auto(GStrv) words = g_strsplit(data, " ", 2);
    return compiled_new(words[0], sources, words[1]);
}

static void
test_c(gconstpointer flags)
{
    g_autoptr(Compiled) compiled = compile(c_sources, flags);
    if (compiled == NULL)
        return;
    g_autoptr(PmTypes) types = open_types(compiled);
    check_evt(types, compiled_get_module(compiled));
    check_targets(types);
    check_enums(types);
    check_paths(types);
    check_variables(compiled, types, strstr(flags, "split") != NULL);
    check_sizes(types);
}

/* The debug information of two programs, what they share in a third file. */
static gboolean
share_debug_info(Compiled *compiled, gboolean is_shared)
{
    g_autofree char *dwz = g_find_program_in_path("dwz");
    if (dwz == NULL) {
        g_test_skip("dwz is not here");
        return FALSE;
    }
    g_assert_true(compiled_run(compiled, "cp program other"));
    g_assert_true(compiled_run(compiled, is_shared
                                             ? "dwz -m shared.debug -M shared.debug program other"
                                             : "dwz program other"));
    compiled_reopen(compiled);
    return TRUE;
}

static void
test_c_dwz(gconstpointer is_shared)
{
    g_autoptr(Compiled) compiled = compiled_new("gcc", c_sources, "-g -gdwarf-4");
    if (compiled == NULL || !share_debug_info(compiled, GPOINTER_TO_INT(is_shared)))
        return;
    g_autoptr(PmTypes) types = open_types(compiled);
    check_evt(types, compiled_get_module(compiled));
    check_targets(types);
    check_variables(compiled, types, FALSE);
    check_sizes(types);
    if (!GPOINTER_TO_INT(is_shared))
        return;
    pm_types_free(g_steal_pointer(&types));
    g_assert_true(compiled_run(compiled, "rm shared.debug"));
    compiled_reopen(compiled);
    types = open_types(compiled);
    g_autoptr(GPtrArray) found = pm_types_find_by_size(types, 224, 224);
    g_assert_cmpuint(pm_diagnostics_count_code(compiled->diagnostics, "debug-file-missing"), ==, 1);
}

/* Two units have a type of their own under the same name; a third one knows only the name. */
static const CompiledSource own_sources[] = {
    {"a.c", "#include <stdlib.h>\n"
            "struct own { struct own *a_next; int a; };\n"
            "struct own *a_own; struct any { struct own *theirs; }; struct any an_any;\n"
            "int main(void) { abort(); }\n"},
    {"b.c", "struct own { long b[3]; struct own *b_next; };\nstruct own *b_own;\n"
            "struct same { int same; } *b_same;\n"},
    {"c.c", "struct own; struct own *c_own; struct same; struct same *c_same;\n"},
    {"d.c", "struct same { int same; } *d_same;\n"},
    {NULL, NULL},
};

static void
test_own_types(void)
{
    g_autoptr(Compiled) compiled = compiled_new("gcc", own_sources, "-g");
    if (compiled == NULL)
        return;
    g_autoptr(PmTypes) types = open_types(compiled);
    const PmModule *module = compiled_get_module(compiled);
    const GArray *variables = pm_types_get_variables(types, module);
    const PmType *a = pm_type_get_target(types, find_variable(variables, "a_own")->type);
    const PmType *b = pm_type_get_target(types, find_variable(variables, "b_own")->type);
    const PmType *c = pm_type_get_target(types, find_variable(variables, "c_own")->type);
    g_autoptr(GPtrArray) found = pm_types_find_by_name(types, "own", module);
    g_assert_true(a != b && b != c && a != c);
    g_assert_cmpuint(found->len, ==, 2);
    g_assert_cmpuint(a->size_bytes, ==, 16);
    g_assert_cmpuint(b->size_bytes, ==, 32);
    g_assert_true(pm_type_get_target(types, find_field(types, a, "a_next")->type) == a);
    g_assert_true(pm_type_get_target(types, find_field(types, b, "b_next")->type) == b);
    /* It could be either. */
    g_assert_cmpstr(c->name, ==, "struct own");
    g_assert_true(c->is_declaration);
    /* Both are the same. */
    const PmType *same = find_variable(variables, "b_same")->type;
    g_assert_true(find_variable(variables, "d_same")->type == same);
    g_assert_true(find_variable(variables, "c_same")->type == same);
    g_assert_false(pm_type_get_target(types, same)->is_declaration);
}

static const CompiledSource split_sources[] = {
    {"main.c", "#include <stdlib.h>\nstruct one { int one; } one;\n"
               "int main(void) { abort(); }\n"},
    {"other.c", "struct two { int two; } two;\n"},
    {NULL, NULL},
};

static guint64
count_missing(const Compiled *compiled)
{
    return pm_diagnostics_count_code(compiled->diagnostics, "debug-file-missing");
}

/* One of two split files is gone, is another build's, is nothing that can be read. */
static void
test_split_missing(gconstpointer flags)
{
    static const char *const commands[] = {
        "rm other.c.dwo",         "cp main.c.dwo other.c.dwo",
        "cp other.c other.c.dwo", "ln -sf /dev/zero other.c.dwo",
        "rm other.c.dwo",         "mkfifo other.c.dwo",
    };
    g_autoptr(Compiled) compiled = compiled_new("gcc", split_sources, flags);
    if (compiled == NULL)
        return;
    g_autoptr(PmTypes) types = open_types(compiled);
    find_one(types, "struct two");
    g_assert_cmpuint(count_missing(compiled), ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_assert_true(compiled_run(compiled, commands[i]));
        pm_types_free(g_steal_pointer(&types));
        compiled_reopen(compiled);
        types = open_types(compiled);
        g_autoptr(GPtrArray) found = pm_types_find_by_name(types, "struct two", NULL);
        find_one(types, "struct one");
        g_assert_cmpuint(found->len, ==, 0);
        g_assert_cmpuint(count_missing(compiled), ==, 1);
    }
}

static const char cxx_header[] =
    "#include <string>\n"
    "#include <vector>\n"
    "#include <map>\n"
    "namespace app {\n"
    "enum class Color : unsigned char { Red = 1, Blue = 200 };\n"
    "struct Base { virtual ~Base(); long id; };\n"
    "struct Empty {};\n"
    "struct Second { virtual void run(); Base *owner; };\n"
    "template <typename T, int N> struct Cache {\n"
    "    struct Entry { T value; Entry *next; };\n"
    "    Entry *slots[N];\n"
    "    static Cache *instance;\n"
    "    int lookup(int key) { static unsigned long lookups = 1; "
    "return slots[0] != nullptr && slots[0]->next ? 0 : key + (int)++lookups; }\n"
    "};\n"
    "class Session : public Base, public Second, Empty {\n"
    "public:\n"
    "    void run() override;\n"
    "    class Impl;\n"
    "    Impl *impl;\n"
    "    Color color;\n"
    "    int &reference;\n"
    "    long Base::*member;\n"
    "    void (Second::*method)();\n"
    "    std::string name;\n"
    "    std::vector<unsigned long> numbers;\n"
    "    static int live;\n"
    "    Session(int &r) : impl(nullptr), color(Color::Red), reference(r), member(&Base::id), "
    "method(&Second::run) {}\n"
    "};\n"
    "struct Virtual : virtual Base { int own; };\n"
    "typedef struct { int x, y; } point_t;\n"
    "union Either { int number; char *text; };\n"
    "inline int shared_counter = 5;\n"
    "}\n";

static const char cxx_main[] =
    "#include \"msg.h\"\n"
    "#include <cstdlib>\n"
    "namespace { struct Local { int a; }; Local hidden = {1}; }\n"
    "namespace app {\n"
    "class Session::Impl { public: Session *back; Color colors[3]; };\n"
    "Base::~Base() {}\n"
    "void Second::run() {}\n"
    "void Session::run() { static int runs = 2; runs++; }\n"
    "int Session::live = 9;\n"
    "template <> Cache<int, 4> *Cache<int, 4>::instance = nullptr;\n"
    "point_t origin = {1, 2};\n"
    "Either either;\n"
    "Virtual *a_virtual;\n"
    "}\n"
    "app::Cache<app::Session, 2> sessions;\n"
    "app::Cache<const char *, 3> texts;\n"
    "app::Session *session;\n"
    "int other(void);\n"
    "int main() {\n"
    "    static int value = 3;\n"
    "    auto lambda = [](int x) { static int calls = 4; return calls + x; };\n"
    "    session = new app::Session(value);\n"
    "    session->impl = new app::Session::Impl();\n"
    "    session->run();\n"
    "    app::a_virtual = new app::Virtual();\n"
    "    value = lambda(2) + hidden.a + other() + texts.lookup(1) + app::shared_counter;\n"
    "    abort();\n"
    "}\n";

static const char cxx_other[] =
    "#include \"msg.h\"\n"
    "namespace { struct Local { long b[2]; }; Local hidden = {{1, 2}}; }\n"
    "app::Session *other_session;\n"
    "std::map<int, std::string> a_map;\n"
    "int other(void) { return (int)hidden.b[0] + app::shared_counter; }\n";

static const CompiledSource cxx_sources[] = {
    {"msg.h", cxx_header},
    {"main.cc", cxx_main},
    {"other.cc", cxx_other},
    {NULL, NULL},
};

static void
check_session(PmTypes *types)
{
    const PmType *session = find_one(types, "app::Session");
    const PmType *base = find_one(types, "app::Base");
    gsize count = 0;
    const PmField *fields = pm_type_get_fields(types, session, &count);
    g_assert_true(session->is_cxx && session->is_polymorphic && base->is_polymorphic);
    g_assert_cmpstr(session->name, ==, "app::Session");
    g_assert_true(fields[0].is_base && fields[0].type == base);
    g_assert_cmpstr(fields[0].name, ==, "");
    g_assert_true(fields[1].is_base);
    g_assert_cmpuint(fields[1].offset_bytes, ==, 16);
    g_assert_true(fields[2].is_base);
    g_assert_cmpstr(fields[2].type->name, ==, "app::Empty");
    assert_field(types, session, "impl", 32, "app::Session::Impl *");
    assert_field(types, session, "color", 40, "app::Color");
    assert_field(types, session, "reference", 48, "int &");
    assert_field(types, session, "member", 56, "long app::Base::*");
    assert_field(types, session, "method", 64, "void (app::Second::*)(app::Second *)");
    g_assert_cmpint(find_field(types, session, "reference")->type->kind, ==, PM_TYPE_POINTER);
    g_assert_cmpuint(find_field(types, session, "method")->type->size_bytes, ==, 16);
    assert_field(types, session, "name", 80,
                 "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >");

    fields = pm_type_get_fields(types, base, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_true(fields[0].is_vptr && !fields[1].is_vptr);
    /* Defined elsewhere than declared. */
    const PmType *impl = pm_type_get_target(types, find_field(types, session, "impl")->type);
    g_assert_cmpstr(impl->name, ==, "app::Session::Impl");
    g_assert_false(impl->is_declaration);
    g_assert_false(impl->is_polymorphic);
    assert_field(types, impl, "colors", 8, "app::Color[3]");
    g_assert_true(find_one(types, "app::Virtual")->is_polymorphic);
    assert_path(types, session, 24, ".owner");
    assert_path(types, session, 8, ".id");
}

static void
check_cxx_names(PmTypes *types)
{
    const PmType *point = find_one(types, "app::point_t");
    g_assert_cmpuint(point->size_bytes, ==, 8);
    g_assert_cmpint(find_one(types, "app::Either")->kind, ==, PM_TYPE_UNION);
    g_assert_true(find_one(types, "app::Cache<const char*, 3>") ==
                  find_one(types, "app::Cache<char const *, 3>"));
    g_assert_true(find_one(types, "std::vector<unsigned long, std::allocator<unsigned long> >") ==
                  find_one(types, "class std::vector<long unsigned int, "
                                  "std::allocator<long unsigned int>>"));
    find_one(types, "app::Cache<app::Session, 2>");
    find_one(types, "app::Cache<const char*, 3>::Entry");
    g_autoptr(GPtrArray) locals =
        pm_types_find_by_name(types, "(anonymous namespace)::Local", NULL);
    g_assert_cmpuint(locals->len, ==, 2);
    const PmType *color = find_one(types, "app::Color");
    gsize count = 0;
    const gint64 *values = pm_type_get_enumerators(types, color, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpint(values[1], ==, 200);
    g_assert_cmpint(pm_type_get_target(types, color)->kind, ==, PM_TYPE_CHAR);
}

static void
check_cxx_variables(const Compiled *compiled, PmTypes *types, gboolean is_clang)
{
    const GArray *variables = pm_types_get_variables(types, compiled_get_module(compiled));
    static const struct {
        const char *name;
        const char *type;
    } expected[] = {
        {"app::origin", "app::point_t"},
        {"app::Session::live", "int"},
        {"app::Session::run::runs", "int"},
        {"app::shared_counter", "int"},
        {"main::value", "int"},
        {"session", "app::Session *"},
        {"app::Cache<int, 4>::instance", "app::Cache<int, 4> *"},
        {"app::a_virtual", "app::Virtual *"},
    };
    guint hidden = 0;
    find_variable(variables, is_clang ? "app::Cache<const char *, 3>::lookup::lookups"
                                      : "app::Cache<char const*, 3>::lookup::lookups");
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_cmpstr(find_variable(variables, expected[i].name)->type->name, ==,
                        expected[i].type);
    for (guint i = 0; i < variables->len; i++)
        if (g_str_equal(g_array_index(variables, PmTypedVariable, i).name,
                        "(anonymous namespace)::hidden"))
            hidden++;
    g_assert_cmpuint(hidden, ==, 2);
}

static void
test_cxx(gconstpointer flags)
{
    g_autoptr(Compiled) compiled = compile(cxx_sources, flags);
    if (compiled == NULL)
        return;
    g_autoptr(PmTypes) types = open_types(compiled);
    check_session(types);
    check_cxx_names(types);
    check_cxx_variables(compiled, types, g_str_has_prefix(flags, "clang"));
}

static void
test_cxx_dwz(gconstpointer is_shared)
{
    g_autoptr(Compiled) compiled = compiled_new("gcc", cxx_sources, "-g -std=c++17");
    if (compiled == NULL || !share_debug_info(compiled, GPOINTER_TO_INT(is_shared)))
        return;
    g_autoptr(PmTypes) types = open_types(compiled);
    check_session(types);
    check_cxx_names(types);
    check_cxx_variables(compiled, types, FALSE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    cache = g_dir_make_tmp("postmalloc-XXXXXX", NULL);
    g_assert_nonnull(cache);
    g_test_add_func("/types/spelling", test_spelling);
    g_test_add_data_func("/types/c/dwarf-5", "gcc -g -O0 -gdwarf-5", test_c);
    g_test_add_data_func("/types/c/dwarf-4", "gcc -g -O0 -gdwarf-4", test_c);
    g_test_add_data_func("/types/c/optimized", "gcc -g -O2", test_c);
    g_test_add_data_func("/types/c/type-units", "gcc -g -fdebug-types-section", test_c);
    g_test_add_data_func("/types/c/type-units-4", "gcc -g -gdwarf-4 -fdebug-types-section", test_c);
    g_test_add_data_func("/types/c/split", "gcc -g -gsplit-dwarf", test_c);
    g_test_add_data_func("/types/c/split-4", "gcc -g -gdwarf-4 -gsplit-dwarf", test_c);
    g_test_add_func("/types/c/own", test_own_types);
    g_test_add_data_func("/types/split/dwarf-5", "-g -gdwarf-5 -gsplit-dwarf", test_split_missing);
    g_test_add_data_func("/types/split/dwarf-4", "-g -gdwarf-4 -gsplit-dwarf", test_split_missing);
    g_test_add_data_func("/types/cxx/dwarf-5", "gcc -g -std=c++17 -O0 -gdwarf-5", test_cxx);
    g_test_add_data_func("/types/cxx/dwarf-4", "gcc -g -std=c++17 -O0 -gdwarf-4", test_cxx);
    g_test_add_data_func("/types/cxx/type-units", "gcc -g -std=c++17 -fdebug-types-section",
                         test_cxx);
    g_test_add_data_func("/types/cxx/split", "gcc -g -std=c++17 -gsplit-dwarf", test_cxx);
    g_test_add_data_func("/types/c/compressed", "gcc -g -gz", test_c);
    g_test_add_data_func("/types/c/clang", "clang -g -gdwarf-5", test_c);
    g_test_add_data_func("/types/cxx/clang", "clang -g -std=c++17 -fstandalone-debug", test_cxx);
    g_test_add_data_func("/types/c/dwz", GINT_TO_POINTER(FALSE), test_c_dwz);
    g_test_add_data_func("/types/c/dwz-shared", GINT_TO_POINTER(TRUE), test_c_dwz);
    g_test_add_data_func("/types/cxx/dwz", GINT_TO_POINTER(FALSE), test_cxx_dwz);
    g_test_add_data_func("/types/cxx/dwz-shared", GINT_TO_POINTER(TRUE), test_cxx_dwz);
    const int status = g_test_run();
    compiled_remove(cache);
    g_free(cache);
    return status;
}
