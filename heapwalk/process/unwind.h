/*
 * The frames of a thread, from its registers and the call frame information of the modules' files.
 * What is read off the stack is checked before it is believed: a damaged stack gives fewer frames.
 */
#pragma once

#include "process/process.h"

/* A recursion that overflowed its stack has more; the innermost ones are those asked for. */
#define PM_FRAMES_MAX 1024

/*
 * One activation of a function.
 *
 * @pc: the instruction that was about to run, or, in a caller, the return address.
 * @sp: the stack pointer in this frame; of a caller the canonical frame address (DWARF CFA) of the
 *   frame before it.
 * @end: the frame's slots are [@sp, @end): the next frame's @sp; on x86 the return address is the
 *   last of them. Of a signal frame on another stack than the code it interrupted: the end of that
 *   alternate stack on x86-64. Equal to @sp where it is not known: of the last frame, and elsewhere
 *   of a signal frame that changes to a lower stack or another mapping.
 * @activation: @pc is exact: of the innermost frame, of the frame of a signal (glibc's
 *   __restore_rt, the vdso's __kernel_rt_sigreturn), and of the function that the signal
 *   interrupted. Otherwise the call is what stands before @pc: see pm_frame_get_code().
 */
typedef struct {
    PmAddr pc;
    PmAddr sp;
    PmAddr end;
    gboolean activation;
} PmFrame;

/*
 * An address within the instruction that the frame was executing. It is what to give to
 * pm_process_symbolize(): the return address of a call that does not return may lie in the next
 * function.
 */
static inline PmAddr
pm_frame_get_code(const PmFrame *frame)
{
    return frame->activation ? frame->pc : frame->pc - 1;
}

/*
 * Unwinds @thread, innermost frame first.
 *
 * The first frame is the one of the registers, whatever they say. Each further one has its pc in
 * memory that may be executed and its sp above the one before it in the same mapping, except across
 * a signal frame, which may change stacks but never back to slots of an earlier frame. Where the
 * innermost pc cannot be executed (a call through a bad pointer), the caller is taken from the word
 * at sp, on x86.
 *
 * @thread: one of @process.
 * @ret_count: (out): at most PM_FRAMES_MAX.
 * @ret_complete: (out): the last frame is where the thread began: its call frame information says
 *   that nothing called it. FALSE where a module's file or its call frame information is missing
 *   (JIT-compiled code has none), where the stack is damaged or not in the core, and past
 *   PM_FRAMES_MAX.
 * Returns: (transfer full): NULL, with 0 frames, where the thread's registers are not known.
 *   g_free() it.
 *
 * Reads nothing before it is first called; then opens .eh_frame of the modules that frames lie in,
 * and .debug_frame only where .eh_frame lacks a frame. Downloads nothing that is not already here.
 * One thread at a time, as pm_process_symbolize().
 */
PmFrame *pm_process_unwind(const PmProcess *process, const PmThread *thread, gsize *ret_count,
                           gboolean *ret_complete);

/* Why frames end where they do. */
typedef enum {
    PM_UNWIND_COMPLETE,  /* there the thread began */
    PM_UNWIND_REGISTERS, /* the thread's registers are not in the core: no frames */
    PM_UNWIND_MOST,      /* there are more than PM_FRAMES_MAX */
    PM_UNWIND_NOT_CODE,  /* the last frame's pc leads to no code */
    PM_UNWIND_NO_MODULE, /* code of no module: made at run time */
    PM_UNWIND_NO_FILE,   /* its module's or mapping's file is not here */
    PM_UNWIND_NO_CFI,    /* the file says nothing of how to unwind that code */
    PM_UNWIND_NO_STACK,  /* the stack of the last frame is not in the core */
    PM_UNWIND_DAMAGED,   /* what should be the caller's is not: the stack was overwritten */
} PmUnwindEnd;

/*
 * Why the frames of pm_process_unwind() end there.
 *
 * @frames: (nullable): @count of them. @complete: as that said.
 * One thread at a time.
 */
PmUnwindEnd pm_process_get_unwind_end(const PmProcess *process, const PmFrame *frames, gsize count,
                                      gboolean complete);

/* As many as any target has general registers. */
#define PM_FRAME_REGISTERS_MAX 32

/*
 * What the registers held in a frame: in a caller, what they will hold when its callee returns.
 *
 * @values: by DWARF's numbers (the psABIs; x86-64: 6 is rbp, 7 rsp, 16 rip). @known: a bit for each
 *   that the unwinder restored; the others were overwritten.
 * @cfa: the canonical frame address, or PM_ADDR_NONE where it is not known.
 */
typedef struct {
    guint64 values[PM_FRAME_REGISTERS_MAX];
    guint32 known;
    PmAddr cfa;
} PmFrameRegisters;

/*
 * pm_process_unwind(), and the registers of each frame.
 *
 * @ret_registers: (out) (transfer full): one for each frame; NULL where there are no frames.
 *   g_free() it.
 */
PmFrame *pm_process_unwind_registers(const PmProcess *process, const PmThread *thread,
                                     PmFrameRegisters **ret_registers, gsize *ret_count,
                                     gboolean *ret_complete);

/*
 * Which frame owns the stack slot at @stack_address.
 *
 * @frames: (nullable): @count of them, from pm_process_unwind().
 * @ret_index: (out): untouched where there is none.
 * Returns: FALSE where no frame's [sp, end) holds it: below the innermost sp (the red zone as
 *   well), in or above the last frame, on another stack.
 *
 * O(@count).
 */
gboolean pm_frames_find(const PmFrame *frames, gsize count, PmAddr stack_address, gsize *ret_index);
