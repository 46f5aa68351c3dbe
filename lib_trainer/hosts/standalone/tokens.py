"""CLIP token ids: captions taken literally, and pieces of prompts.

The byte-pair vocabulary ships with the package, so nothing is downloaded; all of SD's encoders share it and differ in
how they fill unused places only. How a caption is cut into chunks tells `hosts.captions`.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lib_trainer.errors import UserError
from lib_trainer.families.family import TextEncoderFacts
from lib_trainer.hosts.captions import CHUNK, caption_ids

VOCABULARY = Path(__file__).resolve().parents[2] / "assets" / "clip"


class Tokenizer:
    """CLIP's tokenizer with the ids that SD uses."""

    def __init__(self, folder: Path = VOCABULARY) -> None:
        from transformers.models.clip.tokenization_clip import CLIPTokenizer

        if not (folder / "vocab.json").is_file():
            raise UserError(f"The tokenizer's vocabulary is missing in '{folder}'. Install the extension again.")
        self._clip = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
        self.begin: int = self._clip.bos_token_id
        self.end: int = self._clip.eos_token_id
        self.comma: int = self._clip.convert_tokens_to_ids(",</w>")

    def ids(self, text: str) -> list[int]:
        """Returns the token ids of a text, nothing added, nothing cut."""
        return self._clip.convert_tokens_to_ids(self._clip.tokenize(text))

    def pad(self, encoder: TextEncoderFacts | None) -> int:
        """Returns what fills unused places for an encoder; CLIP-L's own token for None."""
        return self.end if encoder is None or encoder.pad_is_eos else 0

    def wrap(self, content: Sequence[int], encoder: TextEncoderFacts | None = None) -> list[int]:
        """Returns 77 ids of a piece of a prompt: begin, up to 75 of content, an end token, padding."""
        content = list(content[:CHUNK])
        return [self.begin, *content, self.end, *[self.pad(encoder)] * (CHUNK - len(content))]

    def all_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the token ids of every text."""
        return [self.ids(text) for text in texts]

    def captions(
        self, texts: Sequence[str], chunks: int, encoder: TextEncoderFacts | None = None, weighted: bool = False
    ) -> torch.Tensor:
        """Returns the ids (B, chunks, 77) int64 of captions; what does not fit is cut off.

        Raises:
            ValueError: chunks is not 1, 2 or 3.
        """
        return caption_ids(self.all_ids, texts, chunks, begin=self.begin, end=self.end, pad=self.pad(encoder),
                           weighted=weighted)
