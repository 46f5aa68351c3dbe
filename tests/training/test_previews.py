"""Previews of a run: before the first step, beside the fixed seed, carried by files with their parameters."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training import check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.txt2img_host import GenerateRequest
from tests.conftest import Settings

QUICK: dict[str, Any] = {"train_text_encoder": False, "preview_steps": 2, "preview_seed": 3, "learning_rate": "1e-2"}


def previewed(host: StandaloneHost, config: TrainConfig) -> list[ev.Previewed]:
    return [event for event in recipe.run(config, host, Controls()) if isinstance(event, ev.Previewed)]


def pixels(host: StandaloneHost, request: GenerateRequest) -> bytes:
    return host.generate(request)[0].image.tobytes()


def test_before_the_first_step_and_at_random_seeds(host: StandaloneHost, settings: Settings) -> None:
    config = settings(**QUICK, preview_prompts="zko --w 64 --h 72 --ss euler\nzko --ss Ruler", preview_at_first=True,
                      preview_every_steps=6, preview_random_seeds=1)
    first, last = previewed(host, config)
    assert (first.step, last.step) == (0, 6)
    assert first.prompts == ["zko"] * 4 and first.random == [False, True, False, True] == last.random
    assert first.seeds[::2] == [3, 3] == last.seeds[::2] and not set(first.seeds[1::2]) & set(last.seeds[1::2])
    for event in (first, last):
        for file, seed in zip(event.files, event.seeds, strict=True):
            assert f"Seed: {seed}," in Image.open(file).text["parameters"]  # type: ignore[attr-defined]
    named = Image.open(first.files[0])
    assert named.size == (64, 72) and "Sampler: Euler," in named.text["parameters"]  # type: ignore[attr-defined]
    # Before the first step the adapters change nothing yet: what txt2img draws.
    for file, request in zip(first.files, (
        GenerateRequest("zko", seed=3, steps=2, width=64, height=72, sampler="Euler"),
        GenerateRequest("zko", seed=first.seeds[1], steps=2, width=64, height=72, sampler="Euler"),
        GenerateRequest("zko", seed=3, steps=2),
    ), strict=False):
        assert Image.open(file).tobytes() == pixels(host, request)
    assert Image.open(last.files[2]).tobytes() != Image.open(first.files[2]).tobytes()


def test_a_prompt_file_may_change_on_the_way(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("zko --d 5", encoding="utf8")
    seen: list[ev.Event] = []
    for event in recipe.run(settings(**QUICK, preview_file=str(file), preview_every_steps=3), host, Controls()):
        seen.append(event)
        if isinstance(event, ev.Previewed):
            file.write_text("zko --s lots", encoding="utf8")
    drawn = [event for event in seen if isinstance(event, ev.Previewed)]
    assert [(event.step, event.seeds) for event in drawn] == [(3, [5])]
    told = [event.message for event in seen if isinstance(event, ev.Warned)]
    assert any("step 6" in message and "'lots'" in message for message in told)
    assert isinstance(seen[-1], ev.Finished) and not seen[-1].stopped


def test_the_average_is_what_previews_and_files_show(host: StandaloneHost, settings: Settings) -> None:
    """The last preview of a run and its file are the same weights, and not those that were trained."""
    drawn = {}
    for decay in (0.0, 0.9):
        config = settings(**QUICK, name=f"zko{decay:g}".replace(".", ""), preview_prompts="zko", preview_every_steps=6,
                          ema_decay=decay, save_precision="float")
        drawn[decay] = Image.open(previewed(host, config)[-1].files[0]).tobytes()
        assert drawn[decay] == pixels(host, GenerateRequest(f"zko<lora:{config.name}:1>", seed=3, steps=2))
    assert drawn[0.0] != drawn[0.9]


def test_what_is_wrong_with_previews_is_told_before_the_start(
    host: StandaloneHost, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    faults = check.examine(settings(preview_file=str(file), preview_every_steps=1), host).faults
    assert any("preview_file" in fault and "cannot be read" in fault for fault in faults)
    file.write_text("zko --cn pose.png --ss dpmsingle")
    warnings = check.examine(settings(preview_file=str(file)), host).warnings
    assert any("no ControlNet" in warning for warning in warnings)
    assert any("'dpmsingle' of a preview is drawn as 'DPM++ 2S a'" in warning for warning in warnings)
    assert any("no sampler 'DPM++ 2S a' here" in warning and "Euler a" in warning for warning in warnings)
    assert any("'Preview every N' is 0" in warning for warning in warnings)
    warnings = check.examine(settings(preview_at_first=True), host).warnings
    assert any("there is no prompt" in warning for warning in warnings)
