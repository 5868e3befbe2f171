/*
 * Who calls: the stack as the unwinder sees it, and the functions that it does not see because
 * they ended with a jump, as far as the call before them says where it went (x86-64).
 */
#include "leaker.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unwind.h>

/* Of GCC's unwind-dw2-fde.h. */
struct dwarf_eh_bases {
    void *text_base;
    void *data_base;
    void *function;
};
/* In .eh_frame; for x86-64 compilers give @start and @bytes as numbers of 32 bits. */
struct dwarf_fde {
    uint32_t length;
    int32_t cie;
    int32_t start;
    uint32_t bytes;
};
const struct dwarf_fde *_Unwind_Find_FDE(void *address, struct dwarf_eh_bases *bases);

static uint64_t own_start, own_end;

static int
find_own_code(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uint64_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || (uintptr_t)data - start >= segment->p_memsz)
            continue;
        own_start = start;
        own_end = start + segment->p_memsz;
        return 1;
    }
    return 0;
}

void
leaker_chain_open(void)
{
    LeakerChain chain;
    dl_iterate_phdr(find_own_code, (void *)(uintptr_t)find_own_code);
    /* The first call loads the unwinder. */
    leaker_chain_take(&chain);
}

uint64_t
leaker_chain_measure(uint64_t address)
{
    struct dwarf_eh_bases bases;
    const struct dwarf_fde *fde = _Unwind_Find_FDE((void *)(uintptr_t)address, &bases);
    return fde != NULL ? fde->bytes : 0;
}

#ifdef __x86_64__
static int64_t
read_offset(uint64_t address)
{
    int32_t offset = 0;
    memcpy(&offset, (const void *)(uintptr_t)address, sizeof offset);
    return offset;
}

static bool
has_bytes(uint64_t address, const char *bytes, size_t count)
{
    return memcmp((const void *)(uintptr_t)address, bytes, count) == 0;
}

/* The function that the entry of a procedure linkage table at @address jumps to; else @address. */
static uint64_t
follow_linkage(uint64_t address)
{
    uint64_t at = address;
    if (has_bytes(at, "\xf3\x0f\x1e\xfa", 4)) /* endbr64 */
        at += 4;
    at += has_bytes(at, "\xf2", 1);    /* bnd */
    if (!has_bytes(at, "\xff\x25", 2)) /* jmp *offset(%rip) */
        return address;
    return *(const uint64_t *)(uintptr_t)(at + 6 + (uint64_t)read_offset(at + 2));
}

/* The function that was called by the call before @address; 0 where that is not known. */
static uint64_t
find_callee(uint64_t address)
{
    if (has_bytes(address - 5, "\xe8", 1)) /* call */
        return follow_linkage(address + (uint64_t)read_offset(address - 4));
    if (has_bytes(address - 6, "\xff\x15", 2)) /* call *offset(%rip) */
        return *(const uint64_t *)(uintptr_t)(address + (uint64_t)read_offset(address - 4));
    return 0;
}
#else
static uint64_t
find_callee(uint64_t address)
{
    (void)address;
    return 0;
}
#endif

static bool
is_own(uint64_t address)
{
    return address >= own_start && address < own_end;
}

static void
add(LeakerChain *chain, uint64_t address, uint64_t entry, uint64_t flags)
{
    if (chain->count < LEAKER_FRAMES)
        chain->callers[chain->count++] = (LeakerCaller){address, entry, 0, flags};
}

static _Unwind_Reason_Code
take_frame(struct _Unwind_Context *context, void *data)
{
    LeakerChain *chain = data;
    const uint64_t address = _Unwind_GetIP(context);
    if (chain->count == 0 && is_own(address))
        return _URC_NO_REASON;
    if (chain->count == LEAKER_FRAMES)
        return _URC_END_OF_STACK;
    /* What the unwinder calls the CFA of a frame is the stack pointer in it, and so where the one
     * that it called was entered, and what that jumped to. */
    const uint64_t cfa = _Unwind_GetCFA(context);
    if (chain->count > 0)
        chain->callers[chain->count - 1].cfa = cfa;
    const uint64_t callee = address != 0 ? find_callee(address) : 0;
    const bool is_known =
        chain->count > 0 ? callee == chain->callers[chain->count - 1].entry : is_own(callee);
    if (callee != 0 && !is_known && !is_own(callee)) {
        add(chain, callee, callee, LEAKER_TAIL);
        chain->callers[chain->count - 1].cfa = cfa;
    }
    add(chain, address, _Unwind_GetRegionStart(context), callee == 0 ? LEAKER_UNSURE : 0);
    return _URC_NO_REASON;
}

void
leaker_chain_take(LeakerChain *chain)
{
    chain->count = 0;
    (void)_Unwind_Backtrace(take_frame, chain);
}
