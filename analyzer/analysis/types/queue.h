/*
 * Chunks that wait to be looked at, first in, first out: a slot and its region in one word. Where
 * there is no more room, what is pushed is dropped, and said so.
 */
#pragma once

#include "heap/resolver.h"

/* @capacity: a power of two. @spilled: something was dropped. All zero: empty. */
typedef struct {
    guint64 *items;
    guint64 capacity;
    guint64 first;
    guint64 count;
    gboolean spilled;
} PmSlotQueue;

#define PM_SLOT_QUEUE_MAX         ((guint64)1 << 26)
#define PM_SLOT_QUEUE_REGION_BITS 24
/* No region: the slot is a number of the user's. */
#define PM_SLOT_QUEUE_OBJECT ((1u << PM_SLOT_QUEUE_REGION_BITS) - 1)

static inline PmSlot
pm_slot_queue_get_slot(guint64 item)
{
    return item >> PM_SLOT_QUEUE_REGION_BITS;
}

static inline guint32
pm_slot_queue_get_region(guint64 item)
{
    return (guint32)(item & ((1u << PM_SLOT_QUEUE_REGION_BITS) - 1));
}

static inline gboolean
pm_slot_queue_grow(PmSlotQueue *queue)
{
    const guint64 capacity = MAX(1024, queue->capacity * 2);
    guint64 *items = capacity > PM_SLOT_QUEUE_MAX ? NULL : g_try_malloc_n(capacity, sizeof *items);
    if (items == NULL)
        return FALSE;
    for (guint64 i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->first + i) & (queue->capacity - 1)];
    g_free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
    return TRUE;
}

static inline void
pm_slot_queue_push(PmSlotQueue *queue, PmSlot slot, guint32 region)
{
    if (region >> PM_SLOT_QUEUE_REGION_BITS != 0 || slot >> (64 - PM_SLOT_QUEUE_REGION_BITS) != 0 ||
        (queue->count == queue->capacity && !pm_slot_queue_grow(queue))) {
        queue->spilled = TRUE;
        return;
    }
    queue->items[(queue->first + queue->count++) & (queue->capacity - 1)] =
        slot << PM_SLOT_QUEUE_REGION_BITS | region;
}

/* The item that waits behind @ahead others; only where there are more. */
static inline guint64
pm_slot_queue_peek(const PmSlotQueue *queue, guint64 ahead)
{
    return queue->items[(queue->first + ahead) & (queue->capacity - 1)];
}

/* Only where there is one. */
static inline guint64
pm_slot_queue_pop(PmSlotQueue *queue)
{
    const guint64 item = queue->items[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return item;
}

static inline void
pm_slot_queue_clear(PmSlotQueue *queue)
{
    g_free(queue->items);
    *queue = (PmSlotQueue){0};
}
