/*
 * The types of a process: what DWARF says of every module, as one table of interned types. A type
 * is read when it is first asked for; what exists, by size and by name, is known from an index of
 * each module that is cached under the user's cache folder (typeindex.h).
 *
 * Structures that many units declare are one type here where name, size and members agree. A
 * declaration stands for its definition where there is exactly one. One thread at a time, unless a
 * function says otherwise; what was returned once may be read by any thread.
 */
#pragma once

#include "process/process.h"

typedef enum {
    PM_TYPE_UNKNOWN, /* unspecified, damaged, or nothing that has contents */
    PM_TYPE_BOOL,
    PM_TYPE_CHAR, /* char, signed char, unsigned char, char8_t … wchar_t */
    PM_TYPE_INT,
    PM_TYPE_UINT,
    PM_TYPE_FLOAT,
    PM_TYPE_ENUM,
    PM_TYPE_POINTER, /* references too */
    PM_TYPE_FUNCTION,
    PM_TYPE_STRUCT, /* class too */
    PM_TYPE_UNION,
    PM_TYPE_ARRAY,
} PmTypeKind;

/*
 * One type, without typedefs and qualifiers. Interned: the same type is the same pointer. Lives as
 * long as the table.
 *
 * @name: as a program's author would say it: "struct evt_hdr", "union value", "enum state" (C),
 *   "app::Cache<int>" (C++: scopes, no keyword), "node_t" for a structure that only a typedef
 *   names, "struct {…} at msg.h:31" for one that nothing names, "char *", "unsigned long",
 *   "int[16]", "struct item *[8]".
 * @size_bytes: 0 where it is not known (a declaration alone, void, a function, int[]).
 * @id: 1 …, in the order in which types were first seen; for tables of the caller's.
 * @module: where it was found first. @file: the declaring file's base name, or NULL. @line: 0 where
 *   unknown.
 * @is_declaration: nothing but the name is known.
 * @is_polymorphic: its first word (or that of a base at offset 0) is a vtable pointer.
 * @is_cxx: from a unit in C++ (or another language whose names have scopes).
 */
typedef struct {
    PmTypeKind kind;
    guint32 id;
    const char *name;
    guint64 size_bytes;
    const PmModule *module;
    const char *file;
    guint line;
    gboolean is_declaration;
    gboolean is_polymorphic;
    gboolean is_cxx;
} PmType;

/*
 * A member or base of a structure or union. The members of anonymous members stay within these.
 *
 * @name: "" for a base and for an anonymous member. @type: never NULL.
 * @bit_count: 0 for a whole member; else a bit-field's width, and @bit_offset its first bit counted
 *   from @offset_bytes, least significant first.
 * @is_base: a base class. @is_vptr: the compiler's vtable pointer.
 * Virtual bases are left out: only the object itself knows where they are.
 */
typedef struct {
    const char *name;
    const PmType *type;
    guint64 offset_bytes;
    guint bit_offset;
    guint bit_count;
    gboolean is_base;
    gboolean is_vptr;
} PmField;

/* Bounds: what passes them is cut, and named in a diagnostic ("dwarf-limit"). */
#define PM_TYPE_FIELDS_MAX 65536
#define PM_TYPE_DEPTH_MAX  32

/*
 * What is being read, for a progress line.
 *
 * @module: its path. @done, @total: bytes of .debug_info.
 */
typedef void (*PmTypesProgress)(gpointer data, const char *module, guint64 done, guint64 total);

/*
 * @cache_folder: NULL for the user's own ($XDG_CACHE_HOME/postmalloc), "" for none.
 */
typedef struct {
    const char *cache_folder;
    PmTypesProgress progress;
    gpointer progress_data;
} PmTypesOptions;

typedef struct PmTypes PmTypes;

/* @process, @diagnostics: borrowed for the life of the table. @options: copied; may be NULL.
 * Reads nothing yet. Never fails. */
PmTypes *pm_types_new(const PmProcess *process, const PmTypesOptions *options,
                      PmDiagnostics *diagnostics);
void pm_types_free(PmTypes *types);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmTypes, pm_types_free)

const PmProcess *pm_types_get_process(const PmTypes *types);

/* Of a pointer what it points to (NULL: void, or nothing known), of an array its element, of an
 * enumeration its underlying integer (may be NULL). NULL for every other kind. A declaration is
 * resolved. */
const PmType *pm_type_get_target(PmTypes *types, const PmType *type);

/* Of an array: elements, all dimensions multiplied; 0 where it has no length of its own (a flexible
 * array member, int[]). */
guint64 pm_type_get_count(PmTypes *types, const PmType *type);

/* Members and bases of a structure or union in the order of declaration; none for other kinds and
 * for declarations. Borrowed. */
const PmField *pm_type_get_fields(PmTypes *types, const PmType *type, gsize *ret_count);

/* The values of an enumeration, ascending, each once. Borrowed. */
const gint64 *pm_type_get_enumerators(PmTypes *types, const PmType *type, gsize *ret_count);

/* The interned "TYPE *" and "TYPE[]". @type may be NULL for the pointer (void). */
const PmType *pm_types_get_pointer(PmTypes *types, const PmType *type);
const PmType *pm_types_get_array(PmTypes *types, const PmType *type, guint64 count);

/*
 * ".next", "[3].key", "": the path from @type to what is at @offset_bytes in it, as C writes it;
 * " + 0x4" at the end where no member begins there. Of a union the first member that has a pointer
 * there, or else the first. (transfer full)
 */
char *pm_type_describe_offset(PmTypes *types, const PmType *type, guint64 offset_bytes);

/*
 * All structures, classes and unions with @min_bytes ≤ size ≤ @max_bytes of every module, each type
 * once (arrays are the caller's to make).
 *
 * Returns: (transfer container): const PmType *, by size, then name. Reads or makes the index of
 * every module with DWARF on its first call: seconds for hundreds of megabytes, and progress is
 * reported.
 */
GPtrArray *pm_types_find_by_size(PmTypes *types, guint64 min_bytes, guint64 max_bytes);

/*
 * Definitions named @name (as PmType.name has it, the keyword may be left out; templates as DWARF
 * spells them, and as the demangler does).
 *
 * Returns: (transfer container): const PmType *, those of @prefer (nullable) first.
 */
GPtrArray *pm_types_find_by_name(PmTypes *types, const char *name, const PmModule *prefer);

/*
 * A variable with a place of its own.
 *
 * @name: with its scopes, "app::cache", "next_id::counter". @address: in the process; of a
 * thread-local one the offset in @module's TLS block. @type: never NULL.
 */
typedef struct {
    const char *name;
    const PmModule *module;
    PmAddr address;
    gboolean is_tls;
    const PmType *type;
} PmTypedVariable;

/*
 * Every global, static and thread-local variable of @module that has a type and a place, ascending
 * by (is_tls, address); copies of an inline variable at one address are one.
 *
 * Returns: (transfer none): PmTypedVariable; empty where the module has no DWARF. Names are
 * borrowed from the table.
 */
const GArray *pm_types_get_variables(PmTypes *types, const PmModule *module);

/*
 * The variable that covers @address in a module's data, with the field there: "session_table",
 * "session_table.buckets[3].head", "app::cache.head", "next_id::counter" (a static local of
 * next_id), "session_table.count + 0x4" (within the field, or in padding behind it).
 *
 * A path ends at a pointer or a scalar, as pm_type_describe_offset() has it.
 *
 * Returns: (transfer full): NULL where no variable is known there: @address in no module, no DWARF
 *   for the module, no variable that covers it. The bytes are those of the DWARF: to be sanitised
 *   before they are shown.
 *
 * The first call for a module reads its variables; the others are O(log n).
 */
char *pm_types_describe_variable(PmTypes *types, PmAddr address);

/*
 * The same for @address in a TLS block of @thread, static or dynamic.
 *
 * @thread: one of the process; its DTV says where the blocks are.
 * @ret_module: (out) (optional): the module whose variable it is, borrowed; untouched on NULL.
 */
char *pm_types_describe_thread_local(PmTypes *types, const PmThread *thread, PmAddr address,
                                     const PmModule **ret_module);
