"""A network that can be trained: the layers of one LoRA, of any kind.

`create` makes a fresh network for chosen layers of a model, `from_state` makes one from a file's tensors, to be
trained on. A network owns its factors; how it joins a model for a while is told in `attach`. Files that are used and
not trained are read by `loaded`.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lib_trainer import seeds
from lib_trainer.blocks.layouts import in_words
from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.host_model import HostModel, Target
from lib_trainer.lora import keys
from lib_trainer.lora.adapters import making
from lib_trainer.lora.adapters.facts import FACTS
from lib_trainer.lora.adapters.form import Dropout
from lib_trainer.lora.adapters.making import Trainable
from lib_trainer.lora.adapters.masks import Masks
from lib_trainer.lora.adapters.weight_layer import WeightLayer
from lib_trainer.lora.algorithms.parts import NUMBERS
from lib_trainer.lora.attach import Attachable
from lib_trainer.lora.choice import NetworkSpec, choose

UNET, TEXT_ENCODER, TEXT_ENCODER_2 = "unet", "text_encoder", "text_encoder_2"
PARTS = (UNET, TEXT_ENCODER, TEXT_ENCODER_2)
"""The parts of a model that have a learning rate of their own; the last one is SDXL's second text encoder."""


class Network(Attachable[Trainable]):
    """The layers of one LoRA, which can be trained.

    Attributes:
        algorithm: the kind, a key of `adapters.facts.FACTS`.
        dropout: what is left out in turns of training.
        rates: factors of the learning rate by layer name; 1 where there is none.
    """

    def __init__(
        self, members: Sequence[Trainable], algorithm: str = "lora", dropout: Dropout | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(members)
        self.algorithm = algorithm
        self.dropout = dropout or Dropout()
        self.rates = dict(rates or {})
        self._left_out: dict[str, float] = {}

    def block_rate(self, name: str) -> float:
        """Returns what the learning rate of a layer is multiplied with."""
        return self.rates.get(name, 1.0)

    def begin_turn(self, generator: torch.Generator | None) -> None:
        """Draws what the coming forward pass and its backward leave out; ends when the network leaves the model.

        Args:
            generator: belongs to this turn alone (seed, update, micro-batch), CPU; None = nothing is left out, as in
                validation and in pictures.
        """
        self._end_turn()
        if generator is None or not (self.dropout or self.algorithm == "dylora"):
            return
        masks = Masks.draw(generator, self.dropout)
        for name, layer in self.layers.items():
            layer.masks = masks
            if masks.drops(name):
                self._left_out[name] = layer.multiplier
                layer.multiplier = 0.0

    def _end_turn(self) -> None:
        if next(iter(self.layers.values())).masks is None:
            return
        for layer in self.layers.values():
            layer.masks = None
        for name, multiplier in self._left_out.items():
            self.layers[name].multiplier = multiplier
        self._left_out.clear()

    @contextmanager
    def attached(self, targets: Sequence[Target], multipliers: Mapping[str, float] | None = None) -> Iterator[Network]:
        """While open, every layer adds its delta to its target's output; see `Attachable.attached`."""
        with super().attached(targets, multipliers):
            try:
                yield self
            finally:
                self._end_turn()

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Network:
        """Moves the factors in place (the same parameters stay)."""
        for layer in self.layers.values():
            layer.to(device=device, dtype=dtype)
        return self

    def requires_grad_(self, wanted: bool = True) -> Network:
        """Switches the training of all factors on or off."""
        for layer in self.layers.values():
            layer.requires_grad_(wanted)
        return self

    def state_dict(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Returns copies on the CPU under the names of kohya's and LyCORIS' files.

        Args:
            dtype: of all tensors, the alphas included, as kohya writes them.
        """
        return {
            f"{self.file_name(name)}.{part}": tensor.to("cpu", dtype, copy=True).contiguous()
            for name, layer in self.layers.items() for part, tensor in layer.stored().items()
        }

    def file_name(self, name: str) -> str:
        """Returns what a layer is called in the network's file: sd-scripts' OFT has a prefix of its own."""
        prefix = FACTS[self.algorithm].prefix
        return prefix + name.removeprefix("lora_unet_") if prefix else name

    @property
    def numbers(self) -> int:
        """How many numbers a file of this network holds."""
        return sum(tensor.numel() for layer in self.layers.values() for tensor in layer.stored().values())


def part_of(name: str) -> str:
    """Returns the one of PARTS that a kohya layer name belongs to."""
    if name.startswith("lora_unet_"):
        return UNET
    return TEXT_ENCODER_2 if name.startswith("lora_te2_") else TEXT_ENCODER


def places(model: HostModel, network: Attachable) -> list[Target]:  # type: ignore[type-arg]
    """Returns the model's layers for a network to be attached to; those listed apart only where it has one of them."""
    targets = model.targets()
    if len(network.layers.keys() - {target.name for target in targets}):
        targets = [*targets, *model.other_targets()]
    return targets


def create(targets: Sequence[Target], spec: NetworkSpec, family: Family, seed: int) -> Network:
    """Makes a fresh network that changes nothing yet.

    Every layer draws from a generator of its own name, so a layer starts the same whichever others are trained.

    Args:
        targets: every layer the model offers.
        spec: what to adapt and how.
        family: tells layers apart by name.
        seed: of the run.

    Raises:
        UserError: the spec leaves no layer to train, or a layer cannot be made so.
    """
    chosen = choose(targets, spec, family)
    if not chosen:
        raise UserError(
            "No layer is left to train: neither the text encoder nor any U-Net layer of the chosen blocks "
            f"({in_words(spec.blocks) if spec.blocks is not None else 'all'}) is on. "
            "Choose blocks that hold attention layers (17-block names), or set a conv rank."
        )
    members = [
        making.create(
            choice.target, choice.algorithm, choice.rank, choice.alpha, spec.form,
            seeds.torch_generator(seed, "init", choice.target.name), choice.on_input,
        ) for choice in chosen
    ]
    return Network(members, spec.algorithm, spec.dropout, rates_of(members, spec))


def rates_of(members: Sequence[Trainable], spec: NetworkSpec) -> dict[str, float]:
    """Returns the factors of the learning rate that a spec gives to layers."""
    if spec.rates is None:
        return {}
    return {layer.name: rate for layer in members if (rate := spec.rates.of(layer.name)) != 1.0}


def from_state(
    targets: Sequence[Target], state: Mapping[str, Tensor], algorithm: str = "lora", unit: int = 1
) -> tuple[Network, list[str]]:
    """Makes a network from a file's tensors; kind, rank and alpha are the file's, layer by layer.

    Args:
        targets: every layer the model offers.
        state: tensors under the names of kohya's and LyCORIS' files; a LoRA layer without alpha has alpha = rank.
        algorithm, unit: how a plain LoRA is trained on: "lora", "lora_fa" or "dylora" in units.

    Returns:
        The network and the names of the tensors that are left out: the model has no such layer, or they cannot be
        trained on.

    Raises:
        UserError: a kind that cannot be trained on, factors that do not fit, or no layer that fits.
    """
    grouped = {keys.canonical(layer): (layer, parts) for layer, parts in keys.by_layer(state).items()}
    members = [making.from_parts(target, grouped[target.name][1], algorithm, unit)
               for target in targets if target.name in grouped]
    known = {layer.name: layer.stored().keys() for layer in members}
    unmatched = [f"{written}.{part}" for name, (written, parts) in grouped.items() for part in parts
                 if name not in known or (part not in known[name] and part not in NUMBERS)]
    if not members:
        raise UserError(keys.no_layer_fits(keys.by_layer(state)))
    is_kohya = any(written.startswith(FACTS["oft_kohya"].prefix) for written, _ in grouped.values())
    return Network(members, "oft_kohya" if is_kohya else _kind_of(members, algorithm)), unmatched


def _kind_of(members: Sequence[Trainable], algorithm: str) -> str:
    """Returns the key of `FACTS` of a file's layers: that of the first which is no norm."""
    kinds = (layer.kind.name for layer in members if isinstance(layer, WeightLayer))
    kind = next((kind for kind in kinds if kind != making.NORM), "lora")
    if kind == "oft" and any(layer.stored().get("oft_blocks", torch.empty(0)).dim() == 4 for layer in members):
        return "boft"
    return algorithm if kind == "lora" else kind
