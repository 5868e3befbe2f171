/*
 * Small C++ programs that lose memory, each in one way.
 *
 * Usage: losses-cxx WAY [OPTIONS OF ledger.h]
 *
 * Ways, and the function whose call asks for what is lost:
 *   shapes    make_shape: objects with virtual functions
 *   sessions  open_session: an object whose vector it owns is lost with it
 *   cycles    join: objects that share each other (std::shared_ptr), by make_shared
 *   nothing   (a map, a vector of objects, strings: all kept)
 */
#include "ledger-cxx.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace
{

constexpr unsigned count = 4000;

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
    double x = 0;
    double y = 0;
};

struct Circle : Shape {
    double area() const override
    {
        return radius * radius * 3;
    }
    double radius = 1;
    char name[40] = "circle";
};

[[gnu::noinline]] Shape *
make_shape(unsigned number)
{
    auto *circle = new Circle;
    circle->radius = number;
    return circle;
}

struct Session {
    unsigned number;
    std::vector<unsigned> requests;
    char peer[200];
};

std::vector<Session *> open_sessions;

[[gnu::noinline]] Session *
open_session(unsigned number)
{
    auto *session = new Session{};
    session->number = number;
    session->requests.push_back(number);
    std::snprintf(session->peer, sizeof session->peer, "peer %u", number);
    return session;
}

struct Member {
    std::shared_ptr<Member> other;
    unsigned number = 0;
    unsigned char data[100] = {};
};

[[gnu::noinline]] void
join(unsigned number)
{
    auto member = std::make_shared<Member>();
    member->number = number;
    member->other = member;
}

std::map<unsigned, std::string> kept_names;
std::vector<std::unique_ptr<Shape>> kept_shapes;

template <typename Pointer>
void
forget(Pointer *pointer)
{
    asm volatile("" : : "r"(pointer) : "memory");
}

void
lose(const char *way)
{
    for (unsigned i = 0; i < count; i++) {
        if (!std::strcmp(way, "shapes")) {
            forget(make_shape(i));
        } else if (!std::strcmp(way, "sessions")) {
            Session *session = open_session(i);
            if (i % 10 == 0)
                open_sessions.push_back(session);
            forget(session);
        } else if (!std::strcmp(way, "cycles")) {
            join(i);
        } else {
            kept_names[i * 7] = "the name of somebody " + std::to_string(i);
            kept_shapes.emplace_back(make_shape(i));
        }
    }
}

} // namespace

int
main(int argc, char **argv)
{
    LedgerOptions options{};
    options.seed = 1;
    const char *way = "nothing";
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            way = argv[i];
    ledger_open(&options);
    lose(way);
    ledger_finish(&options);
}
