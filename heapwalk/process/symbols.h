/*
 * Symbol tables of the modules' files and debug files; read when they are first asked for.
 */
#pragma once

#include "process/process-private.h"

PmSymbolTables *pm_symbol_tables_new(const PmProcess *process);
void pm_symbol_tables_free(PmSymbolTables *symbols);
