"""Who allocates in a program: what leaker.c wrote of it, and which callers merely forward what theirs ask for."""

import struct
from collections import Counter, defaultdict, namedtuple

FRAMES = 12
# Of leaker.h.
HEADER = struct.Struct("=3Q")
MODULE = struct.Struct("=Q256s")
FRAME = struct.Struct("=2I4Q24s")
ROW = struct.Struct("=4Q2I")
OBSERVATION = struct.Struct("=3Q6Q")
NO_MODULE = 0xFFFFFFFF

# Of a site that is to leak: so many frees,
FREES_MIN = 200
# and so much of what is in use at the end, when the leak is in it.
SHARE_MIN = 0.10
# They ask malloc for the length of a string, which is no argument of theirs, and stand for malloc in every program.
STRING_FUNCTIONS = {"strdup", "__strdup", "strndup", "__strndup", "g_strdup", "g_strndup"}
# They give nothing of it to their caller.
KEEPING_FUNCTIONS = {"qsort", "qsort_r"}

# place, entry: (path, offset), or None; a tail's place is where its function starts.
Frame = namedtuple("Frame", "place address entry bytes is_tail is_unsure name")
Row = namedtuple("Row", "size allocations frees skipped leaks frames")
Observation = namedtuple("Observation", "size arguments")


def cut(text):
    return text.split(b"\0", 1)[0].decode()


class Record:
    """What leaker.c wrote."""

    def __init__(self, path, functions=()):
        data = path.read_bytes()
        module_count, row_count, observation_count = HEADER.unpack_from(data)
        at = HEADER.size
        self.modules = []
        for _ in range(module_count):
            self.modules.append(cut(MODULE.unpack_from(data, at)[1]))
            at += MODULE.size
        self.rows = []
        for _ in range(row_count):
            size, allocations, frees, skipped, leaks, count = ROW.unpack_from(data, at)
            at += ROW.size
            frames = [self.make_frame(FRAME.unpack_from(data, at + i * FRAME.size)) for i in range(count)]
            at += FRAMES * FRAME.size
            self.rows.append(Row(size, allocations, frees, skipped, bool(leaks), frames))
        self.observations = defaultdict(list)
        for _ in range(observation_count):
            probe, offset, size, *arguments = OBSERVATION.unpack_from(data, at)
            at += OBSERVATION.size
            self.observations[(functions[probe][0], offset)].append(Observation(size, arguments))

    def make_frame(self, fields):
        module, flags, address, offset, entry, size, name = fields
        if module == NO_MODULE:
            return Frame(None, address, None, 0, False, True, "")
        path = self.modules[module]
        return Frame((path, offset), address, (path, entry) if entry else None, size, bool(flags & 1), bool(flags & 2), cut(name))

    @property
    def live_bytes(self):
        return sum((row.allocations - row.frees) * row.size for row in self.rows)


# Who merely forwards


def find_offset(pairs):
    """What each size exceeds the argument beside it by, of @pairs of the two; None where that is not one small number.
    One pair alone says nothing, unless they are equal."""
    offsets = {size - value for value, size in pairs}
    if offsets == {0} or (len(offsets) == 1 and len(set(pairs)) > 1 and 0 < min(offsets) <= 64):
        return min(offsets)
    return None


def is_affine(pairs):
    """Whether the second of each of @pairs is the first times a constant plus a constant, or rounded up. Two sizes are
    always some such."""
    points = sorted(set(pairs))
    if len({value for value, _ in points}) < 3 or len({size for _, size in points}) < 3:
        return False
    low = min(size - value for value, size in points)
    high = max(size - value for value, size in points)
    if low >= 0 and high - low <= 15 and low <= 4096:
        return True
    (v0, s0), (v1, s1) = points[0], points[-1]
    if v1 == v0 or (s1 - s0) % (v1 - v0):
        return False
    factor = (s1 - s0) // (v1 - v0)
    return 0 < factor <= 4096 and all(size == s0 + (value - v0) * factor for value, size in points)


def find_forwarding(observations, offset):
    """Whether a function whose call led to @observations asks for an argument of its own, where what it calls is known
    to add @offset to that: then what is added in all; else None."""
    sizes = [one.size - offset for one in observations]
    columns = []
    for i in range(6):
        values = [one.arguments[i] for one in observations]
        columns += [values, [value & 0xFFFFFFFF for value in values]]
    for column in columns if observations else ():
        more = find_offset(list(zip(column, sizes)))
        if more is not None:
            return offset + more
    if any(is_affine(list(zip(column, sizes))) for column in columns):
        return offset
    varies = len(set(sizes)) > 1
    products = (
        all(a * b == size and (varies or min(a, b) > 1) for a, b, size in zip(columns[i], columns[j], sizes))
        for i in range(0, 12, 2)
        for j in range(i + 2, 12, 2)
    )
    return offset if any(products) else None


def may_forward(observations):
    """Whether that cannot be told from @observations: the function asked for one or two sizes alone, and an argument
    goes with them: always the same number and no larger, or another for the other, of which the size may be a multiple
    and something more."""
    sizes = [one.size for one in observations]
    for i in range(6):
        points = sorted({(one.arguments[i] & 0xFFFFFFFF, one.size) for one in observations})
        if len(points) == 1 and 0 < points[0][0] <= points[0][1]:
            return True
        if len(points) != 2 or len(set(sizes)) != 2 or points[0][0] == points[1][0]:
            continue
        (v0, s0), (v1, s1) = points
        factor, rest = divmod(s1 - s0, v1 - v0)
        if rest == 0 and factor > 0 and s0 >= v0 * factor:
            return True
    return False


class Truth:
    """Who allocates in a program, by two runs of it."""

    def __init__(self, record, observations):
        self.record = record
        self.observations = observations
        self.sites = defaultdict(list)
        for row in record.rows:
            index = self.find_site(row)
            if index is not None:
                self.sites[row.frames[index].place].append((row, index))

    def find_site(self, row):
        """The frame of @row that is its true site; None where it is not known."""
        offset = 0
        for index, frame in enumerate(row.frames):
            if frame.place is None:
                return None
            if frame.name in STRING_FUNCTIONS:
                continue
            more = find_forwarding(self.observations.get(frame.place, ()), offset)
            if more is None or frame.name in KEEPING_FUNCTIONS:
                return None if frame.is_unsure else index
            offset = more
        return None

    def list_frames(self, row, place):
        """The frames of @row that are the true site: the one at @place, and its caller where either may be."""
        index = [frame.place for frame in row.frames].index(place)
        both = may_forward(self.observations.get(place, ())) and index + 1 < len(row.frames)
        return row.frames[index : index + (2 if both else 1)]

    def choose(self, count):
        """The sites that free most, of those most of whose bytes are of one size of chunks."""
        live = self.record.live_bytes
        totals = []
        for place, rows in self.sites.items():
            freed, frees = Counter(), Counter()
            for row, _ in rows:
                freed[get_chunk_bytes(row.size)] += row.frees * row.size
                frees[get_chunk_bytes(row.size)] += row.frees
            size, most = freed.most_common(1)[0]
            total = sum(freed.values())
            if frees[size] >= FREES_MIN and most >= total / 2 and most >= SHARE_MIN * (live + total):
                totals.append((total, place))
        return [place for _, place in sorted(totals, reverse=True)[:count]]

    def find_own(self, entry):
        """The site of most that is not freed, of what the function that starts at @entry leads to."""
        totals = Counter()
        for place, rows in self.sites.items():
            for row, _ in rows:
                if any(frame.entry == entry for frame in row.frames):
                    totals[place] += (row.allocations - row.frees) * row.size
        return [totals.most_common(1)[0][0]] if totals else []

    def list_chains(self, place):
        return sorted({tuple(frame.place for frame in row.frames[: index + 1]) for row, index in self.sites[place]})


def get_chunk_bytes(size):
    return max(32, (size + 8 + 15) & ~15)
