r"""The WebUI's grammar for emphasis in prompts and weighted captions: text in, pieces with weights out.

`(word)` weighs 1.1, `[word]` 1/1.1, `(word:1.3)` 1.3; nesting multiplies; `\(` is a plain bracket; `BREAK` starts a new
chunk of 75 tokens. A bracket that is never closed acts to the end of the prompt, one that was never opened is text.
"""
from __future__ import annotations

import re
from dataclasses import dataclass

ROUND = 1.1
SQUARE = 1 / 1.1

_PIECE = re.compile(
    r"""
    \\(?P<escaped>[()\[\]\\])
    | :\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)
    | (?P<bracket>[()\[\]])
    | (?P<break>\s*\bBREAK\b\s*)
    | (?P<text>[^\\()\[\]:B]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Piece:
    """A run of text of one weight; `starts_chunk` marks the first piece after a BREAK."""

    text: str
    weight: float = 1.0
    starts_chunk: bool = False


def parse(prompt: str, breaks_chunks: bool = True) -> list[Piece]:
    """Returns the pieces of a prompt in order, neighbours of equal weight joined.

    Never fails: what is not grammar is text.

    Args:
        prompt: the text.
        breaks_chunks: whether BREAK starts a new chunk; False = it is a word like others.
    """
    pieces: list[Piece] = []
    open_round: list[int] = []
    open_square: list[int] = []
    breaks: set[int] = set()
    for match in _PIECE.finditer(prompt):
        bracket = match["bracket"]
        if match["escaped"]:
            pieces.append(Piece(match["escaped"]))
        elif match["weight"] and open_round:
            _scale(pieces, open_round.pop(), float(match["weight"]))
        elif bracket in ("(", "["):
            (open_round if bracket == "(" else open_square).append(len(pieces))
        elif bracket == ")" and open_round:
            _scale(pieces, open_round.pop(), ROUND)
        elif bracket == "]" and open_square:
            _scale(pieces, open_square.pop(), SQUARE)
        elif match["break"] and breaks_chunks:
            breaks.add(len(pieces))
        else:
            pieces.append(Piece(match[0]))
    for start in open_round:
        _scale(pieces, start, ROUND)
    for start in open_square:
        _scale(pieces, start, SQUARE)
    return _join(pieces, breaks)


def _scale(pieces: list[Piece], start: int, factor: float) -> None:
    for piece in pieces[start:]:
        piece.weight *= factor


def _join(pieces: list[Piece], breaks: set[int]) -> list[Piece]:
    joined: list[Piece] = []
    for index, piece in enumerate(pieces):
        starts_chunk = index in breaks
        if joined and not starts_chunk and joined[-1].weight == piece.weight:
            joined[-1].text += piece.text
        else:
            joined.append(Piece(piece.text, piece.weight, starts_chunk))
    if len(pieces) in breaks:
        joined.append(Piece("", starts_chunk=True))
    return joined
