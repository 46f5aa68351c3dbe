"""Going on with a run: exactly, from whatever was kept, and only where it is the same run."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.training import events as ev
from lib_trainer.training.controls import Controls
from lib_trainer.training.resume import run_record, search, state_folder
from tests.conftest import Settings
from tests.training.runs import facts, of, same_tensors, stop_after, tensors, train

VARIED = {"flip": True, "shuffle_caption": True, "caption_dropout": 0.3, "noise_offset": 0.05, "epochs": 3,
          "save_precision": "float"}
"""Settings that draw for every picture and epoch, so that a run which goes on at the wrong place is found out."""


def stopped(host: StandaloneHost, config: object, step: int) -> list[ev.Event]:
    controls = Controls()
    return train(config, host, stop_after(step, controls), controls)  # type: ignore[arg-type]


def states_of(host: StandaloneHost, folder: str = "zko") -> list[str]:
    return sorted(path.name for path in search.states(host.paths.outputs / search.JOBS / folder))


def told(event: ev.Stepped) -> tuple:
    return event.step, event.epoch, event.total, event.loss, event.average_loss, event.lrs, event.timestep


@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_stopped_run_goes_on_bit_for_bit(host: StandaloneHost, settings: Settings, step: int) -> None:
    """In the middle of an epoch and at its end; the events say the same numbers, too."""
    whole = train(settings(name="whole", scheduler="cosine", **VARIED), host)
    first = stopped(host, settings(scheduler="cosine", **VARIED), step)
    assert of(ev.StateSaved, first)[0].name == f"zko-state-{step:08d}"
    second = train(settings(scheduler="cosine", resume="auto", **VARIED), host)
    assert of(ev.Started, second)[0].step == step
    assert same_tensors(tensors(host), tensors(host, "whole"))
    both = of(ev.Stepped, first) + of(ev.Stepped, second)
    assert list(map(told, both)) == list(map(told, of(ev.Stepped, whole)))
    ours, theirs = facts(host), facts(host, "whole")
    differing = {key for key in theirs if ours.get(key) != theirs[key]}
    assert differing <= {"ss_session_id", "ss_training_started_at", "ss_training_finished_at", "ss_output_name",
                         "modelspec.title", "modelspec.date", "sshs_legacy_hash"}
    assert float(ours["ss_training_started_at"]) < float(ours["ss_training_finished_at"])


def test_the_third_part_counts_on(host: StandaloneHost, settings: Settings) -> None:
    """sd-scripts' counter begins anew after a resume, so that a third part goes on too early."""
    train(settings(name="whole", **VARIED), host)
    steps = [stepped.step for step, resume in ((2, ""), (4, "auto"), (7, "auto"))
             for stepped in of(ev.Stepped, stopped(host, settings(resume=resume, **VARIED), step))]
    last = train(settings(resume="auto", **VARIED), host)
    assert steps + [stepped.step for stepped in of(ev.Stepped, last)] == list(range(1, 10))
    assert same_tensors(tensors(host), tensors(host, "whole"))
    folder = host.paths.outputs / search.JOBS
    assert sorted(path.name for path in folder.iterdir()) == ["whole", "zko"]


def test_states_come_when_they_are_due_and_old_ones_go(host: StandaloneHost, settings: Settings) -> None:
    stranger = host.paths.outputs / search.JOBS / "zko" / "zko-state-00000001"

    def copy(event: ev.Event) -> None:
        """Puts a state of another run, with a file of the person's, between this run's."""
        if isinstance(event, ev.StateSaved) and event.step == 2:
            shutil.copytree(event.folder, stranger)
            found = json.loads((stranger / "state.json").read_text("utf8"))
            (stranger / "state.json").write_text(json.dumps({**found, "session": 1}), "utf8")

    events = train(settings(state_every_steps=2, state_every_epochs=1, state_at_end=True, keep_states=2, epochs=3),
                   host, copy)
    assert [saved.step for saved in of(ev.StateSaved, events)] == [2, 3, 4, 6, 8, 9]
    assert states_of(host) == ["zko-state-00000001", "zko-state-00000008", "zko-state-00000009"]
    kept = train(settings(name="all", state_every_steps=3, keep_states=0, epochs=3), host)
    assert [saved.step for saved in of(ev.StateSaved, kept)] == [3, 6]
    assert states_of(host, "all") == ["all-state-00000003", "all-state-00000006"]


def test_no_states_when_they_are_off(host: StandaloneHost, settings: Settings) -> None:
    assert not of(ev.StateSaved, stopped(host, settings(state_every_minutes=0), 2))
    assert states_of(host) == []


def test_a_file_in_a_state_that_is_not_ours_stays(host: StandaloneHost, settings: Settings) -> None:
    def add(event: ev.Event) -> None:
        if isinstance(event, ev.StateSaved) and event.step == 1:
            (Path(event.folder) / "mine.txt").write_text("mine")

    train(settings(state_every_steps=1, keep_states=1), host, add)
    left = [path for path in (host.paths.outputs / search.JOBS / "zko").rglob("mine.txt")]
    assert [path.read_text() for path in left] == ["mine"]


def test_rates_length_and_files_may_change_and_are_recorded(host: StandaloneHost, settings: Settings) -> None:
    stopped(host, settings(comment="mine"), 2)
    events = train(settings(comment="mine", resume="auto", learning_rate="1e-5", epochs=3, save_every_epochs=1), host)
    assert of(ev.Started, events)[0].total_steps == 9
    assert {stepped.lrs["unet"] for stepped in of(ev.Stepped, events)} == {1e-5}
    change = "from step 3 on learning_rate '1e-3' -> '1e-5'"
    assert any(change in event.message for event in of(ev.Warned, events))
    assert facts(host)["ss_training_comment"].startswith("mine; ") and change in facts(host)["ss_training_comment"]
    record = run_record.read(host.paths.outputs / search.JOBS / "zko")
    assert record and record.finished and len(record.changes) == 2
    assert change in record.changes and any("epochs 2 -> 3" in told for told in record.changes)


def test_what_must_not_change_is_refused_all_at_once(host: StandaloneHost, settings: Settings) -> None:
    stopped(host, settings(), 2)
    with pytest.raises(Problems) as caught:
        train(settings(resume="auto", rank=4, batch_size=2, seed=7, learning_rate="1e-5"), host)
    sentences = caught.value.problems
    assert len(sentences) == 3
    assert all(any(part in sentence for sentence in sentences)
               for part in ("rank 2 -> 4", "batch_size 1 -> 2", "seed 42 -> 7"))


def test_other_pictures_are_refused_and_named(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    stopped(host, settings(), 2)
    (pictures / "zko (0).png").unlink()
    (pictures / "zko (1).txt").write_text("another caption")
    shutil.copy(pictures / "zko (2).png", pictures / "new.png")
    with pytest.raises(Problems) as caught:
        train(settings(resume="auto"), host)
    gone, new, changed = caught.value.problems
    assert "gone: " in gone and "zko (0).png" in gone and "new: " in new and "new.png" in new
    assert "changed" in changed and "zko (1).png" in changed
    assert not (host.paths.loras / "zko-step00000003.safetensors").exists()


def test_pictures_may_have_moved(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    stopped(host, settings(), 2)
    elsewhere = pictures.with_name("elsewhere")
    pictures.rename(elsewhere)
    assert of(ev.Stepped, train(settings(resume="auto", images=str(elsewhere)), host))[0].step == 3


def test_another_checkpoint_is_refused(host: StandaloneHost, settings: Settings) -> None:
    stopped(host, settings(), 2)
    state = search.all_states(host.paths)[0]
    found = json.loads((state / "state.json").read_text("utf8"))
    found["base"]["bytes"] += 1
    (state / "state.json").write_text(json.dumps(found), "utf8")
    with pytest.raises(UserError, match=r"it was trained on the checkpoint tiny\.safetensors"):
        train(settings(resume=str(state)), host)


def test_a_run_under_another_name_begins_from_a_state(host: StandaloneHost, settings: Settings) -> None:
    """The former run's files stay as they are; a part of the new one that is stopped goes on as itself."""
    stopped(host, settings(**VARIED), 4)
    before = tensors(host)
    stopped(host, settings(name="lower", resume="zko", learning_rate="1e-5", **VARIED), 6)
    train(settings(name="lower", resume="auto", learning_rate="1e-5", **VARIED), host)
    train(settings(name="same", resume="zko-state-00000004", **VARIED), host)
    train(settings(resume="auto", **VARIED), host)
    assert not same_tensors(before, tensors(host)) and same_tensors(tensors(host, "same"), tensors(host))
    assert not same_tensors(tensors(host, "lower"), tensors(host))
    assert facts(host, "lower")["ss_session_id"] != facts(host)["ss_session_id"]


def test_auto_without_a_run_begins_at_the_first_step(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(resume="auto"), host)
    assert any("no run of 'zko'" in event.message for event in of(ev.Warned, events))
    assert len(of(ev.Stepped, events)) == 6


def test_a_finished_run_needs_more_steps(host: StandaloneHost, settings: Settings) -> None:
    train(settings(state_at_end=True), host)
    with pytest.raises(UserError, match="6 steps are done and the run ends at step 6: raise Epochs"):
        train(settings(resume="auto"), host)
    longer = train(settings(resume="auto", epochs=3), host)
    assert [stepped.step for stepped in of(ev.Stepped, longer)] == [7, 8, 9]
    train(settings(name="whole", epochs=3), host)
    assert same_tensors(tensors(host), tensors(host, "whole"))


def test_files_of_others_are_not_overwritten(host: StandaloneHost, settings: Settings) -> None:
    stopped(host, settings(save_every_steps=1), 2)
    mine = host.paths.loras / "zko.safetensors"
    train(settings(name="other"), host)
    mine.write_bytes((host.paths.loras / "other.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"taken \(zko\.safetensors in"):
        train(settings(resume="auto", save_every_steps=1), host)


def test_a_damaged_state_is_passed_over(host: StandaloneHost, settings: Settings) -> None:
    train(settings(name="whole"), host)
    controls = Controls()
    train(settings(state_every_steps=1, keep_states=0), host, stop_after(4, controls), controls)
    broken = host.paths.outputs / search.JOBS / "zko" / "zko-state-00000004" / "state.safetensors"
    broken.write_bytes(broken.read_bytes()[:-10])
    with pytest.raises(UserError, match="damaged"):
        train(settings(resume=str(broken.parent)), host)
    events = train(settings(resume="auto", state_every_steps=1), host)
    assert of(ev.Started, events)[0].step == 3
    assert any("damaged" in event.message for event in of(ev.Warned, events))
    assert same_tensors(tensors(host), tensors(host, "whole"))


@pytest.mark.parametrize("text", ["none", "zko-state-00000009", "/nowhere/at/all"])
def test_a_state_that_is_not_there(host: StandaloneHost, settings: Settings, text: str) -> None:
    stopped(host, settings(), 2)
    with pytest.raises(UserError, match=r"there is no such state.*zko-state-00000002"):
        train(settings(name="new", resume=text), host)


def test_a_state_of_sd_scripts_says_what_to_do(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "theirs-state"
    folder.mkdir()
    for name in ("model.safetensors", "optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        (folder / name).write_bytes(b"")
    (folder / "train_state.json").write_text(json.dumps({"current_epoch": 3, "current_step": 120}))
    with pytest.raises(UserError, match=r"state of sd-scripts \(epoch 3, step 120\).*continue_from = '.*model\.safe"):
        train(settings(resume=str(folder)), host)


def test_a_run_goes_on_in_one_process_only(host: StandaloneHost, settings: Settings) -> None:
    def resume_too(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == 2:
            with pytest.raises(UserError, match="running in another process"), run_record.held(folder):
                pass
            assert search.interrupted(host.paths) is None

    folder = host.paths.outputs / search.JOBS / "zko"
    train(settings(state_every_steps=1), host, resume_too)


def test_an_interrupted_run_is_found(host: StandaloneHost, settings: Settings) -> None:
    assert search.interrupted(host.paths) is None
    stopped(host, settings(), 2)
    found = search.interrupted(host.paths)
    assert found and found.state and (found.state.name, found.state.step) == ("zko", 2)
    train(settings(resume="auto"), host)
    assert search.interrupted(host.paths) is None


def test_a_state_that_cannot_be_written_is_told(host: StandaloneHost, settings: Settings) -> None:
    def block(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == 2:  # a file where the folder must go
            name = state_folder.folder_name("zko", 2)
            (host.paths.outputs / search.JOBS / "zko" / name).write_text("in the way")

    events = train(settings(state_every_steps=2), host, block)
    assert any("cannot be written" in event.message for event in of(ev.Warned, events))
    assert isinstance(events[-1], ev.Finished) and events[-1].file


def test_states_count_for_the_room_on_the_disk(
    host: StandaloneHost, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(host.paths.outputs)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=3_000_000))
    with pytest.raises(UserError, match="and 3 states of"):
        train(settings(rank=16), host)
    train(settings(rank=16, state_every_minutes=0), host)


def test_an_optimiser_goes_on_with_the_bits_it_had() -> None:
    """Also where its state is not of the parameters' dtype, which PyTorch's own loading would cast it to."""
    from lib_trainer.training.resume.states import _take_back

    def made() -> torch.optim.Optimizer:
        return torch.optim.AdamW([torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))], lr=0.1)

    first, second = made(), made()
    (parameter,) = first.param_groups[0]["params"]
    parameter.grad = torch.full((3,), 0.1, dtype=torch.bfloat16)
    first.step()
    first.state[parameter]["exp_avg"] = torch.tensor([0.1, 0.2, 0.3])
    _take_back(second, first.state_dict())
    (other,) = second.param_groups[0]["params"]
    assert torch.equal(second.state[other]["exp_avg"], torch.tensor([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("changes", [
    {"ema_decay": 0.9, "network_dropout": 0.3, "validation_split": 0.34, "validate_every_steps": 2},
    {"optimizer": "AdamWScheduleFree", "module_dropout": 0.1},
    {"optimizer": "Prodigy", "learning_rate": "1", "algorithm": "lokr", "rank_dropout": 0.2, "scale_weight_norms": 1.0,
     "gradient_accumulation": 2, "scheduler": "cosine_with_restarts", "cycles": 2},
])
def test_all_that_lives_between_updates_goes_on(
    host: StandaloneHost, settings: Settings, changes: dict[str, object]
) -> None:
    """Averages, schedule-free weights, dropout masks, an estimated rate, what validation remembers."""
    whole = train(settings(name="whole", **VARIED, **changes), host)
    step = of(ev.Started, whole)[0].total_steps // 2
    first = stopped(host, settings(**VARIED, **changes), step)
    second = train(settings(resume="auto", **VARIED, **changes), host)
    assert list(map(told, of(ev.Stepped, first) + of(ev.Stepped, second))) == list(map(told, of(ev.Stepped, whole)))
    assert same_tensors(tensors(host), tensors(host, "whole"))
    measured = [(event.step, event.loss, event.best_step) for event in of(ev.Validated, whole)]
    assert [(event.step, event.loss, event.best_step)
            for event in of(ev.Validated, first) + of(ev.Validated, second)] == measured
