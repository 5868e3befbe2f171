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


def shorten(name):
    """The test's own name: meson writes "project.suite / name" or "suite / name", by version."""
    return name.rsplit(" / ", 1)[-1].rsplit(".", 1)[-1]


def read_junit(path):
    """The sub-tests of each test that has any: name → (passed, failed, skipped)."""
    counts = {}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        cases = list(suite.iter("testcase"))
        failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
        skipped = sum(case.find("skipped") is not None for case in cases)
        counts[shorten(suite.get("name"))] = (len(cases) - failed - skipped, failed, skipped)
    return counts


def sum_test(test, junit):
    """(passed, failed, skipped) of one test of testlog.json."""
    result = test["result"]
    passed, failed, skipped = junit.get(shorten(test["name"]), (result in {"OK", "EXPECTEDFAIL"}, 0, result == "SKIP"))
    # junit shows the sub-tests that a crashed or stopped program got to, and no failure.
    return passed, failed or int(result in FAILED), skipped


def sum_build(folder):
    logs = Path(folder) / "meson-logs"
    try:
        junit = read_junit(logs / "testlog.junit.xml")
        lines = (logs / "testlog.json").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return 0, 0, 0  # the build was broken, which --broken-builds counts
    counts = [sum_test(json.loads(line), junit) for line in lines]
    return tuple(map(sum, zip(*counts))) if counts else (0, 0, 0)


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
