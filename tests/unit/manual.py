#!/usr/bin/env python3
"""The manual pages against the program; speaks TAP.

    manual.py PROGRAM PAGES MAKE-CORES        PAGES: the folder that they were made in

Every command has a page, and every option that its --help names is on it; what pages refer to exists; their examples are
command lines that the program takes; the keys that they name are those of its JSON; and they format without warnings.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Real cores cannot be had everywhere; these are always the same (tests/golden).
CORE = "leaky.core"
ARGUMENTS = {"show": ["555555559050"], "refs": ["555555559050"], "path": ["555555559070"]}
# Of other programs.
OTHERS_OPTIONS = {"g", "fsanitize"}
SIZES = {"schema", "structs", "sites"}


def run(*words, folder=None, **environment):
    return subprocess.run(
        list(map(str, words)),
        capture_output=True,
        cwd=folder,
        env=os.environ | environment,
        timeout=60,
        encoding="utf-8",
        check=False,
    )


def read_commands(program):
    rows = run(program, "--help").stdout.partition("\ncommands:\n")[2].partition("\n\n")[0]
    return [row.split()[0] for row in rows.splitlines()]


def check_commands(commands, pages):
    wanted = {"postmalloc", *(f"postmalloc-{command}" for command in commands)}
    for name in sorted(wanted ^ pages.keys()):
        yield f"{name} has no page: doc/man/{name}.mdoc, and its name in doc/meson.build" if name in wanted else (
            f"the page {name} is of no command"
        )


def check_options(program, commands, pages):
    known = {"-version", *OTHERS_OPTIONS}
    for command in commands:
        page = pages.get(f"postmalloc-{command}", "").replace("\\-", "-")
        rows = run(program, command, "--help").stdout.partition("\noptions:\n")[2]
        options = re.findall(r"^ {2}(?:-\w, |    )-(-[\w-]+)", rows, re.MULTILINE)
        known |= {*options, *re.findall(r"^ {2}-(\w), ", rows, re.MULTILINE)}
        if "-help" not in options:
            yield f"{command} --help does not list its options"
        for option in options:
            if not re.search(rf"^\.It (Fl \w.* , )?Fl {option}\b", page, re.MULTILINE):
                yield f"the page of {command} lacks -{option}"
    for name, page in pages.items():
        for option in set(re.findall(r"\bFl (\S+)", page.replace("\\-", "-"))) - known:
            yield f"{name} speaks of -{option}, which no command takes"


def check_references(pages):
    for name, page in pages.items():
        for other in re.findall(r"^\.?.*\bXr (postmalloc\S*) 1", page, re.MULTILINE):
            if other not in pages:
                yield f"{name} refers to {other}, which is no page"


def find_examples(page):
    """The command lines of a page, up to a pipe."""
    for block in re.findall(r"^\.Bd -literal$(.*?)^\.Ed$", page, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^\$ postmalloc (.*)$", block, re.MULTILINE):
            yield line.replace("\\-", "-").replace("\\e", "\\").partition(" | ")[0].partition("   #")[0]


def check_examples(program, pages):
    """Whoever pastes them is not told that such an option does not exist; the core is not there, which is status 1."""
    with tempfile.TemporaryDirectory() as folder:
        for name, page in pages.items():
            examples = list(find_examples(page))
            if not examples:
                yield f"{name} has no example"
            for example in examples:
                # The page's process may be somebody's; there is none of this number.
                example = re.sub(r"^(snapshot|.* -p) \d+", r"\1 2147483647", example)
                result = run(program, *shlex.split(example), folder=folder)
                if result.returncode != 1:
                    yield f"{name}: `postmalloc {example}` ends with {result.returncode}: {result.stderr.strip()}"


def read_keys(text):
    """'a, b{c}, d[]{e}' as {'a': {}, 'b': {'c': {}}, 'd': {'e': {}}}; words that are no keys end a line."""
    keys, stack = {}, []
    here = keys
    for token in re.findall(r"[a-z_]+(?:\[\])?|[{}]|\S", text):
        if token == "{":
            stack.append(here)
            here = last
        elif token == "}":
            here = stack.pop()
        elif re.match(r"[a-z_]", token):
            last = here.setdefault(token.removesuffix("[]"), {})
    return keys


def find_keys(page):
    block = re.search(r"^\.Sh JSON$\n\.Bd -literal$\n(.*?)^\.Ed$", page, re.MULTILINE | re.DOTALL)
    # "each {…}" and "as of …" are for people.
    return read_keys(re.sub(r"  +(each|as of) .*", "", block[1])) if block else None


def compare_keys(keys, values, where):
    """What of @keys none of the objects among @values has; arrays stand for what is in them."""
    objects = []
    for value in values:
        objects += value if isinstance(value, list) else [value]
    objects = [entry for entry in objects if isinstance(entry, dict)]
    for key, inner in keys.items() if objects else []:
        found = [entry[key] for entry in objects if key in entry]
        if found:
            yield from compare_keys(inner, found, f"{where}.{key}")
        else:
            yield f"{where}.{key}"


def ask_snapshot(program, folder):
    """Of a process that sleeps; None where it cannot be had here."""
    if shutil.which("gdb") is None:
        return None
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            return run(program, "snapshot", "--format", "json", "-o", "taken", process.pid, folder=folder).stdout
        finally:
            process.kill()


def ask(program, command, folder):
    """What @command prints as JSON, or None."""
    if command == "snapshot":
        return ask_snapshot(program, folder)
    options = ["--size", "20"] if command in SIZES else []
    words = [command, "--format", "json", *options, CORE, *ARGUMENTS.get(command, [])]
    return run(program, *words, folder=folder).stdout


def check_keys(program, make_cores, commands, pages):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([make_cores, folder], check=True)
        for command in commands:
            keys = find_keys(pages.get(f"postmalloc-{command}", ""))
            if not keys:
                yield f"the page of {command} does not say which keys its JSON has"
                continue
            printed = ask(program, command, folder)
            if printed is None:
                continue
            answer = json.loads(printed)
            if "data" in answer:
                yield from compare_keys(keys, [answer["data"]], f"{command} has no key data")
            elif answer["error"]["code"] != "permission":  # In some containers nothing may be traced.
                yield f"{command} does not answer: {answer['error']['text']}"


def check_format(tool, command, folder, environment):
    for page in sorted(folder.glob("*.1")):
        result = run(*command, page, **environment)
        # mandoc says what its own list of pages lacks, which is no fault of ours.
        said = [line for line in (result.stderr + result.stdout * (tool == "mandoc")).splitlines() if "mandoc.db" not in line]
        for line in said:
            yield f"{tool}: {line}"


FORMATTERS = {
    "mandoc": (["mandoc", "-Tlint", "-Wwarning"], {}),
    "man": (["man", "--warnings=w", "-P", "cat", "-l"], {"LC_ALL": "C.UTF-8", "MANWIDTH": "120", "MAN_DISABLE_SECCOMP": "1"}),
}


def main():
    program, folder, make_cores = (Path(argument).resolve() for argument in sys.argv[1:])
    pages = {file.stem: file.read_text("ascii") for file in sorted(folder.glob("*.1"))}
    commands = read_commands(program)
    checks = {
        "every command has a page": check_commands(commands, pages),
        "every option is on the page of its command": check_options(program, commands, pages),
        "pages refer to pages": check_references(pages),
        "examples are command lines": check_examples(program, pages),
        "the keys of JSON": check_keys(program, make_cores, commands, pages),
    }
    for tool, (command, environment) in FORMATTERS.items():
        missing = shutil.which(tool) is None
        checks[f"formatted by {tool}"] = None if missing else check_format(tool, command, folder, environment)
    print(f"1..{len(checks)}")
    for number, (name, complaints) in enumerate(checks.items(), 1):
        if complaints is None:
            print(f"ok {number} - {name} # SKIP it is not here")
            continue
        found = list(complaints)
        for complaint in found:
            print(f"# {complaint}")
        print(f"{'not ok' if found else 'ok'} {number} - {name}")


if __name__ == "__main__":
    main()
