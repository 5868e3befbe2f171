/* What callable-lib.c offers. */
#pragma once

/* No other site asks for it. */
#define CALLABLE_BYTES 7331

/* A block that the caller owns. @way: 0 to 2, of making it. */
void *callable_used(int way);
/* The same; nobody calls it. */
void *callable_unused(void);
/* The same, of the program itself. */
void *callable_left(void);
