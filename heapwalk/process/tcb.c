/*
 * Threads of a core that lost its notes (a gcore snapshot cut off anywhere), by the shape of their
 * thread control blocks: glibc's tcbhead_t on x86 begins {tcb, dtv, self}, tcb and self both being
 * its own address.
 */
#include "process/process-private.h"

#define RECOVERED_MAX 65536

/* struct pthread is aligned to a cache line (TCB_ALIGNMENT of sysdeps/x86/nptl/tls.h). */
#define TCB_ALIGNMENT 64

/* The tid in struct pthread: amd64 2d0, i386 68 from glibc 2.31 to 2.44 (read in DWARF). */
#define TID_OFFSET_64 0x2d0
#define TID_OFFSET_32 0x68
#define TID_MAX       (1u << 22) /* the kernel's PID_MAX_LIMIT */

/* dtv[-1] counts slots; glibc begins with 14 over what the program needs. */
#define SLOTS_MAX 65536

/* Whether the word at @bytes could be the dtv of a thread: an array with a plausible count. */
static gboolean
is_dtv(const PmProcess *process, PmAddr dtv, PmAddr tcb)
{
    const guint word = pm_image_get_target(process->image)->word_bytes;
    guint64 slots = 0;
    return dtv != tcb && dtv % word == 0 && dtv > (guint64)2 * word &&
           pm_space_read_word(process->space, dtv - (guint64)2 * word, &slots) && slots > 0 &&
           slots <= SLOTS_MAX;
}

static void
add_if_tcb(PmProcess *process, PmAddr address, const guint8 *bytes)
{
    const guint word = pm_image_get_target(process->image)->word_bytes;
    if (pm_load_word(bytes, word) != address ||
        pm_load_word(bytes + 2 * (gsize)word, word) != address ||
        !is_dtv(process, pm_load_word(bytes + word, word), address))
        return;
    guint32 tid = 0;
    if (!pm_space_read_u32(process->space, address + (word == 8 ? TID_OFFSET_64 : TID_OFFSET_32),
                           &tid) ||
        tid > TID_MAX)
        tid = 0;
    const PmThread thread = {
        .tid = tid,
        .recovered = TRUE,
        .pc = PM_ADDR_NONE,
        .sp = PM_ADDR_NONE,
        .tp = address,
        .dtv = PM_ADDR_NONE,
    };
    g_array_append_val(process->threads, thread);
}

/* A block never straddles two spans: both are made of whole pages, except at a cut. */
static void
scan_segment(PmProcess *process, const PmSegment *segment)
{
    const guint needed_bytes = 3 * pm_image_get_target(process->image)->word_bytes;
    const PmAddr end = segment->start + segment->present_bytes;
    PmAddr address = segment->start;
    while (address < end) {
        PmSpan span;
        pm_space_get_span(process->space, address, &span);
        const PmAddr span_end = MIN(span.start + span.length_bytes, end);
        PmAddr block = pm_align_up(address, TCB_ALIGNMENT);
        for (; span.bytes != NULL && block < span_end && span_end - block >= needed_bytes &&
               process->threads->len < RECOVERED_MAX;
             block += TCB_ALIGNMENT)
            add_if_tcb(process, block, span.bytes + (block - span.start));
        address = span_end;
    }
}

void
pm_process_recover_threads(PmProcess *process)
{
    const PmTarget *target = pm_image_get_target(process->image);
    if (target->arch == PM_ARCH_AARCH64)
        return; /* its tcbhead_t does not point to itself */

    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(process->image, &count);
    for (gsize i = 0; i < count; i++)
        if ((segments[i].flags & PF_W) != 0)
            scan_segment(process, &segments[i]);
    if (process->threads->len > 0)
        pm_diagnostics_add(process->diagnostics, "threads-recovered", PM_SEVERITY_WARNING,
                           PM_ADDR_NONE,
                           "no thread is noted in this core; %u were found by the shape of their "
                           "control blocks, without registers, and some may have ended",
                           process->threads->len);
}
