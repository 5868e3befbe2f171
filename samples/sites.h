/*
 * Sites whose truth is in their names, which tests/real/test-sites.c reads from the symbols:
 *
 *   sNN_is_24, sNN_is_16_or_48   asks for exactly these sizes
 *   sNN_in_0_63                  for any size within these bounds
 *   sNN_multiple_8               for any multiple of that
 *   sNN_maybe_568                for this one, or it is none
 *   sNN_unknown                  for a size that nothing in the function tells: none must be named
 *
 * Each is a function of its own, which no compiler may merge, copy or specialise.
 */
#pragma once

#include <stddef.h>

#ifdef __clang__
#define SITE __attribute__((noinline, used))
#else
#define SITE __attribute__((noipa, used))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where results go, and where sizes come from that no compiler knows. */
extern void *volatile site_sink;
extern volatile size_t site_number;
extern volatile int site_choice;

/* samples/sites-lib.c: wrappers of another module. */
void *lib_alloc(size_t size);
void *lib_zalloc(size_t size);
void *lib_array(size_t count, size_t size);

/* And a variable of it: code of its own library, too, finds it through a word. */
struct site_hooks {
    long unused[3];
    void *(*allocate)(int size);
};
extern struct site_hooks site_hooks;

/* Called by main, so that the linker keeps them. */
void sites_cxx(void);
void sites_glib(void);

#ifdef __cplusplus
}
#endif
