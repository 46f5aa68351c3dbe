"""The analysis by pictures: cells and sheets as the peer makes them, and a whole run on a real host."""
from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_trainer.compare import picture_run
from lib_trainer.compare.analysis import summary
from lib_trainer.compare.block_groups import singles
from lib_trainer.compare.grids import default_font
from lib_trainer.compare.peer_analysis import analysis_of
from lib_trainer.compare.picture_run import Drawing, Findings
from lib_trainer.compare.pictures import BlockPictures, Pair, Settings
from lib_trainer.compare.subject import Weighed, subject, with_weights
from lib_trainer.errors import UserError
from lib_trainer.host_model import PreviewRequest
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.txt2img_host import GenerateRequest
from tests.compare import known_loras
from tests.compare.test_quick import finish

PROMPT = "1girl <lora:x:0.8:XYZ:start=2>"
GREY = Image.new("RGB", (64, 64), (100, 100, 100))


def change(ratios: Mapping[str, float]) -> Weighed:
    return Weighed("x", str(min(ratios.values())))


def shades(level: int) -> Image.Image:
    """A grey picture whose left quarter is brighter by `level`."""
    picture = GREY.copy()
    picture.paste((100 + level,) * 3, (0, 0, 16, 64))
    return picture


def test_cells_are_the_source_and_one_change_per_group_and_seed() -> None:
    asked = {"range": "0.5,1", "blocks": "BASE,OUT10 OUT11", "seeds": 2}
    shown = analysis_of(asked, PROMPT, 7, "sd15")
    assert [cell.seed for cell in shown.cells] == [7, 7, 7, 8, 8, 8]
    prompts = [cell.change(PROMPT) for cell in shown.cells]
    assert prompts[:3] == prompts[3:] and prompts[0] == "1girl <lora:x:0.8:lbw=1:start=2>"
    lists = [prompt.split("lbw=")[1].split(":")[0].split(",") for prompt in prompts[1:3]]
    assert [numbers.count("0.5") for numbers in lists] == [1, 2] and lists[0][0] == "0.5" == lists[1][-1]
    assert len(set(shown.cells)) == len(shown.cells)


def test_effects_and_sheets() -> None:
    seen: list[Pair] = []
    about = [shades(0), shades(10), shades(40)]
    shown = BlockPictures(singles(("IN01", "IN02")), Settings(), 7, "sd15", change, "x",
                          seen=seen.append)
    sheet, = shown.sheets(about.__getitem__, default_font)
    effects = shown.effects()
    assert [one.effect for one in effects] == [pytest.approx(10 / 4 / 255 * 100), pytest.approx(40 / 4 / 255 * 100)]
    assert [one.measures["changed"] for one in effects] == [0.0, 25.0]
    assert [pair.group.label for pair in seen] == ["IN01", "IN02"]
    assert np.asarray(seen[1].difference)[0, 0].tolist() == [40, 40, 40]
    assert dict(sheet.facts) == {"LoRA analysis": "0.5,1: IN01, IN02", "LoRA analysis seed": "7"}
    assert sheet.image.width > 3 * 64 and sheet.image.height > 2 * 64


def test_swapped_sheets_have_the_groups_beside_each_other() -> None:
    groups = singles(("IN01", "IN02", "IN04", "IN05", "IN07"))
    sizes = []
    for swapped in (False, True):
        shown = BlockPictures(groups, Settings(swapped=swapped, ground="white"), 1, "sd15",
                              change)
        sheet, = shown.sheets(lambda place: GREY, default_font)
        sizes.append(sheet.image.size)
    assert sizes[0][0] < sizes[0][1] and sizes[1][0] > sizes[1][1]


def test_what_was_not_drawn_is_left_out() -> None:
    shown = BlockPictures(singles(("IN01", "IN02")), Settings(seeds=2), 1, "sd15",
                          change)
    drawn = {0: shades(0), 2: shades(4)}
    assert len(list(shown.sheets(drawn.get, default_font))) == 1
    assert [one.label for one in shown.effects()] == ["IN02"]


@pytest.mark.parametrize(("asked", "quoted"), [
    ({"range": "1"}, "range"), ({"blocks": "IN77"}, "IN77"), ({"seeds": "many"}, "'many'"), ({"seeds": 0}, "got 0"),
    ({"threshold": "300"}, "300"), ({"ground": "grey"}, "grey"), ({"seeds": 1.5}, "1.5")])
def test_what_the_peers_boxes_cannot_mean_is_told(asked: dict[str, object], quoted: str) -> None:
    with pytest.raises(UserError, match=quoted):
        analysis_of(asked, PROMPT, 1, "sd15")


def test_the_peers_values_as_pages_and_clients_send_them() -> None:
    sent: dict[str, object] = {"range": "0,1", "blocks": "17ALL", "seeds": 1.0, "ground": "White", "threshold": "20",
                               "swap": True}
    assert len(analysis_of(sent, PROMPT, 1, "sd15").cells) == 18
    nothing: dict[str, object] = {"range": "", "blocks": None}
    assert len(analysis_of(nothing, PROMPT, 1, "sd15", present=("BASE", "M00")).cells) == 3
    inverse = analysis_of({"blocks": "M00"}, "<lora:x:1:ZYX>", 1, "sdxl").cells
    assert inverse[0].change("<lora:x:1:ZYX>") == "<lora:x:1:lbw=0>"
    with pytest.raises(UserError, match="write XYZ"):
        analysis_of({}, "<lora:x:1>", 1, "sd15")


def run(host: StandaloneHost, name: str, file: Path, stop_after: int = 1000, **settings: object) -> Findings:
    about = subject(f"1girl <lora:{name}:1>", name, file, "sd15")
    count = itertools.count()
    with host.borrow_model() as lease:
        drawing = Drawing(lease, PreviewRequest("", steps=3, cfg=4.0))
        return finish(picture_run.analyse(
            drawing, about, singles(("OUT10", "IN02", "OUT04")), Settings(**settings), 3, 0.9,  # type: ignore[arg-type]
            stopped=lambda: next(count) >= stop_after))[1]


def test_a_whole_run_ranks_proposes_and_verifies(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 1.0, "IN02": 0.2})
    found = run(host, "known", file, low=0.0, seeds=2)
    analysis = found.analysis
    assert [one.label for one in analysis.effects] == ["OUT10", "IN02", "OUT04"]
    assert analysis.effects[2].effect == 0 < analysis.effects[1].effect
    assert analysis.measurements == picture_run.cost(singles("abc"), Settings(seeds=2)).count == 10
    assert len(found.sheets) == 2 and len(found.pairs) == 3 and "Seed: 3" in found.infotext
    assert analysis.proposal is not None and analysis.proposal.kept is not None
    assert "measured together they keep" in summary(analysis)


def test_the_picture_of_a_group_is_the_one_that_its_tag_draws(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 1.0, "IN02": 0.2})
    found = run(host, "known", file, low=0.0)
    weights = ",".join("0" if block == 24 else "1" for block in range(26))  # OUT10
    tag = with_weights("1girl", "known", weights)
    drawn = host.generate(GenerateRequest(tag, seed=3, steps=3, cfg=4.0))[0].image
    assert np.array_equal(np.asarray(found.pairs[0].picture), np.asarray(drawn))
    assert not any(module._forward_hooks for module in host._loaded.modules)


def test_keeping_everything_keeps_the_picture(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 1.0, "IN02": 0.2})
    about = subject("1girl <lora:known:1>", "known", file, "sd15")
    with host.borrow_model() as lease:
        drawing = Drawing(lease, PreviewRequest("", steps=3, cfg=4.0))
        _, found = finish(picture_run.analyse(drawing, about, singles(about.present), Settings(low=0.0), 3, 1.0))
    proposal = found.analysis.proposal
    assert proposal is not None and set(proposal.labels) == {"OUT10", "IN02"} and proposal.kept == 1.0


def test_a_stopped_run_tells_what_it_has(host: StandaloneHost) -> None:
    file = known_loras.write(host, "known", {"OUT10": 1.0})
    found = run(host, "known", file, stop_after=2, low=0.0)
    assert [one.label for one in found.analysis.effects] == ["OUT10"] and found.analysis.proposal is None
    assert len(found.sheets) == 1 and "stopped" in found.analysis.told[-1]


def test_a_picture_is_drawn_once_and_timed(host: StandaloneHost) -> None:
    with host.borrow_model() as lease:
        drawing = Drawing(lease, PreviewRequest("", steps=1))
        first = drawing("1girl", 1)
        assert drawing("1girl", 1) is first and drawing.count == 1 and drawing.seconds > 0
        assert drawing("1girl", 2) is not first and drawing.checkpoint == host.checkpoint().name
