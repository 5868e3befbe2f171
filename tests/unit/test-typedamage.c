/*
 * heapwalk/dwarf/ on damaged DWARF: whatever it says then, it says it and ends.
 */
#include "dwarf/locals.h"

#include "compiled.h"

#include <gelf.h>
#include <glib/gstdio.h>
#include <string.h>

static const char source[] =
    "#include <map>\n"
    "#include <string>\n"
    "#include <vector>\n"
    "#include <cstdlib>\n"
    "namespace app {\n"
    "struct Base { virtual ~Base() {} long id; struct Hidden *hidden; };\n"
    "template <typename T> struct Node : Base { Node *next; T value; unsigned bits : 3, more : 9;\n"
    "    union { char text[8]; T *pointer; }; void (*call)(Node *, int); };\n"
    "typedef struct { int x, y[2][3]; } point_t;\n"
    "enum class Color : char { Red, Blue = 7 };\n"
    "static thread_local Color color = Color::Blue;\n"
    "Node<std::string> strings; Node<int> numbers; point_t points[4];\n"
    "std::map<int, std::vector<point_t>> a_map;\n"
    "}\n"
    "static int work(app::Node<int> *node, int depth) {\n"
    "    static int calls; calls++;\n"
    "    app::point_t local = {depth, {{1}}};\n"
    "    if (depth > 0) return work(node, depth - 1) + local.x;\n"
    "    app::color = app::Color::Red; node->call = nullptr; abort();\n"
    "}\n"
    "int main() { return work(&app::numbers, 3) + (int)app::strings.id; }\n";

static const CompiledSource sources[] = {{"main.cc", source}, {NULL, NULL}};

/* Types that are looked into. */
#define TYPES_MAX 3000

static void
look_at_type(PmTypes *types, GPtrArray *queue, GHashTable *seen, const PmType *type)
{
    gsize count = 0;
    g_assert_nonnull(type->name);
    const PmField *fields = pm_type_get_fields(types, type, &count);
    const PmType *target = pm_type_get_target(types, type);
    pm_type_get_count(types, type);
    if (target != NULL && g_hash_table_add(seen, (gpointer)target))
        g_ptr_array_add(queue, (gpointer)target);
    for (gsize i = 0; i < count; i++) {
        g_assert_nonnull(fields[i].name);
        g_assert_nonnull(fields[i].type);
        if (g_hash_table_add(seen, (gpointer)fields[i].type))
            g_ptr_array_add(queue, (gpointer)fields[i].type);
    }
    pm_type_get_enumerators(types, type, &count);
    for (guint64 offset = 0; offset < MIN(type->size_bytes, 64); offset += 4) {
        g_autofree char *path = pm_type_describe_offset(types, type, offset);
        g_assert_nonnull(path);
    }
}

static void
look_at_all(const Compiled *compiled, PmTypes *types)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) queue = pm_types_find_by_size(types, 0, G_MAXUINT64);
    const GArray *variables = pm_types_get_variables(types, compiled_get_module(compiled));
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(compiled->process, &count);
    g_autoptr(GArray) locals = pm_types_get_locals(types, &threads[0]);
    g_autoptr(GPtrArray) named = pm_types_find_by_name(types, "app::Node<int>", NULL);
    for (guint i = 0; i < queue->len; i++)
        g_hash_table_add(seen, queue->pdata[i]);
    for (guint i = 0; i < variables->len; i++) {
        const PmTypedVariable *variable = &g_array_index(variables, PmTypedVariable, i);
        if (g_hash_table_add(seen, (gpointer)variable->type))
            g_ptr_array_add(queue, (gpointer)variable->type);
    }
    for (guint i = 0; i < locals->len; i++) {
        const PmTypedLocal *local = &g_array_index(locals, PmTypedLocal, i);
        g_assert_nonnull(local->function);
        if (g_hash_table_add(seen, (gpointer)local->type))
            g_ptr_array_add(queue, (gpointer)local->type);
    }
    for (guint i = 0; i < queue->len && i < TYPES_MAX; i++)
        look_at_type(types, queue, seen, g_ptr_array_index(queue, i));
    g_test_message("%u types, %u variables, %u locals", queue->len, variables->len, locals->len);
}

/* Where the sections with DWARF are in the program. Returns: GArray of offset, bytes. */
typedef struct {
    char *name;
    guint64 offset;
    guint64 bytes;
} Section;

static GArray *
find_sections(char *bytes, gsize count)
{
    GArray *sections = g_array_new(FALSE, FALSE, sizeof(Section));
    Elf_Scn *scan = NULL;
    size_t names = 0;
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory(bytes, count);
    g_assert_cmpint(elf_getshdrstrndx(elf, &names), ==, 0);
    while ((scan = elf_nextscn(elf, scan)) != NULL) {
        GElf_Shdr header;
        g_assert_nonnull(gelf_getshdr(scan, &header));
        const char *name = elf_strptr(elf, names, header.sh_name);
        const Section section = {g_strdup(name), header.sh_offset, header.sh_size};
        if (g_str_has_prefix(name, ".debug_"))
            g_array_append_val(sections, section);
        else
            g_free(section.name);
    }
    elf_end(elf);
    g_assert_cmpuint(sections->len, >=, 3);
    return sections;
}

static void
write_file(const char *path, const char *bytes, gsize count)
{
    FILE *file = g_fopen(path, "wb");
    g_assert_nonnull(file);
    g_assert_cmpuint(fwrite(bytes, 1, count, file), ==, count);
    g_assert_cmpint(fclose(file), ==, 0);
}

/* The file that is damaged: the program, whose build-id stays, or its split unit's. */
typedef struct {
    char *path;
    char *bytes;
    gsize count;
} Victim;

/* @places: how many bytes of @section are changed. */
static void
look_at_damaged(Compiled *compiled, const Victim *victim, const Section *section, guint places)
{
    g_autofree char *copy = g_memdup2(victim->bytes, victim->count);
    for (guint i = 0; i < places; i++)
        copy[section->offset + (guint32)g_test_rand_int() % section->bytes] =
            (char)g_test_rand_int_range(0, 256);
    write_file(victim->path, copy, victim->count);
    compiled_reopen(compiled);
    const PmTypesOptions options = {.cache_folder = ""};
    g_autoptr(PmTypes) types = pm_types_new(compiled->process, &options, compiled->diagnostics);
    look_at_all(compiled, types);
}

static void
test_damaged(gconstpointer flags)
{
    g_auto(GStrv) words = g_strsplit(flags, " ", 2);
    g_autoptr(Compiled) compiled = compiled_new(words[0], sources, words[1]);
    Victim victim = {NULL, NULL, 0};
    if (compiled == NULL)
        return;
    /* The C library's types are of no interest here. */
    compiled->options.debug_dir = compiled->folder;
    victim.path = g_build_filename(
        compiled->folder, strstr(flags, "split") != NULL ? "main.cc.dwo" : "program", NULL);
    g_assert_true(g_file_get_contents(victim.path, &victim.bytes, &victim.count, NULL));
    g_autoptr(GArray) sections = find_sections(victim.bytes, victim.count);
    const char *rounds_text = g_getenv("PM_DAMAGE_ROUNDS");
    const guint rounds = rounds_text != NULL ? (guint)atoi(rounds_text) : 3;
    for (guint i = 0; i < sections->len; i++) {
        Section *section = &g_array_index(sections, Section, i);
        for (guint round = 0; round < rounds; round++)
            look_at_damaged(compiled, &victim, section, 1u << (round % 8));
        g_free(section->name);
    }
    g_free(victim.path);
    g_free(victim.bytes);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/typedamage/dwarf-5", "gcc -g -O1 -gdwarf-5", test_damaged);
    g_test_add_data_func("/typedamage/dwarf-4", "gcc -g -O1 -gdwarf-4 -fdebug-types-section",
                         test_damaged);
    g_test_add_data_func("/typedamage/split", "gcc -g -O1 -gsplit-dwarf", test_damaged);
    g_test_add_data_func("/typedamage/clang", "clang -g -O1", test_damaged);
    return g_test_run();
}
