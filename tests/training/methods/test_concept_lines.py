"""Concepts as lines and as LECO's files: what each of them asks the model to say."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.data.concepts import Concept
from lib_trainer.errors import Problems, UserError
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.methods import concept_files, concept_items, concept_lines
from lib_trainer.training.methods.concept_lines import Defaults


def sums(line: str, **changes: str | float | bool) -> list[tuple[str, str, str, str, float, float]]:
    """Returns target, neutral, positive, unconditional, guidance and strength of a line's concepts."""
    found = concept_lines.row(line, Defaults(**changes)).concepts  # type: ignore[arg-type]
    return [(one.target, one.neutral, one.positive, one.unconditional, one.guidance, one.strength) for one in found]


def test_a_word_is_erased_by_negative_guidance() -> None:
    assert sums("van gogh") == [("van gogh", "", "van gogh", "", -1.0, 1.0)]
    assert sums("van gogh", guidance=2.0) == [("van gogh", "", "van gogh", "", -2.0, 1.0)]
    assert sums("van gogh", action="enhance") == [("van gogh", "", "van gogh", "", 1.0, 1.0)]


def test_an_instant_erasure_becomes_the_empty_prompt() -> None:
    assert sums("mona lisa", to_nothing=True) == [("mona lisa", "mona lisa", "", "mona lisa", 1.0, 1.0)]
    assert sums("mona lisa ->") == sums("mona lisa", to_nothing=True)


def test_an_arrow_goes_all_the_way_to_the_other_prompt() -> None:
    assert sums("open eyes -> closed eyes") == [("open eyes", "open eyes", "closed eyes", "open eyes", 1.0, 1.0)]


def test_a_slider_has_two_ends_that_mirror_each_other() -> None:
    assert sums("sad <-> happy --around 1girl --guidance 2") == [
        ("1girl", "1girl", "happy", "sad", 2.0, 1.0), ("1girl", "1girl", "happy", "sad", -2.0, -1.0)]


def test_options_win_over_the_settings() -> None:
    row = concept_lines.row("1girl --positive 1girl, cat ears --action enhance --guidance 3 --weight 0.5 "
                            "--size 512,768 --batch 2 --strength 0.5", Defaults())
    assert (row.weight, row.size, row.batch_size) == (0.5, (512, 768), 2)
    assert row.concepts[0] == Concept("1girl", "", "1girl, cat ears", "", 3.0, 0.5, row.concepts[0].label)


@pytest.mark.parametrize(("line", "said"), [
    ("hat --colour red", "no option"), ("a -> b -> c", "two arrows"), ("-> b", "not what"),
    ("a -> b --positive c", "both sides"), ("hat --guidance much", "number"), ("hat --action burn", "erase or enhance"),
    ("hat --guidance 1 --guidance 2", "twice"), ("--positive x", "names no concept"), ("hat --strength 0", "nothing"),
    ("hat --size 500", "multiple of 8"), ("hat --batch 0", "from 1"), ("hat --around x", "sliders"),
])
def test_what_cannot_be_meant_is_said(line: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        concept_lines.row(line, Defaults())


@pytest.mark.parametrize("line", ["hat -> hat", "hat <-> hat", "hat --guidance 0 --neutral hat", "a -> b --guidance 0"])
def test_nothing_to_learn_is_seen(line: str) -> None:
    assert concept_lines.empty_of([concept_lines.row(line, Defaults())])


def test_words_around_go_before_every_prompt() -> None:
    config = TrainConfig(method="leco", concepts="# note\nhat", concept_contexts="1girl, smile")
    alone, around = (row.concepts[0] for row in concept_items.rows(config))
    assert (alone.target, alone.neutral) == ("hat", "")
    assert (around.target, around.neutral, around.positive, around.unconditional) == (
        "1girl, smile, hat", "1girl, smile", "1girl, smile, hat", "1girl, smile")


YAML = """
- target: "realistic"
  resolution: 512
  batch_size: 3
- target: "1girl"
  positive: "1girl, cat ears"
  unconditional: ""
  neutral: ""
  action: "enhance"
  guidance_scale: 2.0
"""
TOML = """
guidance_scale = 1.5
neutrals = ["", "photo"]
[[prompts]]
target = "van gogh"
resolution = [768, 512]
[[targets]]
target_class = "person"
positive = "smiling person"
negative = "sad person"
weight = 0.5
"""


def read(folder: Path, name: str, text: str) -> list[concept_lines.Row]:
    (folder / name).write_text(text, encoding="utf8")
    return concept_files.read(folder / name, Defaults())


def test_lecos_yaml(tmp_path: Path) -> None:
    first, second = read(tmp_path, "prompts.yaml", YAML)
    assert (first.size, first.batch_size, first.concepts[0].guidance) == ((512, 512), 3, -1.0)
    one = second.concepts[0]
    assert (one.target, one.positive, one.guidance, second.batch_size) == ("1girl", "1girl, cat ears", 2.0, 0)


def test_toml_with_prompts_and_sliders(tmp_path: Path) -> None:
    rows = read(tmp_path, "prompts.toml", TOML)
    assert len(rows) == 3  # one to erase, and one slider with each of two neutral prompts
    assert (rows[0].size, rows[0].concepts[0].guidance) == ((512, 768), -1.5)  # sd-scripts: height, width
    assert [(row.concepts[0].neutral, row.weight) for row in rows[1:]] == [("", 0.5), ("photo", 0.5)]
    assert [(one.guidance, one.strength) for one in rows[1].concepts] == [(1.5, 1.0), (-1.5, -1.0)]


def test_lines_in_a_text_file(tmp_path: Path) -> None:
    assert read(tmp_path, "prompts.txt", "# erased\nhat\n")[0] == concept_lines.row("hat", Defaults())


@pytest.mark.parametrize(("name", "text", "said"), [
    ("a.yaml", "- target: hat\n  dynamic_resolution: true\n", "at random"),
    ("a.yaml", "- target: hat\n  dynamic_crops: true\n", "at random"),
    ("a.yaml", "- positive: hat\n", "'target' is missing"), ("a.yaml", "- target: 5\n", "text in quotes"),
    ("a.yaml", "- target: hat\n  lr: 1\n", "'lr' is no part"), ("a.yaml", "network: {rank: 4}\n", "'network'"),
    ("a.yaml", "- target: [", "not valid YAML"), ("a.toml", "x ==", "not valid TOML"),
    ("a.json", "{", "not valid JSON"), ("a.json", '"hat"', "neither"),
    ("a.yaml", "[]", "holds no prompts"), ("a.doc", "hat", "must end in"),
    ("a.txt", "hat --nope 1", "no option"), ("a.yaml", "- target: hat\n  guidance_scale: x\n", "number"),
])
def test_a_file_that_cannot_be_meant_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(Problems, match=said):
        read(tmp_path, name, text)


def test_all_faults_of_a_file_at_once(tmp_path: Path) -> None:
    with pytest.raises(Problems) as told:
        read(tmp_path, "a.yaml", "- positive: x\n- target: y\n  nope: 1\n")
    assert len(told.value.problems) == 2


def test_a_missing_or_huge_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problems, match="cannot be read"):
        concept_files.read(tmp_path / "none.yaml", Defaults())
    with pytest.raises(Problems, match="far more than prompts"):
        read(tmp_path, "big.yaml", "#" * 1_000_001)
