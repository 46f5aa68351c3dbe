"""LoRAs made part of a checkpoint: every weight W becomes W + sum of m (f(W) - W) over the LoRAs that change its layer.

Each f is computed from the checkpoint's own W, as the WebUIs do with several LoRAs in one prompt, in double precision,
and the result is rounded once to the file's dtype: the merged checkpoint draws what the checkpoint and the tags drew.
One tensor is read, changed and written at a time: beside the LoRAs themselves, the memory needed does not grow with the
checkpoint.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import torch
from torch import Tensor

from lib_trainer.blocks.elements import NO_ELEMENTS, Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import checkpoint, checkpoint_layers, metadata
from lib_trainer.lora.checkpoint_layers import Place
from lib_trainer.workbench import companions, new_lora, streamed, summands
from lib_trainer.workbench.acting import Acting, placed
from lib_trainer.workbench.decomposition import device_of
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.record import PREFIX
from lib_trainer.workbench.sources import Source

_SCALED = "scaled_fp8"
_EMA = "model_ema."


@dataclass(frozen=True)
class IntoCheckpointOrder:
    """What is to be merged.

    Attributes:
        base: the checkpoint, `.safetensors` or `.ckpt`; SD 1.x, SD 2.x or SDXL.
        sources: the LoRAs, of any kinds, with strengths and block weights.
        out: the new checkpoint, `.safetensors`.
        precision: "as it is" (every tensor keeps its dtype), "fp16", "bf16" or "fp32".
        device: where to compute: "auto" or a torch device.
        presets, elements: what names in block weights mean.
        replace: whether an existing `out` may be replaced, in one step.
        record: what its metadata say besides.
    """

    base: Path
    sources: tuple[Source, ...]
    out: Path
    precision: str = streamed.AS_IT_IS
    device: str = "auto"
    presets: Presets = field(default_factory=Presets.shipped)
    elements: Elements = NO_ELEMENTS
    replace: bool = False
    record: Mapping[str, str] = field(default_factory=dict)


Changes = dict[str, list[tuple[Acting, str, Place]]]
"""Tensor name of the checkpoint -> who changes which rows of it: LoRA, its layer, place."""


def run(order: IntoCheckpointOrder) -> Operation:
    """Writes the merged checkpoint.

    Raises:
        UserError: a file cannot be read or written, or a LoRA does not fit the checkpoint.
    """
    _check(order)
    device = device_of(order.device)
    with ExitStack() as stack:
        base = stack.enter_context(checkpoint.opened(order.base))
        family = checkpoint_layers.family_of(base.entries, order.base.name)
        _refuse_scaled(base, order.base)
        known = checkpoint_layers.layers(base.entries, family)
        acting = []
        for done, source in enumerate(order.sources):
            yield Progress(done, len(order.sources), "Reading")
            acting.append(placed(source, family, known, order.presets, order.elements))
        changes = _changes(acting)
        entries = streamed.laid_out(
            streamed.Entry(name, streamed.converted(dtype, order.precision), shape)
            for name, (dtype, shape) in base.entries.items())
        copies = stack.enter_context(companions.beside(order.base, order.out))
        file = stack.enter_context(streamed.writing(
            order.out, entries, _metadata(order, base.metadata, acting), order.replace))
        for done, entry in enumerate(entries):
            yield Progress(done, len(entries), "Merging")
            file.write(_merged(base.read(entry.name), changes.get(entry.name, ()), device))
        names = list(base.entries)
    return _outcome(order, acting, changes, names, copies)


def _check(order: IntoCheckpointOrder) -> None:
    """Tells everything that is wrong with an order before any file is opened.

    Raises:
        Problems: something is.
    """
    faults = []
    if not order.sources:
        faults.append("There is no LoRA to merge. Name at least one.")
    if order.precision not in (streamed.AS_IT_IS, *streamed.PRECISIONS):
        faults.append(f"The precision '{order.precision}' is none of '{streamed.AS_IT_IS}', "
                      f"{', '.join(streamed.PRECISIONS)}. Choose one of them.")
    faults += new_lora.faults(order.out, order.replace and order.out.resolve() != order.base.resolve())
    faults += [fault for source in order.sources for fault in source.faults()]
    if faults:
        raise Problems(faults)


def _refuse_scaled(base: checkpoint.Tensors, path: Path) -> None:
    """Refuses weights in 8 bits that mean something only together with factors beside them.

    Raises:
        UserError: they are such.
    """
    if any(name.endswith((_SCALED, ".scale_weight")) for name in base.entries):
        raise UserError(f"'{path.name}' holds weights in 8 bits with factors beside them (scaled fp8), into which "
                        "nothing can be merged. Use the fp16 or bf16 version of this checkpoint.")


def _changes(acting: Iterable[Acting]) -> Changes:
    changes: Changes = {}
    for member in acting:
        for layer, place in member.places():
            changes.setdefault(place.key, []).append((member, layer, place))
    return changes


def _merged(tensor: Tensor, changes: Iterable[tuple[Acting, str, Place]], device: torch.device) -> Tensor:
    """Returns a tensor of the checkpoint with all changes, in float64; as it is where there is none."""
    changes = list(changes)
    if not changes:
        return tensor
    total = tensor.to(device, torch.float64, copy=True)
    former = total if len(changes) == 1 else total.clone()
    for member, layer, place in changes:
        change = member.change(layer, place, place.of(former))
        place.of(total).add_(change, alpha=member.summand.factors[layer])
    return total


def _metadata(order: IntoCheckpointOrder, former: dict[str, str], acting: Iterable[Acting]) -> dict[str, str]:
    """Returns the checkpoint's own record with the new title, and ours of what was merged."""
    told = [summands.described(member.summand) for member in acting]
    record = {key: text for key, text in former.items() if key != "modelspec.hash_sha256"}
    merged = [former.get("modelspec.title", order.base.stem), *(source.path.stem for source in order.sources)]
    return record | {
        "modelspec.title": order.out.stem,
        "modelspec.date": datetime.now().replace(microsecond=0).isoformat(),
        "modelspec.merged_from": ", ".join(merged),
        f"{PREFIX}base": order.base.name,
        f"{PREFIX}sources": json.dumps(told, ensure_ascii=False),
        f"{PREFIX}precision": order.precision,
        f"{PREFIX}implementation": metadata.IMPLEMENTATION,
        **order.record,
    }


def _outcome(
    order: IntoCheckpointOrder, acting: list[Acting], changes: Changes, names: list[str], copies: list[Path]
) -> Outcome:
    notes = [note for member in acting for note in member.notes]
    if checkpoint.is_pickle(order.base):
        notes.append(f"'{order.base.name}' is a pickle: it was read as weights alone, whatever else is in it was "
                     "neither run nor carried over.")
    if any(name.startswith(_EMA) for name in names):
        notes.append("The checkpoint's averaged weights (model_ema) stay as they were: programs draw with the others.")
    if copies:
        notes.append(f"Beside it now: {', '.join(path.name for path in copies)}, without which it does not load.")
    rows = [{"file": member.summand.name, "layers": len(member.layers), "left_out": len(member.left_out)}
            for member in acting]
    size = order.out.stat().st_size
    summary = (f"{order.out.name}: {size / 1e6:.1f} MB, {len(changes)} of {len(names)} tensors changed by "
               f"{len(acting)} {'LoRA' if len(acting) == 1 else 'LoRAs'}.")
    return Outcome(order.out, {"summary": summary, "bytes": size, "tensors": len(names),
                               "tensors_changed": len(changes)}, rows, notes)
