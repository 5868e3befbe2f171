/*
 * The `chunks` command's rendering: a stream of rows.
 */
#pragma once

#include "analysis/chunks.h"
#include "analysis/types/typing.h"
#include "report/sink.h"

/*
 * @typing: NULL where no types are asked for. @only: (nullable): the name of the type of those that
 * are shown; pm_typed_is() decides. @paths: in JSON, pm_typing_describe_path() of each.
 */
typedef struct {
    PmTyping *typing;
    const char *only;
    gboolean paths;
} PmChunkTypes;

/* @reach: NULL where no class is known; needed where @filter asks for one. */
void pm_report_chunks(const PmSink *sink, const PmSubject *subject, const PmReach *reach,
                      const PmChunkTypes *types, const PmChunkFilter *filter);
