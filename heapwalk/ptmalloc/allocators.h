/* Other allocators: recognised and named, not walked. */
#pragma once

#include "process/process.h"

/*
 * The allocator that serves malloc in place of glibc's, by the first module in search order that
 * exports malloc and by its marks: "jemalloc", "tcmalloc", "mimalloc", "musl", "scudo", "asan", or
 * the module's base name where it is none of these.
 *
 * @ret_module: (out) (optional): the module that gave it away.
 * Returns: (transfer full): NULL where none was recognised.
 */
char *pm_allocator_recognise(const PmProcess *process, const PmModule **ret_module);

/* The same by the modules' file names alone, which costs nothing. */
char *pm_allocator_recognise_file(const PmProcess *process, const PmModule **ret_module);

/* Sets PM_ERROR_NO_HEAP with a message that names what was recognised and what to try. */
void pm_allocator_set_no_heap(const PmProcess *process, GError **error);
