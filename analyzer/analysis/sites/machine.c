/*
 * What all architectures share: sets of addresses to look for, and which machine an architecture
 * is.
 */
#include "analysis/sites/machine.h"

#include <stdlib.h>

PmTargets *
pm_targets_new(const guint64 *addresses, gsize count)
{
    PmTargets *targets = g_new0(PmTargets, 1);
    targets->addresses = g_new(guint64, count + 1);
    targets->count = count;
    for (gsize i = 0; i < count; i++) {
        const guint bit = pm_targets_hash(addresses[i]);
        targets->addresses[i] = addresses[i];
        targets->bits[bit / 64] |= G_GUINT64_CONSTANT(1) << (bit % 64);
    }
    qsort(targets->addresses, count, sizeof addresses[0], pm_addr_compare);
    return targets;
}

void
pm_targets_free(PmTargets *targets)
{
    if (targets == NULL)
        return;
    g_free(targets->addresses);
    g_free(targets);
}

gboolean
pm_targets_contain(const PmTargets *targets, guint64 address)
{
    return pm_targets_may_contain(targets, address) &&
           bsearch(&address, targets->addresses, targets->count, sizeof address, pm_addr_compare) !=
               NULL;
}

const PmMachine *
pm_machine_get(PmArch arch)
{
    return arch == PM_ARCH_X86_64 ? &pm_machine_x86_64 : NULL;
}
