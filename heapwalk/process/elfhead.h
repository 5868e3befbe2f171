/*
 * The ELF header and program headers of one object, read alike from core memory and from a file.
 * Knows nothing of sections.
 */
#pragma once

#include "image/space.h"

#include <elf.h>

/* No loader maps an object with more; real ones have about a dozen. */
#define PM_ELF_PHDRS_MAX 256

/*
 * @type: ET_EXEC or ET_DYN. @count: 0 for a head that was not read.
 * @phdrs: (nullable): owned; those of 32-bit objects widened.
 * @page_bytes: of the target; the loader maps whole pages.
 */
typedef struct {
    guint16 type;
    guint count;
    Elf64_Phdr *phdrs;
    guint64 page_bytes;
} PmElfHead;

/*
 * Reads the head of the object whose ELF header lies at @base.
 *
 * Returns: FALSE where there is none of the target's machine and word size; @ret_head untouched.
 */
gboolean pm_elf_head_read(const PmSpace *space, PmAddr base, guint64 page_bytes,
                          PmElfHead *ret_head);

/* The same from the bytes of a file. */
gboolean pm_elf_head_parse(const PmTarget *target, const guint8 *bytes, gsize count,
                           guint64 page_bytes, PmElfHead *ret_head);

void pm_elf_head_clear(PmElfHead *head);

/* The first program header of @type, or NULL. Borrowed. */
const Elf64_Phdr *pm_elf_head_find(const PmElfHead *head, guint32 type);

/* Whether both describe the same loading: program headers alike one by one. */
gboolean pm_elf_head_equals(const PmElfHead *a, const PmElfHead *b);

/*
 * Address minus p_vaddr for an object whose ELF header lies at @base; wraps by intention, since an
 * object may be loaded below its p_vaddr.
 */
guint64 pm_elf_head_get_bias(const PmElfHead *head, PmAddr base);

/* The extent of its PT_LOADs in whole pages. FALSE where it has none or they wrap. */
gboolean pm_elf_head_get_extent(const PmElfHead *head, guint64 bias, PmRange *ret_extent);

/* One segment's place in memory in whole pages. FALSE where it is empty or wraps. */
gboolean pm_elf_head_get_pages(const PmElfHead *head, const Elf64_Phdr *phdr, guint64 bias,
                               PmRange *ret_pages);

/*
 * The build-id in a PT_NOTE of an object in memory.
 *
 * @ret_known: (out): FALSE where a PT_NOTE could not be read, so that NULL does not mean "none".
 * Returns: (transfer full): lower-case hex, or NULL.
 */
char *pm_elf_head_read_build_id(const PmElfHead *head, const PmSpace *space, guint64 bias,
                                gboolean *ret_known);

/* Lower-case hex of @count bytes. */
char *pm_hex_from_bytes(const guint8 *bytes, gsize count);
