/*
 * A module's code; see code.h.
 */
#include "analysis/sites/code.h"

#include "analysis/sites/allocators.h"
#include "analysis/sites/kinds.h"
#include "analysis/sites/references.h"
#include "process/elfhead.h"

#include <stdlib.h>

/* Of one executable segment. */
#define TEXT_BYTES_MAX  (G_GUINT64_CONSTANT(1) << 30)
#define FRAME_BYTES_MAX (G_GUINT64_CONSTANT(1) << 28)
/* A thunk: a mark for calls, the jump, and filling. */
#define THUNK_BYTES 16
#define PAGE_BYTES  4096

static const PmSpace *
get_space(const PmModuleCode *code)
{
    return pm_process_get_space(code->process);
}

/* A copy of what is in several pieces, as the first pages of a segment are that kernels dump. */
static const guint8 *
copy_bytes(PmModuleCode *code, PmAddr address, guint64 size)
{
    guint8 *copy = g_try_malloc((gsize)size);
    if (copy == NULL || !pm_space_read(get_space(code), address, copy, (gsize)size)) {
        g_free(copy);
        return NULL;
    }
    g_ptr_array_add(code->copies, copy);
    return copy;
}

static const guint8 *
get_bytes(PmModuleCode *code, PmAddr address, guint64 size)
{
    const guint8 *bytes = pm_space_peek(get_space(code), address, (gsize)size);
    return bytes != NULL ? bytes : copy_bytes(code, address, size);
}

static gboolean
is_readable(const PmSpan *span)
{
    return span->bytes != NULL && !span->hole;
}

/* The longest stretch from *address on that is all readable, or all not. */
static guint64
measure_stretch(const PmModuleCode *code, PmAddr address, PmAddr end, gboolean *ret_readable)
{
    PmSpan span;
    pm_space_get_span(get_space(code), address, &span);
    *ret_readable = is_readable(&span);
    guint64 size = 0;
    while (address + size < end && is_readable(&span) == *ret_readable) {
        size += MIN(span.length_bytes, end - address - size);
        pm_space_get_span(get_space(code), address + size, &span);
    }
    return size;
}

static void
add_text(PmModuleCode *code, PmAddr start, PmAddr end)
{
    const guint64 bias = code->module->bias;
    while (start < end) {
        gboolean readable = FALSE;
        const guint64 size = measure_stretch(code, start, end, &readable);
        const guint8 *bytes = readable ? get_bytes(code, start, size) : NULL;
        const PmCodeRange range = {start - bias, start - bias + size, bytes};
        if (bytes != NULL) {
            g_array_append_val(code->texts, range);
            code->text_bytes += size;
        } else {
            code->missing_bytes += size;
        }
        start += size;
    }
}

static void
read_texts(PmModuleCode *code, const PmElfHead *head)
{
    for (guint i = 0; i < head->count; i++) {
        const Elf64_Phdr *phdr = &head->phdrs[i];
        const PmAddr start = code->module->bias + phdr->p_vaddr;
        PmAddr end = 0;
        if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X) != 0 && phdr->p_filesz > 0 &&
            phdr->p_filesz <= TEXT_BYTES_MAX && pm_addr_add(start, phdr->p_filesz, &end))
            add_text(code, start, end);
    }
}

/* .eh_frame has no program header of its own: that of its index leads to it. */
static void
read_functions(PmModuleCode *code, const PmElfHead *head)
{
    const Elf64_Phdr *index = pm_elf_head_find(head, PT_GNU_EH_FRAME);
    guint8 start[8];
    if (index == NULL)
        return;
    const PmAddr address = code->module->bias + index->p_vaddr;
    /* Version 1, and the pointer as 4 bytes from where it stands: what all linkers write. */
    if (!pm_space_read(get_space(code), address, start, sizeof start) || start[0] != 1 ||
        start[1] != 0x1b)
        return;
    const guint64 frames = index->p_vaddr + 4 + (guint64)(gint64)(gint32)pm_load_u32(start + 4);
    for (guint i = 0; i < head->count; i++) {
        const Elf64_Phdr *phdr = &head->phdrs[i];
        if (phdr->p_type != PT_LOAD || frames < phdr->p_vaddr ||
            frames - phdr->p_vaddr >= phdr->p_filesz)
            continue;
        gboolean readable = FALSE;
        const PmAddr first = code->module->bias + frames;
        const PmAddr end = first + MIN(phdr->p_filesz - (frames - phdr->p_vaddr), FRAME_BYTES_MAX);
        const guint64 size = measure_stretch(code, first, end, &readable);
        const guint8 *bytes = readable ? get_bytes(code, first, size) : NULL;
        if (bytes == NULL)
            return;
        g_array_unref(code->functions);
        code->functions = pm_frames_read(bytes, (gsize)size, frames);
        return;
    }
}

static gint
compare_slot(gconstpointer key, gconstpointer element)
{
    const guint64 slot = *(const guint64 *)key;
    const guint64 other = ((const PmImport *)element)->slot;
    return slot < other ? -1 : slot > other;
}

static gboolean
is_import(const PmModuleCode *code, guint64 slot)
{
    const GArray *imports = code->dynamic.imports;
    return imports->len > 0 &&
           bsearch(&slot, imports->data, imports->len, sizeof(PmImport), compare_slot) != NULL;
}

/*
 * Whether @thunk is an entry of a linkage table, and no function's last jump. One frame description
 * covers all of a table, in steps of 8 bytes; the table begins with an entry, or with what calls
 * the dynamic linker, which jumps through a word that is not imported. A function that does nothing
 * but jump has a frame description of its own, which ends with the jump.
 *
 * @first: the first one in @range.
 */
static gboolean
is_table_entry(const PmModuleCode *code, const PmFunctionRange *range, const PmReference *first)
{
    const guint64 size = range->end - range->start;
    if (range->start % 8 != 0 || size % 8 != 0)
        return FALSE;
    return first->address == range->start ||
           (first->address - range->start < THUNK_BYTES && !is_import(code, first->target));
}

/* Keeps of the thunks that were @found those that are. */
static void
keep_thunks(PmModuleCode *code, const GArray *found)
{
    const PmFunctionRange *range = NULL;
    const PmReference *first = NULL;
    for (guint i = 0; i < found->len; i++) {
        const PmReference *thunk = &g_array_index(found, PmReference, i);
        const PmFunctionRange *holder = pm_frames_find_range(code->functions, thunk->address);
        if (holder == NULL || holder != range)
            first = thunk;
        range = holder;
        if (is_import(code, thunk->target) && (range == NULL || is_table_entry(code, range, first)))
            g_array_append_val(code->thunks, *thunk);
    }
}

/*
 * A word that no symbol is bound to: memset() and its like are chosen by the processor. What was
 * chosen stands in the core.
 */
static void
add_chosen(PmModuleCode *code, guint64 slot)
{
    PmSymbol symbol;
    guint64 word = 0, offset = 0;
    if (!pm_space_read_word(get_space(code), code->module->bias + slot, &word) ||
        !pm_process_symbolize(code->process, word, &symbol, &offset) || offset != 0 ||
        pm_function_get_kind(symbol.name) == PM_FUNCTION_PLAIN)
        return;
    const PmImport import = {slot, g_string_chunk_insert_const(code->dynamic.names, symbol.name)};
    g_array_append_val(code->dynamic.imports, import);
}

static void
read_thunks(PmModuleCode *code)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(PmReference));
    for (guint i = 0; i < code->texts->len; i++) {
        const PmCodeRange *text = &g_array_index(code->texts, PmCodeRange, i);
        code->machine->scan_thunks(text->bytes, (gsize)(text->end - text->start), text->start,
                                   found);
    }
    g_autoptr(GArray) unbound = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (guint i = 0; i < found->len; i++) {
        const PmReference *thunk = &g_array_index(found, PmReference, i);
        if (!is_import(code, thunk->target))
            g_array_append_val(unbound, thunk->target);
    }
    for (guint i = 0; i < unbound->len; i++)
        add_chosen(code, g_array_index(unbound, guint64, i));
    pm_dynamic_sort(&code->dynamic);
    keep_thunks(code, found);
}

static void
add_named(PmModuleCode *code, guint64 address, const char *name)
{
    const PmExport named = {address, name};
    if (pm_allocator_find(name) != NULL || pm_function_get_kind(name) != PM_FUNCTION_PLAIN)
        g_array_append_val(code->named, named);
}

static void
visit_symbol(const PmSymbol *symbol, gpointer data)
{
    PmModuleCode *code = data;
    add_named(code, symbol->address - code->module->bias, symbol->name);
}

/* By the symbols of the file, and by what the module itself exports, which a core alone has, too.
 */
static void
read_named(PmModuleCode *code)
{
    pm_process_visit_functions(code->process, code->module, visit_symbol, code);
    for (guint i = 0; i < code->dynamic.exports->len; i++) {
        const PmExport *export = &g_array_index(code->dynamic.exports, PmExport, i);
        add_named(code, export->address, export->name);
    }
}

PmModuleCode *
pm_module_code_new(const PmProcess *process, const PmModule *module, const PmMachine *machine,
                   PmFlowPool *pool, guint jobs)
{
    PmModuleCode *code = g_new0(PmModuleCode, 1);
    code->process = process;
    code->module = module;
    code->machine = machine;
    code->pool = pool;
    code->jobs = jobs;
    code->texts = g_array_new(FALSE, FALSE, sizeof(PmCodeRange));
    code->functions = g_array_new(FALSE, FALSE, sizeof(PmFunctionRange));
    code->thunks = g_array_new(FALSE, FALSE, sizeof(PmReference));
    code->strays = g_array_new(FALSE, FALSE, sizeof(PmReference));
    code->references = g_array_new(FALSE, FALSE, sizeof(PmShortReference));
    code->named = g_array_new(FALSE, FALSE, sizeof(PmExport));
    code->copies = g_ptr_array_new_with_free_func(g_free);
    pm_dynamic_read(&code->dynamic, process, module);
    PmElfHead head = {0};
    if (pm_elf_head_read(get_space(code), module->start, PAGE_BYTES, &head)) {
        read_texts(code, &head);
        pm_elf_head_clear(&head);
    }
    read_named(code);
    return code;
}

void
pm_module_code_prepare(PmModuleCode *code)
{
    PmElfHead head = {0};
    if (code->is_prepared)
        return;
    code->is_prepared = TRUE;
    if (pm_elf_head_read(get_space(code), code->module->start, PAGE_BYTES, &head)) {
        read_functions(code, &head);
        pm_elf_head_clear(&head);
    }
    read_thunks(code);
    pm_module_code_read_references(code);
    code->kinds = pm_kinds_new(code);
}

void
pm_module_code_free(PmModuleCode *code)
{
    if (code == NULL)
        return;
    g_array_unref(code->texts);
    g_array_unref(code->functions);
    g_array_unref(code->thunks);
    g_array_unref(code->strays);
    g_array_unref(code->references);
    pm_kinds_free(code->kinds);
    g_array_unref(code->named);
    g_ptr_array_unref(code->copies);
    pm_dynamic_clear(&code->dynamic);
    g_free(code);
}

gboolean
pm_module_code_read(gconstpointer data, guint64 address, gpointer buffer, gsize count)
{
    const PmModuleCode *code = data;
    return pm_space_read(get_space(code), code->module->bias + address, buffer, count);
}

const PmCodeRange *
pm_module_code_find_text(const PmModuleCode *code, guint64 address)
{
    for (guint i = 0; i < code->texts->len; i++) {
        const PmCodeRange *text = &g_array_index(code->texts, PmCodeRange, i);
        if (address >= text->start && address < text->end)
            return text;
    }
    return NULL;
}

gboolean
pm_module_code_get_range(const PmModuleCode *code, guint64 start, guint64 end,
                         PmCodeRange *ret_range)
{
    const PmCodeRange *text = pm_module_code_find_text(code, start);
    if (text == NULL || end > text->end || start >= end)
        return FALSE;
    *ret_range = (PmCodeRange){start, end, text->bytes + (start - text->start)};
    return TRUE;
}

void
pm_module_code_add_slots(const PmModuleCode *code, const GArray *slots, GArray *targets)
{
    g_array_append_vals(targets, slots->data, slots->len);
    for (guint i = 0; slots->len > 0 && i < code->thunks->len; i++) {
        const PmReference *thunk = &g_array_index(code->thunks, PmReference, i);
        if (bsearch(&thunk->target, slots->data, slots->len, sizeof(guint64), pm_addr_compare) !=
            NULL)
            g_array_append_val(targets, thunk->address);
    }
}

const PmReference *
pm_module_code_find_thunk(const PmModuleCode *code, guint64 address)
{
    guint low = 0, high = code->thunks->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (g_array_index(code->thunks, PmReference, middle).address > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    const PmReference *thunk = &g_array_index(code->thunks, PmReference, low - 1);
    return address - thunk->address < THUNK_BYTES - 8 ? thunk : NULL;
}
