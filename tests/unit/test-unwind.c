/*
 * heapwalk/process/unwind.h on real cores of known chains of calls, as they are and damaged.
 */
#include "process/unwind.h"

#include <elf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "chains.h"
#include "core-builder.h"

static char *folder;
static char *chain_core;
static char *nowhere_core;
static const char *skip_reason;

static void
make_cores(void)
{
    folder = g_dir_make_tmp("postmalloc-XXXXXX", NULL);
    g_assert_nonnull(folder);
    chains_prepare();
#ifndef __x86_64__
    skip_reason = "what is expected here is written for x86-64";
#else
    nowhere_core = chains_make_core(folder, "nowhere", TRUE, &skip_reason);
    chain_core = chains_make_core(folder, "chain", FALSE, &skip_reason);
#endif
}

static void
remove_core(char *path)
{
    if (path != NULL)
        g_unlink(path);
    g_free(path);
}

typedef struct {
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
    const PmThread *threads;
    gsize thread_count;
} Opened;

static gboolean
open_core(Opened *opened, const char *path)
{
    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return FALSE;
    }
    g_autoptr(GError) error = NULL;
    opened->diagnostics = pm_diagnostics_new();
    opened->image = pm_image_open(path, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->process = pm_process_open(opened->image, NULL, opened->diagnostics, &error);
    g_assert_no_error(error);
    opened->threads = pm_process_get_threads(opened->process, &opened->thread_count);
    return TRUE;
}

static void
close_core(Opened *opened)
{
    pm_process_free(opened->process);
    pm_image_free(opened->image);
    pm_diagnostics_free(opened->diagnostics);
}

/* Whether @frame is of @name, or of a part that the compiler split off it: "name.cold". */
static gboolean
is_frame_of(const Opened *opened, const PmFrame *frame, const char *name)
{
    PmSymbol symbol;
    guint64 offset = 0;
    const gsize length = strlen(name);
    return pm_process_symbolize(opened->process, pm_frame_get_code(frame), &symbol, &offset) &&
           strncmp(symbol.name, name, length) == 0 &&
           (symbol.name[length] == '\0' || symbol.name[length] == '.');
}

/* The first frame of @name at or after @from, or @count. */
static gsize
find_frame(const Opened *opened, const PmFrame *frames, gsize count, gsize from, const char *name)
{
    while (from < count && !is_frame_of(opened, &frames[from], name))
        from++;
    return from;
}

/* That the functions @first to @last are there one after the other, and own their variables.
 * Returns: the index of @last. */
static gsize
assert_chain(const Opened *opened, const PmFrame *frames, gsize count, ChainFunction first,
             ChainFunction last)
{
    gsize at = find_frame(opened, frames, count, 0, chain_names[first]);
    for (guint i = first; i <= last; i++) {
        gsize owner = 0;
        at = find_frame(opened, frames, count, at, chain_names[i]);
        g_assert_cmpuint(at, <, count);
        g_assert_true(pm_frames_find(frames, count, chain_facts->slots[i], &owner));
        g_assert_cmpuint(owner, ==, at);
    }
    return at;
}

/* What holds of all frames, however damaged the stack is. */
static void
assert_frames(const Opened *opened, const PmThread *thread, const PmFrame *frames, gsize count)
{
    g_assert_cmpuint(count, >, 0);
    g_assert_cmpuint(count, <=, PM_FRAMES_MAX);
    g_assert_cmphex(frames[0].pc, ==, thread->pc);
    g_assert_cmphex(frames[0].sp, ==, thread->sp);
    g_assert_true(frames[0].activation);
    g_assert_cmphex(frames[count - 1].end, ==, frames[count - 1].sp);
    for (gsize i = 0; i < count; i++) {
        gsize owner = count;
        const PmSegment *code = pm_image_find_segment(opened->image, pm_frame_get_code(&frames[i]));
        g_assert_true(i == 0 || (code != NULL && (code->flags & PF_X) != 0));
        g_assert_cmphex(frames[i].end, >=, frames[i].sp);
        if (frames[i].end == frames[i].sp)
            continue;
        g_assert_true(pm_frames_find(frames, count, frames[i].sp, &owner));
        g_assert_cmpuint(owner, ==, i);
        g_assert_true(pm_frames_find(frames, count, frames[i].end - 1, &owner));
        g_assert_cmpuint(owner, ==, i);
    }
}

/* The thread that has a frame of @name. Returns: (transfer full). */
static PmFrame *
unwind_thread_of(const Opened *opened, const char *name, gsize *ret_count, gboolean *ret_complete)
{
    for (gsize i = 0; i < opened->thread_count; i++) {
        g_autofree PmFrame *frames =
            pm_process_unwind(opened->process, &opened->threads[i], ret_count, ret_complete);
        assert_frames(opened, &opened->threads[i], frames, *ret_count);
        if (find_frame(opened, frames, *ret_count, 0, name) < *ret_count)
            return g_steal_pointer(&frames);
    }
    g_error("no thread has a frame of %s", name);
}

/* The main thread: from a signal handler on an alternate stack to _start. */
static void
test_signal(void)
{
    Opened opened;
    gsize count = 0, owner = 0;
    gboolean complete = FALSE;
    if (!open_core(&opened, chain_core))
        return;
    g_autofree PmFrame *frames =
        pm_process_unwind(opened.process, &opened.threads[0], &count, &complete);
    assert_frames(&opened, &opened.threads[0], frames, count);
    g_assert_true(complete);
    gsize at = assert_chain(&opened, frames, count, CHAIN_HANDLED_INNER, CHAIN_RUN_CHILD);
    at = find_frame(&opened, frames, count, at, "main");
    g_assert_cmpuint(at, <, count);
    g_assert_true(is_frame_of(&opened, &frames[count - 1], "_start"));

    /* What the kernel saved lies between the handler's frame and the end of the stack. */
    const gsize handler = find_frame(&opened, frames, count, 0, "on_signal");
    const PmFrame *signal_frame = &frames[handler + 1];
    g_assert_false(frames[handler].activation);
    g_assert_true(signal_frame->activation);
    g_assert_true(signal_frame[1].activation);
    g_assert_false(signal_frame[2].activation);
    g_assert_cmphex(signal_frame->sp, >, chain_facts->alternate);
    g_assert_cmphex(signal_frame->end, ==, chain_facts->alternate + CHAIN_ALTERNATE_BYTES);
    g_assert_cmphex(signal_frame[1].sp, >, signal_frame->end);
    g_assert_false(pm_frames_find(frames, count, signal_frame->end, &owner));
    g_assert_false(pm_frames_find(frames, count, frames[0].sp - 1, &owner));
    g_assert_false(pm_frames_find(frames, count, frames[count - 1].sp, &owner));
    g_assert_false(pm_frames_find(NULL, 0, frames[0].sp, &owner));
    close_core(&opened);
}

static void
test_threads(void)
{
    Opened opened;
    gsize count = 0;
    gboolean complete = FALSE;
    if (!open_core(&opened, chain_core))
        return;
    g_autofree PmFrame *frames = unwind_thread_of(&opened, "thread_inner", &count, &complete);
    g_assert_true(complete);
    assert_chain(&opened, frames, count, CHAIN_THREAD_INNER, CHAIN_RUN_THREAD);

    g_autofree PmFrame *deep = unwind_thread_of(&opened, "recurse", &count, &complete);
    g_assert_false(complete);
    g_assert_cmpuint(count, ==, PM_FRAMES_MAX);
    for (gsize i = find_frame(&opened, deep, count, 0, "recurse"); i < count; i++)
        g_assert_true(is_frame_of(&opened, &deep[i], "recurse"));

    const PmThread recovered = {.recovered = TRUE, .pc = PM_ADDR_NONE, .sp = PM_ADDR_NONE};
    g_assert_null(pm_process_unwind(opened.process, &recovered, &count, &complete));
    g_assert_cmpuint(count, ==, 0);
    g_assert_false(complete);
    close_core(&opened);
}

static void
test_nowhere(void)
{
    Opened opened;
    gsize count = 0, owner = 0;
    guint64 return_address = 0;
    gboolean complete = FALSE;
    if (!open_core(&opened, nowhere_core))
        return;
    g_autofree PmFrame *frames =
        pm_process_unwind(opened.process, &opened.threads[0], &count, &complete);
    assert_frames(&opened, &opened.threads[0], frames, count);
    g_assert_true(complete);
    g_assert_cmphex(frames[0].pc, ==, 0);
    g_assert_true(is_frame_of(&opened, &frames[1], "call_nowhere"));
    g_assert_false(frames[1].activation);
    g_assert_true(
        pm_space_read_word(pm_process_get_space(opened.process), frames[0].sp, &return_address));
    g_assert_cmphex(frames[1].pc, ==, return_address);
    g_assert_true(pm_frames_find(frames, count, chain_facts->slots[CHAIN_CALL_NOWHERE], &owner));
    g_assert_cmpuint(owner, ==, 1);
    g_assert_cmpuint(find_frame(&opened, frames, count, 2, "run_child"), <, count);
    close_core(&opened);
}

static char *
copy_core(gsize *ret_count)
{
    g_autofree char *bytes = NULL;
    char *path = g_build_filename(folder, "copy", NULL);
    g_assert_true(g_file_get_contents(chain_core, &bytes, ret_count, NULL));
    g_assert_true(g_file_set_contents(path, bytes, (gssize)*ret_count, NULL));
    return path;
}

/* Without the program's file its frames have no call frame information. */
static void
test_missing_file(void)
{
    Opened opened;
    gsize count = 0, bytes_count = 0;
    gboolean complete = TRUE;
    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return;
    }
    g_autofree char *copy = copy_core(&bytes_count);
    g_autofree char *bytes = NULL;
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_assert_true(g_file_get_contents(copy, &bytes, &bytes_count, NULL));
    const char *at = bytes;
    while ((at = memmem(at, bytes_count - (gsize)(at - bytes), program, strlen(program))) != NULL) {
        core_file_patch(copy, (guint64)(at - bytes), "/-", 2);
        at += strlen(program);
    }
    g_assert_true(open_core(&opened, copy));
    for (gsize i = 0; i < opened.thread_count; i++) {
        g_autofree PmFrame *frames =
            pm_process_unwind(opened.process, &opened.threads[i], &count, &complete);
        assert_frames(&opened, &opened.threads[i], frames, count);
        g_assert_false(complete);
        for (gsize j = 0; j + 1 < count; j++)
            g_assert_cmpint(pm_process_find_module(opened.process, frames[j].pc)->elf, ==,
                            PM_ELF_FOUND);
        const PmModule *last = pm_process_find_module(opened.process, frames[count - 1].pc);
        g_assert_nonnull(last);
        g_assert_cmpint(last->elf, ==, PM_ELF_MISSING);
    }
    close_core(&opened);
    g_unlink(copy);
}

/* Where the bytes of @address are in the core. */
static guint64
get_file_offset(const Opened *opened, PmAddr address)
{
    const PmSegment *segment = pm_image_find_segment(opened->image, address);
    g_assert_nonnull(segment);
    return segment->file_offset + (address - segment->start);
}

/* A stack that was cut off with the end of the core. */
static void
test_cut(void)
{
    Opened opened;
    gsize count = 0;
    gboolean complete = TRUE;
    if (!open_core(&opened, chain_core))
        return;
    const guint64 offset = get_file_offset(&opened, opened.threads[0].sp);
    close_core(&opened);
    g_autofree char *copy = copy_core(&count);
    g_assert_cmpint(truncate(copy, (off_t)offset), ==, 0);
    g_assert_true(open_core(&opened, copy));
    g_autofree PmFrame *frames =
        pm_process_unwind(opened.process, &opened.threads[0], &count, &complete);
    assert_frames(&opened, &opened.threads[0], frames, count);
    g_assert_false(complete);
    close_core(&opened);
    g_unlink(copy);
}

/* Linux, x86-64: where struct ucontext has these registers. (asm/ucontext.h, asm/sigcontext.h) */
#define UCONTEXT_RBP 120
#define UCONTEXT_RSP 160
#define UCONTEXT_RIP 168

/* Replaces the words [@start, @end) of the stack that are @from. */
static void
replace_words(const Opened *sound, const char *path, PmRange where, guint64 from, guint64 to)
{
    for (PmAddr at = where.start; at < where.end; at += 8) {
        guint64 word = 0;
        g_assert_true(pm_space_read_word(pm_process_get_space(sound->process), at, &word));
        if (word == from)
            core_file_patch(path, get_file_offset(sound, at), &to, sizeof to);
    }
}

/* That the main thread of @path ends at @frame, after @count frames. */
static void
assert_ends(const char *path, const PmFrame *frame, gsize count)
{
    Opened opened;
    gsize found = 0;
    gboolean complete = TRUE;
    g_assert_true(open_core(&opened, path));
    g_autofree PmFrame *frames =
        pm_process_unwind(opened.process, &opened.threads[0], &found, &complete);
    assert_frames(&opened, &opened.threads[0], frames, found);
    g_assert_false(complete);
    g_assert_cmpuint(found, ==, count);
    g_assert_cmphex(frames[found - 1].pc, ==, frame->pc);
    close_core(&opened);
}

/* Stacks that lead back to where they were. */
static void
test_loops(void)
{
    Opened sound;
    gsize count = 0;
    gboolean complete = FALSE;
    if (!open_core(&sound, chain_core))
        return;
    g_autofree PmFrame *frames =
        pm_process_unwind(sound.process, &sound.threads[0], &count, &complete);
    const gsize handler = find_frame(&sound, frames, count, 0, "on_signal");
    const gsize middle = find_frame(&sound, frames, count, handler, "chain_middle");
    g_assert_cmpuint(middle + 1, <, count);
    const PmAddr context = frames[handler + 1].sp;

    /* A frame pointer that makes the function its own caller. */
    g_autofree char *first = copy_core(&count);
    const guint64 pointer = frames[middle + 1].sp - 16, looped = frames[middle].sp - 16;
    const PmRange saved = {frames[handler + 2].sp, frames[middle + 1].sp};
    replace_words(&sound, first, saved, pointer, looped);
    core_file_patch(first, get_file_offset(&sound, context + UCONTEXT_RBP), &looped, 8);
    assert_ends(first, &frames[middle], middle + 1);

    /* A signal that interrupted its own handler. */
    g_autofree char *second = copy_core(&count);
    core_file_patch(second, get_file_offset(&sound, context + UCONTEXT_RSP), &frames[handler].sp,
                    8);
    core_file_patch(second, get_file_offset(&sound, context + UCONTEXT_RIP), &frames[handler].pc,
                    8);
    assert_ends(second, &frames[handler + 1], handler + 2);
    close_core(&sound);
    g_unlink(second);
}

#define DAMAGE_WORDS  4096
#define DAMAGE_ROUNDS 300

/* @frames: of the sound core. @bytes: its file. */
typedef struct {
    guint64 words[DAMAGE_WORDS];
    const PmFrame *frames;
    gsize frame_count;
    const char *bytes;
    gsize bytes_count;
} Damage;

/* Words that may lead an unwinder astray: zero, anything, addresses of code and of the stack, one
 * return address over and over, and all of these. */
static void
make_damage(Damage *damage, guint kind)
{
    for (gsize i = 0; i < DAMAGE_WORDS; i++) {
        const guint64 random = (guint32)g_test_rand_int();
        const PmFrame *frame = &damage->frames[random % damage->frame_count];
        const guint64 words[] = {
            0,
            random | (guint64)(guint32)g_test_rand_int() << 32,
            frame->pc,
            frame->sp + random / 256 % 64 * 8,
            damage->frames[damage->frame_count / 2].pc,
        };
        const guint64 any = (random >> 16) % G_N_ELEMENTS(words);
        damage->words[i] = words[kind < G_N_ELEMENTS(words) ? kind : any];
    }
}

/* Overwrites the live stack of @thread in the core at @path, and its registers too, or with what
 * they were. */
static void
spoil_thread(const Opened *sound, const PmThread *thread, const char *path, const Damage *damage,
             gboolean spoils_registers)
{
    const gsize live_bytes = thread->stack.end - thread->sp;
    const char *registers =
        memmem(damage->bytes, damage->bytes_count, thread->registers, thread->registers_bytes);
    g_assert_nonnull(registers);
    core_file_patch(path, get_file_offset(sound, thread->sp), damage->words,
                    MIN(live_bytes, sizeof damage->words));
    core_file_patch(path, (guint64)(registers - damage->bytes),
                    spoils_registers ? (const char *)damage->words : registers,
                    thread->registers_bytes);
}

static void
assert_damaged(const char *path, gboolean can_be_complete)
{
    Opened opened;
    g_assert_true(open_core(&opened, path));
    for (gsize i = 0; i < opened.thread_count; i++) {
        gsize count = 0;
        gboolean complete = FALSE;
        g_autofree PmFrame *frames =
            pm_process_unwind(opened.process, &opened.threads[i], &count, &complete);
        assert_frames(&opened, &opened.threads[i], frames, count);
        g_assert_true(can_be_complete || !complete);
    }
    close_core(&opened);
}

static void
test_damaged(void)
{
    Opened sound;
    gboolean complete = FALSE;
    if (!open_core(&sound, chain_core))
        return;
    g_autofree Damage *damage = g_new0(Damage, 1);
    g_autofree PmFrame *frames =
        pm_process_unwind(sound.process, &sound.threads[0], &damage->frame_count, &complete);
    g_autofree char *copy = copy_core(&damage->bytes_count);
    g_autofree char *bytes = NULL;
    g_assert_true(g_file_get_contents(copy, &bytes, &damage->bytes_count, NULL));
    damage->frames = frames;
    damage->bytes = bytes;

    for (guint round = 0; round < DAMAGE_ROUNDS; round++) {
        const guint kind = round % 6;
        const gboolean spoils_registers = round % 4 == 3;
        make_damage(damage, kind);
        for (gsize i = 0; i < sound.thread_count; i++)
            spoil_thread(&sound, &sound.threads[i], copy, damage, spoils_registers);
        /* Of zeros and random words nothing leads to where a thread began. */
        assert_damaged(copy, spoils_registers || kind > 1);
    }
    close_core(&sound);
    g_unlink(copy);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make_cores();
    g_test_add_func("/unwind/signal", test_signal);
    g_test_add_func("/unwind/threads", test_threads);
    g_test_add_func("/unwind/nowhere", test_nowhere);
    g_test_add_func("/unwind/missing-file", test_missing_file);
    g_test_add_func("/unwind/cut", test_cut);
    g_test_add_func("/unwind/loops", test_loops);
    g_test_add_func("/unwind/damaged", test_damaged);
    const int status = g_test_run();
    remove_core(chain_core);
    remove_core(nowhere_core);
    g_rmdir(folder);
    return status;
}
