/*
 * What a stack looks like after its thread has gone: return addresses, the oldest ones at its upper
 * end, and below them memory that was never needed.
 */
#include "analysis/regions/regions-private.h"

#include <elf.h>
#include <string.h>

/* As many return addresses tell a stack that was used down to its guard. */
#define RETURNS_ENOUGH 3

/* The longest call of x86: opcode, ModRM, SIB, four bytes of displacement. */
#define CALL_BYTES_MAX 7

/* @code: PmRange of what can be executed, ascending, without overlaps. */
struct PmStackShape {
    const PmSubject *subject;
    const PmSpace *space;
    guint word_bytes;
    gboolean is_x86;
    GArray *code;
};

static gint
compare_ranges(gconstpointer a, gconstpointer b)
{
    const PmAddr left = ((const PmRange *)a)->start;
    const PmAddr right = ((const PmRange *)b)->start;
    return (left > right) - (left < right);
}

PmStackShape *
pm_stack_shape_new(const PmSubject *subject)
{
    PmStackShape *shape = g_new0(PmStackShape, 1);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(PmRange));
    gsize count = 0;
    const PmSegment *segments = pm_image_get_segments(subject->image, &count);
    for (gsize i = 0; i < count; i++) {
        const PmRange range = {segments[i].start, segments[i].start + segments[i].mapped_bytes};
        if (segments[i].flags & PF_X)
            g_array_append_val(all, range);
    }
    const PmModule *modules = pm_process_get_modules(subject->process, &count);
    for (gsize i = 0; i < count; i++)
        for (gsize j = 0; j < modules[i].load_count; j++)
            if (modules[i].loads[j].flags & PF_X)
                g_array_append_val(all, modules[i].loads[j].range);
    g_array_sort(all, compare_ranges);

    shape->subject = subject;
    shape->space = pm_process_get_space(subject->process);
    shape->word_bytes = pm_space_get_target(shape->space)->word_bytes;
    shape->is_x86 = pm_space_get_target(shape->space)->arch != PM_ARCH_AARCH64;
    shape->code = g_array_new(FALSE, FALSE, sizeof(PmRange));
    for (guint i = 0; i < all->len; i++) {
        const PmRange range = g_array_index(all, PmRange, i);
        PmRange *last = shape->code->len > 0
                            ? &g_array_index(shape->code, PmRange, shape->code->len - 1)
                            : NULL;
        if (last != NULL && range.start <= last->end)
            last->end = MAX(last->end, range.end);
        else
            g_array_append_val(shape->code, range);
    }
    return shape;
}

void
pm_stack_shape_free(PmStackShape *shape)
{
    if (shape == NULL)
        return;
    g_array_unref(shape->code);
    g_free(shape);
}

static gboolean
is_code(const PmStackShape *shape, PmAddr address)
{
    const PmRange *code = (const PmRange *)(gconstpointer)shape->code->data;
    gsize low = 0, high = shape->code->len;
    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        if (code[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low < shape->code->len && address > code[low].start;
}

/*
 * Whether a call ends behind the last of @bytes (Intel SDM 2, CALL): E8 and four bytes; FF with 2
 * in the middle of its ModRM, with no displacement, one byte or four, with or without SIB.
 */
static gboolean
ends_in_call(const guint8 bytes[CALL_BYTES_MAX])
{
    if (bytes[2] == 0xe8)
        return TRUE;
    for (guint at = 0; at + 2 <= CALL_BYTES_MAX; at++) {
        const guint8 modrm = bytes[at + 1];
        if (bytes[at] != 0xff || (modrm & 0x38) != 0x10)
            continue;
        const guint mod = modrm >> 6;
        const gboolean has_sib = mod != 3 && (modrm & 7) == 4;
        const guint displacement = mod == 1                                     ? 1
                                   : mod == 2 || (mod == 0 && (modrm & 7) == 5) ? 4
                                                                                : 0;
        if (at + 2 + (has_sib ? 1 : 0) + displacement == CALL_BYTES_MAX)
            return TRUE;
    }
    return FALSE;
}

/* Where the code cannot be read, or is of another machine, any of it counts. */
gboolean
pm_stack_shape_is_return(const PmStackShape *shape, guint64 value)
{
    guint8 bytes[CALL_BYTES_MAX];
    if (!is_code(shape, value))
        return FALSE;
    if (!shape->is_x86 || value < CALL_BYTES_MAX ||
        !pm_space_read(shape->space, value - CALL_BYTES_MAX, bytes, sizeof bytes))
        return TRUE;
    return ends_in_call(bytes);
}

void
pm_stack_top_read(const PmSpace *space, PmRange range, PmStackTop *ret_top)
{
    const PmImage *image = pm_space_get_image(space);
    const guint64 bytes =
        range.start < range.end ? MIN(pm_range_bytes(range), PM_STACK_TOP_BYTES) : 0;
    PmAddr at = range.end - bytes;
    ret_top->count = 0;
    ret_top->present_bytes = 0;
    while (bytes > 0 && at < range.end && ret_top->count < PM_STACK_TOP_SPANS) {
        PmSpan *span = &ret_top->spans[ret_top->count];
        pm_space_get_span(space, at, span);
        span->length_bytes = MIN(span->length_bytes, range.end - at);
        at += span->length_bytes;
        if (span->kind != PM_BYTES_DUMPED || span->bytes == NULL)
            continue;
        guint8 *copy = ret_top->bytes + ret_top->present_bytes;
        span->length_bytes = pm_image_copy(image, span->bytes, copy, span->length_bytes);
        span->bytes = copy;
        ret_top->present_bytes += span->length_bytes;
        ret_top->count++;
    }
}

/* Return addresses in @span, at most @enough. */
static guint
count_returns(const PmStackShape *shape, const PmSpan *span, guint enough)
{
    const guint word = shape->word_bytes;
    const PmAddr end = pm_align_down(span->start + span->length_bytes, word);
    guint found = 0;
    for (PmAddr at = end; at - span->start >= word && at > span->start && found < enough;) {
        at -= word;
        const guint64 value = pm_load_word(span->bytes + (at - span->start), word);
        if (value != 0 && pm_stack_shape_is_return(shape, value))
            found++;
    }
    return found;
}

gboolean
pm_stack_shape_fits(const PmStackShape *shape, PmRange range, const PmStackTop *top)
{
    guint found = 0;
    for (guint i = top->count; i-- > 0 && found < RETURNS_ENOUGH;) {
        /* One is enough for most; the others are looked for where the stack is full. */
        const gboolean is_first = found == 0;
        found += count_returns(shape, &top->spans[i], is_first ? 1 : RETURNS_ENOUGH - found);
        if (!is_first || found == 0)
            continue;
        const PmRange lowest = {range.start, range.start + PM_REGION_PAGE_BYTES};
        if (pm_regions_is_zero(shape->subject, lowest))
            return TRUE;
        found = count_returns(shape, &top->spans[i], RETURNS_ENOUGH);
    }
    return found >= RETURNS_ENOUGH;
}

/* Code that starts threads, or runs before the program's own. */
static gboolean
is_runtime(const PmStackShape *shape, PmAddr address)
{
    const PmProcess *process = shape->subject->process;
    const PmModule *module = pm_process_find_module(process, address);
    if (module == NULL)
        return FALSE;
    const char *slash = strrchr(module->path, '/');
    return module->is_interpreter ||
           (module == pm_process_get_libc(process) && !module->is_executable) ||
           g_str_has_prefix(slash != NULL ? slash + 1 : module->path, "libpthread");
}

gboolean
pm_stack_shape_find_origin(const PmStackShape *shape, const PmStackTop *top, PmAddr *ret_address)
{
    const guint word = shape->word_bytes;
    for (guint i = top->count; i-- > 0;) {
        const PmSpan *span = &top->spans[i];
        PmAddr at = pm_align_down(span->start + span->length_bytes, word);
        while (at > span->start && at - span->start >= word) {
            at -= word;
            const guint64 value = pm_load_word(span->bytes + (at - span->start), word);
            if (value == 0 || !pm_stack_shape_is_return(shape, value) || is_runtime(shape, value))
                continue;
            *ret_address = value;
            return TRUE;
        }
    }
    return FALSE;
}
