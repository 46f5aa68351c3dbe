"""Captions are cut as sd-scripts cuts them, with either kind of padding, and their states joined again."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from lib_trainer.hosts.captions import caption_ids, join_chunks, weighed
from lib_trainer.hosts.standalone.tokens import Tokenizer

DATA = Path(__file__).parents[1] / "data"
TABLES = {"sd1": "sd1_tokens.json", "sd2": "sd2_tokens.json"}
"""The second lacks the caption with "!": sd-scripts' SD 2.x tokenizer takes it for padding, the WebUIs' do not."""
BEGIN, END = 49406, 49407
WEIGHTED = json.loads((DATA / "weighted_captions.json").read_text())


def tokenize(texts: Sequence[str]) -> list[list[int]]:
    clip = Tokenizer()
    return [clip.ids(text) for text in texts]


@pytest.mark.parametrize("kind", TABLES)
def test_rows_are_those_of_sd_scripts(kind: str) -> None:
    table = json.loads((DATA / TABLES[kind]).read_text())
    names, captions = list(table["captions"]), list(table["captions"].values())
    for chunks in (1, 2, 3):
        pad = END if kind == "sd1" else 0
        rows = caption_ids(tokenize, captions, chunks, begin=BEGIN, end=END, pad=pad)
        assert dict(zip(names, rows.tolist(), strict=True)) == table["ids"][f"{kind}_{75 * chunks}"]


@pytest.mark.parametrize("words", [74, 75, 76])
def test_the_end_token_stays_at_the_edge_of_a_piece(words: int) -> None:
    ids = list(range(1000, 1000 + words))
    first, second = caption_ids(lambda _: [ids], [""], 2, begin=BEGIN, end=END, pad=0)[0].tolist()
    assert first[1:76] == [*ids[:75], *[END] * (75 - words)][:75]
    assert first[76] == (0 if words == 74 else END)
    assert second[:3] == [BEGIN, *([END, 0] if words < 76 else [1075, END])]


def test_four_pieces_are_none_of_kohyas_lengths() -> None:
    with pytest.raises(ValueError, match="got 4"):
        caption_ids(lambda _: [[1]], ["a"], 4, begin=BEGIN, end=END, pad=0)


def test_states_are_joined_in_order() -> None:
    states = torch.arange(2 * 3 * 77, dtype=torch.float32).reshape(2, 3, 77, 1)
    joined = join_chunks(states)
    assert joined.shape == (2, 227, 1)
    assert joined[0, :, 0].tolist() == [0, *range(1, 76), *range(78, 153), *range(155, 230), 230]


@pytest.mark.parametrize("length", ["75", "150", "225"])
@pytest.mark.parametrize("caption", WEIGHTED["captions"])
def test_weighted_captions_are_those_of_sd_scripts(caption: str, length: str) -> None:
    reference, tokenizer = WEIGHTED["cases"][caption][length], Tokenizer()
    text, chunks = WEIGHTED["captions"][caption], int(length) // 75
    assert tokenizer.captions([text], chunks, weighted=True)[0].tolist() == reference["ids"]
    weights = weighed(torch.ones(1, 75 * chunks + 2, 1), tokenizer.all_ids, [text])[0, 1:-1, 0]
    expected = torch.tensor([weight for row in reference["weights"] for weight in row[1:-1]])
    # the reference is written with 6 digits
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=1e-6)


def test_a_caption_without_words_has_no_weights() -> None:
    tokenizer = Tokenizer()
    states = torch.rand(3, 77, 2)
    assert torch.equal(weighed(states, tokenizer.all_ids, ["", "()", "a cat"]), states)
    assert torch.equal(tokenizer.captions([""], 1, weighted=True), tokenizer.captions([""], 1))
