#!/usr/bin/env python3
"""What a user sees, byte for byte, on cores that are always the same; speaks TAP.

    golden.py [--update] --postmalloc EXE --make-cores EXE

Each file NAME.txt in expected/ holds the command lines of one case, and below each what it printed: standard output,
then standard error where there was any, then the exit status where it was not 0. --update writes what is printed now
(or `POSTMALLOC_UPDATE_GOLDEN=1 meson test golden`); read the diff before committing it.
"""

import argparse
import difflib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

EXPECTED = Path(__file__).parent / "expected"
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "TERM": "dumb", "G_DEBUG": "fatal-criticals"}
SECONDS = 60


def run_command(executable, line, folder):
    """What @line prints, in the form of the expected files."""
    words = shlex.split(line)
    result = subprocess.run(
        [executable, *words[1:]], cwd=folder, env=ENVIRONMENT, capture_output=True, timeout=SECONDS, check=False
    )
    parts = [f"$ {line}\n", result.stdout.decode()]
    if result.stderr:
        parts += ["--- standard error\n", result.stderr.decode()]
    if result.returncode:
        parts += [f"--- status {result.returncode}\n"]
    return "".join(parts)


def run_case(executable, text, folder):
    lines = [line[2:] for line in text.splitlines() if line.startswith("$ postmalloc")]
    return "\n".join(run_command(executable, line, folder) for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", default="POSTMALLOC_UPDATE_GOLDEN" in os.environ)
    parser.add_argument("--postmalloc", required=True, type=os.path.abspath)
    parser.add_argument("--make-cores", required=True, type=os.path.abspath)
    arguments = parser.parse_args()
    files = sorted(EXPECTED.glob("*.txt"))
    print(f"1..{len(files)}")
    with tempfile.TemporaryDirectory(prefix="postmalloc-golden-") as folder:
        subprocess.run([arguments.make_cores, folder], check=True)
        for number, file in enumerate(files, 1):
            expected = file.read_text("utf-8")
            actual = run_case(arguments.postmalloc, expected, folder)
            if arguments.update:
                file.write_text(actual, "utf-8")
            elif actual != expected:
                print(f"not ok {number} - {file.stem}")
                difference = difflib.unified_diff(expected.splitlines(), actual.splitlines(), "expected", "printed")
                print("\n".join(f"# {line}" for line in difference))
                continue
            print(f"ok {number} - {file.stem}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
