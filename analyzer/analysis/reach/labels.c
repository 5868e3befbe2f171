/*
 * Where a word of a root is, for a person.
 */
#include "analysis/reach/labels.h"

#include <elf.h>

#include "process/unwind.h"

/* "rbx": the register at @offset of the general registers (user_regs_struct of <sys/user.h>); NULL
 * where it has no name. */
static const char *
get_register_name(const PmRoots *roots, PmAddr offset)
{
    static const char *const names[] = {
        "r15", "r14", "r13",    "r12", "rbp", "rbx",     "r11",     "r10",
        "r9",  "r8",  "rax",    "rcx", "rdx", "rsi",     "rdi",     "orig_rax",
        "rip", "cs",  "eflags", "rsp", "ss",  "fs_base", "gs_base",
    };
    const gboolean is_x86_64 =
        pm_image_get_target(pm_roots_get_subject(roots)->image)->arch == PM_ARCH_X86_64;
    return is_x86_64 && offset / 8 < G_N_ELEMENTS(names) ? names[offset / 8] : NULL;
}

static char *
describe_register(const PmRoots *roots, const PmRoot *root, PmAddr offset)
{
    const char *name = root->note_type == NT_PRSTATUS ? get_register_name(roots, offset) : NULL;
    if (name != NULL)
        return g_strdup_printf("%s of thread %u", name, root->tid);
    if (root->note_type == NT_PRSTATUS)
        return g_strdup_printf("a register of thread %u", root->tid);
    return g_strdup_printf("a vector register of thread %u", root->tid);
}

/* The function whose frame holds the stack slot at @address; NULL where it is not known. */
static char *
find_frame_function(const PmProcess *process, const PmRoot *root, PmAddr address)
{
    gsize count = 0;
    const PmThread *threads = pm_process_get_threads(process, &count);
    for (gsize i = 0; i < count; i++) {
        gsize frame_count = 0;
        gsize index = 0;
        gboolean complete = FALSE;
        guint64 offset = 0;
        PmSymbol symbol;
        if (threads[i].tid != root->tid)
            continue;
        g_autofree PmFrame *frames =
            pm_process_unwind(process, &threads[i], &frame_count, &complete);
        if (pm_frames_find(frames, frame_count, address, &index) &&
            pm_process_symbolize(process, pm_frame_get_code(&frames[index]), &symbol, &offset) &&
            offset < symbol.size_bytes)
            return g_strdup(symbol.name);
    }
    return NULL;
}

static char *
describe_stack(const PmRoots *roots, const PmRoot *root, PmAddr address)
{
    g_autofree char *function =
        find_frame_function(pm_roots_get_subject(roots)->process, root, address);
    if (function == NULL)
        return g_strdup_printf("%s of thread %u", pm_root_kind_name(root->kind), root->tid);
    return g_strdup_printf("%s of thread %u, in %s", pm_root_kind_name(root->kind), root->tid,
                           function);
}

/* "session_table.buckets[3].head (app)" where DWARF tells; else by its symbol, "session_table (app)
 * + 0x40", or "app + 0x4040 (no symbol)". */
static char *
describe_data(const PmRoots *roots, const PmRoot *root, PmAddr address, char **ret_symbol,
              guint64 *ret_offset_bytes)
{
    const PmSubject *subject = pm_roots_get_subject(roots);
    const PmProcess *process = subject->process;
    PmSymbol symbol;
    guint64 offset = 0;
    g_autofree char *module = g_path_get_basename(root->module->path);
    g_autofree char *variable =
        subject->types != NULL ? pm_types_describe_variable(subject->types, address) : NULL;
    const gboolean has_symbol = pm_process_symbolize(process, address, &symbol, &offset) &&
                                (symbol.size_bytes == 0 || offset < symbol.size_bytes);

    *ret_offset_bytes = has_symbol ? offset : address - root->module->start;
    if (has_symbol && ret_symbol != NULL)
        *ret_symbol = g_strdup(symbol.name);
    if (variable != NULL)
        return g_strdup_printf("%s (%s)", variable, module);
    if (!has_symbol)
        return g_strdup_printf("%s + 0x%" G_GINT64_MODIFIER "x (no symbol)", module,
                               *ret_offset_bytes);
    if (offset == 0)
        return g_strdup_printf("%s (%s)", symbol.name, module);
    return g_strdup_printf("%s (%s) + 0x%" G_GINT64_MODIFIER "x", symbol.name, module, offset);
}

/* "cache_head (thread-local, app) of thread 7" where DWARF tells; else by the distance from the
 * root's start. */
static char *
describe_thread_data(const PmRoots *roots, const PmRoot *root, PmAddr address)
{
    const PmSubject *subject = pm_roots_get_subject(roots);
    const guint64 offset = address - root->range.start;
    const PmModule *module = NULL;
    g_autofree char *variable = NULL;
    gsize count = 0;

    if (root->tid == 0)
        return g_strdup_printf("%s of a thread that ended + 0x%" G_GINT64_MODIFIER "x",
                               pm_root_kind_name(root->kind), offset);
    const PmThread *threads = pm_process_get_threads(subject->process, &count);
    if (subject->types == NULL || root->kind != PM_ROOT_TLS)
        count = 0;
    for (gsize i = 0; i < count && variable == NULL; i++)
        if (threads[i].tid == root->tid)
            variable =
                pm_types_describe_thread_local(subject->types, &threads[i], address, &module);
    if (variable == NULL)
        return g_strdup_printf("%s of thread %u + 0x%" G_GINT64_MODIFIER "x",
                               pm_root_kind_name(root->kind), root->tid, offset);
    g_autofree char *name = g_path_get_basename(module->path);
    return g_strdup_printf("%s (thread-local, %s) of thread %u", variable, name, root->tid);
}

char *
pm_roots_describe(const PmRoots *roots, const PmRoot *root, PmAddr address, char **ret_symbol,
                  guint64 *ret_offset_bytes)
{
    guint64 offset = root->kind == PM_ROOT_REGISTERS ? address : address - root->range.start;
    char *text = NULL;

    if (ret_symbol != NULL)
        *ret_symbol = NULL;
    switch (root->kind) {
    case PM_ROOT_REGISTERS:
        text = describe_register(roots, root, address);
        break;
    case PM_ROOT_STACK:
    case PM_ROOT_STACK_UNBOUNDED:
        text = describe_stack(roots, root, address);
        break;
    case PM_ROOT_MODULE_DATA:
        text = describe_data(roots, root, address, ret_symbol, &offset);
        break;
    case PM_ROOT_TLS:
    case PM_ROOT_THREAD_BLOCK:
        text = describe_thread_data(roots, root, address);
        break;
    default:
        text = g_strdup_printf("%s 0x%" G_GINT64_MODIFIER "x + 0x%" G_GINT64_MODIFIER "x",
                               pm_root_kind_name(root->kind), root->range.start, offset);
        break;
    }
    if (ret_offset_bytes != NULL)
        *ret_offset_bytes = offset;
    return text;
}
