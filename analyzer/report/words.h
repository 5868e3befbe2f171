/*
 * Memory word by word, each with what it points to, as sample and show share it.
 */
#pragma once

#include "analysis/contents/describe.h"
#include "report/sink.h"

/* @bytes: @count of them, which lie @offset_bytes (a multiple of a word) into what is shown. */
typedef struct {
    const guint8 *bytes;
    gsize count;
    guint64 offset_bytes;
} PmWords;

/* Text: a line a word: offset, hex, ASCII, what it points to. Words that repeat are told once. */
void pm_words_print(const PmSink *sink, PmDescriber *describer, const PmWords *words);

/* JSON: the array "words" in the object that is open: offset, value, what, detail, and for a
 * pointer to a chunk its address. */
void pm_words_write(const PmSink *sink, PmDescriber *describer, const PmWords *words);
