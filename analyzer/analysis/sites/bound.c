/*
 * Lazy binding; see bound.h.
 */
#include "analysis/sites/bound.h"

#include "analysis/sites/machine.h"

/* Bytes of code that are looked at. */
#define CODE_BYTES 32

gboolean
pm_site_is_unbound(const PmProcess *process, const PmSite *site)
{
    guint8 bytes[CODE_BYTES];
    PmAddr value = 0;
    const PmSpace *space = pm_process_get_space(process);
    const PmMachine *machine = pm_machine_get(pm_space_get_target(space)->arch);
    return machine != NULL && pm_space_read_word(space, site->target, &value) &&
           value >= site->module->start && value < site->module->end &&
           pm_space_read(space, value, bytes, sizeof bytes) &&
           machine->is_binder(bytes, sizeof bytes);
}
