/*
 * The ledger for C++. Samples that are linked with ledger-cxx.cc also have an operator delete that
 * frees through it; their operator new says what to call a block.
 */
#pragma once

/* The ledger is C11. */
#define _Noreturn [[noreturn]]
extern "C" {
#include "ledger.h"
}
#undef _Noreturn
