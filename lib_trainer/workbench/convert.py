"""A LoRA under the names of another program: kohya's, diffusers' and PEFT's, those of the original checkpoint.

Renaming changes no number. Only files in diffusers' names have no place for alpha: there the strength is multiplied
into the factors (`workbench.folded`), and what was done is kept in the metadata, so that converting back gives every
bit of the file as it was. What has no name in the other naming is never left out without being asked to.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.errors import Lacking, UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import keys
from lib_trainer.lora.algorithms import registry
from lib_trainer.workbench import names, new_lora, precision, reading, rounding, unfolding
from lib_trainer.workbench.folded import Folded, Origin, fold
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.precision import PrecisionOrder
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.rounding import Rounded

if TYPE_CHECKING:
    from torch import Tensor

NAMINGS: dict[str, str] = {
    names.KOHYA: "sd-scripts, and with it AUTOMATIC1111, Forge, ComfyUI and the model sites",
    names.KOHYA_LDM: "kohya's names with the original checkpoint's block numbers (lora_unet_input_blocks_...)",
    names.KOHYA_DIFFUSERS: "kohya's names with diffusers' block numbers (lora_unet_down_blocks_...)",
    names.PEFT: "PEFT and diffusers (unet.down_blocks. ... .lora_A.weight)",
    names.DIFFUSERS: "diffusers, as its training scripts write (unet.down_blocks. ... .lora.down.weight)",
    names.LDM: "the original checkpoint's names with dots (diffusion_model.input_blocks. ...), read by ComfyUI",
}
"""Naming -> who reads or writes it."""

_WITHOUT_ALPHA = (names.PEFT, names.DIFFUSERS)
_FOLDABLE = frozenset({keys.DOWN, keys.UP, keys.ALPHA, registry.DORA_SCALE})
_PROJECTION = ("_proj_in", "_proj_out")
"""Layers that are matrices in one family's diffusers model and 1x1 kernels in another's."""


@dataclass(frozen=True)
class ConvertOrder:
    """What is to be converted.

    Attributes:
        source: the LoRA; it stays as it is. out: the new file.
        naming: a key of NAMINGS; "" = the names that it has.
        precision: "fp32", "fp16" or "bf16"; "" = as it is.
        family: "sd1", "sd2" or "sdxl"; "" = as the file tells.
        leave_out: whether what has no name in the new naming may be left out; else it is refused.
    """

    source: Path
    out: Path
    naming: str = ""
    family: str = ""
    leave_out: bool = False
    precision: str = ""


@dataclass
class _Written:
    """The new file so far.

    Attributes:
        tensors: under their new names.
        unnamed: tensors that have none, under kohya's or their own names.
        origins: of the layers whose strength was multiplied in, by kohya's name.
        ranks: network -> own ranks of its layers, where they were filled up.
        wider: layers that are in a wider dtype now, for the sake of their last bits.
        halves: networks of which only some layers have DoRA's lengths.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    ranks: dict[str, set[int]] = field(default_factory=dict)
    wider: int = 0
    halves: list[str] = field(default_factory=list)


def run(order: ConvertOrder) -> Operation:
    """Converts a file.

    Raises:
        UserError: the order or the file cannot be, or something has no name in the new naming.
    """
    if not order.naming and order.precision:
        return (yield from precision.run(PrecisionOrder(order.source, order.out, order.precision)))
    _check(order)
    new_lora.require_new(order.out)
    yield Progress(0, 3, "Reading")
    lora = unfolding.undone(reading.read(order.source, order.family))
    family = _family(lora)
    yield Progress(1, 3, "Naming")
    rounded = Rounded()
    if order.precision:
        lora = _rounded(order, lora, rounded)
    if order.naming in _WITHOUT_ALPHA:
        written = _without_alpha(lora, family, order)
    else:
        written = _renamed(lora, family, order.naming)
    if written.unnamed and not order.leave_out:
        raise _no_name(order, written.unnamed)
    if not written.tensors:
        raise UserError(f"Nothing of '{order.source.name}' has a name in the naming {order.naming}: nothing was "
                        "written.")
    yield Progress(2, 3, "Writing")
    new_lora.save(order.out, written.tensors, unfolding.recorded(lora.metadata, written.origins))
    yield Progress(3, 3, "Writing")
    outcome = _outcome(order, lora, written)
    return outcome if not order.precision else replace(
        outcome, facts={**outcome.facts, **rounded.facts()}, notes=outcome.notes + rounded.notes(order.precision))


def _check(order: ConvertOrder) -> None:
    if not order.naming:
        raise UserError("Nothing is to be converted: choose a naming, a precision, or both.")
    if order.naming not in NAMINGS:
        raise UserError(f"There is no naming '{order.naming}': choose one of {', '.join(NAMINGS)}.")
    if order.precision:
        rounding.named(order.precision)


def _rounded(order: ConvertOrder, lora: ReadLora, rounded: Rounded) -> ReadLora:
    """Rounds before naming, so that what is folded is what a file in kohya's names would hold."""
    for _ in rounding.each(lora.tensors, rounding.named(order.precision), rounded):
        pass
    rounding.refuse(order.source, rounded, order.precision)
    return replace(lora, tensors=rounded.tensors)


def _family(lora: ReadLora) -> Family:
    if lora.family is None:
        raise Lacking("family", [f"'{lora.path.name}' does not tell which kind of model it is for, and names differ by "
                                 "it. Name the family."])
    return names.FAMILIES[lora.family]


def _renamed(lora: ReadLora, family: Family, naming: str) -> _Written:
    """The namings that have kohya's parts: nothing but names changes."""
    written = _Written()
    for name, tensor in lora.tensors.items():
        layer, part = keys.split(name)
        place = _place(layer, lora.spoken.get(name, ""), family, naming)
        if place is None:
            written.unnamed.append(name)
        else:
            written.tensors[f"{place}.{part}"] = tensor
    written.tensors |= lora.carried
    return written


def _place(layer: str, own: str, family: Family, naming: str) -> str | None:
    """Returns a layer's new name; kohya's naming keeps what the file has where that is kohya's already."""
    spoken = keys.split(own)[0]
    if naming == names.KOHYA and keys.canonical(spoken) == layer:
        return spoken
    place = names.spelled(layer, family, naming)
    return place if place or naming == names.LDM else layer


def _without_alpha(lora: ReadLora, family: Family, order: ConvertOrder) -> _Written:
    """diffusers' namings: two factors, and perhaps DoRA's lengths."""
    written = _Written(unnamed=list(lora.carried))
    layers = keys.by_layer(lora.tensors)
    named = {layer: place for layer, parts in layers.items()
             if (place := _peft_place(layer, parts, family, order.naming))}
    written.unnamed += [f"{layer}.{part}" for layer, parts in layers.items() if layer not in named for part in parts]
    for layer in named:
        written.ranks.setdefault(_network(named[layer]), set()).add(layers[layer][keys.DOWN].shape[0])
    too_great: list[str] = []
    written.halves = _half_dora({layer: layers[layer] for layer in named}, named)
    for layer, place in named.items():
        rank = max(written.ranks[_network(place)])
        folded = fold(layers[layer], rank, _sides(layer, family), widen=not order.precision)
        if not folded.is_finite:
            too_great.append(layer)
        written.origins[layer] = folded.origin
        written.wider += folded.is_wider
        written.tensors |= _parts(place, order.naming, folded, layers[layer].get(registry.DORA_SCALE))
    if too_great:
        raise UserError(f"{len(too_great)} layers of '{order.source.name}', such as '{too_great[0]}', have numbers "
                        f"that are none, or too great for {order.precision or 'any precision'} once their strength is "
                        "multiplied in. Choose bf16 or fp32.")
    return written


def _peft_place(layer: str, parts: Mapping[str, Tensor], family: Family, naming: str) -> str | None:
    """Returns a layer's new name; None where it, or one of its parts, has none."""
    foldable = {keys.DOWN, keys.UP} <= parts.keys() <= _FOLDABLE
    lengths = parts.get(registry.DORA_SCALE)
    per_output = lengths is None or lengths.shape[0] == lengths.numel() == parts[keys.UP].shape[0]
    return names.spelled(layer, family, naming) if foldable and per_output else None


def _network(place: str) -> str:
    return place.split(".", 1)[0]


def _sides(layer: str, family: Family) -> int:
    """Returns how many sides a projection's factors have in diffusers' model of the family; 0 = as they are."""
    if not layer.endswith(_PROJECTION):
        return 0
    return 4 if family.name == "sd1" else 2


def _parts(place: str, naming: str, folded: Folded, lengths: Tensor | None) -> dict[str, Tensor]:
    """Returns a layer's tensors as diffusers names them."""
    if naming == names.PEFT:
        down, up = "lora_A", "lora_B"
    else:
        word = "lora" if _network(place) == names.UNET or place.endswith("text_projection") else "lora_linear_layer"
        down, up = f"{word}.down", f"{word}.up"
    found = {f"{place}.{down}.weight": folded.down, f"{place}.{up}.weight": folded.up}
    if lengths is not None:
        # PEFT keeps the lengths of a kernel as (1, outputs, 1, 1), those of a matrix as (outputs).
        found[f"{place}.{names.MAGNITUDE}"] = lengths.reshape((1, -1, 1, 1) if folded.down.dim() == 4 else (-1,))
    return found


def _half_dora(layers: Mapping[str, Mapping[str, Tensor]], named: Mapping[str, str]) -> list[str]:
    """Returns the networks of which some layers are DoRA and some are not."""
    kinds: dict[str, set[bool]] = {}
    for layer, parts in layers.items():
        kinds.setdefault(_network(named[layer]), set()).add(registry.DORA_SCALE in parts)
    return [network for network, found in kinds.items() if len(found) > 1]


def _no_name(order: ConvertOrder, unnamed: list[str]) -> UserError:
    shown = ", ".join(f"'{name}'" for name in unnamed[:3])
    return UserError(
        f"{len(unnamed)} tensors of '{order.source.name}' have no name in the naming {order.naming}: {shown}"
        f"{' ...' if len(unnamed) > 3 else ''}. Nothing was written. Choose another naming, or allow them to be "
        "left out.")


def _outcome(order: ConvertOrder, lora: ReadLora, written: _Written) -> Outcome:
    notes = [*lora.notes, *_losses(order, written)]
    if order.naming not in _WITHOUT_ALPHA:
        notes += reading.carried_notes(lora)
    size, layers = order.out.stat().st_size, len(keys.by_layer(lora.tensors))
    told = f"{order.out.name}: {size / 1e6:.1f} MB, {layers} layers under the names of {order.naming}."
    facts = {"summary": told, "bytes": size, "layers": layers, "from": lora.naming, "to": order.naming,
             "family": lora.family, "left_out": len(written.unnamed)}
    return Outcome(order.out, facts, [], notes)


def _losses(order: ConvertOrder, written: _Written) -> list[str]:
    """Returns what the person must know about the new file."""
    notes = []
    if written.unnamed:
        notes.append(f"{len(written.unnamed)} tensors have no name in the naming {order.naming} and were left out: "
                     f"{', '.join(written.unnamed[:3])}{' ...' if len(written.unnamed) > 3 else ''}.")
    for network, ranks in written.ranks.items():
        if len(ranks) > 1:
            notes.append(f"{network}: the ranks {min(ranks)} to {max(ranks)} were all filled up with zeros to "
                         f"{max(ranks)}, because diffusers gives every layer the strength of one rank. The file is "
                         "bigger, its effect the same.")
    changed = sum(origin.scale != 1.0 for origin in written.origins.values())
    if changed:
        notes.append(f"The strength (alpha / rank) of {changed} layers was multiplied into their factors: these names "
                     "have no alpha. Converting back takes it out again.")
    if written.wider:
        notes.append(f"{written.wider} layers are stored in a wider dtype, as only that gives every bit back: the file "
                     "is bigger. Choose a precision to have it small, at the cost of its last bits.")
    lost = sum(not origin.exact for origin in written.origins.values())
    if lost:
        notes.append(f"{lost} layers will not come back bit for bit: their alpha is 0, or their numbers have no room "
                     "in this precision.")
    notes += [f"{network}: only some layers are DoRA, and diffusers takes all of them for DoRA: it will draw something "
              "else." for network in written.halves]
    return notes
