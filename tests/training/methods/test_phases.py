"""Several runs as one training: told as one, stopped and gone on with as one, thrown away as one."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.methods import phases
from lib_trainer.training.methods.parts import Part, Trains, Works
from lib_trainer.training.methods.parts_record import PartsRecord
from lib_trainer.training.resume import run_record, search
from lib_trainer.training.run import Judge, Run
from lib_trainer.training.world import ALONE
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from tests.conftest import Settings
from tests.training.runs import Watch, of, same_tensors, stop_after, tensors

WARNING = "This is told once."


def joined(config: TrainConfig, record: PartsRecord) -> Operation:
    """Writes what the second part learned beside what the first one did, under the name of the whole."""
    yield Progress(0, 2, "Joining")
    first, second = (file.load(record.file(key)).tensors for key in ("one", "two"))
    yield Progress(1, 2, "Joining")
    path = record.file("two").with_name(f"{config.name}.safetensors")
    file.save(path, {name: second[name] - first[name] for name in second}, {}, overwrite=True)
    return Outcome(path, facts={"layers": len(second)}, notes=["Joined."])


def course(
    config: TrainConfig, host: StandaloneHost, watch: Watch = lambda event: None, controls: Controls | None = None,
    judge: Callable[[], Judge] | None = None,
) -> list[ev.Event]:
    """Trains NAME-one, then NAME-two with another seed and begun from it, then joins both."""
    findings = check.check(config, host)
    findings.warnings.append(WARNING)

    def parts(folder: Path) -> list[Part]:
        one = replace(config, name=f"{config.name}-one", resume="")
        two = replace(one, name=f"{config.name}-two", seed=7)
        return [Trains("one", "The first", one, findings, judge),
                Trains("two", "The second", two, findings, judge),
                Works("join", "Joining", lambda record: joined(config, record))]

    seen = []
    for event in phases.run(config, host, controls or Controls(), findings, ALONE, parts):
        seen.append(event)
        watch(event)
    return seen


def job(host: StandaloneHost, name: str = "zko") -> Path:
    return host.paths.outputs / search.JOBS / name


def loras(host: StandaloneHost) -> list[str]:
    return sorted(path.name for path in host.paths.loras.iterdir())


@pytest.fixture
def small(settings: Settings) -> TrainConfig:
    return settings(train_text_encoder=False, blocks="OUT09-OUT11", epochs=1, save_precision="float", flip=True)


def test_one_training_of_three_parts(host: StandaloneHost, small: TrainConfig) -> None:
    events = course(small, host)
    assert [type(event).__name__ for event in events if not isinstance(event, ev.Cached)] == [
        "Warned", "PhaseStarted", "Started", "Stepped", "Stepped", "Stepped", "LossBands", "Saved",
        "PhaseStarted", "Started", "Stepped", "Stepped", "Stepped", "LossBands", "Saved",
        "PhaseStarted", "Worked", "WorkDone", "Saved", "Finished"]
    assert {one.titles for one in of(ev.PhaseStarted, events)} == {
        tuple(one.title for one in of(ev.PhaseStarted, events))}
    assert [(one.place, one.of, one.title) for one in of(ev.PhaseStarted, events)] == [
        (1, 3, "The first"), (2, 3, "The second"), (3, 3, "Joining")]
    assert [(saved.name, saved.final) for saved in of(ev.Saved, events)] == [
        ("zko-one", False), ("zko-two", False), ("zko", True)]
    finished = events[-1]
    assert isinstance(finished, ev.Finished) and (finished.name, finished.step, finished.trigger) == ("zko", 6, "zko")
    assert [path.name for path in job(host).parent.iterdir()] == ["zko"]  # the runs lie inside the training's folder
    record = run_record.read(job(host))
    assert record and record.finished and list(record.done) == ["one", "two", "join"]
    assert loras(host) == ["zko-one.safetensors", "zko-two.safetensors", "zko.safetensors"]  # no cards of parts
    assert search.interrupted(host.paths) is None


@pytest.mark.parametrize(("updates", "through"), [(2, 0), (4, 1)])
def test_a_stopped_training_goes_on_inside_its_part_bit_for_bit(
    host: StandaloneHost, small: TrainConfig, updates: int, through: int
) -> None:
    course(replace(small, name="whole"), host)
    controls, done = Controls(), 0

    def stop(event: ev.Event) -> None:
        nonlocal done
        done += isinstance(event, ev.Stepped)
        if done == updates:
            controls.stop()

    first = course(small, host, stop, controls)
    assert isinstance(first[-1], ev.Finished) and first[-1].stopped and not first[-1].file
    assert any(f"part {through + 1} of 3" in event.message for event in of(ev.Warned, first))
    found = search.interrupted(host.paths)
    assert found is not None and found.folder == job(host) and found.progress == (through, 3)
    assert found.settings["name"] == "zko"
    second = course(replace(small, resume="auto"), host)
    assert [one.place for one in of(ev.PhaseStarted, second)] == [1, 2, 3][through:]
    assert len(of(ev.Stepped, first)) + len(of(ev.Stepped, second)) == 6
    for name in ("", "-one", "-two"):
        assert same_tensors(tensors(host, f"zko{name}"), tensors(host, f"whole{name}"))
    assert search.interrupted(host.paths) is None


@dataclass
class Twice:
    """Lets a run end after the second update that it is told of; remembers how many it was told of."""

    seen: int = 0

    @property
    def is_over(self) -> bool:
        return self.seen >= 2

    def lacks(self, step: int) -> bool:
        return False

    def see(self, run: Run, event: ev.Event) -> Iterator[ev.Event]:
        self.seen += isinstance(event, ev.Stepped)
        yield from ()

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seen = state_dict["seen"]


def test_a_part_ends_when_its_judge_says_so(host: StandaloneHost, small: TrainConfig) -> None:
    """At the same update where it was stopped before: what the judge remembers is in the states."""
    course(replace(small, name="whole"), host, judge=Twice)
    controls = Controls()
    course(small, host, stop_after(1, controls), controls, judge=Twice)
    events = course(replace(small, resume="auto"), host, judge=Twice)
    assert [step.step for step in of(ev.Stepped, events)] == [2, 1, 2]
    assert same_tensors(tensors(host), tensors(host, "whole"))


def test_a_failure_in_the_second_part_keeps_the_first(host: StandaloneHost, small: TrainConfig) -> None:
    taken = host.paths.loras / "zko-two.safetensors"

    def take(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.place == 2:
            taken.write_bytes(b"a stranger's")

    controls = Controls()

    def give_up(event: ev.Event) -> None:
        take(event)
        if isinstance(event, ev.Paused):
            controls.stop(save=False)

    with pytest.raises(UserError, match="zko-two"):
        course(small, host, give_up, controls)
    taken.unlink()
    events = course(replace(small, resume="auto"), host)
    assert [one.place for one in of(ev.PhaseStarted, events)] == [2, 3]
    assert isinstance(events[-1], ev.Finished) and events[-1].file


def test_stopping_without_saving_leaves_no_file(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.place == 3:
            controls.stop(save=False)

    events = course(small, host, stop, controls)
    assert isinstance(events[-1], ev.Finished) and events[-1].stopped
    assert sorted(event.name for event in of(ev.Removed, events)) == ["zko-one", "zko-two"]
    assert loras(host) == [] and search.interrupted(host.paths) is None
    again = course(replace(small, resume="auto"), host)  # who asks for it by name begins with the first part
    assert [one.place for one in of(ev.PhaseStarted, again)] == [1, 2, 3] and "zko.safetensors" in loras(host)


def test_a_work_that_is_stopped_is_closed(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.Worked):
            controls.stop()

    events = course(small, host, stop, controls)
    assert not of(ev.WorkDone, events) and "zko.safetensors" not in loras(host)
    again = course(replace(small, resume="auto"), host)
    assert [one.place for one in of(ev.PhaseStarted, again)] == [3] and "zko.safetensors" in loras(host)


def test_a_pause_is_kept_between_parts(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def press(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.place == 3:
            controls.pause()
        if isinstance(event, ev.Paused):
            controls.resume()

    events = course(small, host, press, controls)
    assert [type(event).__name__ for event in events[-6:]] == [
        "Paused", "Continued", "Worked", "WorkDone", "Saved", "Finished"]


def test_what_must_not_change_is_refused_before_the_first_part(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()
    course(small, host, stop_after(1, controls), controls)
    with pytest.raises(Problems, match="rank 2 -> 4"):
        course(replace(small, resume="auto", rank=4), host)
    with pytest.raises(Problems, match="under its own name only"):
        course(replace(small, resume=str(job(host)), name="other"), host)


def test_pictures_of_a_part_that_is_through_must_be_the_same(host: StandaloneHost, small: TrainConfig) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, ev.PhaseStarted) and event.place == 3:
            controls.stop()

    course(small, host, stop, controls)
    next(Path(small.images).glob("*.txt")).write_text("another caption", encoding="utf8")
    with pytest.raises(Problems, match="1 of the pictures is changed"):
        course(replace(small, resume="auto"), host)


def test_parts_share_one_lease(host: StandaloneHost, small: TrainConfig, other_checkpoint: Path) -> None:
    """Of another checkpoint, too, which a lease per part would load three times."""
    config = replace(small, base_model=str(other_checkpoint))
    loaded: list[Path | None] = []

    def look(event: ev.Event) -> None:
        loaded.append(host.checkpoint().path)

    before = host.checkpoint().path
    course(config, host, look)
    inside = loaded[loaded.index(other_checkpoint):]
    assert set(inside) == {other_checkpoint} and host.checkpoint().path == before


def test_no_room_for_all_parts_together_is_told_at_once(
    host: StandaloneHost, small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(host.paths.outputs)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100_000))
    with pytest.raises(Problems, match=r"1 files of .* and 1 files of"):
        course(replace(small, state_every_minutes=0), host)
    assert not job(host).exists() and loras(host) == []


