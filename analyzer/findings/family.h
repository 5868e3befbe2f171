/*
 * Lost chunks of many sizes that are one kind of thing, texts of any length for one: no size stands
 * out, and all of them together do.
 */
#pragma once

#include "findings/hidden.h"

/*
 * @hidden: (nullable): what throws doubt on all that is lost. @most_blamed: of the single sizes the
 * bytes that one answers for; a family has to have more. Returns: (transfer full): NULL where there
 * is none.
 */
PmSuspect *pm_family_find(const PmFindingsInput *input, const PmHidden *hidden,
                          guint64 most_blamed);
