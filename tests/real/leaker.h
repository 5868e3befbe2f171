/*
 * What leaker.c, which is preloaded into programs, writes, and what its parts share.
 *
 * The file: a LeakerHeader, its modules, its rows, its observations. All numbers as the machine has
 * them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LEAKER_FRAMES       12
#define LEAKER_MODULE_BYTES 256
#define LEAKER_NAME_BYTES   24
#define LEAKER_ARGUMENTS    6
#define LEAKER_NO_MODULE    UINT32_MAX
#define LEAKER_TAIL         1
#define LEAKER_UNSURE       2

typedef struct {
    uint64_t modules;
    uint64_t rows;
    uint64_t observations;
} LeakerHeader;

/* @bias: what addresses in the process exceed those in the file by. */
typedef struct {
    uint64_t bias;
    char path[LEAKER_MODULE_BYTES];
} LeakerModule;

/*
 * One caller.
 *
 * @module: index, or LEAKER_NO_MODULE. @address: where the call returns to, in the process;
 * @offset: the same in the file. Of a function that jumped to the one that it called last, and so
 * does not wait for it, both are where it starts, and LEAKER_TAIL is set; those that it jumps to
 * and that jump on are not known. @flags: LEAKER_UNSURE where the call does not say which function
 * it calls: that may have jumped to the one before.
 * @entry: where its function starts, in the file, by .eh_frame; 0 where that is not known.
 * @bytes: how long it is, 0 where that is not known.
 * @name: a dynamic symbol that is exactly there, or "".
 */
typedef struct {
    uint32_t module;
    uint32_t flags;
    uint64_t address;
    uint64_t offset;
    uint64_t entry;
    uint64_t bytes;
    char name[LEAKER_NAME_BYTES];
} LeakerFrame;

/*
 * Blocks of one size from one chain of callers, innermost first.
 *
 * @frees: of them, realloc() of one included; @skipped: how many of the frees were not carried out.
 * @leaks: whether frees are skipped.
 */
typedef struct {
    uint64_t size;
    uint64_t allocations;
    uint64_t frees;
    uint64_t skipped;
    uint32_t leaks;
    uint32_t frame_count;
    LeakerFrame frames[LEAKER_FRAMES];
} LeakerRow;

/*
 * That a function, while it was in the call that returns to @offset, allocated @size bytes, and
 * what its integer arguments were when it was called. @probe: the number of the function's line in
 * the file of the probes.
 */
typedef struct {
    uint64_t probe;
    uint64_t offset;
    uint64_t size;
    uint64_t arguments[LEAKER_ARGUMENTS];
} LeakerObservation;

/* From here on: within the library. */

/* A caller of an allocation. @address, @flags: as in LeakerFrame; @entry: where its function
 * starts in the process, or 0; @cfa: the stack pointer when it was entered, and eight. */
typedef struct {
    uint64_t address;
    uint64_t entry;
    uint64_t cfa;
    uint64_t flags;
} LeakerCaller;

typedef struct {
    uint32_t count;
    LeakerCaller callers[LEAKER_FRAMES];
} LeakerChain;

/* The path of the program itself, which the loader leaves out. */
const char *leaker_get_program(void);

/* Memory that is not malloc's, all zero, of which only what is used is there; NULL where there is
 * none. */
void *leaker_map(size_t bytes);

/* The text of the file that the environment variable @name names, or NULL. Never freed. */
const char *leaker_read(const char *name);

/* leaker-chain.c */

/* Loads the unwinder. */
void leaker_chain_open(void);

/* The callers of the function of this library that stands for one of malloc's. */
void leaker_chain_take(LeakerChain *chain);

/* The bytes of the function at @address, by .eh_frame; 0 where that is not known. */
uint64_t leaker_chain_measure(uint64_t address);

/* leaker-rows.c */

/* Reads what is to leak (POSTMALLOC_LEAKER_SITES: see there). */
void leaker_rows_open(void);

/* The number of the row of @size and @chain; UINT32_MAX when there are too many. Borrowed from
 * leaker_rows_get(). Thread-safe. */
uint32_t leaker_rows_find(size_t size, const LeakerChain *chain);
LeakerRow *leaker_rows_get(uint32_t number);

/* Appends the file but for the observations to @fd, then lets go of all memory. */
void leaker_rows_write(int fd, uint64_t observations);

/* leaker-probe.c */

/* Puts probes where POSTMALLOC_LEAKER_PROBES says, if it does. */
void leaker_probes_open(void);

/* Puts those that are in modules which came later. Not to be called by two threads at once. */
void leaker_probes_place(void);

/* Keeps what the callers of @chain were called with, where there is a probe. */
void leaker_probes_observe(size_t size, const LeakerChain *chain);

const LeakerObservation *leaker_probes_get(uint64_t *ret_count);
