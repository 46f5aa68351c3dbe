"""An operation's form: what it asks for, read from the values of any face.

The command line makes its options of a form, the API reads JSON by it, the tab draws its controls from it; so all three
know the same words, limits and defaults. Reading tells every fault at once and turns names into files.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora.finding import SUFFIX
from lib_trainer.workbench.forms import reading, words
from lib_trainer.workbench.forms.asked import Asked
from lib_trainer.workbench.forms.places import Places
from lib_trainer.workbench.operation import Operation
from lib_trainer.workbench.tasks import Files

Values = Mapping[str, Any]
"""Read values by field name: files as Path, numbers as numbers."""


@dataclass(frozen=True)
class Field:
    """One thing that an operation asks for.

    Attributes:
        name: of the value in the API and, with dashes, of the option.
        kind: a key of `reading.KINDS`, which says what it is and how it is read.
        label, help: what the tab shows. cli: what the command line says of it; "" = `help`.
        metavar: what stands for the value in the command line's help; "" = by the kind.
        default: used when nothing is given; None with `required` = there is none.
        required: whether it must be given.
        choices: words -> what the tab calls them.
        least, most: limits of a number, both allowed.
        fold: the fold of the tab in which it stands; "" = on the first view.
        only: (name of another field, its values) for which alone this one means something; None = always.
        positional: whether the command line takes it without an option's name.
        rows: with how many lines the tab begins (sources).
    """

    name: str
    kind: str
    label: str
    help: str
    default: Any = None
    required: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    least: float | None = None
    most: float | None = None
    fold: str = ""
    only: tuple[str, tuple[str, ...]] | None = None
    positional: bool = False
    rows: int = 0
    cli: str = ""
    metavar: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns what the tab draws the control from."""
        return {"name": self.name, "kind": self.kind, "label": self.label, "help": self.help, "default": self.default,
                "choices": dict(self.choices), "least": self.least, "most": self.most, "fold": self.fold,
                "rows": self.rows,
                "only": {"name": self.only[0], "values": self.only[1]} if self.only else None}


@dataclass(frozen=True)
class Form:
    """One operation.

    Attributes:
        name: its word in the API and on the command line.
        title: of its tab. button: what its button says. summary: one sentence about it.
        fields: in the tab's order.
        begin: makes the operation of read values.
        cli: what the command does, as an order. examples: what one writes behind `lora` on the command line.
        instant: whether it only reads and is done at once, so that it may run beside another one.
    """

    name: str
    title: str
    button: str
    summary: str
    fields: tuple[Field, ...]
    begin: Callable[[Values, Places], Operation]
    cli: str
    examples: tuple[str, ...]
    instant: bool = False

    def read(self, given: Mapping[str, Any], places: Places) -> dict[str, Any]:
        """Returns the values, defaults included, with names turned into files.

        Raises:
            Problems: all that is wrong, each sentence with the field's name and value.
        """
        faults = [f"{places.words.stranger(name)} = {value!r}: '{self.title}' asks for no such thing; it knows "
                  f"{', '.join(places.words.field(field) for field in self.fields)}."
                  for name, value in given.items() if name not in {field.name for field in self.fields}]
        values: dict[str, Any] = {}
        for one in self.fields:
            try:
                values[one.name] = self._value(one, given, places)
            except Problems as error:
                faults += error.problems
            except UserError as error:
                faults.append(str(error))
        if faults:
            raise Problems(faults)
        return values

    def _value(self, asked: Field, given: Mapping[str, Any], places: Places) -> object:
        value, called = given.get(asked.name), places.words.field(asked)
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "" or value == []:
            if asked.required and self._means_something(asked, given):
                raise UserError(f"{called} is empty. {asked.help}")
            return asked.default
        read = reading.KINDS[asked.kind](value, Asked(called, asked.choices), places)
        if isinstance(read, int | float) and not isinstance(read, bool):
            reading.within(read, called, asked.least, asked.most)
        return read

    def _means_something(self, asked: Field, given: Mapping[str, Any]) -> bool:
        """Whether the field it depends on has one of the values for which this one counts."""
        if asked.only is None:
            return True
        name, wanted = asked.only
        default = next(field.default for field in self.fields if field.name == name)
        value = given.get(name)
        return str(default if value is None else value) in wanted

    def operation(self, values: Values, places: Places) -> Operation:
        """Returns the operation for read values; its faults are told in the words of the face.

        Raises:
            UserError: the values contradict each other.
        """
        return words.told_in(places.words, {one.name: one for one in self.fields}, self.begin(values, places))

    def files(self, values: Values) -> Files:
        """Returns the names of the files that read values speak of; bases that only help are left out."""
        found: list[Path] = []
        for one in self.fields:
            if one.kind == "sources":
                found += [source.path for source in values[one.name]]
            elif one.required and one.kind in ("lora", "lora_or_folder", "checkpoint"):
                found.append(values[one.name])
        made = values.get("out")
        return Files(tuple(path.name.removesuffix(SUFFIX) for path in found),
                     Path(made).name.removesuffix(SUFFIX) if made else "")

    def to_json(self) -> dict[str, Any]:
        """Returns what the tab draws the form from."""
        return {"name": self.name, "title": self.title, "button": self.button, "summary": self.summary,
                "fields": [one.to_json() for one in self.fields]}
