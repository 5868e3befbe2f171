/*
 * Interior pointers that stand for the whole chunk. The three heuristics are memcheck's
 * (--leak-check-heuristics), with what a core can tell: chunk sizes, not requests.
 */
#include "analysis/reach/reach-private.h"

/* Reads the word at @address; FALSE where it is not known. Zeros of a hole are known. */
static gboolean
read_word(const PmReach *reach, PmReader *reader, PmAddr address, guint64 *ret_word)
{
    guint64 length = 0;
    const guint8 *bytes = pm_reader_get(reader, address, &length);
    if (bytes == NULL || length < reach->word_bytes)
        return pm_space_read_word(reach->space, address, ret_word);
    *ret_word = pm_load_word(bytes, reach->word_bytes);
    return TRUE;
}

/* Whether a request for @bytes gives a chunk of @chunk's size. */
static gboolean
fits_request(const PmReach *reach, const PmSlotChunk *chunk, guint64 bytes)
{
    return pm_ptmalloc_get_chunk_bytes(reach->subject->ptmalloc, bytes) == chunk->chunk_bytes;
}

/*
 * libstdc++'s old std::string: the pointer is to the characters, behind a _Rep of length, capacity
 * and reference count; it asked for sizeof(_Rep) + capacity + 1 bytes.
 */
static gboolean
is_string(const PmReach *reach, PmReader *reader, const PmSlotChunk *chunk, guint64 offset)
{
    guint64 length = 0, capacity = 0, bytes = 0;
    const guint64 rep_bytes = 3 * (guint64)reach->word_bytes;
    return offset == rep_bytes && read_word(reach, reader, chunk->user, &length) &&
           read_word(reach, reader, chunk->user + reach->word_bytes, &capacity) &&
           length <= capacity && pm_addr_add(capacity, rep_bytes + 1, &bytes) &&
           fits_request(reach, chunk, bytes);
}

/*
 * new[] of a class with a destructor: the pointer is to the first element, behind the number of
 * elements (Itanium C++ ABI, array cookies). Some element size must make up a request that gives
 * this chunk.
 */
static gboolean
is_array(const PmReach *reach, PmReader *reader, const PmSlotChunk *chunk, guint64 offset)
{
    guint64 elements = 0, least = 0, most = 0;
    if (offset != reach->word_bytes || !read_word(reach, reader, chunk->user, &elements) ||
        elements == 0)
        return FALSE;
    pm_ptmalloc_get_request_range(reach->subject->ptmalloc, chunk->chunk_bytes, &least, &most);
    if (most <= reach->word_bytes || elements > most - reach->word_bytes)
        return FALSE;
    const guint64 element_bytes = (most - reach->word_bytes) / elements;
    return element_bytes * elements + reach->word_bytes >= least;
}

/* Whether @address is that of a vtable: in a module's memory, and what it holds leads to code. */
static gboolean
is_vtable(const PmReach *reach, PmReader *reader, guint64 address)
{
    guint64 function = 0;
    if (address % reach->word_bytes != 0 ||
        pm_process_find_module(reach->subject->process, address) == NULL)
        return FALSE;
    /* A slot may be null, of a pure virtual destructor; one of the first three is not. */
    for (guint i = 0; i < 3; i++) {
        if (!read_word(reach, reader, address + i * (guint64)reach->word_bytes, &function))
            return FALSE;
        const PmSegment *segment = pm_image_find_segment(reach->subject->image, function);
        if (segment != NULL && (segment->flags & 1) != 0) /* PF_X */
            return TRUE;
        /* gcore leaves out what it can take from files. */
        if (segment == NULL && pm_process_find_module(reach->subject->process, function) != NULL)
            return TRUE;
    }
    return FALSE;
}

/* Multiple inheritance: the pointer is to a second base, which has a vtable as the object's start
 * has. */
static gboolean
is_second_base(const PmReach *reach, PmReader *reader, const PmSlotChunk *chunk, guint64 offset)
{
    guint64 first = 0, second = 0;
    return offset % reach->word_bytes == 0 && read_word(reach, reader, chunk->user, &first) &&
           read_word(reach, reader, chunk->user + offset, &second) && first != second &&
           is_vtable(reach, reader, first) && is_vtable(reach, reader, second);
}

gboolean
pm_reach_is_whole(const PmReach *reach, PmReader *reader, const PmHit *hit, guint64 value)
{
    PmSlotChunk chunk;
    pm_resolver_get_chunk(reach->resolver, hit->slot, hit->region, &chunk);
    const guint64 offset = value - chunk.user;
    return is_string(reach, reader, &chunk, offset) || is_array(reach, reader, &chunk, offset) ||
           is_second_base(reach, reader, &chunk, offset);
}
