/*
 * What DIEs are called: the scopes that they are in, the typedef that names a structure without a
 * name, the file that declares them. For each unit that is asked about, one walk makes a table.
 */
#pragma once

#include "dwarf/split.h"

typedef struct PmNames PmNames;

/* Reads nothing yet. It has to go before the Dwarf handles that it was asked about. */
PmNames *pm_names_new(void);
void pm_names_free(PmNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmNames, pm_names_free)

/* The sections of @dwarf; made when first asked for. Borrowed. */
PmSections *pm_names_get_sections(PmNames *names, Dwarf *dwarf);

/* The unit that @die is in, NULL where it is damaged. Borrowed. */
const PmUnit *pm_names_get_unit(PmNames *names, Dwarf_Die *die);

/*
 * The split unit of the skeleton unit with the topmost DIE @root; looked for once.
 *
 * @ret_file: (out) (optional): its file, borrowed.
 * Returns: FALSE where it is not here, or is another build's.
 */
gboolean pm_names_get_split(PmNames *names, Dwarf_Die *root, const PmSplitFile **ret_file,
                            Dwarf_Die *ret_split);

/*
 * Makes the DWARF of a module known: what its units import, which do not say themselves in what
 * language they are (dwz makes them of what others share), is in theirs. Reads nothing before a
 * language is missing.
 */
void pm_names_add_dwarf(PmNames *names, Dwarf *dwarf);

/* Whether a unit of @dwarf, or one that it imports, imports the one with the topmost DIE @root. */
gboolean pm_names_is_imported(PmNames *names, Dwarf *dwarf, const Dwarf_Die *root);

/* Whether names have scopes where @die is: not in C, nor where that is not known. */
gboolean pm_names_is_scoped(PmNames *names, Dwarf_Die *die);

/* The same by DW_LANG_…; 0 is none. */
gboolean pm_language_is_scoped(guint language);

/* DW_AT_name, of the DIE that @die completes as well; "" where there is none. Borrowed. */
const char *pm_names_get_name(PmNames *names, Dwarf_Die *die);

/*
 * Appends what @die is in: "app::", "app::Cache<int>::", "next_id::". Of a definition that stands
 * elsewhere than its declaration, what the declaration is in.
 */
void pm_names_append_scopes(PmNames *names, Dwarf_Die *die, GString *text);

/* The name of the typedef that gives its name to @die, which has none itself; NULL where there is
 * none in the same unit. Borrowed. */
const char *pm_names_get_typedef(PmNames *names, Dwarf_Die *die);

/* The base name of the file that declares @die, NULL where it is not known. Borrowed. */
const char *pm_names_get_file(PmNames *names, Dwarf_Die *die);

/* The files of a unit, by DW_AT_decl_file. Borrowed; may be empty. */
const GPtrArray *pm_names_get_files(PmNames *names, const PmUnit *unit);

/* DW_AT_decl_line, or 0. */
guint pm_die_get_line(Dwarf_Die *die);

/* "struct ", "union ", "enum ": what C puts before a name; "" for everything else. Static. */
const char *pm_die_get_keyword(int tag);

/* Appends what a structure is called that nothing names: "struct {…} at msg.h:31". */
void pm_die_append_nameless(int tag, const char *file, guint line, GString *text);
