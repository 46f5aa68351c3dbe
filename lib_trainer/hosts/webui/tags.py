"""LoRA tags in the WebUIs' generation: our extra network stands before the host's own `lora` and `lyco`.

The host cuts tags out of the prompt and calls the extra network of that name, once for every pass (hires as well). Ours
reads the block weights, calls the host's network with arguments that it understands, and has the backend give every
layer its factor. A prompt without an argument of ours goes straight through. What a person must know (an unknown
preset, a LoRA that is not there) becomes a comment of the picture; the LoRA then acts with plain strength.
"""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lib_trainer.blocks.layers import is_text_encoder
from lib_trainer.blocks.layouts import BASE
from lib_trainer.blocks.multipliers import summed
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve, resolve_all
from lib_trainer.blocks.rules import inline
from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME
from lib_trainer.hosts.webui import infotext, lora_files
from lib_trainer.hosts.webui.backend import Weighted
from lib_trainer.hosts.webui.hidden_tags import HiddenTags
from lib_trainer.hosts.webui.tag_reading import Mark, Reading, given, read

if TYPE_CHECKING:
    from lib_trainer.hosts.webui.host import WebUIHost

_COND_CACHES = ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc")
_NAMES = ("lora", "lyco")


@dataclass(frozen=True)
class _Given:
    """A tag on its way to the host's network: its parameters, its reading, and its weights."""

    params: Any
    reading: Reading
    weights: Weights


class LoraTags:
    """An extra network in front of the host's own.

    Attributes:
        name: the extra network's name, "lora".
        stock: the host's own network.
    """

    def __init__(self, stock: Any, host: WebUIHost) -> None:
        self.name = _NAMES[0]
        self.stock = stock
        self._backend = host.backend
        self._requests = host.requests
        self._adapters = host.adapters
        self._windows = host.windows
        self._other = host.other
        self._hidden = HiddenTags()

    def activate(self, p: Any, params_list: Sequence[Any]) -> None:
        """Applies the LoRAs of a prompt; called by the host under its lock, in every pass.

        Args:
            p: the host's processing object.
            params_list: one `ExtraNetworkParams` a tag, in the prompt's order.
        """
        self._put_back(p)
        infotext.forget(p)
        if self._other.acts:
            self._activate_aside(p, params_list)
            return
        readings = [read(params.items) for params in params_list]
        missing = self._backend.unknown_loras(
            [reading.tag.name for reading in readings if reading.tag.name and not self._is_live(reading)])
        if not missing and all(reading.is_plain and not self._is_live(reading) for reading in readings):
            self.stock.activate(p, params_list)
        else:
            self._activate_ours(p, list(zip(params_list, readings, strict=True)), frozenset(missing))

    def deactivate(self, p: Any) -> None:
        """Ends what `activate` began."""
        self._put_back(p)
        self.stock.deactivate(p)

    @staticmethod
    def _is_live(reading: Reading) -> bool:
        return reading.tag.name == TRAINING_NAME

    def _put_back(self, p: Any) -> None:
        self._windows.end()
        self._adapters.rest()
        self._backend.unweigh(p)

    def _activate_ours(self, p: Any, tags: list[tuple[Any, Reading]], missing: frozenset[str]) -> None:
        every = [_Given(params, reading, weights)
                 for (params, reading), weights in zip(tags, self._resolved(p, [r for _, r in tags]), strict=True)]
        _tell(p, [f"There is no LoRA '{name}'{_advice(name)}: drawn without it." for name in sorted(missing)])
        live = [one for one in every if self._is_live(one.reading)]
        files = [one for one in every
                 if one.reading.tag.name and one.reading.tag.name not in missing and one not in live]
        for one in every:
            if not one.reading.is_plain:
                _mark(one.params, one.weights)
        self._activate_stock(p, [_for_host(one) for one in files])
        weighted = [Weighted(position, one.weights) for position, one in enumerate(files)]
        _tell(p, self._backend.weigh(p, weighted))
        self._draw_live(p, [one.weights for one in live])
        self._windows.begin(p, weighted, [one.weights for one in live])
        absent = lora_files.unknown([one.weights.name for one in files])
        infotext.note(p, [one.weights for one in (*files, *live) if one.weights.name not in absent])

    def _activate_aside(self, p: Any, params_list: Sequence[Any]) -> None:
        """Leaves files and their block weights to the host and the other script; adapters in training are ours."""
        live = [(params, reading) for params in params_list
                if self._is_live(reading := read(self._hidden.items(params)))]
        ours = [params for params, _ in live]
        self._hidden.hide(p, ours)
        self.stock.activate(p, [params for params in params_list if not any(params is one for one in ours)])
        if live:
            weights = self._resolved(p, [reading for _, reading in live])
            self._draw_live(p, weights)
            self._windows.begin(p, [], weights)
            infotext.note(p, weights)

    def _activate_stock(self, p: Any, params_list: list[Any]) -> None:
        applied = False
        try:
            self.stock.activate(p, params_list)
            applied = True
        finally:
            if not applied:
                _tell(p, ["The WebUI could not load the LoRAs of this prompt; its console says why."])

    def _resolved(self, p: Any, readings: Sequence[Reading]) -> list[Weights]:
        """Resolves all tags and tells what is wrong with them."""
        try:
            arch = self._backend.checkpoint().family.arch
            presets, elements = self._requests.presets(p), self._requests.elements(p)
        except UserError as error:
            _tell(p, [f"Block weights have no effect: {error}"])
            return [replace(resolve(reading.tag, Presets.shipped(), "sd15"), ratios=None) for reading in readings]
        tags = self._requests.acting(p, [reading.tag for reading in readings])
        weights = resolve_all(tags, presets, arch, elements, _seed(p))
        for one, reading in zip(weights, readings, strict=True):
            if not reading.is_plain:
                _tell(p, [*one.errors, *one.warnings])
        return weights

    def _draw_live(self, p: Any, wanted: Sequence[Weights]) -> None:
        """Has the adapters in training act with the sum of what the tags ask for."""
        if not wanted:
            return
        network = self._adapters.network
        if network is None:
            _tell(p, [f"No training is running: <lora:{TRAINING_NAME}:...> was left out."])
            return
        arch = self._backend.checkpoint().family.arch
        total = summed(wanted, network.layers, arch)
        self._adapters.act(network, total)
        if any(factor and is_text_encoder(layer) for layer, factor in total.items()):
            _keep_conds_apart(p)


def stand_before_lora(host: WebUIHost) -> LoraTags | None:
    """Registers our extra network in the place of the host's `lora`, and under the name `lyco`.

    The host calls `on_before_ui` in the reverse order of loading, ours before its own: it is too early then.

    Returns:
        our network; None when the host has no extra network `lora` (its built-in extension is switched off).
    """
    from modules import extra_networks

    stock = extra_networks.extra_network_registry.get(_NAMES[0])
    if stock is None or isinstance(stock, LoraTags):
        return stock
    ours = LoraTags(stock, host)
    extra_networks.register_extra_network(ours)
    extra_networks.register_extra_network_alias(ours, _NAMES[1])
    return ours


def _seed(p: Any) -> int:
    """The seed of the batch's first picture, the same in the hires pass."""
    seeds = getattr(p, "seeds", None) or getattr(p, "all_seeds", None) or [getattr(p, "seed", 0)]
    return int(seeds[0])


def _for_host(one: _Given) -> Any:
    """Returns the parameters that the host's network gets for a tag."""
    if one.reading.is_plain:
        return one.params
    return type(one.params)(items=given(one.reading, one.weights.te, one.weights.unet))


def _mark(params: Any, weights: Weights) -> None:
    """Writes the text encoder's numbers into the arguments by which the host keeps text states."""
    base = 1.0 if weights.ratios is None else weights.ratios[BASE]
    rules = [rule for rule in weights.rules if not rule.blocks or rule.not_blocks or BASE in rule.blocks]
    kept = [item for item in params.items if not isinstance(item, Mark)]
    params.items[:] = [*kept, Mark(f"~{weights.te!r}*{base!r}{inline(rules)}")]


def _keep_conds_apart(p: Any) -> None:
    """Gives the picture text-state caches of its own: those made with adapters in training are stale a step later."""
    for name in _COND_CACHES:
        shared = getattr(p, name, None)
        if shared is not None:
            setattr(p, name, [None] * len(shared))


def _tell(p: Any, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        p.comment(sentence)


def _advice(name: str) -> str:
    near = difflib.get_close_matches(name, lora_files.names(), 1)
    return f" (did you mean '{near[0]}'?)" if near else ""
