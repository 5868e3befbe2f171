/*
 * Objects of all kinds of C++ classes, words of all kinds and known strings, for what names them.
 *
 * Usage: types-cxx [--plugin FILE] [OPTIONS OF ledger.h]
 *
 * In the ledger the name of an object is that of its class, with ~ for each space; of a class
 * without virtual functions with "plain:" before it. Other names: "under-construction", whose
 * constructor has not ended when the program does; "fields", with a word of every kind; "target",
 * that such a word points to; "texts…", with strings (test-sample.c knows which).
 */
#include "types-cxx.h"
#include "ledger-cxx.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

/* How many objects of each class. */
#define OBJECTS 8

/* What keeps all of it reachable. */
void *volatile types_cxx_kept[8192];

namespace
{

constexpr size_t table_rows = 65536;

size_t kept_count;
const char *next_name;

/* What the next operator new gives is called so in the ledger. */
void
name_next(const char *name)
{
    next_name = name;
}

void
keep(void *pointer)
{
    types_cxx_kept[kept_count++] = pointer;
}

} // namespace

/* Zeroes, so that no block has what a freed one left. */
void *
operator new(size_t bytes)
{
    void *pointer = std::malloc(bytes);
    if (!pointer)
        std::abort();
    std::memset(pointer, 0, malloc_usable_size(pointer));
    if (next_name)
        ledger_describe(ledger_add(pointer, bytes, LEDGER_MALLOC), LEDGER_REACHABLE, next_name);
    next_name = nullptr;
    return pointer;
}

namespace app
{

enum class Mode { Slow, Fast };

/* Single inheritance from an abstract class. */
struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
    uint32_t colour = 7;
};

struct Circle : Shape {
    double area() const override
    {
        return radius * radius;
    }
    double radius = 1.5;
};

struct Square : Shape {
    double area() const override
    {
        return side * side;
    }
    double side = 2.5;
};

struct RoundedSquare : Square {
    double area() const override
    {
        return side * side - corner;
    }
    double corner = 0.5;
};

/* Only a vtable pointer. */
struct Tiny {
    virtual ~Tiny() = default;
};

struct Animal {
    virtual ~Animal() = default;
    uint64_t legs = 4;
};

struct Dog : Animal {
    uint64_t tail = 1;
};

/* A private base: not the one public base that the plainest type_info stands for. */
struct Robot : private Animal {
    uint64_t battery = 99;
};

/* Several bases. */
struct Serializable {
    virtual ~Serializable() = default;
    virtual int save() const
    {
        return 1;
    }
    uint64_t version = 3;
};

struct Observer {
    virtual ~Observer() = default;
    virtual int notify()
    {
        return 2;
    }
    void *observed = nullptr;
};

struct Document : Serializable, Observer {
    int notify() override
    {
        return 3;
    }
    uint64_t pages = 12;
};

/* Kept by a pointer to its second base alone. */
struct HeldBySecond : Serializable, Observer {
    uint64_t payload[4] = {1, 2, 3, 4};
};

struct Point {
    uint32_t x = 1, y = 2;
};

/* A base without virtual functions comes behind the vtable pointer. */
struct Located : Point, Observer {
    uint64_t where = 5;
};

/* Virtual bases. */
struct Top {
    virtual ~Top() = default;
    uint64_t top = 1;
};

struct Left : virtual Top {
    Left();
    uint64_t left = 2;
};

struct Right : virtual Top {
    uint64_t right = 3;
};

struct Bottom : Left, Right {
    uint64_t bottom = 4;
};

/* The only virtual thing is the base. */
struct Shadow : virtual Point {
    uint64_t depth = 6;
};

struct Mixed : Observer, virtual Serializable {
    uint64_t mixed = 7;
};

/* Templates. */
template <typename Type> struct Cache {
    virtual ~Cache() = default;
    Type value{};
    uint64_t hits = 0;
};

template <typename First, typename Second> struct Pair {
    virtual ~Pair() = default;
    First first{};
    Second second{};
};

template <typename Type, size_t count> struct Buffer {
    virtual ~Buffer() = default;
    Type items[count] = {};
};

template <Mode mode> struct Engine {
    virtual ~Engine() = default;
    Mode running = mode;
};

template <typename... Types> struct Tuple {
    virtual ~Tuple() = default;
    uint64_t count = sizeof...(Types);
};

/* Nested classes. */
struct Outer {
    struct Inner {
        virtual ~Inner() = default;
        uint64_t inner = 8;
        struct Deepest {
            virtual ~Deepest() = default;
            uint64_t deepest = 9;
        };
    };
};

/* A base of the C++ library. */
struct Failure : std::runtime_error {
    Failure() : std::runtime_error("failure")
    {
    }
    uint64_t code = 10;
};

struct Large {
    virtual ~Large() = default;
    char bytes[5000] = {};
};

/* Without virtual functions; one with an object in its middle that has some. */
struct Record {
    uint64_t key = 1, value = 2, next = 3;
};

struct Kennel {
    uint64_t number = 1;
    Dog dog;
};

} // namespace app

namespace
{

struct Hidden {
    virtual ~Hidden() = default;
    uint64_t hidden = 11;
};

LedgerOptions options;
bool finishing;

/* What a "fields" block holds; test-sample.c knows the order. */
struct Fields {
    void (*function)();
    const char *text;
    const char *utf8;
    void *stack;
    void *other_stack;
    void *target;
    void *inside;
    void *data;
    void *thread_local_data;
    void *freed;
    void *mapping;
    uint64_t number;
    uint64_t zero;
    const void *vtable;
    void *library;
};

thread_local uint64_t thread_counter = 1;
pthread_barrier_t ready;
void *volatile other_stack;

} // namespace

app::Left::Left()
{
    if (finishing)
        ledger_finish(&options);
}

/* It has a name that a function pointer leads to. */
extern "C" void
types_cxx_callback()
{
    kept_count = 0;
}

namespace
{

template <typename Type>
void
make(const char *name)
{
    for (int i = 0; i < OBJECTS; i++) {
        name_next(name);
        keep(new Type);
    }
}

/* Kept as a pointer to @Base. */
template <typename Type, typename Base>
void
make_as(const char *name)
{
    for (int i = 0; i < OBJECTS; i++) {
        name_next(name);
        Base *base = new Type;
        keep(base);
    }
}

void
make_local()
{
    struct Local {
        virtual ~Local() = default;
        uint64_t local = 12;
    };
    make<Local>("(anonymous~namespace)::make_local()::Local");
}

void
make_objects()
{
    make<app::Circle>("app::Circle");
    make<app::Square>("app::Square");
    make<app::RoundedSquare>("app::RoundedSquare");
    make<app::Tiny>("app::Tiny");
    make<app::Animal>("app::Animal");
    make<app::Dog>("app::Dog");
    make<app::Robot>("app::Robot");
    make<app::Document>("app::Document");
    make_as<app::HeldBySecond, app::Observer>("app::HeldBySecond");
    make<app::Located>("app::Located");
    make<app::Top>("app::Top");
    make<app::Left>("app::Left");
    make_as<app::Right, app::Top>("app::Right");
    make<app::Bottom>("app::Bottom");
    make<app::Shadow>("app::Shadow");
    make<app::Mixed>("app::Mixed");
    make<app::Cache<int>>("app::Cache<int>");
    make<app::Cache<app::Outer *>>("app::Cache<app::Outer*>");
    make<app::Pair<int, app::Cache<double>>>("app::Pair<int,~app::Cache<double>~>");
    make<app::Buffer<char, 16>>("app::Buffer<char,~16ul>");
    make<app::Engine<app::Mode::Fast>>("app::Engine<(app::Mode)1>");
    make<app::Tuple<int, char, void *>>("app::Tuple<int,~char,~void*>");
    make<app::Outer::Inner>("app::Outer::Inner");
    make<app::Outer::Inner::Deepest>("app::Outer::Inner::Deepest");
    make<app::Failure>("app::Failure");
    make<app::Large>("app::Large");
    make<Hidden>("(anonymous~namespace)::Hidden");
    make_local();
    make<app::Record>("plain:app::Record");
    make<app::Kennel>("plain:app::Kennel");
    for (int i = 0; i < OBJECTS; i++) {
        name_next("bare::Device");
        keep(types_cxx_make_bare());
        name_next("bare::File");
        keep(types_cxx_make_bare_derived());
    }
}

void
make_of_plugin(const char *file)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    TypesCxxMake part = nullptr, stage = nullptr;
    if (library) {
        part = reinterpret_cast<TypesCxxMake>(dlsym(library, "types_cxx_plugin_make"));
        stage = reinterpret_cast<TypesCxxMake>(dlsym(library, "types_cxx_plugin_make_template"));
    }
    if (!part || !stage)
        ledger_usage(file);
    for (int i = 0; i < OBJECTS; i++) {
        name_next("plugin::Part");
        keep(part());
        name_next("plugin::Stage<long~double>");
        keep(stage());
    }
}

void *
run_other(void *)
{
    uint64_t here[4] = {1, 2, 3, 4};
    other_stack = &here[1];
    __asm__ volatile("" : : "r"(here) : "memory");
    pthread_barrier_wait(&ready);
    ledger_park();
}

/* Returns: a block that one field points into, to be freed when nothing is allocated any more. */
void *
fill_fields(Fields *fields, void *stack)
{
    app::Circle circle;
    name_next("target");
    auto *target = static_cast<uint64_t *>(::operator new(40));
    keep(target);
    void *freed = ::operator new(1200);
    keep(::operator new(24)); /* keeps it from growing into the top */
    *fields = Fields{
        .function = types_cxx_callback,
        .text = "a constant text of the program",
        .utf8 = "größer als 日本語",
        .stack = stack,
        .other_stack = other_stack,
        .target = target,
        .inside = target + 2,
        .data = const_cast<void **>(&types_cxx_kept[3]),
        .thread_local_data = &thread_counter,
        .freed = static_cast<char *>(freed) + 64,
        .mapping = static_cast<char *>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) +
                   16,
        .number = 123456,
        .zero = 0,
        .vtable = *reinterpret_cast<void **>(&circle),
        .library = reinterpret_cast<void *>(&pthread_barrier_wait),
    };
    *static_cast<volatile char *>(fields->mapping) = 1;
    return freed;
}

/* A block of @bytes that begins with @count bytes of @text, the rest @fill. */
void
make_text(const char *name, size_t bytes, const void *text, size_t count, unsigned char fill = 0)
{
    name_next(name);
    auto *block = static_cast<char *>(::operator new(bytes));
    std::memset(block, fill, malloc_usable_size(block));
    std::memcpy(block, text, count);
    keep(block);
}

#define TEXT(string) string, sizeof(string)

void
make_texts()
{
    for (int i = 0; i < 100; i++)
        make_text("texts", 40, TEXT("alpha: a frequent text"));
    for (int i = 0; i < 37; i++)
        make_text("texts-utf8", 56, TEXT("größer als 日本語, beta"));
    /* Behind bytes that are no text, and two in one block. */
    for (int i = 0; i < 12; i++)
        make_text("texts-middle", 72, TEXT("\x01\xff\x02gamma behind others\0delta after gamma"));
    /* Up to the end of the block, without NUL. */
    char whole[104];
    std::memset(whole, 'w', sizeof whole);
    for (int i = 0; i < 5; i++)
        make_text("texts-whole", sizeof whole, whole, sizeof whole, 'w');
    /* Ended by what is no text: not counted. Too short. Not UTF-8. */
    for (int i = 0; i < 9; i++) {
        make_text("texts-cut", 40, TEXT("epsilon is cut\x01"));
        make_text("texts-short", 40, TEXT("zet"));
        make_text("texts-overlong", 40,
                  TEXT("\xc0\xaf"
                       "eta after overlong"));
    }
    /* One that is long, and one that is in no block but pointed to. */
    std::string longest(3000, 'L');
    for (int i = 0; i < 2; i++)
        make_text("texts-long", 3008, longest.c_str(), longest.size() + 1);
    const char *constant = "theta lies in read-only data";
    for (int i = 0; i < 25; i++)
        make_text("texts-pointer", 200, &constant, sizeof constant);
}

__attribute__((noinline)) void
build(const char *plugin)
{
    uint64_t here[4] = {1, 2, 3, 4};
    pthread_t thread;
    ledger_table_open(table_rows);
    pthread_barrier_init(&ready, nullptr, 2);
    pthread_create(&thread, nullptr, run_other, nullptr);
    pthread_barrier_wait(&ready);
    make_objects();
    if (plugin)
        make_of_plugin(plugin);
    name_next("fields");
    auto *fields = static_cast<Fields *>(::operator new(sizeof(Fields)));
    keep(fields);
    void *freed = fill_fields(fields, &here[1]);
    make_texts();
    __asm__ volatile("" : : "r"(here) : "memory");
    name_next("under-construction");
    void *bottom = ::operator new(sizeof(app::Bottom));
    keep(bottom);
    ::operator delete(freed);
    finishing = true;
    new (bottom) app::Bottom;
}

} // namespace

int
main(int argc, char **argv)
{
    const char *plugin = nullptr;
    for (int i = 1; i < argc; i++) {
        if (ledger_parse_option(&options, argc, argv, &i))
            continue;
        if (std::strcmp(argv[i], "--plugin") || i + 1 == argc)
            ledger_usage(argv[i]);
        plugin = argv[++i];
    }
    ledger_open(&options);
    build(plugin);
    return 0;
}
