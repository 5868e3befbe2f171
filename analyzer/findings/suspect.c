/*
 * The form that all suspects take; see suspect.h.
 */
#include "findings/suspect.h"

const char *
pm_suspect_kind_name(PmSuspectKind kind)
{
    static const char *const names[] = {"size", "region", "arena"};
    return names[kind];
}

const char *
pm_confidence_word(double confidence)
{
    if (confidence >= PM_CONFIDENCE_HIGH)
        return "high";
    return confidence >= PM_CONFIDENCE_MEDIUM ? "medium" : "low";
}

PmSuspect *
pm_suspect_new(PmSuspectKind kind)
{
    PmSuspect *suspect = g_new0(PmSuspect, 1);
    suspect->kind = kind;
    suspect->chunk_bytes = PM_SUSPECT_NONE;
    suspect->request_bytes = PM_SUSPECT_NONE;
    suspect->share_of_used = -1;
    suspect->lost_share = -1;
    suspect->per_hour = -1;
    suspect->evidence = pm_evidence_new();
    suspect->next = g_ptr_array_new_with_free_func(g_free);
    return suspect;
}

void
pm_suspect_free(PmSuspect *suspect)
{
    g_free(suspect->title);
    g_free(suspect->type);
    g_free(suspect->looks);
    if (suspect->sites != NULL)
        g_ptr_array_unref(suspect->sites);
    g_array_unref(suspect->evidence);
    g_ptr_array_unref(suspect->next);
    g_free(suspect);
}

void
pm_suspect_add_next(PmSuspect *suspect, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(suspect->next, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}
