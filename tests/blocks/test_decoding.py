"""Files that are not UTF-8 are read as what they most likely are."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.decoding import decoded


@pytest.mark.parametrize(("codec", "encoding"), [
    ("utf-8", ""), ("utf-16", "UTF-16"), ("cp932", "Shift-JIS"), ("gb18030", "GB 18030")])
def test_usual_encodings(codec: str, encoding: str) -> None:
    text = "# 面部\r\nA:1\r\n" if codec == "gb18030" else "# 顔の表情\r\nA:1\r\n"
    assert decoded(text.encode(codec)) == (text, encoding)


def test_the_byte_order_mark_stays() -> None:
    assert decoded("\ufeffA".encode()) == ("\ufeffA", "")


@given(st.binary())
def test_any_bytes_are_a_text(content: bytes) -> None:
    assert isinstance(decoded(content).text, str)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf8_is_read_without_loss(text: str) -> None:
    assert decoded(text.encode("utf-8")).text == text
