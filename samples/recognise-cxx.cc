// Exceptions that are kept: what libstdc++ allocates for them, and its pool. The names in the
// ledger are those of the classes.
//
// Usage: recognise-cxx [OPTIONS OF ledger.h]
#include "ledger-cxx.h"

#include <exception>
#include <malloc.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace app
{
struct Failure {
    int code;
};
template <typename T> struct Refused : std::logic_error {
    T value;
    explicit Refused(T given) : std::logic_error("refused"), value(given)
    {
    }
};
} // namespace app

// unwind-cxx.h: the object lies 128 bytes behind what malloc returned.
static const std::size_t header_bytes = 128;

static std::vector<std::exception_ptr> kept;

template <typename T>
static void
keep(const T &thrown, const char *name)
{
    try {
        throw thrown;
    } catch (const T &caught) {
        void *chunk = (char *)&caught - header_bytes;
        kept.push_back(std::current_exception());
        ledger_describe(ledger_add(chunk, malloc_usable_size(chunk), LEDGER_MALLOC),
                        LEDGER_REACHABLE, name);
    }
}

int
main(int argc, char **argv)
{
    LedgerOptions options = {};
    options.seed = 1;
    for (int i = 1; i < argc; i++)
        if (!ledger_parse_option(&options, argc, argv, &i))
            ledger_usage(argv[i]);
    ledger_open(&options);
    ledger_table_open(100);
    keep(7, "int");
    keep(std::string("text"), "std::string");
    keep(std::runtime_error("failed"), "std::runtime_error");
    keep(app::Failure{3}, "app::Failure");
    keep(app::Refused<long>(4), "app::Refused<long>");
    ledger_finish(&options);
}
