"""A LoRA at a lower rank: every layer that is a change of a matrix or kernel is decomposed and keeps its best part.

LoHa, LoKr, Tucker kernels and full differences become plain factors on the way. Kinds that depend on the base model's
weights (DoRA, OFT, GLoRA, (IA)3) stay as they are, unless the base checkpoint is named. Strength and metadata stay;
tensors that nobody knows are carried over.
"""
from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lib_trainer.errors import Lacking, Problems
from lib_trainer.lora import base_weights, checkpoint_layers, keys, metadata
from lib_trainer.lora.bake import BaseWeight
from lib_trainer.lora.checkpoint_layers import FAMILIES
from lib_trainer.workbench import factors, kernels, layer_sum, names, new_lora, reading, record, report, written
from lib_trainer.workbench.decomposition import device_of
from lib_trainer.workbench.layer_sum import Weighted
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.reduction import SVD, Reduction
from lib_trainer.workbench.written import Style, Written


@dataclass(frozen=True)
class ResizeOrder:
    """What is to be resized.

    Attributes:
        source: a LoRA file of any kind. out: the new LoRA, `.safetensors`.
        reduction: of the kind "svd".
        precision: of the file: "fp32", "fp16" or "bf16".
        base: the base checkpoint, for kinds that depend on its weights; None = these stay as they are.
        device: where to compute: "auto" or a torch device.
        family: "sd1", "sd2" or "sdxl"; "" = as the file tells.
    """

    source: Path
    out: Path
    reduction: Reduction
    precision: str = "fp32"
    base: Path | None = None
    device: str = "auto"
    family: str = ""


def run(order: ResizeOrder) -> Operation:
    """Writes the resized LoRA.

    Raises:
        UserError: the order contradicts itself, or a file cannot be read or written.
    """
    check(order)
    new_lora.require_new(order.out)
    lora = reading.read(order.source, order.family, hashed=True)
    grouped = keys.by_layer(lora.tensors)
    dependent = [layer for layer, parts in grouped.items() if factors.needs_base(parts)]
    stays = {} if order.base else {layer: grouped[layer] for layer in dependent}
    with ExitStack() as stack:
        base = _opened(stack, order.base, lora) if order.base and dependent else None
        layers = yield from _layers(order, lora, grouped, stays, base)
    written.refuse("The resized LoRA", layers, order.precision)
    if not any(layer.rank for layer in layers):
        raise Lacking("base", [f"'{order.source.name}' has no layer whose rank could be changed without the base "
                               "checkpoint. Name the one that it was trained on, or choose another LoRA."])
    tensors = {f"{layer.name}.{part}": tensor for layer in layers for part, tensor in layer.tensors.items()}
    tensors |= lora.carried
    new_lora.save(order.out, tensors, _record(order, lora, layers))
    return _outcome(order, lora, layers, stays)


def check(order: ResizeOrder) -> None:
    """Refuses an order that contradicts itself, whatever its files.

    Raises:
        UserError: it does; all faults at once.
    """
    faults = order.reduction.faults()
    if order.reduction.kind != SVD:
        faults.append(f"A resize lowers ranks, and the reduction '{order.reduction.kind}' keeps them. Choose 'svd'.")
    faults += [*written.precision_faults(order.precision), *checkpoint_layers.family_faults(order.family)]
    if faults:
        raise Problems(faults)


Layers = Mapping[str, Mapping[str, Tensor]]
"""Layer name -> its tensors by part."""


def _opened(stack: ExitStack, base: Path, lora: ReadLora) -> BaseWeight:
    """Opens the base checkpoint.

    Raises:
        UserError: it cannot be read, or nothing tells which kind of model it is.
    """
    if lora.family is None:
        raise Lacking("family", [f"'{lora.path.name}' does not tell which kind of model it is for. Name the family."])
    return stack.enter_context(base_weights.opened(base, lora.family))


def _layers(
    order: ResizeOrder, lora: ReadLora, grouped: Layers, stays: Layers, base: BaseWeight | None
) -> Generator[Progress, None, list[Written]]:
    device, style = device_of(order.device), Style(order.reduction, written.DTYPES[order.precision])
    layers = []
    for number, (name, parts) in enumerate(grouped.items()):
        yield Progress(number, len(grouped), "Resizing")
        if name in stays:
            layers.append(Written(name, dict(parts), None, is_conv=False))
            continue
        term = factors.term(name, parts, base, device)
        layer = layer_sum.add(name, [Weighted(term, 1.0, lora.path.name)], kernels.kernel_of(name, lora.family))
        layers.append(written.write(layer, style))
    return layers


def _record(order: ResizeOrder, lora: ReadLora, layers: Sequence[Written]) -> dict[str, str]:
    """Returns the source's metadata with the new ranks, and how they came about."""
    reduction = order.reduction
    before, after = _ranks_told(lora), report.ranks(layers)
    how = (f"Dynamic resize with {reduction.dynamic}: {reduction.threshold:g} from {before} to {after}"
           if reduction.dynamic else f"dimension is resized from {before} to {after}")
    made_by = {"source": order.source.stem, "source_hash": lora.model_hash,
               "reduction": reduction.in_words(), "base": order.base.name if order.base else "",
               "implementation": metadata.IMPLEMENTATION}
    return record.of_changed(lora.metadata, layers, order.out.stem, how) | {
        f"{record.PREFIX}{key}": text for key, text in made_by.items() if text}


def _ranks_told(lora: ReadLora) -> str:
    """Returns the former ranks: as the file's record says, else as its layers have them, else "?"."""
    told = lora.metadata.get("ss_network_dim", "")
    if told and told != "None":
        return told
    shapes = {name: {"shape": tuple(tensor.shape)} for name, tensor in lora.tensors.items()}
    found = {rank for parts in keys.by_layer(shapes).values() if (rank := keys.rank(parts))}
    return "-".join(str(rank) for rank in sorted({min(found), max(found)})) if found else "?"


def _outcome(order: ResizeOrder, lora: ReadLora, layers: Sequence[Written], stays: Layers) -> Outcome:
    size = order.out.stat().st_size
    notes = [*lora.notes, *reading.carried_notes(lora), *report.notes(layers, order.precision)]
    if stays:
        first, parts = next(iter(stays.items()))
        kind = keys.algorithm(f"{first}.{part}" for part in parts)
        notes.append(f"{len(stays)} layers of the kind {kind}, such as '{first}', stay as they are"
                     f"{_other_dtypes(order, stays)}: what they do depends on the model's weights. Name the "
                     "base checkpoint to have them resized too.")
    if not lora.naming.startswith(names.KOHYA):
        notes.append(f"The file had the names of {lora.naming}; the new one has kohya's.")
    arch = FAMILIES[lora.family].arch if lora.family else None
    facts = {"summary": report.summary(order.out.name, layers, size), **report.facts(layers, size)}
    return Outcome(order.out, facts, report.rows(layers, arch), notes)


def _other_dtypes(order: ResizeOrder, stays: Layers) -> str:
    """Returns which dtypes the layers that stay have, where it is not the one that was asked for."""
    kept = {str(tensor.dtype).removeprefix("torch.") for parts in stays.values()
            for tensor in parts.values() if tensor.is_floating_point()}
    other = kept - {str(written.DTYPES[order.precision]).removeprefix("torch.")}
    return f", also in their precision ({', '.join(sorted(other))} and not {order.precision})" if other else ""
