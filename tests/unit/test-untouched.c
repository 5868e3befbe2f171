/*
 * Modules of which nothing has run: made of an ELF head and one writable segment, whose variables
 * are zero, or not, or not there.
 */
#include "analysis/sites/untouched.h"
#include "core-builder.h"

#include <string.h>

#define BASE G_GUINT64_CONSTANT(0x7f0000000000)
#define PAGE G_GUINT64_CONSTANT(4096)
/* Of the segment: what comes from the file, and all. */
#define FILE_BYTES 0x100
#define BSS_BYTES  0x1800

/* @bss_bytes: of variables. @at: where in the segment there is a byte that is not zero; 0 for none.
 * @dumped_bytes: of the segment's pages. */
typedef struct {
    guint64 bss_bytes;
    guint64 at;
    guint64 dumped_bytes;
    gboolean is_executable;
    gboolean is_untouched;
} Case;

static const Case cases[] = {
    {BSS_BYTES, 0, 2 * PAGE, FALSE, TRUE},
    {BSS_BYTES, FILE_BYTES - 1, 2 * PAGE, FALSE, TRUE}, /* a variable with a value of its own */
    {BSS_BYTES, FILE_BYTES, 2 * PAGE, FALSE, FALSE},
    {BSS_BYTES, FILE_BYTES + BSS_BYTES - 1, 2 * PAGE, FALSE, FALSE},
    {BSS_BYTES, FILE_BYTES + BSS_BYTES, 2 * PAGE, FALSE, TRUE}, /* behind the last one */
    {BSS_BYTES, 0, PAGE, FALSE, TRUE},                          /* never written */
    {8, 0, 2 * PAGE, FALSE, FALSE},
    {BSS_BYTES, 0, 2 * PAGE, TRUE, FALSE},
    {4 * PAGE, 0, 2 * PAGE, FALSE, FALSE}, /* there are no such pages */
    {G_MAXUINT64 - FILE_BYTES, 0, 2 * PAGE, FALSE, FALSE},
};

static void
make_head(guint8 *page, guint64 bss_bytes)
{
    const Elf64_Ehdr head = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    };
    const Elf64_Phdr loads[] = {
        {.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = PAGE, .p_memsz = PAGE, .p_align = PAGE},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_offset = PAGE,
         .p_vaddr = PAGE,
         .p_filesz = FILE_BYTES,
         .p_memsz = FILE_BYTES + bss_bytes,
         .p_align = PAGE},
    };
    memcpy(page, &head, sizeof head);
    memcpy(page + sizeof head, loads, sizeof loads);
}

static void
test_module(gconstpointer data)
{
    const Case *one = data;
    guint8 head[PAGE] = {0}, variables[2 * PAGE] = {0};
    make_head(head, one->bss_bytes);
    variables[one->at] = one->at != 0 ? 1 : 0;
    g_autoptr(CoreBuilder) builder = core_builder_new(EM_X86_64);
    core_builder_add_segment(builder, &(CoreSegment){.start = BASE,
                                                     .mapped_bytes = PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .flags = PF_R,
                                                     .bytes = head,
                                                     .bytes_count = PAGE});
    core_builder_add_segment(builder, &(CoreSegment){.start = BASE + PAGE,
                                                     .mapped_bytes = 2 * PAGE,
                                                     .dumped_bytes = one->dumped_bytes,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = variables,
                                                     .bytes_count = (gsize)one->dumped_bytes});
    CoreFile *path = core_builder_write_temp(builder);
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(path, diagnostics, NULL);
    g_assert_nonnull(image);
    PmSpace *space = pm_space_new(image);
    const PmModule module = {
        .start = BASE, .end = BASE + 3 * PAGE, .bias = BASE, .is_executable = one->is_executable};
    g_assert_cmpint(pm_module_is_untouched(space, &module), ==, one->is_untouched);
    pm_space_free(space);
    core_file_remove(path);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/untouched/module/%u", (guint)i);
        g_test_add_data_func(path, &cases[i], test_module);
    }
    return g_test_run();
}
