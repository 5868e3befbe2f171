"""Fills the heap of Python with objects of many kinds, and ends it with the signal that POSTMALLOC_END names."""

import array
import collections
import datetime
import decimal
import enum
import functools
import io
import itertools
import json
import os
import re
import signal
import threading
import weakref


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Node:
    def __init__(self, value, parent=None):
        self.value = value
        self.parent = parent
        self.children = []
        if parent:
            parent.children.append(self)


class Point:
    __slots__ = ("x", "y", "label")

    def __init__(self, x, y):
        self.x, self.y, self.label = x, y, f"({x}, {y})"


class Shape(Node):
    @property
    def area(self):
        return self.value

    @staticmethod
    def helper(x):
        return x

    @classmethod
    def make(cls):
        return cls(1)

    def __repr__(self):
        return "shape"


Pair = collections.namedtuple("Pair", "left right")


def generate(limit):
    inner = {limit: "limit"}
    for i in range(limit):
        yield i, inner


async def coroutine(value):
    return value


def build(count):
    root = Node("root")
    nodes = [root]
    for i in range(count):
        nodes.append(Node(i * 1000, nodes[i // 3]))
    generators = [generate(i) for i in range(2, count // 10)]
    for generator in generators:
        next(generator)
    coroutines = [coroutine(i) for i in range(10)]
    return {
        "nodes": nodes,
        "points": [Point(i, -i) for i in range(count)],
        "dicts": [{f"key {j}": j * 1.5 for j in range(i % 30)} for i in range(count)],
        "lists": [list(range(1000, 1000 + i % 50)) for i in range(count)],
        "tuples": [tuple(str(j) for j in range(i % 9)) for i in range(count)],
        "sets": [set(range(i % 40)) for i in range(count)] + [frozenset("abc" * i) for i in range(9)],
        "strings": ["long text " * (i % 60) + str(i) for i in range(count)] + ["ä世" * i for i in range(90)],
        "bytes": [bytes(i % 700) for i in range(count)] + [bytearray(b"x" * i) for i in range(1, 200)],
        "integers": [7 ** i for i in range(200)],
        "floats": [i / 3 for i in range(count)] + [complex(i, 1) for i in range(90)],
        "functions": [functools.partial(pow, i) for i in range(90)] + [(lambda x, i=i: x + i) for i in range(count)],
        "methods": [node.__init__ for node in nodes[:300]] + [[].append for _ in range(90)],
        "pairs": [Pair(i, str(i)) for i in range(count)],
        "deques": [collections.deque(range(i)) for i in range(90)],
        "ordered": [collections.OrderedDict.fromkeys(range(i)) for i in range(60)],
        "defaults": [collections.defaultdict(list, {i: [i]}) for i in range(90)],
        "counters": [collections.Counter("abracadabra" * i) for i in range(30)],
        "generators": generators,
        "coroutines": coroutines,
        "iterators": [itertools.islice(itertools.count(i), 9) for i in range(90)] + [iter([i]) for i in range(90)],
        "weak": [weakref.ref(node) for node in nodes[:300]],
        "weak map": weakref.WeakValueDictionary({i: node for i, node in enumerate(nodes[:300])}),
        "arrays": [array.array("d", range(i % 90)) for i in range(90)],
        "dates": [datetime.datetime(2020, 1, 1) + datetime.timedelta(days=i) for i in range(200)],
        "decimals": [decimal.Decimal(i) / 7 for i in range(200)],
        "patterns": [re.compile(f"[a-z]+{i}(x|y)*") for i in range(40)],
        "matches": [re.match(r"(\w)(\d+)", f"a{i}") for i in range(90)],
        "streams": [io.StringIO("text" * i) for i in range(40)] + [io.BytesIO(bytes(i)) for i in range(40)],
        "colours": list(Colour),
        "json": json.loads(json.dumps([{"id": i, "tags": ["a", "b"], "nested": {"x": None}} for i in range(300)])),
        "slices": [slice(i, i + 1) for i in range(60)],
        "ranges": [range(i, i * 1000) for i in range(60)],
        "memory": [memoryview(bytes(64)) for _ in range(40)],
        "properties": [property(lambda self: 1) for _ in range(20)],
        "shapes": [Shape(i) for i in range(200)],
        "types": [type(f"Made{i}", (Node,), {"field": i, "method": lambda self: self}) for i in range(40)],
        "exceptions": [ValueError(f"wrong {i}") for i in range(60)],
    }


class Waiting(threading.Thread):
    """Holds objects in the frames of a thread that waits."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ready, self.go = threading.Event(), threading.Event()

    def run(self):
        self.hold([str(i) * 20 for i in range(500)], 5)

    def hold(self, held, depth):
        if depth:
            return self.hold(held[::2] or held, depth - 1)
        self.ready.set()
        self.go.wait()
        return held


def main():
    kept = build(1200)
    threads = [Waiting() for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.ready.wait()
    os.kill(os.getpid(), signal.Signals["SIG" + os.environ["POSTMALLOC_END"]])
    return kept


if __name__ == "__main__":
    main()
