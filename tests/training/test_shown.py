"""A run among the host's own jobs: what is shown of it, the host's Interrupt, and its adapters in txt2img."""
from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_trainer.hosts.standalone.display import Display
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training import events as ev
from lib_trainer.training import recipe
from lib_trainer.training.controls import Controls
from lib_trainer.txt2img_host import GenerateRequest
from tests.conftest import Settings


class Board(Display):
    """A display that keeps what it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, int, str]] = []

    def show(self, done: int, total: int, text: str) -> None:
        self.lines.append((done, total, text))


class BoardHost(StandaloneHost):
    """The embedded host with a board."""

    def __init__(self, model_file: Path, host: StandaloneHost) -> None:
        super().__init__(model_file, host.paths)
        self.board = self._display = Board()
        self.titles: list[str] = []

    @contextmanager
    def job(self, title: str) -> Iterator[Display]:
        self.titles.append(title)
        with super().job(title) as display:
            yield display
        self.titles.append("ended")


@pytest.fixture
def board_host(checkpoint: Path, host: StandaloneHost) -> BoardHost:
    return BoardHost(checkpoint, host)


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def draw(host: StandaloneHost, prompt: str) -> bytes:
    return host.generate(GenerateRequest(prompt, seed=3, steps=2))[0].image.tobytes()


def test_the_run_is_shown(board_host: BoardHost, settings: Settings) -> None:
    config = settings(train_text_encoder=False, preview_prompts="zko", preview_every_epochs=1, preview_steps=2)
    events = list(recipe.run(config, board_host, Controls()))
    assert board_host.titles == ["Training zko", "ended"]
    lines = board_host.board.lines
    for expected in ((0, 6, "Training zko on tiny.safetensors"), (3, 3, "Looking at the pictures: 3/3"),
                     (3, 3, "Caching latents: 3/3"), (3, 3, "Caching captions: 3/3"), (3, 6, "Previews of step 3"),
                     (6, 6, "Saved zko"), (6, 6, "Done")):
        assert expected in lines
    assert [line for line in lines if "steps:" in line[2]] == [
        (event.step, 6, event.text) for event in events if isinstance(event, ev.Stepped)]


@pytest.mark.parametrize("when", [ev.Cached, ev.Stepped, ev.Paused])
def test_the_hosts_interrupt_stops_the_run(board_host: BoardHost, settings: Settings, when: type[ev.Event]) -> None:
    """While pictures are read nothing is learned; after a step, and in a pause, the result so far is saved."""
    controls, events = Controls(), []
    for event in recipe.run(settings(epochs=50), board_host, controls):
        events.append(event)
        if when is ev.Paused and isinstance(event, ev.Stepped):
            controls.pause()
        if isinstance(event, when):
            board_host.interrupt()
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and finished.stopped
    assert finished.step == (0 if when is ev.Cached else 1) and bool(finished.file) == (when is not ev.Cached)
    assert not board_host.board.stop_asked()


def test_the_adapters_in_training_draw_in_txt2img(host: StandaloneHost, settings: Settings) -> None:
    """Between two steps the tag draws what a preview of that step draws; before and after the run it says why not."""
    name = "<lora:__training__:1>"
    plain, live, wanted = draw(host, "zko"), [], []
    config = settings(learning_rate="1e-2", preview_prompts="zko", preview_seed=3, preview_steps=2,
                      preview_every_steps=2)
    for event in recipe.run(config, host, Controls()):
        if isinstance(event, ev.Previewed):
            wanted.append(Image.open(event.files[0]).tobytes())
            live.append(draw(host, f"zko{name}"))
            assert draw(host, f"zko{name[:-1]}:NONE>") != live[-1] and draw(host, "zko") == plain
    assert live == wanted and len(set(live)) == 3 and plain not in live
    picture = host.generate(GenerateRequest(f"zko{name}", seed=3, steps=2))[0]
    assert picture.image.tobytes() == plain and "no LoRA is being trained" in picture.comments[0]


def test_a_generation_between_two_turns_sees_whole_weights(host: StandaloneHost, settings: Settings) -> None:
    """Adapters change only inside turns, in the last one of an update: no lock, no change."""
    lock = host._lock
    acquire, release = lock.acquire, lock.release
    left: list[list[torch.Tensor]] = []

    def factors() -> list[torch.Tensor]:
        layers = host._live.network.layers.values() if host._live else []
        return [factor.detach().clone() for layer in layers for factor in layer.parameters()]

    def entering() -> None:
        acquire()
        assert not left or same(left[-1], factors())

    def leaving() -> None:
        if found := factors():
            left.append(found)
        release()

    lock.acquire, lock.release = entering, leaving  # type: ignore[method-assign]
    list(recipe.run(settings(gradient_accumulation=3, cache_latents=False), host, Controls()))
    assert [same(*pair) for pair in itertools.pairwise(left)] == [True, False, True, True, False]


def test_an_empty_prompt_is_drawn(host: StandaloneHost, settings: Settings) -> None:
    config = settings(preview_like_txt2img=True, preview_every_steps=6, preview_steps=2)
    found = [event for event in recipe.run(config, host, Controls()) if isinstance(event, ev.Previewed)]
    assert len(found) == 1 and found[0].prompts == [""] and Path(found[0].files[0]).is_file()
