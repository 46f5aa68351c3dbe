"""Token rows against sd-scripts' (`sd1_tokens.json`: CLIP-L; `sd2_tokens.json`: the encoders that pad with token 0)."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lib_trainer.hosts.standalone.tokens import Tokenizer
from lib_trainer.hosts.webui import captions

DATA = Path(__file__).parents[2] / "data"
BEGIN, END = 49406, 49407


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("caption", ["short", "empty", "long", "bang"])
@pytest.mark.parametrize(("family", "pad"), [("sd1", END), ("sd2", 0)])
def test_rows_are_those_of_sd_scripts(family: str, pad: int, caption: str, chunks: int) -> None:
    known = json.loads((DATA / f"{family}_tokens.json").read_text())
    if caption not in known["captions"]:
        pytest.skip("not among the reference captions of this family")
    ids = Tokenizer().ids(known["captions"][caption])
    found = captions.rows([ids], BEGIN, END, pad, chunks)
    assert found.tolist() == [known["ids"][f"{family}_{75 * chunks}"][caption]]


@pytest.mark.parametrize("words", [74, 75, 76])
def test_the_end_token_stays_at_the_edge_of_a_piece(words: int) -> None:
    ids = list(range(1000, 1000 + words))
    first, second = captions.rows([ids], BEGIN, END, 0, 2)[0].tolist()
    assert first[1:76] == [*ids[:75], *[END] * (75 - words)][:75]
    assert first[76] == (0 if words == 74 else END)
    assert second[:3] == [BEGIN, *([END, 0] if words < 76 else [1075, END])]


def test_first_end_and_joining() -> None:
    rows = captions.rows([[5, 6], []], BEGIN, END, 0, 2)
    assert captions.first_end(rows.reshape(-1, 77), END).tolist() == [3, 1, 1, 1]
    states = torch.arange(2 * 77, dtype=torch.float32).reshape(1, 2, 77, 1)
    want = [*range(0, 76), *range(78, 154)]
    assert captions.join_pieces(states).flatten().tolist() == want


def test_chunks_have_limits() -> None:
    with pytest.raises(ValueError, match="got 4"):
        captions.rows([[1]], BEGIN, END, END, 4)
