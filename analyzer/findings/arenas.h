/*
 * The suspect that is no leak: free memory that stays with the process, because something in use
 * stands behind it in every heap, or because too many arenas each keep some.
 */
#pragma once

#include "findings/findings.h"

/*
 * One suspect for all arenas, with what could be had back as its bytes.
 *
 * @input: its arenas must not be NULL.
 * Returns: (transfer full): NULL where the arenas hold as much free memory as a program usually
 * does: less than half of what they hold, or little.
 */
PmSuspect *pm_arenas_suspect(const PmFindingsInput *input);
