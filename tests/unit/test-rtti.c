/*
 * process/rtti and base/demangle: type_infos and vtables written by hand as a compiler lays them
 * out (Itanium C++ ABI), of both word sizes, and such as only a hostile core has.
 */
#include "base/demangle.h"
#include "core-builder.h"
#include "process/rtti.h"

#include <string.h>

#define TEXT_BYTES  4096
#define DATA_BYTES  65536
#define MODULE      G_GUINT64_CONSTANT(0x56550000)
#define DATA        (MODULE + TEXT_BYTES)
#define FUNCTION    (MODULE + 0x40)
#define OTHER       G_GUINT64_CONSTANT(0x60000000)
#define OTHER_BYTES 4096

/* A program of one module; @data is written from its start to @used. */
typedef struct {
    guint word;
    guint8 data[DATA_BYTES];
    guint8 other[OTHER_BYTES]; /* memory that is of no module */
    gsize used;
    guint64 kind_vtables[3]; /* address points, of classes with no base, one, several */
    CoreFile *path;
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
    PmRtti *rtti;
} Program;

static void
store(guint8 *bytes, guint word, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(bytes, &value, word);
}

static guint64
put_word(Program *program, guint64 value)
{
    const guint64 address = DATA + program->used;
    g_assert_cmpuint(program->used + program->word, <=, DATA_BYTES);
    store(program->data + program->used, program->word, value);
    program->used += program->word;
    return address;
}

static void
set_word(Program *program, guint64 address, guint64 value)
{
    store(program->data + (address - DATA), program->word, value);
}

static guint64
put_text(Program *program, const char *text)
{
    const guint64 address = DATA + program->used;
    const gsize bytes = strlen(text) + 1;
    g_assert_cmpuint(program->used + bytes + 16, <=, DATA_BYTES);
    memcpy(program->data + program->used, text, bytes);
    program->used += (bytes + 15) & ~(gsize)15;
    return address;
}

/* A vtable with one function; its address point. */
static guint64
put_vtable(Program *program, gint64 offset_to_top, guint64 info)
{
    put_word(program, (guint64)offset_to_top);
    put_word(program, info);
    return put_word(program, FUNCTION);
}

/* A type_info of kind @kind with @name at an address; what follows is the caller's. */
static guint64
put_info(Program *program, guint kind, guint64 name)
{
    const guint64 address = put_word(program, program->kind_vtables[kind]);
    put_word(program, name);
    return address;
}

/* What libstdc++ has: the classes of type_infos, whose own type_infos have one base each. */
static void
put_kinds(Program *program, gboolean with_names)
{
    static const char *const names[] = {"N10__cxxabiv117__class_type_infoE",
                                        "N10__cxxabiv120__si_class_type_infoE",
                                        "N10__cxxabiv121__vmi_class_type_infoE"};
    guint64 infos[3];
    for (guint i = 0; i < 3; i++) {
        infos[i] = put_info(program, 1, with_names ? put_text(program, names[i]) : 0x1000);
        put_word(program, 0);
        program->kind_vtables[i] = put_vtable(program, 0, infos[i]);
    }
    for (guint i = 0; i < 3; i++)
        set_word(program, infos[i], program->kind_vtables[1]);
}

static void
program_init(Program *program, guint word)
{
    memset(program, 0, sizeof *program);
    program->word = word;
}

static void
program_open(Program *program)
{
    static const CoreFileMapping mappings[] = {
        {MODULE, MODULE + TEXT_BYTES, 0, "/nonexistent/libapp.so"},
        {DATA, DATA + DATA_BYTES, 1, "/nonexistent/libapp.so"},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(CoreBuilder) core = core_builder_new(program->word == 8 ? EM_X86_64 : EM_386);
    core_builder_add_prstatus(core, &(CoreThread){.tid = 7, .sp = OTHER});
    core_builder_add_file_mappings(core, mappings, G_N_ELEMENTS(mappings));
    core_builder_add_segment(
        core, &(CoreSegment){.start = MODULE, .mapped_bytes = TEXT_BYTES, .flags = PF_R | PF_X});
    core_builder_add_segment(core, &(CoreSegment){.start = DATA,
                                                  .mapped_bytes = DATA_BYTES,
                                                  .dumped_bytes = DATA_BYTES,
                                                  .flags = PF_R | PF_W,
                                                  .bytes = program->data,
                                                  .bytes_count = DATA_BYTES});
    core_builder_add_segment(core, &(CoreSegment){.start = OTHER,
                                                  .mapped_bytes = OTHER_BYTES,
                                                  .dumped_bytes = OTHER_BYTES,
                                                  .flags = PF_R | PF_W,
                                                  .bytes = program->other,
                                                  .bytes_count = OTHER_BYTES});
    program->path = core_builder_write_temp(core);
    program->diagnostics = pm_diagnostics_new();
    program->image = pm_image_open(program->path, program->diagnostics, &error);
    g_assert_no_error(error);
    program->process = pm_process_open(program->image, NULL, program->diagnostics, &error);
    g_assert_no_error(error);
    g_assert_nonnull(pm_process_find_module(program->process, DATA));
    program->rtti = pm_rtti_new(program->process);
}

static void
program_close(Program *program)
{
    pm_rtti_free(program->rtti);
    pm_process_free(program->process);
    pm_image_free(program->image);
    pm_diagnostics_free(program->diagnostics);
    core_file_remove(program->path);
}

static void
check_found(const PmVtable *vtable, guint64 address, const char *name, gint64 offset_to_top)
{
    g_autofree char *demangled = pm_demangle_type("1A");
    g_assert_nonnull(vtable);
    g_assert_cmphex(vtable->address, ==, address);
    g_assert_cmpint(vtable->offset_to_top, ==, offset_to_top);
    g_assert_cmpint(vtable->proof, ==, PM_VTABLE_BY_RTTI);
    g_assert_nonnull(vtable->module);
    if (demangled != NULL)
        g_assert_cmpstr(vtable->class_name, ==, name);
}

/* @name: NULL where there must be none. */
static void
check(const Program *program, guint64 address, const char *name, gint64 offset_to_top)
{
    const PmVtable *vtable = pm_rtti_find(program->rtti, address);
    /* The second time it is remembered. */
    g_assert_true(pm_rtti_find(program->rtti, address) == vtable);
    if (name == NULL)
        g_assert_null(vtable);
    else
        check_found(vtable, address, name, offset_to_top);
}

static void
check_base(const PmRttiBase *base, const char *name, guint64 offset, gboolean is_virtual)
{
    g_autofree char *demangled = pm_demangle_type("1A");
    if (demangled != NULL)
        g_assert_cmpstr(base->class_name, ==, name);
    g_assert_cmpuint(base->offset_bytes, ==, offset);
    g_assert_cmpint(base->is_virtual, ==, is_virtual);
}

/* A type_info with several bases: the second one virtual. */
static guint64
put_several(Program *program, const char *name, guint64 first, guint64 second)
{
    const guint64 info = put_info(program, 2, put_text(program, name));
    if (program->word == 8) {
        put_word(program, (guint64)2 << 32);
    } else {
        put_word(program, 0);
        put_word(program, 2);
    }
    put_word(program, first);
    put_word(program, 16 << 8 | 2);
    put_word(program, second);
    put_word(program, (guint64)-24 * 256 | 3);
    return info;
}

static void
test_classes(gconstpointer data)
{
    g_autofree Program *program = g_new(Program, 1);
    program_init(program, GPOINTER_TO_UINT(data));
    put_kinds(program, TRUE);
    const guint64 plain = put_info(program, 0, put_text(program, "N3app5ShapeE"));
    const guint64 single = put_info(program, 1, put_text(program, "*N3app5CacheIiEE"));
    put_word(program, plain);
    const guint64 several = put_several(program, "N12_GLOBAL__N_16HiddenE", plain, single);
    const guint64 above = put_info(program, 1, put_text(program, "5Above"));
    put_word(program, several);
    const guint64 first = put_vtable(program, 0, plain);
    const guint64 second = put_vtable(program, 0, single);
    const guint64 third = put_vtable(program, -16, several);
    const guint64 last = put_vtable(program, 0, above);
    program_open(program);
    check(program, first, "app::Shape", 0);
    check(program, second, "app::Cache<int>", 0);
    check(program, third, "(anonymous namespace)::Hidden", -16);
    check(program, last, "Above", 0);
    check(program, first - program->word, NULL, 0);
    check(program, first + 1, NULL, 0);
    check(program, plain, NULL, 0);
    check(program, 0, NULL, 0);
    check(program, G_MAXUINT64 - 7, NULL, 0);
    g_assert_cmpint(pm_rtti_find(program->rtti, second)->use, ==, PM_VTABLE_OF_OBJECT);
    g_assert_cmpint(pm_rtti_find(program->rtti, third)->use, ==, PM_VTABLE_UNSURE);
    g_assert_cmpint(pm_rtti_find(program->rtti, last)->use, ==, PM_VTABLE_UNSURE);
    g_assert_cmpstr(pm_rtti_find(program->rtti, second)->mangled, ==, "N3app5CacheIiEE");

    g_autoptr(GArray) none = pm_rtti_get_bases(program->rtti, pm_rtti_find(program->rtti, first));
    g_autoptr(GArray) one = pm_rtti_get_bases(program->rtti, pm_rtti_find(program->rtti, second));
    g_autoptr(GArray) two = pm_rtti_get_bases(program->rtti, pm_rtti_find(program->rtti, third));
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_cmpuint(one->len, ==, 1);
    check_base(&g_array_index(one, PmRttiBase, 0), "app::Shape", 0, FALSE);
    g_assert_cmpuint(two->len, ==, 2);
    check_base(&g_array_index(two, PmRttiBase, 0), "app::Shape", 16, FALSE);
    check_base(&g_array_index(two, PmRttiBase, 1), "app::Cache<int>", G_MAXUINT64, TRUE);
    program_close(program);
}

/* The C++ library's names are not in the core: the ring of its vtables is proof enough. */
static void
test_unnamed_kinds(gconstpointer data)
{
    g_autofree Program *program = g_new(Program, 1);
    program_init(program, GPOINTER_TO_UINT(data));
    put_kinds(program, FALSE);
    const guint64 info = put_info(program, 0, put_text(program, "5Alone"));
    const guint64 vtable = put_vtable(program, 0, info);
    program_open(program);
    check(program, vtable, "Alone", 0);
    g_autoptr(GArray) bases = pm_rtti_get_bases(program->rtti, pm_rtti_find(program->rtti, vtable));
    g_assert_cmpuint(bases->len, ==, 0);
    program_close(program);
}

/* What must be no vtable, although most of it is right. */
static void
test_refused(gconstpointer data)
{
    static const char *const names[] = {"i", "", "PKc", "*", "not a name", "5Al\x01ne"};
    g_autofree Program *program = g_new(Program, 1);
    GArray *refused = g_array_new(FALSE, FALSE, sizeof(guint64));
    program_init(program, GPOINTER_TO_UINT(data));
    put_kinds(program, TRUE);
    const guint64 good = put_info(program, 0, put_text(program, "4Good"));
    static const gint64 offsets[] = {8, -3, 1, -(1 << 25), G_MININT64, G_MAXINT64};
    for (gsize i = 0; i < G_N_ELEMENTS(offsets); i++) {
        /* On 32 bits two of them are cut to something else. */
        if (program->word == 4 && (offsets[i] < G_MININT32 || offsets[i] > G_MAXINT32))
            continue;
        const guint64 vtable = put_vtable(program, offsets[i], good);
        g_array_append_val(refused, vtable);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        const guint64 vtable =
            put_vtable(program, 0, put_info(program, 0, put_text(program, names[i])));
        g_array_append_val(refused, vtable);
    }
    /* A type_info in memory of no module, at an odd address, nowhere. */
    const guint64 nowhere[] = {OTHER, good + 1, 0x1000, DATA + DATA_BYTES, 8, DATA - 8};
    store(program->other, program->word, program->kind_vtables[0]);
    store(program->other + program->word, program->word, put_text(program, "5Other"));
    for (gsize i = 0; i < G_N_ELEMENTS(nowhere); i++) {
        const guint64 vtable = put_vtable(program, 0, nowhere[i]);
        g_array_append_val(refused, vtable);
    }
    program_open(program);
    for (guint i = 0; i < refused->len; i++)
        check(program, g_array_index(refused, guint64, i), NULL, 0);
    g_array_unref(refused);
    program_close(program);
}

/* Rings: what refers to itself, and classes that are their own bases. */
static void
test_rings(gconstpointer data)
{
    g_autofree Program *program = g_new(Program, 1);
    program_init(program, GPOINTER_TO_UINT(data));
    put_kinds(program, TRUE);
    const guint64 name = put_text(program, "4Ring");
    /* A type_info that is its own vtable. */
    const guint64 self = put_word(program, 0);
    put_word(program, name);
    set_word(program, self, self);
    const guint64 of_self = put_vtable(program, 0, self);
    /* A class whose type_info is an object of that class. */
    const guint64 object = put_word(program, 0);
    put_word(program, name);
    const guint64 of_object = put_vtable(program, 0, object);
    set_word(program, object, of_object);
    /* Each the base of the other, virtually as well. */
    const guint64 left = put_several(program, "4Left", 0, 0);
    const guint64 right = put_several(program, "5Right", left, left);
    const gint first = program->word == 8 ? 3 : 4;
    set_word(program, left + (guint64)first * program->word, right);
    set_word(program, left + (guint64)(first + 2) * program->word, left);
    const guint64 of_left = put_vtable(program, 0, left);
    /* More bases than there is memory. */
    const guint64 many = put_info(program, 2, put_text(program, "4Many"));
    put_word(program, G_MAXUINT64);
    put_word(program, G_MAXUINT64);
    const guint64 of_many = put_vtable(program, 0, many);
    program_open(program);
    check(program, of_self, NULL, 0);
    check(program, of_object, NULL, 0);
    check(program, of_left, "Left", 0);
    check(program, of_many, "Many", 0);
    g_autoptr(GArray) bases =
        pm_rtti_get_bases(program->rtti, pm_rtti_find(program->rtti, of_left));
    g_assert_cmpuint(bases->len, ==, 2);
    g_autoptr(GArray) others =
        pm_rtti_get_bases(program->rtti, pm_rtti_find(program->rtti, of_many));
    g_assert_cmpuint(others->len, <=, 4096);
    program_close(program);
}

/* Names without an end, and longer than any. */
static void
test_names(gconstpointer data)
{
    g_autofree Program *program = g_new(Program, 1);
    program_init(program, GPOINTER_TO_UINT(data));
    put_kinds(program, TRUE);
    const guint64 unended = put_info(program, 0, DATA + DATA_BYTES - 64);
    const guint64 of_unended = put_vtable(program, 0, unended);
    memset(program->data + DATA_BYTES - 64, '1', 64);
    g_autofree char *letters = g_strnfill(20000, 'A');
    g_autofree char *giant = g_strconcat("N520000", letters, "E", NULL);
    const guint64 of_giant = put_vtable(program, 0, put_info(program, 0, put_text(program, giant)));
    /* As long as is read, but the demangler may give up: it is called what it is. */
    letters[12000] = '\0';
    g_autofree char *length = g_strconcat("12000", letters, NULL);
    const guint64 of_long = put_vtable(program, 0, put_info(program, 0, put_text(program, length)));
    program_open(program);
    check(program, of_unended, NULL, 0);
    check(program, of_giant, NULL, 0);
    const PmVtable *vtable = pm_rtti_find(program->rtti, of_long);
    g_assert_nonnull(vtable);
    g_assert_cmpstr(vtable->mangled, ==, length);
    program_close(program);
}

static void
test_demangle(void)
{
    g_autofree char *probe = pm_demangle_symbol("_ZN3app5Cache3putEi");
    if (probe == NULL) {
        g_test_skip("built without libiberty");
        return;
    }
    g_assert_cmpstr(probe, ==, "app::Cache::put(int)");
    g_autofree char *type = pm_demangle_type("N3app5CacheIiEE");
    g_assert_cmpstr(type, ==, "app::Cache<int>");
    g_assert_null(pm_demangle_symbol("main"));
    g_assert_null(pm_demangle_symbol(""));
    g_assert_null(pm_demangle_symbol("_Z"));
    g_assert_null(pm_demangle_type(""));
    g_assert_null(pm_demangle_type("_ZN3app5Cache3putEi"));

    /* Each argument is a pair of the one before it: 2^60 letters, if it were written out. */
    GString *bomb = g_string_new("_Z1fSt4pairIiiE");
    for (guint i = 0; i < 60; i++) {
        static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        g_autofree char *last =
            i < 36 ? g_strdup_printf("S%c_", digits[i]) : g_strdup_printf("S1%c_", digits[i - 36]);
        g_string_append_printf(bomb, "S_I%s%sE", last, last);
    }
    g_assert_null(pm_demangle_symbol(bomb->str));
    g_string_free(bomb, TRUE);

    /* Nested deeper than any stack. */
    g_autofree char *pointers = g_strnfill(8000, 'P');
    g_autofree char *nested = g_strconcat("_Z1f", pointers, "i", NULL);
    g_autofree char *demangled = pm_demangle_symbol(nested);
    g_assert_true(demangled == NULL || strlen(demangled) < 20000);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        GTestDataFunc run;
    } tests[] = {
        {"classes", test_classes}, {"unnamed-kinds", test_unnamed_kinds},
        {"refused", test_refused}, {"rings", test_rings},
        {"names", test_names},
    };
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (guint word = 4; word <= 8; word += 4) {
            g_autofree char *path = g_strdup_printf("/rtti/%s-%u", tests[i].name, 8 * word);
            g_test_add_data_func(path, GUINT_TO_POINTER(word), tests[i].run);
        }
    }
    g_test_add_func("/demangle", test_demangle);
    return g_test_run();
}
