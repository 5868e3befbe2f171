/*
 * What a leak scan must tell apart: blocks that are kept in every way there is, and blocks that are
 * lost although something looks like a reference.
 *
 * Usage: reach [--clean | SCENE…] [--no-control] [OPTIONS OF ledger.h]
 *        reach --scenes
 *
 * SCENE is one of the options in the tables of reach-*.c, such as --list, --lost-ring or --keys;
 * --scenes prints all of them. --clean builds those that lose nothing. Otherwise one more block,
 * "control", is lost in any case, the last before the top of the heap; --no-control is for a malloc
 * that is not glibc's. Where a scene fills registers, --end abort is a SIGABRT without a call of
 * abort(), so that they are those of the last frame.
 */
#include "reach.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_ROWS  (1u << 20)
#define MAX_THREADS 64
#define MAX_SCENES  128
#define PAGE        4096

EndingHold reach_hold;
bool reach_hold_used;
int reach_signal;

static const ReachScene *const tables[] = {reach_shapes,  reach_freed,  reach_holders,
                                           reach_threads, reach_stacks, NULL};

/* The started threads, and what each runs. */
static struct {
    void (*body)(void);
    pthread_t thread;
} threads[MAX_THREADS];
static unsigned thread_count;

void
reach_require(bool condition, const char *text)
{
    if (condition)
        return;
    (void)!write(STDERR_FILENO, text, strlen(text));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(3);
}

LedgerSlot
reach_new_slot(const char *name, size_t bytes, LedgerReach reach)
{
    void *pointer = malloc(bytes);
    reach_require(pointer != NULL, "no memory");
    memset(pointer, 0, bytes);
    LedgerSlot slot = ledger_add(pointer, bytes, LEDGER_MALLOC);
    ledger_describe(slot, reach, name);
    return slot;
}

void *
reach_new(const char *name, size_t bytes, LedgerReach reach)
{
    return ledger_get_pointer(reach_new_slot(name, bytes, reach));
}

/* The next chunk's size field follows the usable bytes; its low three bits are flags. */
void
reach_require_top(const void *block)
{
    const char *next = (const char *)block + malloc_usable_size((void *)block);
    size_t bytes = *(const size_t *)(const void *)next & ~(size_t)7;
    reach_require(next - sizeof(size_t) + bytes == (const char *)sbrk(0), "not below the top");
}

void *
reach_map(size_t bytes)
{
    char *mapping =
        mmap(NULL, bytes + (size_t)2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    reach_require(mapping != MAP_FAILED, "no memory to map");
    reach_require(!mprotect(mapping + PAGE, bytes, PROT_READ | PROT_WRITE), "mprotect failed");
    return mapping + PAGE;
}

/* What a body's registers held went with its frame, before reach_park() could save it on the stack.
 */
static void *
run_thread(void *index)
{
    threads[(uintptr_t)index].body();
    reach_park();
}

/* The argument is a number: no address of a block goes into the thread's descriptor. */
void
reach_start_thread(void (*body)(void))
{
    unsigned index = thread_count++;
    reach_require(index < MAX_THREADS, "too many threads");
    threads[index].body = body;
    reach_require(
        !pthread_create(&threads[index].thread, NULL, run_thread, (void *)(uintptr_t)index),
        "no thread");
}

_Noreturn void
reach_park(void)
{
    ledger_park();
}

_Noreturn void
reach_hold_and_park(const EndingHold *hold)
{
    ending_hold(hold, 0, ENDING_SCRUB_THREAD);
}

static const ReachScene *
find_scene(const char *option)
{
    for (size_t i = 0; tables[i]; i++) {
        for (const ReachScene *scene = tables[i]; scene->option; scene++) {
            if (!strcmp(scene->option, option))
                return scene;
        }
    }
    ledger_usage(option);
}

/* All that lose nothing and leave the end as it is. Returns: how many. */
static size_t
find_clean(const ReachScene **ret_scenes)
{
    size_t count = 0;
    for (size_t i = 0; tables[i]; i++) {
        for (const ReachScene *scene = tables[i]; scene->option; scene++) {
            if (!scene->loses && !scene->end)
                ret_scenes[count++] = scene;
        }
    }
    return count;
}

/*
 * A lost block whose last word overlaps the header of the heap's top, to which malloc's own state
 * points: that keeps nothing.
 */
static __attribute__((noinline)) void
lose_control(void)
{
    reach_require_top(reach_new("control", 3000, LEDGER_LEAK_ROOT));
}

static __attribute__((noinline)) void
build(const ReachScene *const *scenes, size_t count, bool control)
{
    ledger_table_open(TABLE_ROWS);
    for (size_t i = 0; i < count; i++)
        scenes[i]->build();
    if (control)
        lose_control();
    for (size_t i = 0; i < count; i++) {
        if (scenes[i]->finish)
            scenes[i]->finish();
    }
    ending_await_parked(thread_count);
    ledger_close();
}

_Noreturn static void
print_scenes(void)
{
    for (size_t i = 0; tables[i]; i++) {
        for (const ReachScene *scene = tables[i]; scene->option; scene++)
            puts(scene->option);
    }
    exit(0);
}

int
main(int argc, char **argv)
{
    static const ReachScene *scenes[MAX_SCENES];
    LedgerOptions options = {.seed = 1};
    size_t count = 0;
    bool clean = false, control = true;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (count == MAX_SCENES)
            ledger_usage(argv[i]);
        if (!strcmp(argv[i], "--scenes"))
            print_scenes();
        else if (!strcmp(argv[i], "--clean"))
            clean = true;
        else if (!strcmp(argv[i], "--no-control"))
            control = false;
        else
            scenes[count++] = find_scene(argv[i]);
    }
    if (clean)
        count = find_clean(scenes);
    reach_signal = options.end == LEDGER_END_STOP ? SIGSTOP : SIGABRT;
    ledger_open(&options);
    build(scenes, count, control && !clean);
    for (size_t i = 0; i < count; i++) {
        if (scenes[i]->end)
            scenes[i]->end();
    }
    if (reach_hold_used)
        ending_hold(&reach_hold, reach_signal, ENDING_SCRUB_MAIN);
    ending_die(options.end == LEDGER_END_STOP);
}
