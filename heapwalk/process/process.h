/*
 * The dead process above its bytes: what program it was, its modules with their files and symbols,
 * its threads with registers, thread pointer, stack and TLS. Knows nothing of heaps.
 *
 * Modules come from our own walk of the link map and of NT_FILE; each file's build-id is compared
 * with the one in the core before anything is taken from it. libdwfl gets them by
 * dwfl_report_module with our own find_elf.
 */
#pragma once

#include "image/space.h"

typedef enum {
    PM_ELF_FOUND,    /* the file is here and its build-id agrees (or neither side has one, with a
                        diagnostic) */
    PM_ELF_MISSING,  /* no such file here */
    PM_ELF_MISMATCH, /* a file is here, but it is another build; nothing is taken from it */
} PmElfState;

typedef enum {
    PM_SYMBOLS_NONE,
    PM_SYMBOLS_DYNSYM,
    PM_SYMBOLS_SYMTAB, /* in the file itself or in its separate debug file */
} PmSymbols;

/* How a symbol was found. */
typedef enum {
    PM_SYMBOL_FROM_DYNSYM,
    PM_SYMBOL_FROM_SYMTAB,
    PM_SYMBOL_FROM_DEBUG_FILE,
} PmSymbolSource;

/* A PT_LOAD in whole pages; @flags: PF_R | PF_W | PF_X of <elf.h>. @file_end: the first page of
 * the range that holds nothing of the file; range.end where there is none such. */
typedef struct {
    PmRange range;
    PmAddr file_end;
    guint32 flags;
} PmModuleLoad;

/*
 * One loaded ELF object.
 *
 * @path: as the process knew it; "[vdso]" for the vdso. Never NULL.
 * @file: the file on this machine that serves for it, or NULL.
 * @start, @end: its mappings' extent. @bias: address minus ELF p_vaddr.
 * @build_id: from the core (or, failing that, from the file found), lower-case hex, or NULL.
 * @link_map: its struct link_map, or PM_ADDR_NONE. @dynamic: its PT_DYNAMIC, or PM_ADDR_NONE.
 * @data: its writable PT_LOADs, each rounded out to whole pages (relro included; anonymous tail of
 * .bss included).
 * @loads: all its PT_LOADs; none where its program headers are not known. Their pages may overlap.
 * @relro: the pages that the loader makes read-only after relocation (PT_GNU_RELRO), or empty.
 * @tls_modid: its TLS module id (1…), or 0. @tls_bytes: p_memsz of its PT_TLS, 0 where it has none
 * or it is unknown.
 */
typedef struct {
    char *path;
    char *file;
    PmAddr start;
    PmAddr end;
    guint64 bias;
    char *build_id;
    PmElfState elf;
    PmSymbols symbols;
    gboolean dwarf;
    gboolean is_executable;
    gboolean is_interpreter;
    gboolean is_vdso;
    PmAddr link_map;
    PmAddr dynamic;
    PmRange *data;
    gsize data_count;
    PmModuleLoad *loads;
    gsize load_count;
    PmRange relro;
    guint64 tls_modid;
    guint64 tls_bytes;
} PmModule;

/*
 * One thread.
 *
 * @recovered: not from NT_PRSTATUS (the notes were lost) but found by the shape of its thread
 * control block; then
 *   @pc, @sp, @stack and @signal are unknown (PM_ADDR_NONE, an empty range, 0).
 * @signal: pr_cursig; a kernel core notes the fatal signal with every thread.
 * @tp: the thread pointer (x86-64: fs_base), or PM_ADDR_NONE.
 * @registers: the pr_reg block of NT_PRSTATUS as raw bytes, borrowed from the image, or NULL;
 * @registers_bytes long.
 * @first_note, @note_count: its notes in pm_image_get_notes() (NT_PRSTATUS, NT_FPREGSET,
 * NT_X86_XSTATE …).
 * @stack: the mapping part that can hold its live stack: start ≤ sp < end; empty where sp is in no
 * mapping. It begins at the mapping's start or where another thread's control block ends, and ends
 * at its own static TLS or at the mapping's end. Where sp is on a signal or coroutine stack inside
 * a heap, that is the heap's whole mapping.
 * @static_tls: its static TLS blocks and thread control block, or an empty range.
 * @dtv: dtv[0]'s address (as the TCB stores it), or PM_ADDR_NONE.
 */
typedef struct {
    guint32 tid;
    gboolean recovered;
    gint signal;
    PmAddr pc;
    PmAddr sp;
    PmAddr tp;
    const guint8 *registers;
    gsize registers_bytes;
    gsize first_note;
    gsize note_count;
    PmRange stack;
    PmRange static_tls;
    PmAddr dtv;
} PmThread;

/*
 * @executable: path, from AT_EXECFN, NT_FILE or NT_PRPSINFO, or NULL. @arguments: pr_psargs, or
 * NULL.
 * @name: pr_fname, at most 15 bytes: in a kernel core the name of the main thread (gcore writes the
 * program's), or NULL.
 * @pid: 0 where unknown. @signal: 0 where none. @signal_name: "SIGSEGV", static, or NULL.
 * @crashed_tid: 0 where unknown. @fault_address: of SIGSEGV, SIGBUS …, or PM_ADDR_NONE.
 */
typedef struct {
    guint32 pid;
    char *executable;
    char *arguments;
    char *name;
    gint signal;
    const char *signal_name;
    guint32 crashed_tid;
    PmAddr fault_address;
} PmProcessInfo;

/*
 * Where to look for files; each may be NULL.
 *
 * @exe: the program. @sysroot: modules are looked up under it first. @debug_dir: separate debug
 * files, in place of the usual tree. DEBUGINFOD_URLS is honoured (through libdwfl) where it is set.
 */
typedef struct {
    const char *exe;
    const char *sysroot;
    const char *debug_dir;
} PmProcessOptions;

typedef struct PmProcess PmProcess;

/*
 * Reads everything about the process; opens and maps the modules' files read-only.
 *
 * @image, @diagnostics: borrowed for the life of the process. @options: copied; may be NULL.
 * Returns: (transfer full): never fails on what is in the core: missing pieces are empty, with
 * diagnostics. NULL with PM_ERROR_NOT_FOUND where options->exe names a file that cannot be read.
 */
PmProcess *pm_process_open(const PmImage *image, const PmProcessOptions *options,
                           PmDiagnostics *diagnostics, GError **error);
void pm_process_free(PmProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmProcess, pm_process_free)

const PmSpace *pm_process_get_space(const PmProcess *process);
const PmProcessInfo *pm_process_get_info(const PmProcess *process);

/* Modules in link-map order (the executable first), then those known from NT_FILE alone, then the
 * vdso. Borrowed. */
const PmModule *pm_process_get_modules(const PmProcess *process, gsize *ret_count);

/* The module whose [start, end) holds @address, or NULL. Borrowed. */
const PmModule *pm_process_find_module(const PmProcess *process, PmAddr address);

/* The module that holds glibc's malloc: libc.so.6, or the executable where it is static; NULL where
 * neither is known. */
const PmModule *pm_process_get_libc(const PmProcess *process);

/* The threads in note order (the crashed one first in kernel cores), or those recovered. Borrowed.
 */
const PmThread *pm_process_get_threads(const PmProcess *process, gsize *ret_count);

/* The entry of NT_AUXV with @type (AT_… of <elf.h>). FALSE where there is none; @ret_value then
 * untouched. */
gboolean pm_process_get_auxv(const PmProcess *process, guint64 type, guint64 *ret_value);

/*
 * One symbol.
 *
 * @name: without its version, borrowed from the process. @size_bytes: 0 where unknown.
 * @address: its value in the process; of a thread-local variable (@is_tls) its offset in its
 *   module's TLS block.
 */
typedef struct {
    const char *name;
    PmAddr address;
    guint64 size_bytes;
    const PmModule *module;
    PmSymbolSource source;
    gboolean is_tls;
} PmSymbol;

/*
 * Finds a defined symbol by @name, in @module's .symtab, its .dynsym and the .symtab of its
 * separate debug file, in this order; a local symbol counts where there is no global one in the
 * same table. Where @module has none of a .symtab and a debug file, libdwfl is asked:
 * .gnu_debugdata, and debuginfod where DEBUGINFOD_URLS is set.
 *
 * @module: NULL means every module, in their order; nothing is downloaded then.
 * Returns: FALSE where there is none; @ret_symbol then untouched. Slow (it scans the tables): for
 *   dozens of look-ups. May be called from one thread at a time.
 */
gboolean pm_process_lookup_symbol(const PmProcess *process, const PmModule *module,
                                  const char *name, PmSymbol *ret_symbol);

/*
 * The symbol that covers @address, or else the nearest one before it in the same section.
 *
 * @ret_offset_bytes: (out): @address − symbol address; at least the symbol's size where it does not
 *   cover @address.
 * Returns: FALSE where no symbol is known there. The first call for a module sorts its symbols; the
 *   others are O(log n). One thread at a time.
 */
gboolean pm_process_symbolize(const PmProcess *process, PmAddr address, PmSymbol *ret_symbol,
                              guint64 *ret_offset_bytes);

/*
 * Calls @visit for every symbol of @module that may be a function, by ascending address; aliases
 * each. Of the tables that pm_process_symbolize() would look at the same one.
 *
 * @symbol: borrowed until @visit returns, its name as the table has it, perhaps with a version.
 * One thread at a time.
 */
typedef void (*PmSymbolVisitor)(const PmSymbol *symbol, gpointer data);
void pm_process_visit_functions(const PmProcess *process, const PmModule *module,
                                PmSymbolVisitor visit, gpointer data);

/*
 * The TLS block of @modid for @thread, by its DTV.
 *
 * Returns: FALSE where the DTV is not readable, has no such slot, or the block was not allocated
 * yet.
 */
gboolean pm_process_get_tls_block(const PmProcess *process, const PmThread *thread, guint64 modid,
                                  PmAddr *ret_block);

/* How many slots dtv[1…n] @thread's DTV has (bounded by what is readable), 0 where there is none.
 */
guint64 pm_process_get_dtv_slots(const PmProcess *process, const PmThread *thread);
