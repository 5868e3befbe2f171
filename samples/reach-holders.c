/*
 * Scenes of the sample reach: blocks that only the main thread, a module, libc or a mapping holds.
 */
#include "reach.h"

#include "reach-plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE           4096
#define KEYS           40 /* the first 32 are in the thread's descriptor */
#define LOW_KEY        5
#define HIGH_KEY       37
#define EXIT_HANDLERS  40 /* libc has room for 32 before it allocates */
#define DATA_INITIALLY ((void *)1)

static __thread void *volatile thread_local_root;
static void *volatile data_root = DATA_INITIALLY;

/*
 * Makes a block that is put to @place of the last frame. Where the processor lacks the register,
 * the scene is empty.
 */
static void
hold_in_place(EndingPlace place, const char *name, LedgerReach reach)
{
    if (!ending_has_place(place))
        return;
    ending_put(&reach_hold, place, reach_new(name, 40, reach));
    reach_hold_used = true;
}

static void
hold_in_registers(void)
{
    hold_in_place(ENDING_RBX, "rbx", LEDGER_REACHABLE);
    hold_in_place(ENDING_RBP, "rbp", LEDGER_REACHABLE);
    hold_in_place(ENDING_R12, "r12", LEDGER_REACHABLE);
    hold_in_place(ENDING_R14, "r14", LEDGER_REACHABLE);
    hold_in_place(ENDING_R15, "r15", LEDGER_REACHABLE);
    char *block = reach_new("r13", 80, LEDGER_REACHABLE_INTERIOR);
    ending_put(&reach_hold, ENDING_R13, block + 24);
}

static void
hold_in_vectors(void)
{
    hold_in_place(ENDING_XMM, "xmm8", LEDGER_REACHABLE);
    hold_in_place(ENDING_YMM, "ymm10", LEDGER_REACHABLE);
    hold_in_place(ENDING_ZMM, "zmm20", LEDGER_REACHABLE);
}

static void
hold_in_red_zone(void)
{
    hold_in_place(ENDING_RED_ZONE, "red-zone", LEDGER_REACHABLE);
}

static void
lose_below_sp(void)
{
    hold_in_place(ENDING_BELOW_SP, "below-sp", LEDGER_LEAK_ROOT);
}

static void
hold_in_data(void)
{
    data_root = reach_new("data", 40, LEDGER_REACHABLE);
}

static void
hold_in_thread_local(void)
{
    thread_local_root = reach_new("thread-local", 40, LEDGER_REACHABLE);
}

void *
reach_open_plugin(const char *name)
{
    char program[PATH_MAX], path[2 * PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    reach_require(length > 0, "no /proc/self/exe");
    program[length] = 0;
    *strrchr(program, '/') = 0;
    (void)snprintf(path, sizeof path, "%s/%s", program, name);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    reach_require(plugin != NULL, "the plugin is not beside the program");
    return plugin;
}

typedef void (*PluginFunction)(void *pointer);

static PluginFunction
find_in_plugin(void *plugin, const char *name)
{
    PluginFunction function = (PluginFunction)dlsym(plugin, name);
    reach_require(function != NULL, "the plugin is another one");
    return function;
}

static void
hold_in_plugin(void)
{
    void *plugin = reach_open_plugin("libreach-plugin.so");
    find_in_plugin(plugin, "reach_plugin_hold_in_thread")(
        reach_new("plugin-thread-local", 40, LEDGER_REACHABLE));
    find_in_plugin(plugin,
                   "reach_plugin_hold_in_data")(reach_new("plugin-data", 40, LEDGER_REACHABLE));
    find_in_plugin(plugin,
                   "reach_plugin_hold_in_bss")(reach_new("plugin-bss", 40, LEDGER_REACHABLE));
}

static void
hold_in_static_plugin(void)
{
    find_in_plugin(reach_open_plugin("libreach-plugin-static.so"), "reach_plugin_hold_in_thread")(
        reach_new("static-plugin-thread-local", 40, LEDGER_REACHABLE));
}

static void
lose_in_closed_plugin(void)
{
    void *plugin = reach_open_plugin("libreach-plugin-closed.so");
    find_in_plugin(plugin,
                   "reach_plugin_hold_in_bss")(reach_new("closed-plugin", 40, LEDGER_LEAK_ROOT));
    reach_require(!dlclose(plugin), "the plugin cannot be closed");
}

/* Keys from 32 on are in a block that libc allocates. */
static void
hold_in_keys(void)
{
    pthread_key_t keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        reach_require(!pthread_key_create(&keys[i], NULL), "no key");
    pthread_setspecific(keys[LOW_KEY], reach_new("low-key", 40, LEDGER_REACHABLE));
    pthread_setspecific(keys[HIGH_KEY], reach_new("high-key", 40, LEDGER_REACHABLE));
}

/* Both the block that is held and what it holds are reachable in the way of their holder. */
static void
hold_in_mapping(void *mapping, const char *name, LedgerReach reach)
{
    reach_require(mapping != MAP_FAILED, "no mapping");
    void **block = reach_new(name, 40, reach);
    block[2] = reach_new(name, 200, reach);
    ((void **)mapping)[16] = block;
}

static void
hold_in_anonymous(void)
{
    hold_in_mapping(reach_map((size_t)3 * PAGE), "mapping", LEDGER_REACHABLE_WEAK);
    /* Not kept apart from its neighbours: the kernel may make one mapping of them. */
    hold_in_mapping(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                    "mapping-beside", LEDGER_REACHABLE_WEAK);
}

/* Shared memory without a name, and with one that only its descriptor had. Kernels dump both. */
static void
hold_in_shared(void)
{
    hold_in_mapping(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
                    "shared", LEDGER_REACHABLE);
    int fd = memfd_create("reach", MFD_CLOEXEC);
    reach_require(fd >= 0 && !ftruncate(fd, PAGE), "no memfd");
    hold_in_mapping(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), "memfd",
                    LEDGER_REACHABLE);
}

/* Bit 3 of the filter is for shared mappings of files (core(5)). */
static void
dump_shared_files(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    reach_require(fd >= 0 && write(fd, "0x3b", 4) == 4, "coredump_filter cannot be written");
    close(fd);
}

/* Leaves the file reach-mapping in the current folder. */
static void
hold_in_file(void)
{
    int fd = open("reach-mapping", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    reach_require(fd >= 0 && !ftruncate(fd, (off_t)2 * PAGE), "no file to map");
    hold_in_mapping(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE), "private-file",
                    LEDGER_REACHABLE);
    hold_in_mapping(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), "shared-file",
                    LEDGER_REACHABLE);
    dump_shared_files();
}

/*
 * _setjmp() with @pointer in rbx or rbp. libc stores the one as it is and the other mangled.
 * @pointer comes masked.
 */
#ifdef __x86_64__
static __attribute__((naked, noinline, used)) void
set_jump(__attribute__((unused)) jmp_buf buffer, __attribute__((unused)) uint64_t masked,
         __attribute__((unused)) uint64_t mask, __attribute__((unused)) bool in_rbp)
{
    __asm__("push %rbx; push %rbp; sub $8, %rsp; xor %rdx, %rsi;"
            "test %ecx, %ecx; jz 1f; mov %rsi, %rbp; jmp 2f; 1: mov %rsi, %rbx; 2:"
            "xor %esi, %esi; call _setjmp@PLT; add $8, %rsp; pop %rbp; pop %rbx; ret");
}
#endif

static jmp_buf plain_jump, mangled_jump;

static void
hold_in_jump(void)
{
#ifdef __x86_64__
    set_jump(plain_jump, reach_hide(reach_new("jump-rbx", 40, LEDGER_REACHABLE)), ENDING_MASK,
             false);
    set_jump(mangled_jump, reach_hide(reach_new("jump-rbp", 40, LEDGER_REACHABLE)), ENDING_MASK,
             true);
#endif
}

static void
exit_handler(int status, void *argument)
{
    (void)status;
    (void)argument;
}

/* One in libc's own table, one in the block that it allocates when that is full. */
static void
hold_in_exit_handlers(void)
{
    reach_require(!on_exit(exit_handler, reach_new("on-exit", 40, LEDGER_REACHABLE)), "on_exit");
    for (size_t i = 0; i < EXIT_HANDLERS; i++)
        reach_require(!on_exit(exit_handler, NULL), "on_exit");
    reach_require(!on_exit(exit_handler, reach_new("late-on-exit", 40, LEDGER_REACHABLE)),
                  "on_exit");
}

static void
hold_in_environment(void)
{
    static const char setting[] = "REACH_SAMPLE=kept";
    char *text = reach_new("environment", sizeof setting, LEDGER_REACHABLE);
    memcpy(text, setting, sizeof setting);
    reach_require(!putenv(text), "putenv");
}

/* A stream's memory is malloc's like any other, and only libc's list of streams holds it; its
 * buffer is held by it, and is the program's own. */
static void
hold_in_stream(void)
{
    FILE *stream = fopen("/dev/null", "we");
    reach_require(stream != NULL, "no stream");
    LedgerSlot slot = ledger_add(stream, malloc_usable_size(stream), LEDGER_MALLOC);
    ledger_describe(slot, LEDGER_REACHABLE, "stream");
    setvbuf(stream, reach_new("stream-buffer", 2000, LEDGER_REACHABLE), _IOFBF, 2000);
    setvbuf(stdin, reach_new("stdin-buffer", 3000, LEDGER_REACHABLE), _IOFBF, 3000);
}

const ReachScene reach_holders[] = {
    {"--registers", .build = hold_in_registers},
    {"--vectors", .build = hold_in_vectors},
    {"--red-zone", .build = hold_in_red_zone},
    {"--below-sp", .build = lose_below_sp, .loses = true},
    {"--data", .build = hold_in_data},
    {"--thread-local", .build = hold_in_thread_local},
    {"--plugin", .build = hold_in_plugin},
    {"--static-plugin", .build = hold_in_static_plugin},
    {"--closed-plugin", .build = lose_in_closed_plugin, .loses = true},
    {"--keys", .build = hold_in_keys},
    {"--mapping", .build = hold_in_anonymous},
    {"--shared", .build = hold_in_shared},
    {"--file", .build = hold_in_file},
    {"--jump", .build = hold_in_jump},
    {"--exit-handlers", .build = hold_in_exit_handlers},
    {"--environment", .build = hold_in_environment},
    {"--streams", .build = hold_in_stream},
    {0},
};
