/*
 * Reachability classes and references in words, as leaks, refs, path and show share them.
 */
#pragma once

#include "analysis/references.h"
#include "report/sink.h"

/* What a class means, such as "nothing refers to it". Static. */
const char *pm_reach_describe(PmReachClass reach_class);

/* "leak_root": the class as a key of JSON. Static. */
const char *pm_reach_key(PmReachClass reach_class);

/* "32 bytes, leak-root"; the state where there is no class. (transfer full) */
char *pm_reach_describe_chunk(const PmChunk *chunk, PmReachClass reach_class);

/* "0x55d0c0a8b2a0 + 0x8", or the address alone. */
PmShort pm_reach_format_place(PmAddr address, guint64 offset_bytes);

/* Text: the first line of an answer about @held: where its address lies in which chunk. */
void pm_reach_print_held(const PmSink *sink, const PmHeldChunk *held);

/* The same in the object that is open: "address", "chunk" and what is known of it. */
void pm_reach_write_held(PmJson *json, const PmHeldChunk *held);

/* Text: what the class of @held means, and what speaks against it. */
void pm_reach_print_verdict(const PmSink *sink, const PmHeldChunk *held);
