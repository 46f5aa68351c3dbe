"""What every operation of the workbench is: a generator that tells how far it is and returns what it has written.

Closing the generator (a person cancels, a program ends) leaves nothing behind: files are written under a temporary name
and get their own at the very end.
"""
from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far an operation is.

    Attributes:
        done, total: units (layers, tensors or files). what: what is being done, such as "Decomposing".
    """

    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Outcome:
    """What an operation has come to.

    Attributes:
        file: the file that was written; None where nothing is.
        facts: numbers of the result, ready for JSON.
        rows: a table by block or file, ready for JSON: each row has the same keys; may be empty.
        notes: sentences for the person.
    """

    file: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Returns all of it, ready for JSON."""
        return {"file": str(self.file) if self.file else "", **self.facts, "rows": self.rows, "notes": self.notes}


Operation = Generator[Progress, None, Outcome]
"""Yields progress, returns the outcome; raises UserError for what the person can mend."""


class Cancelled(Exception):
    """The person ended an operation; nothing half done is left (of a folder, the files that are done stay)."""


def finish(
    operation: Operation, shown: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Runs an operation to its end.

    Args:
        operation: what to do.
        shown: told of every progress. cancelled: asked after it.

    Raises:
        Cancelled: it said so. UserError: the operation failed.
    """
    try:
        while True:
            shown(next(operation))
            if cancelled():
                raise Cancelled
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    finally:
        operation.close()
