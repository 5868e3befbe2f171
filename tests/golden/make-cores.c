/*
 * Makes the inputs of the golden tests in the folder that is its argument: always the same bytes.
 *
 * heap.core: an x86-64 process with one glibc 2.36 heap: main_arena in libc's data, 512 KiB in
 * [heap]. cut.core, snapshot.core: the same, cut off in the middle of the heap and before the
 * notes. leaky.core: the same with references between chunks. no-heap.core: the same without
 * main_arena and heap. s390.core, ppc64.core, server, empty.core, text.core, core.zst: what is
 * refused.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "core-builder.h"

#define PAGE  G_GUINT64_CONSTANT(4096)
#define EXE   G_GUINT64_CONSTANT(0x555555554000)
#define HEAP  G_GUINT64_CONSTANT(0x555555559000)
#define LIBC  G_GUINT64_CONSTANT(0x7ffff7dd0000)
#define STACK G_GUINT64_CONSTANT(0x7ffffffde000)

#define HEAP_BYTES   (128 * PAGE)
#define SMALL_CHUNKS 5000
#define PREV_INUSE   1

/* struct malloc_state of glibc 2.27 to 2.41 on 64 bit, in words. */
enum {
    STATE_FASTBINS = 2,
    STATE_TOP = 12,
    STATE_BINS = 14,
    STATE_BIN_COUNT = 127,
    STATE_NEXT = 270,
    STATE_ATTACHED = 272,
    STATE_SYSTEM_MEM = 273,
    STATE_MAX_SYSTEM_MEM = 274,
};
/* Where main_arena is in libc's data. */
#define ARENA (LIBC + 0x40)

static guint64 heap[128 * 512];
static guint64 data[2 * 512];
static guint64 stack[512];
static guint64 globals[512];

static guint64 *
heap_word(guint64 address)
{
    return &heap[(address - HEAP) / 8];
}

static void
set_heap_word(guint64 address, guint64 value)
{
    *heap_word(address) = GUINT64_TO_LE(value);
}

/* Writes a chunk's header and fills what malloc gave with @fill. Returns: the next chunk's header.
 */
static guint64
put_chunk(guint64 header, guint64 bytes, guint8 fill)
{
    set_heap_word(header + 8, bytes | PREV_INUSE);
    memset(heap_word(header + 16), fill, bytes - 8);
    return header + bytes;
}

/* Puts the chunk at @header, in use so far, into the bin at word @bin of main_arena as its only
 * one. */
static void
free_into_bin(guint64 header, guint64 *arena, gsize bin)
{
    const guint64 bytes = GUINT64_FROM_LE(*heap_word(header + 8)) & ~G_GUINT64_CONSTANT(7);
    const guint64 as_chunk = ARENA + 8 * bin - 16;
    arena[bin] = GUINT64_TO_LE(header);
    arena[bin + 1] = GUINT64_TO_LE(header);
    set_heap_word(header + 16, as_chunk);
    set_heap_word(header + 24, as_chunk);
    set_heap_word(header + bytes, bytes); /* prev_size */
    *heap_word(header + bytes + 8) &= GUINT64_TO_LE(~(guint64)PREV_INUSE);
}

static void
fill_heap(void)
{
    guint64 *arena = &data[(ARENA - LIBC) / 8];
    for (gsize i = 0; i < STATE_BIN_COUNT; i++) {
        const gsize bin = STATE_BINS + 2 * i;
        arena[bin] = arena[bin + 1] = GUINT64_TO_LE(ARENA + 8 * bin - 16);
    }
    guint64 at = HEAP;
    for (guint i = 0; i < SMALL_CHUNKS; i++)
        at = put_chunk(at, 32, i % 256);
    const guint64 large = at;
    at = put_chunk(at, 0x2010, 0x41);
    at = put_chunk(at, 0x410, 0x42);
    const guint64 small = at;
    at = put_chunk(at, 0x90, 0x43);
    at = put_chunk(at, 0x110, 0x44);
    const guint64 top = at;
    free_into_bin(large, arena, STATE_BINS);                       /* unsorted */
    free_into_bin(small, arena, STATE_BINS + 2 * (0x90 / 16 - 1)); /* smallbin 9 */
    set_heap_word(HEAP + 16,
                  HEAP >> 12); /* the first chunk in its fastbin, alone: safe-linking of 0 */
    arena[STATE_FASTBINS] = GUINT64_TO_LE(HEAP);

    set_heap_word(top + 8, (HEAP + HEAP_BYTES - top) | PREV_INUSE);
    memset(heap_word(top + 16), 0, HEAP + HEAP_BYTES - top - 16);
    arena[STATE_TOP] = GUINT64_TO_LE(top);
    arena[STATE_NEXT] = GUINT64_TO_LE(ARENA);
    arena[STATE_ATTACHED] = GUINT64_TO_LE(1);
    arena[STATE_SYSTEM_MEM] = arena[STATE_MAX_SYSTEM_MEM] = GUINT64_TO_LE(HEAP_BYTES);
}

static void
add_segment(CoreBuilder *builder, guint64 start, const void *bytes, gsize count)
{
    core_builder_add_segment(builder, &(CoreSegment){.start = start,
                                                     .mapped_bytes = count,
                                                     .dumped_bytes = count,
                                                     .flags = PF_R | PF_W,
                                                     .bytes = bytes,
                                                     .bytes_count = count});
}

static CoreBuilder *
new_core(guint16 machine, gboolean with_heap)
{
    static const guint8 zeros[2 * 4096];
    static const CoreFileMapping mappings[] = {
        {EXE, EXE + 4 * PAGE, 0, "/nonexistent/bin/server"},
        {EXE + 4 * PAGE, EXE + 5 * PAGE, 4, "/nonexistent/bin/server"},
        {LIBC - 4 * PAGE, LIBC, 0, "/nonexistent/lib/libc.so.6"},
        {LIBC, LIBC + 2 * PAGE, 4, "/nonexistent/lib/libc.so.6"},
    };
    static const guint64 auxv[][2] = {{AT_PAGESZ, PAGE}, {AT_SECURE, 0}, {AT_NULL, 0}};
    CoreBuilder *builder = core_builder_new(machine);
    core_builder_add_segment(
        builder, &(CoreSegment){.start = EXE, .mapped_bytes = 4 * PAGE, .flags = PF_R | PF_X});
    add_segment(builder, EXE + 4 * PAGE, globals, PAGE);
    if (with_heap)
        add_segment(builder, HEAP, heap, HEAP_BYTES);
    add_segment(builder, LIBC, with_heap ? (const void *)data : zeros, 2 * PAGE);
    add_segment(builder, STACK, stack, PAGE);
    core_builder_add_prstatus(
        builder, &(CoreThread){.tid = 4711, .signal = 6, .pc = EXE + 0x1234, .sp = STACK + 0x800});
    core_builder_add_prpsinfo(builder, 4711, "server", "server --port 8080");
    core_builder_add_siginfo(builder, 6, -6, 0);
    core_builder_add_auxv(builder, auxv, G_N_ELEMENTS(auxv));
    core_builder_add_file_mappings(builder, mappings, G_N_ELEMENTS(mappings));
    return builder;
}

/* The user pointer of the small chunk @index; 0 is free. */
static guint64
small(guint64 index)
{
    return HEAP + 32 * index + 16;
}

/*
 * A chain whose second link points into the middle of a chunk; a chunk that only the live stack
 * holds, and one that only the dead stack does; a lost ring with a tail; a small chunk that two
 * larger ones lead to. Nothing holds the rest.
 */
static void
fill_references(void)
{
    const guint64 large = small(SMALL_CHUNKS) + 0x2010; /* the one of 0x410 bytes */
    const guint64 other = large + 0x410 + 0x90;         /* the one of 0x110 bytes */
    globals[8] = GUINT64_TO_LE(small(1));
    set_heap_word(small(1), small(2) + 8);
    set_heap_word(small(2) + 8, small(3));
    stack[0x900 / 8] = GUINT64_TO_LE(small(4));
    stack[0x100 / 8] = GUINT64_TO_LE(small(5));
    set_heap_word(small(6), small(7));
    set_heap_word(small(7), small(6));
    set_heap_word(small(7) + 8, small(8));
    set_heap_word(large + 0x20, small(9));
    set_heap_word(other, small(9));
}

static void
write_bytes(const char *name, const void *bytes, gsize count)
{
    g_autoptr(GError) error = NULL;
    if (!g_file_set_contents(name, bytes, (gssize)count, &error))
        g_error("%s", error->message);
}

int
main(int argc, char **argv)
{
    if (argc != 2 || g_chdir(argv[1]) != 0)
        g_error("usage: make-cores FOLDER");
    memset(stack, 0x11, sizeof stack);
    memset(globals, 0x11, sizeof globals);
    fill_heap();

    g_autoptr(CoreBuilder) full = new_core(EM_X86_64, TRUE);
    core_builder_write(full, "heap.core");
    core_builder_write(full, "cut.core");
    core_file_truncate("cut.core", core_builder_get_segment_offset(full, 2) + HEAP_BYTES / 8);
    g_autoptr(CoreBuilder) snapshot = new_core(EM_X86_64, TRUE);
    core_builder_set_gcore_layout(snapshot);
    core_builder_write(snapshot, "snapshot.core");
    core_file_truncate("snapshot.core", core_builder_get_notes_offset(snapshot) + 10);
    g_autoptr(CoreBuilder) bare = new_core(EM_X86_64, FALSE);
    core_builder_write(bare, "no-heap.core");
    g_autoptr(CoreBuilder) s390 = new_core(EM_S390, FALSE);
    core_builder_set_ident(s390, ELFDATA2MSB, ET_CORE);
    core_builder_write(s390, "s390.core");
    g_autoptr(CoreBuilder) ppc64 = new_core(EM_PPC64, FALSE);
    core_builder_write(ppc64, "ppc64.core");
    g_autoptr(CoreBuilder) executable = new_core(EM_X86_64, FALSE);
    core_builder_set_ident(executable, ELFDATA2LSB, ET_EXEC);
    core_builder_write(executable, "server");
    fill_references();
    g_autoptr(CoreBuilder) leaky = new_core(EM_X86_64, TRUE);
    core_builder_write(leaky, "leaky.core");
    write_bytes("empty.core", "", 0);
    write_bytes("text.core", "a log file\n", 11);
    write_bytes("core.zst", "\x28\xb5\x2f\xfd\0\0\0\0", 8);
    return 0;
}
