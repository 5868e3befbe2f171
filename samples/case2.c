/*
 * Case 2 (the Fibonacci thread): a thread asks for the numbers of the sequence one after the other;
 * each comes in an array of 1024 eight-byte integers that the function allocates and nobody frees.
 *
 * Usage: case2 [COUNT] [OPTIONS OF ledger.h]      (COUNT: default 2000)
 */
#include "ending.h"
#include "ledger.h"

#include <pthread.h>
#include <stdlib.h>

#define TERMS 1024

static uint64_t count = 2000;
static uint64_t checksum;
static pthread_barrier_t finished;

/* The sequence up to term @n (modulo 2^64, and again from the start past TERMS); the caller is to
 * free it. */
static __attribute__((noinline)) uint64_t *
fibonacci(uint64_t n)
{
    uint64_t *terms = calloc(TERMS, sizeof *terms);
    if (!terms)
        abort();
    ledger_note(terms, TERMS * sizeof *terms, LEDGER_CALLOC, true, LEDGER_LEAK_ROOT);
    terms[1] = 1;
    for (uint64_t i = 2; i <= n % TERMS; i++)
        terms[i] = terms[i - 1] + terms[i - 2];
    return terms;
}

static __attribute__((noinline)) void
child_work(void)
{
    for (uint64_t n = 0; n < count; n++)
        checksum += fibonacci(n)[n % TERMS];
}

static void *
child(void *argument)
{
    (void)argument;
    child_work();
    pthread_barrier_wait(&finished);
    ledger_park();
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {.seed = 1};
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        i--;
        count = ledger_parse_number(argc, argv, &i);
    }
    ledger_open(&options);
    pthread_t thread;
    if (pthread_barrier_init(&finished, NULL, 2) || pthread_create(&thread, NULL, child, NULL))
        abort();
    pthread_barrier_wait(&finished);
    ending_await_parked(1);
    ledger_finish(&options);
}
