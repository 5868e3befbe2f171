/*
 * Small programs that are compiled, run until they abort, and looked at by their core: what DWARF
 * says of them is known, because they are spelled out in the test.
 */
#pragma once

#include "process/process.h"

#include <glib.h>

/*
 * @folder: temporary; sources, objects, program and core are in it. @options: for the next
 * compiled_reopen(); its strings are borrowed.
 */
typedef struct {
    char *folder;
    char *program;
    char *core;
    PmProcessOptions options;
    PmDiagnostics *diagnostics;
    PmImage *image;
    PmProcess *process;
} Compiled;

/* A source file; its name says its language. */
typedef struct {
    const char *name;
    const char *text;
} CompiledSource;

/*
 * Compiles @sources, one by one with @flags, and links them.
 *
 * @compiler: "gcc" or "clang", of which the C++ compilers are taken as well. @sources: ends with {
 * NULL }. @flags: words parted by spaces. Returns: (transfer full): NULL after g_test_skip() where
 * there is no compiler for it, or no core can be made here.
 */
Compiled *compiled_new(const char *compiler, const CompiledSource *sources, const char *flags);
void compiled_free(Compiled *compiled);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Compiled, compiled_free)

/* The program's own module. */
const PmModule *compiled_get_module(const Compiled *compiled);

/* Opens the core again, with the program as it is now. */
void compiled_reopen(Compiled *compiled);

/* Runs a command, words parted by spaces, in the folder. Returns: whether it could be run and was
 * content. */
gboolean compiled_run(const Compiled *compiled, const char *command);

/* Removes @path and, where it is a folder, all that is in it. */
void compiled_remove(const char *path);
