/* What the files of this room share: the process while it is being put together, and after. */
#pragma once

#include "process/elffile.h"
#include "process/process.h"

typedef struct PmDebugInfo PmDebugInfo;
typedef struct PmSymbolTables PmSymbolTables;
typedef struct PmUnwinder PmUnwinder;

typedef struct {
    guint64 type;
    guint64 value;
} PmAuxv;

/*
 * What belongs to the module at the same index, and no other room needs.
 *
 * @head: its program headers, from the core or, failing that, from its file; count 0 where neither
 * is here.
 * @head_in_core: @head came from the core. @build_id_known: so did its notes, so that no build-id
 * means it has none.
 * @mapped_path: its path in NT_FILE, or NULL.
 * @file: (nullable): the file whose build-id agreed; for the vdso a copy of its image.
 * @debug_file: (nullable): a separate debug file on this machine whose build-id agrees.
 */
typedef struct {
    PmElfHead head;
    gboolean head_in_core;
    gboolean build_id_known;
    char *mapped_path;
    PmElfFile *file;
    PmElfFile *debug_file;
} PmModuleParts;

void pm_module_parts_free(PmModuleParts *parts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmModuleParts, pm_module_parts_free)

/*
 * @modules, @parts: PmModule and PmModuleParts *, the same index for the same module.
 * @by_address: guint32 indexes of @modules, ascending by start; extents do not overlap.
 */
struct PmProcess {
    const PmImage *image;
    PmDiagnostics *diagnostics;
    PmSpace *space;
    char *exe;
    char *sysroot;
    char *debug_dir;
    PmElfFile *exe_file;
    guint64 page_bytes;
    GArray *auxv;
    PmProcessInfo info;
    GArray *modules;
    GPtrArray *parts;
    GArray *by_address;
    GArray *threads;
    PmSymbolTables *symbols;
    PmUnwinder *unwinder;
    PmDebugInfo *debuginfo;
};

/* info.c: NT_AUXV, before anything else. */
void pm_process_read_auxv(PmProcess *process);
/* info.c: NT_PRPSINFO, NT_SIGINFO; after the modules and threads. */
void pm_process_read_info(PmProcess *process);

/* modules.c: fills modules, parts and by_address. */
void pm_process_read_modules(PmProcess *process);
/* modules.c: extent, data, dynamic section and TLS size of @module, by its parts' program headers.
 */
void pm_process_describe_module(const PmProcess *process, PmModule *module);
/* files.c: finds each module's file, takes what it offers, says what is missing. */
void pm_process_attach_files(PmProcess *process);
/*
 * debugfiles.c: the separate debug file of @module on this machine, by build-id or .gnu_debuglink.
 *
 * Returns: (transfer full) (nullable).
 */
PmElfFile *pm_process_find_debug_file(const PmProcess *process, const PmModule *module);
/* debugfiles.c: where a file with @build_id would be: TREE/.build-id/xx/yyyy and @suffix.
 * (transfer full): NULL-terminated. */
char **pm_process_list_debug_paths(const PmProcess *process, const char *build_id,
                                   const char *suffix);
/* debugfiles.c: the same for the ELF file itself: DIR/.build-id/xx/yyyy. */
PmElfFile *pm_process_find_by_build_id(const PmProcess *process, const char *build_id,
                                       const char *suffix);
/* dwfl.c: the ELF file of @module by its build-id through debuginfod, where DEBUGINFOD_URLS is set.
 * (transfer full) (nullable). */
PmElfFile *pm_process_download_elf(const PmProcess *process, const PmModule *module);
/* threads.c: from NT_PRSTATUS, or by shape; fills threads. */
void pm_process_read_threads(PmProcess *process);
/* tcb.c: threads by the shape of their thread control blocks. */
void pm_process_recover_threads(PmProcess *process);
/* tls.c: DTVs and static TLS of the threads, TLS ids of the modules. */
void pm_process_read_tls(PmProcess *process);
/* unwind.c: what unwinding keeps; empty until a thread is first unwound. @process: borrowed for its
 * life. */
PmUnwinder *pm_unwinder_new(const PmProcess *process);
void pm_unwinder_free(PmUnwinder *unwinder);
/* debuginfo.c: the modules' DWARF; nothing is opened until it is asked for. @process: borrowed for
 * its life. */
PmDebugInfo *pm_debug_info_new(const PmProcess *process);
void pm_debug_info_free(PmDebugInfo *info);

static inline PmModule *
pm_process_module_at(const PmProcess *process, guint index)
{
    return &g_array_index(process->modules, PmModule, index);
}

static inline PmModuleParts *
pm_process_parts_at(const PmProcess *process, guint index)
{
    return g_ptr_array_index(process->parts, index);
}

/* The parts of one of the process's own modules. */
static inline PmModuleParts *
pm_process_parts_of(const PmProcess *process, const PmModule *module)
{
    return pm_process_parts_at(process, (guint)(module - pm_process_module_at(process, 0)));
}
