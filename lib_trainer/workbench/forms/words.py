"""What a field of a form is called where the person is: its label on the tab, its option on the command line.

Faults are told in these words, whoever finds them: the form, a check of what contradicts itself, or an operation that
finds out in the middle that something is not given (`Lacking`). Standard library only.
"""
from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Protocol, TypeVar

from lib_trainer.errors import Lacking, Problems

Y = TypeVar("Y")
R = TypeVar("R")

_METAVARS = {"whole": "N", "number": "X", "text": "TEXT", "lines": "TEXT", "sources": "LORA", "lora": "LORA",
             "checkpoint": "CHECKPOINT", "lora_or_folder": "LORA_OR_FOLDER"}


class Named(Protocol):
    """A field, as far as its names go (`form.Field`)."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def default(self) -> object: ...

    @property
    def choices(self) -> Mapping[str, str]: ...

    @property
    def fold(self) -> str: ...

    @property
    def positional(self) -> bool: ...

    @property
    def metavar(self) -> str: ...


class Words(Protocol):
    """How one face speaks of fields."""

    def field(self, asked: Named) -> str:
        """What a field is called."""

    def choice(self, asked: Named, word: str) -> str:
        """What it is called that one of its choices is taken."""

    def where(self, asked: Named) -> str:
        """Where the field is found, as a sentence in brackets."""

    def stranger(self, name: str) -> str:
        """What a value is called for which there is no field."""


class Labels:
    """The tab's words, and the API's."""

    def field(self, asked: Named) -> str:
        """The label."""
        return asked.label

    def choice(self, asked: Named, word: str) -> str:
        """Label and choice as they are shown."""
        return f"{asked.label} '{asked.choices[word]}'"

    def where(self, asked: Named) -> str:
        """Label and fold."""
        return f"(It is the field '{asked.label}'{f', below {asked.fold}' if asked.fold else ''}.)"

    def stranger(self, name: str) -> str:
        """The name that was sent."""
        return name


class Options:
    """The command line's words."""

    def field(self, asked: Named) -> str:
        """The option, or what stands for it in the usage line."""
        return metavar(asked) if asked.positional else self.stranger(asked.name)

    def choice(self, asked: Named, word: str) -> str:
        """As one writes it."""
        return f"{self.field(asked)} {word}"

    def where(self, asked: Named) -> str:
        """The option with what may follow."""
        words = [word for word in asked.choices if word != asked.default]
        return f"({self.field(asked)} {' or '.join(words) or metavar(asked)}.)"

    def stranger(self, name: str) -> str:
        """The option of that name."""
        return "--" + name.replace("_", "-")


LABELS, OPTIONS = Labels(), Options()


def metavar(asked: Named) -> str:
    """Returns what stands for a value in the command line's help."""
    return asked.metavar or _METAVARS.get(asked.kind, "FILE")


def told_in(words: Words, fields: Mapping[str, Named], operation: Generator[Y, None, R]) -> Generator[Y, None, R]:
    """Runs an operation; where it lacks a field's value, says where the field is.

    Args:
        words: of the face. fields: of the operation's form, by name. operation: any generator.

    Raises:
        UserError: as the operation.
    """
    try:
        return (yield from operation)
    except Lacking as error:
        where = words.where(fields[error.field]) if error.field in fields else ""
        raise Problems(f"{sentence} {where}".rstrip() for sentence in error.problems) from error
