"""Encodes prompts as the WebUI does: weighted tokens in chunks of 75, each chunk its own 77 states, side by side.

Unlike training captions, prompts have a grammar (see `emphasis`). A token's weight multiplies its state; afterwards the
chunk's mean is restored, so that emphasis shifts attention instead of brightening everything.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import torch

from lib_trainer.host_model import Conditioning
from lib_trainer.hosts.captions import CHUNK
from lib_trainer.hosts.emphasis import parse
from lib_trainer.hosts.standalone.text_encoders import TextEncoders
from lib_trainer.hosts.standalone.tokens import Tokenizer

COMMA_REACH = 20
"""A full chunk ends at its last comma when that is at most this many tokens back, so that no tag is torn apart."""

SMALL_MEAN = 0.01
"""A mean below this part of the mean magnitude is noise around 0: restoring it would divide by nothing."""


@dataclass
class Chunk:
    """Up to 75 token ids and their weights."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


def chunks(prompt: str, tokenizer: Tokenizer) -> list[Chunk]:
    """Returns the chunks of a prompt, at least one."""
    result = [Chunk()]
    for piece in parse(prompt):
        if piece.starts_chunk:
            result.append(Chunk())
        for token in tokenizer.ids(piece.text):
            if len(result[-1].ids) == CHUNK:
                result.append(_overflow(result[-1], tokenizer.comma) if token != tokenizer.comma else Chunk())
            result[-1].ids.append(token)
            result[-1].weights.append(piece.weight)
    return result


def _overflow(full: Chunk, comma: int) -> Chunk:
    """Takes what follows the last near comma out of a full chunk and starts the next one with it."""
    near = [i for i in range(CHUNK - COMMA_REACH, CHUNK) if full.ids[i] == comma]
    cut = near[-1] + 1 if near else CHUNK
    moved = Chunk(full.ids[cut:], full.weights[cut:])
    del full.ids[cut:], full.weights[cut:]
    return moved


def encode_prompt(encoders: TextEncoders, prompt: str, clip_skip: int) -> Conditioning:
    """Returns the states (1, 77 * chunks, C) of a prompt, and the first chunk's pooled vector where the family has one.

    Raises:
        UserError: an encoder has fewer layers than clip_skip.
    """
    parts = chunks(prompt, encoders.tokenizer)
    found = encoders.pieces([part.ids for part in parts], clip_skip)
    weights = [part.weights for part in parts]
    return encoders.together([(_side_by_side(states, weights), ends[:1]) for states, ends in found])


def encode_negative(encoders: TextEncoders, prompt: str, clip_skip: int) -> Conditioning:
    """Returns what `encode_prompt` does; of an empty prompt zeros where the family was trained with them (SDXL)."""
    told = encode_prompt(encoders, prompt, clip_skip)
    if prompt or not encoders.family.empty_negative_is_zero:
        return told
    return Conditioning(torch.zeros_like(told.hidden), None if told.pooled is None else torch.zeros_like(told.pooled))


def _side_by_side(states: torch.Tensor, weights: list[list[float]]) -> torch.Tensor:
    """Joins the states (N, 77, C) of chunks to (1, 77 * N, C), weighted."""
    if any(weight != 1.0 for part in weights for weight in part):
        states = torch.stack([_emphasise(row, part) for row, part in zip(states, weights, strict=True)])
    return states.reshape(1, -1, states.shape[-1])


def _emphasise(states: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """Multiplies the states (77, C) of one chunk by its token weights and restores their mean."""
    factors = torch.ones(len(states), 1, device=states.device)
    factors[1:len(weights) + 1, 0] = torch.tensor(weights, device=states.device)
    plain = states.float()
    weighted = plain * factors
    before, after = plain.mean(), weighted.mean()
    if after.abs() > SMALL_MEAN * weighted.abs().mean() and before * after > 0:
        weighted = weighted * (before / after)
    return weighted.to(states.dtype)
