"""What is said of captions whose grammar is switched off or broken by other settings."""
from __future__ import annotations

import pytest

from lib_trainer.data.captions.caption_rules import CaptionRules
from lib_trainer.training.checks.captions import remarks
from lib_trainer.training.config import TrainConfig
from tests.data_tests.items import item

SHUFFLED = CaptionRules(shuffle=True)


@pytest.mark.parametrize(("caption", "rules", "config", "words"), [
    ("a {red|blue} hat", CaptionRules(), TrainConfig(), "2 captions with choices, such as 'a {red|blue} hat'"),
    ("a {red|blue} hat", CaptionRules(wildcards=True), TrainConfig(), ""),
    ("a {red} hat", CaptionRules(), TrainConfig(), ""),
    ("a, (hat:1.3)", CaptionRules(), TrainConfig(), "2 captions with weights"),
    ("a, (hat: 1.3)", CaptionRules(), TrainConfig(weighted_captions=True), ""),
    (r"zko \(series:2\), :), hat (red)", CaptionRules(), TrainConfig(), ""),
    ("(a, b:1.3)", SHUFFLED, TrainConfig(weighted_captions=True), "2 captions with brackets around several tags"),
    (r"(a:1.3), [b], \(c", SHUFFLED, TrainConfig(weighted_captions=True), ""),
    ("(a, b:1.3)", CaptionRules(), TrainConfig(weighted_captions=True), ""),
    ("a; b", CaptionRules(separator=";"), TrainConfig(), "joined with it again"),
])
def test_remarks(caption: str, rules: CaptionRules, config: TrainConfig, words: str) -> None:
    told = list(remarks(config, [item(name, text=caption, captions=rules) for name in "ab"]))
    assert len(told) == bool(words) and (not words or words in told[0])
