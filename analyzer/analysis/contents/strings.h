/*
 * The strings in chunks, and those that chunks point to, counted.
 */
#pragma once

#include "analysis/chunks.h"
#include "analysis/contents/places.h"

/*
 * @count: how often it was found; of pointed ones, how many words point to such a text. @bytes:
 * count × length. @example: where it stands first. @kind: of pointed ones, what that is:
 * PM_WORD_RODATA or a chunk kind.
 */
typedef struct {
    guint64 length_bytes;
    guint64 count;
    guint64 bytes;
    PmAddr example;
    PmWordKind kind;
} PmString;

/*
 * @inside: strings in the chunks themselves. @pointed: strings in read-only data, and in chunks in
 * use that do not pass the filter, to which aligned words of the chunks point; both ranked.
 * @chunks, @scanned_bytes: what was looked at; @missing_bytes: what of it the core has not.
 * @found, @found_bytes: all strings inside. @forgotten: rare strings that memory did not suffice
 * for; @shortfall: no count is short by more than this.
 */
typedef struct {
    PmString *inside;
    gsize inside_count;
    PmString *pointed;
    gsize pointed_count;
    guint64 chunks;
    guint64 scanned_bytes;
    guint64 missing_bytes;
    guint64 found;
    guint64 found_bytes;
    guint64 forgotten;
    guint64 shortfall;
} PmStrings;

/* @characters_min: of a string, ≥ 1. @by_bytes: rank by bytes, not by count. @jobs: worker threads,
 * 0 for as many as there are processors. */
typedef struct {
    gsize characters_min;
    gboolean by_bytes;
    guint jobs;
} PmStringsOptions;

/*
 * Reads all chunks that pass @filter.
 *
 * A string is what pm_text_scan() says, except that a short one is left out which lies in an
 * aligned word that is a pointer. @places: made for the same subject. @reach: needed where the
 * filter asks for classes; else it may be NULL. Never fails; memory is bounded, see @forgotten.
 */
PmStrings *pm_strings_new(const PmPlaces *places, const PmReach *reach, const PmChunkFilter *filter,
                          const PmStringsOptions *options);
void pm_strings_free(PmStrings *strings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmStrings, pm_strings_free)

/*
 * The text of @string, at most @max_bytes of it, read from the core once more.
 *
 * @ret_count: (out): how many bytes. Returns: (transfer full): NUL behind them; maybe not UTF-8 at
 *   its end where it was cut.
 */
char *pm_strings_read(const PmSubject *subject, const PmString *string, gsize max_bytes,
                      gsize *ret_count);
