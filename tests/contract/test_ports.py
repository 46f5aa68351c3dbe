"""What a host offers beside the model: its checkpoints, another base for a run, live adapters, its job display."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host import TRAINING_NAME
from lib_trainer.keeping import AS_IT_IS, Keeping
from lib_trainer.lora import file as lora_file
from lib_trainer.lora.network import Network
from tests.contract import snapshots, steps
from tests.contract.cases import HostCase

LIVE = f"a cat<lora:{TRAINING_NAME}:0.8:OUTD>"


def distance(ours: bytes, theirs: bytes) -> int:
    """Greatest difference of two pictures, of 255."""
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def saved(case: HostCase, name: str, made: Network) -> Path:
    """Saves a network as a LoRA of the host, in place of one that is there, and tells the host."""
    path = case.host.paths.loras / f"{name}.safetensors"
    path.unlink(missing_ok=True)
    lora_file.save(path, made.state_dict(torch.float32), {})
    case.host.lora_saved(path)
    return path


def test_checkpoints_are_listed_and_described_without_loading(case: HostCase) -> None:
    files, other = case.host.checkpoints(), case.checkpoint_file(first=False)
    assert {case.checkpoint_file(True).resolve(), other.resolve()} <= {path.resolve() for path in files}
    assert [path.name.lower() for path in files] == sorted(path.name.lower() for path in files)
    loaded, told = case.host.checkpoint(), case.host.checkpoint(other)
    assert (told.name, told.path) == (other.name, other) and case.host.checkpoint() == loaded
    case.load_checkpoint(first=False)
    try:
        now = case.host.checkpoint()
        assert (now.family, now.resolution, now.prediction) == (told.family, told.resolution, told.prediction)
    finally:
        case.load_checkpoint(first=True)


def test_no_checkpoint_says_so(case: HostCase, tmp_path: Path) -> None:
    missing, broken = tmp_path / "none.safetensors", tmp_path / "broken.safetensors"
    broken.write_bytes(b"no header")
    for path in (missing, broken):
        with pytest.raises(UserError, match=path.stem):
            case.host.checkpoint(path)
        with pytest.raises(UserError), case.host.borrow_model(path):
            pass
    assert case.draw()


def test_another_base_is_loaded_for_the_run_and_the_former_one_comes_back(case: HostCase) -> None:
    before, other = case.draw(), case.checkpoint_file(first=False)
    with pytest.raises(RuntimeError, match="in the middle"), case.host.borrow_model(other) as lease:
        with lease.turn() as model:
            assert model.checkpoint.name == other.name
        assert case.draw() != before
        raise RuntimeError("in the middle")
    assert case.host.checkpoint().name == case.checkpoint_file(first=True).name
    assert case.draw() == before


def test_a_file_outside_the_list_is_loaded_for_the_run_and_not_listed_afterwards(
    case: HostCase, tmp_path: Path
) -> None:
    """As the private copies of a training in rounds are."""
    before, listed, other = case.draw(), case.host.checkpoints(), case.checkpoint_file(first=False)
    private = tmp_path / "private.safetensors"
    private.write_bytes(other.read_bytes())
    if other.with_suffix(".yaml").exists():  # a narrow model: its sizes, and the folder of its text encoder
        shutil.copy(other.with_suffix(".yaml"), private.with_suffix(".yaml"))
        for folder in other.parent.glob("*/config.json"):
            shutil.copytree(folder.parent, tmp_path / folder.parent.name)
    with case.host.borrow_model(private) as lease, lease.turn() as model:
        assert model.checkpoint.path.resolve() == private.resolve()
    assert case.host.checkpoints() == listed
    assert case.host.checkpoint().name == case.checkpoint_file(first=True).name
    assert case.draw() == before


def test_what_the_person_loads_meanwhile_stays(case: HostCase) -> None:
    first, other = case.checkpoint_file(True), case.checkpoint_file(False)
    case.load_checkpoint(first=False)
    try:
        with case.host.borrow_model(first) as lease:
            case.load_checkpoint(first=False)
            with pytest.raises(ModelChanged, match=first.stem), lease.turn():
                pass
        assert case.host.checkpoint().name == other.name
    finally:
        case.load_checkpoint(first=True)


def test_the_loaded_checkpoint_as_base_is_not_loaded_again(case: HostCase) -> None:
    case.settled()
    before = snapshots.networks(case.networks())
    with case.host.borrow_model(case.checkpoint_file(first=True)) as lease, lease.turn():
        pass
    assert snapshots.networks(case.networks()) == before


def test_live_adapters_are_what_they_are_now(case: HostCase) -> None:
    """`<lora:__training__:0.8:OUTD>` draws, between two turns, what a file of the adapters would draw."""
    plain = case.settled()
    with case.host.borrow_model() as lease:
        with lease.turn() as model:
            made = steps.network(model)
            with made.attached(model.targets()):
                steps.backward(model)
        wanted = steps.gradients(made)
        saved(case, "live", made)
        as_file = case.draw("a cat<lora:live:0.8:OUTD>")
        assert case.settled() == plain
        before = snapshots.networks(case.networks())
        with case.host.live(made):
            live = case.draw(LIVE)
            assert distance(live, as_file) <= case.levels
            assert distance(live, plain) > 3 * max(case.levels, 3)
            assert distance(live, case.draw(LIVE.replace("OUTD", "NONE"))) > 3 * max(case.levels, 3)
            with torch.no_grad():
                for layer in made.layers.values():
                    layer.up.mul_(2)
            assert case.draw(LIVE) != live
            with torch.no_grad():
                for layer in made.layers.values():
                    layer.up.mul_(0.5)
            assert case.draw(LIVE) == live and case.draw() == plain
            with lease.turn() as model, made.attached(model.targets()):
                steps.backward(model)  # at full strength, whatever the prompt asked for
        found = steps.gradients(made)
        assert all(torch.equal(wanted[name], gradient) for name, gradient in found.items())
        assert case.draw(LIVE) == plain
        assert snapshots.networks(case.networks()) == before


def test_previews_leave_live_adapters_as_the_trainer_attached_them(case: HostCase) -> None:
    request = steps.picture()
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
        with made.attached(model.targets()), case.host.live(made):
            wanted = model.preview(request).image.tobytes()
            named = model.preview(steps.picture(LIVE)).image.tobytes()
            assert named == wanted == model.preview(request).image.tobytes()


def test_a_lora_that_was_replaced_is_used_anew(case: HostCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
    saved(case, "again", made)
    first = case.draw("a cat<lora:again:1>")
    with torch.no_grad():
        for layer in made.layers.values():
            layer.up.neg_()
    saved(case, "again", made)
    saved(case, "fresh", made)
    assert case.draw("a cat<lora:again:1>") == case.draw("a cat<lora:fresh:1>") != first


def test_a_job_is_shown_and_can_be_interrupted(case: HostCase) -> None:
    case.interrupt()  # meant for whatever ran before
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ended"), case.host.job("Training zunko") as display:
            display.show(0, 0, "starting")
            assert not display.stop_asked()
            display.show(3, 10, "steps: 30%")
            case.interrupt()
            assert display.stop_asked() and not display.stop_asked()
            case.interrupt()
            raise RuntimeError("ended")
    assert case.draw()


def test_nothing_forbids_training(case: HostCase) -> None:
    assert case.host.obstacles() == []
    assert case.host.samplers() and all(case.host.samplers())


def test_wishes_that_cannot_be_met_are_said_with_the_remedy(case: HostCase) -> None:
    """A WebUI's model is never changed for a run: what it does not do by itself is a sentence."""
    host, is_ours = case.host, case.host.name == "Embedded host"
    assert host.obstacles(Keeping(dtype="bf16")) == [] and host.remarks(AS_IT_IS) == []
    flash = host.obstacles(Keeping(attention="flash"))
    assert len(flash) == 1 and "auto" in flash[0]
    assert len(host.remarks(Keeping(offload=True))) == 1
    stored = host.obstacles(Keeping(storage="fp8"))
    assert len(stored) == (0 if is_ours else 1) and all("8 bits" in fault and host.name in fault for fault in stored)
    compiled = host.obstacles(Keeping(compile=True))
    assert is_ours or "Switch it off" in compiled[0]
    with host.borrow_model(keeping=Keeping(dtype="bf16", offload=True)) as lease, lease.turn() as model:
        assert model.device.type == "cpu"
