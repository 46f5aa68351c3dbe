"""Captions: the order of operations, in sd-scripts' own cases and in ours."""
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data.captions.caption_rules import CaptionRules, Moment, tags

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "dataset_vectors.json").read_text(encoding="utf8"))
CASES = json.loads((Path(__file__).parents[1] / "data" / "caption_cases.json").read_text(encoding="utf8"))
CAPTIONS = st.lists(st.text("abc ", min_size=1), max_size=6).map(",".join)
ANY_CAPTION = st.text("ab,|{} \n;", max_size=25)
RULES = st.builds(
    CaptionRules, shuffle=st.booleans(), keep_tokens=st.integers(0, 3), caption_dropout=st.sampled_from([0.0, 0.5]),
    tag_dropout=st.sampled_from([0.0, 0.5]), dropout_every=st.integers(0, 2),
    prefix=st.sampled_from(["", "p", "{p|q}"]),
    suffix=st.sampled_from(["", "s"]), wildcards=st.booleans(), separator=st.sampled_from([",", ";", "|"]),
    keep_tokens_separator=st.sampled_from(["", "|", ",,"]), secondary_separator=st.sampled_from(["", ";;"]),
    warmup_min=st.integers(1, 3), warmup_step=st.sampled_from([0.0, 0.5, 4.0]),
)
OURS = {
    "shuffle_caption": "shuffle", "enable_wildcard": "wildcards", "token_warmup_step": "warmup_step",
    "token_warmup_min": "warmup_min", "caption_prefix": "prefix", "caption_suffix": "suffix",
    "caption_dropout_every_n_epochs": "dropout_every", "caption_separator": "separator",
    "caption_tag_dropout_rate": "tag_dropout",
}


def use(rules: CaptionRules, caption: str, seed: int = 0, **moment: int) -> str:
    return rules.apply(caption, random.Random(seed), Moment(**moment))


@pytest.mark.parametrize("case", VECTORS["captions"], ids=lambda case: f"{case['caption']!r} {case['opts']}")
def test_matches_sd_scripts(case: dict[str, Any]) -> None:
    rules = CaptionRules(**{OURS.get(name, name): value for name, value in case["opts"].items()})
    # The run of the vectors had 100 steps.
    found = {use(rules, case["caption"], seed, epoch=case["epoch"], update=case["step"], total=100)
             for seed in range(100)}
    # Which order or choice comes is the generator's business, that it can come is not.
    expected = case["out"].replace(", ", "|") if rules.separator == "|" else case["out"]
    assert expected in found
    assert len(found) == 1 or rules.varies(case["caption"])


def test_matches_sd_scripts_wherever_nothing_is_random() -> None:
    for case in CASES["cases"]:
        rules = CaptionRules(**{OURS.get(name, name): value for name, value in case["opts"].items()})
        found = use(rules, case["caption"], epoch=case["epoch"], update=case["step"], total=20)
        assert found == case["out"], case


@given(CAPTIONS)
def test_untouched_without_rules(caption: str) -> None:
    rng = random.Random(1)
    state = rng.getstate()
    assert CaptionRules(keep_tokens=2).apply(caption, rng, Moment()) == caption
    assert rng.getstate() == state


@given(CAPTIONS, st.integers(0, 4), st.integers(), st.sampled_from([0.0, 0.3, 1.0]))
def test_kept_tags_stay_and_others_only_move_or_go(caption: str, keep: int, seed: int, dropout: float) -> None:
    found = use(CaptionRules(shuffle=True, keep_tokens=keep, tag_dropout=dropout), caption, seed)
    before, after = tags(caption), tags(found)
    assert after[:keep] == before[:keep]
    assert all(after.count(tag) <= before.count(tag) for tag in after)
    if dropout == 0.0:
        assert sorted(after) == sorted(before)
    if dropout == 1.0:
        assert after == before[:keep]


@given(RULES, ANY_CAPTION, st.integers(0, 50), st.integers(1, 4), st.integers(0, 6))
def test_what_does_not_vary_has_only_the_forms_that_are_told(
    rules: CaptionRules, caption: str, seed: int, epoch: int, update: int
) -> None:
    found = use(rules, caption, seed, epoch=epoch, update=update, total=8)
    assert found == use(rules, caption, seed, epoch=epoch, update=update, total=8)
    if not rules.varies(caption):
        assert found in rules.forms(caption)


def test_every_order_comes_up() -> None:
    orders = {use(CaptionRules(shuffle=True, keep_tokens=1), "x, a, b, c", seed) for seed in range(200)}
    assert len(orders) == 6


def test_whole_caption_dropout_takes_kept_tags_and_prefix_too() -> None:
    rules = CaptionRules(keep_tokens=1, caption_dropout=0.25, prefix="p")
    found = [use(rules, "x, a", seed) for seed in range(400)]
    assert set(found) == {"", "p x, a"}
    # 400 draws at 0.25: five standard deviations are 43.
    assert abs(found.count("") - 100) < 43


def test_tag_dropout_alone_keeps_the_order() -> None:
    found = use(CaptionRules(tag_dropout=0.5), "a,b , c,d", 3)
    assert tags(found) == sorted(tags(found))
    assert found == ", ".join(tags(found))


def test_warm_up_grows_tag_by_tag_and_ends() -> None:
    rules = CaptionRules(warmup_min=1, warmup_step=0.5, keep_tokens=1)
    sizes = [len(tags(use(rules, "x, a, b, c, d, e", update=update, total=20))) for update in range(12)]
    assert sizes == [2, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6]
    assert use(CaptionRules(warmup_min=9, warmup_step=5), "a, b") == "a, b"


def test_prefix_and_suffix_go_around_the_line_that_is_used() -> None:
    assert use(CaptionRules(prefix="p,", suffix=", s"), "") == "p, , s"
    rules = CaptionRules(prefix="{p|q}", suffix="s", wildcards=True)
    assert {use(rules, "a\nb", seed) for seed in range(50)} == {"p a s", "p b s", "q a s", "q b s"}


def test_the_separator_of_kept_tags_is_taken_out_without_a_shuffle_too() -> None:
    rules = CaptionRules(keep_tokens_separator="|||", keep_tokens=9)
    assert use(rules, "x, y ||| a,b ||| z") == "x, y, a, b, z" == rules.settled("x, y ||| a,b ||| z")


@pytest.mark.parametrize(("separator", "caption", "expected"), [
    (",", "a,b ,c", "a, b, c"), (";", "a; b;c", "a; b; c"), ("|", "a|b | c", "a|b|c"), ("。", "あ。い。", "あ。い"),
    (";", "a, b", "a, b"),
])
def test_tags_are_joined_as_they_were_written(separator: str, caption: str, expected: str) -> None:
    assert use(CaptionRules(separator=separator, tag_dropout=1e-9), caption) == expected


def test_the_settled_caption_leaves_nothing_to_chance() -> None:
    rules = CaptionRules(
        shuffle=True, tag_dropout=0.9, caption_dropout=0.9, dropout_every=1, wildcards=True, prefix="p,",
        warmup_step=100, secondary_separator=";;",
    )
    assert rules.settled("{red|blue} car, b;;c\nd") == "p, red car, b,c"
