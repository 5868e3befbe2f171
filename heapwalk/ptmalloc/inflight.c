/*
 * A running process is stopped anywhere, also in the middle of malloc, where a list is linked in
 * one direction only, or a counter is behind: that is no damage. Who was inside is told by the
 * functions on the threads' stacks; see ptmalloc-private.h.
 */
#include "ptmalloc/ptmalloc-private.h"

#include "process/unwind.h"

#include <string.h>

/* Frames of a thread that are looked at; malloc's own are among the innermost. */
#define FRAMES_MAX 24
/* How far from a chunk a register may point to be about it: its header, its links. */
#define NEAR_BYTES ((guint64)32)
/* Threads that a note names. */
#define NAMED_MAX 3

/* A thread inside malloc. @function: the outermost of malloc's that is on its stack; borrowed from
 * the process. @waits: for a lock. */
typedef struct {
    const PmThread *thread;
    const char *function;
    gboolean waits;
} Inside;

/* @is_stopped: no signal ended the process. @inside: Inside, NULL until somebody asked. */
struct PmInFlight {
    const PmProcess *process;
    gboolean is_stopped;
    GArray *inside;
    GMutex lock;
};

PmInFlight *
pm_in_flight_new(const PmProcess *process)
{
    PmInFlight *in_flight = g_new0(PmInFlight, 1);
    in_flight->process = process;
    in_flight->is_stopped = pm_process_get_info(process)->signal == 0;
    g_mutex_init(&in_flight->lock);
    return in_flight;
}

void
pm_in_flight_free(PmInFlight *in_flight)
{
    if (in_flight->inside != NULL)
        g_array_unref(in_flight->inside);
    g_mutex_clear(&in_flight->lock);
    g_free(in_flight);
}

/* Of malloc.c and arena.c: what is exported, and what calls it under other names. */
static gboolean
is_malloc(const char *name)
{
    static const char *const whole[] = {
        "malloc",        "free",           "cfree",  "calloc",  "realloc",      "memalign",
        "aligned_alloc", "posix_memalign", "valloc", "pvalloc", "reallocarray", "malloc_trim",
    };
    static const char *const starts[] = {
        "_int_",         "_mid_memalign",   "sysmalloc",    "systrim",        "malloc_consolidate",
        "munmap_chunk",  "mremap_chunk",    "unlink_chunk", "tcache_",        "arena_get",
        "heap_trim",     "grow_heap",       "new_heap",     "alloc_new_heap", "__malloc_",
        "alloc_perturb", "malloc_printerr",
    };
    if (g_str_has_prefix(name, "__libc_"))
        name += strlen("__libc_");
    else if (g_str_has_prefix(name, "__GI___libc_"))
        name += strlen("__GI___libc_");
    for (gsize i = 0; i < G_N_ELEMENTS(whole); i++)
        if (strcmp(name, whole[i]) == 0)
            return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(starts); i++)
        if (g_str_has_prefix(name, starts[i]))
            return TRUE;
    return FALSE;
}

/* The function of libc's at @code, or NULL. */
static const char *
find_function(const PmProcess *process, PmAddr code)
{
    PmSymbol symbol;
    guint64 offset = 0;
    const PmModule *libc = pm_process_get_libc(process);
    if (libc == NULL || pm_process_find_module(process, code) != libc ||
        !pm_process_symbolize(process, code, &symbol, &offset) || offset >= symbol.size_bytes)
        return NULL;
    return symbol.name;
}

static gboolean
look_inside(const PmProcess *process, const PmThread *thread, Inside *ret_inside)
{
    gsize count = 0;
    gboolean complete = FALSE;
    g_autofree PmFrame *frames = pm_process_unwind(process, thread, &count, &complete);
    Inside inside = {.thread = thread};
    for (gsize i = 0; i < MIN(count, FRAMES_MAX); i++) {
        const char *name = find_function(process, pm_frame_get_code(&frames[i]));
        if (name == NULL)
            continue;
        if (g_str_has_prefix(name, "__lll_lock_wait") ||
            g_str_has_prefix(name, "__lll_lock_elision"))
            inside.waits = TRUE;
        if (is_malloc(name))
            inside.function = name;
    }
    *ret_inside = inside;
    return inside.function != NULL;
}

/* The threads inside malloc; looked for once. */
static const GArray *
get_inside(PmInFlight *in_flight)
{
    g_mutex_lock(&in_flight->lock);
    if (in_flight->inside == NULL) {
        gsize count = 0;
        const PmThread *threads = pm_process_get_threads(in_flight->process, &count);
        in_flight->inside = g_array_new(FALSE, FALSE, sizeof(Inside));
        for (gsize i = 0; in_flight->is_stopped && i < count; i++) {
            Inside inside;
            if (look_inside(in_flight->process, &threads[i], &inside))
                g_array_append_val(in_flight->inside, inside);
        }
    }
    g_mutex_unlock(&in_flight->lock);
    return in_flight->inside;
}

/* Whether a register of @thread points to the chunk at @address, or close to it. */
static gboolean
points_to(const PmInFlight *in_flight, const PmThread *thread, PmAddr address)
{
    const guint64 word = pm_space_get_target(pm_process_get_space(in_flight->process))->word_bytes;
    for (gsize at = 0; thread->registers != NULL && at + word <= thread->registers_bytes;
         at += word) {
        const guint64 value = pm_load_word(thread->registers + at, (guint)word);
        if (value >= address - MIN(address, NEAR_BYTES) &&
            value - address + NEAR_BYTES <= 2 * NEAR_BYTES)
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_one_of(const char *code, const char *const *codes)
{
    for (gsize i = 0; codes[i] != NULL; i++)
        if (strcmp(code, codes[i]) == 0)
            return TRUE;
    return FALSE;
}

/* "thread 7 (free) was inside malloc", "threads 7 (free), 9 (malloc) were …" (transfer full) */
static char *
name_threads(const GArray *inside, guint *ret_count)
{
    GString *text = g_string_new(NULL);
    guint count = 0;
    for (guint i = 0; i < inside->len; i++) {
        const Inside *one = &g_array_index(inside, Inside, i);
        if (one->waits)
            continue;
        count++;
        if (count <= NAMED_MAX)
            g_string_append_printf(text, "%s%u (%s)", count == 1 ? "" : ", ", one->thread->tid,
                                   one->function);
    }
    if (count > NAMED_MAX)
        g_string_append_printf(text, " and %u more", count - NAMED_MAX);
    g_string_prepend(text, count == 1 ? "thread " : "threads ");
    g_string_append(text, count == 1 ? " was inside malloc" : " were inside malloc");
    *ret_count = count;
    return g_string_free(text, FALSE);
}

guint
pm_in_flight_count(PmInFlight *in_flight, char **ret_who)
{
    guint count = 0;
    g_autofree char *who = name_threads(get_inside(in_flight), &count);
    *ret_who = count == 0 ? NULL : g_steal_pointer(&who);
    return count;
}

/* A single-threaded process takes no lock. (malloc.c, SINGLE_THREAD_P) */
static gboolean
may_change(const PmInFlight *in_flight, const PmArenaBuild *build)
{
    gsize count = 0;
    (void)pm_process_get_threads(in_flight->process, &count);
    return build->arena.locked || count == 1;
}

char *
pm_in_flight_explain(PmInFlight *in_flight, const PmArenaBuild *build, const char *code,
                     PmAddr address)
{
    /* What an operation leaves behind halfway somewhere in its arena. */
    static const char *const anywhere[] = {"top-size", "arena-sum",     "bin-sum",
                                           "bin-link", "bin-back-link", NULL};
    /* The same, but only of the chunk at which it is. */
    static const char *const here[] = {"chunk-size", "prev-size",  "bin-in-use",
                                       "bin-size",   "arena-flag", NULL};
    if (!in_flight->is_stopped || build == NULL || !may_change(in_flight, build))
        return NULL;
    gboolean explained = is_one_of(code, anywhere);
    const GArray *inside = get_inside(in_flight);
    for (guint i = 0; !explained && is_one_of(code, here) && i < inside->len; i++) {
        const Inside *one = &g_array_index(inside, Inside, i);
        explained = !one->waits && points_to(in_flight, one->thread, address);
    }
    if (!explained)
        return NULL;
    char *who = NULL;
    if (pm_in_flight_count(in_flight, &who) == 0 && build->arena.locked)
        who = g_strdup("a thread held its arena's lock, which one cannot be told");
    return who;
}

char *
pm_in_flight_explain_thread(PmInFlight *in_flight, guint32 tid)
{
    const GArray *inside = get_inside(in_flight);
    for (guint i = 0; i < inside->len; i++) {
        const Inside *one = &g_array_index(inside, Inside, i);
        if (one->thread->tid == tid)
            return g_strdup_printf("thread %u (%s) was inside malloc", tid, one->function);
    }
    return NULL;
}

void
pm_ptmalloc_note_in_flight(PmPtmalloc *ptmalloc, const PmArenaBuild *build, PmAddr address,
                           const char *text, const char *who)
{
    pm_diagnostics_add_arena(ptmalloc->diagnostics, "in-flight", PM_SEVERITY_NOTE,
                             build != NULL ? build->arena.address : PM_ADDR_NONE, address,
                             "%s; %s when the process was stopped", text, who);
}
