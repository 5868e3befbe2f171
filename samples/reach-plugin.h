/*
 * What reach-plugin.c offers to the sample reach.
 */
#pragma once

/* Each keeps @pointer in a variable of the module. */
void reach_plugin_hold_in_thread(void *pointer);
void reach_plugin_hold_in_data(void *pointer);
void reach_plugin_hold_in_bss(void *pointer);
