"""LoRAs that act in some steps only, with the real script and backends over the doubles of the three WebUIs."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib_trainer.hosts.webui import text_states
from tests.contract.case import HostCase
from tests.hosts.webui.generation import WEBUIS, Drawn, our_script, process, with_loras
from tests.hosts.webui.generation import draw as draw_alone

ROOT = Path(__file__).resolve().parents[3]
STEPS = 4


@pytest.fixture(scope="module", params=WEBUIS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    with with_loras(request.param, tmp_path_factory.mktemp(request.param)) as case:
        yield case


@pytest.fixture
def script(case: HostCase, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real script among the program's scripts, its callbacks registered."""
    return our_script(case, monkeypatch)


def draw(tags: str, **values: Any) -> bytes:
    """Draws as the API does and returns the pixels."""
    pixels: bytes = process(f"a cat{tags}", sent=(), **{"steps": STEPS, **values})[1].images[0].tobytes()
    return pixels


def alone(prompt: str) -> Drawn:
    """Draws without scripts."""
    return draw_alone(prompt, steps=STEPS)


def test_a_window_over_all_steps_is_the_plain_tag_and_one_over_none_is_no_tag(script: Any) -> None:
    plain, without = draw("<lora:one:1>"), draw("")
    assert plain != without
    for arguments in ("start=1", f"stop={STEPS + 1}", f"step=1-{STEPS + 1}", "start=0:stop=99"):
        assert draw(f"<lora:one:1:{arguments}>") == plain, arguments
    for arguments in ("stop=1", f"start={STEPS + 1}", "start=99", "step=3-3"):
        assert draw(f"<lora:one:1:{arguments}>") == without, arguments


@pytest.mark.parametrize("lora", ["one", "picture"])
def test_every_step_more_is_another_picture_and_the_same_one_again(script: Any, lora: str) -> None:
    drawn = {stop: draw(f"<lora:{lora}:1:stop={stop}>") for stop in range(1, STEPS + 2)}
    assert len(set(drawn.values())) == len(drawn)
    assert {stop: draw(f"<lora:{lora}:1:stop={stop}>") for stop in drawn} == drawn


def test_two_windows_that_meet_are_one(script: Any) -> None:
    for lora in ("one", "picture"):
        whole = draw(f"<lora:{lora}:1>")
        assert draw(f"<lora:{lora}:1:stop=3><lora:{lora}:1:start=3>") == whole
        assert draw(f"<lora:{lora}:1:stop=3><lora:{lora}:1:start=4>") != whole


def test_each_lora_has_a_window_of_its_own(script: Any) -> None:
    early, late = "<lora:one:1:stop=3>", "<lora:two:1:start=3>"
    both = draw(early + late)
    assert len({both, draw(early), draw(late), draw(""), draw("<lora:one:1><lora:two:1>")}) == 5
    assert draw(early + "<lora:two:1:start=99>") == draw(early)
    assert draw(late + "<lora:one:1:stop=1>") == draw(late)


def test_blocks_and_windows_go_together(script: Any) -> None:
    assert draw("<lora:one:1:OUTALL:stop=99>") == draw("<lora:one:1:OUTALL>")
    assert len({draw(f"<lora:one:1{preset}:stop=3>") for preset in (":OUTALL", ":INALL", "")}) == 3


def test_a_picture_that_breaks_off_inside_a_window_leaves_nothing(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, without = draw("<lora:one:1>"), draw("")

    def breaks(self: text_states.TextStates, params: Any) -> None:
        if params.denoiser.step == 2:
            raise RuntimeError("a script of somebody else failed")

    with monkeypatch.context() as patch:
        patch.setattr(text_states.TextStates, "put", breaks)
        for arguments in ("stop=2", "start=2", "step=2-3"):
            with pytest.raises(RuntimeError, match="somebody else"):
                draw(f"<lora:one:1:{arguments}>")
    assert draw("") == without
    assert draw("<lora:one:1>") == plain


def test_without_the_script_the_unet_is_switched_and_the_rest_told(script: Any) -> None:
    """A preview, or a picture within a picture, whose scripts are left out."""
    from modules import script_callbacks

    assert script_callbacks.callback_map["cfg_denoiser"]
    assert alone("a cat<lora:picture:1:stop=3>").pixels == draw("<lora:picture:1:stop=3>")
    assert not alone("a cat<lora:picture:te=0:unet=1:stop=3>").comments
    told = alone("a cat<lora:one:1:stop=3>")
    assert told.pixels not in (draw("<lora:one:1:stop=3>"), draw("<lora:one:1>"), draw(""))
    assert any("text encoder stays on" in comment for comment in told.comments)


def test_no_weight_of_the_model_is_another_one_afterwards(script: Any, case: HostCase) -> None:
    def digests() -> list[float]:
        with case.host.borrow_model() as lease, lease.turn() as model:
            return [float(torch.as_tensor(target.module.weight).double().sum()) for target in model.targets()]

    before = digests()
    draw("<lora:one:1:step=2-3><lora:two:0.5:NCNF:start=3>")
    assert digests() == before


def test_the_hosts_caches_of_text_states_stay_its_own(script: Any) -> None:
    """They would hand the states of one step to another picture."""
    from modules import processing

    draw("<lora:one:1:stop=3>")
    cached = processing.StableDiffusionProcessing.cached_c
    kept = cached[1].clone()
    draw("<lora:one:1:stop=3>", negative_prompt="a dog")
    assert torch.equal(cached[1], kept)


def test_what_a_pass_wrote_on_the_hosts_object_is_put_back() -> None:
    p = SimpleNamespace(cached_c=["key", "states"], cached_uc=None, c=1)
    with text_states.caches_apart(p):
        assert p.cached_c == [None, None]
        p.c, p.uc, p.cached_c[0] = 2, 3, "other"
    assert vars(p) == {"cached_c": ["key", "states"], "cached_uc": None, "c": 1}
