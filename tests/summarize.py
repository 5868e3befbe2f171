#!/usr/bin/env python3
"""Sums meson's own results over several builds, sub-tests included.

Prints "N passed, N failed, N skipped"; exits 1 where a test failed or none passed.
"""

import argparse
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

FAILED = {"FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"}


def sum_junit(path):
    """Counts of one testlog.junit.xml, and the names under which it shows a failure."""
    passed = failed = skipped = 0
    names = set()
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                names.update((suite.get("name"), case.get("name")))
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    return passed, failed, skipped, names


def is_shown(name, junit_names):
    """Whether junit shows a failure of the test that testlog.json calls "suite / name"."""
    short = name.rsplit(" / ", 1)[-1]
    return any(known == short or known.endswith("." + short) for known in junit_names)


def sum_build(folder):
    logs = Path(folder) / "meson-logs"
    try:
        passed, failed, skipped, names = sum_junit(logs / "testlog.junit.xml")
        tests = [json.loads(line) for line in (logs / "testlog.json").read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return 0, 0, 0  # the build was broken, which --broken-builds counts
    for test in tests:
        # junit shows the sub-tests that a crashed or stopped program got to, and no failure.
        if test["result"] in FAILED and not is_shown(test["name"], names):
            failed += 1
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broken-builds", type=int, default=0, metavar="N", help="failures to add")
    parser.add_argument("builds", nargs="+")
    arguments = parser.parse_args()
    counts = [sum(column) for column in zip(*map(sum_build, arguments.builds))]
    counts[1] += arguments.broken_builds
    print(f"{counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
    return 1 if counts[1] or not counts[0] else 0


if __name__ == "__main__":
    sys.exit(main())
