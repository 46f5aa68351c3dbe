"""Prompts that are longer than what the text encoder reads: what lies beyond is not seen, so it is told.

No host tells how it cuts words into tokens, but every one encodes: a prompt whose states stay the same when words are
added behind it is full.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from lib_trainer.data.concepts import Concept
from lib_trainer.errors import UserError
from lib_trainer.host_model import HostModel
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forward_pass import chunks
from lib_trainer.training.methods.concept_lines import cut

_MORE = ", something else"


def may_be_long(config: TrainConfig, prompts: Iterable[str]) -> list[str]:
    """Returns the prompts with as many letters as tokens are read: a token has one letter at least."""
    return [prompt for prompt in prompts if len(prompt) >= 75 * chunks(config)]


def told(config: TrainConfig, model: HostModel, concepts: Sequence[Concept]) -> list[str]:
    """Returns one sentence per prompt of which the end may not be read; call it inside a turn.

    Raises:
        UserError: nothing is left of the difference between two prompts.
    """
    full = {prompt: states for prompt in may_be_long(config, sorted({text for one in concepts for text in one.prompts}))
            if (states := _full(config, model, prompt)) is not None}
    for one in concepts:
        first, second = full.get(one.positive), full.get(one.unconditional)
        if first is not None and second is not None and torch.equal(first, second):
            raise UserError(
                f"The prompts of '{cut(one.label)}' are the same as far as they are read ({75 * chunks(config)} "
                "tokens), so there is nothing to learn: shorten them, or raise 'Caption length'.")
    return [f"The prompt '{cut(prompt)}' has {75 * chunks(config)} tokens or more: what lies beyond is not read. "
            "Shorten it, or raise 'Caption length'." for prompt in full]


def _full(config: TrainConfig, model: HostModel, prompt: str) -> torch.Tensor | None:
    """Returns the states of a prompt that has no room for another word, None of any other."""
    with torch.no_grad():
        states = model.encode_captions(
            [prompt, prompt + _MORE], config.clip_skip, chunks(config), weighted=config.weighted_captions).hidden
    return states[0].cpu() if torch.equal(states[0], states[1]) else None
