"""A program with much debug information, for bench.py: generated C, compiled several times.

Seven in eight of each unit's structures are the same in every unit, as those of headers are; the others are its own.
"""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

STRUCTS = 16000

MAIN = """
#define UNIT 0
#include "unit.c"
#include <stdlib.h>

/* 48 bytes; what the heap is full of. */
struct session {
    struct session *next;
    struct session *peer;
    char name[16];
    int state;
    unsigned hits;
    void (*done)(struct session *session);
};

static void finish(struct session *session) { session->state = 0; }

static struct session *sessions;

int main(void)
{
    for (int i = 0; i < 20000; i++) {
        struct session *session = calloc(1, sizeof *session);
        session->next = sessions;
        session->peer = i % 3 ? sessions : 0;
        session->name[0] = session->name[1] = session->name[2] = (char)('a' + i % 26);
        session->state = i % 4;
        session->hits = (unsigned)i * 7;
        session->done = finish;
        sessions = session;
    }
    abort();
}
"""


def write_unit(path):
    """One source file for all units: -DUNIT=n tells which."""
    choose = random.Random(48)
    lines = [
        "#include <stdint.h>",
        "#define PASTE2(a, b) a##b",
        "#define PASTE(a, b) PASTE2(a, b)",
        "#define OWN(name) PASTE(PASTE(name, _unit), UNIT)",
    ]
    for i in range(STRUCTS):
        name = f"shared{i}" if i % 8 else f"OWN(own{i})"
        other = f"shared{choose.randrange(i) | 1}" if i > 1 else "none"
        lines.append(
            f"struct {name} {{ struct {other} *link; struct {name} *next; char text{i}[{8 * choose.randrange(1, 20)}];"
            f" int kind{i}; uint64_t values[{choose.randrange(1, 6)}];"
            f" void (*call{i})(struct {name} *, int); }};"
        )
    path.write_text("\n".join(lines) + "\n", "ascii")


def read_debug_bytes(path):
    """The size of .debug_info in the file at @path."""
    sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    for line in sections.splitlines():
        words = line.replace("[ ", "[").split()
        if len(words) > 5 and words[1] == ".debug_info":
            return int(words[5], 16)
    return 0


def build(folder, megabytes):
    """Compiles units until there are @megabytes of .debug_info; the program, and how much it has."""
    write_unit(folder / "unit.c")
    (folder / "main.c").write_text(MAIN, "ascii")
    flags = ["-g", "-O0", "-fno-eliminate-unused-debug-types", "-c"]
    compiler = os.environ.get("CC", "cc").split()

    def compile_unit(number):
        target = folder / f"unit{number}.o"
        subprocess.run([*compiler, *flags, f"-DUNIT={number}", folder / "unit.c", "-o", target], check=True)
        return target

    subprocess.run([*compiler, *flags, folder / "main.c", "-o", folder / "main.o"], check=True)
    first = compile_unit(1)
    each = read_debug_bytes(first)
    if each == 0:
        sys.exit("the compiler makes no debug information of unused types")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [first, *pool.map(compile_unit, range(2, megabytes * 1000000 // each + 2))]
    program = folder / "manytypes"
    subprocess.run([*compiler, folder / "main.o", *objects, "-o", program], check=True)
    for target in objects:
        target.unlink()
    return program, read_debug_bytes(program)
