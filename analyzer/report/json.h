/*
 * A streaming JSON writer: nothing is kept but the nesting, so that millions of rows cost no
 * memory. The result always parses: bytes that are not UTF-8 come out as the four characters \xNN,
 * and a number that JSON cannot say is null.
 */
#pragma once

#include "base/address.h"
#include "report/output.h"

#define PM_JSON_DEPTH_MAX 16

/* @depth: open objects and arrays. @filled: bit d is set once level d holds a member. */
typedef struct {
    PmOutput *output;
    guint depth;
    guint32 filled;
} PmJson;

/* @output: borrowed. */
void pm_json_init(PmJson *json, PmOutput *output);

/*
 * Every call below adds one member. @key is its name in the object that is open, written as it is
 * (it must need no escapes); NULL in an array and for the document itself.
 */
void pm_json_begin_object(PmJson *json, const char *key);
void pm_json_begin_array(PmJson *json, const char *key);

/* Close what was opened last. The document itself ends with a newline. */
void pm_json_end_object(PmJson *json);
void pm_json_end_array(PmJson *json);

void pm_json_null(PmJson *json, const char *key);
void pm_json_bool(PmJson *json, const char *key, gboolean value);
void pm_json_uint(PmJson *json, const char *key, guint64 value);
void pm_json_int(PmJson *json, const char *key, gint64 value);

/* At most six significant digits; null where @value is no finite number. Independent of the locale.
 */
void pm_json_double(PmJson *json, const char *key, double value);

/* NULL gives null. @value: any bytes up to a NUL. */
void pm_json_string(PmJson *json, const char *key, const char *value);

/* The same for @count bytes, which may hold NULs. */
void pm_json_bytes(PmJson *json, const char *key, const char *value, gsize count);

/* "0x…"; PM_ADDR_NONE gives null. */
void pm_json_address(PmJson *json, const char *key, PmAddr address);
