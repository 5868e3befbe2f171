/*
 * What C++ makes of references: pointers to second bases, arrays with a count before them, strings
 * of both ABIs, containers.
 *
 * Usage: reach-cxx [--clean] [OPTIONS OF ledger.h]
 *
 * --clean leaves out what is lost.
 *
 * operator new writes the ledger, with the class and the name that a Scene has set.
 */
#include "reach-cxx.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

constexpr size_t table_rows = 65536;

const char *current_name;
LedgerReach current_reach;

/* What is allocated as long as one lives goes into the ledger so. */
class Scene
{
  public:
    Scene(const char *name, LedgerReach reach)
    {
        current_name = name;
        current_reach = reach;
    }
    ~Scene()
    {
        current_name = nullptr;
    }
    Scene(const Scene &) = delete;
    Scene &operator=(const Scene &) = delete;
};

struct First {
    virtual ~First() = default;
    uint64_t first = 1;
};

struct Second {
    virtual ~Second() = default;
    uint64_t second = 2;
};

struct Third {
    virtual ~Third() = default;
    uint64_t third = 3;
};

struct Both : First, Second, Third {
    void *held = nullptr;
};

/* Without virtual functions nothing marks the second base. (1 would pass for the number of an
 * array's elements.) */
struct PlainFirst {
    uint64_t first = UINT64_C(0x1234567890);
};

struct PlainSecond {
    uint64_t second = 2;
};

struct PlainBoth : PlainFirst, PlainSecond {
    void *held = nullptr;
};

/* An array of these has their number before the first one. */
struct Counted {
    void *held = nullptr;
    uint64_t payload[2] = {};
    ~Counted()
    {
        held = nullptr;
    }
};

struct Point {
    uint64_t x = 1, y = 2, z = 3;
};

Second *volatile second_base;
Third *volatile third_base;
First *volatile first_base;
PlainSecond *volatile plain_second_base;
Counted *volatile counted_array;
Counted *volatile array_middle;
Point *volatile in_control_block;

void *
allocate(const char *name, LedgerReach reach)
{
    const Scene scene(name, reach);
    return ::operator new(48);
}

/* An object of static storage whose destructor never runs. */
template <typename Type> class Static
{
    alignas(Type) unsigned char storage[sizeof(Type)];

  public:
    template <typename... Arguments> Type *make(Arguments &&...arguments)
    {
        Type *object = new (storage) Type(std::forward<Arguments>(arguments)...);
        /* Nobody reads it: keep the optimiser from leaving it out. */
        __asm__ volatile("" : : "r"(object) : "memory");
        return object;
    }
};

void
keep_bases()
{
    const Scene scene("bases", LEDGER_REACHABLE);
    auto *object = new Both;
    object->held = ::operator new(40);
    second_base = object;
    third_base = new Both;
    first_base = new Both;
    const Scene plain("plain-second-base", LEDGER_REACHABLE_INTERIOR);
    auto *other = new PlainBoth;
    other->held = ::operator new(40);
    plain_second_base = other;
}

void
keep_arrays()
{
    {
        const Scene scene("counted-array", LEDGER_REACHABLE);
        counted_array = new Counted[7];
        for (int i = 0; i < 7; i++)
            counted_array[i].held = ::operator new(32);
    }
    const Scene scene("array-middle", LEDGER_REACHABLE_INTERIOR);
    array_middle = new Counted[9] + 4;
}

void
keep_strings()
{
    static Static<std::string> text, longer;
    static Static<std::vector<std::string>> texts;
    const Scene scene("string", LEDGER_REACHABLE);
    text.make(100, 'x');
    longer.make(5000, 'y');
    auto *all = texts.make();
    all->reserve(20);
    for (size_t i = 0; i < 20; i++)
        all->emplace_back(i * 3, 'z');
    reach_cxx_keep_cow_strings();
}

void
keep_containers()
{
    static Static<std::list<uint64_t>> list;
    static Static<std::forward_list<uint64_t>> forward_list;
    static Static<std::map<uint64_t, std::string>> map;
    static Static<std::unordered_map<uint64_t, uint64_t>> hashes;
    static Static<std::deque<std::unique_ptr<Point>>> deque;
    static Static<std::function<uint64_t()>> function;
    const Scene scene("container", LEDGER_REACHABLE);
    auto *all = list.make();
    auto *forward = forward_list.make();
    auto *sorted = map.make();
    auto *hashed = hashes.make();
    auto *ends = deque.make();
    for (uint64_t i = 0; i < 100; i++) {
        all->push_back(i);
        forward->push_front(i);
        sorted->emplace(i * 7 % 100, std::string(i, 'm'));
        hashed->emplace(i, i);
        if (i % 2)
            ends->push_back(std::make_unique<Point>());
        else
            ends->push_front(std::make_unique<Point>());
    }
    const Point captured[2] = {};
    function.make([captured] { return captured[1].x; });
}

/* The object of make_shared() lies behind its counts: what points to it alone is interior. */
void
keep_shared()
{
    static Static<std::shared_ptr<Point>> pointer;
    {
        const Scene scene("shared-pointer", LEDGER_REACHABLE);
        pointer.make(std::make_shared<Point>());
    }
    Static<std::shared_ptr<Point>> forgotten;
    const Scene scene("in-control-block", LEDGER_REACHABLE_INTERIOR);
    in_control_block = forgotten.make(std::make_shared<Point>())->get();
}

/* A map, its nodes and the map's head refer to each other; a hash table's array to its table. */
void
lose_containers()
{
    {
        const Scene scene("lost-map", LEDGER_LEAK_CYCLE);
        auto *map = new std::map<uint64_t, uint64_t>;
        for (uint64_t i = 0; i < 50; i++)
            map->emplace(i, i);
    }
    {
        const Scene scene("lost-list", LEDGER_LEAK_CYCLE);
        new std::list<uint64_t>(30, 7);
    }
    std::unordered_map<uint64_t, uint64_t> *hashes;
    {
        const Scene scene("lost-hashes", LEDGER_LEAK_CYCLE);
        hashes = new std::unordered_map<uint64_t, uint64_t>(101);
    }
    {
        const Scene scene("lost-hashed", LEDGER_LEAK_INDIRECT);
        for (uint64_t i = 0; i < 50; i++)
            hashes->emplace(i, i);
    }
    const Scene scene("lost-vector", LEDGER_LEAK_ROOT);
    auto *vector = new std::vector<std::string>;
    const Scene below("lost-in-vector", LEDGER_LEAK_INDIRECT);
    vector->reserve(10);
    for (int i = 0; i < 10; i++)
        vector->emplace_back(60, 'v');
}

/* A lost holder of a pointer to a second base. */
void
lose_bases()
{
    auto **holder = static_cast<Second **>(allocate("lost-holder", LEDGER_LEAK_ROOT));
    const Scene scene("lost-base", LEDGER_LEAK_INDIRECT);
    auto *object = new Both;
    object->held = ::operator new(40);
    *holder = object;
    const Scene alone("lost-array", LEDGER_LEAK_ROOT);
    new Counted[5];
}

__attribute__((noinline)) void
build(bool clean)
{
    ledger_table_open(table_rows);
    keep_bases();
    keep_arrays();
    keep_strings();
    keep_containers();
    keep_shared();
    if (!clean) {
        lose_containers();
        lose_bases();
        allocate("control", LEDGER_LEAK_ROOT);
    }
}

} // namespace

/* Zeroes, so that no block has what a freed one left. */
void *
operator new(size_t bytes)
{
    void *pointer = std::malloc(bytes);
    if (!pointer)
        std::abort();
    std::memset(pointer, 0, bytes);
    if (current_name)
        ledger_describe(ledger_add(pointer, bytes, LEDGER_MALLOC), current_reach, current_name);
    return pointer;
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {};
    bool clean = false;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (std::strcmp(argv[i], "--clean"))
            ledger_usage(argv[i]);
        clean = true;
    }
    ledger_open(&options);
    build(clean);
    ledger_finish(&options);
}
