/*
 * What a module takes from others and offers them, by its dynamic section as it lies in memory, so
 * that it is read alike from a core and from a file. (ELF gABI, chapter 5; psABI of x86-64)
 */
#pragma once

#include "process/process.h"

/*
 * A word that the dynamic linker fills with the address of the function @name.
 *
 * @slot: its module address. @name: of the symbol, owned by the PmDynamic.
 */
typedef struct {
    guint64 slot;
    const char *name;
} PmImport;

/* A function that others may call. @address: its module address. */
typedef struct {
    guint64 address;
    const char *name;
} PmExport;

/* @imports: PmImport by slot. @exports: PmExport by address. */
typedef struct {
    GArray *imports;
    GArray *exports;
    GStringChunk *names;
} PmDynamic;

/* Reads what there is; a module without a dynamic section, or one that is not in the core, has
 * neither. */
void pm_dynamic_read(PmDynamic *dynamic, const PmProcess *process, const PmModule *module);
/* Puts both lists in order after something was appended. */
void pm_dynamic_sort(PmDynamic *dynamic);

void pm_dynamic_clear(PmDynamic *dynamic);
