/*
 * Naming words; see describe.h.
 */
#include "analysis/contents/describe.h"

#include "analysis/chunks.h"
#include "analysis/contents/text.h"
#include "base/demangle.h"
#include "process/unwind.h"

#include <string.h>

/* Shorter ones are as likely numbers: by how likely strings are there. */
#define RODATA_CHARACTERS_MIN 2
#define OTHER_CHARACTERS_MIN  4
/* Unwinding each of ten thousand threads for a few words takes too long. */
#define UNWOUND_MAX 64
/* Hand-written assembly leaves sizes out; a page is a generous function. */
#define SIZELESS_BYTES 4096

typedef struct {
    PmFrame *frames;
    gsize count;
} Backtrace;

struct PmDescriber {
    PmPlaces *places;
    const PmSubject *subject;
    const PmReach *reach;
    PmChunkTyper typer;
    gpointer typer_data;
    GHashTable *backtraces; /* PmThread * → Backtrace */
};

static void
backtrace_free(gpointer data)
{
    Backtrace *backtrace = data;
    g_free(backtrace->frames);
    g_free(backtrace);
}

PmDescriber *
pm_describer_new(PmPlaces *places, const PmReach *reach)
{
    PmDescriber *describer = g_new0(PmDescriber, 1);
    describer->places = places;
    describer->subject = pm_places_get_subject(places);
    describer->reach = reach;
    describer->backtraces =
        g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, backtrace_free);
    return describer;
}

void
pm_describer_free(PmDescriber *describer)
{
    if (describer == NULL)
        return;
    g_hash_table_unref(describer->backtraces);
    g_free(describer);
}

const PmSubject *
pm_describer_get_subject(const PmDescriber *describer)
{
    return describer->subject;
}

void
pm_describer_set_typer(PmDescriber *describer, PmChunkTyper typer, gpointer data)
{
    describer->typer = typer;
    describer->typer_data = data;
}

const PmVtable *
pm_describer_get_vtable(PmDescriber *describer, const PmChunk *chunk)
{
    const PmSpace *space = pm_process_get_space(describer->subject->process);
    guint64 first = 0;
    if (pm_chunk_state_is_free(chunk->state) ||
        chunk->usable_bytes < pm_space_get_target(space)->word_bytes ||
        !pm_space_read_word(space, chunk->address, &first))
        return NULL;
    const PmVtable *vtable = pm_rtti_find(pm_places_get_rtti(describer->places), first);
    return vtable != NULL && vtable->offset_to_top == 0 ? vtable : NULL;
}

char *
pm_describer_get_type(PmDescriber *describer, const PmChunk *chunk)
{
    if (pm_chunk_state_is_free(chunk->state))
        return NULL;
    char *type = describer->typer != NULL ? describer->typer(describer->typer_data, chunk) : NULL;
    const PmVtable *vtable = type == NULL ? pm_describer_get_vtable(describer, chunk) : NULL;
    return vtable != NULL && vtable->use != PM_VTABLE_OF_CONSTRUCTION ? g_strdup(vtable->class_name)
                                                                      : type;
}

PmReachClass
pm_describer_get_class(const PmDescriber *describer, const PmChunk *chunk)
{
    return describer->reach != NULL ? pm_reach_get_class(describer->reach, chunk) : PM_REACH_NONE;
}

/* "32 bytes, reachable, app::Circle"; "+0x10 in 32 bytes at 0x55…, tcache". */
static void
describe_chunk(PmDescriber *describer, PmWordText *text, guint64 value)
{
    const PmResolver *resolver = pm_places_get_resolver(describer->places);
    const PmHeap *heap = pm_ptmalloc_get_heap(describer->subject->ptmalloc);
    const guint64 word_bytes = pm_image_get_target(describer->subject->image)->word_bytes;
    PmSlotChunk found;
    pm_resolver_get_chunk(resolver, text->word.hit.slot, text->word.hit.region, &found);
    if (!pm_heap_find_chunk(heap, found.user - word_bytes, &text->chunk, NULL))
        return;
    const PmChunk *chunk = &text->chunk;
    text->offset_bytes = value - chunk->address;
    GString *line = g_string_new(NULL);
    if (text->offset_bytes != 0)
        g_string_append_printf(line, "+0x%" G_GINT64_MODIFIER "x in ", text->offset_bytes);
    g_string_append_printf(line, "%" G_GUINT64_FORMAT " bytes", chunk->chunk_bytes);
    if (text->offset_bytes != 0)
        g_string_append_printf(line, " at 0x%" G_GINT64_MODIFIER "x", chunk->address);
    const char *reach = pm_reach_class_name(pm_describer_get_class(describer, chunk));
    g_string_append_printf(line, ", %s", reach != NULL ? reach : pm_chunk_state_name(chunk->state));
    g_autofree char *type = pm_describer_get_type(describer, chunk);
    const char *runtime = chunk->state == PM_CHUNK_RUNTIME
                              ? pm_chunks_find_runtime(describer->subject->ptmalloc, chunk->address)
                              : NULL;
    if (type != NULL || runtime != NULL)
        g_string_append_printf(line, ", %s", type != NULL ? type : runtime);
    text->text = g_string_free(line, FALSE);
}

static char *
describe_vtable(const PmVtable *vtable)
{
    GString *line = g_string_new(NULL);
    g_string_append_printf(line, "vtable of %s", vtable->class_name);
    if (vtable->offset_to_top != 0)
        g_string_append_printf(line, ", for its base at +0x%" G_GINT64_MODIFIER "x",
                               (guint64)-vtable->offset_to_top);
    if (vtable->use == PM_VTABLE_OF_CONSTRUCTION)
        g_string_append(line, " as part of what is being constructed or destroyed");
    else if (vtable->use == PM_VTABLE_UNSURE)
        g_string_append(line, ", or of a class being constructed on top of it");
    return g_string_free(line, FALSE);
}

/* "app+0x1040": by the addresses in the file, as addr2line takes them. */
static char *
describe_in_module(const PmModule *module, PmAddr value)
{
    g_autofree char *name = g_path_get_basename(module->path);
    return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", name, value - module->bias);
}

/* "parse_event+0x1f (app)", or NULL. */
static char *
describe_symbol(const PmDescriber *describer, PmAddr value)
{
    PmSymbol symbol;
    guint64 offset = 0;
    if (!pm_process_symbolize(describer->subject->process, value, &symbol, &offset) ||
        offset >= (symbol.size_bytes == 0 ? SIZELESS_BYTES : symbol.size_bytes))
        return NULL;
    g_autofree char *plain = pm_demangle_symbol(symbol.name);
    g_autofree char *module = g_path_get_basename(symbol.module->path);
    const char *name = plain != NULL ? plain : symbol.name;
    if (offset == 0)
        return g_strdup_printf("%s (%s)", name, module);
    return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x (%s)", name, offset, module);
}

/* The string at @value, where there is one that ends. */
static gboolean
find_string(const PmDescriber *describer, PmAddr value, gsize characters_min, PmWordText *text)
{
    guint8 bytes[PM_TEXT_STRING_BYTES_MAX];
    gsize count = 0;
    const PmSpace *space = pm_process_get_space(describer->subject->process);
    const gsize length = pm_text_read_string(space, value, characters_min, bytes, &count);
    if (length == 0)
        return FALSE;
    /* The bytes of an address may look like letters. */
    const gsize word_bytes = pm_space_get_target(space)->word_bytes;
    PmWord word;
    if (length <= word_bytes && value % word_bytes == 0 && count >= word_bytes) {
        pm_places_classify_plain(describer->places, pm_load_word(bytes, word_bytes), &word);
        if (pm_word_kind_is_pointer(word.kind))
            return FALSE;
    }
    text->is_string = TRUE;
    text->string_bytes = length;
    text->text = g_strndup((const char *)bytes, MIN(length, PM_WORD_STRING_MAX));
    return TRUE;
}

static char *
describe_mapping(const PmDescriber *describer, PmAddr value)
{
    const PmFileMapping *file = pm_image_find_file_mapping(describer->subject->image, value);
    if (file != NULL)
        return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", file->path,
                               value - file->start + file->file_offset_bytes);
    const PmSegment *segment = pm_image_find_segment(describer->subject->image, value);
    if (segment == NULL)
        return g_strdup("a mapping");
    return g_strdup_printf("%s 0x%" G_GINT64_MODIFIER "x+0x%" G_GINT64_MODIFIER "x",
                           segment->flags == 0 ? "inaccessible mapping" : "anonymous mapping",
                           segment->start, value - segment->start);
}

static const Backtrace *
get_backtrace(PmDescriber *describer, const PmThread *thread)
{
    gboolean complete = FALSE;
    Backtrace *backtrace = g_hash_table_lookup(describer->backtraces, thread);
    if (backtrace != NULL || g_hash_table_size(describer->backtraces) >= UNWOUND_MAX)
        return backtrace;
    backtrace = g_new0(Backtrace, 1);
    backtrace->frames =
        pm_process_unwind(describer->subject->process, thread, &backtrace->count, &complete);
    g_hash_table_insert(describer->backtraces, (gpointer)thread, backtrace);
    return backtrace;
}

/* "stack of thread 7, in parse_event" */
static char *
describe_stack(PmDescriber *describer, const PmThread *thread, PmAddr value)
{
    GString *line = g_string_new(NULL);
    g_string_append_printf(line, "stack of thread %u", thread->tid);
    gsize index = 0;
    PmSymbol symbol;
    guint64 offset = 0;
    if (thread->sp != PM_ADDR_NONE && pm_range_contains(thread->stack, value) &&
        value < thread->sp) {
        g_string_append(line, ", below its stack pointer");
        return g_string_free(line, FALSE);
    }
    const Backtrace *backtrace = get_backtrace(describer, thread);
    if (backtrace != NULL && pm_frames_find(backtrace->frames, backtrace->count, value, &index) &&
        pm_process_symbolize(describer->subject->process,
                             pm_frame_get_code(&backtrace->frames[index]), &symbol, &offset)) {
        g_autofree char *plain = pm_demangle_symbol(symbol.name);
        g_string_append_printf(line, ", in %s", plain != NULL ? plain : symbol.name);
    }
    return g_string_free(line, FALSE);
}

static void
describe_data(PmDescriber *describer, PmAddr value, PmWordText *text)
{
    const PmWord *word = &text->word;
    if (word->thread != NULL) {
        text->text = g_strdup_printf("thread-local storage of thread %u", word->thread->tid);
        return;
    }
    text->text = describe_symbol(describer, value);
    if (text->text == NULL && !find_string(describer, value, OTHER_CHARACTERS_MIN, text))
        text->text = describe_in_module(word->module, value);
}

void
pm_describer_describe(PmDescriber *describer, guint64 value, PmWordText *ret_text)
{
    *ret_text = (PmWordText){.text = NULL};
    pm_places_classify(describer->places, value, &ret_text->word);
    switch (ret_text->word.kind) {
    case PM_WORD_NUMBER:
    case PM_WORD_ZERO:
        break;
    case PM_WORD_CHUNK:
    case PM_WORD_CHUNK_INTERIOR:
    case PM_WORD_FREE_CHUNK:
        describe_chunk(describer, ret_text, value);
        break;
    case PM_WORD_HEAP:
        ret_text->text = g_strdup("in a heap, but in no chunk");
        break;
    case PM_WORD_VTABLE:
        ret_text->text = describe_vtable(ret_text->word.vtable);
        break;
    case PM_WORD_RODATA:
        if (find_string(describer, value, RODATA_CHARACTERS_MIN, ret_text))
            break;
        /* fall through */
    case PM_WORD_CODE:
        if (ret_text->word.module != NULL)
            ret_text->text = describe_symbol(describer, value);
        if (ret_text->text == NULL && ret_text->word.module != NULL)
            ret_text->text = describe_in_module(ret_text->word.module, value);
        if (ret_text->text == NULL)
            ret_text->text = describe_mapping(describer, value);
        break;
    case PM_WORD_DATA:
        describe_data(describer, value, ret_text);
        break;
    case PM_WORD_STACK:
        ret_text->text = describe_stack(describer, ret_text->word.thread, value);
        break;
    case PM_WORD_MAPPING:
        ret_text->text = describe_mapping(describer, value);
        break;
    }
}

void
pm_word_text_clear(PmWordText *text)
{
    g_clear_pointer(&text->text, g_free);
}
