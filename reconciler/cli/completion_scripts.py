"""Completion scripts, made from the table of commands: fixed words stand in the script, names are asked of the daemon.

*Source*: the manuals of bash (Programmable Completion), zsh (zshcompsys) and fish (complete).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from reconciler.cli.command_table import FILES, CommandRow, OperandRow, OptionRow, Place

Table = Sequence[CommandRow]

# zsh has special parameters named options and commands: neither may be a variable of these scripts.
_WALK = """\
    local word command='' switches='' operands='' kind='' settings='' seen=0
    local -a found
"""


def script_of(shell: str, table: Table) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](table)


def _kind(place: Place) -> str:
    """A place as one word of a script: ``:a,b`` for fixed words, a meaning, or ``-`` for anything."""
    if place.words:
        return ":" + ",".join(place.words)
    return place.meaning or "-"


def _operand(operand: OperandRow) -> str:
    return _kind(operand.place) + ("+" if operand.repeats else "")


def _data(table: Table) -> Iterator[str]:
    """Shell ``case`` arms that bash and zsh both read: options and operands of each command, kinds of options' values."""
    yield "_gitvirt_command() {"
    yield '    case "$1" in'
    for row in table:
        options = " ".join(name for option in row.options for name in option.names)
        operands = ":" + ",".join(row.commands) if row.commands else " ".join(map(_operand, row.operands))
        yield f"        {shlex.quote(row.path)}) switches={shlex.quote(options)} operands={shlex.quote(operands)} ;;"
    yield "        *) return 1 ;;"
    yield "    esac"
    yield "}"
    yield "_gitvirt_value() {"
    yield '    case "$1:$2" in'
    for row in table:
        for option in row.options:
            if option.value is not None:
                pattern = "|".join(f"{'*' if not row.path else shlex.quote(row.path)}:{name}" for name in option.names)
                yield f"        {pattern}) kind={shlex.quote(_kind(option.value))} ;;"
    yield "        *) kind=''; return 1 ;;"
    yield "    esac"
    yield "}"


_WALKING = """\
        if _gitvirt_value "$command" "$word"; then
            [[ $word == --settings ]] && settings=$next
            skip=1
        elif [[ $word == -* ]]; then
            :
        elif _gitvirt_command "${command:+$command }$word"; then
            command=${command:+$command }$word
            seen=0
        else
            _gitvirt_command "$command"
            ((seen++))
        fi
"""
"""One word before the cursor: an option, which may take the next word; a command; or an operand."""

_WANTED = """\
    for word in ${=operands}; do
        kind=${word%+}
        [[ $seen == 0 || $word == *+ ]] && break
        ((seen--))
        kind='-'
    done
"""


def _bash(table: Table) -> str:
    lines = [
        "# bash completion for gitvirt, made by `gitvirt completion bash`",
        *_data(table),
        "_gitvirt() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} index skip=0 next",
        _WALK.replace("    local -a found\n", "").rstrip("\n"),
        "    COMPREPLY=()",
        "    _gitvirt_command ''",
        "    for ((index = 1; index < COMP_CWORD; index++)); do",
        "        if ((skip)); then skip=0; continue; fi",
        "        word=${COMP_WORDS[index]} next=${COMP_WORDS[index + 1]}",
        _WALKING.rstrip("\n"),
        "    done",
        '    if ((skip)); then _gitvirt_value "$command" "$word"',
        "    elif [[ $current == -* ]]; then",
        "        _gitvirt_command \"$command\"; local own=$switches; _gitvirt_command ''",
        '        COMPREPLY=($(compgen -W "$own $switches" -- "$current"))',
        "        return",
        "    else",
        '    _gitvirt_command "$command"',
        _WANTED.replace("${=operands}", "$operands").rstrip("\n"),
        "    fi",
        "    case $kind in",
        f'        {FILES}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;',
        '        :*) COMPREPLY=($(compgen -W "${kind//[:,]/ }" -- "$current")) ;;',
        "        -|'') ;;",
        '        *) COMPREPLY=($(compgen -W "$(gitvirt __names "$kind" $settings 2>/dev/null)" -- "$current")) ;;',
        "    esac",
        "}",
        "complete -F _gitvirt gitvirt",
    ]
    return "\n".join(lines) + "\n"


def _zsh(table: Table) -> str:
    described = [f"{name}:{_row(table, name).summary}" for name in table[0].commands]
    lines = [
        "#compdef gitvirt",
        "# zsh completion for gitvirt, made by `gitvirt completion zsh`",
        *_data(table),
        "_gitvirt() {",
        "    local index skip=0 next",
        _WALK.rstrip("\n"),
        f"    local -a described=({' '.join(map(shlex.quote, described))})",
        "    _gitvirt_command ''",
        "    for ((index = 2; index < CURRENT; index++)); do",
        "        if ((skip)); then skip=0; continue; fi",
        "        word=$words[index] next=$words[index+1]",
        _WALKING.rstrip("\n"),
        "    done",
        '    if ((skip)); then _gitvirt_value "$command" "$word"',
        "    elif [[ $words[CURRENT] == -* ]]; then",
        "        _gitvirt_command \"$command\"; found=(${=switches}); _gitvirt_command ''; found+=(${=switches})",
        "        compadd -a found",
        "        return",
        "    elif [[ -z $command ]]; then _describe command described; return",
        "    else",
        '    _gitvirt_command "$command"',
        _WANTED.rstrip("\n"),
        "    fi",
        "    case $kind in",
        f"        {FILES}) _files ;;",
        "        :*) found=(${(s:,:)kind#:}); compadd -a found ;;",
        "        -|'') ;;",
        '        *) found=(${(f)"$(gitvirt __names $kind $settings 2>/dev/null)"}); compadd -a found ;;',
        "    esac",
        "}",
        'if [[ $funcstack[1] == _gitvirt ]]; then _gitvirt "$@"; else compdef _gitvirt gitvirt; fi',
    ]
    return "\n".join(lines) + "\n"


def _row(table: Table, path: str) -> CommandRow:
    return next(row for row in table if row.path == path)


def _fish(table: Table) -> str:
    valued = sorted(
        {name for row in table for option in row.options if option.value is not None for name in option.names}
    )
    paths = [row.path for row in table if row.path]
    lines = [
        "# fish completion for gitvirt, made by `gitvirt completion fish`",
        "function __gitvirt_at --description 'whether the cursor is at operand N (or any) of a command'",
        "    set -l command ''",
        "    set -l seen 0",
        "    set -l skip 0",
        "    for word in (commandline -opc)[2..]",
        "        if test $skip = 1; set skip 0; continue; end",
        f"        if contains -- $word {' '.join(valued)}; set skip 1; continue; end",
        "        if string match -q -- '-*' $word; continue; end",
        '        set -l longer (string trim -- "$command $word")',
        f"        if contains -- $longer {' '.join(map(shlex.quote, paths))}",
        "            set command $longer; set seen 0",
        "        else",
        "            set seen (math $seen + 1)",
        "        end",
        "    end",
        '    test "$command" = "$argv[1]"; or return 1',
        "    test (count $argv) -lt 2; and return 0",
        "    test $seen -ge $argv[2]; and test $seen -le $argv[3]",
        "end",
        "complete -c gitvirt -f",
    ]
    for row in table:
        lines += _fish_command(table, row)
    return "\n".join(lines) + "\n"


def _fish_command(table: Table, row: CommandRow) -> Iterator[str]:
    here = shlex.quote(row.path)
    for name in row.commands:
        summary = _row(table, f"{row.path} {name}".strip()).summary
        condition = shlex.quote(f"__gitvirt_at {here} 0 0")
        yield f"complete -c gitvirt -n {condition} -a {name} -d {shlex.quote(summary)}"
    condition = "" if not row.path else f" -n {shlex.quote(f'__gitvirt_at {here}')}"
    for option in row.options:
        yield f"complete -c gitvirt{condition}{_fish_option(option)}"
    for index, operand in enumerate(row.operands):
        last = 1000 if operand.repeats else index
        offered = _fish_offer(operand.place)
        if offered:
            condition = shlex.quote(f"__gitvirt_at {here} {index} {last}")
            yield f"complete -c gitvirt -n {condition}{offered}"


def _fish_option(option: OptionRow) -> str:
    names = "".join(
        f" -l {n[2:]}" if n.startswith("--") else f" -s {n[1:]}" for n in option.names if n != "-detailed-exitcode"
    )
    value = (
        "" if option.value is None else f" {'-r' if option.value.meaning == FILES else '-x'}{_fish_offer(option.value)}"
    )
    return f"{names}{value} -d {shlex.quote(option.help)}"


def _fish_name(name: str) -> str:
    """A long option, one letter, or a long one behind a single dash."""
    return f" -l {name[2:]}" if name.startswith("--") else f" -{'s' if len(name) == 2 else 'o'} {name[1:]}"


def _fish_offer(place: Place) -> str:
    if place.words:
        return f" -a {shlex.quote(' '.join(place.words))}"
    if place.meaning == FILES:
        return " -F"
    return f" -a {shlex.quote(f'(gitvirt __names {place.meaning} 2>/dev/null)')}" if place.meaning else ""
