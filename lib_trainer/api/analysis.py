"""The analysis of a LoRA's blocks for scripts and other machines: one request, one answer with all numbers."""
from __future__ import annotations

import base64
import dataclasses
import io
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Body

from lib_trainer.api import blocks
from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.host_model import PreviewRequest

if TYPE_CHECKING:
    from PIL.Image import Image

    from lib_trainer.compare.asked import Asked, Plan
    from lib_trainer.compare.picture_run import Findings

_VALUES = Body(default={})
_DRAWING = {field.name: field.type for field in dataclasses.fields(PreviewRequest)
            if field.name not in ("prompt", "seed", "explicit")}
_OWN = {"lora": str, "prompt": str, "mode": str, "keep": float, "blocks": str, "seed": int, "range": str, "seeds": int,
        "threshold": int, "ground": str, "swap": bool, "estimate": bool, "save": bool}
_TYPES = {"str": str, "int": int, "float": float, "bool": bool}
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def add_analysis(router: APIRouter, host: Host) -> None:
    """Adds the route."""

    @router.post("/analyze")
    def analyze(values: dict[str, Any] = _VALUES) -> dict[str, Any]:
        """Tells which blocks of a LoRA matter.

        `lora` is its name; `prompt`, `keep` (0 to 1), `mode` ("quick" or "pictures"), `blocks`, `seed` are what the
        page asks, `range`, `seeds`, `threshold`, `ground`, `swap` how pictures are compared, and `steps`, `cfg` ...
        how they are drawn. With `estimate` one measurement is made and only the cost is told. With `save` the files
        are kept below the host's pictures. Sheets are PNG files in base64.
        """
        found = _plan(values, host)
        if values.get("estimate"):
            cost = found.cost(found.measure_one(host))
            return {"mode": found.asked.mode, "count": cost.count, "each": cost.each, "seconds": cost.seconds}
        return _answer(found, host, bool(values.get("save")))


def _answer(found: Plan, host: Host, save: bool) -> dict[str, Any]:
    steps = found.analyse(host)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            findings: Findings = end.value
            break
    kept: list[str] = []
    if save:
        from lib_trainer.compare import saving

        folder = saving.free_folder(host.paths.outputs, found.subject.name)
        kept = [str(path) for path in saving.save(findings, folder)]
    return {**findings.analysis.to_json(), "files": kept, "sheets": [_png(sheet.image) for sheet in findings.sheets]}


def _png(image: Image) -> str:
    written = io.BytesIO()
    image.save(written, format="PNG")
    return base64.b64encode(written.getvalue()).decode("ascii")


def _plan(values: dict[str, Any], host: Host) -> Plan:
    from lib_trainer.compare.asked import plan

    return plan(_asked(values, host), host)


def _asked(values: dict[str, Any], host: Host) -> Asked:
    """Reads a request.

    Raises:
        UserError: Problems: all faulty values together; UserError: no such LoRA, or a value out of its range.
    """
    from lib_trainer.compare.asked import Asked
    from lib_trainer.compare.block_groups import DEFAULT_RANGE, parse_range
    from lib_trainer.compare.pictures import Settings

    _require_known(values)
    lora = values.get("lora", "")
    file = blocks.find(lora, host)
    if file is None:
        raise UserError(f"lora = {lora!r}: there is no such LoRA in '{host.paths.loras}'; give its name.")
    low, high = parse_range(values.get("range", DEFAULT_RANGE))
    named = {"seeds": "seeds", "threshold": "threshold", "ground": "ground", "swap": "swapped"}
    settings = Settings(low, high, **{field: values[name] for name, field in named.items() if name in values})
    drawing = PreviewRequest("", **{name: values[name] for name in _DRAWING if name in values})
    given = {name: values[name] for name in ("mode", "keep", "blocks", "seed") if name in values}
    return Asked(lora, file.path, values.get("prompt", ""), settings=settings, drawing=drawing, **given)


def _require_known(values: dict[str, Any]) -> None:
    wanted = {**{name: _TYPES[str(kind)] for name, kind in _DRAWING.items()}, **_OWN}
    faults = [f"'{name}' is not known here; known are {', '.join(wanted)}." for name in values if name not in wanted]
    for name, kind in wanted.items():
        if name in values and not _is(values[name], kind):
            faults.append(f"{name} = {values[name]!r}: give {_KINDS[kind]}.")
    if faults:
        raise Problems(faults)


def _is(value: object, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
