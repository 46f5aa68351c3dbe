"""A LoRA that is about to change a checkpoint: which of its layers find their place, and what each does there."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import checkpoint, checkpoint_layers, keys
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.bake import NOT_LAYERS
from lib_trainer.lora.checkpoint_layers import Layer, Place
from lib_trainer.workbench import weighting
from lib_trainer.workbench.sources import Source


@dataclass
class Acting:
    """An open LoRA.

    Attributes:
        source: the file with its strengths.
        layers: its layers that act, as the file spells them: where each is in the checkpoint.
        factors: what each layer's change is multiplied with. parts: tensor name of every part, by layer.
        left_out: names of layers that the checkpoint lacks. notes: sentences for the person.
    """

    source: Source
    tensors: checkpoint.Tensors
    layers: dict[str, Layer] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def places(self) -> Iterator[tuple[str, Place]]:
        """Yields every layer that acts with the places in the checkpoint that it changes: weight, bias or both."""
        for layer, found in self.layers.items():
            if self.factors[layer] == 0.0:
                continue
            if any(part not in registry.BIASES for part in self.parts[layer]):
                yield layer, found.weight
            if found.bias is not None and registry.has_bias(self.parts[layer]):
                yield layer, found.bias

    def change(self, layer: str, place: Place, former: Tensor) -> Tensor:
        """Returns what a layer adds to a weight or bias.

        Args:
            layer: as the file spells it. place: which of the two is asked for.
            former: the checkpoint's own numbers there, float64.

        Raises:
            UserError: the layer does not fit.
        """
        wants_bias = place == self.layers[layer].bias
        stored = {part: self.tensors.read(name) for part, name in self.parts[layer].items()
                  if (part in registry.BIASES) == wants_bias}
        found = registry.change(layer, layer_parts.read(stored, former.device).to_double(), former)
        delta = found.bias if wants_bias else found.weight
        if delta is None or delta.shape != former.shape:
            raise UserError(f"The layer '{layer}' of '{self.source.path.name}' does not fit the checkpoint, whose "
                            f"tensor '{place.key}' is {list(former.shape)}. Choose the checkpoint that it was made "
                            "for.")
        return self.factors[layer] * delta


@contextmanager
def opened(
    source: Source, family: Family, known: Mapping[str, Layer], presets: Presets, elements: Elements
) -> Iterator[Acting]:
    """Yields a LoRA, valid while open.

    Args:
        source: the file with its strengths.
        family: the checkpoint's. known: its layers.
        presets, elements: what names in block weights mean.

    Raises:
        UserError: the file is damaged, is for another family, or none of its layers acts.
    """
    with checkpoint.opened(source.path) as tensors:
        _refuse_other_family(source, tensors, family)
        acting = Acting(source, tensors)
        named = {name: name for name in tensors.entries}
        for layer, parts in keys.by_layer(named).items():
            _sort_in(acting, layer, parts, known, family)
        acting.factors, notes = weighting.factors(source, acting.layers, family.arch, presets, elements)
        acting.notes += [*notes, *_told(acting)]
        if not any(acting.factors.values()):
            raise UserError(f"Nothing of '{source.path.name}' acts on this checkpoint: "
                            + (f"it has no place for any of its {len(acting.left_out)} layers, such as "
                               f"'{min(acting.left_out, default='')}'. Choose a checkpoint of its family."
                               if not acting.layers else "every layer would be at 0. Choose other weights."))
        yield acting


def _refuse_other_family(source: Source, tensors: checkpoint.Tensors, family: Family) -> None:
    shapes = {name: shape for name, (_, shape) in tensors.entries.items()}
    found = keys.family(shapes, tensors.metadata)
    if found and found != family.name:
        raise UserError(f"'{source.path.name}' is a LoRA for {checkpoint_layers.FAMILIES[found].label}, and the "
                        f"checkpoint is {family.label}. Choose a LoRA and a checkpoint of one family.")


def _sort_in(
    acting: Acting, layer: str, parts: dict[str, str], known: Mapping[str, Layer], family: Family
) -> None:
    """Puts a layer of the file where it belongs: among those that act, or those that are left out."""
    name = acting.source.path.name
    place = checkpoint_layers.find(known, keys.canonical(layer), family)
    if layer in NOT_LAYERS:
        acting.notes.append(f"'{name}' carries {len(parts)} tensors of embeddings, which no checkpoint can hold.")
    elif place is None or not registry.acts(parts):
        acting.left_out.append(layer)
    else:
        acting.layers[layer], acting.parts[layer] = place, parts


def _told(acting: Acting) -> Iterator[str]:
    """Yields what of the file does not act."""
    name = acting.source.path.name
    if acting.left_out:
        yield (f"{len(acting.left_out)} layers of '{name}' have no place in this checkpoint and are not merged, such "
               f"as '{acting.left_out[0]}'.")
    unread = [f"{layer}.{part}" for layer, parts in acting.parts.items() for part in registry.unknown(parts)]
    if unread:
        yield f"{len(unread)} tensors of '{name}' are of no known kind and do not act, such as '{unread[0]}'."
    homeless = [layer for layer, parts in acting.parts.items()
                if registry.has_bias(parts) and acting.layers[layer].bias is None]
    if homeless:
        yield (f"{len(homeless)} layers of '{name}' change a bias that the checkpoint does not have, such as "
               f"'{homeless[0]}': only their weights are merged.")
