"""Placeholders in the tags of a prompt: found in every spelling, and written out."""
from __future__ import annotations

import pytest

from lib_trainer.compare import placeholder
from lib_trainer.compare.placeholder import INVERSE, RULES, WEIGHTS, Placed


@pytest.mark.parametrize(("prompt", "found"), [
    ("<lora:a:1:XYZ>", {WEIGHTS}), ("<lora:a:1:lbw=XYZ>", {WEIGHTS}), ("<lyco:a:w=XYZ:1>", {WEIGHTS}),
    ("<lora:a:XYZ><lora:b:1:ZYX>", {WEIGHTS, INVERSE}), ("<lora:a:1:NONE:lbwe=XYZ>", {RULES}),
    ("<lora:a:1:XYZ:lbwe=XYZ>", {WEIGHTS, RULES}), ("<lora:XYZ:1>", set()), ("XYZ", set()), ("<hypernet:a:XYZ>", set()),
    ("<lora:a:1:xyz>", set()),
])
def test_they_are_found(prompt: str, found: set[str]) -> None:
    assert placeholder.placeholders(prompt) == found


def test_the_loras_are_named_once() -> None:
    assert placeholder.names("<lora:a:1:XYZ> <lora:b:1> <lora:a:0.5:ZYX> <lora:c:lbwe=XYZ>") == ["a", "c"]


@pytest.mark.parametrize(("prompt", "written"), [
    ("a <lora:x:0.8:XYZ> b", "a <lora:x:0.8:lbw=M00@0> b"), ("<lora:x:XYZ:0.8>", "<lora:x:0.8:lbw=M00@0>"),
    ("<lora:x:te=0.5:lbw=ZYX>", "<lora:x:0.5:lbw=0,M00@1>"), ("<lora:y:1:NONE>", "<lora:y:1:NONE>"),
    ("<lora:x:1:NONE:lbwe=XYZ>", "<lora:x:1:lbw=NONE:lbwe=/attn@0>"),
    ("<lora:x:1:XYZ:x=0.3:start=3>", "<lora:x:1:lbw=M00@0:start=3>"),
])
def test_they_are_written_out(prompt: str, written: str) -> None:
    assert Placed("M00@0", "0,M00@1", "/attn@0")(prompt) == written


def test_x_stays_where_the_weights_have_one() -> None:
    assert Placed("X,0.5")("<lora:x:1:XYZ:x=0.3>") == "<lora:x:1:lbw=X,0.5:x=0.3>"
    assert Placed(rules="/attn@0")("<lora:x:1:XYZ>") == "<lora:x:1:lbw=XYZ>"
