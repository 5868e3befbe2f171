/*
 * What the parts of the sample types-cxx share.
 */
#pragma once

#include <cstdint>

/* Objects of a class that was compiled without RTTI; the caller names what is allocated. */
void *types_cxx_make_bare();
void *types_cxx_make_bare_derived();

/* The same of the plugin; the type of its exported functions, "types_cxx_plugin_make" and
 * "types_cxx_plugin_make_template". */
typedef void *(*TypesCxxMake)();
