"""Routes for settings of other programs: read any of them, write any of them."""
from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Body

from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.lora.finding import find_lora
from lib_trainer.training.interchange.imported import FORMATS, KINDS
from lib_trainer.training.interchange.shell import BASH, ENDINGS

if TYPE_CHECKING:
    from lib_trainer.training.interchange.imported import Imported

_TEXT = Body(default="", embed=True)
_VALUES = Body(default={}, embed=True)
_LORA = Body(default="", embed=True)
_TO = Body(embed=True)
_SHELL = Body(default=BASH, embed=True)


def add_interchange(router: APIRouter, host: Host) -> None:
    """Adds the routes."""

    @router.post("/import")
    def import_(text: str = _TEXT, values: dict[str, Any] = _VALUES, lora: str = _LORA) -> dict[str, Any]:
        """Reads settings: a `text` of any kind, an object of `values`, or what a `lora` (name or path) has recorded."""
        from lib_trainer.training import config_values
        from lib_trainer.training.config import TrainConfig
        from lib_trainer.training.interchange import reading

        imported = _lora(lora, host) if lora else reading.of_values(values) if values else reading.read_text(text)
        read, faults, _ = config_values.read(dataclasses.fields(TrainConfig), imported.values)
        told = imported.told()
        return {"kind": imported.kind, "source": KINDS[imported.kind], "values": read, **told,
                "faults": [*told["faults"], *faults]}

    @router.post("/export")
    def export(values: dict[str, Any] = _VALUES, to: str = _TO, shell: str = _SHELL) -> dict[str, Any]:
        """Writes settings by name for another program: `to` = ours, sd-scripts, dataset, kohya_ss or command."""
        from lib_trainer.training import base, config_reading
        from lib_trainer.training.interchange.exporting import export as write

        config, faults = config_reading.read(values)
        faults += [f"{name} = {given!r}: known are {', '.join(known)}." for name, given, known in (
            ("to", to, FORMATS), ("shell", shell, ENDINGS)) if given not in known]
        if faults:
            raise Problems(faults)
        family = host.checkpoint(base.find(config.base_model, host)).family
        return dataclasses.asdict(write(config, to, family.name == "sdxl", shell))


def _lora(name: str, host: Host) -> Imported:
    from lib_trainer.training.interchange import reading

    path = find_lora(name, host)
    if path is None:
        raise UserError(f"There is no LoRA {name!r} in {str(host.paths.loras)!r}: check the name.")
    return reading.of_lora(path)
