/*
 * One spelling for the names that compilers, demanglers and people give to one C++ type: "unsigned
 * long" and "long unsigned int", "char const*" and "const char *", "> >" and ">>", "3ul" and "3".
 */
#pragma once

#include <glib.h>

/*
 * @name: of a type; "struct", "class", "union" and "enum" in front of it are left out.
 * Returns: (transfer full): good for comparing, not for reading.
 */
char *pm_spelling_normalize(const char *name);

/* Appends the name of a base type as programs are written: "unsigned long" for "long unsigned int".
 * What is spelled with other words stays as it is. */
void pm_spelling_append_base(GString *text, const char *name);

/* A hash of the normal spelling of @name; the same on every machine. */
guint64 pm_spelling_hash(const char *name);
