/*
 * Suspects from everywhere, ranked; see findings.h.
 */
#include "findings/findings.h"

#include "findings/arenas.h"
#include "findings/culprits.h"
#include "findings/family.h"
#include "findings/hidden.h"
#include "findings/regions.h"

static gint
compare_suspects(gconstpointer left, gconstpointer right)
{
    const PmSuspect *a = *(const PmSuspect *const *)left;
    const PmSuspect *b = *(const PmSuspect *const *)right;
    const gboolean a_counts = a->confidence >= PM_CONFIDENCE_MEDIUM;
    const gboolean b_counts = b->confidence >= PM_CONFIDENCE_MEDIUM;
    if (a_counts != b_counts)
        return a_counts ? -1 : 1;
    return (a->interest < b->interest) - (a->interest > b->interest);
}

/* A family stands for its sizes; those of which nobody knows what they are keep their own. */
static void
add_family(PmFindings *findings, PmSuspect *family)
{
    for (guint i = findings->suspects->len; family->type != NULL && i-- > 0;) {
        const PmSuspect *member = g_ptr_array_index(findings->suspects, i);
        if (g_strcmp0(member->type, family->type) == 0 && member->lost_share > 0)
            g_ptr_array_remove_index(findings->suspects, i);
    }
    g_ptr_array_add(findings->suspects, family);
}

static gint
compare_findings(gconstpointer left, gconstpointer right)
{
    const PmSizeFinding *a = *(const PmSizeFinding *const *)left;
    const PmSizeFinding *b = *(const PmSizeFinding *const *)right;
    return compare_suspects(&a->suspect, &b->suspect);
}

/* What is looked for in disguise: the sizes that are suspected for what is lost of them. */
static PmHidden *
look_for_hidden(const PmFindingsInput *input, const GPtrArray *sizes)
{
    g_autoptr(GArray) lost = g_array_new(FALSE, FALSE, sizeof(guint64));
    for (guint i = 0; i < sizes->len; i++) {
        const PmSizeFinding *finding = g_ptr_array_index(sizes, i);
        if (finding->is_lost)
            g_array_append_val(lost, finding->suspect->chunk_bytes);
    }
    return input->reach == NULL ? NULL : pm_hidden_new(input, lost);
}

static void
weigh_hidden(const PmHidden *hidden, const GPtrArray *sizes)
{
    for (guint i = 0; hidden != NULL && i < sizes->len; i++) {
        PmSizeFinding *finding = g_ptr_array_index(sizes, i);
        if (!finding->is_lost)
            continue;
        pm_hidden_weigh(hidden, finding->suspect->chunk_bytes, finding->suspect->evidence);
        pm_size_finding_weigh(finding);
    }
}

static void
add_sizes(PmFindings *findings, const PmFindingsInput *input)
{
    g_autoptr(GArray) candidates =
        pm_candidates_find(input->subject->ptmalloc, input->sizes, input->reach);
    g_autoptr(GPtrArray) sizes =
        g_ptr_array_new_with_free_func((GDestroyNotify)pm_size_finding_free);
    for (guint i = 0; i < candidates->len; i++)
        g_ptr_array_add(sizes,
                        pm_size_finding_new(input, &g_array_index(candidates, PmSizeCandidate, i)));
    g_autoptr(PmHidden) hidden = look_for_hidden(input, sizes);
    weigh_hidden(hidden, sizes);
    g_ptr_array_sort(sizes, compare_findings);
    const guint64 most_blamed =
        candidates->len > 0 ? g_array_index(candidates, PmSizeCandidate, 0).blame_bytes : 0;
    PmFamilyFinding family;
    const gboolean has_family = pm_family_find(input, hidden, most_blamed, &family);
    pm_culprits_find(findings, input, sizes, has_family ? &family : NULL);
    for (guint i = 0; i < sizes->len; i++) {
        PmSizeFinding *finding = g_ptr_array_index(sizes, i);
        pm_size_finding_finish(finding, input);
        g_ptr_array_add(findings->suspects, g_steal_pointer(&finding->suspect));
    }
    if (has_family)
        add_family(findings, family.suspect);
}

PmFindings *
pm_findings_new(const PmFindingsInput *input)
{
    PmFindings *findings = g_new0(PmFindings, 1);
    findings->suspects = g_ptr_array_new_with_free_func((GDestroyNotify)pm_suspect_free);
    if (input->sizes != NULL)
        add_sizes(findings, input);
    PmSuspect *arenas = input->arenas != NULL ? pm_arenas_suspect(input) : NULL;
    if (arenas != NULL)
        g_ptr_array_add(findings->suspects, arenas);
    if (input->regions != NULL)
        pm_regions_suspect(input, findings->suspects);
    g_ptr_array_sort(findings->suspects, compare_suspects);
    return findings;
}

gboolean
pm_findings_have_suspects(const PmFindings *findings)
{
    const PmSuspect *first =
        findings->suspects->len > 0 ? g_ptr_array_index(findings->suspects, 0) : NULL;
    return first != NULL && first->confidence >= PM_CONFIDENCE_MEDIUM;
}

void
pm_findings_free(PmFindings *findings)
{
    g_ptr_array_unref(findings->suspects);
    if (findings->sites != NULL)
        pm_sites_free(findings->sites);
    g_free(findings->sites_message);
    g_free(findings);
}
