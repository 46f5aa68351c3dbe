"""A LoRA that is about to change a checkpoint: which of its layers find their place, and what each does there."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import checkpoint_layers
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.bake import NOT_LAYERS
from lib_trainer.lora.checkpoint_layers import Layer, Place
from lib_trainer.workbench import factors, reading, summands
from lib_trainer.workbench.sources import Source
from lib_trainer.workbench.summands import Summand


@dataclass
class Acting:
    """A LoRA with its places.

    Attributes:
        summand: what was read, with the factor of every layer.
        layers: where the layers that act are in the checkpoint.
        left_out: names of layers that the checkpoint lacks. notes: sentences for the person.
    """

    summand: Summand
    layers: dict[str, Layer] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def places(self) -> Iterator[tuple[str, Place]]:
        """Yields every layer that acts with the places in the checkpoint that it changes: weight, bias or both."""
        for layer, found in self.layers.items():
            parts = self.summand.layers[layer]
            if any(part not in registry.BIASES for part in parts):
                yield layer, found.weight
            if found.bias is not None and registry.has_bias(parts):
                yield layer, found.bias

    def change(self, layer: str, place: Place, former: Tensor) -> Tensor:
        """Returns what a layer adds to a weight or bias at strength 1.

        Args:
            layer: kohya's name. place: which of the two is asked for.
            former: the checkpoint's own numbers there, float64.

        Raises:
            UserError: the layer does not fit, or holds no numbers.
        """
        wants_bias = place == self.layers[layer].bias
        stored = {part: tensor for part, tensor in self.summand.layers[layer].items()
                  if (part in registry.BIASES) == wants_bias}
        parts = layer_parts.read(stored, former.device).to_double()
        factors.require_numbers(layer, parts)
        found = registry.change(layer, parts, former)
        delta = found.bias if wants_bias else found.weight
        if delta is None or delta.shape != former.shape:
            raise UserError(f"The layer '{layer}' of '{self.summand.name}' does not fit the checkpoint, whose tensor "
                            f"'{place.key}' is {list(former.shape)}. Choose the checkpoint that it was made for.")
        return delta


def placed(
    source: Source, family: Family, known: Mapping[str, Layer], presets: Presets, elements: Elements
) -> Acting:
    """Reads a LoRA and finds the places of its layers.

    Args:
        source: the file with its strengths.
        family: the checkpoint's. known: its layers.
        presets, elements: what names in block weights mean.

    Raises:
        UserError: the file is damaged, is for another family, or none of its layers acts.
    """
    lora = reading.read(source.path, hashed=True)
    if lora.family and lora.family != family.name:
        raise UserError(f"'{source.path.name}' is a LoRA for {checkpoint_layers.FAMILIES[lora.family].label}, and the "
                        f"checkpoint is {family.label}. Choose a LoRA and a checkpoint of one family.")
    acting = Acting(summands.weighted(source, lora, family.name, presets, elements))
    for layer in acting.summand.acting():
        place = checkpoint_layers.find(known, layer, family)
        if place is None:
            acting.left_out.append(layer)
        else:
            acting.layers[layer] = place
    _require_some(acting)
    acting.notes += [*acting.summand.notes, *_told(acting)]
    return acting


def _require_some(acting: Acting) -> None:
    """Refuses a LoRA of which nothing would be merged.

    Raises:
        UserError: it is one.
    """
    name = acting.summand.name
    if not acting.layers and acting.left_out:
        raise UserError(f"The checkpoint has no place for any of the {len(acting.left_out)} layers of '{name}', such "
                        f"as '{acting.left_out[0]}'. Choose a checkpoint of its family.")
    if not acting.layers:
        raise UserError(f"Nothing of '{name}' would be merged: every layer would be at 0. Choose other weights.")


def _told(acting: Acting) -> Iterator[str]:
    """Yields what of the file does not act."""
    name = acting.summand.name
    if acting.left_out:
        yield (f"Layers of '{name}' that have no place in this checkpoint and are not merged: {len(acting.left_out)}, "
               f"such as '{acting.left_out[0]}'.")
    if any(tensor.startswith(NOT_LAYERS) for tensor in acting.summand.lora.carried):
        yield f"'{name}' carries embeddings, which no checkpoint can hold: they are not merged."
    homeless = [layer for layer, found in acting.layers.items()
                if registry.has_bias(acting.summand.layers[layer]) and found.bias is None]
    if homeless:
        yield (f"Layers of '{name}' that change a bias which the checkpoint does not have: {len(homeless)}, such as "
               f"'{homeless[0]}'. Only their weights are merged.")
