/*
 * The part of the sample reach-cxx that is compiled for libstdc++'s old ABI, whose std::string
 * points to its characters, behind their number and a reference count, in one block.
 */
#define _GLIBCXX_USE_CXX11_ABI 0
#include "reach-cxx.h"

#include <new>
#include <string>

namespace
{
alignas(std::string) unsigned char storage[40][sizeof(std::string)];
}

void
reach_cxx_keep_cow_strings()
{
    size_t length = 1;
    for (auto &place : storage) {
        const auto *text = new (place) std::string(length, 'c');
        __asm__ volatile("" : : "r"(text) : "memory");
        length += length < 40 ? 1 : length / 3;
    }
}
