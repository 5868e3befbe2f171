/*
 * ELF objects in the memory of the process, by what maps them: NT_FILE, or, where that note is
 * missing, segments that begin with an ELF header. Names from the link map are not its business.
 */
#pragma once

#include "process/process-private.h"

/*
 * @base: where its ELF header is (or would be, where the core left the page out).
 * @end: of its extent, exclusive.
 * @path: (nullable): from NT_FILE, without " (deleted)".
 * @head: from the core, or from the file at @path where the core has no such page.
 */
typedef struct {
    PmAddr base;
    PmAddr end;
    char *path;
    PmElfHead head;
    gboolean head_in_core;
    gboolean is_executable_mapping; /* some of it may be run */
    gboolean taken;                 /* is a module already */
} PmLoaded;

/* Returns: (transfer full): PmLoaded *, ascending by base, without overlaps. */
GPtrArray *pm_loaded_find_all(const PmProcess *process);

/* The one whose extent holds @address, or NULL. O(log n). Borrowed. */
PmLoaded *pm_loaded_find(const GPtrArray *all, PmAddr address);

/* Address minus p_vaddr. */
guint64 pm_loaded_get_bias(const PmLoaded *loaded);
