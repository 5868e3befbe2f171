/*
 * Who called, and how often: the rows of leaker.c.
 *
 * POSTMALLOC_LEAKER_SITES names a file with a line for each chain of callers whose blocks leak, its
 * innermost first: "PATH+OFFSET PATH+OFFSET …", offsets in hex, as in LeakerFrame.
 */
#include "leaker.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODULES_MAX 512
#define ROW_BITS    16
#define ROWS_MAX    ((size_t)1 << ROW_BITS)
#define SLOTS       (ROWS_MAX * 2)
#define PROBES_MAX  256

typedef struct {
    uint64_t hash;
    uint32_t row;
} Slot;

static LeakerModule *modules;
static uint64_t module_count;
static LeakerRow *rows;
static uint64_t row_count;
static Slot *slots;
static atomic_flag rows_lock = ATOMIC_FLAG_INIT;
static const char *sites;

void
leaker_rows_open(void)
{
    modules = leaker_map(MODULES_MAX * sizeof *modules);
    rows = leaker_map(ROWS_MAX * sizeof *rows);
    slots = leaker_map(SLOTS * sizeof *slots);
    sites = leaker_read("POSTMALLOC_LEAKER_SITES");
}

typedef struct {
    uint64_t address;
    uint64_t bias;
    bool found;
    char path[LEAKER_MODULE_BYTES];
} Lookup;

static int
look_at_module(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    Lookup *lookup = data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uint64_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || lookup->address < start ||
            lookup->address - start >= segment->p_memsz)
            continue;
        const char *path = *info->dlpi_name ? info->dlpi_name : leaker_get_program();
        lookup->found = true;
        lookup->bias = info->dlpi_addr;
        strncpy(lookup->path, path, sizeof lookup->path - 1);
        return 1;
    }
    return 0;
}

static void
lock(void)
{
    while (atomic_flag_test_and_set(&rows_lock))
        ;
}

static void
unlock(void)
{
    atomic_flag_clear(&rows_lock);
}

/* Where @address is in a file: index of a module, or LEAKER_NO_MODULE. */
static uint32_t
locate(uint64_t address, uint64_t *ret_offset)
{
    Lookup lookup = {.address = address};
    dl_iterate_phdr(look_at_module, &lookup);
    if (!lookup.found)
        return LEAKER_NO_MODULE;
    lock();
    uint64_t at = 0;
    while (at < module_count &&
           (modules[at].bias != lookup.bias || strcmp(modules[at].path, lookup.path) != 0))
        at++;
    if (at == module_count && at < MODULES_MAX) {
        modules[at].bias = lookup.bias;
        memcpy(modules[at].path, lookup.path, sizeof modules[at].path);
        module_count++;
    }
    unlock();
    *ret_offset = address - lookup.bias;
    return at < MODULES_MAX ? (uint32_t)at : LEAKER_NO_MODULE;
}

static void
fill_frame(LeakerFrame *frame, const LeakerCaller *caller)
{
    Dl_info info;
    /* The instruction after a call that does not return may be another function's. */
    const uint64_t back = caller->flags & LEAKER_TAIL ? 0 : 1;
    frame->address = caller->address;
    frame->flags = (uint32_t)caller->flags;
    frame->module = locate(caller->address - back, &frame->offset);
    frame->offset += back;
    if (caller->entry == 0 || frame->module == LEAKER_NO_MODULE)
        return;
    frame->entry = frame->offset - (caller->address - caller->entry);
    frame->bytes = leaker_chain_measure(caller->entry);
    if (dladdr((void *)(uintptr_t)caller->entry, &info) != 0 && info.dli_sname != NULL &&
        (uintptr_t)info.dli_saddr == caller->entry)
        strncpy(frame->name, info.dli_sname, sizeof frame->name - 1);
}

/* Whether the line at @line names the innermost frames of @row. */
static bool
line_matches(const char *line, const LeakerRow *row)
{
    uint32_t at = 0;
    for (; *line && *line != '\n'; at++) {
        char word[LEAKER_MODULE_BYTES + 24];
        if (at >= row->frame_count || row->frames[at].module == LEAKER_NO_MODULE)
            return false;
        const int length =
            snprintf(word, sizeof word, "%s+%lx", modules[row->frames[at].module].path,
                     (unsigned long)row->frames[at].offset);
        if (strncmp(line, word, (size_t)length) != 0 ||
            (line[length] != ' ' && line[length] != '\n' && line[length]))
            return false;
        line += length;
        line += *line == ' ';
    }
    return at > 0;
}

static bool
is_to_leak(const LeakerRow *row)
{
    for (const char *line = sites; line != NULL && *line;) {
        if (line_matches(line, row))
            return true;
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return false;
}

static uint64_t
mix(uint64_t hash, uint64_t number)
{
    hash = (hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* The slot of @hash, or a free one; NULL where the table is full. */
static Slot *
find_slot(uint64_t hash)
{
    size_t at = (size_t)(hash % SLOTS);
    for (int i = 0; i < PROBES_MAX; i++, at = (at + 1) % SLOTS)
        if (slots[at].hash == hash || slots[at].hash == 0)
            return &slots[at];
    return NULL;
}

uint32_t
leaker_rows_find(size_t size, const LeakerChain *chain)
{
    uint64_t hash = mix(1, size);
    for (uint32_t i = 0; i < chain->count; i++)
        hash = mix(hash, chain->callers[i].address);
    hash |= 1;
    lock();
    Slot *slot = find_slot(hash);
    const uint32_t known = slot != NULL && slot->hash == hash ? slot->row : UINT32_MAX;
    unlock();
    if (known != UINT32_MAX || slot == NULL)
        return known;
    /* Not under the lock: the loader has one of its own, under which it allocates. */
    LeakerRow row = {.size = size, .frame_count = chain->count};
    for (uint32_t i = 0; i < chain->count; i++)
        fill_frame(&row.frames[i], &chain->callers[i]);
    row.leaks = is_to_leak(&row);
    lock();
    uint32_t number = UINT32_MAX;
    slot = find_slot(hash);
    if (slot != NULL && slot->hash == hash) {
        number = slot->row;
    } else if (slot != NULL && row_count < ROWS_MAX) {
        number = (uint32_t)row_count++;
        rows[number] = row;
        *slot = (Slot){hash, number};
    }
    unlock();
    return number;
}

LeakerRow *
leaker_rows_get(uint32_t number)
{
    return &rows[number];
}

static void
write_bytes(int fd, const void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        const ssize_t written = write(fd, (const char *)bytes + done, count - done);
        if (written <= 0)
            return;
        done += (size_t)written;
    }
}

void
leaker_rows_write(int fd, uint64_t observations)
{
    const LeakerHeader header = {module_count, row_count, observations};
    write_bytes(fd, &header, sizeof header);
    write_bytes(fd, modules, module_count * sizeof *modules);
    write_bytes(fd, rows, row_count * sizeof *rows);
    munmap(modules, MODULES_MAX * sizeof *modules);
    munmap(rows, ROWS_MAX * sizeof *rows);
    munmap(slots, SLOTS * sizeof *slots);
}
