"""LoRAs that act in some steps of a picture only: `start=`, `stop=`, `step=` in the WebUIs.

A pass (hires is one of its own) begins with all its LoRAs active, as the host has activated them. Before its first step
they are set to what the first step wants, and again at the beginning of every step in which others act than before. A
LoRA that does not act weighs 0 in every layer, so switching is a change of numbers like any other, and the host sees
it by its own comparison. What the text encoder adds is encoded once for every set of LoRAs that acts in some step,
through the host's own way from prompt to text states, before the sampling begins; each step then gets its own. Forge
and reForge activate the LoRAs of both passes in turn after that, so what was encoded is kept as long as the picture is
being made.

Steps are the sampler's, counted from 1: the host's denoiser counts its calls and knows how many of them its sampler
makes for a step (its `sampling_step` lags behind by one).
"""
from __future__ import annotations

import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib_trainer.blocks.layouts import BASE
from lib_trainer.blocks.multipliers import summed
from lib_trainer.blocks.resolve import Weights
from lib_trainer.blocks.rules import Rule
from lib_trainer.blocks.windows import ALWAYS
from lib_trainer.hosts.webui import text_states
from lib_trainer.hosts.webui.backend import Backend, Weighted
from lib_trainer.hosts.webui.generations import OfGeneration
from lib_trainer.hosts.webui.live import LiveAdapters

_NOTHING = (Rule(blocks=frozenset(), elements=(), ratio=0.0),)
"""The rules of a LoRA that does not act: 0 for every layer, those in no block too."""


_TEXT_STAYS = ("start=, stop= and step= act on the U-Net alone here: this picture is drawn without the script of Train "
               "LoRA, so what these LoRAs change in the text encoder stays on in every step.")

_States = dict[tuple[bool, ...], text_states.TextStates]


def silent(weights: Weights) -> Weights:
    """Returns the weights of a tag while its LoRA does not act."""
    return replace(weights, te=0.0, unet=0.0, rules=_NOTHING, digest=f"{weights.digest}-off")


@dataclass(frozen=True)
class _Pass:
    """One pass of a picture.

    Attributes:
        p: the host's processing object. files: the LoRAs of the prompt. live: tags that name the adapters in training.
        layers: those of the adapters in training.
    """

    p: weakref.ref[Any]
    files: Sequence[Weighted]
    live: Sequence[Weights]
    layers: Sequence[str]
    arch: str

    def key(self) -> Hashable:
        """What tells this pass from the other one of its picture."""
        tags = tuple((weights.name, weights.digest, weights.window) for weights in self._all())
        return getattr(self.p(), "is_hr_pass", False), tags

    def acting(self, step: int) -> tuple[bool, ...]:
        """Tells for every tag whether it acts in a step."""
        return tuple(weights.window.acts_at(step) for weights in self._all())

    def sets(self) -> set[tuple[bool, ...]]:
        """Returns every set of tags that acts in some step."""
        steps = {1}
        for weights in self._all():
            steps |= {weights.window.start, weights.window.stop or 1}
        return {self.acting(step) for step in steps}

    def chosen(self, acting: Sequence[bool]) -> list[Weighted]:
        """Returns the LoRAs with those silent that do not act."""
        return [one if acts else replace(one, weights=silent(one.weights))
                for one, acts in zip(self.files, acting, strict=False)]

    def multipliers(self, acting: Sequence[bool]) -> dict[str, float]:
        """Returns the sum of what the tags that act ask of the adapters in training."""
        chosen = [weights for weights, acts in zip(self.live, acting[len(self.files):], strict=True) if acts]
        return summed(chosen, self.layers, self.arch)

    def is_on_text(self) -> bool:
        """Whether a LoRA with a window may act on the text encoder."""
        return any(weights.window != ALWAYS and _is_on_text(weights) for weights in self._all())

    def _all(self) -> list[Weights]:
        return [*(one.weights for one in self.files), *self.live]


def _is_on_text(weights: Weights) -> bool:
    if weights.te == 0.0:
        return False
    return bool(weights.rules) or weights.ratios is None or weights.ratios[BASE] != 0.0


class StepWindows:
    """The windows of the pass under way."""

    def __init__(self, backend: Backend, adapters: LiveAdapters) -> None:
        self._backend = backend
        self._adapters = adapters
        self._pass: _Pass | None = None
        self._acting: tuple[bool, ...] = ()
        self._readied: OfGeneration[dict[Hashable, _States]] = OfGeneration()

    def begin(self, p: Any, files: Sequence[Weighted], live: Sequence[Weights]) -> None:
        """Takes in a pass whose LoRAs have just been activated and weighed.

        Args:
            p: the host's processing object.
            files: the LoRAs in the order in which the host got them.
            live: tags that name the adapters in training.
        """
        self.end()
        if any(weights.window != ALWAYS for weights in (*(one.weights for one in files), *live)):
            network = self._adapters.network
            arch = self._backend.checkpoint().family.arch
            self._pass = _Pass(weakref.ref(p), files, live, list(network.layers) if network else [], arch)
            if self._states() is not None:
                self._set_first(p, self._pass)

    def end(self) -> None:
        """Forgets the pass; whoever calls this has everything put back."""
        self._pass, self._acting = None, ()

    def sampling_begins(self, p: Any) -> None:
        """Encodes the prompt for every set of LoRAs that acts in some step, and sets what acts in the first."""
        under_way = self._of(p)
        if under_way is None:
            return
        states: _States = {}
        if under_way.is_on_text():
            states = text_states.encoded(p, under_way.sets(), lambda acting: self._set(p, under_way, acting))
        self._readied.put(p, {**(self._readied.get(p) or {}), under_way.key(): states})
        self._set_first(p, under_way)

    def step_begins(self, params: Any) -> None:
        """Switches to what acts in the step that begins.

        A picture that is drawn without our script was not readied: its text states stay as they are, which is told.

        Args:
            params: the host's `CFGDenoiserParams`, whose text states are exchanged.
        """
        p: Any = getattr(params.denoiser, "p", None)
        under_way = self._of(p)
        if under_way is None:
            return
        states = self._states()
        if states is None:
            states = {}
            if not self._acting and under_way.is_on_text():
                p.comment(_TEXT_STAYS)
        acting = under_way.acting(step_of(params.denoiser))
        if acting != self._acting:
            self._acting = acting
            self._backend.switch(p, under_way.chosen(acting))
            self._set_live(under_way, acting)
        if acting in states:
            states[acting].put(params)

    def _states(self) -> _States | None:
        """The text states of the pass by who acts; empty where they do not differ, None before `sampling_begins`."""
        p = None if self._pass is None else self._pass.p()
        if self._pass is None or p is None:
            return None
        return (self._readied.get(p) or {}).get(self._pass.key())

    def _of(self, p: Any) -> _Pass | None:
        return self._pass if self._pass is not None and p is not None and self._pass.p() is p else None

    def _set_first(self, p: Any, under_way: _Pass) -> None:
        self._acting = under_way.acting(1)
        self._set(p, under_way, self._acting)

    def _set(self, p: Any, under_way: _Pass, acting: tuple[bool, ...]) -> None:
        """Sets what acts in text encoder and U-Net, outside of the sampling."""
        self._backend.unweigh(p)
        self._backend.weigh(p, under_way.chosen(acting))
        self._set_live(under_way, acting)

    def _set_live(self, under_way: _Pass, acting: Sequence[bool]) -> None:
        if under_way.live:
            self._adapters.set_multipliers(under_way.multipliers(acting))


def step_of(denoiser: Any) -> int:
    """Returns the step, counted from 1, that the host's denoiser is about to draw; UniPC's last call is in the last.

    Args:
        denoiser: its `CFGDenoiser`: `step` calls were made, `total_steps` will be made for `steps` steps.
    """
    steps = denoiser.steps or denoiser.total_steps or 1
    calls_of_a_step = max(1, (denoiser.total_steps or steps) // steps)
    return min(int(denoiser.step) // calls_of_a_step + 1, steps)

