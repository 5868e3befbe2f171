/*
 * The notes of a core: the list itself, and NT_FILE. What other notes mean is the process room's
 * business.
 */
#include "image/image-private.h"

#include <elf.h>
#include <string.h>

/* Each note is 12 bytes or more, but a core could be all notes; a process of 2^20 threads has no
 * more. */
#define NOTES_MAX (1u << 20)

/* Notes of cores are aligned to 4 bytes on every architecture that Linux writes them for
 * (fs/binfmt_elf.c, writenote). */
static guint64
note_align(guint64 bytes)
{
    return pm_align_up(bytes, 4);
}

static void
parse_range(PmImage *image, PmRange range, GArray *notes)
{
    guint64 offset = range.start;
    while (range.end - offset >= sizeof(Elf64_Nhdr) && notes->len < NOTES_MAX) {
        const guint8 *header = image->bytes + offset;
        const guint32 name_bytes = (guint32)pm_image_load(header, 4);
        const guint32 desc_bytes = (guint32)pm_image_load(header + 4, 4);
        const guint64 left = range.end - offset - sizeof(Elf64_Nhdr);
        if (note_align(name_bytes) > left || desc_bytes > left - note_align(name_bytes)) {
            if (!pm_image_is_truncated(image))
                pm_diagnostics_add(image->diagnostics, "note-bad", PM_SEVERITY_WARNING,
                                   PM_ADDR_NONE,
                                   "a note reaches past the end of its segment: it and the ones "
                                   "behind it are left out");
            return;
        }
        PmNote note = {
            .name = (const char *)header + sizeof(Elf64_Nhdr),
            .name_bytes = name_bytes,
            .type = (guint32)pm_image_load(header + 8, 4),
            .desc = header + sizeof(Elf64_Nhdr) + note_align(name_bytes),
            .desc_bytes = desc_bytes,
        };
        while (note.name_bytes > 0 && note.name[note.name_bytes - 1] == '\0')
            note.name_bytes--;
        g_array_append_val(notes, note);
        const guint64 desc_room = MIN(note_align(desc_bytes), left - note_align(name_bytes));
        offset += sizeof(Elf64_Nhdr) + note_align(name_bytes) + desc_room;
    }
}

static gint
compare_mappings(gconstpointer a, gconstpointer b)
{
    const PmFileMapping *left = a;
    const PmFileMapping *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* Sorts and drops what overlaps. */
static void
freeze_mappings(PmImage *image, GArray *mappings)
{
    gsize kept = 0;
    PmFileMapping *all = (PmFileMapping *)(gpointer)mappings->data;

    g_array_sort(mappings, compare_mappings);
    for (guint i = 0; i < mappings->len; i++)
        if (all[i].start < all[i].end && (kept == 0 || all[i].start >= all[kept - 1].end))
            all[kept++] = all[i];
    image->file_mappings =
        (PmFileMapping *)(gpointer)g_array_steal(mappings, &image->file_mapping_count);
    image->file_mapping_count = kept;
}

/*
 * NT_FILE (fs/binfmt_elf.c, fill_files_note): count, page size, count × {start, end, offset in
 * pages}, then the paths, NUL-terminated; all of them target words.
 */
static void
parse_file_note(PmImage *image, const PmNote *note)
{
    const guint64 word = image->target.word_bytes;
    if (note->desc_bytes < 2 * word)
        return;

    const guint64 promised = pm_image_load(note->desc, word);
    const guint64 page_bytes = pm_image_load(note->desc + word, word);
    const guint64 count = MIN(promised, (note->desc_bytes - 2 * word) / (3 * word));
    const guint8 *entry = note->desc + 2 * word;
    const char *path = (const char *)entry + count * 3 * word;
    const char *end = (const char *)note->desc + note->desc_bytes;
    g_autoptr(GArray) mappings = g_array_new(FALSE, FALSE, sizeof(PmFileMapping));

    for (guint64 i = 0; i < count; i++, entry += (gsize)3 * word) {
        const char *nul = memchr(path, '\0', (gsize)(end - path));
        if (nul == NULL)
            break;
        const PmFileMapping mapping = {
            .start = pm_image_load(entry, word),
            .end = pm_image_load(entry + word, word),
            .file_offset_bytes = pm_image_load(entry + 2 * (gsize)word, word) * page_bytes,
            .path = path,
        };
        g_array_append_val(mappings, mapping);
        path = nul + 1;
    }
    if (mappings->len < promised)
        pm_diagnostics_add(image->diagnostics, "note-bad", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "NT_FILE promises %" G_GUINT64_FORMAT " mappings but holds %u", promised,
                           mappings->len);
    freeze_mappings(image, mappings);
}

void
pm_image_parse_notes(PmImage *image)
{
    g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(PmNote));
    for (guint i = 0; i < image->note_ranges->len; i++)
        parse_range(image, g_array_index(image->note_ranges, PmRange, i), notes);
    image->notes = (PmNote *)(gpointer)g_array_steal(notes, &image->note_count);

    const PmNote *file_note = pm_image_find_note(image, "CORE", NT_FILE);
    if (file_note != NULL)
        parse_file_note(image, file_note);
    if (image->note_count == 0)
        pm_diagnostics_add(image->diagnostics, "notes-missing", PM_SEVERITY_WARNING, PM_ADDR_NONE,
                           "no notes: threads, registers and the names of mapped files are not in "
                           "this core%s",
                           pm_image_is_truncated(image) ? " (gcore writes them last)" : "");
}
