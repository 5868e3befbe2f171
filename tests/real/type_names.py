"""Names of types, as postmalloc has them and as gdb has them, for check-types.py."""

import re

import gdb

NUMBER = re.compile(r"\b(?:(?:long|short|unsigned|signed|int|char)\b ?){2,}")
STRUCTURES = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)


def squeeze(name):
    """Names that differ in blanks, in the keyword of a structure, or in the words for a number, are the same name."""
    name = re.sub(r"\b(struct|union|class|enum|const|volatile)\b", " ", name)
    name = NUMBER.sub(lambda match: squeeze_number(match[0]), name)
    return re.sub(r"\s+", " ", re.sub(r"\s*([*&<>,()\[\]])\s*", r"\1", name)).strip()


def squeeze_number(words):
    """Several words: "long unsigned int" and "unsigned long" are one."""
    words = sorted(word for word in words.split() if word != "int")
    return " ".join(words) + " "


def names_of(one):
    """Every name that a C programmer may give @one: its tag, and each typedef on the way to it."""
    names = set()
    one = one.unqualified()
    while one.code == gdb.TYPE_CODE_TYPEDEF:
        names.add(squeeze(one.name))
        one = one.target().unqualified()
    if one.code in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF):
        names |= {squeeze(name + "*") for name in names_of(one.target())}
    elif one.code == gdb.TYPE_CODE_ARRAY:
        low, high = one.range()
        names |= {f"{name}[{high - low + 1}]" for name in names_of(one.target())}
    elif one.code == gdb.TYPE_CODE_FUNC:
        names.add("(function)")
    else:
        names |= {squeeze(name) for name in (one.tag, one.name) if name}
    return names


def words_of(name):
    """A recogniser's name says two things: "redisObject (embstr)", "dict (Python)", "sds (sdshdr8)"."""
    match = re.fullmatch(r"(.+) \(([^()]+)\)", name)
    return {squeeze(match[1]), squeeze(match[2])} if match else {squeeze(without_count(name))}


def without_count(name):
    return re.sub(r"\[\d*\]$", "", name)


POOL = "pool of "


def is_named(one, name):
    """Whether @name is gdb's type @one, or an array of it, or one of its elements."""
    wanted = squeeze(name.removeprefix(POOL))
    if wanted.startswith("{…}") or " at " in wanted:  # nothing names it; the address has to do
        return one.strip_typedefs().code in STRUCTURES
    names = names_of(one)
    if any("(function)" in each for each in names):
        return "(" in wanted
    return wanted in names or without_count(wanted) in names or without_count(wanted) in map(without_count, names)


def lookup(name):
    """gdb's type of postmalloc's name; None where gdb has none, or the name is of another kind."""
    name = without_count(name)
    for one in (name, f"struct {name}", f"union {name}"):
        try:
            return gdb.lookup_type(one)
        except gdb.error:
            pass
    return None


def has_part(one, name, offset, depth=0):
    """Whether @one has a part of the type @name, @offset bytes into it (None: anywhere)."""
    one = one.strip_typedefs()
    if one.code == gdb.TYPE_CODE_ARRAY and one.target().sizeof:
        inner = offset if offset is None else offset % one.target().sizeof
        return has_part(one.target(), name, inner, depth + 1)
    if one.code not in STRUCTURES or depth > 6:
        return False
    for field in one.fields():
        at = field.bitpos // 8 if hasattr(field, "bitpos") else 0
        if offset is not None and not at <= offset < at + max(field.type.sizeof, 1):
            continue
        if offset in (None, at) and name in names_of(field.type):
            return True
        if has_part(field.type, name, None if offset is None else offset - at, depth + 1):
            return True
    return False
