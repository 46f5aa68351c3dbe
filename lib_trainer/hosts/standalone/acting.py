"""LoRAs at work in one generation: attached to the model, switched on and off at the steps that their tags name.

Every tag is a part of its own: the multipliers that it asks for, and the window of sampler steps in which it acts. In a
step the parts of one network add up. A network stays attached for the whole picture; at the beginning of a step in
which other parts act than before, its multipliers are set anew. The text encoder's share is switched with the rest:
whoever encodes the prompt learns from `begin` in which state the encoder is, and encodes once for every state.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from lib_trainer.blocks.layers import is_text_encoder
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.resolve import Weights
from lib_trainer.blocks.windows import Window
from lib_trainer.host import LiveNetwork
from lib_trainer.host_model import Target


@dataclass(frozen=True)
class _Part:
    """What one tag asks of a network: a multiplier for every layer, while its window is open."""

    factors: Mapping[str, float]
    window: Window
    on_text: bool


@dataclass
class _Member:
    """A network with the parts of all tags that name it; `acting` are the places of those that act now."""

    network: LiveNetwork
    parts: list[_Part] = field(default_factory=list)
    acting: tuple[int, ...] = ()

    def at(self, step: int) -> tuple[int, ...]:
        return tuple(place for place, part in enumerate(self.parts) if part.window.acts_at(step))

    def factors(self) -> dict[str, float]:
        """The sum of what acts now; 0 for every layer when nothing does."""
        total = dict.fromkeys(self.network.layers, 0.0)
        for place in self.acting:
            for layer, factor in self.parts[place].factors.items():
                total[layer] += factor
        return total

    def on_text(self) -> tuple[int, ...]:
        return tuple(place for place in self.acting if self.parts[place].on_text)


class Acting:
    """The networks that one prompt names."""

    def __init__(self, arch: str) -> None:
        """Starts without any; `arch` is the checkpoint's: "sd15" or "sdxl"."""
        self._arch = arch
        self._members: dict[int, _Member] = {}

    def add(self, weights: Weights, network: LiveNetwork) -> None:
        """Takes in a tag's network; one may come several times, each time with weights and a window of its own."""
        factors = multipliers(weights, network.layers, self._arch)
        on_text = any(factor and is_text_encoder(layer) for layer, factor in factors.items())
        member = self._members.setdefault(id(network), _Member(network))
        member.parts.append(_Part(factors, weights.window, on_text))

    def uses(self, network: LiveNetwork) -> bool:
        """Whether a tag has named this network."""
        return id(network) in self._members

    @contextmanager
    def attached(self, targets: Sequence[Target]) -> Iterator[None]:
        """While open, the networks act on the targets, as in step 1 at first; on the way out nothing is left."""
        with ExitStack() as stack:
            for member in self._members.values():
                member.acting = member.at(1)
                stack.enter_context(member.network.attached(targets, member.factors()))
            yield

    def begin(self, step: int) -> Hashable:
        """Switches to what acts in a step of the sampler, counted from 1.

        Returns:
            the state of the text encoder: equal in two steps when the same parts act on it.
        """
        for member in self._members.values():
            acting = member.at(step)
            if acting != member.acting:
                member.acting = acting
                member.network.set_multipliers(member.factors())
        return tuple(member.on_text() for member in self._members.values())
