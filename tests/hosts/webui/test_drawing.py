"""Previews through the host's `process_images`: what they take over, and that they leave nothing behind."""
from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.host_model import Picture, PreviewRequest
from lib_trainer.hosts.webui.host import WebUIHost
from tests.hosts.webui.conftest import Person

CAT = PreviewRequest("a cat", seed=3, steps=3, width=64, height=64, sampler="Euler")


def preview(host: WebUIHost, request: PreviewRequest) -> Picture:
    with host.borrow_model() as lease, host.job("zunko"), lease.turn() as model:
        return model.preview(request)


class Recorder:
    """An always-on script that notes what it is told."""

    setup_for_ui_only = False
    args_from: int
    args_to: int
    alwayson = True

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.p: Any = None

    def setup(self, p: Any, *args: Any) -> None:
        """Nothing to set."""

    def process(self, p: Any, *args: Any) -> None:
        self.seen.append(args)
        self.p = p


def test_a_preview_is_what_txt2img_draws(person: Person, host: WebUIHost) -> None:
    picture = preview(host, CAT)
    assert picture.image.tobytes() == person.draw()
    assert picture.infotext.startswith("a cat\n") and "Seed: 3" in picture.infotext and picture.comments == []


def test_size_and_sampler_left_open_are_the_checkpoints_and_the_hosts(person: Person, host: WebUIHost) -> None:
    picture = preview(host, PreviewRequest("a cat", steps=1))
    assert picture.image.size == (64, 64) and "Sampler: DPM++ 2M" in picture.infotext


def test_old_sampler_names_carry_the_scheduler(person: Person, host: WebUIHost) -> None:
    from modules import scripts

    recorder: Any = scripts.scripts_txt2img.add(Recorder())
    preview(host, PreviewRequest("a cat", steps=1, sampler="DPM++ 2M Karras"))
    assert (recorder.p.sampler_name, recorder.p.scheduler) == ("DPM++ 2M", "Karras")


@pytest.mark.parametrize(("change", "told"), [
    ({"sampler": "Ruler"}, "no sampler 'Ruler' here. There are: DPM"),
    ({"width": 100, "height": 64}, "multiples of 8, got 100x64"),
    ({"like_txt2img": True}, "nothing was drawn there yet"),
])
def test_values_the_host_cannot_draw_with_are_told(
    person: Person, host: WebUIHost, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        preview(host, PreviewRequest("a cat", **change))


def test_nothing_is_left_behind(person: Person, host: WebUIHost, tmp_path: Path) -> None:
    from modules import processing, shared

    person.draw("a dog")
    last_prompt = (tmp_path / "params.txt").read_text(encoding="utf8")
    caches = [processing.StableDiffusionProcessing.cached_c, processing.StableDiffusionProcessingTxt2Img.cached_hr_c]
    found = [list(cache) for cache in caches]
    shared.opts.persistent_cond_cache = False  # closing a picture then drops the caches of all
    states = (torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1])
    preview(host, PreviewRequest("a cat", steps=2, clip_skip=2))
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert numpy.array_equal(numpy.random.get_state()[1], states[2])
    assert processing.StableDiffusionProcessing.cached_c is caches[0]
    assert processing.StableDiffusionProcessingTxt2Img.cached_hr_c is caches[1]
    assert [list(cache) for cache in caches] == found
    assert (tmp_path / "params.txt").read_text(encoding="utf8") == last_prompt
    assert shared.opts.CLIP_stop_at_last_layers == 1 and not shared.cmd_opts.no_prompt_history
    assert not [file for file in tmp_path.rglob("*.png")]


def test_settings_stay_untouched_where_the_host_has_them_already(person: Person, host: WebUIHost) -> None:
    from modules import scripts

    recorder: Any = scripts.scripts_txt2img.add(Recorder())
    preview(host, CAT)
    assert recorder.p.override_settings == {}


def test_scripts_get_what_their_panels_start_with(person: Person, host: WebUIHost) -> None:
    from modules import scripts

    recorder: Any = scripts.scripts_txt2img.add(Recorder(), SimpleNamespace(value=0.5), SimpleNamespace(value="on"))
    preview(host, CAT)
    assert recorder.seen == [(0.5, "on")] and recorder.p.is_api


def test_like_txt2img_takes_everything_but_seed_and_prompt(person: Person, host: WebUIHost) -> None:
    from modules import scripts

    recorder: Any = scripts.scripts_txt2img.add(Recorder(), SimpleNamespace(value=0.5))
    p = person.processing("a dog", styles=["ink"], width=128, cfg_scale=4.0, batch_size=3, enable_hr=True,
                          hr_checkpoint_name="other", seed=77,
                          override_settings={"sd_vae": "x", "CLIP_stop_at_last_layers": 2})
    p.script_args = (5, 0.75)
    host.generation_begins(p)
    picture = preview(host, PreviewRequest("", seed=4, like_txt2img=True))
    drawn = recorder.p
    assert picture.infotext.startswith("a dog, ink\n") and "Seed: 4," in picture.infotext
    assert (drawn.width, drawn.cfg_scale, drawn.enable_hr, drawn.steps) == (128, 4.0, True, 3)
    assert (drawn.batch_size, drawn.n_iter, drawn.hr_checkpoint_name) == (1, 1, None)
    assert drawn.override_settings == {"CLIP_stop_at_last_layers": 2} and recorder.seen == [(0.75,)]
    assert len(picture.comments) == 2 and all("Left out in previews" in comment for comment in picture.comments)
    assert preview(host, PreviewRequest("a fox", like_txt2img=True)).infotext.startswith("a fox, ink\n")
    own = PreviewRequest("a fox", "ugly", like_txt2img=True, width=72, height=64, steps=2, sampler="DPM++ 2M Karras",
                         explicit=frozenset({"width", "steps", "sampler"}))
    text = preview(host, own).infotext
    assert "Size: 72x" in text and "Steps: 2," in text and "DPM++ 2M" in text and "ugly" not in text


def test_only_the_tabs_own_pictures_are_remembered(person: Person, host: WebUIHost) -> None:
    by_api, upscaled = person.processing("api"), person.processing("upscale", firstpass_image="a picture")
    by_api.is_api = True
    for p in (by_api, upscaled, SimpleNamespace(prompt="img2img", is_api=False)):
        host.generation_begins(p)
    with pytest.raises(UserError, match="nothing was drawn"):
        preview(host, PreviewRequest("", like_txt2img=True))


@pytest.mark.parametrize(("button", "stops"), [("skip", False), ("interrupt", True)])
def test_the_hosts_buttons_end_a_preview(person: Person, host: WebUIHost, button: str, stops: bool) -> None:
    from modules import scripts, shared

    class Impatient(Recorder):
        def process_batch(self, p: Any, **told: Any) -> None:
            getattr(shared.state, button)()

    scripts.scripts_txt2img.add(Impatient())
    with host.borrow_model() as lease, host.job("zunko") as display, lease.turn() as model:
        with pytest.raises(UserError, match="ended before it was finished"):
            model.preview(CAT)
        assert display.stop_asked() is stops
        assert shared.state.job == "zunko"


def test_a_preview_that_dies_leaves_no_network_active(person: Person, host: WebUIHost) -> None:
    from modules import extra_networks, scripts, shared

    class Network(extra_networks.ExtraNetwork):
        active = False

        def activate(self, p: Any, params_list: list[Any]) -> None:
            self.active = bool(params_list)

        def deactivate(self, p: Any) -> None:
            self.active = False

    class Broken(Recorder):
        def process_batch(self, p: Any, **told: Any) -> None:
            assert network.active
            raise MemoryError

    network = Network("lora")
    extra_networks.register_extra_network(network)
    scripts.scripts_txt2img.add(Broken())
    with pytest.raises(MemoryError):
        preview(host, PreviewRequest("a cat <lora:x:1>", steps=1))
    assert not network.active and shared.state.job == ""


def test_a_picture_of_no_numbers_is_told(person: Person, host: WebUIHost) -> None:
    from modules import devices, scripts

    class Broken(Recorder):
        def process_batch(self, p: Any, **told: Any) -> None:
            raise devices.NansException("A tensor with NaNs was produced in Unet.")

    scripts.scripts_txt2img.add(Broken())
    with pytest.raises(UserError, match="could not draw it: A tensor with NaNs"):
        preview(host, CAT)


def test_the_last_preview_is_the_hosts_live_picture(person: Person, host: WebUIHost) -> None:
    from modules import shared

    picture = preview(host, CAT)
    assert shared.state.current_image is picture.image
