"""Captions as token numbers, made fresh for every training step: shuffled, some tags dropped, odd words mixed in.

Odd words are random tokens that no tag uses. They teach the text encoder to let unknown words pass without harm, and
to keep a trace of them, so that a LoRA can later give one of them (a trigger word) a meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from transformers import CLIPTokenizer

from lib_trainer.demo import scenes

LENGTH = 77
START, END, COMMA = 49406, 49407, 267
ATTRIBUTES = tuple(scenes.BASE_VALUES)


@dataclass(frozen=True)
class CaptionBatch:
    """Token numbers, and what a reader of the text so far can know at every place.

    Attributes:
        tokens: (B, 77) token numbers, padded with the end token.
        known: (B, 77, attributes): 0 where the attribute was not named yet, else 1 + index into `BASE_VALUES`.
        odd: (B, 4) numbers of the odd tokens in the caption, -1 where there are fewer.
    """

    tokens: torch.Tensor
    known: torch.Tensor
    odd: torch.Tensor


class CaptionMaker:
    """Turns scenes into token numbers without asking the tokenizer again for every caption."""

    def __init__(self, tokenizer: CLIPTokenizer, drop: float, empty: float, odd: float = 0.25) -> None:
        self._drop, self._empty, self._odd = drop, empty, odd
        self._ids = {tag: tokenizer(tag).input_ids[1:-1] for tag in ["1girl", *scenes.TAGS.values()]}
        base = {"1girl"} | {tag for (name, value), tag in scenes.TAGS.items() if value in scenes.BASE_VALUES[name]}
        self.used = sorted({START, END, COMMA} | {i for tag in base for i in self._ids[tag]})
        self._unused = np.setdiff1d(np.arange(START), self.used)

    def batch(self, chosen: list[scenes.Scene], rng: np.random.Generator) -> CaptionBatch:
        """Captions of some scenes, different at every call."""
        tokens = np.full((len(chosen), LENGTH), END, np.int64)
        known = np.zeros((len(chosen), LENGTH, len(ATTRIBUTES)), np.int64)
        odd = np.full((len(chosen), 4), -1, np.int64)
        for row, scene in enumerate(chosen):
            self._write(scene, rng, tokens[row], known[row], odd[row])
        return CaptionBatch(torch.from_numpy(tokens), torch.from_numpy(known), torch.from_numpy(odd))

    def _write(
        self, scene: scenes.Scene, rng: np.random.Generator, tokens: np.ndarray, known: np.ndarray, odd: np.ndarray
    ) -> None:
        tokens[0] = START
        if rng.random() < self._empty:
            return
        place = 1
        for name, ids in self._parts(scene, rng, odd):
            if place > 1:
                tokens[place] = COMMA
                place += 1
            tokens[place : place + len(ids)] = ids
            place += len(ids)
            if name:
                attribute = ATTRIBUTES.index(name)
                value = scenes.BASE_VALUES[name].index(getattr(scene, name))
                known[place - 1 :, attribute] = 1 + value

    def _parts(self, scene: scenes.Scene, rng: np.random.Generator, odd: np.ndarray) -> list[tuple[str, list[int]]]:
        parts = [
            (name, self._ids[scenes.TAGS[name, value]])
            for name, value in scene.values().items()
            if (name, value) in scenes.TAGS and rng.random() >= self._drop
        ]
        rng.shuffle(parts)
        parts.insert(0 if rng.random() < 0.7 else int(rng.integers(len(parts) + 1)), ("", self._ids["1girl"]))
        if rng.random() < self._odd:
            strange = rng.choice(self._unused, int(rng.integers(1, 5)))
            odd[: len(strange)] = strange
            for word in np.array_split(strange, int(rng.integers(1, len(strange) + 1))):
                parts.insert(int(rng.integers(len(parts) + 1)), ("", word.tolist()))
        return parts
