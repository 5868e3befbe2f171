#include "process/rtti.h"

struct PmRtti {
    const PmProcess *process;
};

PmRtti *
pm_rtti_new(const PmProcess *process)
{
    PmRtti *rtti = g_new0(PmRtti, 1);
    rtti->process = process;
    return rtti;
}

void
pm_rtti_free(PmRtti *rtti)
{
    g_free(rtti);
}

const PmVtable *
pm_rtti_find(G_GNUC_UNUSED PmRtti *rtti, G_GNUC_UNUSED PmAddr value)
{
    return NULL;
}

GArray *
pm_rtti_get_bases(G_GNUC_UNUSED PmRtti *rtti, G_GNUC_UNUSED const PmVtable *vtable)
{
    return g_array_new(FALSE, FALSE, sizeof(PmRttiBase));
}
