/*
 * A sample's ledger, read back, and what the chunks of a core must be by it. samples/ledger.h has
 * the format.
 */
#pragma once

#include <glib.h>

typedef enum {
    REAL_PLACE_MAIN,
    REAL_PLACE_THREAD,
    REAL_PLACE_MMAPPED,
} RealPlace;

/*
 * One live row. @reach: the class, as `chunks` names it. @name: what the sample calls it, or NULL.
 * @seen: for the comparison's own use.
 */
typedef struct {
    guint64 address;
    guint64 requested_bytes;
    guint64 usable_bytes;
    guint64 chunk_bytes; /* what the chunk's size field must be, by glibc's version */
    RealPlace place;
    char reach[20];
    char *name;
    gboolean seen;
} RealRow;

/* What mallinfo() said: see mallinfo(3). */
typedef struct {
    guint64 arena;
    guint64 hblks;
    guint64 hblkhd;
    guint64 fordblks;
    guint64 fsmblks;
} RealMallinfo;

/*
 * @live: RealRow by ascending address. @freed: how many rows are freed. @first_of_main: the lowest
 * address that the main arena ever gave the program, live or freed.
 */
typedef struct {
    guint32 pid;
    guint glibc_major;
    guint glibc_minor;
    char *glibc;
    GArray *live;
    guint64 freed;
    guint64 first_of_main;
    guint64 mapped_bytes; /* of the live mmapped blocks' mappings */
    RealMallinfo mallinfo;
} RealTruth;

/* Reads the ledger; a ledger that is not complete, or two live rows of one address, is a
 * g_assert(). */
RealTruth *real_truth_read(const char *path);
void real_truth_free(RealTruth *truth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RealTruth, real_truth_free)

/* The live row at @address, or NULL. O(log n). Borrowed. */
RealRow *real_truth_find(const RealTruth *truth, guint64 address);

/* Clears @seen of every row. */
void real_truth_reset(const RealTruth *truth);

/* TRUE where the program's glibc is 2.@minor or newer. */
gboolean real_truth_is_since(const RealTruth *truth, guint minor);
