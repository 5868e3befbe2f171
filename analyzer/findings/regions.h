/*
 * Suspects that are no chunks: stacks that stay mapped after their threads, and other mappings that
 * repeat.
 */
#pragma once

#include "findings/findings.h"

/*
 * One suspect for each group of orphan stacks, of stacks of threads that nobody joined, and of
 * equal private mappings that hold much of the memory; at most a few. A program whose threads were
 * joined or detached, and whose mappings are no more than usual, has none.
 *
 * @input: its regions must not be NULL. @suspects: gets PmSuspect, owned by it.
 */
void pm_regions_suspect(const PmFindingsInput *input, GPtrArray *suspects);
