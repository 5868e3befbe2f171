/*
 * What the notes say of the process as a whole: NT_AUXV, NT_PRPSINFO, NT_SIGINFO. Layouts are those
 * of the target (Linux: include/uapi/linux/elfcore.h, asm-generic/siginfo.h), never the host's.
 */
#include "process/process-private.h"

#include <string.h>

/* The kernel writes about twenty entries. */
#define AUXV_MAX 256

#define SIGNAL_MAX 64

/* siginfo_t */
#define SIGINFO_CODE_OFFSET 8

/* si_code of a signal that the kernel made for a fault is positive; SI_KERNEL comes without an
 * address. */
#define SI_KERNEL_CODE 0x80

/* struct elf_prpsinfo: offsets of pr_pid, pr_fname[16] and pr_psargs[80]. */
typedef struct {
    guint32 pid;
    guint32 name;
    guint32 arguments;
    guint32 size_bytes;
} PrpsinfoLayout;

static const PrpsinfoLayout prpsinfo_64 = {24, 40, 56, 136};
static const PrpsinfoLayout prpsinfo_32 = {12, 28, 44, 124};

#define NAME_BYTES      16
#define ARGUMENTS_BYTES 80

/* Numbers of x86 and ARM (asm/signal.h). */
static const char *const signal_names[] = {
    [1] = "SIGHUP",     [2] = "SIGINT",   [3] = "SIGQUIT",   [4] = "SIGILL",   [5] = "SIGTRAP",
    [6] = "SIGABRT",    [7] = "SIGBUS",   [8] = "SIGFPE",    [9] = "SIGKILL",  [10] = "SIGUSR1",
    [11] = "SIGSEGV",   [12] = "SIGUSR2", [13] = "SIGPIPE",  [14] = "SIGALRM", [15] = "SIGTERM",
    [16] = "SIGSTKFLT", [17] = "SIGCHLD", [18] = "SIGCONT",  [19] = "SIGSTOP", [20] = "SIGTSTP",
    [21] = "SIGTTIN",   [22] = "SIGTTOU", [23] = "SIGURG",   [24] = "SIGXCPU", [25] = "SIGXFSZ",
    [26] = "SIGVTALRM", [27] = "SIGPROF", [28] = "SIGWINCH", [29] = "SIGIO",   [30] = "SIGPWR",
    [31] = "SIGSYS",
};

void
pm_process_read_auxv(PmProcess *process)
{
    const PmNote *note = pm_image_find_note(process->image, "CORE", NT_AUXV);
    const guint word = pm_image_get_target(process->image)->word_bytes;
    const gsize count = note != NULL ? MIN(note->desc_bytes / (2 * word), AUXV_MAX) : 0;
    for (gsize i = 0; i < count; i++) {
        const PmAuxv entry = {
            .type = pm_load_word(note->desc + i * 2 * word, word),
            .value = pm_load_word(note->desc + i * 2 * word + word, word),
        };
        if (entry.type == AT_NULL)
            break;
        g_array_append_val(process->auxv, entry);
    }

    guint64 page_bytes = 0;
    if (pm_process_get_auxv(process, AT_PAGESZ, &page_bytes) && page_bytes >= 4096 &&
        page_bytes <= 65536 && (page_bytes & (page_bytes - 1)) == 0)
        process->page_bytes = page_bytes;
}

gboolean
pm_process_get_auxv(const PmProcess *process, guint64 type, guint64 *ret_value)
{
    for (guint i = 0; i < process->auxv->len; i++) {
        const PmAuxv *entry = &g_array_index(process->auxv, PmAuxv, i);
        if (entry->type == type) {
            *ret_value = entry->value;
            return TRUE;
        }
    }
    return FALSE;
}

/* A field of @max bytes that ends at a NUL, if there is one; without blanks at its end. NULL where
 * it is empty. */
static char *
read_text(const guint8 *bytes, gsize max)
{
    gsize count = strnlen((const char *)bytes, max);
    while (count > 0 && bytes[count - 1] == ' ')
        count--;
    return count > 0 ? g_strndup((const char *)bytes, count) : NULL;
}

static void
read_prpsinfo(PmProcess *process)
{
    const PmNote *note = pm_image_find_note(process->image, "CORE", NT_PRPSINFO);
    const PrpsinfoLayout *layout =
        pm_image_get_target(process->image)->word_bytes == 8 ? &prpsinfo_64 : &prpsinfo_32;
    if (note == NULL || note->desc_bytes < layout->size_bytes)
        return;
    process->info.pid = pm_load_u32(note->desc + layout->pid);
    process->info.arguments = read_text(note->desc + layout->arguments, ARGUMENTS_BYTES);
    process->info.name = read_text(note->desc + layout->name, NAME_BYTES);
}

/* Whether siginfo of @signal holds the address of a fault (sigaction(2)). */
static gboolean
has_fault_address(gint signal, gint code)
{
    static const gint faults[] = {4, 5, 7, 8, 11}; /* SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV */
    for (gsize i = 0; i < G_N_ELEMENTS(faults); i++)
        if (faults[i] == signal)
            return code > 0 && code != SI_KERNEL_CODE;
    return FALSE;
}

/*
 * The signal that ended the process. NT_PRSTATUS decides: in the siginfo of a gcore snapshot stands
 * the SIGSTOP with which gdb held the process, while pr_cursig is 0.
 */
static void
read_signal(PmProcess *process)
{
    const PmNote *note = pm_image_find_note(process->image, "CORE", NT_SIGINFO);
    const guint word = pm_image_get_target(process->image)->word_bytes;
    const guint address_offset = word == 8 ? 16 : 12;
    const PmThread *first =
        process->threads->len > 0 ? &g_array_index(process->threads, PmThread, 0) : NULL;
    const gboolean noted = first != NULL && !first->recovered;
    const gboolean has_siginfo = note != NULL && note->desc_bytes >= address_offset + word;

    const guint32 siginfo_signal = has_siginfo ? pm_load_u32(note->desc) : 0;
    const gint signal = noted ? first->signal : (gint)MIN(siginfo_signal, SIGNAL_MAX + 1);
    if (signal <= 0 || signal > SIGNAL_MAX)
        return;
    process->info.signal = signal;
    if ((gsize)signal < G_N_ELEMENTS(signal_names))
        process->info.signal_name = signal_names[signal];
    if (noted)
        process->info.crashed_tid = first->tid;
    if (siginfo_signal == (guint32)signal &&
        has_fault_address(signal, (gint)pm_load_u32(note->desc + SIGINFO_CODE_OFFSET)))
        process->info.fault_address = pm_load_word(note->desc + address_offset, word);
}

/* The link map and NT_FILE know the program best; AT_EXECFN is how it was called; pr_fname is cut
 * short. */
static void
choose_executable(PmProcess *process)
{
    guint64 address = 0;
    for (guint i = 0; i < process->modules->len; i++) {
        const PmModule *module = pm_process_module_at(process, i);
        if (module->is_executable && module->path[0] != '[') {
            process->info.executable = g_strdup(module->path);
            return;
        }
    }
    if (pm_process_get_auxv(process, AT_EXECFN, &address))
        process->info.executable = pm_space_read_string(process->space, address, 4096);
    if (process->info.executable == NULL)
        process->info.executable = g_strdup(process->info.name);
}

void
pm_process_read_info(PmProcess *process)
{
    process->info.fault_address = PM_ADDR_NONE;
    read_prpsinfo(process);
    choose_executable(process);
    read_signal(process);
}
