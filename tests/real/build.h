/*
 * Builds samples in ways that meson's own build does not: statically, for an older glibc, and
 * without symbols.
 */
#pragma once

#include <glib.h>

/*
 * Compiles the sample @name to @output with the compiler that built the project.
 *
 * @options: further options of the compiler, parted by spaces, such as "-static -s".
 * Returns: FALSE where that fails; @ret_why then says why (transfer full).
 */
gboolean real_build_sample(const char *name, const char *output, const char *options,
                           char **ret_why);

/*
 * Compiles the sample @name so that it runs under the glibc that is unpacked at @sysroot and every
 * newer one: with that one's headers and start files, and linked to no symbol version that it does
 * not have.
 *
 * @sysroot: libc6 and libc6-dev of Debian, unpacked.
 * @runtime: the sysroot whose loader and libc the program shall ask for by itself, or NULL for the
 * usual paths. Returns: as real_build_sample().
 */
gboolean real_build_portable(const char *name, const char *output, const char *sysroot,
                             const char *runtime, char **ret_why);

/* Copies the file @name of the built samples to @folder, and strips it of all symbols where @strip
 * is set. Returns: FALSE where it was not built, or that fails. */
gboolean real_copy_sample(const char *name, const char *folder, gboolean strip);

/* The loader of a sysroot, and the folder of its libraries. (transfer full) */
char *real_get_loader(const char *sysroot);
char *real_get_libraries(const char *sysroot);
