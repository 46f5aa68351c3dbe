"""Trigger words and tags."""
from __future__ import annotations

import pytest

from lib_trainer.data.scan import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.record import prompt_tag, trigger_words


def items(*captions: str, is_reg: bool = False) -> list[Item]:
    subset = Subset("f", is_reg=is_reg)
    return [Item(subset, f"{i}.png", caption, 64, 64, captioned=True) for i, caption in enumerate(captions)]


@pytest.mark.parametrize(("captions", "class_tokens", "expected"), [
    (("zko, a", "zko, b", "c"), "", "zko"),
    (("zko (cosplay), a", "zko (cosplay)"), "", r"zko \(cosplay\)"),
    ((r"zko \(cosplay\), a",), "", r"zko \(cosplay\)"),
    (("a, zko", "b, zko"), "", ""),
    (("a, zko", "b, zko"), "hina wife", "hina wife"),
    (("", "", "zko"), "", ""),
    ((), "", ""),
])
def test_trigger(captions: tuple[str, ...], class_tokens: str, expected: str) -> None:
    found = [*items(*captions), *items("girl", "girl", "girl", "girl", is_reg=True)]
    assert trigger_words(TrainConfig(trigger=class_tokens), found) == expected


def test_tag() -> None:
    assert prompt_tag("SakuraScenery_v1.3") == "<lora:SakuraScenery_v1.3:1>"
