"""Training through the API of a real host: what it makes, what it leaves behind, and how it lives with generation."""
from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.hosts.real import model_state, training
from tests.hosts.real.pixels import close, differ, same
from tests.hosts.real.server import Server
from tests.hosts.real.training import PREFIX

PROMPT = "1girl, blue background"
SLACK = 0.3
"""Seconds for a request to get to the host and for the host to get from its queue lock to its scripts."""


def test_a_finished_lora_is_usable_at_once_under_its_name(host: Server, pictures: Path) -> None:
    plain = host.draw(PROMPT)
    file = training.start(host, pictures, "at once", epochs=2, learning_rate="1e-2").finished()
    assert file == host.loras / "at once.safetensors"
    assert same(host.draw(PROMPT), plain), "without the tag nothing has changed"
    first = host.draw(f"{PROMPT}<lora:at once:1>")
    assert differ(first, plain)
    file.unlink()
    training.start(host, pictures, "at once", epochs=4, learning_rate="1e-2").finished()
    assert differ(host.draw(f"{PROMPT}<lora:at once:1>"), first), "the retrained file is used, not a remembered one"


@pytest.mark.parametrize(("name", "settings"), [
    ("text encoder", {"train_text_encoder": True, "gradient_checkpointing": True}),
    ("convolutions", {"train_text_encoder": False, "conv_rank": 2, "conv_alpha": 1.0}),
])
def test_training_leaves_the_model_as_it_was(
    host: Server, pictures: Path, name: str, settings: dict[str, Any]
) -> None:
    before, model, generators = host.draw(PROMPT), model_state.whole(host), host.get("/probe/generators")
    training.start(host, pictures, name, **settings).finished()
    assert host.get("/probe/generators") == generators
    assert model_state.whole(host) == model
    assert same(host.draw(PROMPT), before)
    assert model_state.whole(host) == model


def test_a_lora_of_the_last_picture_is_taken_out_first(host: Server, pictures: Path) -> None:
    """A host leaves the LoRAs of a generation merged into its weights."""
    clean = training.tensors(training.start(host, pictures, "clean", train_text_encoder=True).finished())
    plain = host.draw(PROMPT)
    merged = host.draw(f"{PROMPT}<lora:clean:3>")
    again = training.tensors(training.start(host, pictures, "after merge", train_text_encoder=True).finished())
    assert again == clean
    assert same(host.draw(f"{PROMPT}<lora:clean:3>"), merged)
    assert same(host.draw(PROMPT), plain)


def test_faults_in_every_phase_leave_the_model_as_it_was(
    host: Server, pictures: Path, record_property: Any, pytestconfig: pytest.Config
) -> None:
    before, model = host.draw(PROMPT, steps=2), model_state.whole(host)
    points = _count_points(host, pictures)
    rng = random.Random(3)
    hits = []
    for number in range(pytestconfig.getoption("--faults")):
        kind = ("error", "stop", "memory", "backward", "disk")[number % 5]
        at = rng.randrange(1, points // 2 if kind == "backward" else points)  # a backward pass must come after it
        hits.append(_break(host, pictures, at, kind))
        assert model_state.without_bytes(host) == model_state.bytes_left_out(model), hits[-1]
        assert host.get("/sdapi/v1/progress")["state"]["job_count"] in (0, -1), hits[-1]
    record_property("faults", hits)
    print("\n".join(hits))
    assert model_state.whole(host) == model
    assert same(host.draw(PROMPT, steps=2), before)
    training.start(host, pictures, "after faults").finished()


def test_a_generation_waits_one_turn_at_most_and_changes_nothing(
    host: Server, pictures: Path, record_property: Any
) -> None:
    settings = {"epochs": 4, "preview_prompts": "", "train_text_encoder": True}
    undisturbed = training.start(host, pictures, "undisturbed", **settings)
    expected = training.tensors(undisturbed.finished())
    turn = undisturbed.turns()[-1]
    plain = host.draw(PROMPT, steps=2)
    host.get("/probe/draws")
    run = training.start(host, pictures, "disturbed", **settings)
    waits, drawn = [], []
    while run.read():
        asked = time.time()
        drawn.append(host.draw(PROMPT, steps=2))
        waits += [times["began"] - asked for times in host.get("/probe/draws")]
    print(f"turn {turn:.2f} s, waits {[round(wait, 2) for wait in waits]}, {len(run.of('Stepped'))} steps")
    record_property("longest turn", turn)
    record_property("longest wait", max(waits))
    assert training.tensors(run.finished()) == expected
    assert len(drawn) >= 3 and all(same(picture, plain) for picture in drawn)
    assert max(waits) <= turn + SLACK


def test_the_lora_in_training_can_be_drawn_with(host: Server, pictures: Path) -> None:
    with _paused(host, pictures, "live", 8) as run:
        run.press("save")
        saved = run.until("the file", lambda: run.of("Saved"))[-1]
        plain = host.draw(PROMPT)
        live = host.draw(f"{PROMPT}<lora:__training__:1>")
        weak = host.draw(f"{PROMPT}<lora:__training__:0.8:OUTD>")
        assert differ(live, plain)
        assert differ(weak, live)
        assert differ(weak, plain)
        assert close(host.draw(f"{PROMPT}<lora:{saved['name']}:1>"), live)
        assert close(host.draw(f"{PROMPT}<lora:{saved['name']}:0.8:OUTD>"), weak)
        assert same(host.draw(PROMPT), plain)


def test_the_host_shows_and_interrupts_the_training_as_its_own(host: Server, pictures: Path) -> None:
    run = training.start(host, pictures, "interrupted", steps=10000)
    run.until_step(2)
    progress = host.get("/sdapi/v1/progress?skip_current_image=true")
    assert 0 < progress["progress"] < 1
    host.post("/sdapi/v1/interrupt")
    last = run.end()
    assert last["kind"] == "Finished" and last["stopped"], last
    assert host.get("/sdapi/v1/progress?skip_current_image=true")["progress"] == 0


def test_previews_are_drawn_by_the_host_and_teach_nothing(host: Server, pictures: Path) -> None:
    quiet = training.start(host, pictures, "quiet", epochs=2)
    expected = training.tensors(quiet.finished())
    run = training.start(host, pictures, "previewed", epochs=2, preview_prompts=PROMPT, preview_every_steps=2,
                         preview_steps=2, preview_width=64, preview_height=64, preview_seed=7)
    assert training.tensors(run.finished()) == expected
    files = [Path(file) for event in run.of("Previewed") for file in event["files"]]
    assert len(files) == 3
    with Image.open(files[0]) as picture:
        assert PROMPT in picture.info["parameters"]


def test_choosing_another_checkpoint_pauses_the_training(host: Server, pictures: Path) -> None:
    own, *others = host.program.checkpoints()
    if not others or "xl" in others[0].lower():
        pytest.skip("the folder of checkpoints holds only one of this size")
    expected = training.tensors(training.start(host, pictures, "stayed", epochs=4).finished())
    run = training.start(host, pictures, "switched", epochs=4)
    run.until_step(2)
    host.choose(others[0])
    try:
        other = host.draw(PROMPT)
        paused = run.until("the pause", lambda: run.of("Paused"))[0]
        assert own.removesuffix(".safetensors") in paused["reason"]
    finally:
        host.choose(own)
    plain = host.draw(PROMPT)
    assert differ(plain, other)
    if not run.of("Continued"):
        run.press("continue")
    assert training.tensors(run.finished()) == expected
    assert same(host.draw(PROMPT), plain)


@contextmanager
def _paused(host: Server, pictures: Path, name: str, step: int) -> Iterator[training.Training]:
    run = training.start(host, pictures, name, steps=10000, learning_rate="2e-2", train_text_encoder=True)
    try:
        run.until_step(step)
        run.press("pause")
        run.until("the pause", lambda: run.of("Paused"))
        yield run
    finally:
        run.press("stop", save=False)
        run.end()


def _count_points(host: Server, pictures: Path) -> int:
    """Runs once undisturbed; returns how many points there are to break at."""
    host.post("/probe/faults")
    _short(host, pictures, "whole").finished()
    passed = host.get("/probe/faults")
    assert passed["kinds"].keys() == {"module", "optimizer", "file"}
    return int(passed["passed"])


def _break(host: Server, pictures: Path, at: int, kind: str) -> str:
    """Breaks a run at a point; returns what happened."""
    stop = f"{host.url}{PREFIX}/stop"
    host.post(f"/probe/faults?at={at}&kind={kind}&stop_url={stop}")
    run = _short(host, pictures, f"faulty {at}")
    while run.read():
        paused, continued = len(run.of("Paused")), len(run.of("Continued"))
        if paused > continued:
            run.press("continue")
        time.sleep(0.2)
    last = run.end()
    hit = host.get("/probe/faults")["hit"]
    host.post("/probe/faults")
    assert hit and last["kind"] in ("Failed", "Finished"), last
    return f"{hit} -> {last['kind']} {last.get('message', '')}"


def _short(host: Server, pictures: Path, name: str) -> training.Training:
    """A run with everything: caching, both networks, checkpointing, a preview, files."""
    return training.start(
        host, pictures, name, epochs=0, steps=3, train_text_encoder=True, gradient_checkpointing=True,
        preview_prompts=PROMPT, preview_every_steps=2, preview_steps=1, preview_width=64, preview_height=64,
        save_every_steps=1)
