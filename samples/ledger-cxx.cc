/*
 * operator delete of samples whose operator new adds rows: where a block has a row, it is freed
 * with it. What was allocated without one is freed alone.
 */
#include "ledger-cxx.h"

#include <cstdlib>
#include <new>

void
operator delete(void *pointer) noexcept
{
    const LedgerSlot slot = pointer ? ledger_find(pointer) : LEDGER_SLOT_NONE;
    if (slot != LEDGER_SLOT_NONE)
        ledger_free(slot);
    else
        std::free(pointer);
}

void
operator delete(void *pointer, size_t bytes) noexcept
{
    (void)bytes;
    operator delete(pointer);
}
