/*
 * Compares what the leak scan says of a core with a sample's ledger, and what it says of references
 * with the words of the core.
 */
#pragma once

#include "tool.h"
#include "truth.h"

/*
 * Asks `chunks` and `leaks`; fails the test where
 *   - the class of a block is another than the ledger's, or a block is not there
 *   - a chunk that libc or ld.so made for the program is lost, or one of glibc's own has a class
 *   - the counts and bytes of a class, or of what is lost, are not the sums over the chunks
 *   - the groups do not add up to what is lost
 *   - roots are missing, something is uncertain, or there is a warning
 *
 * Returns: (transfer full): the document of `leaks`; NULL after g_test_fail().
 */
JsonNode *real_compare_reach(const RealSubject *subject, RealTruth *truth);

/*
 * What holds blocks of a name: the kind of the root at the head of their `path`, and its symbol
 * (NULL: not looked at).
 */
typedef struct {
    const char *name;
    const char *kind;
    const char *symbol;
} RealHolder;

/*
 * Asks `path` and `refs` for the first and the last block of every name; fails the test where
 *   - a step of a path is not what the words of the core say, or the path does not end at the block
 *   - a block that is not lost has no path, or a lost one has one; the root's strength is not the
 *     class's
 *   - @holders (the last has no name) know another root
 *   - the blocks that refer to it, or that it refers to, are not exactly those whose words do
 */
void real_compare_references(const RealSubject *subject, const RealTruth *truth,
                             const RealHolder *holders);
