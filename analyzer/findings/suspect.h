/*
 * A suspect: what deserves a look, why, what speaks against it, and what to type next. Sizes of
 * chunks, groups of regions and arenas all take this form.
 */
#pragma once

#include "analysis/evidence.h"

#include <glib.h>

typedef enum {
    PM_SUSPECT_SIZE,
    PM_SUSPECT_REGION,
    PM_SUSPECT_ARENA,
} PmSuspectKind;

/* "size", "region", "arena"; static. */
const char *pm_suspect_kind_name(PmSuspectKind kind);

/* How sure a suspect is, in words: below PM_CONFIDENCE_MEDIUM "low", below PM_CONFIDENCE_HIGH
 * "medium", else "high". */
#define PM_CONFIDENCE_MEDIUM 0.4
#define PM_CONFIDENCE_HIGH   0.75

/* Static. */
const char *pm_confidence_word(double confidence);

/* No number: what does not apply to a suspect's kind, or is not known. */
#define PM_SUSPECT_NONE G_MAXUINT64

/*
 * @title: one line, without the confidence: "requests of 20 bytes · 37,000,000 chunks · 1.10 GiB".
 *   UTF-8; sinks make it ASCII where they have to.
 * @chunk_bytes, @request_bytes: PM_SUSPECT_NONE where they do not apply or are not known.
 * @chunks: chunks, or regions of a group. @bytes: of them, as the title says.
 * @share_of_used: of all chunk_bytes in use, of regions of all touched bytes; below 0 where
 * unknown.
 * @lost_share: 0 … 1, of its bytes; below 0 where it does not apply.
 * @per_hour: how many of them an hour came to be; below 0 where that is not known.
 * @type: name, or NULL.
 * @looks: (nullable): the line of the page about the contents.
 * @sites: PmRankedSite *, best first; NULL where no code was looked at; owned; the sites that they
 *   rank are the findings'. @sites_omitted: the less likely ones that are not among them. @askers:
 *   how many calls, of all there are, are known to ask for such a size.
 * @confidence: 0 … 1, that this is what it is suspected of, not that each word of it is right.
 * @interest: what ranks it among all suspects: bytes that could be had back, weighed by confidence.
 * @evidence: PmEvidence; negative weights speak against it.
 * @next: commands without the leading "postmalloc": "sites CORE --size 20"; NULL-terminated when
 *   finished.
 */
typedef struct {
    PmSuspectKind kind;
    char *title;
    guint64 chunk_bytes;
    guint64 request_bytes;
    guint64 chunks;
    guint64 bytes;
    double share_of_used;
    double lost_share;
    double per_hour;
    char *type;
    char *looks;
    GPtrArray *sites;
    guint sites_omitted;
    guint askers;
    double confidence;
    double interest;
    GArray *evidence;
    GPtrArray *next;
} PmSuspect;

/* A suspect of @kind without anything: sizes are PM_SUSPECT_NONE, shares and rate below 0.
 * (transfer full) */
PmSuspect *pm_suspect_new(PmSuspectKind kind);
void pm_suspect_free(PmSuspect *suspect);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSuspect, pm_suspect_free)

/* Adds a command to suspect->next. */
void pm_suspect_add_next(PmSuspect *suspect, const char *format, ...) G_GNUC_PRINTF(2, 3);
