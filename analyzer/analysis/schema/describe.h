/*
 * What a person gets to read of columns and layouts.
 */
#pragma once

#include "analysis/contents/describe.h"
#include "analysis/schema/matrix.h"
#include "analysis/schema/schema.h"

/* Fills in column->text. @rows: of its layout. */
void pm_schema_describe_column(PmDescriber *describer, PmPlaces *places, const PmRows *rows,
                               PmSchemaColumn *column);

/* Fills in layout->signature and layout->name from its columns. @rows: as above. */
void pm_schema_describe_layout(PmPlaces *places, const PmRows *rows, PmSchemaLayout *layout);
