"""Axes for the X/Y/Z plot, on a double of the plot's script."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS, BLOCKS_26
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.tags import split
from lib_trainer.compare.axes import chosen_blocks
from lib_trainer.errors import UserError
from lib_trainer.hosts.webui import xyz
from tests.hosts import doubles

LIST = "1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
NAMES = ("zko", "zko-000002", "zko-000001", "zko-step00000100", "other", "m4_carbine")


class AxisOption:
    """The plot's own record of an axis."""

    def __init__(self, label: str, type: Any, apply: Any, format_value: Any = None, confirm: Any = None,
                 cost: float = 0.0, choices: Any = None, prepare: Any = None) -> None:
        self.label, self.type, self.apply, self.confirm, self.choices = label, type, apply, confirm, choices
        self.cost, self.prepare = cost, prepare


@pytest.fixture
def axes(tmp_path: Path) -> Iterator[dict[str, AxisOption]]:
    with doubles.installed("forge", tmp_path):
        from modules import scripts, shared

        folder = Path(shared.cmd_opts.lora_dir)
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (folder / f"{name}.safetensors").write_bytes(b"")
        import networks

        networks.list_available_networks()
        plot = SimpleNamespace(AxisOption=AxisOption, axis_options=[AxisOption("Nothing", str, None)])
        scripts.scripts_data = [SimpleNamespace(path="/host/scripts/xyz_grid.py", module=plot)]
        xyz.add_axes(Presets.shipped, Elements.shipped)
        xyz.add_axes(Presets.shipped, Elements.shipped)
        assert [option.label for option in plot.axis_options] == [
            "Nothing", xyz.PRESET, xyz.BLOCK_VALUE, xyz.BLOCKS, xyz.VALUE, xyz.RULES, xyz.STRENGTH, xyz.FILE]
        yield {option.label: option for option in plot.axis_options}


def picture(prompt: Any, hires: str = "") -> SimpleNamespace:
    return SimpleNamespace(prompt=prompt, hr_prompt=hires)


@pytest.mark.parametrize(("axis", "value", "prompt"), [
    (xyz.PRESET, "NCNF", "a <lora:zko:0.8:lbw=NCNF>, <lora:other:1>"),
    (xyz.PRESET, "other=NCNF", "a <lora:zko:0.8:lbw=OUTD>, <lora:other:1:lbw=NCNF>"),
    (xyz.PRESET, LIST, f"a <lora:zko:0.8:lbw={LIST}>, <lora:other:1>"),
    (xyz.PRESET, xyz.PLAIN, "a <lora:zko:0.8>, <lora:other:1>"),
    (xyz.PRESET, xyz.PLAIN, "a <lora:zko:0.8>, <lora:other:1>"),
    (xyz.BLOCK_VALUE, "OUT03=0.5", "a <lora:zko:0.8:lbw=OUTD,OUT03@0.5>, <lora:other:1>"),
    (xyz.BLOCK_VALUE, "in1-IN02 mid = 0", "a <lora:zko:0.8:lbw=OUTD,IN01-IN02 M00@0>, <lora:other:1>"),
    (xyz.BLOCK_VALUE, "other=NOT IN00-OUT10=-1", "a <lora:zko:0.8:lbw=OUTD>, <lora:other:1:lbw=BASE OUT11@-1>"),
    (xyz.BLOCKS, "OUT03 MID", "a <lora:zko:0.8:lbw=OUTD,M00 OUT03@X>, <lora:other:1>"),
    (xyz.VALUE, "0.25", "a <lora:zko:0.8:lbw=OUTD:x=0.25>, <lora:other:1>"),
    (xyz.RULES, "ATTNDEEPOFF", "a <lora:zko:0.8:lbw=OUTD:lbwe=ATTNDEEPOFF>, <lora:other:1>"),
    (xyz.RULES, "IN05/=proj@0", "a <lora:zko:0.8:lbw=OUTD:lbwe=IN05/=proj@0>, <lora:other:1>"),
    (xyz.RULES, "other=/attn@0", "a <lora:zko:0.8:lbw=OUTD>, <lora:other:1:lbwe=/attn@0>"),
    (xyz.STRENGTH, "0.5", "a <lora:zko:0.5:lbw=OUTD>, <lora:other:1>"),
    (xyz.STRENGTH, "other = -1", "a <lora:zko:0.8:lbw=OUTD>, <lora:other:-1>"),
    (xyz.FILE, "zko-000001", "a <lora:zko-000001:0.8:lbw=OUTD>, <lora:other:1>"),
])
def test_a_cell_has_its_own_tag(axes: dict[str, AxisOption], axis: str, value: str, prompt: str) -> None:
    p = picture("a <lora:zko:0.8:lbw=OUTD>, <lora:other:1>")
    axes[axis].confirm(p, [value])
    axes[axis].apply(p, value, [value])
    assert p.prompt == prompt and p.hr_prompt == ""


@pytest.mark.parametrize("base", ["", ":0.8", ":0.8:OUTD", f":0.8:lbw={LIST}", ":0.8:lbw=0.5"])
@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
def test_blocks_and_value_make_a_matrix_in_any_order(axes: dict[str, AxisOption], base: str, arch: str) -> None:
    plain = meaning(f"<lora:zko{base}>", arch)
    for blocks in ("OUT03", "IN04-IN05 MID", "NOT OUT00-OUT11"):
        for value in ("0", "0.5"):
            cells = [picture(f"<lora:zko{base}>"), picture(f"<lora:zko{base}>")]
            for p, order in zip(cells, ((xyz.BLOCKS, xyz.VALUE), (xyz.VALUE, xyz.BLOCKS)), strict=True):
                for axis in order:
                    axes[axis].apply(p, blocks if axis == xyz.BLOCKS else value, [])
            first, second = (meaning(p.prompt, arch) for p in cells)
            assert first == second
            single = picture(f"<lora:zko{base}>")
            axes[xyz.BLOCK_VALUE].apply(single, f"{blocks}={value}", [])
            assert meaning(single.prompt, arch) == first
            chosen = chosen_blocks(blocks, BLOCKS_26)
            assert first == {block: float(value) if block in chosen else plain[block] for block in plain}


def meaning(prompt: str, arch: str) -> dict[str, float]:
    weights = resolve(split(prompt)[1][0], Presets.shipped(), arch)
    assert not weights.errors, weights.errors
    return weights.ratios or dict.fromkeys(ARCH_BLOCKS[arch], 1.0)


def test_a_preset_and_blocks_may_stand_on_axes_in_any_order(axes: dict[str, AxisOption]) -> None:
    one, other = picture("<lora:zko:1>"), picture("<lora:zko:1>")
    for p, order in ((one, (xyz.PRESET, xyz.BLOCK_VALUE)), (other, (xyz.BLOCK_VALUE, xyz.PRESET))):
        for axis in order:
            axes[axis].apply(p, "NCNF" if axis == xyz.PRESET else "OUT03=0.5", [])
    assert one.prompt == other.prompt == "<lora:zko:1:lbw=NCNF,OUT03@0.5>"


def test_a_hires_prompt_without_the_lora_stays(axes: dict[str, AxisOption]) -> None:
    p = picture("<lora:zko:1>", "c <lora:other:1>")
    axes[xyz.STRENGTH].apply(p, "zko=0.5", ["zko=0.5"])
    assert p.prompt == "<lora:zko:0.5>" and p.hr_prompt == "c <lora:other:1>"


def test_all_prompts_of_a_cell_change(axes: dict[str, AxisOption]) -> None:
    p = picture(["<lora:zko:1> a", "b <lora:zko:1>"], "c <lora:zko:1>")
    axes[xyz.STRENGTH].apply(p, "0.5", ["0.5"])
    assert p.prompt == ["<lora:zko:0.5> a", "b <lora:zko:0.5>"] and p.hr_prompt == "c <lora:zko:0.5>"


@pytest.mark.parametrize(("axis", "value", "prompt", "sentence"), [
    (xyz.PRESET, "NCNG", "<lora:zko:1>", "did you mean 'NCNF'"), (xyz.PRESET, "NCNF", "a cat", "has no LoRA"),
    (xyz.PRESET, "zok=NCNF", "<lora:zko:1>", "did you mean 'zko'"), (xyz.PRESET, "1,2", "<lora:zko:1>", "got 2"),
    (xyz.BLOCK_VALUE, "OUT03", "<lora:zko:1>", "has no value: write blocks=number"),
    (xyz.BLOCK_VALUE, "OUT33=1", "<lora:zko:1>", "Unknown block 'OUT33'"),
    (xyz.BLOCK_VALUE, "OUT03=a", "<lora:zko:1>", "'a' is not a number"),
    (xyz.BLOCKS, "", "<lora:zko:1>", "names no block"), (xyz.BLOCKS, "IN05", "<lora:zko:1:lbw=X>", "use X"),
    (xyz.VALUE, "nan", "<lora:zko:1>", "'nan' is not a number"), (xyz.RULES, "ATTNDEP", "<lora:zko:1>", "ATTNDEEP"),
    (xyz.RULES, "IN77/attn@0", "<lora:zko:1>", "IN77"),
    (xyz.STRENGTH, "a", "<lora:zko:1>", "'a' is not a number"), (xyz.FILE, "zok", "<lora:zko:1>", "There is no LoRA"),
])
def test_a_mistake_is_told_before_anything_is_drawn(
    axes: dict[str, AxisOption], axis: str, value: str, prompt: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        axes[axis].confirm(picture(prompt), [value])


def test_epochs_of_a_training_come_in_their_order(axes: dict[str, AxisOption]) -> None:
    assert axes[xyz.FILE].choices() == [
        "m4_carbine", "other", "zko-000001", "zko-000002", "zko-step00000100", "zko"]
    assert axes[xyz.FILE].prepare("zko-0*, other") == ["zko-000001", "zko-000002", "other"]
    assert axes[xyz.FILE].prepare("zko=ZKO*") == [
        "zko=zko-000001", "zko=zko-000002", "zko=zko-step00000100", "zko=zko"]
    assert axes[xyz.FILE].prepare("nothing*") == ["nothing*"]


def test_without_block_weights_of_ours_there_are_no_axes_for_them(axes: dict[str, AxisOption], tmp_path: Path) -> None:
    from modules import scripts

    plot = SimpleNamespace(AxisOption=AxisOption, axis_options=[])
    scripts.scripts_data = [SimpleNamespace(path="/host/scripts/xyz_grid.py", module=plot)]
    for _ in range(2):
        xyz.add_axes(Presets.shipped, Elements.shipped, weighs=False)
    assert [option.label for option in plot.axis_options] == [xyz.STRENGTH, xyz.FILE]


def test_presets_are_offered(axes: dict[str, AxisOption]) -> None:
    assert axes[xyz.PRESET].choices()[:3] == [xyz.PLAIN, "NONE", "ALL"]


def test_a_host_without_the_plot_is_left_alone(tmp_path: Path) -> None:
    with doubles.installed("forge", tmp_path):
        from modules import scripts

        scripts.scripts_data = []
        xyz.add_axes(Presets.shipped, Elements.shipped)
        assert scripts.scripts_data == []
