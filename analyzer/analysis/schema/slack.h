/*
 * Where the program's data end: what lies behind them in a chunk was never written by this owner,
 * and shows what was there before.
 */
#pragma once

#include "analysis/schema/matrix.h"
#include "analysis/schema/schema.h"

/*
 * @chunk_bytes: of all chunks. @requests: that give a chunk of this size. @upper_halves: the upper
 * 32 bits of addresses that are mapped, ascending, @upper_count of them; of 32-bit targets none.
 */
typedef struct {
    guint64 chunk_bytes;
    PmRequests requests;
    const guint32 *upper_halves;
    gsize upper_count;
} PmSlackFacts;

/*
 * What the chunks of one layout betray.
 *
 * @columns: PmSchemaColumn, of the whole of the bytes that are looked at.
 * @ret_request: (out): its evidence is to be freed by the caller.
 */
void pm_slack_infer(const PmRows *rows, const GArray *columns, const PmSlackFacts *facts,
                    PmSchemaRequest *ret_request);
