/*
 * Collects differences of one kind and fails the test with the first few of them.
 */
#pragma once

#include <glib.h>

/* @what: names them in the plural: "chunks with a wrong size". */
typedef struct {
    const char *what;
    guint count;
    GString *text;
} RealProblems;

void real_problems_init(RealProblems *problems, const char *what);

/* One more, as a line. */
void real_problems_add(RealProblems *problems, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Fails the test where there are any, and frees what is inside. */
void real_problems_report(RealProblems *problems);
