/*
 * A shared object that the sample reach loads with dlopen(). Built twice, for the two kinds of
 * thread-local storage: a block that is made when a thread first asks for it (general-dynamic), and
 * room in the static block of every thread (initial-exec).
 */
#include "reach-plugin.h"

static __thread void *volatile plugin_thread_local;
static void *volatile plugin_data = (void *)1;
static void *volatile plugin_bss;

void
reach_plugin_hold_in_thread(void *pointer)
{
    plugin_thread_local = pointer;
}

void
reach_plugin_hold_in_data(void *pointer)
{
    plugin_data = pointer;
}

void
reach_plugin_hold_in_bss(void *pointer)
{
    plugin_bss = pointer;
}
