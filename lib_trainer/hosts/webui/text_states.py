"""Text states of a WebUI's prompt, encoded once more while other LoRAs act, and handed to single steps.

The host encodes a prompt before the sampling and keeps the result by the prompt's text. Here it is asked again through
its own `setup_conds`, with caches that are thrown away, and everything that this writes on its processing object is
put back. Its denoiser asks for the text states of every call; a callback may exchange them.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

_Key = TypeVar("_Key", bound=Hashable)

_CACHES = ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc")
_WRITTEN = ("c", "uc", "hr_c", "hr_uc")
_ABSENT = object()


@dataclass(frozen=True)
class TextStates:
    """The host's schedules of text states for prompt and negative prompt (None = it uses none)."""

    positive: Any
    negative: Any

    def put(self, params: Any) -> None:
        """Puts the states of the call that begins into the host's `CFGDenoiserParams`."""
        from modules import prompt_parser

        call = params.denoiser.step
        params.text_cond = prompt_parser.reconstruct_multicond_batch(self.positive, call)[1]
        if self.negative is not None and params.text_uncond is not None:
            params.text_uncond = prompt_parser.reconstruct_cond_batch(self.negative, call)


def encoded(p: Any, states: Iterable[_Key], enter: Callable[[_Key], None]) -> dict[_Key, TextStates]:
    """Encodes the prompt of a pass once for every state of the text encoder.

    Args:
        p: the host's processing object, with the prompts of the pass that is about to be sampled.
        states: what tells the states apart.
        enter: brings the text encoder into a state.
    """
    found = {}
    for state in states:
        enter(state)
        with caches_apart(p):
            found[state] = _encode(p)
    return found


@contextmanager
def caches_apart(p: Any) -> Iterator[None]:
    """While open, the host encodes for this object anew and keeps nothing; what it writes on it is put back."""
    kept = {name: vars(p).get(name, _ABSENT) for name in (*_CACHES, *_WRITTEN)}
    for name in _CACHES:
        if getattr(p, name, None) is not None:
            setattr(p, name, [None] * len(getattr(p, name)))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is not _ABSENT:
                setattr(p, name, value)
            elif name in vars(p):
                delattr(p, name)


def _encode(p: Any) -> TextStates:
    """Asks the host; in the first pass past the class of txt2img, which would prepare the hires pass, too."""
    from modules import processing

    if getattr(p, "is_hr_pass", False):
        p.setup_conds()
    else:
        processing.StableDiffusionProcessing.setup_conds(p)
    return TextStates(*p.get_conds())
