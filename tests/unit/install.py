#!/usr/bin/env python3
"""What `meson install` puts in place, into a temporary folder, and that uninstalling takes it away; speaks TAP.

    install.py SOURCES BUILD
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def run(*words, folder):
    result = subprocess.run(
        list(map(str, words)), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    if result.returncode:
        print("\n".join(f"# {line}" for line in result.stdout.splitlines()))
    return result.returncode == 0


def read_options(meson, build):
    text = subprocess.run([meson, "introspect", "--buildoptions", build], check=True, capture_output=True).stdout
    return {option["name"]: option["value"] for option in json.loads(text)}


def list_wanted(options, sources):
    data = Path(options["datadir"])
    pages = [page.stem for page in (sources / "doc/man").glob("*.mdoc")]
    return {
        Path(options["bindir"], "postmalloc"),
        *(Path(options["mandir"], "man1", f"{page}.1") for page in pages),
        data / "bash-completion/completions/postmalloc",
        data / "zsh/site-functions/_postmalloc",
        data / "doc/postmalloc/LICENSE",
        data / "doc/postmalloc/README.md",
    }


def list_installed(root, prefix):
    top = root / Path(prefix).relative_to("/")
    for path in root.rglob("*"):
        if not path.is_dir():
            yield path.relative_to(top) if path.is_relative_to(top) else path


def print_result(number, name, difference):
    for path in sorted(difference):
        print(f"# {path}")
    print(f"{'not ok' if difference else 'ok'} {number} - {name}")


def main():
    sources, build = map(Path, sys.argv[1:])
    meson = shutil.which("meson")
    if meson is None:
        print("1..0 # SKIP meson is not in PATH")
        return
    options = read_options(meson, build)
    print("1..2")
    log = build / "meson-logs/install-log.txt"
    # It is what `ninja uninstall` goes by, for an installation of the user's.
    before = log.read_bytes() if log.exists() else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            if not run(meson, "install", "--no-rebuild", "--destdir", root, "-C", build, folder=root):
                print("Bail out! meson install failed")
                return
            installed = set(list_installed(root, options["prefix"]))
            print_result(1, "everything is in place", installed ^ list_wanted(options, sources))
            done = run(meson, "--internal", "uninstall", folder=build)
            left = set(list_installed(root, options["prefix"]))
            print_result(2, "uninstalling leaves nothing", left | (set() if done else {"uninstall failed"}))
    finally:
        if before is None:
            log.unlink(missing_ok=True)
        else:
            log.write_bytes(before)


if __name__ == "__main__":
    main()
