/*
 * The facts about a core that more than one command shows: the process, its glibc, how complete the
 * core is.
 */
#pragma once

#include "report/sink.h"

/* What the modules' files give. */
typedef struct {
    gsize modules;
    gsize found;
    gsize missing;
    gsize mismatched;
    gsize with_symbols;
    gsize with_dwarf;
} PmModuleCounts;

/* Counts @process's modules, the vdso apart, which is no file. */
PmModuleCounts pm_facts_count_modules(const PmProcess *process);

/* "process", "glibc", "allocator" and "coverage" in the object that is open. */
void pm_facts_write_json(PmJson *json, const PmSubject *subject);

/* "SIGABRT in thread 31108", or "no signal". (transfer full) */
char *pm_facts_describe_signal(const PmProcessInfo *info);

/* "kernel core, 1.11 GiB, complete". (transfer full) */
char *pm_facts_describe_core(const PmImage *image);

/* "glibc 2.36, arenas found by signature"; what is known where there is none. (transfer full) */
char *pm_facts_describe_malloc(const PmSubject *subject);

/* "23 modules, 22 files found, 1 missing". (transfer full) */
char *pm_facts_describe_modules(const PmProcess *process);

/* "symbols for 19, DWARF for 6". (transfer full) */
char *pm_facts_describe_symbols(const PmProcess *process);

/* The name of the program without its folders, or NULL. Borrowed. */
const char *pm_facts_program(const PmProcessInfo *info);
