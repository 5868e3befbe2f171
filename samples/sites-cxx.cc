/*
 * Sites of operator new.
 */
#include "sites.h"

#include <cstdint>
#include <cstdlib>
#include <new>

namespace
{

struct Plain {
    uint64_t words[97];
};

/* An array of these has a cookie: how many there are to destroy. */
struct Counted {
    uint64_t words[3];
    ~Counted();
};

struct alignas(64) Aligned {
    char bytes[832];
};

struct Own {
    uint64_t words[105];
    static void *operator new(size_t size);
    static void operator delete(void *block);
};

} // namespace

SITE Counted::~Counted()
{
    site_choice = 1;
}

SITE void *
Own::operator new(size_t size)
{
    void *block = malloc(size + 8);
    if (!block)
        throw std::bad_alloc();
    return block;
}

SITE void
Own::operator delete(void *block)
{
    free(block);
}

extern "C" {

SITE void
s80_is_776()
{
    site_sink = new Plain;
}

SITE void
s81_is_784()
{
    site_sink = new char[784];
}

SITE void
s82_is_792()
{
    site_sink = new (std::nothrow) char[792];
}

SITE void
s83_is_80()
{
    site_sink = new Counted[3];
}

SITE void
s84_unknown()
{
    site_sink = new Counted[site_number];
}

SITE void
s85_is_832()
{
    site_sink = new Aligned;
}

SITE void
s86_is_848()
{
    site_sink = new Own;
}

SITE uint32_t *
make_words(size_t count)
{
    return new uint32_t[count];
}

SITE void
s87_is_860()
{
    site_sink = make_words(215);
}

void
sites_cxx()
{
}
}
