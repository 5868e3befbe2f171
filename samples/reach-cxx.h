/*
 * What the parts of the sample reach-cxx share.
 */
#pragma once

/* The ledger is C11. */
#define _Noreturn [[noreturn]]
extern "C" {
#include "ledger.h"
}
#undef _Noreturn

/* Makes strings of the old ABI, of many lengths, in static storage. */
void reach_cxx_keep_cow_strings();
