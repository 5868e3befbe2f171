/* What roots.c and labels.c share. */
#pragma once

#include "analysis/reach/roots.h"

const PmSubject *pm_roots_get_subject(const PmRoots *roots);
