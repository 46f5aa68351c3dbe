"""Commands as people paste them: bash (`\\` ends a line), PowerShell (a backtick) and cmd (`^`).

Words are split by the rules of the shell that the line ends show; without any, by whether paths are Windows'. Values
that were set in lines before (`NAME=x`, `$NAME = "x"`, `set NAME=x`) are put in.
"""
from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

BASH, POWERSHELL, CMD = "bash", "PowerShell", "cmd"

ENDINGS = {BASH: ".sh", POWERSHELL: ".ps1", CMD: ".bat"}
"""The shells, with the ending of a file of commands."""

_MARKS = {POWERSHELL: "`", CMD: "^", BASH: "\\"}
_ASSIGNMENT = re.compile(r"""^\s*(?:export\s+|set\s+"?|\$(?:env:)?)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*;?\s*$""", re.I)
_VARIABLE = re.compile(r"\$\{?(?:env:)?([A-Za-z_]\w*)\}?|%([A-Za-z_]\w*)%")


def kind_of(text: str) -> str:
    """Returns the shell that a text was written for."""
    for shell, mark in _MARKS.items():
        if re.search(rf"\s{re.escape(mark)}[ \t]*$", text, re.MULTILINE):
            return shell
    if re.search(r"^\s*\$\w+\s*=", text, re.MULTILINE):
        return POWERSHELL
    return CMD if re.search(r"(?:^|[\s\"'=])[A-Za-z]:\\|\.bat\b|%\w+%", text) else BASH


def lines(text: str, shell: str) -> list[str]:
    """Returns the commands, each on one line; a line that begins with `--` belongs to the one before."""
    joined = re.sub(rf"{re.escape(_MARKS[shell])}[ \t]*(?:\r?\n|$)", " ", text)
    found: list[str] = []
    for line in re.split(r"\r?\n", joined):
        if found and line.lstrip().startswith("--"):
            found[-1] += " " + line.strip()
        elif line.strip() and not re.match(r"\s*(#|::|rem\b)", line, re.I):
            found.append(line.strip())
    return found


def assignments(found: list[str]) -> dict[str, str]:
    """Returns the values that lines give to names."""
    pairs = [match.groups() for line in found if (match := _ASSIGNMENT.match(line))]
    return {name: value.strip("\"'") for name, value in pairs}


def words(line: str, shell: str) -> list[str]:
    """Splits a command into words.

    Raises:
        ValueError: a quotation mark is not closed.
    """
    if shell == BASH:
        return shlex.split(line, comments=True)
    return _windows_words(line, shell)


_WINDOWS_WORD = {
    POWERSHELL: re.compile(r"""(?:'(?:[^']|'')*'|"(?:`.|""|[^"`])*"|`.|[^ \t'"`])+""", re.DOTALL),
    CMD: re.compile(r"""(?:"[^"]*"|\^.|[^ \t"^])+""", re.DOTALL),
}
_WINDOWS_PIECE = {
    POWERSHELL: re.compile(r"""'((?:[^']|'')*)'|"((?:`.|""|[^"`])*)"|(`.|[^'"`]+)""", re.DOTALL),
    CMD: re.compile(r"""(?!)()|"([^"]*)"|(\^.|[^"^]+)""", re.DOTALL),
}


def _windows_words(line: str, shell: str) -> list[str]:
    """Splits where a backslash is only a backslash, and quotation marks may stand inside a word."""
    pattern = _WINDOWS_WORD[shell]
    if pattern.sub("", line).strip(" \t"):
        raise ValueError("No closing quotation")
    return ["".join(_bare(shell, *piece) for piece in _WINDOWS_PIECE[shell].findall(word))
            for word in pattern.findall(line)]


def _bare(shell: str, single: str, double: str, plain: str) -> str:
    """Returns a piece of a word without its marks."""
    if shell == CMD:
        return double or re.sub(r"\^(.)", r"\1", plain)
    return single.replace("''", "'") or re.sub(r"`(.)", r"\1", double).replace('""', '"') \
        or re.sub(r"`(.)", r"\1", plain)


def filled(word: str, known: Mapping[str, str]) -> str:
    """Returns a word with the values of names in it; names without a value stay."""
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], match[0]), word)


def unknown_names(word: str) -> list[str]:
    """Returns the names in a word that have no value."""
    return [match[0] for match in _VARIABLE.finditer(word)]


def quoted(word: str, shell: str) -> str:
    """Returns a word as the shell takes it whole."""
    if shell == BASH:
        return shlex.quote(word)
    if word and not re.search(r"[\s\"'`^&|<>%$;,(){}@#!]", word):
        return word
    return "'" + word.replace("'", "''") + "'" if shell == POWERSHELL else f'"{word}"'
