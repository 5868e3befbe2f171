/*
 * libdwfl evaluates call frame information; memory, registers and modules come from us through
 * dwfl_attach_state(). libdwfl also guesses by frame pointers and takes a return address of zero
 * for the end, so each frame's own call frame information is asked for first, and it decides.
 */
#include "process/unwind.h"

#include "process/dwfl.h"

#include <dwarf.h>
#include <stdlib.h>

#define REGISTERS_MAX PM_FRAME_REGISTERS_MAX
/* The psABI's numbers. */
#define X86_64_RAX 0
#define X86_64_RBX 3
/* libdwfl asks for a thread by number; the walk it is on is the only one there is. */
#define THE_THREAD 1

/*
 * Registers in DWARF's numbering (the psABIs), each by its index in pr_reg.
 * @sp, @pc: DWARF numbers; @pc is @count where it has none. @pc_index: of the pc in pr_reg.
 */
typedef struct {
    guint count;
    guint sp;
    guint pc;
    guint pc_index;
    guint8 indexes[REGISTERS_MAX];
} Layout;

/* Linux: struct user_regs_struct, struct user_pt_regs. */
static const Layout layouts[] = {
    [PM_ARCH_X86_64] = {17, 7, 16, 16, {10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16}},
    [PM_ARCH_I386] = {9, 4, 8, 12, {6, 1, 2, 0, 15, 5, 3, 4, 12}},
    [PM_ARCH_AARCH64] = {32, 31, 32, 32, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                          11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                          22, 23, 24, 25, 26, 27, 28, 29, 30, 31}},
};

/* @dwfl: made when a thread is first unwound; @attached: it has what it takes. */
struct PmUnwinder {
    const PmProcess *process;
    const Layout *layout;
    PmDwfl *dwfl;
    gboolean attached;
    struct Walk *walk; /* the one that libdwfl is on */
};

/* What the call frame information says of a frame. The CFA is @cfa_offset from the register
 * @cfa_register, which is REGISTERS_MAX where it is computed otherwise. @keeps_rbx: of x86-64:
 * there is no rule for rbx. */
typedef struct {
    gboolean is_signal;
    gboolean is_outermost;
    gboolean keeps_rbx;
    guint cfa_register;
    guint64 cfa_offset;
} Rule;

/*
 * @registers, @pc: of the frame where libdwfl begins. @exact: the next frame's pc is exact, since
 * it is the first one or was interrupted. @is_return: it is a return address, less 1, all the same.
 * @sets: (nullable): PmFrameRegisters of each frame. @rule: of the last frame.
 */
typedef struct Walk {
    PmUnwinder *unwinder;
    Dwarf_Word registers[REGISTERS_MAX];
    Dwarf_Addr pc;
    gboolean exact;
    gboolean is_return;
    gboolean is_complete;
    GArray *frames;
    GArray *sets;
    Rule rule;
} Walk;

PmUnwinder *
pm_unwinder_new(const PmProcess *process)
{
    PmUnwinder *unwinder = g_new0(PmUnwinder, 1);
    unwinder->process = process;
    unwinder->layout = &layouts[pm_image_get_target(process->image)->arch];
    return unwinder;
}

void
pm_unwinder_free(PmUnwinder *unwinder)
{
    if (unwinder == NULL)
        return;
    pm_dwfl_free(unwinder->dwfl);
    g_free(unwinder);
}

/* The rest of Dwfl_Thread_Callbacks needs it; nothing here lists threads. */
static pid_t
next_thread(Dwfl *dwfl G_GNUC_UNUSED, void *data G_GNUC_UNUSED, void **ret_walk G_GNUC_UNUSED)
{
    return 0;
}

static bool
get_thread(Dwfl *dwfl G_GNUC_UNUSED, pid_t tid G_GNUC_UNUSED, void *data, void **ret_walk)
{
    const PmUnwinder *unwinder = data;
    *ret_walk = unwinder->walk;
    return true;
}

static bool
read_memory(Dwfl *dwfl G_GNUC_UNUSED, Dwarf_Addr address, Dwarf_Word *ret_word, void *data)
{
    const PmUnwinder *unwinder = data;
    guint64 word = 0;
    if (!pm_space_read_word(unwinder->process->space, address, &word))
        return false;
    *ret_word = word;
    return true;
}

static bool
set_registers(Dwfl_Thread *thread, void *data)
{
    const Walk *walk = data;
    dwfl_thread_state_register_pc(thread, walk->pc);
    return dwfl_thread_state_registers(thread, 0, walk->unwinder->layout->count, walk->registers);
}

static void
attach(PmUnwinder *unwinder)
{
    static const Dwfl_Thread_Callbacks callbacks = {
        .next_thread = next_thread,
        .get_thread = get_thread,
        .memory_read = read_memory,
        .set_initial_registers = set_registers,
    };
    const PmProcess *process = unwinder->process;
    Elf *elf = NULL;
    if (unwinder->dwfl != NULL)
        return;
    unwinder->dwfl = pm_dwfl_new(process);
    for (guint i = 0; i < process->modules->len; i++) {
        const PmElfFile *file = pm_process_parts_at(process, i)->file;
        if (file == NULL)
            continue;
        pm_dwfl_get_module(unwinder->dwfl, pm_process_module_at(process, i));
        if (elf == NULL)
            elf = file->elf;
    }
    Dwfl *dwfl = pm_dwfl_get_handle(unwinder->dwfl);
    unwinder->attached =
        elf != NULL && dwfl != NULL && dwfl_attach_state(dwfl, elf, 1, &callbacks, unwinder);
}

/* The frame's row of the call frame information. Free it with free(). */
static Dwarf_Frame *
find_row(PmUnwinder *unwinder, PmAddr code)
{
    const PmModule *module = pm_process_find_module(unwinder->process, code);
    /* A separate debug file has the headers of an .eh_frame without its bytes. */
    if (module == NULL || pm_process_parts_of(unwinder->process, module)->file == NULL)
        return NULL;
    Dwfl_Module *dwfl = pm_dwfl_get_module(unwinder->dwfl, module);
    Dwarf_Addr bias = 0;
    Dwarf_Frame *row = NULL;
    if (dwfl == NULL)
        return NULL;
    Dwarf_CFI *cfi = dwfl_module_eh_cfi(dwfl, &bias);
    if (cfi != NULL && dwarf_cfi_addrframe(cfi, code - bias, &row) == 0)
        return row;
    /* Only where DWARF is here: libdwfl would download it. */
    cfi = module->dwarf ? dwfl_module_dwarf_cfi(dwfl, &bias) : NULL;
    return cfi != NULL && dwarf_cfi_addrframe(cfi, code - bias, &row) == 0 ? row : NULL;
}

static void
read_cfa(Dwarf_Frame *row, Rule *rule)
{
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    rule->cfa_register = REGISTERS_MAX;
    if (dwarf_frame_cfa(row, &ops, &count) != 0 || count != 1)
        return;
    if (ops[0].atom == DW_OP_bregx && ops[0].number < REGISTERS_MAX) {
        rule->cfa_register = (guint)ops[0].number;
        rule->cfa_offset = ops[0].number2;
    } else if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
        rule->cfa_register = ops[0].atom - DW_OP_breg0;
        rule->cfa_offset = ops[0].number;
    }
}

static gboolean
find_rule(PmUnwinder *unwinder, PmAddr code, Rule *ret_rule)
{
    Dwarf_Frame *row = find_row(unwinder, code);
    if (row == NULL)
        return FALSE;
    bool is_signal = false;
    Dwarf_Op memory[3];
    Dwarf_Op *ops = NULL;
    size_t count = 0;
    const int pc = dwarf_frame_info(row, NULL, NULL, &is_signal);
    /* No operations, but not "the same value" either: the return address is undefined. (libdw.h) */
    ret_rule->is_outermost = pc >= 0 && dwarf_frame_register(row, pc, memory, &ops, &count) == 0 &&
                             count == 0 && ops == memory;
    ret_rule->is_signal = is_signal;
    read_cfa(row, ret_rule);
    ret_rule->keeps_rbx = dwarf_frame_register(row, X86_64_RBX, memory, &ops, &count) == 0 &&
                          count == 0 && ops == memory;
    free(row);
    return TRUE;
}

static gboolean
is_code(const PmProcess *process, PmAddr address)
{
    const PmSegment *segment = pm_image_find_segment(process->image, address);
    if (segment != NULL)
        return (segment->flags & PF_X) != 0;
    /* gcore leaves out the file mappings that it does not dump. */
    return pm_process_find_module(process, address) != NULL ||
           pm_image_find_file_mapping(process->image, address) != NULL;
}

/* Whether @high lies above @low in the same mapping; its very end is where a stack may begin. */
static gboolean
is_above(const PmProcess *process, PmAddr low, PmAddr high)
{
    const PmSegment *segment = pm_image_find_segment(process->image, low);
    return high > low && segment != NULL && high - segment->start <= segment->mapped_bytes;
}

/*
 * The alternate stack that the signal frame at @sp stands on: uc_stack of the struct ucontext that
 * the kernel left there (Linux, x86-64: behind uc_flags and uc_link, ss_sp, ss_flags, ss_size).
 */
static gboolean
read_alternate_stack(const PmProcess *process, PmAddr sp, PmRange *ret_stack)
{
    PmRange stack;
    guint64 size_bytes = 0;
    if (pm_image_get_target(process->image)->arch != PM_ARCH_X86_64 ||
        !pm_space_read_word(process->space, sp + 16, &stack.start) ||
        !pm_space_read_word(process->space, sp + 32, &size_bytes) ||
        !pm_addr_add(stack.start, size_bytes, &stack.end) || !pm_range_contains(stack, sp) ||
        !is_above(process, sp, stack.end))
        return FALSE;
    *ret_stack = stack;
    return TRUE;
}

/* Whether @frame can be what @last returns to; then says where @last ends. */
static gboolean
link_frames(const Walk *walk, PmFrame *last, const PmFrame *frame)
{
    const PmProcess *process = walk->unwinder->process;
    PmRange alternate;
    gsize owner = 0;
    if (!is_code(process, pm_frame_get_code(frame)) ||
        pm_frames_find((const PmFrame *)(gpointer)walk->frames->data, walk->frames->len, frame->sp,
                       &owner))
        return FALSE;
    if (walk->exact && read_alternate_stack(process, last->sp, &alternate) &&
        !pm_range_contains(alternate, frame->sp))
        last->end = alternate.end;
    else if (is_above(process, last->sp, frame->sp))
        last->end = frame->sp;
    else
        /* AArch64: a leaf function may have no slots. */
        return walk->exact || (last->activation && frame->sp == last->sp &&
                               walk->unwinder->layout->pc == walk->unwinder->layout->count);
    return TRUE;
}

/*
 * Where call frame information says nothing of a register that the psABI has a callee preserve,
 * libdwfl takes it as it is; but on x86-64 it has rax in its list where rbx should be (elfutils
 * 0.192, backends/x86_64_cfi.c). @last: the registers of the frame before.
 */
static void
correct_preserved(const Walk *walk, const PmFrameRegisters *last, PmFrameRegisters *set)
{
    const guint32 rax = 1u << X86_64_RAX;
    const guint32 rbx = 1u << X86_64_RBX;
    if (pm_image_get_target(walk->unwinder->process->image)->arch != PM_ARCH_X86_64)
        return;
    /* A signal frame saved all of them. */
    if (!walk->rule.is_signal)
        set->known &= ~rax;
    if (walk->rule.keeps_rbx && (last->known & rbx) != 0) {
        set->known |= rbx;
        set->values[X86_64_RBX] = last->values[X86_64_RBX];
    }
}

/* @rule: NULL where there is none. */
static void
add_registers(Walk *walk, Dwfl_Frame *state, const Rule *rule)
{
    PmFrameRegisters set = {.cfa = PM_ADDR_NONE};
    for (guint i = 0; i < walk->unwinder->layout->count; i++) {
        Dwarf_Word value = 0;
        if (dwfl_frame_reg(state, i, &value) != 0)
            continue;
        set.values[i] = value;
        set.known |= 1u << i;
    }
    if (walk->sets->len > 0)
        correct_preserved(walk, &g_array_index(walk->sets, PmFrameRegisters, walk->sets->len - 1),
                          &set);
    if (rule != NULL && rule->cfa_register < REGISTERS_MAX &&
        ((set.known >> rule->cfa_register) & 1) != 0)
        set.cfa = set.values[rule->cfa_register] + rule->cfa_offset;
    g_array_append_val(walk->sets, set);
}

static int
visit(Dwfl_Frame *state, void *data)
{
    Walk *walk = data;
    GArray *frames = walk->frames;
    Dwarf_Addr pc = 0;
    Dwarf_Word sp = 0;
    Rule rule = {.is_signal = FALSE};
    /* Whether pc is exact it is not asked: libdwfl would unwind further to know. */
    if (!dwfl_frame_pc(state, &pc, NULL) ||
        dwfl_frame_reg(state, walk->unwinder->layout->sp, &sp) != 0)
        return DWARF_CB_ABORT;

    PmFrame frame = {.pc = pc, .sp = sp, .end = sp, .activation = walk->exact};
    if (walk->is_return)
        frame.pc++;
    walk->is_return = FALSE;
    if (frames->len > 0 &&
        !link_frames(walk, &g_array_index(frames, PmFrame, frames->len - 1), &frame))
        return DWARF_CB_ABORT;
    const gboolean is_known = find_rule(walk->unwinder, pm_frame_get_code(&frame), &rule);
    frame.activation = frame.activation || rule.is_signal;
    g_array_append_val(frames, frame);
    if (walk->sets != NULL)
        add_registers(walk, state, is_known ? &rule : NULL);
    walk->rule = rule;
    walk->is_complete = rule.is_outermost;
    walk->exact = rule.is_signal;
    return is_known && !rule.is_outermost && frames->len < PM_FRAMES_MAX ? DWARF_CB_OK
                                                                         : DWARF_CB_ABORT;
}

static void
read_registers(Walk *walk, const PmThread *thread)
{
    const Layout *layout = walk->unwinder->layout;
    const guint word_bytes = pm_image_get_target(walk->unwinder->process->image)->word_bytes;
    for (guint i = 0; i < layout->count; i++)
        walk->registers[i] =
            pm_load_word(thread->registers + (gsize)layout->indexes[i] * word_bytes, word_bytes);
    walk->pc = thread->pc;
}

/* The frame of the registers as they are, of code that nothing is known about. */
static void
add_first(Walk *walk, const PmFrame *frame)
{
    const Layout *layout = walk->unwinder->layout;
    PmFrameRegisters set = {.cfa = PM_ADDR_NONE};
    g_array_append_val(walk->frames, *frame);
    if (walk->sets == NULL)
        return;
    for (guint i = 0; i < layout->count; i++) {
        set.values[i] = walk->registers[i];
        set.known |= 1u << i;
    }
    g_array_append_val(walk->sets, set);
}

/*
 * Undoes a call to where no code is. Nothing ran after the call, so that its return address is at
 * sp, and the registers are those of the caller.
 */
static gboolean
undo_call(Walk *walk, const PmThread *thread)
{
    const Layout *layout = walk->unwinder->layout;
    const PmProcess *process = walk->unwinder->process;
    const PmFrame frame = {
        .pc = thread->pc, .sp = thread->sp, .end = thread->sp, .activation = TRUE};
    guint64 address = 0;
    Rule rule;
    add_first(walk, &frame);
    if (layout->pc == layout->count || !pm_space_read_word(process->space, thread->sp, &address) ||
        address == 0 || !is_code(process, address - 1) ||
        !find_rule(walk->unwinder, address - 1, &rule))
        return FALSE;
    walk->pc = address - 1;
    walk->registers[layout->pc] = address - 1;
    walk->registers[layout->sp] += pm_image_get_target(process->image)->word_bytes;
    walk->exact = FALSE;
    walk->is_return = TRUE;
    return TRUE;
}

/* @sets: (nullable): PmFrameRegisters, to be filled. */
static PmFrame *
unwind(const PmProcess *process, const PmThread *thread, GArray *sets, gsize *ret_count,
       gboolean *ret_complete)
{
    PmUnwinder *unwinder = process->unwinder;
    g_autoptr(GArray) frames = g_array_new(FALSE, FALSE, sizeof(PmFrame));
    Walk walk = {.unwinder = unwinder, .exact = TRUE, .frames = frames, .sets = sets};
    *ret_count = 0;
    *ret_complete = FALSE;
    if (thread->registers == NULL)
        return NULL;

    attach(unwinder);
    read_registers(&walk, thread);
    const gboolean has_start = is_code(process, thread->pc) || undo_call(&walk, thread);
    if (has_start && unwinder->attached) {
        unwinder->walk = &walk;
        dwfl_getthread_frames(pm_dwfl_get_handle(unwinder->dwfl), THE_THREAD, visit, &walk);
        unwinder->walk = NULL;
    }
    if (frames->len == 0) {
        const PmFrame first = {
            .pc = thread->pc, .sp = thread->sp, .end = thread->sp, .activation = TRUE};
        add_first(&walk, &first);
    }
    *ret_complete = walk.is_complete;
    return (PmFrame *)g_array_steal(frames, ret_count);
}

PmFrame *
pm_process_unwind(const PmProcess *process, const PmThread *thread, gsize *ret_count,
                  gboolean *ret_complete)
{
    return unwind(process, thread, NULL, ret_count, ret_complete);
}

PmFrame *
pm_process_unwind_registers(const PmProcess *process, const PmThread *thread,
                            PmFrameRegisters **ret_registers, gsize *ret_count,
                            gboolean *ret_complete)
{
    GArray *sets = g_array_new(FALSE, FALSE, sizeof(PmFrameRegisters));
    PmFrame *frames = unwind(process, thread, sets, ret_count, ret_complete);
    *ret_registers = (PmFrameRegisters *)(gpointer)g_array_free(sets, frames == NULL);
    return frames;
}

PmUnwindEnd
pm_process_get_unwind_end(const PmProcess *process, const PmFrame *frames, gsize count,
                          gboolean complete)
{
    PmSpan span;
    Rule rule;
    if (complete)
        return PM_UNWIND_COMPLETE;
    if (count == 0)
        return PM_UNWIND_REGISTERS;
    if (count >= PM_FRAMES_MAX)
        return PM_UNWIND_MOST;
    const PmFrame *last = &frames[count - 1];
    const PmAddr code = pm_frame_get_code(last);
    const PmModule *module = pm_process_find_module(process, code);
    if (!is_code(process, code))
        return PM_UNWIND_NOT_CODE;
    if (module == NULL)
        return pm_image_find_file_mapping(process->image, code) != NULL ? PM_UNWIND_NO_FILE
                                                                        : PM_UNWIND_NO_MODULE;
    if (pm_process_parts_of(process, module)->file == NULL)
        return PM_UNWIND_NO_FILE;
    if (!find_rule(process->unwinder, code, &rule))
        return PM_UNWIND_NO_CFI;
    pm_space_get_span(process->space, last->sp, &span);
    return span.kind == PM_BYTES_DUMPED ? PM_UNWIND_DAMAGED : PM_UNWIND_NO_STACK;
}

gboolean
pm_frames_find(const PmFrame *frames, gsize count, PmAddr stack_address, gsize *ret_index)
{
    for (gsize i = 0; i < count; i++)
        if (stack_address >= frames[i].sp && stack_address < frames[i].end) {
            *ret_index = i;
            return TRUE;
        }
    return FALSE;
}
