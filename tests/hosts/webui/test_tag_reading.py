"""A tag's arguments: what the host's own network is given of them."""
from __future__ import annotations

import pytest

from lib_trainer.hosts.webui.tag_reading import Mark, given, read


@pytest.mark.parametrize("items", [
    ["a"], ["a", "0.8"], ["a", "0.8", "0.5"], ["a", "1", "1", "64"], ["a", "te=0.5", "unet=1"], ["a", "1", "dyn=8"],
    ["a", ".5"], ["a", "1e-1"], ["a", "inf"],
])
def test_what_the_host_understands_is_left_to_it(items: list[str]) -> None:
    assert read(items).is_plain


@pytest.mark.parametrize("items", [
    ["a", "0.8", "NCNF"], ["a", "lbw=NCNF"], ["a", "1", "w=0.5"], ["a", "1", "1", "6.5"], ["a", "te=x"], ["lbw=NCNF"],
    ["a", "1", "1", "1", "1"], ["a", "1", "start=3"], ["a", ""], [""], [],
])
def test_what_the_host_would_stumble_over_is_ours(items: list[str]) -> None:
    assert not read(items).is_plain


def test_the_host_gets_name_strengths_and_dyn() -> None:
    assert given(read(["a", "0.8", "NCNF"]), 0.8, 0.8) == ["a", "0.8", "0.8"]
    assert given(read(["a", "1", "0.5", "64", "NCNF"]), 1.0, 0.5) == ["a", "1.0", "0.5", "dyn=64"]
    assert given(read(["a", "lbw=NCNF", "dyn=8"]), 1.0, 1.0) == ["a", "1.0", "1.0", "dyn=8"]
    assert given(read(["a", "lbw=NCNF", "dyn=many"]), 1.0, 1.0) == ["a", "1.0", "1.0"]


def test_dyn_is_not_told_to_be_ignored() -> None:
    tag = read(["a", "1", "0.5", "64", "NCNF", "dyn=3"]).tag
    assert tag.positional == ("1", "0.5", "NCNF") and not tag.named


def test_a_mark_is_no_argument() -> None:
    assert read(["a", "0.8", Mark("~0.8*1.0")]).is_plain
    assert read(["a", "0.8", "NCNF", Mark("~0.8*1.0")]) == read(["a", "0.8", "NCNF"])
