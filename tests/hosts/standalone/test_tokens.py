"""Caption ids equal the field's, chunk by chunk."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.hosts.standalone.tokens import Tokenizer

TOKENS = json.loads((Path(__file__).parents[2] / "data" / "sd1_tokens.json").read_text())
TOKENIZER = Tokenizer()


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("caption", TOKENS["captions"])
def test_ids_equal_those_of_sd_scripts(chunks: int, caption: str) -> None:
    rows = TOKENIZER.captions([TOKENS["captions"][caption]], chunks)[0].tolist()
    assert rows == TOKENS["ids"][f"sd1_{75 * chunks}"][caption]


@given(st.text(max_size=400), st.integers(1, 3))
def test_every_row_is_wrapped(text: str, chunks: int) -> None:
    rows = TOKENIZER.captions([text], chunks)[0].tolist()
    assert len(rows) == chunks
    assert all(len(row) == 77 and row[0] == 49406 and row[-1] == 49407 for row in rows)


def test_batches_have_one_shape() -> None:
    assert TOKENIZER.captions(["", "a" * 500], 2).shape == (2, 2, 77)


def test_other_numbers_of_chunks_are_a_bug() -> None:
    with pytest.raises(ValueError, match="got 4"):
        TOKENIZER.captions([""], 4)


def test_missing_vocabulary_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Install the extension again"):
        Tokenizer(tmp_path)
