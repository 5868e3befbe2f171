#!/usr/bin/env python3
"""Makes the completions for bash and zsh: make-completions.py PROGRAM TEMPLATE OUTPUT

They are made when the program is built, not asked for at run time: a key press starts no program, and what is installed
beside the program is of the same version.
"""

import shlex
import sys
from pathlib import Path

import helptext

# Placeholders of --help, and of usages, that a shell can fill in.
KINDS = {"FILE": "file", "CORE": "file", "DIR": "directory", "PID": "pid"}
ZSH_ACTIONS = {"file": "_files", "directory": "_files -/", "pid": "_postmalloc_pids", "-": " "}


def get_kind(option):
    """Nothing for a flag; "-" for a value that only the user knows."""
    if not option.value:
        return ""
    return " ".join(option.choices()) or KINDS.get(option.value.strip("[=]"), "-")


def get_operand(command):
    """The kind of what stands first behind the command: a core as a rule."""
    return KINDS.get(next((word for word in command.usage.split() if not word.startswith("[")), ""), "-")


def spell(option):
    return [name for name in (option.letter, option.name) if name]


def fill_bash(commands, common):
    every = {option.name: option for command in commands for option in command.options}.values()
    named = {command.name: command.options for command in commands}
    names = {name: " ".join(word for option in options for word in spell(option)) for name, options in named.items()}
    general = " ".join(word for option in common for word in spell(option)) + " --version"
    kinds = {}
    for option in every:
        # An optional value stands behind "=" alone; the word behind is something else.
        if option.value and not option.value.startswith("["):
            kinds.setdefault(get_kind(option), []).extend(spell(option))
    lists = [option.name for option in every if option.value == "LIST"]
    sources = [word for option in common if "in place of CORE" in option.help for word in spell(option)]
    operands = [(command.name, get_operand(command)) for command in commands]
    return {
        "@OPTIONS@": [f"    {name}) echo {shlex.quote(words)} ;;" for name, words in names.items()]
        + [f"    *) echo {shlex.quote(general)} ;;"],
        "@VALUES@": [f"    {' | '.join(options)}) echo {shlex.quote(kind)} ;;" for kind, options in kinds.items()],
        "@LISTS@": "    " + " | ".join(lists),
        "@SOURCES@": "        " + (" | ".join(sources) or "''"),
        "@COMMANDS@": " ".join(named),
        "@OPERANDS@": [
            f"        {name}) _postmalloc_complete_value {kind} '' \"$word\" ;;" for name, kind in operands if kind != "file"
        ],
    }


def escape_zsh(text):
    return "".join("\\" + letter if letter in "\\[]:" else letter for letter in text)


def write_zsh_option(option):
    """A specification of _arguments."""
    kind = get_kind(option)
    value = ""
    if kind:
        action = f"({kind})" if option.choices() else ZSH_ACTIONS[kind]
        action = f"_sequence compadd - {kind}" if option.value == "LIST" else action
        value = f":{option.value.strip('[=]')}:{action}"
    # --jobs 8 and --jobs=8; an optional value stands behind "=" alone.
    equals = "=" if kind else ""
    if option.value.startswith("["):
        equals, value = "=-", ":" + value
    others = f"({' '.join(spell(option))})" if option.letter else ""
    for name in spell(option):
        yield shlex.quote(f"{others}{name}{equals * name.startswith('--')}[{escape_zsh(option.help)}]{value}")


def fill_zsh(commands, common):
    shared = {option.name for option in common}
    cases = []
    for command in commands:
        # A command that opens no core has not all of those of every command.
        names = {option.name for option in command.options}
        general = "$common " if names >= shared else ""
        own = [
            spec
            for option in command.options
            if option.name not in shared or not general
            for spec in write_zsh_option(option)
        ]
        operands = [word for word in command.usage.split() if not word.startswith("[")]
        places = [shlex.quote(f":{word}:{ZSH_ACTIONS[KINDS.get(word, '-')]}") for word in operands]
        cases += [f"    {command.name})", f"        _arguments {general}\\"]
        cases += [f"            {spec} \\" for spec in [*own, *places]]
        cases += ["            && return", "        ;;"]
    return {
        "@COMMANDS@": [" " * 8 + shlex.quote(f"{command.name}:{command.answers}") for command in commands],
        "@COMMON@": [" " * 8 + spec for option in common for spec in write_zsh_option(option)],
        "@CASES@": cases,
    }


def main():
    program, template, output = sys.argv[1:]
    text = Path(template).read_text("utf-8")
    fill = fill_zsh if ".zsh" in Path(template).name else fill_bash
    for marker, filling in fill(*helptext.read_commands(program)).items():
        text = text.replace(marker, filling if isinstance(filling, str) else "\n".join(filling))
    Path(output).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
