/*
 * Lost chunks of many sizes that are one kind of thing, texts of any length for one: no size stands
 * out, and all of them together do.
 */
#pragma once

#include "findings/hidden.h"

/*
 * @suspect: (transfer full). @chunk_bytes: the size that most of its chunks have.
 */
typedef struct {
    PmSuspect *suspect;
    guint64 chunk_bytes;
} PmFamilyFinding;

/*
 * @hidden: (nullable): what throws doubt on all that is lost. @most_blamed: of the single sizes the
 * bytes that one answers for; a family has to have more. Returns: FALSE where there is none; the
 * finding is untouched then.
 */
gboolean pm_family_find(const PmFindingsInput *input, const PmHidden *hidden, guint64 most_blamed,
                        PmFamilyFinding *ret_finding);
