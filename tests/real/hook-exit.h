/*
 * For libraries that are preloaded into a program: the moment where it is about to end, after main,
 * or in its call of exit(), _exit() or abort(), before any handler or destructor runs.
 */
#pragma once

/*
 * Called then; defined by the library. The program goes on to its end when it returns. A program
 * may come here more than once, and so do its children.
 */
void hook_exit_reached(void);
