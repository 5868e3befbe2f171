#!/usr/bin/env python3
"""Makes the manual pages: make-pages.py PROGRAM VERSION FOLDER SOURCE...

Each SOURCE, man/NAME.mdoc, becomes FOLDER/NAME.1. It holds the date and, in mdoc(7), what follows the description that
the program gives of the command itself; title, name, synopsis and that description are put before it. The lines
@OPTIONS@, @EXIT-STATUS@ and @COMMANDS@ in it stand for what the program says in --help. Between `.Bd -literal` and `.Ed`
text stands as it is on a terminal, without any escapes.
"""

import re
import sys
from pathlib import Path

import helptext

TERM = re.compile(r"^  (?P<term>\S+) +(?P<text>\S.*)$")


def escape(text):
    """@text as it is read, where mdoc would see a request, an escape or a typographic hyphen; ASCII."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"[^\x00-\x7f]", lambda match: f"\\[u{ord(match[0]):04X}]", text)
    return "\\&" + text if text.startswith((".", "'")) else text


def format_sentences(text):
    """mdoc wants each on a line of its own."""
    return [escape(sentence) for sentence in re.split(r"(?<=[.?!]) +(?=[A-Z-])", " ".join(text.split()))]


def format_paragraph(paragraph):
    """A paragraph of --help, or a table of words and what they mean."""
    lines = paragraph.splitlines()
    if not TERM.match(lines[0]):
        return [".Pp", *format_sentences(paragraph)]
    page = [".Bl -tag -width Ds"]
    for line in lines:
        row = TERM.match(line)
        page += [f".It {escape(row['term'])}", escape(row["text"])] if row else [escape(line.strip())]
    return [*page, ".El"]


def format_option(option):
    value = option.value.strip("[=]")
    argument = f" Ar {escape(value)}" if value else ""
    long = f"Fl {escape(option.name[1:])}"
    if option.value.startswith("["):
        long += f" Ns Op = Ns{argument}"
    else:
        long += argument
    short = f"Fl {option.letter[1:]}{argument} , " if option.letter else ""
    return [f".It {short}{long}", escape(option.help)]


def format_options(options):
    return [".Bl -tag -width Ds", *(line for option in options for line in format_option(option)), ".El"]


def format_own_options(command, common):
    shared = {option.name for option in common}
    own = [option for option in command.options if option.name not in shared]
    page = [".Sh OPTIONS"]
    if own:
        page += format_options(own)
    return [
        *page,
        ".Ss Of every command",
        *format_options([option for option in command.options if option.name in shared]),
    ]


def format_exit_status(command):
    """3 is for what some option makes it for; that option's help says so."""
    page = [
        ".Sh EXIT STATUS",
        ".Bl -tag -width Ds",
        ".It 0",
        "The question was answered.",
        "Finding something bad is an answer.",
        ".It 1",
        "It could not be answered; one line on standard error says why, and what to try.",
        ".It 2",
        "Wrong usage.",
    ]
    for option in command.options:
        limit = re.match(r"exit status 3 (.*)", option.help)
        if limit is not None:
            page += [".It 3", escape(limit[1][0].upper() + limit[1][1:]) + ", with", f".Fl {escape(option.name[1:])} ."]
    return [*page, ".El"]


def format_commands(commands):
    page = [".Bl -tag -width Ds"]
    for command in commands:
        page += [f".It Xr postmalloc-{command.name} 1", *format_sentences(command.answers)]
    return [*page, ".El"]


def format_synopsis(name, usage):
    words = [f".Op Ar {word.strip('[]')}" if word.startswith("[") else f".Ar {word}" for word in usage.split()]
    return [f".Nm postmalloc Cm {name}", *words]


def format_head(name, version, day, what):
    return [
        day,
        f".Dt {name.upper()} 1",
        f".Os postmalloc {version}",
        ".Sh NAME",
        f".Nm {name}",
        f".Nd {escape(what.rstrip('.'))}",
    ]


def format_command_head(command):
    page = [".Sh SYNOPSIS", *format_synopsis(command.name, command.usage)]
    page += [".Sh DESCRIPTION", *format_sentences(command.answers)]
    for paragraph in command.details.rstrip().split("\n\n") if command.details else []:
        page += format_paragraph(paragraph)
    return page


def fill(source, markers):
    """The lines of @source, with each marker's lines in its place."""
    literal = False
    for line in source.splitlines():
        if literal and not line.startswith(".Ed"):
            yield escape(line)
            continue
        literal = line.startswith(".Bd -literal")
        yield from markers.get(line, [line])


def make_page(name, source, version, commands, common):
    day, _, rest = source.partition("\n")
    if name == "postmalloc":
        head = format_head(name, version, day, "tells where the memory of a dead program is, from its core")
        markers = {"@COMMANDS@": format_commands(commands), "@OPTIONS@": format_options(common)}
    else:
        command = next((command for command in commands if "postmalloc-" + command.name == name), None)
        if command is None:
            raise SystemExit(f"{name}: the program has no such command")
        head = format_head(name, version, day, command.answers) + format_command_head(command)
        markers = {"@OPTIONS@": format_own_options(command, common), "@EXIT-STATUS@": format_exit_status(command)}
    return "\n".join([*head, *fill(rest, markers), ""])


def main():
    program, version, folder, *sources = sys.argv[1:]
    commands, common = helptext.read_commands(program)
    for source in map(Path, sources):
        text = source.read_text("utf-8")
        page = make_page(source.stem, text, version, commands, common)
        (Path(folder) / f"{source.stem}.1").write_text(page, "ascii")


if __name__ == "__main__":
    main()
