/*
 * Thread-local storage as glibc lays it out: the DTV of each thread, its static TLS, its stack's
 * end, and which module has which TLS id. ELF handling of TLS (Drepper), variant I on AArch64 and
 * variant II on x86.
 */
#include "process/process-private.h"

#include <string.h>

/* More is not believed: each slot is a library with TLS. */
#define SLOTS_MAX 65536

/* Static TLS ends, on x86, and begins, on AArch64, with struct pthread: 0x900 to 0x940 and 0x700 to
 * 0x740 bytes from glibc 2.31 to 2.44. */
#define PTHREAD_BYTES_X86     0x940
#define PTHREAD_BYTES_AARCH64 0x740

/* The TCB of variant I stands between the thread pointer and the first block. */
#define TCB_BYTES_AARCH64 16

/* How far from the thread pointer a static block may be; how many threads and slots are looked at
 * to learn it. All threads share one layout. */
#define STATIC_TLS_BYTES_MAX 1048576
#define SAMPLE_THREADS       64
#define SAMPLE_SLOTS         1024

/* What ld.so reserves for libraries that are loaded later (DTV_SURPLUS, glibc 2.32 and later). */
#define STATIC_TLS_SURPLUS_BYTES 1664

static gboolean
is_variant_1(const PmProcess *process)
{
    return pm_image_get_target(process->image)->arch == PM_ARCH_AARCH64;
}

/* How many bytes from @address on are readable, at most @max. */
static guint64
count_readable(const PmSpace *space, PmAddr address, guint64 max)
{
    guint64 count = 0;
    while (count < max) {
        PmSpan span;
        pm_space_get_span(space, address + count, &span);
        if (span.kind != PM_BYTES_DUMPED && span.kind != PM_BYTES_FROM_FILE)
            break;
        count += MIN(span.length_bytes, max - count);
    }
    return count;
}

guint64
pm_process_get_dtv_slots(const PmProcess *process, const PmThread *thread)
{
    const guint64 slot_bytes = 2 * (guint64)pm_image_get_target(process->image)->word_bytes;
    guint64 slots = 0;
    if (thread->dtv == PM_ADDR_NONE || thread->dtv < slot_bytes ||
        !pm_space_read_word(process->space, thread->dtv - slot_bytes, &slots) ||
        slots > SLOTS_MAX || slots == 0)
        return 0;
    const guint64 readable =
        count_readable(process->space, thread->dtv, (slots + 1) * slot_bytes) / slot_bytes;
    return readable > 0 ? readable - 1 : 0;
}

/* Slot @modid, which the caller has bounded. TLS_DTV_UNALLOCATED is −1. */
static gboolean
read_slot(const PmProcess *process, const PmThread *thread, guint64 modid, PmAddr *ret_block)
{
    const guint word = pm_image_get_target(process->image)->word_bytes;
    guint64 block = 0;
    if (!pm_space_read_word(process->space, thread->dtv + modid * 2 * word, &block) || block == 0 ||
        block == (word == 8 ? G_MAXUINT64 : G_MAXUINT32))
        return FALSE;
    *ret_block = block;
    return TRUE;
}

gboolean
pm_process_get_tls_block(const PmProcess *process, const PmThread *thread, guint64 modid,
                         PmAddr *ret_block)
{
    return modid > 0 && modid <= pm_process_get_dtv_slots(process, thread) &&
           read_slot(process, thread, modid, ret_block);
}

static void
read_dtv(const PmProcess *process, PmThread *thread)
{
    const guint word = pm_image_get_target(process->image)->word_bytes;
    PmAddr address = 0;
    guint64 dtv = 0;
    if (thread->tp == PM_ADDR_NONE ||
        !pm_addr_add(thread->tp, is_variant_1(process) ? 0 : word, &address) ||
        !pm_space_read_word(process->space, address, &dtv) || dtv == 0 || dtv % word != 0)
        return;
    thread->dtv = dtv;
}

/* How far static blocks reach from the thread pointer, in bytes, by the DTV of @thread. */
static guint64
measure_static_tls(const PmProcess *process, const PmThread *thread, const guint64 *block_bytes)
{
    const PmSegment *segment = pm_image_find_segment(process->image, thread->tp);
    const guint64 slots = MIN(pm_process_get_dtv_slots(process, thread), SAMPLE_SLOTS);
    guint64 reach = 0;
    for (guint64 modid = 1; modid <= slots && segment != NULL; modid++) {
        PmAddr block = 0;
        if (!read_slot(process, thread, modid, &block) ||
            pm_image_find_segment(process->image, block) != segment)
            continue;
        const guint64 distance =
            is_variant_1(process) ? block - thread->tp + block_bytes[modid] : thread->tp - block;
        if (distance <= STATIC_TLS_BYTES_MAX)
            reach = MAX(reach, distance);
    }
    return reach;
}

/* Without any DTV: the blocks of the modules one after the other, and what ld.so reserves. */
static guint64
guess_static_tls(const PmProcess *process)
{
    guint64 reach = STATIC_TLS_SURPLUS_BYTES;
    for (guint i = 0; i < process->modules->len; i++) {
        const guint64 bytes = pm_process_module_at(process, i)->tls_bytes;
        if (bytes <= STATIC_TLS_BYTES_MAX)
            reach += pm_align_up(bytes, 64);
    }
    return MIN(reach, STATIC_TLS_BYTES_MAX);
}

static guint64
get_static_tls_reach(const PmProcess *process)
{
    g_autofree guint64 *block_bytes = g_new0(guint64, SAMPLE_SLOTS + 1);
    for (guint i = 0; i < process->modules->len; i++) {
        const PmModule *module = pm_process_module_at(process, i);
        if (module->tls_modid > 0 && module->tls_modid <= SAMPLE_SLOTS)
            block_bytes[module->tls_modid] = MIN(module->tls_bytes, STATIC_TLS_BYTES_MAX);
    }
    guint64 reach = 0;
    for (guint i = 0; i < MIN(process->threads->len, SAMPLE_THREADS); i++)
        reach =
            MAX(reach, measure_static_tls(process, &g_array_index(process->threads, PmThread, i),
                                          block_bytes));
    return reach > 0 ? reach : guess_static_tls(process);
}

static void
set_static_tls(const PmProcess *process, PmThread *thread, guint64 reach)
{
    const PmSegment *segment = pm_image_find_segment(process->image, thread->tp);
    if (thread->tp == PM_ADDR_NONE || segment == NULL)
        return;
    const guint64 before = is_variant_1(process) ? PTHREAD_BYTES_AARCH64 : reach;
    const guint64 after = is_variant_1(process) ? MAX(reach, TCB_BYTES_AARCH64) : PTHREAD_BYTES_X86;
    thread->static_tls.start = thread->tp - MIN(before, thread->tp - segment->start);
    thread->static_tls.end =
        thread->tp + MIN(after, segment->start + segment->mapped_bytes - thread->tp);
}

/*
 * A stack is the part of sp's mapping between its neighbours: mappings of adjacent stacks merge,
 * and glibc puts the thread control block and static TLS on top of the stack that it made.
 *
 * @tops: ends of every thread's static TLS, ascending.
 */
static void
set_stack(const PmProcess *process, PmThread *thread, const GArray *tops)
{
    const PmSegment *segment =
        thread->sp != PM_ADDR_NONE ? pm_image_find_segment(process->image, thread->sp) : NULL;
    if (segment == NULL)
        return;
    thread->stack.start = segment->start;
    thread->stack.end = segment->start + segment->mapped_bytes;
    if (thread->static_tls.start > thread->sp && thread->static_tls.start < thread->stack.end)
        thread->stack.end = thread->static_tls.start;

    guint low = 0, high = tops->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(tops, PmAddr, middle) > thread->sp)
            high = middle;
        else
            low = middle + 1;
    }
    if (low > 0)
        thread->stack.start = MAX(thread->stack.start, g_array_index(tops, PmAddr, low - 1));
}

static const PmModule *
find_by_name(const PmProcess *process, const char *prefix)
{
    for (guint i = 0; i < process->modules->len; i++) {
        const PmModule *module = pm_process_module_at(process, i);
        const char *slash = strrchr(module->path, '/');
        if (g_str_has_prefix(slash != NULL ? slash + 1 : module->path, prefix))
            return module;
    }
    return NULL;
}

/*
 * The offset of l_tls_modid in struct link_map, from the table {bits, elements, offset} that glibc
 * keeps for thread debuggers: in .dynsym of libc from 2.35 on, in .symtab of libpthread before.
 */
static gboolean
find_modid_offset(const PmProcess *process, guint32 *ret_offset)
{
    static const char name[] = "_thread_db_link_map_l_tls_modid";
    const PmModule *modules[] = {pm_process_get_libc(process), find_by_name(process, "libpthread")};
    const guint word = pm_image_get_target(process->image)->word_bytes;
    for (gsize i = 0; i < G_N_ELEMENTS(modules); i++) {
        PmSymbol symbol;
        guint32 table[3] = {0};
        if (modules[i] == NULL || modules[i]->elf != PM_ELF_FOUND ||
            !pm_process_lookup_symbol(process, modules[i], name, &symbol))
            continue;
        gboolean readable = TRUE;
        for (guint j = 0; j < 3; j++)
            readable = readable && pm_space_read_u32(process->space,
                                                     symbol.address + 4 * (guint64)j, &table[j]);
        if (readable && table[0] == 8 * word && table[2] < 0x2000 && table[2] % word == 0) {
            *ret_offset = table[2];
            return TRUE;
        }
    }
    return FALSE;
}

/* Ids by order: ld.so counts modules with TLS in link-map order. Later libraries may take the ids
 * of closed ones, so that each id is checked against a DTV. */
static void
count_modids(PmProcess *process)
{
    const PmThread *thread =
        process->threads->len > 0 ? &g_array_index(process->threads, PmThread, 0) : NULL;
    guint64 modid = 0;
    for (guint i = 0; i < process->modules->len; i++) {
        PmModule *module = pm_process_module_at(process, i);
        const Elf64_Phdr *tls = pm_elf_head_find(&pm_process_parts_at(process, i)->head, PT_TLS);
        if (tls == NULL || module->is_vdso ||
            (module->link_map == PM_ADDR_NONE && !module->is_executable))
            continue;
        modid++;
        PmAddr block = 0;
        if (thread == NULL || !pm_process_get_tls_block(process, thread, modid, &block) ||
            tls->p_align <= 1 || (block - tls->p_vaddr) % tls->p_align == 0)
            module->tls_modid = modid;
    }
}

static void
read_modids(PmProcess *process)
{
    guint32 offset = 0;
    if (!find_modid_offset(process, &offset)) {
        count_modids(process);
        return;
    }
    for (guint i = 0; i < process->modules->len; i++) {
        PmModule *module = pm_process_module_at(process, i);
        guint64 modid = 0;
        PmAddr address = 0;
        if (module->link_map != PM_ADDR_NONE && pm_addr_add(module->link_map, offset, &address) &&
            pm_space_read_word(process->space, address, &modid) && modid <= SLOTS_MAX)
            module->tls_modid = modid;
        else if (module->link_map == PM_ADDR_NONE && module->is_executable && module->tls_bytes > 0)
            module->tls_modid = 1; /* the program's own is the first */
    }
}

void
pm_process_read_tls(PmProcess *process)
{
    for (guint i = 0; i < process->threads->len; i++)
        read_dtv(process, &g_array_index(process->threads, PmThread, i));
    read_modids(process);

    const guint64 reach = get_static_tls_reach(process);
    g_autoptr(GArray) tops = g_array_new(FALSE, FALSE, sizeof(PmAddr));
    for (guint i = 0; i < process->threads->len; i++) {
        PmThread *thread = &g_array_index(process->threads, PmThread, i);
        set_static_tls(process, thread, reach);
        if (thread->static_tls.end > 0)
            g_array_append_val(tops, thread->static_tls.end);
    }
    g_array_sort(tops, pm_addr_compare);
    for (guint i = 0; i < process->threads->len; i++)
        set_stack(process, &g_array_index(process->threads, PmThread, i), tops);
}
