/*
 * What core-builder.c and core-notes.c share: numbers in the target's word size and byte order.
 */
#pragma once

#include "core-builder.h"

typedef struct {
    GByteArray *array;
    guint word_bytes;
    gboolean is_big_endian;
} CoreBytes;

void core_bytes_put(CoreBytes out, guint64 value, guint size_bytes);
void core_bytes_put_word(CoreBytes out, guint64 value);

/* Appends zeros up to a multiple of @size_bytes. */
void core_bytes_pad(CoreBytes out, guint size_bytes);

/* A writer to @array in the core's word size and byte order. */
CoreBytes core_builder_get_bytes(const CoreBuilder *builder, GByteArray *array);
GByteArray *core_builder_get_notes(const CoreBuilder *builder);
guint16 core_builder_get_machine(const CoreBuilder *builder);
