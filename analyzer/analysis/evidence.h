/*
 * Evidence: what speaks for a statement and what against it, each with its weight.
 */
#pragma once

#include <glib.h>

/*
 * One signal.
 *
 * @signal: a short constant word for scripts and for the ledger on the page: "lost", "request",
 *   "stores", "stack"; static.
 * @weight: −1 … 1: how far it moves the statement's confidence; below 0 it speaks against it, 0 is
 *   a fact that moves nothing.
 * @text: what was seen, one line for a person; owned.
 */
typedef struct {
    const char *signal;
    double weight;
    char *text;
} PmEvidence;

/* An empty list of PmEvidence, whose texts it owns. (transfer full) */
GArray *pm_evidence_new(void);

/* Adds a signal to the end of @evidence. */
void pm_evidence_add(GArray *evidence, const char *signal, double weight, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
