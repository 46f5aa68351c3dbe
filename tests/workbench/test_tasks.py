"""Operations as tasks: one at a time, with progress, Cancel and outcomes; and the desk that starts them in a host."""
from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs
from lib_trainer.lora import file, loaded
from lib_trainer.workbench import convert
from lib_trainer.workbench.forms.places import HostPlaces
from lib_trainer.workbench.operation import Operation, Outcome, Progress
from lib_trainer.workbench.tasks import KEPT, Busy, Tasks
from tests.workbench import stored

LONG = 600
"""Seconds after which a hanging test fails; nothing is measured."""


class Gated:
    """An operation that writes a temporary file and works on when the test lets it."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / ".part"
        self.reached, self.go = threading.Event(), threading.Event()

    def run(self) -> Operation:
        self.temporary.write_text("half")
        try:
            yield Progress(1, 3, "Reading")
            self.reached.set()
            self.go.wait(LONG)
            yield Progress(2, 3, "Writing")
            return Outcome(facts={"ranks": {8: 2}, "norm": float("nan")})
        finally:
            self.temporary.unlink()


def failing(error: Exception) -> Operation:
    yield Progress(0, 1, "Reading")
    raise error


def test_a_task_tells_how_far_it_is_and_what_came_of_it(tmp_path: Path) -> None:
    told: list[Outcome] = []
    tasks, gated = Tasks(told.append), Gated(tmp_path)
    task = tasks.start("merge", "Merge", gated.run())
    assert gated.reached.wait(LONG)
    state = task.state()
    assert (state["state"], state["done"], state["total"], state["what"]) == ("running", 1, 3, "Reading")
    with pytest.raises(Busy, match="'Merge' is running"):
        tasks.start("resize", "Resize", failing(UserError("never begun")))
    assert tasks.start("inspect", "Inspect", failing(UserError("no")), instant=True).wait(LONG)
    gated.go.set()
    assert task.wait(LONG)
    outcome = task.full()["outcome"]
    assert (outcome["ranks"], outcome["norm"]) == ({"8": 2}, "NaN")
    assert task.state()["change"] > state["change"] and [one.facts["ranks"] for one in told] == [{8: 2}]
    assert [one.number for one in tasks.all()] == [1, 2] and tasks.find(2).state()["problems"] == ["no"]


def test_a_cancelled_task_leaves_nothing(tmp_path: Path) -> None:
    tasks, gated = Tasks(), Gated(tmp_path)
    task = tasks.start("merge", "Merge", gated.run())
    assert gated.reached.wait(LONG) and gated.temporary.exists()
    tasks.running().cancel()
    assert task.state()["cancelling"]
    gated.go.set()
    assert task.wait(LONG)
    assert task.full()["state"] == "cancelled" and task.full()["outcome"] is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="nothing to cancel"):
        tasks.running()


def test_faults_are_told_together_and_bugs_as_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, console = Tasks(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda given: console.set())
    for error, told in ((Problems(["a.", "b."]), ["a.", "b."]), (UserError("c."), ["c."])):
        task = tasks.start("x", "X", failing(error))
        assert task.wait(LONG) and task.state()["problems"] == told
    task = tasks.start("x", "X", failing(KeyError("k")))
    assert task.wait(LONG) and console.wait(LONG)
    assert "This is a bug" in task.state()["problems"][0] and "KeyError: 'k'" in task.state()["problems"][0]


def test_a_host_that_fails_to_list_the_file_fails_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda given: console.append(given.exc_type))

    def ended(outcome: Outcome) -> None:
        raise RuntimeError("its list is broken")

    def quick() -> Operation:
        yield Progress(0, 1, "Writing")
        return Outcome(tmp_path / "a.safetensors", notes=["first"])

    task = Tasks(ended).start("merge", "Merge", quick())
    assert task.wait(LONG) and task.state()["state"] == "done" and task.state()["problems"] == []
    outcome = task.full()["outcome"]
    assert outcome["file"].endswith("a.safetensors") and outcome["notes"][0] == "first"
    assert "RuntimeError: its list is broken" in outcome["notes"][1]
    for thread in threading.enumerate():
        if thread.name == "workbench merge":
            thread.join(LONG)
    assert console == [RuntimeError]


def test_the_last_tasks_are_kept() -> None:
    tasks = Tasks()
    for _ in range(KEPT + 3):
        assert tasks.start("x", "X", failing(UserError("no"))).wait(LONG)
    assert [task.number for task in tasks.all()] == list(range(4, KEPT + 4))
    with pytest.raises(UserError, match="no operation of the number 1"):
        tasks.find(1)


def test_what_runs_is_not_forgotten(tmp_path: Path) -> None:
    tasks, gated = Tasks(), Gated(tmp_path)
    task = tasks.start("merge", "Merge", gated.run())
    assert gated.reached.wait(LONG)
    for _ in range(KEPT + 3):
        assert tasks.start("inspect", "Inspect", failing(UserError("no")), instant=True).wait(LONG)
    assert len(tasks.all()) == KEPT and tasks.find(task.number).state()["state"] == "running"
    gated.go.set()
    assert task.wait(LONG) and tasks.find(task.number).full()["outcome"] is not None


def test_a_host_gets_what_the_desk_makes(host: StandaloneHost) -> None:
    desk = Jobs(host).workbench
    for seed, name in enumerate(("a", "b")):
        stored.write(host.paths.loras / f"{name}.safetensors", stored.small(seed=seed))
    task = desk.start("merge", {"sources": [{"lora": "a"}, {"lora": "b", "strength": -1}], "out": "c"})
    assert task.wait(LONG) and task.state()["problems"] == []
    assert "c" in host.loras()
    assert desk.choices()["loras"] == ["a", "b", "c"]


def test_a_task_names_its_files(host: StandaloneHost) -> None:
    desk = Jobs(host).workbench
    for name in ("a", "b"):
        stored.write(host.paths.loras / f"{name}.safetensors", stored.small())
    task = desk.start("merge", {"sources": [{"lora": "a"}, {"lora": "b"}], "out": "c"})
    assert task.wait(LONG) and (task.state()["files"], task.state()["out"]) == (["a", "b"], "c")
    task = desk.start("prune", {"file": "c"})
    assert task.wait(LONG) and (task.state()["files"], task.state()["out"]) == (["c"], "")
    task = desk.start("resize", {"file": "a", "out": "small", "rank": 1, "base": host.checkpoints()[0].name})
    assert task.wait(LONG) and (task.state()["files"], task.state()["out"]) == (["a"], "small")


def test_a_tag_is_offered_where_the_host_reads_the_names(host: StandaloneHost) -> None:
    desk = Jobs(host).workbench
    with host.borrow_model() as lease, lease.turn() as model:
        layer = next(target for target in model.targets() if re.search(r"_down_blocks_.*attn1_to_q", target.name))
        size = len(layer.module.weight)
        stored.write(host.paths.loras / "a.safetensors", {
            f"{layer.name}.lora_down.weight": torch.ones(1, size), f"{layer.name}.lora_up.weight": torch.ones(size, 1)})
        for naming in convert.NAMINGS:
            assert desk.start("convert", {"file": "a", "naming": naming, "out": naming}).wait(LONG)
            given = {"file": naming, "out": f"{naming}-mine", "put": "modelspec.author=me"}
            task = desk.start("metadata", given)
            assert task.wait(LONG) and task.state()["problems"] == []
            told = desk.told(task.number)["outcome"]
            try:
                loaded.from_state(model.targets(), file.load(Path(told["file"])).tensors)
            except UserError:
                assert told["tag"] == "" and f"Embedded host does not read the names '{naming}'" in told["no_tag"]
            else:
                assert (told["tag"], told["no_tag"]) == (f"<lora:{naming}-mine:1>", "")


def test_a_tag_needs_one_file_that_is_there(host: StandaloneHost) -> None:
    desk = Jobs(host).workbench
    stored.write(host.paths.loras / "a.safetensors", stored.small())
    task = desk.start("metadata", {"file": "a", "out": "b", "put": "modelspec.author=me"})
    assert task.wait(LONG) and desk.told(task.number)["outcome"]["tag"] == "<lora:b:1>"
    stored.write(host.paths.loras / "sub" / "b.safetensors", stored.small())
    assert "several LoRAs 'b'" in desk.told(task.number)["outcome"]["no_tag"]
    for path in host.paths.loras.rglob("b.safetensors"):
        path.unlink()
    assert desk.told(task.number)["outcome"]["no_tag"] == "The file is not there any more."


def test_a_folder_is_resized_in_one_go(host: StandaloneHost) -> None:
    desk = Jobs(host).workbench
    for name in ("a", "b"):
        stored.write(host.paths.loras / f"{name}.safetensors", stored.small())
    task = desk.start("resize", {"file": ".", "out": "small", "rank": 1})
    assert task.wait(LONG) and task.state()["problems"] == []
    assert sorted(host.loras()) == ["a", "a-resized", "b", "b-resized"]
    assert desk.choices()["folders"] == [".", "small"]


class Listing(StandaloneHost):
    """A host that remembers which LoRAs it was told of."""

    told: tuple[Path, ...] = ()

    def lora_saved(self, file: Path) -> None:
        self.told += (file,)


def test_a_host_hears_of_loras_in_sub_folders(checkpoint: Path, tmp_path: Path) -> None:
    host = Listing(checkpoint, HostPaths(*(tmp_path / name for name in ("loras", "outputs", "settings", "cache"))))
    for name in ("a", "b"):
        stored.write(host.paths.loras / "people" / f"{name}.safetensors", stored.small())
    assert Jobs(host).workbench.start("resize", {"file": ".", "out": "small", "rank": 1}).wait(LONG)
    assert len(host.told) == 1 and host.told[0].parent == host.paths.loras / "small" / "people"


def test_a_checkpoint_goes_where_checkpoints_lie(checkpoint: Path, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("loras", "outputs", "settings", "cache", "checkpoints")}
    host = StandaloneHost(checkpoint, HostPaths(**folders), models_dir=folders["checkpoints"])
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    width = file.read_header(checkpoint)[0]["model.diffusion_model.middle_block.1.proj_in.weight"][1][0]
    stored.write(host.paths.loras / "a.safetensors", {
        f"{layer}.lora_down.weight": torch.ones(1, width, 1, 1), f"{layer}.lora_up.weight": torch.ones(width, 1, 1, 1)})
    task = Jobs(host).workbench.start("into_checkpoint", {
        "sources": [{"lora": "a"}], "checkpoint": checkpoint.name, "out": "merged"})
    assert task.wait(LONG) and task.state()["problems"] == []
    assert folders["checkpoints"] / "merged.safetensors" in host.checkpoints()


def test_auto_leaves_the_gpu_to_a_training(host: StandaloneHost) -> None:
    assert HostPlaces(host, lambda: True).device("auto") == "cpu"
    assert HostPlaces(host, lambda: False).device("auto") == "auto"
    assert HostPlaces(host, lambda: True).device("cuda") == "cuda"
