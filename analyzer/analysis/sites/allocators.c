/*
 * Known allocators; see allocators.h. Signatures: malloc(3), posix_memalign(3), strdup(3), ISO C++
 * [new.delete] with the names of the Itanium C++ ABI, and GLib's reference.
 */
#include "analysis/sites/allocators.h"

#include <string.h>

#define NONE PM_NO_ARGUMENT

static const PmAllocator allocators[] = {
    {"malloc", "malloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"__libc_malloc", "malloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"calloc", "calloc", PM_SIZE_PLAIN, 1, 0, TRUE},
    {"__libc_calloc", "calloc", PM_SIZE_PLAIN, 1, 0, TRUE},
    {"realloc", "realloc", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"__libc_realloc", "realloc", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"reallocarray", "reallocarray", PM_SIZE_PLAIN, 2, 1, FALSE},
    {"__libc_reallocarray", "reallocarray", PM_SIZE_PLAIN, 2, 1, FALSE},
    {"memalign", "memalign", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"__libc_memalign", "memalign", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"aligned_alloc", "aligned_alloc", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"posix_memalign", "posix_memalign", PM_SIZE_PLAIN, 2, NONE, FALSE},
    {"__posix_memalign", "posix_memalign", PM_SIZE_PLAIN, 2, NONE, FALSE},
    {"valloc", "valloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"__libc_valloc", "valloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"pvalloc", "pvalloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"__libc_pvalloc", "pvalloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"strdup", "strdup", PM_SIZE_STRING, 0, NONE, FALSE},
    {"__strdup", "strdup", PM_SIZE_STRING, 0, NONE, FALSE},
    {"strndup", "strndup", PM_SIZE_AT_MOST, 1, NONE, FALSE},
    {"__strndup", "strndup", PM_SIZE_AT_MOST, 1, NONE, FALSE},
    {"_Znwm", "operator new", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_Znam", "operator new[]", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_ZnwmRKSt9nothrow_t", "operator new", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_ZnamRKSt9nothrow_t", "operator new[]", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_ZnwmSt11align_val_t", "operator new", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_ZnamSt11align_val_t", "operator new[]", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", "operator new", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", "operator new[]", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"g_malloc", "g_malloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"g_malloc0", "g_malloc0", PM_SIZE_PLAIN, 0, NONE, TRUE},
    {"g_realloc", "g_realloc", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"g_try_malloc", "g_try_malloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"g_try_malloc0", "g_try_malloc0", PM_SIZE_PLAIN, 0, NONE, TRUE},
    {"g_try_realloc", "g_try_realloc", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"g_malloc_n", "g_malloc_n", PM_SIZE_PLAIN, 1, 0, FALSE},
    {"g_malloc0_n", "g_malloc0_n", PM_SIZE_PLAIN, 1, 0, TRUE},
    {"g_realloc_n", "g_realloc_n", PM_SIZE_PLAIN, 2, 1, FALSE},
    {"g_try_malloc_n", "g_try_malloc_n", PM_SIZE_PLAIN, 1, 0, FALSE},
    {"g_try_malloc0_n", "g_try_malloc0_n", PM_SIZE_PLAIN, 1, 0, TRUE},
    {"g_try_realloc_n", "g_try_realloc_n", PM_SIZE_PLAIN, 2, 1, FALSE},
    {"g_aligned_alloc", "g_aligned_alloc", PM_SIZE_PLAIN, 1, 0, FALSE},
    {"g_aligned_alloc0", "g_aligned_alloc0", PM_SIZE_PLAIN, 1, 0, TRUE},
    {"g_memdup", "g_memdup", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"g_memdup2", "g_memdup2", PM_SIZE_PLAIN, 1, NONE, FALSE},
    {"g_slice_alloc", "g_slice_alloc", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"g_slice_alloc0", "g_slice_alloc0", PM_SIZE_PLAIN, 0, NONE, TRUE},
    {"g_slice_copy", "g_slice_copy", PM_SIZE_PLAIN, 0, NONE, FALSE},
    {"g_strdup", "g_strdup", PM_SIZE_STRING, 0, NONE, FALSE},
    {"g_strndup", "g_strndup", PM_SIZE_PLUS_1, 1, NONE, FALSE},
};

/* glibc, the C++ ABI's and libstdc++'s runtimes. A program's own are not known by name. */
static const char *const endless[] = {
    "abort",
    "exit",
    "_exit",
    "_Exit",
    "quick_exit",
    "pthread_exit",
    "longjmp",
    "_longjmp",
    "siglongjmp",
    "__longjmp_chk",
    "err",
    "errx",
    "verr",
    "verrx",
    "__stack_chk_fail",
    "__fortify_fail",
    "__chk_fail",
    "__assert_fail",
    "__assert_perror_fail",
    "__assert",
    "_Unwind_Resume",
    "g_assertion_message",
    "g_assertion_message_expr",
    "g_assertion_message_cmpnum",
    "g_assertion_message_cmpstr",
    "g_assertion_message_error",
    "__cxa_throw",
    "__cxa_rethrow",
    "__cxa_bad_cast",
    "__cxa_bad_typeid",
    "__cxa_throw_bad_array_new_length",
    "__cxa_throw_bad_array_length",
    "__cxa_call_unexpected",
    "__cxa_pure_virtual",
    "_ZSt9terminatev",
    "_ZSt10unexpectedv",
    "_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE",
};

static const char *const passing[] = {
    "memcpy",        "memmove",      "strcpy",        "strncpy",      "strcat",
    "strncat",       "__memcpy_chk", "__memmove_chk", "__strcpy_chk", "__strcat_chk",
    "__strncpy_chk", "wmemset",      "wmemcpy",
};

static const char *const filling[] = {"memset", "__memset_chk"};

/* Name → PmAllocator *, or one of the tables of other functions itself. */
static gpointer
make_names(G_GNUC_UNUSED gpointer data)
{
    GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);
    for (gsize i = 0; i < G_N_ELEMENTS(endless); i++)
        g_hash_table_insert(names, (gpointer)endless[i], (gpointer)endless);
    for (gsize i = 0; i < G_N_ELEMENTS(filling); i++)
        g_hash_table_insert(names, (gpointer)filling[i], (gpointer)filling);
    for (gsize i = 0; i < G_N_ELEMENTS(passing); i++)
        g_hash_table_insert(names, (gpointer)passing[i], (gpointer)passing);
    for (gsize i = 0; i < G_N_ELEMENTS(allocators); i++)
        g_hash_table_insert(names, (gpointer)allocators[i].name, (gpointer)&allocators[i]);
    return names;
}

static gconstpointer
find_name(const char *name)
{
    static GOnce once = G_ONCE_INIT;
    char plain[64];
    const GHashTable *names = g_once(&once, make_names, NULL);
    const gsize length = strcspn(name, "@");
    if (length >= sizeof plain)
        return NULL;
    memcpy(plain, name, length);
    plain[length] = '\0';
    return g_hash_table_lookup((GHashTable *)names, plain);
}

const PmAllocator *
pm_allocator_find(const char *name)
{
    gconstpointer found = find_name(name);
    return found != (gconstpointer)endless && found != (gconstpointer)passing &&
                   found != (gconstpointer)filling
               ? found
               : NULL;
}

PmValue
pm_allocator_apply(const PmAllocator *allocator, PmExprs *exprs, const PmValue *arguments)
{
    const PmValue one = pm_value_constant(1);
    PmValue size = arguments[allocator->size];
    guint64 most = 0;
    switch (allocator->rule) {
    case PM_SIZE_PLAIN:
        return allocator->factor == NONE
                   ? size
                   : pm_value_multiply(exprs, &arguments[allocator->factor], &size);
    case PM_SIZE_PLUS_1:
        return pm_value_add(exprs, &size, &one);
    case PM_SIZE_AT_MOST:
        if (size.kind == PM_VALUE_RANGE)
            most = size.v[1];
        else if (size.kind == PM_VALUE_SET)
            most = size.v[size.count - 1];
        else
            break;
        return most < G_MAXUINT64 ? pm_value_range(1, most + 1) : pm_value_unknown();
    case PM_SIZE_STRING:
        break;
    }
    return pm_value_unknown();
}

/* glibc's implementations for one kind of processor: "__memset_avx2_unaligned_erms". */
static gboolean
is_implementation(const char *name, const char *prefix)
{
    static const char *const variants[] = {"sse2", "ssse3", "avx", "evex", "erms"};
    if (!g_str_has_prefix(name, prefix))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(variants); i++)
        if (g_str_has_prefix(name + strlen(prefix), variants[i]))
            return TRUE;
    return FALSE;
}

PmFunctionKind
pm_function_get_kind(const char *name)
{
    gconstpointer found = find_name(name);
    if (found == (gconstpointer)endless)
        return PM_FUNCTION_ENDLESS;
    if (found == (gconstpointer)filling || is_implementation(name, "__memset_"))
        return PM_FUNCTION_FILLING;
    if (found == (gconstpointer)passing || is_implementation(name, "__memcpy_") ||
        is_implementation(name, "__memmove_"))
        return PM_FUNCTION_PASSING;
    /* std::__throw_bad_alloc() and its like. */
    if (g_str_has_prefix(name, "_ZSt") && strstr(name, "__throw_") != NULL)
        return PM_FUNCTION_ENDLESS;
    return PM_FUNCTION_PLAIN;
}
