"""What previews are drawn of: lines and files as sd-scripts reads them, and seeds that show overfitting."""
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import Problems, UserError
from lib_trainer.host_model import PreviewRequest
from lib_trainer.training import config_reading, preview_prompts
from lib_trainer.training.config import TrainConfig


def config(**changes: Any) -> TrainConfig:
    return config_reading.from_dict({"name": "a", "preview_negative": "bad", "preview_seed": 7, **changes})


def requests(**changes: Any) -> list[PreviewRequest]:
    return [prompt.request for prompt in preview_prompts.prompts(config(**changes))]


def test_a_line_with_every_option() -> None:
    line = "zunko, 1girl --n worst quality, blurry --w 512 --h 768 --d 1 --l 7.5 --s 28 --ss euler_a"
    assert requests(preview_prompts=line)[0] == PreviewRequest(
        prompt="zunko, 1girl", negative="worst quality, blurry", seed=1, steps=28, cfg=7.5, width=512, height=768,
        sampler="Euler a", explicit=frozenset({"negative", "width", "height", "cfg", "steps", "sampler"}))


def test_what_a_line_does_not_say_is_the_settings() -> None:
    plain, other = requests(preview_prompts="# a note\nzunko\n\n  other --d 3", preview_steps=11, preview_cfg=4,
                            preview_sampler="k_lms", clip_skip=2)
    assert plain == PreviewRequest("zunko", "bad", 7, steps=11, cfg=4, sampler="LMS", clip_skip=2)
    assert (other.prompt, other.seed) == ("other", 3)


@given(st.permutations(["--n low, bad -- worse", "--w 640", "--h 448", "--d 12", "--l 3", "--s 5", "--ss DPM++ 2M"]))
def test_the_order_of_options_does_not_matter(options: list[str]) -> None:
    found = requests(preview_prompts=" ".join(["a -- b, (c:1.2)", *options]))[0]
    assert found == PreviewRequest(
        "a -- b, (c:1.2)", "low, bad -- worse", 12, steps=5, cfg=3, width=640, height=448, sampler="DPM++ 2M",
        explicit=found.explicit)


def test_sides_are_rounded_down_and_foreign_options_told() -> None:
    found = preview_prompts.prompts(config(preview_prompts="a --w 770 --h 5 --g 3.5 --cn x.png"))[0]
    assert (found.request.width, found.request.height) == (768, 64)
    assert len(found.notes) == 4 and "--cn" in "".join(found.notes) and "drawn as 768" in "".join(found.notes)


@pytest.mark.parametrize(("line", "word"), [
    ("a --w", "width"), ("a --w wide", "'wide'"), ("a --d 1 --d 2", "twice"), ("a --s 0", "1 to 150"),
    ("a --beautiful girl", "--beautiful"), ("a --l nan", "'nan'"), ("a --d 1.5", "whole"), ("a --d -2", "-1 to"),
])
def test_lines_that_cannot_be_read(line: str, word: str) -> None:
    with pytest.raises(Problems) as caught:
        config(preview_prompts=line)
    assert word in str(caught.value) and "preview_prompts" in str(caught.value)


TOML = """
[prompt]
negative_prompt = "low"
width = 768
sample_sampler = "euler_a"
[[prompt.subset]]
prompt = "one"
seed = 1
[[prompt.subset]]
prompt = "two"
scale = 5
sample_steps = 12
width = 512
"""


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffone --n low --w 768 --ss euler_a --d 1\n#no\n"
                                    "two --n low --w 512 --ss euler_a --l 5 --s 12\n", encoding="utf8")
    (tmp_path / "a.toml").write_text(TOML, encoding="utf8")
    (tmp_path / "a.json").write_text(json.dumps([
        "one --n low --w 768 --ss euler_a --d 1",
        {"prompt": "two", "negative_prompt": "low", "width": 512, "sample_sampler": "euler_a", "scale": 5,
         "sample_steps": 12, "seed": None, "enum": 3},
    ]))
    expected = requests(preview_file=str(tmp_path / "a.txt"))
    assert [one.prompt for one in expected] == ["one", "two"] and expected[1].cfg == 5 and expected[1].seed == 7
    assert requests(preview_file=str(tmp_path / "a.toml")) == expected
    assert requests(preview_file=str(tmp_path / "a.json")) == expected
    both = requests(preview_file=str(tmp_path / "a.txt"), preview_prompts="three")
    assert [one.prompt for one in both] == ["one", "two", "three"]


@pytest.mark.parametrize(("name", "text", "word"), [
    ("a.csv", "x", "must end in"), ("a.txt", "", "no prompts"), ("a.json", "{", "not valid JSON"),
    ("a.json", '{"prompt": "a"}', "list of them"), ("a.json", "[5]", "neither a line"), ("a.toml", "x = 1", "[prompt]"),
    ("a.json", '[{"promt": "a"}]', "'promt'"), ("a.json", '[{"prompt": "a", "seed": true}]', "seed"),
    ("a.json", '[{"prompt": 5}]', "a text"), ("a.toml", "[prompt]\nsubset = 1", "[[prompt.subset]]"),
    ("a.txt", "one --x 4", "--x"),
])
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str, word: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf8")
    with pytest.raises(UserError) as caught:
        requests(preview_file=str(path))
    assert word in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        requests(preview_file=str(tmp_path / "missing.txt"))


def test_random_seeds_change_with_the_step_and_follow_from_it() -> None:
    settings = config(preview_prompts="one\ntwo --d -1", preview_random_seeds=2)
    state = random.getstate()
    first, again, later = (preview_prompts.drawings(settings, step) for step in (10, 10, 20))
    assert first == again and random.getstate() == state
    assert [one.is_random for one in first] == [False, True, True, True, True, True]
    assert first[0] == later[0] and first[0].request.seed == 7
    seeds = [one.request.seed for one in first[1:] + later[1:]]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**32 for seed in seeds)
    other = preview_prompts.drawings(config(preview_prompts="one\ntwo", preview_random_seeds=2, seed=43), 10)
    assert other[1].request.seed != first[1].request.seed


def test_the_txt2img_tabs_prompt() -> None:
    assert requests(preview_like_txt2img=True)[0].prompt == ""
    line = requests(preview_like_txt2img=True, preview_prompts="a --w 64\n# b")
    assert [(one.prompt, one.like_txt2img, one.explicit) for one in line] == [("a", True, frozenset({"width"}))]
    assert requests() == []
