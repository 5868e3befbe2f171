/*
 * Loses blocks that a library made, of which it calls only one of the functions.
 *
 * Usage: callable [OPTIONS OF ledger.h]
 */
#include "callable.h"

#include "ledger.h"

#include <stdlib.h>

/* Nothing refers to it, as to functions that are inlined wherever they are called. */
void *
callable_left(void)
{
    return malloc(CALLABLE_BYTES);
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    /* The program has called malloc for once. */
    void *volatile block = malloc(1);
    free(block);
    for (int i = 0; i < 300; i++)
        ledger_note(callable_used(i % 3), CALLABLE_BYTES, LEDGER_MALLOC, true, LEDGER_LEAK_ROOT);
    ledger_finish(&options);
}
