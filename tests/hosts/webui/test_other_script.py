"""The LoRA Block Weight extension beside us: who acts, and what the other one gets to see."""
from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from lib_trainer import bootstrap
from lib_trainer.blocks.recorded import FIELD
from lib_trainer.hosts.webui.other_script import OPTION, TITLE, TITLE_ASIDE, OtherScript
from tests.contract.case import HostCase
from tests.hosts import doubles
from tests.hosts.webui.generation import WEBUIS, draw, network, with_loras

ROOT = Path(__file__).resolve().parents[3]


class Peer:
    """The other extension's script: notes what it is told."""

    args_from, args_to, alwayson = 1, 3, True

    def __init__(self) -> None:
        self.ran_with: list[Any] = []
        self.seen: list[list[Any]] = []

    def title(self) -> str:
        return TITLE

    def run(self, p: Any, *args: Any) -> str:
        self.ran_with.append(args)
        return "its plot"

    def after_extra_networks_activate(self, p: Any, *args: Any, extra_network_data: Any, **kwargs: Any) -> None:
        self.seen.append([list(params.items) for params in extra_network_data.get("lora", [])])


def record(folder: str, module: ModuleType, name: str = "lora_block_weight") -> SimpleNamespace:
    """What a WebUI keeps of a script class."""
    return SimpleNamespace(script_class=Peer, module=module, basedir=f"/webui/extensions/{folder}",
                           path=f"/webui/extensions/{folder}/scripts/{name}.py")


def module(**names: Any) -> ModuleType:
    made = ModuleType("lora_block_weight.py")
    vars(made).update(names)
    return made


THEIRS = record("sd-webui-lora-block-weight", module(Script=Peer))
OURS = record("train-lora", module(bootstrap=bootstrap))
GRID = record("host", module(), "xyz_grid")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Any]:
    """The script records of a WebUI that has both extensions."""
    with doubles.installed("webui", tmp_path):
        from modules import scripts

        scripts.scripts_data = [GRID, THEIRS, OURS]
        yield scripts


def test_alone_ours_act_and_nothing_is_told(program: Any, caplog: pytest.LogCaptureFixture) -> None:
    program.scripts_data = [GRID, OURS, record("a-second-clone", module(bootstrap=bootstrap))]
    other = OtherScript()
    other.look()
    assert not other.acts and other.our_title == TITLE and len(program.scripts_data) == 3
    assert not caplog.records


def test_beside_the_other_ours_step_aside_and_say_so_once(program: Any, caplog: pytest.LogCaptureFixture) -> None:
    other = OtherScript()
    for _ in range(2):
        other.look()
    assert other.acts and other.our_title == TITLE_ASIDE
    assert program.scripts_data == [GRID, THEIRS, OURS]
    assert [("sd-webui-lora-block-weight" in line, "Take over" in line) for line in caplog.messages] == [(True, True)]


def test_taking_over_leaves_the_others_script_out_from_the_next_page_on(program: Any) -> None:
    from modules import shared

    other = OtherScript()
    other.look()
    shared.opts.data[OPTION] = True
    assert other.acts, "the page still has its panel"
    other.look()
    assert not other.acts and other.our_title == TITLE
    assert program.scripts_data == [GRID, OURS]


def test_a_plot_of_the_other_reaches_it(program: Any) -> None:
    """The other one looks for itself by file name, and ours has that name, too."""
    other, peer = OtherScript(), Peer()
    p = SimpleNamespace(script_args=(0, "presets", True, "ours"), scripts=SimpleNamespace(alwayson_scripts=[peer]))
    assert other.run(p) is None and peer.ran_with == []
    other.acts = True
    assert other.run(p) == "its plot" and peer.ran_with == [("presets", True)]


def test_the_panel_says_who_acts(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = OtherScript()
    other.acts = True
    monkeypatch.setattr(bootstrap, "webui", lambda: SimpleNamespace(host=SimpleNamespace(other=other)))
    script = runpy.run_path(str(ROOT / "scripts" / "lora_block_weight.py"))["LoraBlockWeight"]()
    with gr.Blocks() as page:
        assert script.ui(False) == []
    assert script.title() == TITLE_ASIDE
    texts = [str(block.value) for block in page.blocks.values() if getattr(block, "elem_id", "") ==
             "txt2img_block_weight_aside"]
    assert len(texts) == 1 and "LoRA Block Weight is installed" in texts[0] and "Take over" in texts[0]


@pytest.fixture(scope="module", params=WEBUIS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    with with_loras(request.param, tmp_path_factory.mktemp(request.param)) as case:
        yield case


@pytest.fixture
def peer(case: HostCase, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """The other one, acting."""
    from modules import processing, scripts

    made, runner = Peer(), scripts.ScriptRunner()
    runner.add(made, None, None)
    monkeypatch.setattr(case.host.other, "acts", True)  # type: ignore[attr-defined]
    monkeypatch.setattr(processing.StableDiffusionProcessing, "scripts", runner)
    monkeypatch.setattr(processing.StableDiffusionProcessing, "script_args_value", (0, None, None))
    return made


def test_tags_reach_the_host_and_the_other_as_they_are(case: HostCase, peer: Peer) -> None:
    weighted = draw("a cat<lora:one:0.8:0.8:lbw=OUTD>")
    assert weighted.pixels == draw("a cat<lora:one:0.8>").pixels, "block weights are the other's business"
    assert FIELD not in weighted.parameters and not weighted.comments
    assert peer.seen == [[["one", "0.8", "0.8", "lbw=OUTD"]], [["one", "0.8"]]]


def test_the_adapters_in_training_stay_ours(
    case: HostCase, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = "<lora:__training__:0.8:OUTALL><lora:one:0.8>"
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = network(model, 2)
    with case.host.live(made):
        first = draw(f"a cat{tags}")
        assert FIELD in first.parameters and "OUTALL" in first.parameters[FIELD]
        assert first.pixels != draw("a cat<lora:one:0.8>").pixels
        peer.seen.clear()
        monkeypatch.setattr(case.host.other, "acts", False)  # type: ignore[attr-defined]
        assert draw(f"a cat{tags}").pixels == first.pixels
        assert [items[:2] for items in peer.seen[0]] == [["__training__", "0.8"], ["one", "0.8"]]


def test_the_other_sees_tags_of_ours_last_and_without_arguments(case: HostCase, peer: Peer) -> None:
    draw("a cat<lora:__training__:0.8:OUTALL:start=2><lora:one:0.8>", enable_hr=True, hr_prompt="")
    assert peer.seen == [[["one", "0.8"], ["__training__"]]] * 2


def test_the_same_tags_may_be_activated_again(case: HostCase, peer: Peer) -> None:
    """As a WebUI does with little memory, before the first pass and after the hires prompt was encoded."""
    from modules import extra_networks

    with case.host.borrow_model() as lease, lease.turn() as model:
        made = network(model, 2)
    stand_in = SimpleNamespace(
        extra_network_data=extra_networks.parse_prompts(["a<lora:__training__:0.8:OUTALL>"])[1], comment=print,
        extra_generation_params={}, scripts=None, seeds=[1])
    with case.host.live(made):
        for _ in range(2):
            extra_networks.activate(stand_in, stand_in.extra_network_data)
            assert made.is_attached and "OUTALL" in stand_in.extra_generation_params[FIELD]
        extra_networks.deactivate(stand_in, stand_in.extra_network_data)
        assert not made.is_attached
