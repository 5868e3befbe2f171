"""Run by gdb on a core: holds the types that postmalloc gives chunks against gdb, and against what the program knows.

Reads from the environment: CHECK_PROGRAM, the program's name; CHECK_CHUNKS, what `postmalloc chunks --limit 0 --paths
--format json` printed; CHECK_RESULT, where the answer goes as one JSON object:
  used_bytes, typed_bytes: of all chunks, and of those with a type
  by_pointer: chunks that a typed pointer leads to
  paths: those to which that is shown from a variable
  sampled, agreed: those of the sample, and of them those whose path gdb evaluates to the same address and the same type
  cast: how many of these pass a cast, whose target gdb has to believe
  unseen: chunks of the sample whose type gdb does not see
  wrong[]: one text for each of the others
  known: objects that the program itself knows (known_objects.py)
  known_typed, known_weak: those that have the name that it gives them, and those that are named by a part of them or as
    any object would be; known_missed: those that have none, by what they are
  known_wrong[]: those that have another name
  examined: structures whose pointers were looked at
  implausible[]: types of which some hold pointers to nothing
"""

import bisect
import collections
import json
import os
import random
import re
import struct

import gdb

import known_objects
from type_names import POOL, STRUCTURES, has_part, is_named, lookup, squeeze, without_count, words_of

SEED = 1
SAMPLE = 200
SHOWN = 40
# Of one type, this many objects are examined, and this many of their fields.
EXAMINED_OBJECTS = 500
EXAMINED_FIELDS = 200
EXAMINED_BYTES = 65536
# Sources that are held to be true; a fitting structure is a guess by its name.
SURE = ("pointer", "recogniser", "vtable")

class Memory:
    """The core's bytes."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()
        self.ranges = self.read_ranges()
        self.starts = [start for start, _ in self.ranges]

    @staticmethod
    def read_ranges():
        """The target's mappings, by the core's program headers and the files that gdb has put beside them."""
        ranges = []
        for line in gdb.execute("maint info sections -all-objects", to_string=True).splitlines():
            match = re.search(r"0x([0-9a-f]+)->0x([0-9a-f]+) at 0x[0-9a-f]+: .*\bALLOC\b", line)
            if match and int(match[1], 16) > 0xFFFF:
                ranges.append((int(match[1], 16), int(match[2], 16)))
        merged = []
        for start, end in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def is_mapped(self, address):
        """The end of a mapping counts: pointers to an array's end are pointers to something."""
        at = bisect.bisect_right(self.starts, address) - 1
        return at >= 0 and address <= self.ranges[at][1]

    def read(self, address, size):
        return bytes(self.inferior.read_memory(address, size))

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def integer(self, address, size):
        return int.from_bytes(self.read(address, size), "little")

    def string(self, address, limit=64):
        data = b""
        while len(data) < limit and b"\0" not in data:
            data += self.read(address + len(data), 1)
        return data.split(b"\0")[0].decode("utf-8", "replace")


class Chunks:
    """What postmalloc says of each chunk in use."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        self.rows = document["data"]["chunks"]
        for row in self.rows:
            row["start"] = int(row["address"], 16)
        self.rows.sort(key=lambda row: row["start"])
        self.starts = [row["start"] for row in self.rows]

    def find(self, address):
        """The chunk whose user data holds @address, or None."""
        at = bisect.bisect_right(self.starts, address) - 1
        if at < 0 or address >= self.starts[at] + self.rows[at]["chunk_bytes"] - 8:
            return None
        return self.rows[at]


# The sample: what a path leads to

# Structures that are declared within a function, which gdb sees only there: locked_FILE in libc's fopen().
UNSEEN = re.compile(r"No struct type named locked_FILE\b")

CAST = re.compile(r"\(\s*(?:(?:const|struct|union|class|enum)\s+)*[A-Za-z_][\w: ]*[ *]*\*\s*\)")


ADDRESS = re.compile(r"\)\s*0x[0-9a-f]{4,}")


def has_path(row):
    """A path from an address, and not from a variable, proves nothing."""
    return row.get("path") and row.get("type_source") == "pointer" and not ADDRESS.search(row["path"])


def shorten(path):
    path = str(path)
    return path if len(path) <= 240 else f"{path[:120]} … {path[-100:]}"


def choose(rows):
    """One chunk of every type, then any."""
    rows = [row for row in rows if has_path(row)]
    random.Random(SEED).shuffle(rows)
    first, seen = [], set()
    for row in rows:
        if row["type"] not in seen:
            seen.add(row["type"])
            first.append(row)
    chosen = first[:SAMPLE]
    ids = {id(row) for row in chosen}
    rest = (row for row in rows if id(row) not in ids)
    return chosen + [row for row, _ in zip(rest, range(SAMPLE - len(chosen)))]


def select_frame(row):
    """The frame of which a path's first name is a local."""
    frame = row.get("path_frame")
    if not frame:
        return
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == frame["tid"] or thread.ptid[2] == frame["tid"]:
            thread.switch()
    gdb.execute(f"frame {frame['frame']}", to_string=True)


class Roots:
    """Variables that gdb's expressions do not find: statics of functions that are inlined everywhere, and variables for
    which link-time optimisation left a second, empty description."""

    ROOT = re.compile(r"(?:'[^']+'|[A-Za-z_]\w*)(?:::[A-Za-z_]\w*)*")
    KEYWORDS = {"struct", "union", "enum", "class", "const", "char", "unsigned", "signed", "int", "long", "short",
                "void"}

    def __init__(self):
        self.symbols = None

    def replace(self, path):
        """@path with its variable as a pointer of ours; None where there is none that is known for sure."""
        for match in self.ROOT.finditer(path):
            before, after = path[:match.start()], path[match.end():]
            # What a cast names is no variable.
            if match[0] in self.KEYWORDS or (re.match(r"\s*\**\s*\)", after)
                                             and before.rstrip().endswith(("(", "struct", "union"))):
                continue
            value = self.find(match[0])
            if value is None:
                return None
            gdb.set_convenience_variable("root", value)
            return f"{before}(*$root){after}"
        return None

    def find(self, name):
        """A pointer to the variable."""
        scope, _, last = name.rpartition("::")
        return self.find_in_function(scope, last) if scope else self.find_symbol(last)

    @staticmethod
    def find_in_function(function, name):
        """Wherever the function is inlined, its statics are known."""
        for place in gdb.decode_line(function)[1] or ():
            block = gdb.block_for_pc(place.pc)
            while block and not block.is_global:
                for symbol in block:
                    if symbol.name == name and block.function and block.function.name == function:
                        value = symbol.value(gdb.newest_frame()) if symbol.needs_frame else symbol.value()
                        if not value.is_optimized_out:
                            return value.address
                block = block.superblock
        return None

    def find_symbol(self, name):
        """The type from one description, and the address from the table of symbols, where the name is there once."""
        if self.symbols is None:
            self.symbols = collections.defaultdict(set)
            for line in gdb.execute("maint print msymbols", to_string=True).splitlines():
                match = re.match(r"\[ *\d+\] [dDbBsS] (0x[0-9a-f]+) (\S+) section", line)
                if match:
                    self.symbols[match[2].split(".")[0]].add(int(match[1], 16))
        symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
        if symbol is None or len(self.symbols[name]) != 1:
            return None
        return gdb.Value(next(iter(self.symbols[name]))).cast(symbol.type.pointer())


def evaluate(row, roots):
    """Raises gdb.error where there is no value."""
    select_frame(row)
    try:
        value = gdb.parse_and_eval(row["path"])
        if value.address is not None and not value.is_optimized_out:
            return value
        raise gdb.error("value has been optimized out")
    except gdb.error as error:
        path = roots.replace(row["path"])
        if path is None:
            raise error
        return gdb.parse_and_eval(path)


def check_path(row, roots):
    """None where gdb agrees, else why not."""
    try:
        value = evaluate(row, roots)
        address = int(value.address) if value.address is not None else None
        one = value.type
        size = one.sizeof
    except (gdb.error, RuntimeError, gdb.MemoryError) as error:
        return f"gdb: {error}"
    expected = row["start"] + (row.get("type_offset") or 0)
    if address is None:
        return "it has no address"
    if row["type"].startswith(POOL) and row["start"] <= address < row["start"] + row["chunk_bytes"] - 8:
        expected = address
    if address != expected:
        return f"it is at {address:#x}, not at {expected:#x}"
    if not is_named(one, row["type"]):
        return f"its type is {one}"
    if size > row["chunk_bytes"] - 8:
        return f"its type has {size} bytes, more than the chunk"
    return None


def check_sample(chunks, result):
    chosen = choose(chunks.rows)
    result["paths"] = sum(bool(has_path(row)) for row in chunks.rows)
    result["by_pointer"] = sum(row.get("type_source") == "pointer" for row in chunks.rows)
    result["sampled"] = len(chosen)
    result["agreed"] = result["cast"] = result["unseen"] = 0
    roots = Roots()
    for row in chosen:
        why = check_path(row, roots)
        if why is None:
            result["agreed"] += 1
            result["cast"] += bool(CAST.search(row["path"]))
        elif UNSEEN.search(why):
            result["unseen"] += 1
        else:
            result["wrong"].append(f"{row['address']} {row['type']}: {shorten(row['path'])}: {why}")


# The pointers of an object

def pointer_offsets(one, base=0, depth=0):
    """Offsets of the pointers in @one that do not lie in a union."""
    one = one.strip_typedefs()
    if one.code == gdb.TYPE_CODE_PTR:
        return [base]
    found = []
    if one.code == gdb.TYPE_CODE_ARRAY and depth < 6:
        low, high = one.range()
        element = one.target()
        for i in range(min(high - low + 1, 16)):
            found += pointer_offsets(element, base + i * element.sizeof, depth + 1)
    elif one.code == gdb.TYPE_CODE_STRUCT and depth < 6:
        for field in one.fields():
            if hasattr(field, "bitpos") and not field.bitsize:
                found += pointer_offsets(field.type, base + field.bitpos // 8, depth + 1)
    return found[:EXAMINED_FIELDS]


def is_plausible(memory, value):
    """Small numbers stand for "none" here and there, and low bits for marks."""
    signed = value - (1 << 64) if value >> 63 else value
    return -4096 <= signed <= 4096 or memory.is_mapped(value) or memory.is_mapped(value & ~7)


def offsets_of_pointers(name, numbers):
    """Of the pointers in an object named @name; None: it is an array of pointers, all of it."""
    if squeeze(without_count(name)).endswith("*"):
        return None
    one = lookup(name)
    if one is None or one.strip_typedefs().code not in STRUCTURES:
        return []
    return [at for at in pointer_offsets(one) if at not in numbers.get(squeeze(without_count(name)), ())]


def find_implausible(row, offsets, memory):
    """The offsets in the object of @row at which a pointer leads to nothing."""
    offset = row.get("type_offset") or 0
    data = memory.read(row["start"] + offset, min(row["chunk_bytes"] - 8 - offset, EXAMINED_BYTES))
    if offsets is None:
        offsets = range(0, min(len(data), 8 * (row.get("type_elements") or 1)) - 7, 8)
    return [at for at in offsets
            if at + 8 <= len(data) and not is_plausible(memory, struct.unpack_from("<Q", data, at)[0])]


def examine(chunks, memory, program, result):
    numbers = known_objects.NUMBERS.get(program, {})
    by_type = collections.defaultdict(list)
    for row in chunks.rows:
        if row.get("type") and row.get("type_source") in SURE and not row["type"].startswith(POOL):
            by_type[row["type"]].append(row)
    result["examined"] = 0
    for name, rows in sorted(by_type.items()):
        offsets = offsets_of_pointers(name, numbers)
        if offsets == []:
            continue
        bad, where, example = 0, collections.Counter(), None
        rows = random.Random(SEED).sample(rows, min(len(rows), EXAMINED_OBJECTS))
        for row in rows:
            wrong = find_implausible(row, offsets, memory)
            if wrong:
                bad, example = bad + 1, row["address"]
                where.update(wrong)
        result["examined"] += len(rows)
        if bad:
            result["implausible"].append({"type": name, "objects": len(rows), "bad": bad, "example": example,
                                          "offsets": [at for at, _ in where.most_common(5)]})


# What the program knows itself

def is_plain(row):
    """A type of characters, or a recogniser's word for bytes, which is no structure."""
    name = without_count(row["type"])
    if "*" in name:
        return False
    one = lookup(name)
    return row["type_source"] == "recogniser" if one is None else one.strip_typedefs().sizeof == 1


class Verdicts:
    """What a name is worth, beside the names that a program itself gives an object."""

    def __init__(self, program):
        self.weak = known_objects.WEAK.get(program, set())
        self.around = known_objects.AROUND.get(program, {})
        self.types = {}

    def get_type(self, name):
        if name not in self.types:
            self.types[name] = lookup(name)
        return self.types[name]

    def judge(self, known, row):
        """"typed": it is that; "weak": that is part of it, or true of all; "wrong"."""
        pool = row["type"].startswith(POOL)
        said = words_of(row["type"].removeprefix(POOL))
        name = squeeze(without_count(row["type"].removeprefix(POOL)))
        before = known.address - row["start"] - (row.get("type_offset") or 0)
        names = {squeeze(each) for each in known.names}
        if known.plain and is_plain(row) and not any("sdshdr" in word for word in said - names):
            return "typed"
        if said & names and (before == 0 or pool or row.get("type_elements", 1) != 1):
            return "typed"
        if any(self.around.get(each, {}).get(name) == before for each in names):
            return "typed"
        if name in self.weak:
            return "weak"
        types = [one for one in map(self.get_type, known.names) if one is not None]
        if before <= 0 and any(has_part(one, name, None if pool else -before) for one in types):
            return "weak"
        return "wrong"


def check_known(chunks, memory, program, result):
    verdicts = Verdicts(program)
    missed, seen = collections.Counter(), set()
    result.update(known=0, known_typed=0, known_weak=0)
    for known in known_objects.PROGRAMS[program](memory).walk():
        row = chunks.find(known.address)
        if row is None or (known.address, *known.names) in seen:
            continue
        seen.add((known.address, *known.names))
        result["known"] += 1
        if not row.get("type") or row.get("type_source") not in SURE:
            missed[sorted(known.names)[0]] += 1
            continue
        verdict = verdicts.judge(known, row)
        if verdict == "wrong":
            result["known_wrong"].append(
                f"{row['address']} is named {row['type']} at {row.get('type_offset') or 0}, but holds"
                f" {sorted(known.names)[0]} at {known.address - row['start']} ({row['type_source']}: {shorten(row.get('path'))})")
        else:
            result[f"known_{verdict}"] += 1
    result["known_missed"] = dict(missed.most_common(12))


def main():
    gdb.execute("set language c")
    gdb.execute("set max-value-size unlimited")
    chunks, memory = Chunks(os.environ["CHECK_CHUNKS"]), Memory()
    result = {"wrong": [], "known_wrong": [], "implausible": [],
              "used_bytes": sum(row["chunk_bytes"] for row in chunks.rows),
              "typed_bytes": sum(row["chunk_bytes"] for row in chunks.rows
                                 if row.get("type_source") in (*SURE, "runtime"))}
    program = os.environ["CHECK_PROGRAM"]
    check_known(chunks, memory, program, result)
    examine(chunks, memory, program, result)
    check_sample(chunks, result)
    for name in ("wrong", "known_wrong"):
        result[f"{name}_count"] = len(result[name])
        del result[name][SHOWN:]
    with open(os.environ["CHECK_RESULT"], "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)


main()
