/*
 * Walking over all DIEs of a unit in the order in which they are stored, once and without
 * recursion. What a walk needs of a DIE it has at hand; the rest is asked of libdw.
 */
#pragma once

#include "dwarf/sections.h"

/*
 * One unit of .debug_info or .debug_types.
 *
 * @root: its topmost DIE. @start: its header; @dies: its topmost DIE's bytes; @end: where it ends.
 * @kind: DW_UT_compile, _type, _partial, _skeleton, _split_compile, _split_type. @language:
 *   DW_LANG_…, or 0 where it does not say.
 */
typedef struct {
    PmSections *sections;
    const PmAbbrevs *abbrevs;
    Dwarf_Die root;
    guint64 offset;
    gboolean in_types;
    const guint8 *start;
    const guint8 *dies;
    const guint8 *end;
    guint8 kind;
    guint8 version;
    guint8 address_bytes;
    guint8 offset_bytes;
    guint language;
} PmUnit;

/*
 * The next unit of @sections.
 *
 * @cursor: (inout): where it starts; { 0 } for the first one. A unit that cannot be read is passed
 *   over.
 * Returns: FALSE where there is none; @ret_unit then untouched.
 */
typedef struct {
    gboolean in_types;
    guint64 offset;
} PmUnitCursor;
gboolean pm_unit_next(PmSections *sections, PmUnitCursor *cursor, PmUnit *ret_unit);

/* The unit that @die is in. FALSE where it is damaged. */
gboolean pm_unit_of(PmSections *sections, Dwarf_Die *die, PmUnit *ret_unit);

/* Where a form's value stands. */
typedef struct {
    const guint8 *at;
    gint64 implicit;
    guint16 form;
} PmValue;

/*
 * The DIE that a walk is at.
 *
 * @first: where the walk began. @depth: 0 for that one. @present: a bit for each slot.
 */
typedef struct {
    const PmUnit *unit;
    const guint8 *first;
    const guint8 *at;
    const guint8 *next;
    guint depth;
    guint next_depth;
    guint16 tag;
    gboolean has_children;
    guint32 present;
    PmValue values[PM_SLOTS];
} PmDieWalk;

/* @unit: borrowed for the walk. The first pm_die_walk_next() moves to the root. */
void pm_die_walk_init(PmDieWalk *walk, const PmUnit *unit);

/* The same for the subtree of @die, which is in @unit; it ends where the subtree ends. */
void pm_die_walk_init_at(PmDieWalk *walk, const PmUnit *unit, const Dwarf_Die *die);

/* Moves to the next child of the DIE that the walk began at. */
gboolean pm_die_walk_next_child(PmDieWalk *walk);

/* Moves to the next DIE. FALSE at the end, and where the unit is damaged from here on. */
gboolean pm_die_walk_next(PmDieWalk *walk);

/* Leaves out what is below this DIE, where it says where that ends; it need not. */
void pm_die_walk_skip(PmDieWalk *walk);

/* The same DIE for libdw. */
Dwarf_Die pm_die_walk_get(const PmDieWalk *walk);

static inline gboolean
pm_die_walk_has(const PmDieWalk *walk, PmSlot slot)
{
    return ((walk->present >> slot) & 1) != 0;
}

/* A string, or "" where @value is none or does not end within its section. Borrowed. */
const char *pm_value_get_string(const PmUnit *unit, const PmValue *value);

/* DW_AT_name, or "" where there is none or it does not end within its section. Borrowed. */
const char *pm_die_walk_get_name(const PmDieWalk *walk);

/* A constant that is not negative; FALSE where there is none. */
gboolean pm_die_walk_get_number(const PmDieWalk *walk, PmSlot slot, guint64 *ret_number);

/* A flag, FALSE where it is not there. */
gboolean pm_die_walk_get_flag(const PmDieWalk *walk, PmSlot slot);

/* The DIE that an attribute refers to, where it is in the same unit; else NULL. */
const guint8 *pm_die_walk_get_local(const PmDieWalk *walk, PmSlot slot);

/* The bytes of an expression; FALSE where the attribute is none (a list of them, a constant). */
gboolean pm_die_walk_get_block(const PmDieWalk *walk, PmSlot slot, PmBytes *ret_bytes);
