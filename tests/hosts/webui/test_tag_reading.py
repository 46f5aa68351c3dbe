"""A tag's arguments: what the host's own network is given of them."""
from __future__ import annotations

import pytest

from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
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


def test_a_dyn_that_the_host_gets_is_not_told_to_be_ignored() -> None:
    assert read(["a", "1", "0.5", "64", "NCNF"]).tag.positional == ("1", "0.5", "NCNF")
    assert not read(["a", "NCNF", "dyn=3"]).tag.named


@pytest.mark.parametrize(("items", "piece"), [
    (["a", "lbw=NCNF", "dyn=many"], "'many' (dyn)"), (["a", "1", "1", "6.5", "NCNF"], "'6.5' (dyn)"),
    (["a", "1", "1", "64", "NCNF", "dyn=3"], "'64' (dyn)"), (["a", "NCNF", "dyn=\u00b2"], "'\u00b2' (dyn)"),
])
def test_another_dyn_is(items: list[str], piece: str) -> None:
    reading = read(items)
    assert piece in " ".join(resolve(reading.tag, Presets.shipped(), "sd15").warnings)
    assert given(reading, 1.0, 1.0)[3:] == (["dyn=3"] if "dyn=3" in items else [])


def test_a_mark_is_no_argument() -> None:
    assert read(["a", "0.8", Mark("~0.8*1.0")]).is_plain
    assert read(["a", "0.8", "NCNF", Mark("~0.8*1.0")]) == read(["a", "0.8", "NCNF"])
