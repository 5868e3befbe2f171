#!/usr/bin/env python3
"""Checks that includes point to the left and never back (DESIGN.md, "The house"); speaks TAP.

heapwalk: base < image < process < dwarf < heap < ptmalloc; analyzer: live < analysis < findings < report < cli, on heapwalk;
heapwalk never includes analyzer; plugins include postmalloc-plugin.h alone.
"""

import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
ROOMS = {
    "heapwalk": ["base", "image", "process", "dwarf", "heap", "ptmalloc"],
    "analyzer": ["live", "analysis", "findings", "report", "cli"],
}
PLUGIN_HEADER = "postmalloc-plugin.h"


def find_target(root, source, include):
    """The file of the tree that @include of @source names, relative to @root; None where there is none."""
    for folder in (source.parent, root / "heapwalk", root / "analyzer", root / "plugins", root):
        target = (folder / include).resolve()
        if target.is_file() and target.is_relative_to(root):
            return target.relative_to(root)
    return None


def check_plugin(include):
    return None if Path(include).name == PLUGIN_HEADER else f"plugins include {PLUGIN_HEADER} alone"


def check_house(source, target):
    """Why @source, in heapwalk or analyzer, must not include @target; None where it may."""
    house, target_house = source.parts[0], target.parts[0]
    if target_house not in ROOMS:
        return f"{house} includes nothing of {target_house}"
    if house == "heapwalk" and target_house == "analyzer":
        return "heapwalk knows nothing of analyzer"
    if house != target_house or len(source.parts) < 3:
        return None
    rooms = ROOMS[house]
    for path in (source, target):
        if path.parts[1] not in rooms:
            return f"{path.parts[1]} is no room of {house} that this test knows"
    if rooms.index(target.parts[1]) > rooms.index(source.parts[1]):
        return f"{source.parts[1]} stands left of {target.parts[1]}"
    return None


def check_file(root, source):
    """The complaints about one file."""
    relative = source.relative_to(root)
    for include in INCLUDE.findall(source.read_text("utf-8")):
        if relative.parts[0] == "plugins" and (source.parent / include).is_file():
            continue  # a plugin's own header
        target = find_target(root, source, include)
        if relative.parts[0] == "plugins":
            why = check_plugin(include)
        elif target is None:
            why = "no such file in the tree"
        else:
            why = check_house(relative, target)
        if why is not None:
            yield f"{relative} includes {include}: {why}"


def main():
    root = Path(sys.argv[1]).resolve()
    houses = [*ROOMS, "plugins"]
    print(f"1..{len(houses)}")
    for number, house in enumerate(houses, 1):
        files = sorted((root / house).rglob("*.[ch]"))
        complaints = [complaint for file in files for complaint in check_file(root, file)]
        for complaint in complaints:
            print(f"# {complaint}")
        if not files:
            print(f"ok {number} - {house} # SKIP it has no sources yet")
        else:
            print(f"{'not ok' if complaints else 'ok'} {number} - {house}: {len(files)} files")


if __name__ == "__main__":
    main()
