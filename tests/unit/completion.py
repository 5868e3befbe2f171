#!/usr/bin/env python3
"""The completions in real shells, and against what the program accepts; speaks TAP.

    completion.py PROGRAM BASH-COMPLETION ZSH-COMPLETION

bash runs the function that is loaded; zsh is typed to on a terminal, and tells what it was given to choose from.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 30
REACHES = "lost leak-root leak-cycle leak-indirect reachable reachable-interior reachable-weak".split()
STATES = "used tcache fastbin bin top runtime".split()

# A line up to the cursor, and all that it can go on with. The folder holds "core" and the folder "corner".
CASES = {
    "postmalloc lea": ["leaks"],
    "postmalloc cor": ["core", "corner"],
    "postmalloc leaks cor": ["core", "corner"],
    "postmalloc leaks --fa": ["--fail-over"],
    "postmalloc core --uptime 90d --to": ["--top"],
    "postmalloc leaks --exe core --sysroot cor": ["corner"],
    "postmalloc leaks --format ": ["json", "text"],
    "postmalloc leaks --format=j": ["json"],
    "postmalloc leaks --format=": ["json", "text"],
    "postmalloc leaks --format=json cor": ["core", "corner"],
    "postmalloc leaks -q cor": ["core", "corner"],
    "postmalloc leaks --color ": ["always", "auto", "never"],
    "postmalloc strings --by ": ["bytes", "count"],
    "postmalloc chunks --state ": STATES,
    "postmalloc chunks --reach ": REACHES,
    "postmalloc chunks --reach lost,leak-c": ["leak-cycle"],
    "postmalloc show core ": [],
}

BASH = r"""
source "$1"
IFS=$' \t\n'
while IFS= read -r line; do
    # As readline parts a line.
    COMP_LINE=$line COMP_POINT=${#line}
    mapfile -t COMP_WORDS < <(grep -oE '=|[^ =]+' <<<"$line")
    [[ $line == *' ' ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _postmalloc postmalloc "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" || exit 1
    printf '%s\n' "${COMPREPLY[@]}" END
done
"""

# Matches are written down by a function in the place of compadd, and the end of it by a hook.
ZSH = r"""
PS1= PS2= RPS1=
zmodload zsh/zle
fpath=($COMPLETIONS $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a hits
        builtin compadd -A hits "$@"
        (( $#hits )) && print -rl -- $hits >>$HITS
    fi
    builtin compadd "$@"
}
capture() {
    comppostfuncs=(finish)
    zle complete-word
    zle kill-whole-line
}
finish() { print -r END >>$HITS }
zle -N capture
bindkey '^I' capture
setopt no_beep no_list_beep
zstyle ':completion:*' list-prompt ''
zstyle ':completion:*' menu no
print READY >>$HITS
"""


def read_help(program):
    """Every command with its options, as --help lists them."""
    rows = run(program, "--help").stdout.partition("\ncommands:\n")[2].partition("\n\n")[0]
    commands = {}
    for name in [row.split()[0] for row in rows.splitlines()]:
        text = run(program, name, "--help").stdout.partition("\noptions:\n")[2]
        found = re.findall(r"^ {2}(?:(-\w), |    )(--[\w-]+)", text, re.MULTILINE)
        commands[name] = [word for names in found for word in names if word]
    return commands


def run(*words, **keywords):
    return subprocess.run(
        list(map(str, words)), capture_output=True, encoding="utf-8", timeout=SECONDS, check=False, **keywords
    )


def ask_bash(completion, lines, folder):
    script = folder / "ask.bash"
    script.write_text(BASH)
    words = ["bash", "--norc", script, completion]
    result = run(*words, input="".join(line + "\n" for line in lines), cwd=folder / "work")
    if result.returncode or result.stderr:
        raise SystemExit(f"Bail out! bash: {result.stderr}")
    answers = [answer.split() for answer in result.stdout.split("END\n")[:-1]]
    return dict(zip(lines, answers, strict=True))


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self, completion, folder):
        functions = folder / "functions"
        functions.mkdir()
        shutil.copy(completion, functions / "_postmalloc")
        (folder / ".zshrc").write_text(ZSH)
        self.hits = folder / "hits"
        environment = {
            "PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8", "HOME": str(folder), "ZDOTDIR": str(folder),
            "COMPLETIONS": str(functions), "HITS": str(self.hits),
        }  # fmt: skip
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder / "work")
            os.execvpe("zsh", ["zsh", "-d", "-i"], environment)
        self.said = b""
        self.wait("READY\n")

    def wait(self, end):
        """What was written down until @end."""
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit:
            if select.select([self.terminal], [], [], 0.02)[0]:
                self.said += os.read(self.terminal, 65536)
            text = self.hits.read_text("utf-8") if self.hits.exists() else ""
            if text.endswith(end):
                self.hits.write_text("")
                return text.removesuffix(end)
        raise SystemExit(f"Bail out! zsh does not answer: {self.said[-500:]!r}")

    def ask(self, line):
        os.write(self.terminal, line.encode() + b"\t")
        return self.wait("END\n").split()

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.child, 0)


def ask_zsh(completion, lines, folder):
    shell = Zsh(completion, folder)
    try:
        return {line: shell.ask(line) for line in lines}
    finally:
        shell.close()


def strip(words):
    """bash gives back all of a list with commas and of --format=json, zsh the last word of it; folders with a slash."""
    return sorted({re.split(r"[,=]", word)[-1].rstrip("/") for word in words})


def check_shell(answers, commands):
    for line, wanted in CASES.items():
        if strip(answers[line]) != sorted(wanted):
            yield f"`{line}` gives {answers[line]}, not {sorted(wanted)}"
    for name, options in commands.items():
        line = f"postmalloc {name} -"
        if sorted(set(answers[line])) != sorted(options):
            yield f"`{line}` gives {sorted(answers[line])}, not {sorted(options)}"
    if "snapshot" in commands and str(os.getpid()) not in answers[f"postmalloc snapshot {os.getpid()}"]:
        yield "snapshot lacks the number of a process that runs"
    missing = commands.keys() - set(answers["postmalloc "])
    if missing:
        yield f"lacks the commands {sorted(missing)}"


def check_values(program, answers):
    """The program says which words an option takes when it is given another one."""
    for line in CASES:
        words = line.split()[1:]
        if not line.endswith(" ") or not words[-1].startswith("--"):
            continue
        said = run(program, *words, "no-such-word", "core").stderr
        listed = re.search(r"is none of (.*?)(;|$)", said)
        if listed is None or sorted(listed[1].split(", ")) != strip(answers[line]):
            yield f"`{line}` gives {strip(answers[line])}; {said.strip()}"


def report(number, name, complaints):
    complaints = list(complaints)
    for complaint in complaints:
        print(f"# {complaint}")
    print(f"{'not ok' if complaints else 'ok'} {number} - {name}", flush=True)


def main():
    program, bash, zsh = (Path(argument).resolve() for argument in sys.argv[1:])
    commands = read_help(program)
    lines = [*CASES, "postmalloc ", f"postmalloc snapshot {os.getpid()}", *(f"postmalloc {name} -" for name in commands)]
    print("1..3")
    with tempfile.TemporaryDirectory(prefix="postmalloc-completion-") as name:
        folder = Path(name)
        (folder / "work/corner").mkdir(parents=True)
        (folder / "work/core").touch()
        if shutil.which("bash") is None:
            print("ok 1 - bash # SKIP it is not here\nok 2 - values # SKIP bash is not here")
        else:
            answers = ask_bash(bash, lines, folder)
            report(1, "bash", check_shell(answers, commands))
            report(2, "values", check_values(program, answers))
        if shutil.which("zsh") is None:
            print("ok 3 - zsh # SKIP it is not here")
        else:
            report(3, "zsh", check_shell(ask_zsh(zsh, lines, folder), commands))


if __name__ == "__main__":
    main()
