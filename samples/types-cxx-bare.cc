/*
 * A part of the sample types-cxx that is compiled with -fno-rtti.
 */
#include "types-cxx.h"

namespace bare
{

struct Device {
    virtual ~Device() = default;
    virtual int read();
    uint64_t id = 1;
};

struct Closer {
    virtual ~Closer() = default;
    virtual int close();
    uint64_t handle = 2;
};

struct File : Device, Closer {
    int read() override;
    uint64_t position = 3;
};

int
Device::read()
{
    return 1;
}

int
Closer::close()
{
    return 2;
}

int
File::read()
{
    return 3;
}

} // namespace bare

void *
types_cxx_make_bare()
{
    return new bare::Device;
}

void *
types_cxx_make_bare_derived()
{
    return new bare::File;
}
