/*
 * The variables with a place of their own, by DWARF: globals, statics of files, functions and
 * classes, thread-locals; and the field of them that an address is in. Says what symbols.h cannot:
 * what lies at symbol + offset.
 */
#pragma once

#include "process/process.h"

/*
 * The variable that covers @address in a module's data, with the field there: "session_table",
 * "session_table.buckets[3].head", "app::cache.head", "next_id::counter" (a static local of
 * next_id), "session_table.count + 0x4" (within the field, or in padding behind it).
 *
 * A path ends at a pointer or a scalar. Base classes and members without a name add nothing to it;
 * in a union it is the first member that has a pointer there, or else the first one.
 *
 * Returns: (transfer full): NULL where no variable is known there: @address in no module, no DWARF
 *   for the module (in its file, its debug file, or through debuginfod as symbols are), no variable
 *   that covers it. The bytes are those of the DWARF: to be sanitised before they are shown.
 *
 * The first call for a module reads all its DWARF and sorts its variables; the others are O(log n)
 * and read the variable's types. One thread at a time.
 */
char *pm_process_describe_variable(const PmProcess *process, PmAddr address);

/*
 * The same for @address in a TLS block of @thread, static or dynamic.
 *
 * @thread: one of @process; its DTV says where the blocks are.
 * @ret_module: (out) (optional): the module whose variable it is, borrowed; untouched on NULL.
 */
char *pm_process_describe_thread_local(const PmProcess *process, const PmThread *thread,
                                       PmAddr address, const PmModule **ret_module);
