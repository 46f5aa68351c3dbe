"""All LoRAs of a folder at a lower rank, file by file; one that fails is told and does not stop the others.

Nothing is overwritten: a file whose name is taken is left for another time, so a batch that was ended goes on where it
was when it is started again.
"""
from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora.finding import name_faults
from lib_trainer.workbench import resize
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.resize import ResizeOrder

_PARTS = 100
"""Units of progress for each file."""

_SHOWN = 20
"""Notes about files that are told in full."""


@dataclass(frozen=True)
class FolderOrder(ResizeOrder):
    """A folder of LoRAs that is to be resized; all else is as for one file.

    Attributes:
        source: the folder; it and its sub-folders are searched for `.safetensors` files.
        out: the folder where the new ones go, in sub-folders of the same names; may be `source` itself.
        suffix: put after every name.
    """

    suffix: str = ""

    def orders(self) -> list[ResizeOrder]:
        """Returns an order for each file; what a former run has made is no source."""
        alike: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(ResizeOrder)}
        return [ResizeOrder(**{**alike, "source": path, "out": self._target(path)})
                for path in sorted(self.source.rglob("*.safetensors"))
                if not path.name.startswith(".") and not self._is_result(path)]

    def _target(self, path: Path) -> Path:
        return self.out / path.relative_to(self.source).with_name(f"{path.stem}{self.suffix}.safetensors")

    def _is_result(self, path: Path) -> bool:
        """Whether a file looks as if a former run had made it: in the new files' sub-folder, or with their suffix."""
        folder, into = self.source.resolve(), self.out.resolve()
        if into == folder:
            return bool(self.suffix) and path.stem.endswith(self.suffix)
        return into.is_relative_to(folder) and path.resolve().is_relative_to(into)


def run(order: FolderOrder) -> Operation:
    """Resizes every file.

    Raises:
        UserError: the order contradicts itself, the folder has no LoRAs or all of them are done, or every file failed.
    """
    resize.check(order)
    if faults := list(name_faults(f"x{order.suffix}", f"The ending {order.suffix!r}")):
        raise Problems(faults)
    if not order.source.is_dir():
        raise UserError(f"There is no folder '{order.source}'. Give the folder that holds the LoRAs.")
    orders = order.orders()
    waiting = [one for one in orders if not one.out.exists()]
    if not waiting:
        raise UserError(f"All {len(orders)} LoRAs of '{order.source}' have a file of the new name already, and none is "
                        "overwritten. Choose another suffix or folder." if orders else
                        f"The folder '{order.source}' has no .safetensors files. Choose the folder of the LoRAs.")
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for number, one in enumerate(waiting):
        rows.append((yield from _resized(one, order.source, (number, len(waiting)), notes)))
    if all(row["fault"] for row in rows):
        raise Problems([f"{row['file']}: {row['fault']}" for row in rows])
    return _outcome(order, rows, len(orders) - len(waiting), notes)


def _resized(
    order: ResizeOrder, folder: Path, at: tuple[int, int], notes: list[str]
) -> Generator[Progress, None, dict[str, Any]]:
    """Resizes one file; returns its row of the table.

    Args:
        order: of the file. folder: all files lie in. at: its number, and how many there are.
        notes: what is to be said about it is added.
    """
    number, files = at
    row = {"file": str(order.source.relative_to(folder)), "layers": 0, "ranks": "", "bytes_before": 0, "bytes": 0,
           "retained": 0.0, "fault": ""}
    operation = resize.run(order)
    try:
        row["bytes_before"] = order.source.stat().st_size
        while True:
            inner = next(operation)
            yield Progress(_PARTS * number + _PARTS * inner.done // inner.total, _PARTS * files, "Resizing")
    except StopIteration as end:
        facts = end.value.facts
        notes += [f"{row['file']}: {note}" for note in end.value.notes]
        return row | {"layers": facts["layers"], "ranks": facts["rank"], "bytes": facts["bytes"],
                      "retained": facts["retained"]}
    except (UserError, OSError) as error:  # also a file that is gone, or may not be read, since the folder was listed
        return row | {"fault": str(error)}
    finally:
        operation.close()


def _outcome(order: FolderOrder, rows: Sequence[dict[str, Any]], done_before: int, told: Sequence[str]) -> Outcome:
    well = [row for row in rows if not row["fault"]]
    before, after = sum(row["bytes_before"] for row in well), sum(row["bytes"] for row in well)
    notes = [*told[:_SHOWN], *([f"... and {len(told) - _SHOWN} more such notes."] if len(told) > _SHOWN else [])]
    if done_before:
        notes.append(f"{done_before} files were left alone: a file of the new name was there, and none is overwritten.")
    if len(well) < len(rows):
        notes.append(f"{len(rows) - len(well)} files could not be resized; the table says why.")
    summary = (f"{len(well)} LoRAs resized into '{order.out}': {before / 1e6:.1f} MB became "
               f"{after / 1e6:.1f} MB.")
    facts = {"summary": summary, "files": len(well), "failed": len(rows) - len(well), "bytes": after}
    return Outcome(order.out, facts, list(rows), notes)
