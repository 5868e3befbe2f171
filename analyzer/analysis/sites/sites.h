/*
 * The call sites that can allocate a size, in every module of the process: what each asks for,
 * where it is, and how sure that is.
 */
#pragma once

#include "analysis/sites/stores.h"
#include "analysis/subject.h"

typedef enum {
    PM_SITE_EXACT,    /* always the same size */
    PM_SITE_SEVERAL,  /* one of a few */
    PM_SITE_RANGE,    /* between two bounds */
    PM_SITE_VARIABLE, /* nothing is known of it */
} PmSiteKind;

/*
 * One call.
 *
 * @address: of the call instruction, @return_address: of the one behind it, or PM_ADDR_NONE for a
 * jump, which leaves none. @module: where it is.
 * @target: the function that it calls, or the word that holds the address of that.
 * @function: the symbol that covers it, demangled, without parameters, or NULL; @offset_bytes: from
 *   the symbol, or from the module's start where there is none.
 * @file, @line: by DWARF; NULL and 0 where there is none. Bytes of the DWARF. Not of a library's
 *   header where what is inlined from there was called elsewhere.
 * @inlined: (nullable): PmInlined, innermost first: the functions around that line that were
 *   inlined in @function, without those of libraries' headers.
 * @is_located: these four were looked up.
 * @allocator: what it calls, "malloc", "operator new[]", "xcalloc", "libfoo.so+0x1f0".
 * @through: (nullable): what that calls to allocate, innermost last: "xmalloc", "malloc"; NULL-
 *   terminated, NULL for none.
 * @by_pointer: the call goes through a pointer of the program's own, by what it holds in the core.
 * @argument: the call as text: "calloc(1024, 8)", "malloc(16 or 32)", "strdup(variable)".
 * @stores: PmStore, by offset from the start of the chunk, with addresses of the process: what is
 * written to it. @is_completed: by functions that its address is passed to, too.
 * @type: (nullable): what @variable, to which the result goes, points to, by DWARF; @is_typed: that
 *   was looked up.
 * @size: SET for EXACT and SEVERAL, RANGE, or UNKNOWN; of VARIABLE ones an open SET, too: what it
 * may ask for, if conditions that are not known allow it. @request_bytes: the one size of it that
 * was asked for; PM_SIZE_UNKNOWN where it is not one.
 * @score: 0 … 1, how likely a chunk of that size is from here, as far as the call alone tells.
 */
typedef struct {
    PmAddr address;
    PmAddr return_address;
    PmAddr target;
    const PmModule *module;
    char *function;
    guint64 offset_bytes;
    const char *file;
    guint line;
    GArray *inlined;
    gboolean is_located;
    char *allocator;
    char **through;
    gboolean by_pointer;
    char *argument;
    GArray *stores;
    gboolean is_completed;
    const PmType *type;
    const char *variable;
    gboolean is_typed;
    PmSiteKind kind;
    PmValue size;
    guint64 request_bytes;
    double score;
} PmSite;

#define PM_SIZE_UNKNOWN G_MAXUINT64

/*
 * Which sites.
 *
 * @unlocated: the functions, files and lines are looked up by pm_sites_locate() alone: of thousands
 * of sites that takes longer than all else.
 * @by_request: those that may ask for a size from @request_min to @request_max, both inclusive;
 * else all. @variable: those of which that is not known, too.
 * @cache_folder: where what is found out about modules is kept, by build-id: NULL for the user's
 * own ($XDG_CACHE_HOME/postmalloc), "" for none.
 */
typedef struct {
    gboolean by_request;
    guint64 request_min;
    guint64 request_max;
    gboolean variable;
    gboolean unlocated;
    const char *cache_folder;
} PmSiteQuery;

/* Why a module's code was not looked at. @missing_bytes: how much of it is not there. */
typedef struct {
    const PmModule *module;
    guint64 missing_bytes;
} PmUnreadModule;

typedef struct PmSites PmSites;

/*
 * Finds them.
 *
 * @subject: its heap is not needed. @jobs: threads, 0 for as many as there are processors.
 * Returns: (transfer full): NULL with PM_ERROR_UNSUPPORTED where the core is of an architecture
 * whose code is not read yet.
 *
 * One thread at a time may use the process meanwhile.
 */
PmSites *pm_sites_new(const PmSubject *subject, const PmSiteQuery *query, guint jobs,
                      GError **error);
void pm_sites_free(PmSites *sites);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PmSites, pm_sites_free)

/* The sites that were asked for, likeliest first, then by module and address. Borrowed. */
const PmSite *pm_sites_get(const PmSites *sites, gsize *ret_count);

/* Looks up where @site, one of @sites, is. One thread at a time, as the process. */
void pm_sites_locate(PmSites *sites, const PmSite *site);

/* Looks up to which variable the result of @site, one of @sites, goes; nothing where there is no
 * DWARF, or it does not say. @size_bytes: what is asked for. One thread at a time, as the process.
 */
void pm_sites_find_type(PmSites *sites, const PmSite *site, guint64 size_bytes);

/* Looks into the functions that the memory of @site, one of @sites, is passed to (its constructor)
 * for what they store to it. One thread at a time, as the process. */
void pm_sites_complete(PmSites *sites, const PmSite *site);

/*
 * Whether the function of @site may have been called in this process: FALSE where no code that may
 * have been, and no word of data, leads to it (callable.h). The first site of a module takes a
 * search of its code. One thread at a time, as the process.
 */
gboolean pm_sites_may_run(const PmSites *sites, const PmSite *site);

/* Whether anything in the process refers to that function; TRUE also where it cannot be told. One
 * thread at a time. */
gboolean pm_sites_is_referred(const PmSites *sites, const PmSite *site);

/* pm_module_is_untouched() of its module, asked once. One thread at a time. */
gboolean pm_sites_is_untouched(const PmSites *sites, const PmSite *site);

/*
 * Where the function of @site begins and ends in the process, by .eh_frame.
 *
 * Returns: FALSE where that is not known. One thread at a time, as the process.
 */
gboolean pm_sites_find_function(const PmSites *sites, const PmSite *site, PmRange *ret_function);

/*
 * What there is in all.
 *
 * @sites: of each PmSiteKind, whether asked for or not; without those that only forward what their
 * callers ask for, of which there are @forwarding, in @wrappers functions. @modules: whose code was
 * read. @text_bytes: of them.
 */
typedef struct {
    gsize sites[PM_SITE_VARIABLE + 1];
    gsize forwarding;
    gsize wrappers;
    gsize modules;
    guint64 text_bytes;
} PmSiteCounts;

const PmSiteCounts *pm_sites_get_counts(const PmSites *sites);

/* Modules whose code is not there, or not all of it. Borrowed. */
const PmUnreadModule *pm_sites_get_unread(const PmSites *sites, gsize *ret_count);

/* Modules that hold a malloc without a name, so that calls of it are not found. Borrowed. */
const PmModule *const *pm_sites_get_nameless(const PmSites *sites, gsize *ret_count);

/* The requests that a heap chunk of @chunk_bytes serves, of a target of 64 bit. FALSE where none
 * does. */
gboolean pm_sites_chunk_to_requests(guint64 chunk_bytes, guint64 *ret_min, guint64 *ret_max);
