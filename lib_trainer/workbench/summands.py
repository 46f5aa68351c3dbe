"""The LoRAs of a sum, read and weighted: which of their layers go in, times what; whether they go together at all."""
from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import Lacking, UserError
from lib_trainer.lora import keys
from lib_trainer.lora.bake import NOT_LAYERS
from lib_trainer.lora.checkpoint_layers import FAMILIES
from lib_trainer.workbench import factors, reading, weighting
from lib_trainer.workbench.operation import Progress
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.sources import Source


@dataclass
class Summand:
    """One LoRA of a sum.

    Attributes:
        source: its file with its strengths. lora: what was read.
        layers: tensors by layer (kohya's name) and part. factors: what each layer's change is multiplied with.
        notes: sentences for the person.
    """

    source: Source
    lora: ReadLora
    layers: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The file's name, for sentences."""
        return self.source.path.name

    def acting(self) -> list[str]:
        """Returns the layers that are not multiplied with 0."""
        return [layer for layer in self.layers if self.factors[layer] != 0.0]


def read(sources: Sequence[Source], family: str) -> Generator[Progress, None, list[ReadLora]]:
    """Reads the files one after the other.

    Args:
        sources: the files, each with its strengths. family: of all of them; "" = as they tell.

    Raises:
        UserError: a file cannot be read.
    """
    loras = []
    for number, source in enumerate(sources):
        yield Progress(number, len(sources), "Reading")
        loras.append(reading.read(source.path, family, hashed=True))
    return loras


def family_of(loras: Sequence[ReadLora]) -> str | None:
    """Returns the family that the LoRAs are for; None = none of them tells.

    Raises:
        UserError: they are for different ones.
    """
    told = {lora.family: lora for lora in loras if lora.family}
    if len(told) > 1:
        named = " and ".join(f"'{lora.path.name}' for {FAMILIES[family or ''].label}" for family, lora in told.items())
        raise UserError(f"LoRAs of different kinds of models cannot be added: {named}. Choose LoRAs of one kind.")
    return next(iter(told), None)


def weighted(
    source: Source, lora: ReadLora, family: str | None, presets: Presets, elements: Elements
) -> Summand:
    """Returns a LoRA with the factor of each of its layers.

    Args:
        source: the file with its strengths. lora: what was read.
        family: of the sum; a file that does not tell its own is read again by it. None = not known.
        presets, elements: what names in block weights mean.

    Raises:
        UserError: the block weights cannot be read.
    """
    if source.weights.strip() and family is None:
        raise Lacking("family", [f"'{source.path.name}' does not tell which kind of model it is for, so its blocks are "
                                 "not known. Name the family, or leave the block weights out."])
    if family and lora.family is None:
        lora = reading.read(lora.path, family, hashed=True)
    found = Summand(source, lora, keys.by_layer(lora.tensors), notes=[f"{lora.path.name}: {note}"
                                                                      for note in lora.notes])
    arch = FAMILIES[family].arch if family else ""
    found.factors, notes = weighting.factors(source, found.layers, arch, presets, elements)
    found.notes += notes
    unknown = [name for name in lora.carried if not name.startswith(NOT_LAYERS)]
    if unknown:
        found.notes.append(f"{lora.path.name}: {len(unknown)} tensors are of a kind that is not known here, such as "
                           f"'{unknown[0]}', and are not part of the sum.")
    return found


def check(summands: Sequence[Summand], base: Path | None) -> None:
    """Refuses what cannot be added up, before any work is done.

    Args:
        summands: all LoRAs. base: the base checkpoint, None = none at hand.

    Raises:
        UserError: a LoRA needs the base checkpoint, or nothing is left of the sum.
    """
    if not any(summand.acting() for summand in summands):
        raise UserError("The strengths leave nothing of the sum: every layer would be at 0. Choose other strengths or "
                        "block weights.")
    faults = []
    for summand in summands:
        needy = [layer for layer in summand.acting() if factors.needs_base(summand.layers[layer])]
        if needy and base is None:
            kinds = keys.algorithm(f"{needy[0]}.{part}" for part in summand.layers[needy[0]])
            faults.append(f"{len(needy)} layers of '{summand.name}', such as '{needy[0]}', are of the kind {kinds}, "
                          "whose change depends on the model's own weights. Name the base checkpoint, the one that the "
                          "LoRA was trained on.")
    if faults:
        raise Lacking("base", faults)


def together(layer: str, summands: Sequence[Summand]) -> list[tuple[Summand, float]]:
    """Returns the LoRAs that act on a layer, each with its factor; a file that is named twice counts once, with the sum
    of its factors, and not at all where that is 0.
    """
    found: dict[str, tuple[Summand, float]] = {}
    for number, summand in enumerate(summands):
        factor = summand.factors.get(layer, 0.0)
        if factor != 0.0:
            same = summand.lora.model_hash or str(number)
            found[same] = (summand, factor + (found[same][1] if same in found else 0.0))
    return [(summand, factor) for summand, factor in found.values() if factor != 0.0]


def need_base(summands: Sequence[Summand]) -> bool:
    """Whether what a layer of the sum does depends on the base model's weights."""
    return any(factors.needs_base(summand.layers[layer]) for summand in summands for layer in summand.acting())


def described(summand: Summand) -> dict[str, object]:
    """Returns what a file's record says of a source: name, hash of its tensors, strengths, block weights."""
    source = summand.source
    found = {"name": source.path.stem, "model_hash": summand.lora.model_hash,
             "te": source.strength if source.te is None else source.te,
             "unet": source.strength if source.unet is None else source.unet, "weights": source.weights.strip()}
    return {key: value for key, value in found.items() if value != ""}


def embeddings(summands: Sequence[Summand]) -> tuple[dict[str, Tensor], list[str]]:
    """Returns the embeddings that travel with the LoRAs, for the sum's file, and sentences about what stays behind."""
    kept: dict[str, Tensor] = {}
    notes = []
    for summand in summands:
        own = {name: tensor for name, tensor in summand.lora.carried.items() if name.startswith(NOT_LAYERS)}
        twice = [name for name in own if name in kept]
        if twice:
            notes.append(f"{summand.name}: the embedding '{twice[0]}' has the name of one of another source, and is "
                         "left out.")
        kept |= {name: tensor for name, tensor in own.items() if name not in kept}
    return kept, notes
