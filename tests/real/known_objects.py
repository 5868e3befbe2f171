"""What programs themselves know of their objects, for check-types.py: walked in the core, with gdb's offsets.

Each walk yields Known objects. Names are without "struct", as squeeze() in check-types.py makes them.
"""

import collections
import struct

import gdb

# @names: any of them is right. @plain: bytes, so that the name of a type of characters is right too.
Known = collections.namedtuple("Known", "address names plain", defaults=(False,))

# Structures that an object may be the last part of, and how many bytes are before it.
AROUND = {"lua5.4": {"lua_State": {"LX": 8, "LG": 8}}}

# Offsets of pointers that a program keeps numbers in.
NUMBERS = {"redis": {"redisObject": {8}}}

# What is right of any object of a program, if not all that can be said.
WEAK = {
    "lua5.4": {"GCObject", "GCUnion"},
    "python3.11": {"PyObject", "_object", "PyVarObject", "PyGC_Head"},
}


def offset_of(type_name, path):
    """The offset of a member: "v.val" of "struct dictEntry"."""
    at, bits = gdb.lookup_type(type_name).strip_typedefs(), 0
    for name in path.split("."):
        field = next(field for field in at.fields() if field.name == name)
        bits += field.bitpos
        at = field.type.strip_typedefs()
    return bits // 8


def evaluate(expression):
    return int(gdb.parse_and_eval(expression))


# redis

class Redis:
    """By the type and encoding of a value (server.h): what its ptr is. Strings by their flags (sds.h)."""

    ENCODINGS = {2: "dict", 6: "intset", 7: "zset", 9: "quicklist", 10: "stream"}
    RAW, EMBEDDED, LISTPACK = 0, 8, 11
    STRING, SET, ZSET, HASH = 0, 2, 3, 4
    HEADERS = {0: ("sdshdr5", 1), 1: ("sdshdr8", 3), 2: ("sdshdr16", 5), 3: ("sdshdr32", 9), 4: ("sdshdr64", 17)}

    def __init__(self, memory):
        self.memory = memory
        self.key, self.value, self.next = (offset_of("struct dictEntry", name) for name in ("key", "v", "next"))
        self.tables, self.exponents = offset_of("struct dict", "ht_table"), offset_of("struct dict", "ht_size_exp")
        self.pointer = offset_of("struct redisObject", "ptr")

    def walk(self):
        for number in range(evaluate("server.dbnum")):
            dictionary = evaluate(f"server.db[{number}].dict")
            yield Known(dictionary, {"dict"})
            yield from self.tables_of(dictionary)
            for entry in self.entries(dictionary):
                yield Known(entry, {"dictEntry"})
                yield self.string(self.memory.word(entry + self.key))
                yield from self.object(self.memory.word(entry + self.value))
        yield from self.clients()

    def tables_of(self, dictionary):
        for i in range(2):
            table = self.memory.word(dictionary + self.tables + 8 * i)
            if table:
                yield Known(table, {"dictEntry*"})

    def entries(self, dictionary):
        for i in range(2):
            table = self.memory.word(dictionary + self.tables + 8 * i)
            exponent = self.memory.integer(dictionary + self.exponents + i, 1)
            if not table or exponent > 40:
                continue
            for entry in struct.unpack(f"<{1 << exponent}Q", self.memory.read(table, 8 << exponent)):
                while entry:
                    yield entry
                    entry = self.memory.word(entry + self.next)

    def string(self, at):
        name, size = self.HEADERS[self.memory.integer(at - 1, 1) & 7]
        return Known(at - size, {name}, True)

    def object(self, value):
        yield Known(value, {"redisObject"})
        bits = self.memory.integer(value, 4)
        kind, encoding, target = bits & 15, bits >> 4 & 15, self.memory.word(value + self.pointer)
        if encoding in self.ENCODINGS:
            yield Known(target, {self.ENCODINGS[encoding]})
        elif encoding == self.RAW:
            yield self.string(target)
        elif encoding == self.LISTPACK:
            yield Known(target, {"(bytes)"}, True)
        if encoding == 2:
            yield from self.dictionary(target, kind)
        elif encoding == 7:
            yield from self.sorted_set(target)
        elif encoding == 9:
            yield from self.quick_list(target)
        elif encoding == 10:
            yield Known(self.memory.word(target), {"rax"})

    def dictionary(self, dictionary, kind):
        """Of a set or hash: strings."""
        yield from self.tables_of(dictionary)
        for entry in self.entries(dictionary):
            yield Known(entry, {"dictEntry"})
            yield self.string(self.memory.word(entry + self.key))
            if kind == self.HASH:
                yield self.string(self.memory.word(entry + self.value))

    def sorted_set(self, at):
        dictionary, skip_list = self.memory.word(at), self.memory.word(at + 8)
        yield Known(dictionary, {"dict"})
        yield from self.tables_of(dictionary)
        for entry in self.entries(dictionary):
            yield Known(entry, {"dictEntry"})
        yield Known(skip_list, {"zskiplist"})
        node, forward = self.memory.word(skip_list), offset_of("struct zskiplistNode", "level")
        while node:
            yield Known(node, {"zskiplistNode"})
            if self.memory.word(node):
                yield self.string(self.memory.word(node))
            node = self.memory.word(node + forward)

    def quick_list(self, at):
        node = self.memory.word(at)
        following, entry = offset_of("quicklistNode", "next"), offset_of("quicklistNode", "entry")
        while node:
            yield Known(node, {"quicklistNode"})
            yield Known(self.memory.word(node + entry), {"(bytes)"}, True)
            node = self.memory.word(node + following)

    def clients(self):
        node = evaluate("server.clients->head")
        value, following = offset_of("listNode", "value"), offset_of("listNode", "next")
        while node:
            yield Known(node, {"listNode"})
            client = self.memory.word(node + value)
            yield Known(client, {"client"})
            yield Known(self.memory.word(client + offset_of("struct client", "conn")), {"connection"})
            node = self.memory.word(node + following)


# Lua

class Lua:
    """By the tag of every object that the collector knows (lobject.h). A thread is part of a larger block."""

    TAGS = {0x04: "TString", 0x14: "TString", 0x05: "Table", 0x06: "LClosure", 0x26: "CClosure", 0x07: "Udata",
            0x08: "lua_State", 0x09: "UpVal", 0x0A: "Proto"}
    OTHER_NAMES = {"LClosure": {"Closure"}, "CClosure": {"Closure"}}
    ARRAYS = {"Table": {"array": "TValue"},
              "Proto": {"k": "TValue", "code": "Instruction", "p": "Proto*", "upvalues": "Upvaldesc",
                        "locvars": "LocVar"},
              "lua_State": {"stack": "StackValue", "ci": "CallInfo"}}

    def __init__(self, memory):
        self.memory = memory
        self.next, self.tag = offset_of("GCObject", "next"), offset_of("GCObject", "tt")
        self.arrays = {name: [(offset_of(name, member), of) for member, of in members.items()]
                       for name, members in self.ARRAYS.items()}
        self.size, self.node = offset_of("Table", "lsizenode"), offset_of("Table", "node")

    def walk(self):
        state = self.state()
        for name in ("allgc", "finobj", "fixedgc"):
            at = int(state["l_G"][name])
            while at:
                yield from self.object(at)
                at = self.memory.word(at + self.next)
        yield Known(int(state["l_G"]["strt"]["hash"]), {"TString*"})

    def object(self, at):
        name = self.TAGS[self.memory.integer(at + self.tag, 1) & 0x3F]
        yield Known(at, {name} | self.OTHER_NAMES.get(name, set()))
        for offset, of in self.arrays.get(name, ()):
            array = self.memory.word(at + offset)
            # A coroutine's first call is part of itself.
            if array and not (of == "CallInfo" and at < array < at + 1024):
                yield Known(array, {of, "unsigned int", "l_uint32"} if of == "Instruction" else {of})
        if name == "Table" and self.memory.integer(at + self.size, 1):
            yield Known(self.memory.word(at + self.node), {"Node"})

    @staticmethod
    def state():
        frame = gdb.newest_frame()
        while frame:
            try:
                value = frame.read_var("L")
                if not value.is_optimized_out:
                    return value.dereference()
            except (ValueError, gdb.error):
                pass
            frame = frame.older()
        raise gdb.error("no frame has a lua_State")


# Python

class Python:
    """By the name of its type, every object that the collector knows, and what it holds.

    Objects of classes that a program makes have no structure of their own, and are what their class is called.
    """

    STRUCTURES = {
        "dict": {"PyDictObject"}, "list": {"PyListObject"}, "tuple": {"PyTupleObject"}, "set": {"PySetObject"},
        "frozenset": {"PySetObject"}, "function": {"PyFunctionObject"}, "code": {"PyCodeObject"},
        "cell": {"PyCellObject"},
        "builtin_function_or_method": {"PyCFunctionObject", "PyCMethodObject"}, "method": {"PyMethodObject"},
        "module": {"PyModuleObject"}, "generator": {"PyGenObject"}, "coroutine": {"PyCoroObject", "PyGenObject"},
        "weakref": {"PyWeakReference", "_PyWeakReference"}, "int": {"PyLongObject", "_longobject"},
        "type": {"PyHeapTypeObject", "_heaptypeobject", "PyTypeObject", "_typeobject"},
        "float": {"PyFloatObject"}, "bytes": {"PyBytesObject"},
        "str": {"PyASCIIObject", "PyCompactUnicodeObject", "PyUnicodeObject"},
        "wrapper_descriptor": {"PyWrapperDescrObject"}, "method_descriptor": {"PyMethodDescrObject"},
        "getset_descriptor": {"PyGetSetDescrObject"}, "member_descriptor": {"PyMemberDescrObject"},
        "slice": {"PySliceObject"}, "bytearray": {"PyByteArrayObject"}, "complex": {"PyComplexObject"},
        "property": {"propertyobject"}, "frame": {"PyFrameObject", "_frame"}, "memoryview": {"PyMemoryViewObject"},
        "collections.deque": {"dequeobject"}, "functools.partial": {"partialobject"}, "re.Pattern": {"PatternObject"},
        "re.Match": {"MatchObject"}, "managedbuffer": {"_PyManagedBufferObject"}, "classmethod": {"classmethod"},
        "staticmethod": {"staticmethod"}, "range_iterator": {"_PyRangeIterObject"},
        "list_iterator": {"_PyListIterObject"},
    }
    # Beneath the collector's own objects: where a member leads to an object that it does not know.
    CHUNKS = {"dict": [("PyDictObject", "ma_keys", "_dictkeysobject", {"PyDictKeysObject", "dict keys"})],
              "list": [("PyListObject", "ob_item", "PyObject*", {"_object*", "object pointers"})]}
    HEAD_BYTES = 16  # PyGC_Head

    def __init__(self, memory):
        self.memory = memory
        self.name = offset_of("PyTypeObject", "tp_name")
        self.names = {}
        self.size_of_tuple = gdb.lookup_type("PyTupleObject").sizeof - 8
        self.chunks = {name: [(offset_of(structure, member), {of} | more) for structure, member, of, more in rows]
                       for name, rows in self.CHUNKS.items()}

    def type_of(self, at):
        one = self.memory.word(at + 8)
        if one not in self.names:
            self.names[one] = self.memory.string(self.memory.word(one + self.name))
        return self.names[one]

    def known(self, at):
        name = self.type_of(at)
        yield Known(at, self.STRUCTURES.get(name, set()) | {name})

    def walk(self):
        generations = evaluate("&_PyRuntime.interpreters.head->gc.generations[0]")
        size = gdb.lookup_type("struct gc_generation").sizeof
        for number in range(3):
            head = generations + number * size
            at = self.memory.word(head) & ~3
            while at != head:
                yield from self.object(at + self.HEAD_BYTES)
                at = self.memory.word(at) & ~3

    def object(self, at):
        name = self.type_of(at)
        yield from self.known(at)
        for offset, names in self.chunks.get(name, ()):
            if self.memory.word(at + offset):
                yield Known(self.memory.word(at + offset), names)
        if name in ("list", "tuple"):
            count = self.memory.word(at + 16)
            items = self.memory.word(at + 24) if name == "list" else at + self.size_of_tuple
            for item in struct.unpack(f"<{count}Q", self.memory.read(items, 8 * count)) if count else ():
                # What the collector knows too is told once more; what it does not know is told here alone.
                if item:
                    yield from self.known(item)


# memcached

class Memcached:
    """The connections by their descriptors, the threads, and the table."""

    def __init__(self, memory):
        self.memory = memory

    def walk(self):
        for number in range(evaluate("max_fds")):
            at = evaluate(f"conns[{number}]")
            if at:
                yield Known(at, {"conn"})
        yield Known(evaluate("conns"), {"conn*"})
        yield Known(evaluate("threads"), {"LIBEVENT_THREAD"})
        yield Known(evaluate("primary_hashtable"), {"item*", "_stritem*"})


# tmux

class Tmux:
    """Its red-black trees and lists, with a walk of our own."""

    def __init__(self, memory):
        self.memory = memory

    def walk(self):
        yield from self.tree(gdb.parse_and_eval("sessions.rbh_root"), "session", self.session)
        for name in ("global_options", "global_s_options", "global_w_options"):
            options = gdb.parse_and_eval(name)
            yield Known(int(options), {"options"})
            yield from self.tree(options["tree"]["rbh_root"], "options_entry", lambda entry: ())
        yield from self.tree(gdb.parse_and_eval("key_tables.rbh_root"), "key_table", self.key_table)
        client = gdb.parse_and_eval("clients.tqh_first")
        while int(client):
            yield Known(int(client), {"client"})
            client = client["entry"]["tqe_next"]

    def tree(self, node, name, visit):
        pending = [node]
        while pending:
            node = pending.pop()
            if int(node):
                yield Known(int(node), {name})
                yield from visit(node)
                pending += [node["entry"]["rbe_left"], node["entry"]["rbe_right"]]

    def key_table(self, table):
        yield Known(int(table["name"]), {"char"}, True)
        for name in ("key_bindings", "default_key_bindings"):
            yield from self.tree(table[name]["rbh_root"], "key_binding", self.key_binding)

    def key_binding(self, binding):
        commands = binding["cmdlist"]
        yield Known(int(commands), {"cmd_list"})
        yield Known(int(commands["list"]), {"cmds"})
        command = commands["list"]["tqh_first"]
        while int(command):
            yield Known(int(command), {"cmd"})
            yield Known(int(command["args"]), {"args"})
            yield from self.tree(command["args"]["tree"]["rbh_root"], "args_entry", lambda entry: ())
            command = command["qentry"]["tqe_next"]

    def session(self, session):
        yield Known(int(session["name"]), {"char"}, True)
        yield from self.tree(session["windows"]["rbh_root"], "winlink", self.link)
        yield from self.tree(session["environ"]["rbh_root"], "environ_entry", lambda entry: ())

    def link(self, link):
        window = link["window"]
        yield Known(int(window), {"window"})
        pane = window["panes"]["tqh_first"]
        while int(pane):
            yield Known(int(pane), {"window_pane"})
            yield from self.grid(pane["base"]["grid"])
            pane = pane["entry"]["tqe_next"]

    def grid(self, grid):
        yield Known(int(grid), {"grid"})
        lines = int(grid["linedata"])
        yield Known(lines, {"grid_line"})
        size = gdb.lookup_type("struct grid_line").sizeof
        members = [(offset_of("struct grid_line", "celldata"), "grid_cell_entry"),
                   (offset_of("struct grid_line", "extddata"), "grid_extd_entry")]
        for number in range(int(grid["hsize"]) + int(grid["sy"])):
            for offset, name in members:
                at = self.memory.word(lines + number * size + offset)
                if at:
                    yield Known(at, {name})


PROGRAMS = {"redis": Redis, "lua5.4": Lua, "python3.11": Python, "memcached": Memcached, "tmux": Tmux}
