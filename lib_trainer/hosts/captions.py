"""Captions as rows of CLIP token ids, taken literally and cut into pieces as sd-scripts does.

A WebUI's own prompt path knows emphasis, BREAK, embeddings and moves tokens to keep commas together; a caption means
none of that. It is cut by position alone into pieces of 75 tokens; every piece stands between a begin token and a last
one, and the states of all pieces are joined to one sequence again.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

CHUNK = 75
"""Tokens of a caption that one pass of an encoder reads."""

Tokenize = Callable[[Sequence[str]], list[list[int]]]
"""Texts to their token ids, nothing added, nothing cut."""


def caption_ids(
    tokenize: Tokenize, captions: Sequence[str], chunks: int, *, begin: int, end: int, pad: int
) -> torch.Tensor:
    """Returns the ids (B, chunks, 77) int64 of captions; what does not fit is cut off.

    Args:
        tokenize: the encoder's tokenizer.
        captions: B captions.
        chunks: pieces per caption, 1, 2 or 3.
        begin, end, pad: the encoder's own tokens; CLIP-L pads with its end token, the others with 0.

    Raises:
        ValueError: chunks is not 1, 2 or 3.
    """
    if chunks not in (1, 2, 3):
        raise ValueError(f"chunks must be 1, 2 or 3, got {chunks}")
    rows = [_rows(content, chunks, begin, end, pad) for content in tokenize(captions)]
    return torch.tensor(rows, dtype=torch.int64)


def _rows(content: Sequence[int], chunks: int, begin: int, end: int, pad: int) -> list[list[int]]:
    """Cuts one caption: its tokens, one end token and padding are dealt out; all pieces share the very last token.

    Where padding is not the end token, several pieces are mended, as sd-scripts does: a piece that ends in text gets an
    end token, and one that begins with padding gets one, too.
    """
    room = CHUNK * chunks
    filled = [*content[:room], end]
    filled += [pad] * (room + 1 - len(filled))
    rows = []
    for start in range(0, room, CHUNK):
        piece, last = filled[start:start + CHUNK], filled[-1]
        if chunks > 1 and pad != end:
            last = last if piece[-1] in (end, pad) else end
            piece[0] = end if piece[0] == pad else piece[0]
        rows.append([begin, *piece, last])
    return rows


def join_chunks(states: torch.Tensor) -> torch.Tensor:
    """Joins the states of pieces: the first one's begin, all middles, the last one's end.

    Args:
        states: (B, chunks, 77, C).

    Returns:
        (B, 75 * chunks + 2, C).
    """
    middle = states[:, :, 1:-1].flatten(1, 2)
    return torch.cat([states[:, 0, :1], middle, states[:, -1, -1:]], dim=1)
