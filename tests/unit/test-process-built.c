/*
 * heapwalk/process/process.h on built cores: what no program on this machine shows. Other word
 * sizes and architectures, damaged link maps, several namespaces, files that are gone.
 */
#include "process/process.h"

#include <link.h>
#include <string.h>

#include "core-builder.h"

#define PAGE G_GUINT64_CONSTANT(4096)

typedef struct {
    CoreFile *path;
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
} Opened;

/* Takes @builder. */
static Opened
open_built(CoreBuilder *builder)
{
    g_autoptr(GError) error = NULL;
    Opened opened = {.path = core_builder_write_temp(builder)};
    core_builder_free(builder);
    opened.diagnostics = pm_diagnostics_new();
    opened.image = pm_image_open(opened.path, opened.diagnostics, &error);
    g_assert_no_error(error);
    opened.process = pm_process_open(opened.image, NULL, opened.diagnostics, &error);
    g_assert_no_error(error);
    return opened;
}

static void
close_built(Opened *opened)
{
    pm_process_free(opened->process);
    pm_image_free(opened->image);
    pm_diagnostics_free(opened->diagnostics);
    core_file_remove(opened->path);
}

static const PmThread *
get_only_thread(const Opened *opened)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(opened->process, &count);
    g_assert_cmpuint(count, ==, 1);
    return threads;
}

static void
put_u32(guint8 *bytes, gsize offset, guint32 value)
{
    value = GUINT32_TO_LE(value);
    memcpy(bytes + offset, &value, sizeof value);
}

static void
put_u64(guint8 *bytes, gsize offset, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(bytes + offset, &value, sizeof value);
}

/* A core has some memory at least. */
static void
add_some_memory(CoreBuilder *builder)
{
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x10000, .mapped_bytes = PAGE});
}

/* i386: eip, esp and gs are 32-bit registers 12, 15 and 10; gs selects an entry of NT_386_TLS. */
static void
test_i386_thread(void)
{
    static guint8 page[PAGE];
    guint8 status[144] = {0};
    guint8 tls[2 * 16] = {0};
    CoreBuilder *builder = core_builder_new(EM_386);
    put_u32(page, 0x804, 0xb7000900); /* dtv */
    put_u32(page, 0x8f8, 2);          /* its slots */
    put_u32(page, 0x908, 0xb70007c0); /* slot 1 */
    put_u32(page, 0x910, 0xffffffff); /* slot 2: not allocated yet */
    core_builder_add_segment(builder, &(CoreSegment){.start = 0xb7000000,
                                                     .mapped_bytes = PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = page,
                                                     .bytes_count = PAGE});
    put_u32(status, 12, 11);
    put_u32(status, 24, 4242);
    put_u32(status, 72 + 12 * 4, 0x8048123);
    put_u32(status, 72 + 15 * 4, 0xb7000400);
    put_u32(status, 72 + 10 * 4, 0x6b); /* entry 13 */
    core_builder_add_note(builder, "CORE", NT_PRSTATUS, status, sizeof status);
    put_u32(tls, 0, 12);
    put_u32(tls, 4, 0xdead0000);
    put_u32(tls, 16, 13);
    put_u32(tls, 20, 0xb7000800);
    core_builder_add_note(builder, "LINUX", NT_386_TLS, tls, sizeof tls);

    Opened opened = open_built(builder);
    const PmThread *thread = get_only_thread(&opened);
    g_assert_cmpuint(thread->tid, ==, 4242);
    g_assert_cmpint(thread->signal, ==, 11);
    g_assert_cmphex(thread->pc, ==, 0x8048123);
    g_assert_cmphex(thread->sp, ==, 0xb7000400);
    g_assert_cmphex(thread->tp, ==, 0xb7000800);
    g_assert_cmphex(thread->dtv, ==, 0xb7000900);
    g_assert_cmpuint(thread->registers_bytes, ==, 68);
    g_assert_cmphex(thread->static_tls.start, ==, 0xb70007c0);
    g_assert_cmphex(thread->static_tls.end, ==, 0xb7001000); /* clipped to the segment */
    g_assert_cmphex(thread->stack.start, ==, 0xb7000000);
    g_assert_cmphex(thread->stack.end, ==, 0xb70007c0);

    PmAddr block = 0;
    g_assert_cmpuint(pm_process_get_dtv_slots(opened.process, thread), ==, 2);
    g_assert_true(pm_process_get_tls_block(opened.process, thread, 1, &block));
    g_assert_cmphex(block, ==, 0xb70007c0);
    g_assert_false(pm_process_get_tls_block(opened.process, thread, 2, &block));
    g_assert_false(pm_process_get_tls_block(opened.process, thread, 3, &block));
    close_built(&opened);
}

/* AArch64: sp and pc are registers 31 and 32; the thread pointer is in NT_ARM_TLS. Variant I: the
 * dtv at the thread pointer, blocks above it, struct pthread below. */
static void
test_aarch64_thread(void)
{
    static guint8 page[PAGE];
    guint8 status[392] = {0};
    guint8 tls[8] = {0};
    CoreBuilder *builder = core_builder_new(EM_AARCH64);
    put_u64(page, 0xa00, 0x7f000040);
    put_u64(page, 0x30, 1);
    put_u64(page, 0x50, 0x7f000a10);
    core_builder_add_segment(builder, &(CoreSegment){.start = 0x7f000000,
                                                     .mapped_bytes = PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = page,
                                                     .bytes_count = PAGE});
    put_u32(status, 32, 77);
    put_u64(status, 112 + 31 * 8, 0x7f000100);
    put_u64(status, 112 + 32 * 8, 0x400123);
    core_builder_add_note(builder, "CORE", NT_PRSTATUS, status, sizeof status);
    put_u64(tls, 0, 0x7f000a00);
    core_builder_add_note(builder, "LINUX", NT_ARM_TLS, tls, sizeof tls);

    Opened opened = open_built(builder);
    const PmThread *thread = get_only_thread(&opened);
    PmAddr block = 0;
    g_assert_cmpuint(thread->tid, ==, 77);
    g_assert_cmphex(thread->pc, ==, 0x400123);
    g_assert_cmphex(thread->sp, ==, 0x7f000100);
    g_assert_cmphex(thread->tp, ==, 0x7f000a00);
    g_assert_cmphex(thread->dtv, ==, 0x7f000040);
    g_assert_true(pm_process_get_tls_block(opened.process, thread, 1, &block));
    g_assert_cmphex(block, ==, 0x7f000a10);
    g_assert_cmphex(thread->static_tls.start, ==, 0x7f000a00 - 0x740);
    close_built(&opened);
}

static void
test_short_status(void)
{
    guint8 status[100] = {0};
    CoreBuilder *builder = core_builder_new(EM_X86_64);
    add_some_memory(builder);
    core_builder_add_note(builder, "CORE", NT_PRSTATUS, status, sizeof status);
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 5, .sp = 0x1000, .tp = 0});
    Opened opened = open_built(builder);
    const PmThread *thread = get_only_thread(&opened);
    g_assert_cmpuint(thread->tid, ==, 5);
    g_assert_cmphex(thread->tp, ==, PM_ADDR_NONE);
    g_assert_cmpuint(pm_range_bytes(thread->stack), ==, 0);
    g_assert_cmpuint(pm_range_bytes(thread->static_tls), ==, 0);
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "note-bad"), ==, 1);
    close_built(&opened);
}

/* A gcore snapshot of a process that did not die: siginfo tells of gdb's own stop. */
static void
test_snapshot_signal(void)
{
    CoreBuilder *builder = core_builder_new(EM_X86_64);
    add_some_memory(builder);
    core_builder_add_prpsinfo(builder, 31, "napping", "napping --long");
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 31});
    core_builder_add_siginfo(builder, 19, 0, 0);
    Opened opened = open_built(builder);
    const PmProcessInfo *info = pm_process_get_info(opened.process);
    g_assert_cmpuint(info->pid, ==, 31);
    g_assert_cmpint(info->signal, ==, 0);
    g_assert_null(info->signal_name);
    g_assert_cmpuint(info->crashed_tid, ==, 0);
    g_assert_cmpstr(info->executable, ==, "napping");
    g_assert_cmpstr(info->arguments, ==, "napping --long");
    close_built(&opened);
}

static void
assert_fault(gint code, guint64 expected)
{
    CoreBuilder *builder = core_builder_new(EM_X86_64);
    add_some_memory(builder);
    core_builder_add_prstatus(builder, &(CoreThread){.tid = 9, .signal = 11});
    core_builder_add_siginfo(builder, 11, code, 0x1234);
    Opened opened = open_built(builder);
    const PmProcessInfo *info = pm_process_get_info(opened.process);
    g_assert_cmpstr(info->signal_name, ==, "SIGSEGV");
    g_assert_cmpuint(info->crashed_tid, ==, 9);
    g_assert_cmphex(info->fault_address, ==, expected);
    close_built(&opened);
}

/* Only the kernel's own faults have an address: kill(2) leaves pid and uid in its place. */
static void
test_fault_address(void)
{
    assert_fault(1, 0x1234);
    assert_fault(0, PM_ADDR_NONE);    /* SI_USER */
    assert_fault(0x80, PM_ADDR_NONE); /* SI_KERNEL */
    assert_fault(-6, PM_ADDR_NONE);   /* SI_TKILL */
}

/*
 * A program whose link map lies in one page of data at PROGRAM + PAGE: ELF header and program
 * headers, dynamic section, r_debug, and link_maps at 0x400, 0x440 … with their names behind.
 */
#define PROGRAM  G_GUINT64_CONSTANT(0x555555554000)
#define DATA     (PROGRAM + PAGE)
#define LIBRARY  G_GUINT64_CONSTANT(0x7ffff7d00000)
#define R_DEBUG  0x200u
#define R_DEBUG2 0x280u
#define MAPS     0x400u
#define MAP_STEP 0x40u
#define NAMES    0x800u

typedef struct {
    guint8 header[PAGE];
    guint8 data[PAGE];
    guint8 library[PAGE];
} Program;

static void
put_elf(guint8 *page, guint64 vaddr_data, guint64 memsz)
{
    Elf64_Ehdr ehdr = {.e_type = ET_DYN,
                       .e_machine = EM_X86_64,
                       .e_phoff = sizeof ehdr,
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 3};
    const Elf64_Phdr phdrs[] = {
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = PAGE, .p_memsz = PAGE},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_offset = PAGE,
         .p_vaddr = vaddr_data,
         .p_filesz = PAGE,
         .p_memsz = memsz},
        {.p_type = PT_DYNAMIC, .p_vaddr = vaddr_data, .p_memsz = 64},
    };
    memcpy(ehdr.e_ident, ELFMAG, SELFMAG);
    ehdr.e_ident[EI_CLASS] = ELFCLASS64;
    ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(page, &ehdr, sizeof ehdr);
    memcpy(page + sizeof ehdr, phdrs, sizeof phdrs);
}

/* link_map number @index; @next is a number, or −1 for the last one. */
static void
put_link_map(Program *program, guint index, guint64 bias, const char *name, gint next)
{
    const gsize at = MAPS + (gsize)index * MAP_STEP;
    const gsize name_at = NAMES + (gsize)index * 0x40;
    g_strlcpy((char *)program->data + name_at, name, 0x40);
    put_u64(program->data, at, bias);
    put_u64(program->data, at + 8, DATA + name_at);
    put_u64(program->data, at + 16, bias + PAGE);
    put_u64(program->data, at + 24, next < 0 ? 0 : DATA + MAPS + (guint64)next * MAP_STEP);
    put_u64(program->data, at + 32, index == 0 ? 0 : DATA + MAPS);
}

static void
program_init(Program *program)
{
    memset(program, 0, sizeof *program);
    put_elf(program->header, PAGE, PAGE);
    put_elf(program->library, PAGE, PAGE);
    put_u64(program->data, 0, DT_DEBUG);
    put_u64(program->data, 8, DATA + R_DEBUG);
    put_u32(program->data, R_DEBUG, 1);
    put_u64(program->data, R_DEBUG + 8, DATA + MAPS);
    put_link_map(program, 0, PROGRAM, "", 1);
    put_link_map(program, 1, LIBRARY, "/nonexistent/liba.so", -1);
}

static void
add_bytes(CoreBuilder *builder, guint64 start, guint32 flags, const guint8 *bytes)
{
    core_builder_add_segment(builder, &(CoreSegment){.start = start,
                                                     .mapped_bytes = PAGE,
                                                     .dumped_bytes = PAGE,
                                                     .flags = flags,
                                                     .bytes = bytes,
                                                     .bytes_count = PAGE});
}

static Opened
open_program(const Program *program, const CoreFileMapping *mappings, gsize count)
{
    static const guint8 zeros[PAGE];
    const guint64 auxv[][2] = {{AT_PHDR, PROGRAM + 64}, {AT_NULL, 0}};
    CoreBuilder *builder = core_builder_new(EM_X86_64);
    add_bytes(builder, PROGRAM, PF_R | PF_X, program->header);
    add_bytes(builder, DATA, PF_R | PF_W, program->data);
    add_bytes(builder, LIBRARY, PF_R | PF_X, program->library);
    add_bytes(builder, LIBRARY + PAGE, PF_R | PF_W, zeros);
    core_builder_add_auxv(builder, auxv, G_N_ELEMENTS(auxv));
    core_builder_add_file_mappings(builder, mappings, count);
    return open_built(builder);
}

static const CoreFileMapping program_mappings[] = {
    {PROGRAM, PROGRAM + PAGE, 0, "/nonexistent/program (deleted)"},
    {DATA, DATA + PAGE, 1, "/nonexistent/program (deleted)"},
    {LIBRARY, LIBRARY + PAGE, 0, "/nonexistent/liba.so.1.2"},
    {LIBRARY + PAGE, LIBRARY + 2 * PAGE, 1, "/nonexistent/liba.so.1.2"},
};

static void
test_link_map(void)
{
    Program program;
    gsize count = 0;
    program_init(&program);
    Opened opened = open_program(&program, program_mappings, G_N_ELEMENTS(program_mappings));
    const PmModule *modules = pm_process_get_modules(opened.process, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_true(modules[0].is_executable);
    g_assert_cmpstr(modules[0].path, ==, "/nonexistent/program");
    g_assert_cmpstr(pm_process_get_info(opened.process)->executable, ==, "/nonexistent/program");
    g_assert_cmphex(modules[0].bias, ==, PROGRAM);
    g_assert_cmphex(modules[0].end, ==, DATA + PAGE);
    g_assert_cmphex(modules[0].link_map, ==, DATA + MAPS);
    g_assert_cmpuint(modules[0].data_count, ==, 1);
    g_assert_cmphex(modules[0].data[0].start, ==, DATA);
    g_assert_cmpstr(modules[1].path, ==, "/nonexistent/liba.so");
    g_assert_cmphex(modules[1].dynamic, ==, LIBRARY + PAGE);
    g_assert_cmpint(modules[1].elf, ==, PM_ELF_MISSING);
    g_assert_null(pm_process_get_libc(opened.process)); /* not static, and no libc.so.6 */
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "module-missing"), ==, 2);
    close_built(&opened);
}

/* A list that runs in a circle ends, and what it named until then counts. */
static void
test_link_map_circle(void)
{
    Program program;
    gsize count = 0;
    program_init(&program);
    put_link_map(&program, 1, LIBRARY, "/nonexistent/liba.so", 1);
    Opened opened = open_program(&program, program_mappings, G_N_ELEMENTS(program_mappings));
    pm_process_get_modules(opened.process, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "link-map-damaged"), ==, 1);
    close_built(&opened);
}

/* A list that leads to nowhere: NT_FILE still knows the library. */
static void
test_link_map_broken(void)
{
    Program program;
    gsize count = 0;
    program_init(&program);
    put_u64(program.data, MAPS + 24, 0x1234567000);
    Opened opened = open_program(&program, program_mappings, G_N_ELEMENTS(program_mappings));
    const PmModule *modules = pm_process_get_modules(opened.process, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpstr(modules[1].path, ==, "/nonexistent/liba.so.1.2");
    g_assert_cmphex(modules[1].link_map, ==, PM_ADDR_NONE);
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "link-map-damaged"), ==, 1);
    close_built(&opened);
}

/* dlmopen: the second namespace hangs on r_next from r_version 2 on (glibc 2.35). */
static void
test_namespaces(void)
{
    Program program;
    gsize count = 0;
    program_init(&program);
    put_link_map(&program, 0, PROGRAM, "", -1);
    put_u32(program.data, R_DEBUG, 2);
    put_u64(program.data, R_DEBUG + 40, DATA + R_DEBUG2);
    put_u32(program.data, R_DEBUG2, 2);
    put_u64(program.data, R_DEBUG2 + 8, DATA + MAPS + MAP_STEP);
    put_u64(program.data, R_DEBUG2 + 40, DATA + R_DEBUG); /* and back again */
    Opened opened = open_program(&program, program_mappings, G_N_ELEMENTS(program_mappings));
    const PmModule *modules = pm_process_get_modules(opened.process, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpstr(modules[1].path, ==, "/nonexistent/liba.so");
    g_assert_cmphex(modules[1].link_map, ==, DATA + MAPS + MAP_STEP);
    g_assert_false(modules[1].is_executable);
    close_built(&opened);
}

/* A header that claims the whole address space does not hide its neighbour. */
static void
test_greedy_header(void)
{
    Program program;
    gsize count = 0;
    program_init(&program);
    put_elf(program.header, PAGE, G_GUINT64_CONSTANT(0x7fffffffffff));
    Opened opened = open_program(&program, program_mappings, G_N_ELEMENTS(program_mappings));
    const PmModule *modules = pm_process_get_modules(opened.process, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_true(pm_process_find_module(opened.process, LIBRARY) == &modules[1]);
    g_assert_true(pm_process_find_module(opened.process, PROGRAM) == &modules[0]);
    close_built(&opened);
}

/* A file that a program reads through a mapping is no module, even if it is an ELF file. */
static void
test_mapped_data(void)
{
    static const CoreFileMapping mappings[] = {
        {PROGRAM, PROGRAM + PAGE, 0, "/nonexistent/program"},
        {DATA, DATA + PAGE, 1, "/nonexistent/program"},
        {0x10000, 0x10000 + 2 * PAGE, 0, "/nonexistent/libread.so"},
    };
    Program program;
    gsize count = 0;
    program_init(&program);
    put_link_map(&program, 0, PROGRAM, "", -1);
    const guint64 auxv[][2] = {{AT_PHDR, PROGRAM + 64}, {AT_NULL, 0}};
    CoreBuilder *builder = core_builder_new(EM_X86_64);
    add_bytes(builder, 0x10000, PF_R, program.library);
    add_bytes(builder, 0x10000 + PAGE, PF_R, program.library);
    add_bytes(builder, PROGRAM, PF_R | PF_X, program.header);
    add_bytes(builder, DATA, PF_R | PF_W, program.data);
    core_builder_add_auxv(builder, auxv, G_N_ELEMENTS(auxv));
    core_builder_add_file_mappings(builder, mappings, G_N_ELEMENTS(mappings));
    Opened opened = open_built(builder);
    pm_process_get_modules(opened.process, &count);
    g_assert_cmpuint(count, ==, 1);
    g_assert_null(pm_process_find_module(opened.process, 0x10000));
    close_built(&opened);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/process-built/i386-thread", test_i386_thread);
    g_test_add_func("/process-built/aarch64-thread", test_aarch64_thread);
    g_test_add_func("/process-built/short-status", test_short_status);
    g_test_add_func("/process-built/snapshot-signal", test_snapshot_signal);
    g_test_add_func("/process-built/fault-address", test_fault_address);
    g_test_add_func("/process-built/link-map", test_link_map);
    g_test_add_func("/process-built/link-map-circle", test_link_map_circle);
    g_test_add_func("/process-built/link-map-broken", test_link_map_broken);
    g_test_add_func("/process-built/namespaces", test_namespaces);
    g_test_add_func("/process-built/greedy-header", test_greedy_header);
    g_test_add_func("/process-built/mapped-data", test_mapped_data);
    return g_test_run();
}
