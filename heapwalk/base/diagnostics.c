#include "base/diagnostics.h"

struct PmDiagnostics {
    GMutex lock;
    GPtrArray *list;    /* PmDiagnostic */
    GHashTable *counts; /* code → guint64, kept or not; codes are static strings, a few dozen */
    guint64 omitted;
};

const char *
pm_severity_name(PmSeverity severity)
{
    switch (severity) {
    case PM_SEVERITY_NOTE:
        return "note";
    case PM_SEVERITY_WARNING:
        return "warning";
    case PM_SEVERITY_ERROR:
        return "error";
    }
    return "unknown";
}

static void
diagnostic_free(gpointer data)
{
    PmDiagnostic *diagnostic = data;
    g_free(diagnostic->text);
    g_free(diagnostic);
}

PmDiagnostics *
pm_diagnostics_new(void)
{
    PmDiagnostics *diagnostics = g_new0(PmDiagnostics, 1);
    g_mutex_init(&diagnostics->lock);
    diagnostics->list = g_ptr_array_new_with_free_func(diagnostic_free);
    diagnostics->counts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    return diagnostics;
}

void
pm_diagnostics_free(PmDiagnostics *diagnostics)
{
    if (diagnostics == NULL)
        return;
    g_ptr_array_unref(diagnostics->list);
    g_hash_table_unref(diagnostics->counts);
    g_mutex_clear(&diagnostics->lock);
    g_free(diagnostics);
}

/* Counts one more of @code; TRUE where it is still to be kept. Called with the lock held. */
static gboolean
count_one(PmDiagnostics *diagnostics, const char *code)
{
    guint64 *count = g_hash_table_lookup(diagnostics->counts, code);
    if (count == NULL) {
        count = g_new0(guint64, 1);
        g_hash_table_insert(diagnostics->counts, (gpointer)code, count);
    }
    if (++*count <= PM_DIAGNOSTICS_PER_CODE)
        return TRUE;
    diagnostics->omitted++;
    return FALSE;
}

static void add(PmDiagnostics *diagnostics, const PmDiagnostic *fields, const char *format,
                va_list arguments) G_GNUC_PRINTF(3, 0);

static void
add(PmDiagnostics *diagnostics, const PmDiagnostic *fields, const char *format, va_list arguments)
{
    g_mutex_lock(&diagnostics->lock);
    if (count_one(diagnostics, fields->code)) {
        PmDiagnostic *diagnostic = g_memdup2(fields, sizeof *fields);
        diagnostic->text = g_strdup_vprintf(format, arguments);
        g_ptr_array_add(diagnostics->list, diagnostic);
    }
    g_mutex_unlock(&diagnostics->lock);
}

void
pm_diagnostics_add(PmDiagnostics *diagnostics, const char *code, PmSeverity severity,
                   PmAddr address, const char *format, ...)
{
    const PmDiagnostic fields = {
        .code = code, .severity = severity, .address = address, .arena = PM_ADDR_NONE};
    va_list arguments;
    va_start(arguments, format);
    add(diagnostics, &fields, format, arguments);
    va_end(arguments);
}

void
pm_diagnostics_add_arena(PmDiagnostics *diagnostics, const char *code, PmSeverity severity,
                         PmAddr arena, PmAddr address, const char *format, ...)
{
    const PmDiagnostic fields = {
        .code = code, .severity = severity, .address = address, .arena = arena};
    va_list arguments;
    va_start(arguments, format);
    add(diagnostics, &fields, format, arguments);
    va_end(arguments);
}

guint
pm_diagnostics_get_count(PmDiagnostics *diagnostics)
{
    g_mutex_lock(&diagnostics->lock);
    const guint count = diagnostics->list->len;
    g_mutex_unlock(&diagnostics->lock);
    return count;
}

const PmDiagnostic *
pm_diagnostics_get(PmDiagnostics *diagnostics, guint index)
{
    g_mutex_lock(&diagnostics->lock);
    const PmDiagnostic *diagnostic = g_ptr_array_index(diagnostics->list, index);
    g_mutex_unlock(&diagnostics->lock);
    return diagnostic;
}

guint64
pm_diagnostics_count_code(PmDiagnostics *diagnostics, const char *code)
{
    g_mutex_lock(&diagnostics->lock);
    const guint64 *count = g_hash_table_lookup(diagnostics->counts, code);
    const guint64 result = count != NULL ? *count : 0;
    g_mutex_unlock(&diagnostics->lock);
    return result;
}

guint64
pm_diagnostics_get_omitted(PmDiagnostics *diagnostics)
{
    g_mutex_lock(&diagnostics->lock);
    const guint64 omitted = diagnostics->omitted;
    g_mutex_unlock(&diagnostics->lock);
    return omitted;
}
