/*
 * What the sample types-cxx loads: classes whose vtables lie in a shared library. operator new is
 * the program's.
 */
#include "types-cxx.h"

namespace plugin
{

struct Part {
    virtual ~Part() = default;
    virtual int run();
    uint64_t value = 4;
};

template <typename Type> struct Stage : Part {
    int run() override;
    Type payload{};
};

int
Part::run()
{
    return 1;
}

template <typename Type>
int
Stage<Type>::run()
{
    return 2;
}

} // namespace plugin

extern "C" __attribute__((visibility("default"))) void *
types_cxx_plugin_make()
{
    return new plugin::Part;
}

extern "C" __attribute__((visibility("default"))) void *
types_cxx_plugin_make_template()
{
    return new plugin::Stage<long double>;
}
