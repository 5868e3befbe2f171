/*
 * The `show` command's rendering.
 */
#pragma once

#include "analysis/contents/describe.h"
#include "analysis/lookup.h"
#include "analysis/references.h"
#include "analysis/types/typing.h"
#include "report/sink.h"

/*
 * All that is known of an address; borrowed.
 *
 * @describer: names the words of a chunk. @typing: NULL where there are no types. @reach: NULL
 * where the class is not known. @holders: the first references to the chunk, or NULL.
 */
typedef struct {
    PmDescriber *describer;
    PmTyping *typing;
    const PmLookup *lookup;
    const PmReach *reach;
    const PmReferences *holders;
} PmShow;

void pm_report_show(const PmSink *sink, const PmShow *show);
