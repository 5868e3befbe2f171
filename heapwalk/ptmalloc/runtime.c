/*
 * glibc's own chunks (INTERFACE.md, "runtime"): DTVs, dynamic TLS blocks, link maps, the buffers of
 * stdin, stdout and stderr. The tcache structs are noted where they are found.
 */
#include "process/stacks.h"
#include "ptmalloc/ptmalloc-private.h"

/* stdio: struct _IO_FILE (libio/bits/types/struct_FILE.h), unchanged since 2.1. All offsets by word
 * size. */
typedef struct {
    guint buf_base;
    guint fileno;
    guint flags2;
    guint wide_data;
    guint wide_buf_base;
    guint file_bytes;
} FileLayout;

static const FileLayout file_layout_64 = {0x38, 0x70, 0x74, 0xa0, 0x30, 0xd8};
static const FileLayout file_layout_32 = {0x1c, 0x38, 0x3c, 0x58, 0x18, 0x94};

/* How far from the start of a static program's heap its start-up may have put the vdso's link map.
 */
#define STATIC_CHUNKS_MAX 256

#define IO_MAGIC            0xfbad0000u
#define IO_MAGIC_MASK       0xffff0000u
#define IO_USER_BUF         1u /* setvbuf gave the buffer: it is the program's */
#define IO_FLAGS2_USER_WBUF 8u

void
pm_ptmalloc_add_runtime(PmPtmalloc *ptmalloc, PmAddr user, PmRuntimeKind kind, char *what)
{
    PmChunk chunk;
    if (pm_heap_find_chunk(ptmalloc->heap, user, &chunk, NULL) && chunk.address == user &&
        chunk.state == PM_CHUNK_USED) {
        const PmRuntimeChunk runtime = {.address = user, .kind = kind, .what = what};
        g_array_append_val(ptmalloc->runtime, runtime);
    } else {
        g_free(what);
    }
}

static char *
describe_thread(const char *what, const PmTcb *tcb)
{
    if (tcb->tid == 0)
        return g_strdup_printf("%s of a thread that ended", what);
    return g_strdup_printf("%s of thread %u", what, tcb->tid);
}

/* A thread's DTV and the TLS blocks that it holds outside the static ones. (elf/dl-tls.c) */
static void
add_blocks(PmPtmalloc *ptmalloc, const PmTcb *tcb)
{
    const guint64 slot_bytes = 2 * ptmalloc->word_bytes;
    guint64 slots = 0;
    if (tcb->dtv == PM_ADDR_NONE || tcb->dtv < slot_bytes ||
        !pm_read(ptmalloc, tcb->dtv - slot_bytes, &slots))
        return;
    pm_ptmalloc_add_runtime(ptmalloc, tcb->dtv - slot_bytes, PM_RUNTIME_DTV,
                            describe_thread("DTV", tcb));
    for (guint64 i = 1; i <= MIN(slots, 65536); i++) {
        guint64 value = 0, to_free = 0;
        if (!pm_read(ptmalloc, tcb->dtv + i * slot_bytes, &value) ||
            !pm_read(ptmalloc, tcb->dtv + i * slot_bytes + ptmalloc->word_bytes, &to_free))
            return;
        /* 2.25 and later keep the pointer to free beside the aligned one; before, they were the
         * same. */
        pm_ptmalloc_add_runtime(ptmalloc, to_free != 0 ? to_free : value, PM_RUNTIME_TLS_BLOCK,
                                describe_thread("dynamic TLS block", tcb));
    }
}

/* glibc frees what a thread leaves behind only when it takes the stack for a new one. */
static void
add_dtv(PmPtmalloc *ptmalloc, const PmTcb *tcb)
{
    const guint before = ptmalloc->runtime->len;
    add_blocks(ptmalloc, tcb);
    for (guint i = before; i < ptmalloc->runtime->len; i++)
        g_array_index(ptmalloc->runtime, PmRuntimeChunk, i).dead = tcb->spent;
}

static void
add_link_maps(PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    const PmModule *modules = pm_process_get_modules(ptmalloc->process, &count);
    for (gsize i = 0; i < count; i++)
        if (modules[i].link_map != PM_ADDR_NONE)
            pm_ptmalloc_add_runtime(ptmalloc, modules[i].link_map, PM_RUNTIME_LINK_MAP,
                                    g_strdup_printf("link map of %s", modules[i].path));
}

/*
 * A static program has no list of link maps to be found, but it makes one link map in its heap,
 * early: the vdso's. It begins with the vdso's address and holds its own as l_real, its sixth word.
 * (elf/setup-vdso.h, include/link.h)
 */
static void
add_static_link_map(PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    PmAddr vdso = PM_ADDR_NONE;
    const PmModule *modules = pm_process_get_modules(ptmalloc->process, &count);
    for (gsize i = 0; i < count; i++) {
        if (modules[i].link_map != PM_ADDR_NONE)
            return;
        if (modules[i].is_vdso)
            vdso = modules[i].bias;
    }

    PmHeapIter iter;
    PmChunk chunk;
    pm_heap_iter_init(&iter, ptmalloc->heap, 0);
    for (guint i = 0; i < STATIC_CHUNKS_MAX && pm_heap_iter_next(&iter, &chunk); i++) {
        guint64 address = 0, real = 0;
        if (pm_read(ptmalloc, chunk.address, &address) && address == vdso &&
            pm_read(ptmalloc, chunk.address + 5 * ptmalloc->word_bytes, &real) &&
            real == chunk.address)
            pm_ptmalloc_add_runtime(ptmalloc, chunk.address, PM_RUNTIME_LINK_MAP,
                                    g_strdup("link map of [vdso]"));
    }
}

/* The buffers of the FILE at @file, if it is stdin, stdout or stderr. */
static void
add_stream(PmPtmalloc *ptmalloc, PmAddr file, guint32 flags)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    const FileLayout *layout = ptmalloc->word_bytes == 8 ? &file_layout_64 : &file_layout_32;
    guint32 fileno = 0, flags2 = 0;
    guint64 buffer = 0, wide_data = 0;

    if (!pm_space_read_u32(ptmalloc->space, file + layout->fileno, &fileno) ||
        fileno >= G_N_ELEMENTS(names) ||
        !pm_space_read_u32(ptmalloc->space, file + layout->flags2, &flags2) ||
        !pm_read(ptmalloc, file + layout->buf_base, &buffer) ||
        !pm_read(ptmalloc, file + layout->wide_data, &wide_data))
        return;
    if (buffer != 0 && !(flags & IO_USER_BUF))
        pm_ptmalloc_add_runtime(ptmalloc, buffer, PM_RUNTIME_STDIO_BUFFER,
                                g_strdup_printf("buffer of %s", names[fileno]));
    if (wide_data != 0 && !(flags2 & IO_FLAGS2_USER_WBUF) &&
        pm_read(ptmalloc, wide_data + layout->wide_buf_base, &buffer) && buffer != 0)
        pm_ptmalloc_add_runtime(ptmalloc, buffer, PM_RUNTIME_STDIO_BUFFER,
                                g_strdup_printf("wide buffer of %s", names[fileno]));
}

/* The three standard streams are static data of libc (or of the static program): found by their
 * magic, without symbols. */
static void
add_streams(PmPtmalloc *ptmalloc)
{
    const PmModule *libc = pm_process_get_libc(ptmalloc->process);
    if (libc == NULL)
        libc = ptmalloc->glibc.module;
    for (gsize i = 0; libc != NULL && i < libc->data_count; i++) {
        const PmRange data = libc->data[i];
        for (PmAddr at = pm_align_up(data.start, ptmalloc->word_bytes); at < data.end;
             at += ptmalloc->word_bytes) {
            guint32 flags = 0;
            if (!pm_space_read_u32(ptmalloc->space, at, &flags)) {
                /* The module's extent is what a hostile core says: go on behind the whole run. */
                PmSpan span;
                pm_space_get_span(ptmalloc->space, at, &span);
                if (span.length_bytes >= data.end - at)
                    break;
                at = pm_align_down(at + span.length_bytes - 1, ptmalloc->word_bytes);
                continue;
            }
            if ((flags & IO_MAGIC_MASK) == IO_MAGIC)
                add_stream(ptmalloc, at, flags);
        }
    }
}

static gint
compare_runtime(gconstpointer a, gconstpointer b)
{
    const PmRuntimeChunk *left = a;
    const PmRuntimeChunk *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

/* Sorts what was noted and drops what was noted twice. */
static void
sort_runtime(GArray *runtime)
{
    g_array_sort(runtime, compare_runtime);
    /* From behind: removing an element frees it, and moves those after it. */
    for (guint i = runtime->len; i-- > 1;)
        if (g_array_index(runtime, PmRuntimeChunk, i).address ==
            g_array_index(runtime, PmRuntimeChunk, i - 1).address)
            g_array_remove_index(runtime, i);
}

/* Makes the noted chunks runtime in the index and in the counts. */
static void
apply_runtime(PmPtmalloc *ptmalloc)
{
    const GArray *runtime = ptmalloc->runtime;
    g_autofree PmAddr *headers = g_new(PmAddr, runtime->len);
    for (guint i = 0; i < runtime->len; i++) {
        PmChunk chunk;
        const PmAddr user = g_array_index(runtime, PmRuntimeChunk, i).address;
        headers[i] = user - 2 * ptmalloc->word_bytes;
        if (!pm_heap_find_chunk(ptmalloc->heap, user, &chunk, NULL))
            continue;
        PmSizeTable *sizes = chunk.mmapped ? ptmalloc->mmapped_sizes
                                           : pm_ptmalloc_get_build(ptmalloc, chunk.arena)->sizes;
        PmSizeCount *count = pm_size_table_get(sizes, chunk.chunk_bytes);
        count->chunks[PM_CHUNK_USED]--;
        count->chunks[PM_CHUNK_RUNTIME]++;
    }
    pm_heap_mark_runtime(ptmalloc->heap, headers, runtime->len);
}

void
pm_ptmalloc_mark_runtime(PmPtmalloc *ptmalloc)
{
    gsize count = 0;
    g_autofree PmTcb *tcbs = pm_process_find_tcbs(ptmalloc->process, &count);
    for (gsize i = 0; i < count; i++)
        add_dtv(ptmalloc, &tcbs[i]);
    add_link_maps(ptmalloc);
    add_static_link_map(ptmalloc);
    add_streams(ptmalloc);
    sort_runtime(ptmalloc->runtime);
    apply_runtime(ptmalloc);
}
