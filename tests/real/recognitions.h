/*
 * What the recognisers say of a core, by list-recognitions.
 */
#pragma once

#include "run.h"

/* A chunk in use. @id, @name: "-" where nobody knows it. @type: the DWARF type, "-" without one. */
typedef struct {
    guint64 address;
    guint64 usable_bytes;
    char *id;
    guint64 offset_bytes;
    double confidence;
    char *type;
    char *name;
} RealRecognition;

/*
 * Asks about @run's core.
 *
 * Returns: (transfer full): RealRecognition by ascending address; NULL after g_test_fail().
 */
GArray *real_list_recognitions(const RealRun *run);

/* The chunk whose user data holds @address, or NULL. */
const RealRecognition *real_find_recognition(const GArray *recognitions, guint64 address);
