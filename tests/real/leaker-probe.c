/*
 * What functions are called with: breakpoints at their first instruction, within the process.
 * x86-64 alone; elsewhere nothing is observed.
 *
 * POSTMALLOC_LEAKER_PROBES names a file with a line "PATH+OFFSET" for each function.
 */
#include "leaker.h"

#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define PROBES_MAX       1024
#define PROBE_SLOTS      4096
#define ENTRIES          64
#define OBSERVATIONS_MAX 65536
/* So many observations of a size in a call, and of a call. */
#define SAME_SIZE_MAX 4
#define SAME_CALL_MAX 256
#define COUNTERS      ((size_t)1 << 18)
/* After so many calls a function is let alone: it has been seen, and each takes microseconds. */
#define ENTERED_MAX 3000
#define TRAP_FLAG   0x100
#define BREAKPOINT  0xcc

/* A call of the function that may not have returned yet. */
typedef struct {
    uint64_t cfa;
    uint64_t arguments[LEAKER_ARGUMENTS];
} Entry;

/* @word: PATH+OFFSET, up to the end of its line. @address: 0 until its module is there. */
typedef struct {
    const char *word;
    size_t path_length;
    uint64_t offset;
    uint64_t address;
    uint8_t first_byte;
    atomic_uint entered;
    Entry entries[ENTRIES];
} Probe;

static Probe *probes;
static size_t probe_count;
static size_t unplaced;
static uint16_t slots[PROBE_SLOTS]; /* by address: number of the probe and 1 */
static LeakerObservation *observations;
static uint64_t observation_count;
static uint16_t *counters;
static __thread Probe *stepping;

static size_t
hash_address(uint64_t address)
{
    return (size_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> 52) % PROBE_SLOTS;
}

static Probe *
find_probe(uint64_t address)
{
    for (size_t at = hash_address(address); slots[at] != 0; at = (at + 1) % PROBE_SLOTS)
        if (probes[slots[at] - 1].address == address)
            return &probes[slots[at] - 1];
    return NULL;
}

#ifdef __x86_64__
static void
set_byte(uint64_t address, uint8_t byte)
{
    *(volatile uint8_t *)(uintptr_t)address = byte;
}

static void
keep_entry(Probe *probe, const greg_t *registers)
{
    Entry *entry = &probe->entries[atomic_fetch_add(&probe->entered, 1) % ENTRIES];
    static const int order[LEAKER_ARGUMENTS] = {REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9};
    entry->cfa = (uint64_t)registers[REG_RSP] + 8;
    for (int i = 0; i < LEAKER_ARGUMENTS; i++)
        entry->arguments[i] = (uint64_t)registers[order[i]];
}

/* At a breakpoint: runs the instruction that is under it, alone; after it, puts it back. */
static void
handle_trap(int number, siginfo_t *info, void *data)
{
    (void)number;
    (void)info;
    greg_t *registers = ((ucontext_t *)data)->uc_mcontext.gregs;
    if (stepping != NULL) {
        set_byte(stepping->address, BREAKPOINT);
        stepping = NULL;
        registers[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    Probe *probe = find_probe((uint64_t)registers[REG_RIP] - 1);
    if (probe == NULL)
        return;
    keep_entry(probe, registers);
    set_byte(probe->address, probe->first_byte);
    registers[REG_RIP]--;
    if (atomic_load(&probe->entered) >= ENTERED_MAX)
        return;
    registers[REG_EFL] |= TRAP_FLAG;
    stepping = probe;
}

static void
place(Probe *probe, uint64_t address)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)(uintptr_t)(address & ~(page - 1));
    if (mprotect(start, page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return;
    probe->address = address;
    probe->first_byte = *(const uint8_t *)(uintptr_t)address;
    size_t at = hash_address(address);
    while (slots[at] != 0)
        at = (at + 1) % PROBE_SLOTS;
    slots[at] = (uint16_t)(probe - probes + 1);
    set_byte(address, BREAKPOINT);
}
#else
static void
handle_trap(int number, siginfo_t *info, void *data)
{
    (void)number, (void)info, (void)data;
}

static void
place(Probe *probe, uint64_t address)
{
    (void)probe, (void)address;
}
#endif

void
leaker_probes_open(void)
{
    const char *line = leaker_read("POSTMALLOC_LEAKER_PROBES");
    if (line == NULL)
        return;
    probes = leaker_map(PROBES_MAX * sizeof *probes);
    observations = leaker_map(OBSERVATIONS_MAX * sizeof *observations);
    counters = leaker_map(COUNTERS * sizeof *counters);
    while (line != NULL && *line && probe_count < PROBES_MAX) {
        const char *plus = strchr(line, '\n');
        while (plus != NULL && plus > line && *plus != '+')
            plus--;
        if (plus == NULL || plus == line)
            break;
        Probe *probe = &probes[probe_count++];
        probe->word = line;
        probe->path_length = (size_t)(plus - line);
        probe->offset = strtoull(plus + 1, NULL, 16);
        line = strchr(plus, '\n') + 1;
    }
    unplaced = probe_count;
    struct sigaction action = {.sa_sigaction = handle_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGTRAP, &action, NULL);
    leaker_probes_place();
}

static int
place_in_module(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    const char *path = *info->dlpi_name ? info->dlpi_name : leaker_get_program();
    const size_t length = strlen(path);
    for (size_t i = 0; i < probe_count; i++) {
        if (probes[i].address != 0 || probes[i].path_length != length ||
            strncmp(probes[i].word, path, length) != 0)
            continue;
        place(&probes[i], info->dlpi_addr + probes[i].offset);
        unplaced -= probes[i].address != 0;
    }
    return 0;
}

void
leaker_probes_place(void)
{
    if (unplaced > 0)
        dl_iterate_phdr(place_in_module, NULL);
}

/* Returns: whether @key was counted fewer than @most times; then counts it. Different keys may
 * share a counter. */
static bool
count_up(uint64_t key, uint16_t most)
{
    uint16_t *counter = &counters[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 46];
    return *counter < most && ++*counter;
}

static const Entry *
find_entry(const Probe *probe, uint64_t cfa)
{
    const unsigned entered = atomic_load(&probe->entered);
    /* What came after the last was not seen. */
    if (entered >= ENTERED_MAX)
        return NULL;
    for (unsigned i = 0; i < ENTRIES && i < entered; i++) {
        const Entry *entry = &probe->entries[(entered - 1 - i) % ENTRIES];
        if (entry->cfa == cfa)
            return entry;
    }
    return NULL;
}

void
leaker_probes_observe(size_t size, const LeakerChain *chain)
{
    for (uint32_t i = 0; probes != NULL && i < chain->count; i++) {
        const LeakerCaller *caller = &chain->callers[i];
        const Probe *probe = caller->entry != 0 ? find_probe(caller->entry) : NULL;
        const Entry *entry = probe != NULL ? find_entry(probe, caller->cfa) : NULL;
        if (entry == NULL || observation_count == OBSERVATIONS_MAX ||
            !count_up(caller->address + size * 0x10001, SAME_SIZE_MAX) ||
            !count_up(caller->address ^ UINT64_C(0xabcdef), SAME_CALL_MAX))
            continue;
        LeakerObservation *observation = &observations[observation_count++];
        observation->probe = (uint64_t)(probe - probes);
        observation->offset = probe->offset + (caller->address - probe->address);
        observation->size = size;
        memcpy(observation->arguments, entry->arguments, sizeof observation->arguments);
    }
}

const LeakerObservation *
leaker_probes_get(uint64_t *ret_count)
{
    *ret_count = observation_count;
    return observations;
}
