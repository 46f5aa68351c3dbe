"""A plot on the embedded host: every cell is the picture that its own infotext draws, and the grids show them."""
from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.bootstrap import DEMO_CHECKPOINT
from lib_trainer.compare.drawing import Drawn, Saved, draw, sheet_infotext
from lib_trainer.compare.peer_plot import Names, plot_of
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest
from tests.hosts.standalone.conftest import paths_in
from tests.hosts.standalone.test_host import write_lora

PROMPT = "a cat <lora:one:0.8:XYZ> <lora:two:0.5:ZYX>"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> StandaloneHost:
    host = StandaloneHost(DEMO_CHECKPOINT, paths_in(tmp_path_factory.mktemp("plot")))
    write_lora(host, "one", 1)
    write_lora(host, "two", 2)
    return host


def drawn(host: StandaloneHost, *axes: tuple[str, str], prompt: str = PROMPT) -> Drawn:
    asked = [*axes, *[("none", "")] * (3 - len(axes))]
    names = Names(host.presets(), host.elements(), host.checkpoint().family.arch)
    return draw(host, GenerateRequest(prompt, "bad", seed=7, steps=2, width=64, height=64),
                plot_of(asked, names, prompt))


def pixels(file: Path) -> bytes:
    with Image.open(file) as image:
        return image.convert("RGB").tobytes()


def again(host: StandaloneHost, cell: Saved) -> bytes:
    """Draws a picture from nothing but the infotext of a cell."""
    prompt, negative, values = cell.infotext.split("\n")
    seed = int(values.split("Seed: ")[1].split(",")[0])
    negative = negative.removeprefix("Negative prompt: ")
    return host.generate(GenerateRequest(prompt, negative, seed=seed, steps=2, width=64, height=64))[0].image.tobytes()


@pytest.mark.parametrize("axes", [
    (("values", "0,0.5"), ("Block ID", "IN05-OUT05"), ("seed", "3,4")),
    (("Original Weights", "INS,OUTALL"), ("Original Weights", "MIDD,OUTALL")),
    (("values", "R,U"), ("Block ID", "M00-OUT11")),
])
def test_every_cell_is_drawn_again_from_its_own_infotext(
    host: StandaloneHost, axes: tuple[tuple[str, str], ...]
) -> None:
    made = drawn(host, *axes)
    assert len(made.cells) >= 2 and not made.told
    seen = {again(host, cell) for cell in made.cells}
    assert [pixels(cell.file) for cell in made.cells] == [again(host, cell) for cell in made.cells]
    assert len(seen) == len(made.cells), "every cell is another picture"
    for cell in made.cells:
        assert "XYZ" not in cell.infotext and "ZYX" not in cell.infotext and "LoRA block weights:" in cell.infotext


def test_rules_of_a_cell_are_in_its_infotext(host: StandaloneHost) -> None:
    made = drawn(host, ("elements", "IN01-OUT11:attn:0,:proj:0.5"), prompt="a cat <lora:one:0.8:ALL:lbwe=XYZ>")
    assert [pixels(cell.file) for cell in made.cells] == [again(host, cell) for cell in made.cells]
    assert pixels(made.cells[0].file) != pixels(made.cells[1].file)


def test_a_grid_shows_the_cells_and_says_how_it_was_made(host: StandaloneHost) -> None:
    made = drawn(host, ("values", "0,0.5"), ("Block ID", "M00"), ("seed", "3,4"))
    assert [sheet.file.name for sheet in made.sheets] != [] and len(made.sheets) == 2
    sheet = made.sheets[1]
    assert sheet.file.parent == host.paths.outputs / "grids"
    with Image.open(sheet.file) as grid:
        assert grid.info["parameters"] == sheet.infotext
        last = grid.convert("RGB").crop((grid.width - 64, grid.height - 64, grid.width, grid.height))
        assert last.tobytes() == pixels(made.cells[3].file)
    assert sheet.infotext.startswith(PROMPT + "\nNegative prompt: bad\nSteps: 2, ")
    assert 'LoRA plot X: "values: 0, 0.5"' in sheet.infotext and 'LoRA plot grid: "seed: 4"' in sheet.infotext
    assert "LoRA block weights:" not in sheet.infotext


def test_an_interrupted_plot_keeps_what_was_drawn(host: StandaloneHost) -> None:
    told: list[DrawProgress] = []
    names = Names(host.presets(), host.elements(), "sd15")
    plot = plot_of([("values", "0,0.25,0.5,1"), ("Block ID", "M00"), ("none", "")], names, PROMPT)
    request = GenerateRequest(PROMPT, seed=-1, steps=2, width=64, height=64, batch_size=3, batch_count=2)
    made = draw(host, request, plot, told.append, lambda: bool(told) and told[-1].step >= 5)
    assert len(made.cells) == 2 and len(made.sheets) == 1
    assert sorted({one.step for one in told}) == [0, 1, 2, 3, 4, 5] and {one.steps for one in told} == {8}
    seeds = {cell.infotext.split("Seed: ")[1].split(",")[0] for cell in made.cells}
    assert len(seeds) == 1, "a seed of -1 is rolled once for all cells"


def test_what_the_host_tells_is_told_once(host: StandaloneHost) -> None:
    prompt = PROMPT + "<lora:nobody:1>"
    made = drawn(host, ("values", "0,1"), ("Block ID", "M00"), prompt=prompt)
    assert len([sentence for sentence in made.told if "nobody" in sentence]) == 1


def test_the_weights_of_a_cell_are_not_those_of_its_sheet() -> None:
    cell = ('a, "b" <lora:x:1:lbw=0>\nNegative prompt: c\nSteps: 2, LoRA block weights: "x: 0,1", Seed: 3, '
            'LoRA elemental rules: "x: /attn@0", LoRA block weights ignored: "a \\"quoted\\", b", Model: m')
    text = sheet_infotext(cell, "the prompt", {"LoRA plot X": "values: 0"})
    assert text == 'the prompt\nNegative prompt: c\nSteps: 2, Seed: 3, Model: m, LoRA plot X: "values: 0"'
    assert sheet_infotext("a\nb\nSteps: 2", "c\nd", {}) == "c\nd\nSteps: 2"
