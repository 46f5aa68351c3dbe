"""CLIP token ids: captions taken literally, and pieces of prompts.

The byte-pair vocabulary ships with the package, so nothing is downloaded. A caption is cut into chunks of 75 tokens by
position alone, as sd-scripts does; every chunk is wrapped in a begin and an end token and padded with end tokens.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from lib_trainer.errors import UserError

CHUNK = 75
"""Tokens of a caption that one pass of the encoder reads."""

VOCABULARY = Path(__file__).resolve().parents[2] / "assets" / "clip"


class Tokenizer:
    """CLIP's tokenizer with the ids that SD 1.x uses."""

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

    def wrap(self, content: Sequence[int]) -> list[int]:
        """Returns 77 ids: begin, up to 75 of content, end tokens to fill."""
        content = list(content[:CHUNK])
        return [self.begin, *content, *[self.end] * (CHUNK + 1 - len(content))]

    def caption(self, text: str, chunks: int) -> list[list[int]]:
        """Returns `chunks` rows of 77 ids for a caption; what does not fit is cut off."""
        ids = self.ids(text)
        return [self.wrap(ids[i * CHUNK:(i + 1) * CHUNK]) for i in range(chunks)]

    def captions(self, texts: Sequence[str], chunks: int) -> torch.Tensor:
        """Returns the ids (B, chunks, 77) int64 of captions.

        Raises:
            ValueError: chunks is not 1, 2 or 3.
        """
        if chunks not in (1, 2, 3):
            raise ValueError(f"chunks must be 1, 2 or 3, got {chunks}")
        return torch.tensor([self.caption(text, chunks) for text in texts], dtype=torch.int64)
