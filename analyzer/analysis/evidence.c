/*
 * Lists of evidence; see evidence.h.
 */
#include "analysis/evidence.h"

static void
clear_evidence(gpointer data)
{
    PmEvidence *evidence = data;
    g_free(evidence->text);
}

GArray *
pm_evidence_new(void)
{
    GArray *evidence = g_array_new(FALSE, FALSE, sizeof(PmEvidence));
    g_array_set_clear_func(evidence, clear_evidence);
    return evidence;
}

void
pm_evidence_add(GArray *evidence, const char *signal, double weight, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PmEvidence added = {
        .signal = signal, .weight = weight, .text = g_strdup_vprintf(format, arguments)};
    va_end(arguments);
    g_array_append_val(evidence, added);
}
