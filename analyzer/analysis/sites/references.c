/*
 * References within a module; see code.h. They are looked for in pieces of the code, which several
 * threads take; what is dropped at once takes no memory.
 */
#include "analysis/sites/references.h"

#include "base/jobs.h"

/* One that crosses from a piece to the next is found twice. */
#define PIECE_BYTES   (G_GUINT64_CONSTANT(1) << 18)
#define OVERLAP_BYTES 8
/* Of a target, in one pass of sorting. */
#define RADIX_BITS 11
#define RADIX_SIZE (1U << RADIX_BITS)

/* @size: with what it shares with the next one. @references: PmShortReference, @strays: PmReference
 * that were found in it. */
typedef struct {
    const guint8 *bytes;
    guint64 start;
    guint64 size;
    GArray *references;
    GArray *strays;
} Piece;

typedef struct {
    const PmModuleCode *code;
    GArray *pieces;
} Search;

/* The function of the reference before: most are in the same one. */
typedef struct {
    const PmModuleCode *code;
    Piece *piece;
    const PmFunctionRange *last;
} Sieve;

static guint64
get_base(const PmModuleCode *code)
{
    return code->module->start - code->module->bias;
}

static gboolean
is_within(const PmFunctionRange *range, guint64 address)
{
    return range != NULL && address >= range->start && address < range->end;
}

static void
keep(Sieve *sieve, const PmReference *reference)
{
    const guint64 base = get_base(sieve->code);
    const PmShortReference brief = {(guint32)(reference->target - base),
                                    (guint32)(reference->address - base), reference->kind};
    if (reference->target - base <= G_MAXUINT32 && reference->address - base <= G_MAXUINT32)
        g_array_append_val(sieve->piece->references, brief);
}

/* A jump, from @from, out of it. */
static void
keep_stray(Sieve *sieve, const PmReference *jump)
{
    const PmFunctionRange *to = pm_frames_find_range(sieve->code->functions, jump->target);
    if (to != NULL && (jump->target != to->start || to->is_part))
        g_array_append_vals(sieve->piece->strays, jump, 1);
}

/* Jumps that stay in their function are dropped. */
static void
look_at(Sieve *sieve, const PmReference *reference)
{
    const gboolean is_long =
        reference->kind == PM_REFERENCE_JUMP || reference->kind == PM_REFERENCE_BRANCH;
    if (!is_long && reference->kind != PM_REFERENCE_SHORT_JUMP) {
        keep(sieve, reference);
        return;
    }
    if (!is_within(sieve->last, reference->address))
        sieve->last = pm_frames_find_range(sieve->code->functions, reference->address);
    if (is_within(sieve->last, reference->target))
        return;
    keep(sieve, reference);
    if (is_long && sieve->last != NULL)
        keep_stray(sieve, reference);
}

static void
work(PmJobs *jobs, gpointer data)
{
    const Search *search = data;
    const PmModuleCode *code = search->code;
    const guint64 base = get_base(code);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(PmReference));
    guint64 which = 0;
    while (pm_jobs_next(jobs, &which)) {
        Piece *piece = &g_array_index(search->pieces, Piece, which);
        Sieve sieve = {code, piece, NULL};
        g_array_set_size(found, 0);
        code->machine->scan(piece->bytes, (gsize)piece->size, piece->start, base,
                            base + (code->module->end - code->module->start), found);
        for (guint i = 0; i < found->len; i++)
            look_at(&sieve, &g_array_index(found, PmReference, i));
    }
}

static GArray *
cut_into_pieces(const PmModuleCode *code)
{
    GArray *pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    for (guint i = 0; i < code->texts->len; i++) {
        const PmCodeRange *text = &g_array_index(code->texts, PmCodeRange, i);
        for (guint64 at = text->start; at < text->end; at += PIECE_BYTES) {
            const Piece piece = {.bytes = text->bytes + (at - text->start),
                                 .start = at,
                                 .size = MIN(text->end - at, PIECE_BYTES + OVERLAP_BYTES),
                                 .references = g_array_new(FALSE, FALSE, sizeof(PmShortReference)),
                                 .strays = g_array_new(FALSE, FALSE, sizeof(PmReference))};
            g_array_append_val(pieces, piece);
        }
    }
    return pieces;
}

/* One pass of a radix sort by the bits of the target from @shift on. Returns: FALSE where it would
 * change nothing. */
static gboolean
sort_pass(const PmShortReference *from, PmShortReference *to, guint count, guint shift)
{
    guint starts[RADIX_SIZE] = {0};
    const guint mask = RADIX_SIZE - 1;
    for (guint i = 0; i < count; i++)
        starts[from[i].target >> shift & mask]++;
    if (count == 0 || starts[from[0].target >> shift & mask] == count)
        return FALSE;
    for (guint i = 0, sum = 0; i <= mask; i++) {
        const guint next = sum + starts[i];
        starts[i] = sum;
        sum = next;
    }
    for (guint i = 0; i < count; i++)
        to[starts[from[i].target >> shift & mask]++] = from[i];
    return TRUE;
}

/* By target; what has one target stays by address, as it was found. Returns: @references, or
 * another array in its place. */
static GArray *
sort_references(GArray *references)
{
    GArray *other = g_array_sized_new(FALSE, FALSE, sizeof(PmShortReference), references->len);
    g_array_set_size(other, references->len);
    for (guint shift = 0; shift < 32; shift += RADIX_BITS) {
        if (!sort_pass((const PmShortReference *)(gpointer)references->data,
                       (PmShortReference *)(gpointer)other->data, references->len, shift))
            continue;
        GArray *sorted = other;
        other = references;
        references = sorted;
    }
    g_array_unref(other);
    return references;
}

void
pm_module_code_read_references(PmModuleCode *code)
{
    Search search = {code, cut_into_pieces(code)};
    pm_jobs_run(code->jobs, search.pieces->len, work, &search);
    for (guint i = 0; i < search.pieces->len; i++) {
        const Piece *piece = &g_array_index(search.pieces, Piece, i);
        g_array_append_vals(code->references, piece->references->data, piece->references->len);
        g_array_append_vals(code->strays, piece->strays->data, piece->strays->len);
        g_array_unref(piece->references);
        g_array_unref(piece->strays);
    }
    g_array_unref(search.pieces);
    code->references = sort_references(code->references);
}

void
pm_module_code_find_references(const PmModuleCode *code, guint64 target, GArray *references)
{
    const guint64 base = get_base(code);
    guint low = 0, high = code->references->len;
    if (target - base > G_MAXUINT32)
        return;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(code->references, PmShortReference, middle).target >= target - base)
            high = middle;
        else
            low = middle + 1;
    }
    for (; low < code->references->len; low++) {
        const PmShortReference *brief = &g_array_index(code->references, PmShortReference, low);
        const PmReference reference = {base + brief->address, target, (PmReferenceKind)brief->kind};
        if (brief->target != target - base)
            break;
        g_array_append_val(references, reference);
    }
}
