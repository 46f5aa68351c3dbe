"""Elemental rules: weights for parts of blocks, such as the attention layers of IN05 to OUT05.

The file is that of the LoRA Block Weight extension: entries with an empty line between them, each
`ID:blocks:elements:ratio` and, after commas or on further lines, more `blocks:elements:ratio` (see `rules`). Lines that
begin with `#` are comments; those above an entry are its hint. An entry with a mistake does not count and becomes a
problem with its line.
"""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.blocks.edited_file import EditedFile, Problem, created, fault_of, lines_of, read_text
from lib_trainer.blocks.rules import Rule, notes_on, read_inline, read_rule
from lib_trainer.blocks.values import PLACEHOLDERS, Unreadable, shortened
from lib_trainer.errors import UserError

SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "elempresets.txt"
"""The rules that a new file of rules starts with."""

@dataclass(frozen=True)
class Entry:
    """Rules with a name.

    Attributes:
        id: as written in the file. rules: in their order; the later wins. line: its first line in the file, from 1.
        hint: the comment lines directly above it, without their signs; "" = none.
        notes: sentences about rules that act but perhaps not as somebody expects.
    """

    id: str
    rules: tuple[Rule, ...]
    line: int
    hint: str = ""
    notes: tuple[str, ...] = ()


class Elements:
    """The elemental rules of one file.

    Attributes:
        entries: the entries that act, in the order of the file.
        problems: what is wrong with the file.
        text: the file as written.
    """

    def __init__(self, entries: Sequence[Entry], problems: Sequence[Problem], text: str) -> None:
        self.entries = tuple({entry.id: entry for entry in entries}.values())
        self.problems = tuple(problems)
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Elements:
        """Reads the text of a file of rules; nothing in it can fail."""
        entries: list[Entry] = []
        problems: list[Problem] = []
        for chunk in _chunks(text):
            _read_chunk(chunk, entries, problems)
        return cls(entries, problems, text)

    @classmethod
    def load(cls, path: Path) -> Elements:
        """Reads a file of rules.

        Raises:
            UserError: the file is absent or cannot be read.
        """
        return cls.parse(read_text(path, "file of elemental rules", "ID:IN05-OUT05:attn:0"))

    @classmethod
    def shipped(cls) -> Elements:
        """Reads the rules that come with the program."""
        return cls.load(SHIPPED)

    @property
    def names(self) -> list[str]:
        """The IDs of all entries, in the order of the file."""
        return [entry.id for entry in self.entries]

    def get(self, id: str) -> Entry | None:
        """Finds an entry by its exact ID, else without regard to upper and lower case."""
        wanted = id.strip()
        exact = [entry for entry in self.entries if entry.id == wanted]
        folded = [entry for entry in self.entries if entry.id.casefold() == wanted.casefold()]
        return (exact or folded)[-1] if folded else None

    def near(self, id: str) -> list[str]:
        """IDs that somebody may have meant, the nearest first (at most three)."""
        folded = {entry.id.casefold(): entry.id for entry in self.entries}
        return [folded[one] for one in difflib.get_close_matches(id.strip().casefold(), folded, 3)]

    def fault(self, id: str) -> str | None:
        """The sentence about lines that would have defined this entry, if there are some."""
        return fault_of(id, self.problems)


NO_ELEMENTS = Elements((), (), "")
"""Where no file of rules is at hand."""


class ElementsFile(EditedFile[Elements]):
    """A file of rules that may be edited while the program runs; written with the shipped rules when absent."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, read_or_create)


def read_or_create(path: Path) -> Elements:
    """Reads a file of rules; an absent one is first written with the shipped rules.

    Where the folder cannot be written, the shipped rules are returned, with a problem that says so.

    Raises:
        UserError: the file exists but cannot be read.
    """
    problem = created(path, SHIPPED, "elemental rules")
    if problem is None:
        return Elements.load(path)
    shipped = Elements.shipped()
    return Elements(shipped.entries, [problem], shipped.text)


def find_rules(text: str, elements: Elements) -> tuple[tuple[Rule, ...], list[str]]:
    """Finds the rules that a tag means: IDs, and rules as a tag has them, with commas between.

    Returns:
        the rules in their order, and sentences about them.

    Raises:
        UserError: an unknown ID or a mistake in a rule.
    """
    whole = elements.get(text)
    if whole is not None:
        return whole.rules, list(whole.notes)
    rules: list[Rule] = []
    notes: list[str] = []
    for item in (piece.strip() for piece in text.split(",")):
        entry = elements.get(item)
        try:
            found = entry.rules if entry else (_inline_or_unknown(item, elements),)
        except Unreadable as fault:
            raise UserError(f"The elemental rule '{shortened(item)}' cannot be read: {fault}.") from None
        rules += found
        notes += entry.notes if entry else notes_on(found[0], item.rpartition("@")[0].partition("/")[0])
    return tuple(rules), notes


def _inline_or_unknown(item: str, elements: Elements) -> Rule:
    if "@" in item or "/" in item:
        return read_inline(item)
    if not item:
        raise UserError("An elemental rule after 'lbwe=' is missing: write an ID or blocks/elements@ratio.")
    if item.upper() in PLACEHOLDERS and not elements.fault(item):
        raise UserError(f"'{shortened(item)}' is the place that a plot of elemental rules fills; where no plot is "
                        "drawn, it names no rule.")
    near, names = elements.near(item), elements.names
    advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names[:5])}." if names else (
        "the file of rules has none.")
    raise UserError(elements.fault(item) or f"Unknown elemental rule '{shortened(item)}': {advice}")


def _chunks(text: str) -> list[list[tuple[int, str]]]:
    """Cuts a file at its empty lines."""
    chunks: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(lines_of(text), start=1):
        if line.strip():
            chunks[-1].append((number, line.strip()))
        elif chunks[-1]:
            chunks.append([])
    return [chunk for chunk in chunks if chunk]


def _read_chunk(chunk: list[tuple[int, str]], entries: list[Entry], problems: list[Problem]) -> None:
    hints = [line.lstrip("# ").rstrip() for _, line in chunk if line.startswith("#")]
    lines = [(number, line) for number, line in chunk if not line.startswith("#")]
    if not lines:
        return
    (first, line), *more = lines
    name, colon, rest = (part.strip() for part in line.partition(":"))
    rules: list[tuple[Rule, list[str]]] = []
    faults: list[Problem] = []
    if not name or not colon or "\ufffd" in name:
        faults.append(_problem(first, name, line, _fault_of_name(name, colon)))
        rest, more = "", []
    for number, written in ((first, rest), *more):
        _read_line(number, name, written, rules, faults)
    if not rules and not faults:
        faults.append(_problem(first, name, line, "there is no rule after the ID."))
    problems += faults
    if not faults:
        _add(Entry(name, tuple(rule for rule, _ in rules), first, " ".join(hints),
                   tuple(note for _, notes in rules for note in notes)), entries, problems)


def _fault_of_name(name: str, colon: str) -> str:
    if not colon:
        return "write ID:blocks:elements:ratio, or begin a comment with #."
    return "the ID before the first colon is " + ("not UTF-8: save the file as UTF-8." if name else "missing.")


def _read_line(
    number: int, name: str, written: str, rules: list[tuple[Rule, list[str]]], faults: list[Problem]
) -> None:
    """Reads the rules of one line, each with the sentences about it."""
    for piece in filter(None, (piece.strip() for piece in written.split(","))):
        parts = piece.split(":")
        if len(parts) != 3:
            advice = " (an empty line must stand between two entries)" if len(parts) == 4 else ""
            faults.append(_problem(number, name, piece, "a rule has three parts, blocks:elements:ratio; got "
                                                        f"{len(parts)}{advice}."))
            continue
        try:
            rule = read_rule(*parts)
        except Unreadable as fault:
            faults.append(_problem(number, name, piece, f"{fault}."))
        else:
            rules.append((rule, notes_on(rule, parts[0])))


def _problem(number: int, name: str, written: str, fault: str) -> Problem:
    return Problem(number, name, f"Line {number} of the elemental rules, '{shortened(written)}': {fault}")


def _add(entry: Entry, entries: list[Entry], problems: list[Problem]) -> None:
    earlier = next((one.line for one in entries if one.id == entry.id), None)
    if earlier:
        problems.append(Problem(entry.line, entry.id,
                                f"Line {entry.line} of the elemental rules defines '{entry.id}' again: it acts "
                                f"instead of line {earlier}; remove one of them."))
    entries.append(entry)
    problems += [Problem(entry.line, entry.id, f"Line {entry.line} of the elemental rules: {note}")
                 for note in entry.notes]
