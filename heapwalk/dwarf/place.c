#include "dwarf/place.h"

#include <dwarf.h>

/* An index into .debug_addr: FALSE where it leads nowhere. */
static gboolean
read_indexed(const PmDieWalk *walk, guint64 *ret_value)
{
    Dwarf_Die die = pm_die_walk_get(walk);
    Dwarf_Attribute location, indexed;
    Dwarf_Op *ops = NULL;
    Dwarf_Addr address = 0;
    Dwarf_Word number = 0;
    size_t count = 0;
    if (dwarf_attr(&die, DW_AT_location, &location) == NULL ||
        dwarf_getlocation(&location, &ops, &count) != 0 || count == 0 ||
        dwarf_getlocation_attr(&location, &ops[0], &indexed) != 0)
        return FALSE;
    if (dwarf_formaddr(&indexed, &address) == 0) {
        *ret_value = address;
        return TRUE;
    }
    if (dwarf_formudata(&indexed, &number) != 0)
        return FALSE;
    *ret_value = number;
    return TRUE;
}

/* The first operation: what it pushes, and whether that is an address. */
static gboolean
read_operand(const PmDieWalk *walk, PmBytes *bytes, guint64 *ret_value, gboolean *ret_is_address)
{
    const guint64 op = pm_bytes_fixed(bytes, 1);
    *ret_is_address = op == DW_OP_addr || op == DW_OP_addrx || op == DW_OP_GNU_addr_index;
    switch (op) {
    case DW_OP_addr:
        *ret_value = pm_bytes_fixed(bytes, MIN(walk->unit->address_bytes, 8));
        return !bytes->failed;
    case DW_OP_const4u:
        *ret_value = pm_bytes_fixed(bytes, 4);
        return !bytes->failed;
    case DW_OP_const8u:
        *ret_value = pm_bytes_fixed(bytes, 8);
        return !bytes->failed;
    case DW_OP_addrx:
    case DW_OP_constx:
    case DW_OP_GNU_addr_index:
    case DW_OP_GNU_const_index:
        pm_bytes_uleb(bytes);
        return !bytes->failed && read_indexed(walk, ret_value);
    default:
        return FALSE;
    }
}

gboolean
pm_place_read(const PmDieWalk *walk, guint64 *ret_value, gboolean *ret_is_tls)
{
    PmBytes bytes;
    guint64 value = 0;
    gboolean is_address = FALSE;
    gboolean is_tls = FALSE;
    if (!pm_die_walk_get_block(walk, PM_SLOT_LOCATION, &bytes) ||
        !read_operand(walk, &bytes, &value, &is_address))
        return FALSE;
    if (pm_bytes_left(&bytes) > 0) {
        const guint64 op = pm_bytes_fixed(&bytes, 1);
        is_tls = op == DW_OP_form_tls_address || op == DW_OP_GNU_push_tls_address;
        if (is_address && op == DW_OP_plus_uconst)
            value += pm_bytes_uleb(&bytes);
        else if (!is_tls)
            return FALSE;
        if (bytes.failed || pm_bytes_left(&bytes) > 0)
            return FALSE;
    }
    /* The linker gives 0 to what it left out. */
    if (!is_tls && (!is_address || value == 0))
        return FALSE;
    *ret_value = value;
    *ret_is_tls = is_tls;
    return TRUE;
}
