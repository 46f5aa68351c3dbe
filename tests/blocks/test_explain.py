"""The answer of `blocks explain`, and that it comes without torch and at once."""
from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer import blocks
from lib_trainer.blocks.explain import explain
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import UserError

_PRESETS = Presets.shipped()
_ROOT = Path(__file__).parent.parent.parent
_TE, _IN01 = "lora_te_text_model_encoder_layers_0_mlp_fc1", "lora_unet_down_blocks_0_attentions_0_proj_in"
_OUT03, _OUT = "lora_unet_up_blocks_1_attentions_0_proj_in", "lora_unet_conv_out"
_LAYERS = [_TE, _IN01, _OUT03, _OUT]


def test_the_answer() -> None:
    answer = explain("a <lora:zko:0.8:NCNF>, b", "sd15", {"zko": _LAYERS}, _PRESETS)
    assert answer["loras"] == {"zko": {_TE: 0.8, _IN01: 0.8, _OUT03: 0.0, _OUT: 0.8}}
    assert (answer["warnings"], answer["errors"]) == ([], [])


def test_the_details_say_what_every_tag_came_to() -> None:
    tags = "<lora:a:0.8:lbw=R,MID0@1:lbwe=IN05-OUT05/attn@0:step=3-9><lora:a:1:0.5>"
    first, second = explain(tags, "sd15", {"a": _LAYERS}, _PRESETS, seed=7)["details"]
    assert first["tag"] + second["tag"] == tags
    assert (first["random"], first["rules"], first["start"], first["stop"]) == (True, ["IN05-OUT05/attn@0"], 3, 9)
    assert first["numbers"].endswith(",MID0@1") and first["blocks"]
    assert [float(number) for number in first["numbers"].split(",")[:26]] == list(first["blocks"].values())
    assert (second["te"], second["unet"], second["blocks"], second["numbers"]) == (1, 0.5, None, "")
    assert (second["layout"], second["random"], second["stop"]) == (17, False, None)


def test_tags_of_one_lora_add_up() -> None:
    answer = explain("<lora:a:1><lora:a:0.5:OUTD>", "sd15", {"a": _LAYERS}, _PRESETS)
    assert answer["loras"] == {"a": {_TE: 1.5, _IN01: 1.0, _OUT03: 1.5, _OUT: 1.5}}
    assert answer["warnings"] == ["LoRA 'a' is named 2 times: its tags add up."]


def test_mistakes_keep_the_plain_strength() -> None:
    answer = explain("<lora:a:0.7:NOPE!>", "sd15", {"a": [_IN01]}, _PRESETS)
    assert answer["loras"] == {"a": {_IN01: 0.7}}
    assert "NOPE!" in answer["errors"][0]


def test_loras_and_tags_that_do_not_meet() -> None:
    answer = explain("<lora:zunco:1> <hypernet:h:1>", "sd15", {"zunko": _LAYERS}, _PRESETS)
    assert answer["loras"] == {}
    assert answer["warnings"] == ["LoRA 'zunko' is not in the prompt."]
    assert [("did you mean 'zunko'" in e, "hypernet" in e) for e in answer["errors"]] == [(True, False), (False, True)]


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(UserError, match="'flux'"):
        explain("", "flux", {}, _PRESETS)


@given(st.text(), st.lists(st.sampled_from(["<lora:a", ":0.5", ":", "lbw=", "NCNF", ">", ",", "X", "=", "nan"])))
def test_any_prompt_has_a_valid_json_answer(prompt: str, pieces: list[str]) -> None:
    answer = explain(prompt + "".join(pieces), "sdxl", {"a": _LAYERS}, _PRESETS)
    json.dumps(answer, allow_nan=False)


def test_the_blocks_package_is_light() -> None:
    modules = [f"lib_trainer.blocks.{module.name}" for module in pkgutil.iter_modules(blocks.__path__)]
    seen = "print([name for name in ('torch', 'numpy') if name in sys.modules], time.process_time())"
    code = f"import sys, time, {', '.join(modules)}; {seen}"

    def seconds() -> float:
        result = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
        heavy, taken = result.stdout.rsplit(maxsplit=1)
        assert heavy == "[]"
        return float(taken)

    # Processor time, because other programs take turns too; they slow it down all the same, so the best of three.
    assert any(seconds() < 0.3 for _ in range(3))
