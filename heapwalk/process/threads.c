/*
 * Threads from NT_PRSTATUS and the notes that follow each. Layouts are those of the target (Linux:
 * struct elf_prstatus with the architecture's elf_gregset_t), never the host's.
 */
#include "process/process-private.h"

#include <string.h>

/* Each costs about 150 bytes; pid_max is at most 2^22. */
#define THREADS_MAX (1u << 18)

/*
 * Offsets in bytes and indexes of registers in target words.
 * @tp: fs_base on x86-64, gs on i386 (a selector, resolved through NT_386_TLS), 0 where the thread
 * pointer is in a note of its own.
 */
typedef struct {
    guint32 tid_offset;
    guint32 registers_offset;
    guint32 registers_bytes;
    guint32 pc;
    guint32 sp;
    guint32 tp;
} Prstatus;

#define CURSIG_OFFSET 12

static const Prstatus layouts[] = {
    [PM_ARCH_X86_64] = {32, 112, 27 * 8, 16, 19, 21},
    [PM_ARCH_I386] = {24, 72, 17 * 4, 12, 15, 10},
    [PM_ARCH_AARCH64] = {32, 112, 34 * 8, 32, 31, 0},
};

/* struct user_desc of NT_386_TLS: entry_number, base_addr, limit, flags. */
#define USER_DESC_BYTES 16

static gboolean
is_note(const PmNote *note, const char *name, guint32 type)
{
    return note->type == type && note->name_bytes == strlen(name) &&
           memcmp(note->name, name, note->name_bytes) == 0;
}

/* NT_386_TLS: the descriptor that the selector @gs names. */
static PmAddr
find_tls_base(const PmNote *note, guint64 gs)
{
    for (guint32 offset = 0; offset + USER_DESC_BYTES <= note->desc_bytes;
         offset += USER_DESC_BYTES)
        if (pm_load_u32(note->desc + offset) == gs >> 3)
            return pm_load_u32(note->desc + offset + 4);
    return 0;
}

static PmAddr
read_tp(const PmProcess *process, const PmThread *thread, const Prstatus *layout)
{
    const PmTarget *target = pm_image_get_target(process->image);
    gsize count = 0;
    const PmNote *notes = pm_image_get_notes(process->image, &count);
    const guint64 tp_register = pm_load_word(
        thread->registers + (gsize)layout->tp * target->word_bytes, target->word_bytes);
    PmAddr tp = target->arch == PM_ARCH_X86_64 ? tp_register : 0;

    for (gsize i = 0; i < thread->note_count && tp == 0; i++) {
        const PmNote *note = &notes[thread->first_note + i];
        if (target->arch == PM_ARCH_I386 && is_note(note, "LINUX", NT_386_TLS))
            tp = find_tls_base(note, tp_register);
        else if (target->arch == PM_ARCH_AARCH64 && is_note(note, "LINUX", NT_ARM_TLS) &&
                 note->desc_bytes >= 8)
            tp = pm_load_u64(note->desc);
    }
    return tp != 0 ? tp : PM_ADDR_NONE;
}

/* A thread from its NT_PRSTATUS, without what the notes behind it say. */
static gboolean
read_prstatus(const PmProcess *process, const PmNote *note, PmThread *ret_thread)
{
    const PmTarget *target = pm_image_get_target(process->image);
    const Prstatus *layout = &layouts[target->arch];
    const guint word = target->word_bytes;
    if (note->desc_bytes < layout->registers_offset + layout->registers_bytes)
        return FALSE;
    const guint8 *registers = note->desc + layout->registers_offset;
    *ret_thread = (PmThread){
        .tid = pm_load_u32(note->desc + layout->tid_offset),
        .signal = note->desc[CURSIG_OFFSET] | note->desc[CURSIG_OFFSET + 1] << 8,
        .pc = pm_load_word(registers + (gsize)layout->pc * word, word),
        .sp = pm_load_word(registers + (gsize)layout->sp * word, word),
        .tp = PM_ADDR_NONE,
        .dtv = PM_ADDR_NONE,
        .registers = registers,
        .registers_bytes = layout->registers_bytes,
    };
    return TRUE;
}

/* Returns: how many NT_PRSTATUS are too short for the target. */
static guint64
read_notes(PmProcess *process)
{
    gsize count = 0;
    const PmNote *notes = pm_image_get_notes(process->image, &count);
    PmThread *last = NULL;
    guint64 bad = 0;

    for (gsize i = 0; i < count && process->threads->len < THREADS_MAX; i++) {
        if (!is_note(&notes[i], "CORE", NT_PRSTATUS)) {
            if (last != NULL)
                last->note_count++;
            continue;
        }
        PmThread thread;
        last = NULL;
        if (!read_prstatus(process, &notes[i], &thread)) {
            bad++;
            continue;
        }
        thread.first_note = i;
        thread.note_count = 1;
        g_array_append_val(process->threads, thread);
        last = &g_array_index(process->threads, PmThread, process->threads->len - 1);
    }
    return bad;
}

void
pm_process_read_threads(PmProcess *process)
{
    const PmTarget *target = pm_image_get_target(process->image);
    const guint64 bad = read_notes(process);
    for (guint i = 0; i < process->threads->len; i++) {
        PmThread *thread = &g_array_index(process->threads, PmThread, i);
        thread->tp = read_tp(process, thread, &layouts[target->arch]);
    }
    if (bad > 0)
        pm_diagnostics_add(process->diagnostics, "note-bad", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "%" G_GUINT64_FORMAT " NT_PRSTATUS notes are too short for %s: these "
                           "threads are left out",
                           bad, target->name);
    if (process->threads->len == THREADS_MAX)
        pm_diagnostics_add(process->diagnostics, "threads-omitted", PM_SEVERITY_WARNING,
                           PM_ADDR_NONE, "only the first %u threads are read", THREADS_MAX);
}
