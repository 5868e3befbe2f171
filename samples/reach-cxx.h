/*
 * What the parts of the sample reach-cxx share.
 */
#pragma once

#include "ledger-cxx.h"

/* Makes strings of the old ABI, of many lengths, in static storage. */
void reach_cxx_keep_cow_strings();
