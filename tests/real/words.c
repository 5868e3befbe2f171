/*
 * PT_LOAD segments of a mapped core.
 */
#include "words.h"

#include <elf.h>
#include <string.h>

struct RealWords {
    GMappedFile *file;
    const char *bytes;
    gsize length;
    GArray *segments; /* Elf64_Phdr */
    const Elf64_Phdr *last;
};

RealWords *
real_words_open(const char *core)
{
    RealWords *words = g_new0(RealWords, 1);
    words->file = g_mapped_file_new(core, FALSE, NULL);
    g_assert(words->file != NULL);
    words->bytes = g_mapped_file_get_contents(words->file);
    words->length = g_mapped_file_get_length(words->file);
    words->segments = g_array_new(FALSE, FALSE, sizeof(Elf64_Phdr));
    Elf64_Ehdr header;
    g_assert(words->length >= sizeof header);
    memcpy(&header, words->bytes, sizeof header);
    for (gsize i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        gsize at = header.e_phoff + i * sizeof segment;
        g_assert(at + sizeof segment <= words->length);
        memcpy(&segment, words->bytes + at, sizeof segment);
        if (segment.p_type == PT_LOAD && segment.p_offset + segment.p_filesz <= words->length)
            g_array_append_val(words->segments, segment);
    }
    return words;
}

void
real_words_free(RealWords *words)
{
    g_array_unref(words->segments);
    g_mapped_file_unref(words->file);
    g_free(words);
}

static gboolean
holds_word(const Elf64_Phdr *segment, guint64 address)
{
    return address >= segment->p_vaddr && segment->p_filesz >= sizeof(guint64) &&
           address - segment->p_vaddr <= segment->p_filesz - sizeof(guint64);
}

gboolean
real_words_get(RealWords *words, guint64 address, guint64 *ret_word)
{
    for (guint i = 0; i < words->segments->len; i++) {
        if (words->last != NULL && holds_word(words->last, address))
            break;
        words->last = &g_array_index(words->segments, Elf64_Phdr, i);
    }
    if (words->last == NULL || !holds_word(words->last, address))
        return FALSE;
    memcpy(ret_word, words->bytes + words->last->p_offset + (address - words->last->p_vaddr),
           sizeof *ret_word);
    return TRUE;
}
