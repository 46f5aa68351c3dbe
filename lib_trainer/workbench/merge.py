"""The weighted sum of any number of LoRAs of any kinds as one LoRA: what all of them did together in one prompt.

A difference is a sum with the strengths 1 and -1. Every layer becomes one pair of factors: put side by side (exact,
ranks add up) or of a lower rank (SVD); what has no thin form becomes a full difference when nothing may be lost. With
`shuffle` the file tells nothing of its sources that their sum does not tell, neither in its factors nor in its record.
"""
from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lib_trainer.blocks.elements import NO_ELEMENTS, Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import Lacking, Problems, UserError
from lib_trainer.lora import base_weights, checkpoint_layers, metadata
from lib_trainer.lora.bake import BaseWeight
from lib_trainer.lora.checkpoint_layers import FAMILIES
from lib_trainer.workbench import factors, kept_kind, kernels, layer_sum, new_lora, record, report, summands, written
from lib_trainer.workbench.decomposition import device_of
from lib_trainer.workbench.layer_sum import Weighted
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.sources import Source
from lib_trainer.workbench.summands import Summand
from lib_trainer.workbench.written import Style, Written


@dataclass(frozen=True)
class MergeOrder:
    """What is to be added up.

    Attributes:
        sources: the LoRAs, of any kinds, with strengths and block weights.
        out: the new LoRA, `.safetensors`.
        reduction: what becomes of the ranks.
        shuffle: whether the sources are to be unrecoverable. seed: of what is drawn for that.
        precision: of the file: "fp32", "fp16" or "bf16". Exact to 1e-6 is only "fp32".
        base: the base checkpoint, for kinds that depend on its weights; None = none at hand.
        device: where to compute: "auto" or a torch device.
        family: "sd1", "sd2" or "sdxl"; "" = as the files tell.
        presets, elements: what names in block weights mean.
    """

    sources: tuple[Source, ...]
    out: Path
    reduction: Reduction = field(default_factory=Reduction)
    shuffle: bool = False
    seed: int = 0
    precision: str = "fp32"
    base: Path | None = None
    device: str = "auto"
    family: str = ""
    presets: Presets = field(default_factory=Presets.shipped)
    elements: Elements = NO_ELEMENTS


def run(order: MergeOrder) -> Operation:
    """Writes the sum.

    Raises:
        UserError: the order contradicts itself, a file cannot be read or written, or the LoRAs do not go together.
    """
    _check(order)
    device = device_of(order.device)
    loras = yield from summands.read(order.sources, order.family)
    family = order.family or summands.family_of(loras)
    added = [summands.weighted(source, lora, family, order.presets, order.elements)
             for source, lora in zip(order.sources, loras, strict=True)]
    summands.check(added, order.base)
    with ExitStack() as stack:
        base = _opened(stack, order.base, family, added)
        layers, gone = yield from _layers(order, added, family, base, device)
    written.refuse("The sum", layers, order.precision)
    if not layers:
        raise UserError(f"The LoRAs take each other away: in all {len(gone)} layers nothing is left of the sum but "
                        "rounding, so nothing was written. Choose other LoRAs or strengths.")
    carried, notes = ({}, _left_behind(added)) if order.shuffle else summands.embeddings(added)
    tensors = {f"{layer.name}.{part}": tensor for layer in layers for part, tensor in layer.tensors.items()} | carried
    yield Progress(1, 1, "Writing")
    new_lora.save(order.out, tensors, _record(order, added, layers, family))
    return _outcome(order, added, layers, family, notes + _gone(gone))


def _check(order: MergeOrder) -> None:
    """Refuses what contradicts itself, all of it at once.

    Raises:
        UserError: there is something.
    """
    faults = [*new_lora.faults(order.out), *order.reduction.faults()]
    if not order.sources:
        faults.append("There is nothing to add up: name at least one LoRA.")
    faults += [*written.precision_faults(order.precision), *checkpoint_layers.family_faults(order.family)]
    faults += [fault for source in order.sources for fault in source.faults()]
    if faults:
        raise Problems(faults)


def _opened(
    stack: ExitStack, path: Path | None, family: str | None, added: Sequence[Summand]
) -> BaseWeight | None:
    """Opens the base checkpoint where a layer needs it.

    Raises:
        UserError: it is needed and cannot be read, or nothing tells which kind of model it is.
    """
    if path is None or not summands.need_base(added):
        return None
    if family is None:
        raise Lacking("family", ["None of the LoRAs tells which kind of model it is for. Name the family."])
    return stack.enter_context(base_weights.opened(path, family))


def _layers(
    order: MergeOrder, added: Sequence[Summand], family: str | None, base: BaseWeight | None, device: torch.device
) -> Generator[Progress, None, tuple[list[Written], list[str]]]:
    """Adds up layer by layer; returns the layers, and the names of those in which nothing is left."""
    style = Style(order.reduction, written.DTYPES[order.precision], order.shuffle, order.seed)
    names = list(dict.fromkeys(layer for summand in added for layer in summand.acting()))
    layers, gone = [], []
    for number, name in enumerate(names):
        yield Progress(number, len(names), "Adding up")
        layer = _layer(name, summands.together(name, added), style, base, device, family)
        if layer is None or layer.is_nothing:
            gone.append(name)
        else:
            layers.append(layer)
    return layers, gone


def _layer(
    name: str, acting: Sequence[tuple[Summand, float]], style: Style, base: BaseWeight | None, device: torch.device,
    family: str | None,
) -> Written | None:
    """Returns a layer of the sum; None where the strengths of its LoRAs add up to nothing."""
    if not acting:
        return None
    first, factor = acting[0]
    if len(acting) == 1 and style.keeps_kinds and kept_kind.keeps(first.layers[name]):
        return kept_kind.write(name, first.layers[name], factor, style)
    parts = [Weighted(factors.term(name, summand.layers[name], base, device), factor, summand.name)
             for summand, factor in acting]
    return written.write(layer_sum.add(name, parts, kernels.kernel_of(name, family)), style)


def _gone(layers: Sequence[str]) -> list[str]:
    """Says which layers are left out because what is added up takes each other away."""
    return [f"{len(layers)} layers in which the LoRAs take each other away are left out, such as '{layers[0]}'."
            ] if layers else []


def _record(
    order: MergeOrder, added: Sequence[Summand], layers: Sequence[Written], family: str | None
) -> dict[str, str]:
    """Returns the metadata of the sum; of a shuffled one nothing of its sources is in them."""
    made_by = {"reduction": order.reduction.in_words(), "implementation": metadata.IMPLEMENTATION}
    if not order.shuffle:
        made_by["sources"] = json.dumps([summands.described(summand) for summand in added], ensure_ascii=False)
        made_by["base"] = order.base.name if order.base and summands.need_base(added) else ""
    sources = {summand.source.path.stem: summand.lora.metadata for summand in added}
    found = record.of_sum(sources, FAMILIES.get(family or ""), order.out.stem, order.shuffle)
    return found | record.network(layers) | {f"{record.PREFIX}{key}": text for key, text in made_by.items() if text}


def _left_behind(added: Sequence[Summand]) -> list[str]:
    """Says that a shuffled sum takes no embeddings along: they would name their source."""
    return [f"{summand.name}: its embeddings are left out, since they would show where the sum comes from."
            for summand in added if any(name.startswith("bundle_emb") for name in summand.lora.carried)]


def _outcome(
    order: MergeOrder, added: Sequence[Summand], layers: Sequence[Written], family: str | None, notes: list[str]
) -> Outcome:
    size = order.out.stat().st_size
    notes = [note for summand in added for note in summand.notes] + notes
    notes += report.notes(layers, order.precision)
    silent = [summand.name for summand in added if not summand.acting()]
    if silent:
        notes.append(f"{', '.join(silent)}: every layer is at 0, so nothing of it is in the sum.")
    if order.shuffle and len(order.sources) == 1:
        notes.append("The sum has one source only, so it is that source: shuffling hides how it was stored, not what "
                     "it does.")
    arch = FAMILIES[family].arch if family else None
    facts = {"summary": report.summary(order.out.name, layers, size), **report.facts(layers, size)}
    return Outcome(order.out, facts, report.rows(layers, arch), notes)
