"""A LoRA out of two checkpoints: what the tuned one does beyond the one that it was made from, at a rank.

Every layer's difference tuned - base is decomposed by itself (W. Eckart, "The approximation of one matrix by another of
lower rank", 1936: the greatest singular values are the best that a rank can hold), nothing is clipped, and the share
that the rank holds is told by block. Two tensors are read at a time, so neither checkpoint is ever in memory.

Where the checkpoints are stored in different precisions, a weight that differs by that rounding alone is the same.
"""
from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lib_trainer.errors import Problems, UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import checkpoint, checkpoint_layers
from lib_trainer.lora.checkpoint_layers import Layer
from lib_trainer.workbench import extracted, new_lora, record, report, written
from lib_trainer.workbench.decomposition import device_of
from lib_trainer.workbench.layer_sum import LayerSum
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.reduction import SVD, Reduction
from lib_trainer.workbench.written import Style, Written


@dataclass(frozen=True)
class ExtractOrder:
    """What is to be extracted.

    Attributes:
        base, tuned: the checkpoints, `.safetensors` or `.ckpt`, of one family.
        out: the new LoRA, `.safetensors`.
        reduction: the rank, fixed or dynamic; kernels greater than 1x1 are extracted where it gives them a rank.
        min_diff: a text encoder in which no number differs by more than this is left out.
        precision: of the file: "fp32", "fp16" or "bf16".
        device: where to compute: "auto" or a torch device.
    """

    base: Path
    tuned: Path
    out: Path
    reduction: Reduction
    min_diff: float = 0.01
    precision: str = "fp16"
    device: str = "auto"


@dataclass
class _Checkpoints:
    """Two open checkpoints.

    Attributes:
        base, tuned: their tensors. family: of both. layers: of the tuned one that both have.
    """

    base: checkpoint.Tensors
    tuned: checkpoint.Tensors
    family: Family
    layers: dict[str, tuple[Layer, Layer]]

    def difference(self, layer: str, device: torch.device) -> Tensor | None:
        """Returns a layer's tuned - base in float64, None where there is none but rounding.

        Raises:
            UserError: the two have different shapes.
        """
        base, tuned = self.layers[layer]
        return extracted.difference(
            layer, base.weight.of(self.base.read(base.weight.key)), tuned.weight.of(self.tuned.read(tuned.weight.key)),
            device)


@dataclass
class _Found:
    """What has come out so far.

    Attributes:
        layers: of the new LoRA. same: how many layers do not differ. notes: sentences for the person.
    """

    layers: list[Written] = field(default_factory=list)
    same: int = 0
    notes: list[str] = field(default_factory=list)


def run(order: ExtractOrder) -> Operation:
    """Writes the LoRA.

    Raises:
        UserError: a file cannot be read or written, the checkpoints do not belong together, or do not differ.
    """
    _check(order)
    device = device_of(order.device)
    with ExitStack() as stack:
        both = _opened(order, stack)
        found = _Found()
        chosen = yield from _chosen(order, both, found)
        for done, layer in enumerate(chosen):
            yield Progress(done, len(chosen), "Decomposing")
            change = both.difference(layer, device)
            if change is None:
                found.same += 1
            else:
                found.layers.append(_written(order, layer, change))
        beyond = yield from extracted.beyond(both.base, both.tuned, both.layers, set(chosen))
        told = extracted.metadata(order.base.stem, order.tuned.stem, order.out.stem, both.family, {
            **both.base.metadata, **both.tuned.metadata})
    written.refuse("The difference", found.layers, order.precision)
    if not found.layers:
        raise UserError(f"'{order.tuned.name}' and '{order.base.name}' do not differ in any layer that a LoRA can "
                        f"change{_beyond(beyond)}, so nothing was written. Choose two checkpoints, one made from the "
                        "other.")
    tensors = {f"{layer.name}.{part}": tensor for layer in found.layers for part, tensor in layer.tensors.items()}
    facts = told | record.network(found.layers) | {f"{record.PREFIX}reduction": order.reduction.in_words()}
    yield Progress(1, 1, "Writing")
    new_lora.save(order.out, tensors, facts)
    return _outcome(order, both.family, found, beyond)


def _check(order: ExtractOrder) -> None:
    """Tells everything that is wrong with an order before any file is opened.

    Raises:
        Problems: something is.
    """
    faults = order.reduction.faults()
    if not faults and order.reduction.kind != SVD:
        faults.append("A difference of two checkpoints has as many ranks as it has numbers. Choose the reduction "
                      "'svd' with a rank.")
    faults += written.precision_faults(order.precision)
    faults += new_lora.faults(order.out)
    if faults:
        raise Problems(faults)


def _opened(order: ExtractOrder, stack: ExitStack) -> _Checkpoints:
    """Opens both checkpoints.

    Raises:
        UserError: one cannot be read, or they are of different families.
    """
    base, tuned = (stack.enter_context(checkpoint.opened(path)) for path in (order.base, order.tuned))
    family = checkpoint_layers.family_of(base.entries, order.base.name)
    other = checkpoint_layers.family_of(tuned.entries, order.tuned.name)
    if family is not other:
        raise UserError(f"'{order.base.name}' is an {family.label} checkpoint and '{order.tuned.name}' an "
                        f"{other.label} one. Choose a tuned checkpoint and the one that it was made from.")
    before = checkpoint_layers.layers(base.entries, family)
    after = checkpoint_layers.layers(tuned.entries, family)
    return _Checkpoints(base, tuned, family, {
        layer: (before[layer], place) for layer, place in after.items() if layer in before})


def _chosen(order: ExtractOrder, both: _Checkpoints, found: _Found) -> Generator[Progress, None, list[str]]:
    """Returns the layers to decompose, in the order of the checkpoint; tells which encoders are left out."""
    family, layers = both.family, both.layers
    wanted = list(_in_unet(both, order.reduction.conv_rank is not None))
    for number, encoder in enumerate(family.text_encoders, 1):
        own = [layer for layer in layers if family.is_text_layer(layer) and layer.startswith(f"{encoder.prefix}_")]
        greatest = 0.0
        for done, layer in enumerate(own):
            yield Progress(done, len(own), "Comparing the text encoders")
            change = both.difference(layer, torch.device("cpu"))
            greatest = max(greatest, float(change.abs().max()) if change is not None else 0.0)
            if greatest > order.min_diff:
                break  # what it differs by is told only of one that is left out
        if greatest > order.min_diff:
            wanted += own
        elif greatest:
            which = f"Text encoder {number}" if len(family.text_encoders) > 1 else "The text encoder"
            found.notes.append(f"{which} differs by {greatest:g} at most, which is not more than the least difference "
                               f"{order.min_diff:g}: it is left out.")
    chosen = set(wanted)
    return [layer for layer in layers if layer in chosen]


def _in_unet(both: _Checkpoints, with_kernels: bool) -> Iterator[str]:
    """Yields the U-Net's layers that a LoRA has; those of residual blocks and samplers where kernels are wanted."""
    for layer in both.layers:
        if both.family.is_attention_layer(layer) or (with_kernels and both.family.is_conv_layer(layer)):
            yield layer


def _written(order: ExtractOrder, layer: str, change: Tensor) -> Written:
    """Returns a layer of the file; its alpha is its rank."""
    whole_change = LayerSum(layer, tuple(change.shape), None, change.flatten(1), None, is_norm=False)
    return written.write(whole_change, Style(order.reduction, written.DTYPES[order.precision]))


def _outcome(order: ExtractOrder, family: Family, found: _Found, beyond: list[str]) -> Outcome:
    size = order.out.stat().st_size
    notes = [*found.notes, *report.notes(found.layers, order.precision)]
    if found.same:
        notes.append(f"Layers that do not differ and are left out: {found.same}.")
    if beyond:
        notes.append(f"The checkpoints differ{_beyond(beyond)} too, which is not in the LoRA.")
    facts = {"summary": report.summary(order.out.name, found.layers, size), **report.facts(found.layers, size)}
    return Outcome(order.out, facts, report.rows(found.layers, family.arch), notes)


def _beyond(beyond: list[str]) -> str:
    return f" (in {len(beyond)} other tensors, such as '{beyond[0]}')" if beyond else ""
