"""Pictures of a finished slider: what they show, under which prompts, and that a stop loses nothing of them."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training import config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.resume import run_record, search
from lib_trainer.training.strengths.events import StrengthsDrawn, StrengthsSheet
from lib_trainer.txt2img_host import GenerateRequest
from tests.training.runs import of, pairs_of_squares, same_tensors, tensors, train


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs that differ in a square; brackets of a caption are no emphasis."""
    return pairs_of_squares(tmp_path, "colour ({})")


def config(pairs: Path, **changes: Any) -> TrainConfig:
    return config_reading.from_dict({
        "name": "zko", "method": "addift", "images": str(pairs), "epochs": 1, "repeats": 1, "batch_size": 3,
        "rank": 2, "alpha": 2.0, "learning_rate": "0.1", "train_text_encoder": False, "save_precision": "float",
        "blocks": "OUT06-OUT11", "preview_steps": 2, "preview_cfg": 2.0, "slider_strengths": "-1, 0, 1", **changes})


def job(host: StandaloneHost, name: str = "zko") -> Path:
    return host.paths.outputs / "train-lora" / name


def same(one: Image.Image | str, other: Image.Image | str) -> bool:
    first, second = (Image.open(image) if isinstance(image, str) else image for image in (one, other))
    return ImageChops.difference(first.convert("RGB"), second.convert("RGB")).getbbox() is None


def test_the_result_is_drawn_at_its_strengths(host: StandaloneHost, pairs: Path) -> None:
    events = train(config(pairs), host)
    rows = of(StrengthsDrawn, events)
    assert [(row.prompt, row.seed) for row in rows] == [
        (rf"colour \({index}\)", seed) for index in (0, 1) for seed in (1, 2)]
    assert all(row.strengths == [-1.0, 0.0, 1.0] and len(row.files) == 3 for row in rows)
    for number, strength in enumerate(rows[1].strengths):  # as the person will draw it, by its tag
        tag = f"<lora:zko:{strength:g}>" if strength else ""
        request = GenerateRequest(rows[1].prompt + tag, seed=2, steps=2, cfg=2.0, width=64, height=64)
        drawn = next(iter(host.generate(request)))
        assert same(drawn.image, rows[1].files[number]), strength
    assert not same(rows[0].files[0], rows[0].files[1]) and not same(rows[0].files[1], rows[0].files[2])
    [sheet] = of(StrengthsSheet, events)
    assert sheet.pictures == 12 and sheet.strengths == [-1.0, 0.0, 1.0]
    with Image.open(sheet.file) as image:
        assert image.width > 3 * 64 and image.height > 4 * 64  # with labels beside and above
    assert isinstance(events[-1], ev.Finished) and events[-1].file and not events[-1].stopped
    worked = [(one.done, one.total) for one in of(ev.Worked, events)]
    assert worked == [(done, 12) for done in range(12)]
    record = run_record.read(job(host))
    assert record is not None and record.finished and not search.states(job(host))
    thumbnail = host.paths.loras / "zko.png"
    assert same(str(thumbnail), rows[0].files[2])


def test_a_stop_loses_no_picture(host: StandaloneHost, pairs: Path) -> None:
    controls = Controls()
    short = {"slider_seeds": "5", "slider_strengths": "1, -0.5"}
    events = train(config(pairs, **short), host, lambda event: controls.stop() if isinstance(
        event, StrengthsDrawn) else None, controls)
    [row] = of(StrengthsDrawn, events)
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.stopped and Path(finished.file).exists()
    assert any("only pictures of it are missing" in one.message for one in of(ev.Warned, events))
    found = search.interrupted(host.paths)
    assert found is not None and found.progress == (1, 1)
    before = {path: (Path(path).stat().st_mtime_ns, Path(path).read_bytes()) for path in row.files}
    lora = tensors(host)
    controls = Controls()

    def pause_once(event: ev.Event) -> None:
        if isinstance(event, ev.Worked) and event.done == 1:
            controls.pause()
        elif isinstance(event, ev.Paused):
            controls.resume()

    again = train(config(pairs, resume="auto", **short), host, pause_once, controls)
    kinds = [type(event) for event in again if isinstance(event, (ev.Worked, ev.Paused, ev.Continued))]
    assert kinds == [ev.Worked, ev.Worked, ev.Paused, ev.Continued, ev.Worked, ev.Worked]
    assert not of(ev.Stepped, again)
    assert [row.prompt for row in of(StrengthsDrawn, again)] == [r"colour \(0\)", r"colour \(1\)"]
    assert before == {path: (Path(path).stat().st_mtime_ns, Path(path).read_bytes()) for path in row.files}
    assert same_tensors(tensors(host), lora)
    assert of(StrengthsSheet, again) and search.interrupted(host.paths) is None and not search.states(job(host))


def test_a_stop_after_the_last_picture_leaves_nothing_undone(host: StandaloneHost, pairs: Path) -> None:
    controls = Controls()
    short = {"slider_seeds": "5", "slider_strengths": "1", "slider_prompts": 1, "preview_steps": 1}
    events = train(config(pairs, **short), host, lambda event: controls.stop() if isinstance(
        event, StrengthsSheet) else None, controls)
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.file and not finished.stopped
    assert not of(ev.BrokenOff, events) and search.interrupted(host.paths) is None and not search.states(job(host))


def test_what_is_thrown_away_while_it_is_drawn_leaves_no_file(host: StandaloneHost, pairs: Path) -> None:
    controls = Controls()
    events = train(config(pairs), host, lambda event: controls.stop(save=False) if isinstance(
        event, StrengthsDrawn) else None, controls)
    assert len(of(StrengthsDrawn, events)) == 1 and list(host.paths.loras.iterdir()) == []
    assert [one.name for one in of(ev.Removed, events)] == ["zko"]
    assert isinstance(events[-1], ev.Finished) and not events[-1].file and search.interrupted(host.paths) is None


def test_prompts_are_those_of_the_previews_or_what_is_learned(host: StandaloneHost, pairs: Path) -> None:
    given = config(pairs, preview_prompts="mine --w 128\n# a note\nyours", slider_seeds="3", slider_strengths="1")
    assert [(row.prompt, row.seed) for row in of(StrengthsDrawn, train(given, host))] == [("mine", 3), ("yours", 3)]
    concepts = config(pairs, name="prompts", method="ileco", images="", steps=1, concepts="red -> blue\nhat",
                      slider_seeds="3", slider_strengths="1", slider_prompts=5)
    assert [row.prompt for row in of(StrengthsDrawn, train(concepts, host))] == ["red", "hat"]


def test_what_cannot_be_drawn_is_told_and_the_lora_stays(host: StandaloneHost, pairs: Path) -> None:
    def block(event: ev.Event) -> None:
        if isinstance(event, ev.Started):
            (job(host) / "strengths").write_text("in the way", encoding="utf8")

    events = train(config(pairs), host, block)
    assert [one for one in of(ev.Warned, events) if one.message.startswith(
        "The LoRA is finished, but not all pictures of it could be made: ")]
    assert not of(StrengthsDrawn, events) and Path(events[-1].file).exists()  # type: ignore[attr-defined]
    assert search.interrupted(host.paths) is None
