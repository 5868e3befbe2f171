/*
 * What glibc allocates for the program: directory streams, lists of exit functions, locale data.
 * Only those whose numbers add up to the request.
 */
#include "analysis/types/recognisers/recognisers.h"

#include <string.h>

typedef struct {
    PmPlaces *places;
    const PmSpace *space;
    const PmImage *image;
    gsize word_bytes;
} State;

static gpointer
open_glibc(PmPlaces *places, G_GNUC_UNUSED PmTypes *types)
{
    const PmSubject *subject = pm_places_get_subject(places);
    State *state = g_new0(State, 1);
    state->places = places;
    state->space = pm_process_get_space(subject->process);
    state->image = subject->image;
    state->word_bytes = pm_image_get_target(subject->image)->word_bytes;
    return state;
}

/* sysdeps/unix/sysv/linux/opendir.c, __alloc_dir: at least 32,768 bytes of entries (BUFSIZ times
 * four in old versions), at most 1 MiB. */
#define DIR_LEAST     4096
#define DIR_MOST      ((guint64)1 << 20)
#define DIR_FILES_MAX (1U << 24)
#define ERRNO_MAX     4096

/* Of a struct dirent64: d_ino, d_off, d_reclen, d_type, d_name[256]. */
#define ENTRY_LEAST  24
#define ENTRY_MOST   280
#define ENTRY_TYPES  15
#define ENTRY_RECLEN 16
#define ENTRY_TYPE   18
#define ENTRY_NAME   19

/* Whether the first entry at @bytes is one: a d_name with a NUL within its record. */
static gboolean
is_entry(const guint8 *bytes, gsize count)
{
    if (count < ENTRY_LEAST)
        return FALSE;
    const gsize length = bytes[ENTRY_RECLEN] | (gsize)bytes[ENTRY_RECLEN + 1] << 8;
    if (length < ENTRY_LEAST || length > ENTRY_MOST || length > count || length % 4 != 0 ||
        bytes[ENTRY_TYPE] > ENTRY_TYPES || bytes[ENTRY_NAME] == 0)
        return FALSE;
    return memchr(bytes + ENTRY_NAME, 0, length - ENTRY_NAME) != NULL;
}

/*
 * sysdeps/posix/dirstream.h, struct __dirstream: fd, lock, allocation, size, offset, filepos,
 * errcode, then the buffer of @allocation bytes.
 */
static gboolean
recognise_dir(const State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    const gsize word = state->word_bytes;
    const gsize header = word == 8 ? 48 : 28;
    if (chunk->count < header || chunk->chunk->usable_bytes < DIR_LEAST)
        return FALSE;
    const guint32 fd = pm_load_u32(chunk->bytes);
    const guint32 lock = pm_load_u32(chunk->bytes + 4);
    const guint64 allocation = pm_load_word(chunk->bytes + 8, word);
    const guint64 size = pm_load_word(chunk->bytes + 8 + word, word);
    const guint64 offset = pm_load_word(chunk->bytes + 8 + 2 * word, word);
    const guint32 code = pm_load_u32(chunk->bytes + 8 + 4 * word);
    if (fd >= DIR_FILES_MAX || lock > 2 || allocation < DIR_LEAST || allocation > DIR_MOST ||
        allocation % 512 != 0 || size > allocation || offset > size || code > ERRNO_MAX)
        return FALSE;
    /* The buffer is aligned to a word, or to long long where that is more. */
    const PmFit fit = pm_recogniser_fit(chunk, header + allocation);
    if (fit == PM_FIT_NONE || (size > 0 && !is_entry(chunk->bytes + header, chunk->count - header)))
        return FALSE;
    recognition->name = "DIR";
    recognition->confidence = size > 0 ? 0.99 : 0.9;
    recognition->reason = size > 0 ? "a directory stream's buffer and entries fill the request"
                                   : "a directory stream's empty buffer fills the request";
    return TRUE;
}

/* stdlib/exit.h: struct exit_function_list of 32 functions; ef_us and ef_cxa are the flavors. */
#define EXIT_FUNCTIONS      ((gsize)32)
#define EXIT_FLAVOR_LEAST   2
#define EXIT_FLAVOR_MOST    4
#define EXIT_FUNCTION_WORDS 4
/* Fewer are no evidence. */
#define EXIT_LEAST 3

static gboolean
recognise_exit_functions(const State *state, const PmRecogniserChunk *chunk,
                         PmRecognition *recognition)
{
    const gsize word = state->word_bytes;
    const guint64 used = pm_recogniser_load(chunk, word, 1);
    const gsize bytes = (2 + EXIT_FUNCTIONS * EXIT_FUNCTION_WORDS) * word;
    if (used < EXIT_LEAST || used > EXIT_FUNCTIONS ||
        pm_recogniser_fit(chunk, bytes) == PM_FIT_NONE)
        return FALSE;
    for (gsize i = 0; (i + 1) * EXIT_FUNCTION_WORDS + 2 <= chunk->count / word; i++) {
        const gsize at = 2 + i * EXIT_FUNCTION_WORDS;
        const guint64 flavor = pm_recogniser_load(chunk, word, at);
        if (i >= used) {
            /* Never used: it comes from calloc. */
            if (flavor != 0)
                return FALSE;
            continue;
        }
        /* A mangled pointer is no small number. (PTR_MANGLE rotates and XORs) */
        if (flavor < EXIT_FLAVOR_LEAST || flavor > EXIT_FLAVOR_MOST ||
            pm_recogniser_load(chunk, word, at + 1) < 4096)
            return FALSE;
    }
    recognition->name = "exit functions (glibc)";
    recognition->confidence = 0.97;
    recognition->reason =
        "a count, and as many entries of atexit's flavors in a request of that size";
    return TRUE;
}

/* locale/localeinfo.h, struct __locale_data; two words of private data before 2.37, one since. */
#define LOCALE_STRINGS_MAX 4096

static gboolean
leads_to_locale_file(const State *state, PmAddr address)
{
    const PmFileMapping *mapping = pm_image_find_file_mapping(state->image, address);
    return mapping != NULL && mapping->path != NULL && strstr(mapping->path, "locale") != NULL;
}

static gboolean
recognise_locale(const State *state, const PmRecogniserChunk *chunk, PmRecognition *recognition)
{
    const gsize word = state->word_bytes;
    const guint64 file = pm_recogniser_load(chunk, word, 1);
    if (!leads_to_locale_file(state, file))
        return FALSE;
    for (gsize private_words = 1; private_words <= 2; private_words++) {
        /* Behind name, filedata, filesize, alloc, private: usage_count, use_translit, nstrings. */
        const gsize counts = (4 + private_words) * word;
        const gsize header = (gsize)pm_align_up(counts + 12, word);
        if (header > chunk->count)
            continue;
        const guint64 strings = pm_load_u32(chunk->bytes + counts + 8);
        if (strings == 0 || strings > LOCALE_STRINGS_MAX ||
            pm_recogniser_fit(chunk, header + strings * word) == PM_FIT_NONE)
            continue;
        recognition->name = "locale data (glibc)";
        recognition->confidence = 0.97;
        recognition->reason = "leads to a locale file, and its count of values fills the request";
        return TRUE;
    }
    return FALSE;
}

static gboolean
recognise_glibc(gpointer data, const PmRecogniserChunk *chunk, PmRecognition *ret_recognition)
{
    const State *state = data;
    return recognise_dir(state, chunk, ret_recognition) ||
           recognise_exit_functions(state, chunk, ret_recognition) ||
           recognise_locale(state, chunk, ret_recognition);
}

const PmRecogniser pm_recogniser_glibc = {
    .id = "glibc",
    .min_bytes = 64,
    .max_bytes = 2 * DIR_MOST,
    .first_words = PM_RECOGNISER_ANY_WORD,
    .open = open_glibc,
    .recognise = recognise_glibc,
    .close = g_free,
};
