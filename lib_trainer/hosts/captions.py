"""Captions as rows of CLIP token ids, taken literally and cut into pieces as sd-scripts does.

A WebUI's own prompt path knows emphasis, BREAK, embeddings and moves tokens to keep commas together; a caption means
none of that. It is cut by position alone into pieces of 75 tokens; every piece stands between a begin token and a last
one, and the states of all pieces are joined to one sequence again.

Only where a person wishes it, captions have weights, `(word:1.3)`: the states of those tokens are multiplied by them.
As in sd-scripts the mean of all states is not restored afterwards, which a WebUI does for its prompts.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lib_trainer.hosts import emphasis

CHUNK = 75
"""Tokens of a caption that one pass of an encoder reads."""

Tokenize = Callable[[Sequence[str]], list[list[int]]]
"""Texts to their token ids, nothing added, nothing cut."""


def caption_ids(
    tokenize: Tokenize, captions: Sequence[str], chunks: int, *, begin: int, end: int, pad: int, weighted: bool = False
) -> torch.Tensor:
    """Returns the ids (B, chunks, 77) int64 of captions; what does not fit is cut off.

    Args:
        tokenize: the encoder's tokenizer.
        captions: B captions.
        chunks: pieces per caption, 1, 2 or 3.
        begin, end, pad: the encoder's own tokens; CLIP-L pads with its end token, the others with 0.
        weighted: whether the captions have weights, which are taken out of them; see `weighed`.

    Raises:
        ValueError: chunks is not 1, 2 or 3.
    """
    if chunks not in (1, 2, 3):
        raise ValueError(f"chunks must be 1, 2 or 3, got {chunks}")
    contents = [ids for ids, _ in _with_weights(tokenize, captions)] if weighted else tokenize(captions)
    return torch.tensor([_rows(content, chunks, begin, end, pad) for content in contents], dtype=torch.int64)


def weighed(states: torch.Tensor, tokenize: Tokenize, captions: Sequence[str]) -> torch.Tensor:
    """Returns the states of weighted captions, those of every token times its weight.

    Args:
        states: (B, 75 * chunks + 2, C), of all pieces joined. The begin token, the last one and padding weigh 1.
        tokenize: the encoder's tokenizer.
        captions: B captions.
    """
    room = states.shape[1] - 2
    weights = torch.ones(states.shape[:2], dtype=torch.float32)
    for row, (_, found) in zip(weights, _with_weights(tokenize, captions), strict=True):
        row[1:1 + min(len(found), room)] = torch.tensor(found[:room])
    return states * weights.to(states.device, states.dtype)[..., None]


def _with_weights(tokenize: Tokenize, captions: Sequence[str]) -> list[tuple[list[int], list[float]]]:
    """Returns the token ids of every caption, and the weight of every token."""
    rows = []
    for caption in captions:
        pieces = emphasis.parse(caption, breaks_chunks=False)
        ids = tokenize([piece.text for piece in pieces]) if pieces else []
        rows.append((
            [token for found in ids for token in found],
            [piece.weight for piece, found in zip(pieces, ids, strict=True) for _ in found],
        ))
    return rows


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
