/*
 * Variables that nobody has written to; see untouched.h.
 */
#include "analysis/sites/untouched.h"

#include "process/elfhead.h"

#define PAGE_BYTES 4096
/* With fewer there is hardly more than what the compiler itself puts there. */
#define BYTES_MIN 256
/* More of them are not looked through. */
#define BYTES_MAX ((guint64)4 << 20)

/* Whether all of [@start, @end) is zero. */
static gboolean
is_zero(const PmSpace *space, PmAddr start, PmAddr end)
{
    PmSpan span;
    for (PmAddr at = start; at < end; at += span.length_bytes) {
        pm_space_get_span(space, at, &span);
        span.length_bytes = MIN(span.length_bytes, end - at);
        if (span.kind == PM_BYTES_NOT_WRITTEN || (span.kind == PM_BYTES_DUMPED && span.hole))
            continue;
        if (span.kind != PM_BYTES_DUMPED || span.bytes == NULL || span.length_bytes == 0)
            return FALSE;
        for (guint64 i = 0; i < span.length_bytes; i++)
            if (span.bytes[i] != 0)
                return FALSE;
    }
    return TRUE;
}

/* The same of all variables of @head; FALSE where there are too few of them, too. */
static gboolean
are_zero(const PmSpace *space, const PmModule *module, const PmElfHead *head)
{
    guint64 bytes = 0;
    for (guint i = 0; i < head->count; i++) {
        const Elf64_Phdr *phdr = &head->phdrs[i];
        PmAddr end = 0;
        if (phdr->p_type != PT_LOAD || (phdr->p_flags & PF_W) == 0 ||
            phdr->p_memsz <= phdr->p_filesz)
            continue;
        const PmAddr start = module->bias + phdr->p_vaddr + phdr->p_filesz;
        const guint64 size = phdr->p_memsz - phdr->p_filesz;
        if (size > BYTES_MAX || !pm_addr_add(start, size, &end) || !is_zero(space, start, end))
            return FALSE;
        bytes += size;
    }
    return bytes >= BYTES_MIN;
}

gboolean
pm_module_is_untouched(const PmSpace *space, const PmModule *module)
{
    PmElfHead head;
    if (module->is_executable || module->is_vdso ||
        !pm_elf_head_read(space, module->start, PAGE_BYTES, &head))
        return FALSE;
    const gboolean untouched = are_zero(space, module, &head);
    pm_elf_head_clear(&head);
    return untouched;
}
