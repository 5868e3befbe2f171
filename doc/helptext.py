"""What the program says of itself in --help, as tables: manual pages and completions are made of it, so that they cannot
say anything else. tests/docs holds this reading against what the program accepts."""

import re
import subprocess
from dataclasses import dataclass

ROW = re.compile(
    r"^ {2}(?:-(?P<letter>\w), |    )--(?P<name>[\w-]+)(?P<value> ?\[=\S+\]| [A-Z]+(?= )| [a-z]+(?:\|[a-z]+)+)? +(?P<help>\S.*)$"
)
COMMAND = re.compile(r"^ {2}(?P<name>[a-z]+) +(?P<answers>\S.*)$")


@dataclass
class Option:
    name: str  # with its dashes
    letter: str  # with its dash; "" where there is none
    value: str  # what --help calls its value, with "=" or "[=" before it where that is how it is given; "" for a flag
    help: str

    def choices(self):
        """The words that the value can be; [] where it is free."""
        if "|" in self.value:
            return self.value.strip("[=]").split("|")
        if self.value not in ("WHEN", "LIST"):
            return []
        return re.split(r", | or ", re.sub(r" \([^)]*\)", "", self.help))


@dataclass
class Command:
    name: str
    usage: str  # what follows its name
    answers: str
    details: str
    options: list


def ask(program, *words):
    return subprocess.run([program, *words], check=True, capture_output=True, encoding="utf-8").stdout


def read_options(text):
    """The rows of a list of options; what is indented further continues the row above it."""
    options = []
    for line in text.splitlines():
        row = ROW.match(line)
        if row is not None:
            letter = "-" + row["letter"] if row["letter"] else ""
            options.append(Option("--" + row["name"], letter, (row["value"] or "").strip(), row["help"]))
        elif line.startswith(" " * 12) and options:
            options[-1].help += " " + line.strip()
        else:
            raise SystemExit(f"--help has a line that is no option: {line!r}")
    return options


def read_command(program, name):
    usage, answers, *details, options = ask(program, name, "--help").split("\n\n")
    first, _, rows = options.partition("\n")
    if first != "options:":
        raise SystemExit(f"{name} --help does not end with its options")
    words = usage.splitlines()[0].removeprefix(f"usage: postmalloc {name}").strip()
    return Command(name, words, answers, "\n\n".join(details), read_options(rows))


def read_commands(program):
    """Every command, in the program's order, and the options that all of them have."""
    commands, _, rest = ask(program, "--help").partition("\ncommands:\n")[2].partition("\n\noptions of every command:\n")
    names = [COMMAND.match(line)["name"] for line in commands.splitlines()]
    return [read_command(program, name) for name in names], read_options(rest.partition("\n\n")[0])
