/*
 * heapwalk/process/process.h on a real core: a child forked from this very program dies, so that
 * what the core must say can be read from our own memory: addresses, modules, text.
 */
#include "process/process.h"

#include <dlfcn.h>
#include <elf.h>
#include <glib/gstdio.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core-builder.h"

/* What the child says of itself before it dies. */
typedef struct {
    guint32 pid;
    guint32 tids[2];
    guintptr thread_pointers[2];
    guintptr variables[2]; /* addresses of test_process_variable */
    gint ready;
} Facts;

__thread int test_process_variable = 42;
int test_process_global = 7;
static int test_process_local = 8;

static Facts *facts;
static char *folder;
static char *core_path;
static const char *skip_reason;

static void
state_facts(guint index)
{
    test_process_variable = (int)index;
    facts->tids[index] = (guint32)gettid();
    facts->thread_pointers[index] = (guintptr)pthread_self();
    facts->variables[index] = (guintptr)&test_process_variable;
    __atomic_add_fetch(&facts->ready, 1, __ATOMIC_SEQ_CST);
}

static void *
run_thread(void *data)
{
    (void)data;
    state_facts(1);
    for (;;)
        pause();
    return NULL;
}

static void G_GNUC_NORETURN
run_child(void)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    pthread_t thread;
    if (chdir(folder) != 0 || setrlimit(RLIMIT_CORE, &unlimited) != 0)
        _exit(1);
    facts->pid = (guint32)getpid();
    state_facts(0);
    if (pthread_create(&thread, NULL, run_thread, NULL) != 0)
        _exit(1);
    while (__atomic_load_n(&facts->ready, __ATOMIC_SEQ_CST) < 2)
        g_usleep(1000);
    abort();
}

static char *
find_core(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name = NULL;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
        if (g_str_has_prefix(name, "core"))
            return g_build_filename(folder, name, NULL);
    return NULL;
}

static void
make_core(void)
{
    folder = g_dir_make_tmp("postmalloc-XXXXXX", NULL);
    facts = mmap(NULL, sizeof *facts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_assert_nonnull(folder);
    g_assert_true(facts != MAP_FAILED);
    const pid_t child = fork();
    if (child == 0)
        run_child();
    int status = 0;
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    core_path = find_core();
    if (WIFEXITED(status))
        skip_reason = "core dumps are not permitted here";
    else if (core_path == NULL)
        skip_reason = "the kernel writes no core into the current folder (core_pattern)";
}

static void
remove_core(void)
{
    if (core_path != NULL)
        g_unlink(core_path);
    g_rmdir(folder);
}

/* The process of the core, opened with @options. */
typedef struct {
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
    const PmModule *modules;
    gsize module_count;
    const PmThread *threads;
    gsize thread_count;
} Opened;

static gboolean
open_core(Opened *opened, const PmProcessOptions *options)
{
    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return FALSE;
    }
    g_autoptr(GError) error = NULL;
    opened->diagnostics = pm_diagnostics_new();
    opened->image = pm_image_open(core_path, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->process = pm_process_open(opened->image, options, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->modules = pm_process_get_modules(opened->process, &opened->module_count);
    opened->threads = pm_process_get_threads(opened->process, &opened->thread_count);
    return TRUE;
}

static void
close_core(Opened *opened)
{
    pm_process_free(opened->process);
    pm_image_free(opened->image);
    pm_diagnostics_free(opened->diagnostics);
}

static void
test_info(void)
{
    Opened opened;
    if (!open_core(&opened, NULL))
        return;
    g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
    const PmProcessInfo *info = pm_process_get_info(opened.process);
    g_assert_cmpstr(info->executable, ==, exe);
    g_assert_nonnull(strstr(info->arguments, "test-process"));
    g_assert_cmpuint(info->pid, ==, facts->pid);
    g_assert_cmpint(info->signal, ==, SIGABRT);
    g_assert_cmpstr(info->signal_name, ==, "SIGABRT");
    g_assert_cmpuint(info->crashed_tid, ==, facts->tids[0]);
    g_assert_cmphex(info->fault_address, ==, PM_ADDR_NONE);

    guint64 entry = 0;
    g_assert_true(pm_process_get_auxv(opened.process, AT_ENTRY, &entry));
    g_assert_cmphex(entry, ==, getauxval(AT_ENTRY));
    g_assert_false(pm_process_get_auxv(opened.process, 0x7777, &entry));
    close_core(&opened);
}

static void
assert_thread(const Opened *opened, guint index)
{
    const PmThread *thread = &opened->threads[index];
    const PmSpace *space = pm_process_get_space(opened->process);
    const guintptr variable = facts->variables[index];
    guint32 value = 0;

    g_assert_cmpuint(thread->tid, ==, facts->tids[index]);
    g_assert_false(thread->recovered);
    g_assert_cmpuint(thread->note_count, >=, 2);
    g_assert_true(pm_range_contains(thread->stack, thread->sp));
    g_assert_nonnull(pm_process_find_module(opened->process, thread->pc));
    g_assert_true(pm_range_contains(thread->static_tls, variable));
    g_assert_true(pm_range_contains(thread->static_tls, thread->tp));
    g_assert_true(pm_space_read_u32(space, variable, &value));
    g_assert_cmpuint(value, ==, index);

    PmSymbol symbol;
    PmAddr block = 0;
    const PmModule *program = &opened->modules[0];
    g_assert_true(
        pm_process_lookup_symbol(opened->process, program, "test_process_variable", &symbol));
    g_assert_true(symbol.is_tls);
    g_assert_cmpuint(program->tls_modid, ==, 1);
    g_assert_cmpuint(program->tls_bytes, >=, sizeof test_process_variable);
    g_assert_true(pm_process_get_tls_block(opened->process, thread, program->tls_modid, &block));
    g_assert_cmphex(block + symbol.address, ==, variable);
    const guint64 slots = pm_process_get_dtv_slots(opened->process, thread);
    g_assert_cmpuint(slots, >=, 2);
    g_assert_false(pm_process_get_tls_block(opened->process, thread, 0, &block));
    g_assert_false(pm_process_get_tls_block(opened->process, thread, slots + 1, &block));
}

static void
test_threads(void)
{
    Opened opened;
    if (!open_core(&opened, NULL))
        return;
    g_assert_cmpuint(opened.thread_count, ==, 2);
    assert_thread(&opened, 0);
    assert_thread(&opened, 1);
#ifdef __x86_64__
    for (guint i = 0; i < 2; i++) {
        guint64 self = 0;
        g_assert_cmphex(opened.threads[i].tp, ==, facts->thread_pointers[i]);
        g_assert_true(
            pm_space_read_word(pm_process_get_space(opened.process), opened.threads[i].tp, &self));
        g_assert_cmphex(self, ==, opened.threads[i].tp);
    }
#endif
    /* The second thread's stack ends below its control block, and above every frame. */
    g_assert_cmphex(opened.threads[1].stack.end, <=, opened.threads[1].tp);
    g_assert_cmphex(opened.threads[0].stack.end, !=, opened.threads[1].stack.end);
    close_core(&opened);
}

/* The build-id of a loaded object in our own memory, as hex; NULL where it has none. */
static char *
find_own_build_id(const struct dl_phdr_info *info)
{
    for (guint i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        const guint8 *bytes = (const guint8 *)(info->dlpi_addr + phdr->p_vaddr);
        for (gsize at = 0; phdr->p_type == PT_NOTE && at + 12 <= phdr->p_filesz;) {
            guint32 header[3];
            memcpy(header, bytes + at, sizeof header);
            const gsize desc = at + 12 + ((gsize)header[0] + 3) / 4 * 4;
            if (header[2] == NT_GNU_BUILD_ID && memcmp(bytes + at + 12, "GNU", 4) == 0) {
                GString *hex = g_string_new(NULL);
                for (gsize j = 0; j < header[1]; j++)
                    g_string_append_printf(hex, "%02x", bytes[desc + j]);
                return g_string_free(hex, FALSE);
            }
            at = desc + ((gsize)header[1] + 3) / 4 * 4;
        }
    }
    return NULL;
}

typedef struct {
    const Opened *opened;
    guint seen;
} Comparison;

static int
compare_module(struct dl_phdr_info *info, size_t size, void *data)
{
    Comparison *comparison = data;
    (void)size;
    g_autofree char *build_id = find_own_build_id(info);
    const PmModule *module = NULL;
    for (guint i = 0; i < info->dlpi_phnum && module == NULL; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            module = pm_process_find_module(comparison->opened->process,
                                            info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    g_assert_nonnull(module);
    g_assert_cmphex(module->bias, ==, info->dlpi_addr);
    g_assert_cmpstr(module->build_id, ==, build_id);
    g_assert_cmpint(module->elf, ==, PM_ELF_FOUND);
    g_assert_cmphex(module->link_map, !=, PM_ADDR_NONE);
    if (info->dlpi_name[0] != '\0' && !module->is_vdso)
        g_assert_cmpstr(module->path, ==, info->dlpi_name);
    for (guint i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        if (phdr->p_type == PT_DYNAMIC)
            g_assert_cmphex(module->dynamic, ==, info->dlpi_addr + phdr->p_vaddr);
        if (phdr->p_type == PT_TLS) {
            g_assert_cmpuint(module->tls_bytes, ==, phdr->p_memsz);
            g_assert_cmpuint(module->tls_modid, ==, info->dlpi_tls_modid);
        }
    }
    comparison->seen++;
    return 0;
}

static void
test_modules(void)
{
    Opened opened;
    if (!open_core(&opened, NULL))
        return;
    Comparison comparison = {&opened, 0};
    dl_iterate_phdr(compare_module, &comparison);
    g_assert_cmpuint(opened.module_count, ==, comparison.seen);
    g_assert_true(opened.modules[0].is_executable);
    const PmModule *vdso = &opened.modules[opened.module_count - 1];
    g_assert_true(vdso->is_vdso);
    g_assert_cmpstr(vdso->path, ==, "[vdso]");
    g_assert_cmphex(vdso->start, ==, getauxval(AT_SYSINFO_EHDR));
    guint interpreters = 0;
    for (gsize i = 0; i < opened.module_count; i++)
        interpreters += opened.modules[i].is_interpreter ? 1 : 0;
    g_assert_cmpuint(interpreters, ==, 1);

    const PmModule *libc = pm_process_get_libc(opened.process);
    g_assert_nonnull(libc);
    g_assert_true(pm_process_find_module(opened.process, (guintptr)dlsym(RTLD_DEFAULT, "free")) ==
                      libc ||
                  dlsym(RTLD_DEFAULT, "__asan_init") != NULL);

    /* Writable data is where our own is. */
    const PmModule *program = &opened.modules[0];
    gboolean holds = FALSE;
    for (gsize i = 0; i < program->data_count; i++)
        holds = holds || pm_range_contains(program->data[i], (guintptr)&test_process_global);
    g_assert_true(holds);
    g_assert_null(pm_process_find_module(opened.process, 0));
    close_core(&opened);
}

static void
test_symbols(void)
{
    Opened opened;
    if (!open_core(&opened, NULL))
        return;
    PmSymbol symbol;
    guint64 offset = 0;
    const PmModule *program = &opened.modules[0];
    g_assert_true(pm_process_lookup_symbol(opened.process, NULL, "test_process_global", &symbol));
    g_assert_cmphex(symbol.address, ==, (guintptr)&test_process_global);
    g_assert_cmpuint(symbol.size_bytes, ==, sizeof test_process_global);
    g_assert_cmpint(symbol.source, ==, PM_SYMBOL_FROM_SYMTAB);
    g_assert_true(symbol.module == program);
    g_assert_true(pm_process_lookup_symbol(opened.process, program, "test_process_local", &symbol));
    g_assert_cmphex(symbol.address, ==, (guintptr)&test_process_local);
    g_assert_false(
        pm_process_lookup_symbol(opened.process, program, "test_process_globa", &symbol));

    const PmModule *libc = pm_process_get_libc(opened.process);
    g_assert_true(pm_process_lookup_symbol(opened.process, libc, "environ", &symbol));
    g_assert_cmphex(symbol.address, ==, (guintptr)dlsym(RTLD_NEXT, "environ"));

    const guintptr function = (guintptr)test_symbols;
    g_assert_true(pm_process_symbolize(opened.process, function + 5, &symbol, &offset));
    g_assert_cmpstr(symbol.name, ==, "test_symbols");
    g_assert_cmpuint(offset, ==, 5);
    g_assert_true(pm_process_symbolize(opened.process, opened.threads[0].pc, &symbol, &offset));
    g_assert_true(symbol.module == libc || strstr(symbol.module->path, "san") != NULL);
    g_assert_false(pm_process_symbolize(opened.process, 16, &symbol, &offset));
    close_core(&opened);
}

/* Our own rodata holds redzones that the sanitizer would not have us read. */
__attribute__((no_sanitize("address"))) static gboolean
equals_own(const guint8 *bytes, const volatile guint8 *own, gsize count)
{
    for (gsize i = 0; i < count; i++)
        if (bytes[i] != own[i])
            return FALSE;
    return TRUE;
}

/* Every read-only byte of every module reads as it does here: kernels leave them out of the core.
 */
static int
compare_text(struct dl_phdr_info *info, size_t size, void *data)
{
    const PmSpace *space = data;
    (void)size;
    for (guint i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        if (phdr->p_type != PT_LOAD || (phdr->p_flags & PF_W) != 0)
            continue;
        const guint8 *own = (const guint8 *)(info->dlpi_addr + phdr->p_vaddr);
        g_autofree guint8 *bytes = g_malloc(phdr->p_filesz);
        g_assert_true(pm_space_read(space, (guintptr)own, bytes, phdr->p_filesz));
        g_assert_true(equals_own(bytes, own, phdr->p_filesz));
    }
    return 0;
}

static void
test_text(void)
{
    Opened opened;
    if (!open_core(&opened, NULL))
        return;
    const PmSpace *space = pm_process_get_space(opened.process);
    PmSpan span;
    pm_space_get_span(space, (guintptr)test_text, &span);
    g_assert_cmpint(span.kind, ==, PM_BYTES_FROM_FILE);
    dl_iterate_phdr(compare_text, (gpointer)space);
    close_core(&opened);
}

static void
test_other_exe(void)
{
    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
    g_autoptr(PmImage) image = pm_image_open(core_path, diagnostics, NULL);
    PmProcessOptions options = {.exe = "/nonexistent/program"};
    g_assert_null(pm_process_open(image, &options, diagnostics, &error));
    g_assert_error(error, PM_ERROR, PM_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "/nonexistent/program"));

    Opened opened;
    options.exe = "/bin/sh";
    g_assert_true(open_core(&opened, &options));
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "module-mismatch"), ==, 1);
    g_assert_cmpint(opened.modules[0].elf, ==, PM_ELF_FOUND); /* the right one is here as well */
    g_assert_cmpstr(opened.modules[0].file, !=, "/bin/sh");
    close_core(&opened);

    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    options.exe = self;
    g_assert_true(open_core(&opened, &options));
    g_assert_cmpstr(opened.modules[0].file, ==, self);
    g_assert_cmpuint(pm_diagnostics_get_count(opened.diagnostics), ==, 0);
    close_core(&opened);
}

/* Overwrites every occurrence of @from in the core. */
static void
replace_in_core(const char *from, const char *to)
{
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(core_path, &bytes, &count, NULL));
    const char *at = bytes;
    while ((at = memmem(at, count - (gsize)(at - bytes), from, strlen(from))) != NULL) {
        core_file_patch(core_path, (guint64)(at - bytes), to, strlen(to));
        at += strlen(from);
    }
}

/* A core whose program is not on this machine, or is another build here. */
static void
test_missing_exe(void)
{
    Opened opened;
    if (!open_core(&opened, NULL))
        return;
    g_autofree char *path = g_strdup(opened.modules[0].path);
    g_autofree char *other = g_strdup(path);
    g_autofree char *build_id = g_strdup(opened.modules[0].build_id);
    close_core(&opened);
    other[strlen(other) - 1] = '~';

    replace_in_core(path, other);
    g_assert_true(open_core(&opened, NULL));
    g_assert_cmpstr(opened.modules[0].path, ==, other);
    g_assert_cmpint(opened.modules[0].elf, ==, PM_ELF_MISSING);
    g_assert_cmpstr(opened.modules[0].build_id, ==, build_id);
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "module-missing"), ==, 1);
    g_assert_cmpuint(opened.thread_count, ==, 2);
    PmSpan span;
    pm_space_get_span(pm_process_get_space(opened.process), (guintptr)test_missing_exe, &span);
    g_assert_cmpint(span.kind, ==, PM_BYTES_NOT_DUMPED);
    close_core(&opened);

    g_assert_cmpint(g_file_set_contents(other, "no program", -1, NULL), ==, TRUE);
    g_assert_true(open_core(&opened, NULL));
    g_assert_cmpint(opened.modules[0].elf, ==, PM_ELF_MISSING);
    close_core(&opened);
    g_unlink(other);
    g_assert_cmpint(symlink("/bin/sh", other), ==, 0);
    g_assert_true(open_core(&opened, NULL));
    g_assert_cmpint(opened.modules[0].elf, ==, PM_ELF_MISMATCH);
    g_assert_null(opened.modules[0].file);
    g_assert_cmpuint(pm_diagnostics_count_code(opened.diagnostics, "module-mismatch"), ==, 1);
    close_core(&opened);
    g_unlink(other);

    const PmProcessOptions options = {.exe = path};
    g_assert_true(open_core(&opened, &options));
    g_assert_cmpint(opened.modules[0].elf, ==, PM_ELF_FOUND);
    close_core(&opened);
    replace_in_core(other, path);
}

/* Without its notes a core still has modules, by their headers and the link map, and threads, by
 * the shape of their control blocks. */
static void
test_without_notes(void)
{
#ifndef __x86_64__
    g_test_skip("threads are recovered on x86 only");
#else
    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return;
    }
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(core_path, &bytes, &count, NULL));
    const guint64 phdrs = ((const Elf64_Ehdr *)(gpointer)bytes)->e_phoff;
    const guint32 none = PT_NULL, note = PT_NOTE;
    core_file_patch(core_path, phdrs, &none, sizeof none);

    Opened opened;
    g_assert_true(open_core(&opened, NULL));
    g_assert_cmpuint(opened.thread_count, ==, 2);
    for (guint i = 0; i < 2; i++) {
        const PmThread *thread = &opened.threads[i];
        const guint index = thread->tid == facts->tids[0] ? 0 : 1;
        g_assert_true(thread->recovered);
        g_assert_cmpuint(thread->tid, ==, facts->tids[index]);
        g_assert_cmphex(thread->tp, ==, facts->thread_pointers[index]);
        g_assert_true(pm_range_contains(thread->static_tls, facts->variables[index]));
        g_assert_null(thread->registers);
        g_assert_cmphex(thread->sp, ==, PM_ADDR_NONE);
    }
    g_assert_cmpint(pm_process_get_info(opened.process)->signal, ==, 0);
    g_assert_true(opened.modules[0].is_executable);
    const PmModule *libc = pm_process_get_libc(opened.process);
    g_assert_nonnull(libc);
    g_assert_cmpint(libc->elf, ==, PM_ELF_FOUND);
    close_core(&opened);
    core_file_patch(core_path, phdrs, &note, sizeof note);
#endif
}

/* Nothing in a core is trusted: wrong bytes give another answer, never a crash. */
static void
test_damaged(void)
{
    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return;
    }
    g_autofree char *bytes = NULL;
    gsize count = 0;
    g_assert_true(g_file_get_contents(core_path, &bytes, &count, NULL));
    for (guint round = 0; round < 300; round++) {
        /* Headers and notes at first, then anywhere. */
        const gsize range = round % 3 == 0 ? count : MIN(count, 16384);
        guint32 places[16];
        for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
            places[i] = (guint32)g_test_rand_int_range(0, (gint32)range - 8);
            const guint64 junk = (guint64)(guint32)g_test_rand_int()
                                 << g_test_rand_int_range(0, 33);
            core_file_patch(core_path, places[i], &junk, round % 2 == 0 ? 1 : 8);
        }
        g_autoptr(PmDiagnostics) diagnostics = pm_diagnostics_new();
        g_autoptr(PmImage) image = pm_image_open(core_path, diagnostics, NULL);
        g_autoptr(PmProcess) process =
            image != NULL ? pm_process_open(image, NULL, diagnostics, NULL) : NULL;
        PmSymbol symbol;
        guint64 offset = 0;
        if (process != NULL) {
            pm_process_lookup_symbol(process, NULL, "test_process_global", &symbol);
            pm_process_symbolize(process, (guintptr)test_damaged, &symbol, &offset);
        }
        for (guint i = 0; i < G_N_ELEMENTS(places); i++)
            core_file_patch(core_path, places[i], bytes + places[i], 8);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make_core();
    g_test_add_func("/process/info", test_info);
    g_test_add_func("/process/threads", test_threads);
    g_test_add_func("/process/modules", test_modules);
    g_test_add_func("/process/symbols", test_symbols);
    g_test_add_func("/process/text", test_text);
    g_test_add_func("/process/other-exe", test_other_exe);
    g_test_add_func("/process/missing-exe", test_missing_exe);
    g_test_add_func("/process/without-notes", test_without_notes);
    g_test_add_func("/process/damaged", test_damaged);
    const int status = g_test_run();
    remove_core();
    return status;
}
