"""Plots in the WebUIs' own loop: every cell as its infotext draws it, sheets before the cells, nothing left behind."""
from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.host_model import PreviewRequest
from lib_trainer.hosts.webui.infotext import FIELD
from lib_trainer.hosts.webui.requests import FAULTS_FIELD
from tests.contract.case import HostCase
from tests.hosts.webui.generation import WEBUIS, our_script, process, with_loras

ROOT = Path(__file__).resolve().parents[3]
PROMPT = "a cat<lora:one:0.8:XYZ><lora:two:0.5:ZYX>"
PLOT: dict[str, Any] = {"plot": {"x": ["values", "0,0.5"], "y": ["Block ID", "IN01-OUT05,BASE"]}}


@pytest.fixture(scope="module", params=WEBUIS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCase]:
    with with_loras(request.param, tmp_path_factory.mktemp(request.param)) as case:
        yield case


@pytest.fixture
def script(case: HostCase, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real script among the program's scripts."""
    from modules import images

    images.saved.clear()
    return our_script(case, monkeypatch, controls=18)


def generate(prompt: str = PROMPT, args: Any = (), **values: Any) -> tuple[Any, Any]:
    """Draws as the API does, with values of the script. Returns the generation and what came of it."""
    sent = [args] if isinstance(args, (dict, str)) else list(args)
    return process(prompt, sent, **{"steps": 1, **values})


def alone(infotext: str, **values: Any) -> bytes:
    """Draws a picture from nothing but the infotext of a cell."""
    prompt, _, line = infotext.split("\n")
    seed = int(line.split("Seed: ")[1].split(",")[0])
    pixels: bytes = generate(prompt, seed=seed, **values)[1].images[0].tobytes()
    return pixels


def test_every_cell_is_what_its_infotext_draws(script: Any) -> None:
    _, done = generate(args={"plot": {**PLOT["plot"], "z": ["seed", "3,4"]}}, negative_prompt="bad")
    assert done.index_of_first_image == 2 and len(done.images) == len(done.infotexts) == 2 + 8
    cells = list(zip(done.images, done.infotexts, strict=True))[2:]
    for image, text in cells:
        assert "XYZ" not in text and "ZYX" not in text and f"{FIELD}: " in text
        assert image.tobytes() == alone(text, negative_prompt="bad"), text
    assert len({image.tobytes() for image, _ in cells}) == 8
    assert ["Seed: 3," in text for _, text in cells] == [True] * 4 + [False] * 4


def test_grids_stand_before_the_cells_and_are_saved(script: Any) -> None:
    from modules import images

    _, done = generate(args={"plot": {**PLOT["plot"], "z": ["seed", "3,4"]}})
    grid, text = done.images[1], done.infotexts[1]
    last = grid.crop((grid.width - 64, grid.height - 64, grid.width, grid.height))
    assert last.tobytes() == done.images[-1].tobytes()
    assert text.startswith(PROMPT + "\n") and 'LoRA plot Y: "Block ID: IN01-OUT05, BASE"' in text
    assert 'LoRA plot grid: "seed: 4"' in text and FIELD not in text and grid.info["parameters"] == text
    assert [(saved[0], saved[2]) for saved in images.saved] == [(done.images[i], done.infotexts[i]) for i in (0, 1)]


def test_grids_are_saved_only_where_the_person_wants_them(script: Any) -> None:
    from modules import images
    from modules.shared import opts

    generate(args=PLOT, do_not_save_grid=True)
    opts.set("grid_save", False)
    try:
        generate(args=PLOT)
    finally:
        opts.set("grid_save", True)
    assert images.saved == []


def test_the_hires_pass_has_the_cells_weights_and_says_its_own_prompt(script: Any) -> None:
    values = {"enable_hr": True, "hr_prompt": "a dog<lora:one:0.8:XYZ>"}
    _, done = generate(args=PLOT, **values)
    hires = [text.split("Hires prompt: ")[1].split('"')[1] for text in done.infotexts[1:]]
    assert len(set(hires)) == 4 and all(text.startswith("a dog<lora:one:0.8:lbw=") for text in hires)
    for image, text, prompt in zip(done.images[1:], done.infotexts[1:], hires, strict=True):
        assert image.tobytes() == alone(text, **{**values, "hr_prompt": prompt})
    _, same = generate(args=PLOT, enable_hr=True)
    assert not any("Hires prompt" in text for text in same.infotexts)


def test_the_generation_is_left_as_it_was(case: HostCase, script: Any) -> None:
    p, done = generate(args=PLOT, batch_size=2, n_iter=3)
    assert (p.batch_size, p.n_iter, p.do_not_save_grid, p.prompt) == (2, 3, False, PROMPT)
    assert len(done.images) == 5 and any("batch count and batch size are 1" in line for line in p.comments)
    plain = generate("a cat<lora:one:0.8>", seed=9)[1]
    assert len(plain.images) == 1 and plain.index_of_first_image == 0
    assert set(vars(script)) <= {"args_from", "args_to", "alwayson"}, "nothing is kept on the script"


def test_a_plot_that_dies_leaves_nothing_for_the_next(
    case: HostCase, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules import shared

    plain = generate("a cat<lora:one:0.8:MINE>")[1].images[0].tobytes()
    request = {**PLOT, "presets": {"MINE": [0] * 17}, "active": False}
    with monkeypatch.context() as broken:
        broken.setattr(type(shared.sd_model), "paint", _die)
        with pytest.raises(RuntimeError, match="out of memory"):
            generate(args=request)
    gc.collect()
    assert generate("a cat<lora:one:0.8:MINE>")[1].images[0].tobytes() == plain
    assert len(case.host.requests._kept) == len(case.host.requests._plots._running) == 0


def _die(*args: object) -> None:
    raise RuntimeError("out of memory")


def test_an_interrupted_plot_shows_the_cells_there_are(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modules import scripts, shared

    class Person(scripts.Script):
        def process_batch(self, p: Any, *args: Any, **told: Any) -> None:
            if told["batch_number"] == 1:
                shared.state.interrupted = True

    scripts.scripts_txt2img.add(Person())
    _, done = generate(args=PLOT)
    assert len(done.infotexts) == 3 and len(done.images) == 3
    grid = done.images[0]
    assert grid.getpixel((grid.width - 32, grid.height - 32)) == (255, 255, 255)


@pytest.mark.parametrize(("request_", "prompt", "sentence"), [
    ({"plot": {"x": ["values", "0"]}}, PROMPT, "An axis 'values' needs another axis 'Block ID'."),
    (PLOT, "a cat<lora:one:0.8>", "The plot needs a place in the prompt"),
    ({"plot": {"x": ["valeus", "0"]}}, PROMPT, "did you mean 'values'"),
    ({"analysis": {"range": "a,b"}}, PROMPT, "a,b"),
])
def test_what_makes_no_plot_is_one_picture_and_a_sentence(
    script: Any, request_: Any, prompt: str, sentence: str
) -> None:
    p, done = generate(prompt, request_)
    assert len(done.images) == 1 and any(sentence in line for line in p.comments), p.comments
    assert "Nothing was compared" in " ".join(p.comments)
    assert sentence[:10] in p.extra_generation_params[FAULTS_FIELD]


def test_the_peers_values_by_place_make_its_plot(script: Any) -> None:
    peer = ["XYZ:" + ",".join(["0.5"] * 17), True, 1, "values", "0,1", "Block ID", "M00", "none", "", "0.5,1", "", 1,
            "black", "20", False, "", False, False]
    p, done = generate(args=peer)
    assert len(done.images) == 3 and not p.comments
    assert "<lora:one:0.8:lbw=0.5,0.5,0.5,0.5,0.5,0.5,0.5,0,0.5," in done.infotexts[1]


def test_the_analysis_is_drawn_in_the_same_way(script: Any) -> None:
    p, done = generate(args={"analysis": {"range": "0,1", "blocks": "M00,OUT03-OUT05"}})
    assert done.index_of_first_image == 1 and len(done.images) == 4, p.comments
    for image, text in list(zip(done.images, done.infotexts, strict=True))[1:]:
        assert image.tobytes() == alone(text)


def test_presets_and_rules_of_a_request_act_in_it_alone(script: Any) -> None:
    request = {"presets": {"MINE": [0.5] * 17, "OUTALL": "0.25," * 16 + "1"}, "elements": {"SOFT": ":attn:0.5"}}
    p, _ = generate("a cat<lora:one:0.8:MINE:lbwe=SOFT><lora:two:1:outall>", request)
    assert p.extra_generation_params[FIELD].startswith("one: MINE=0.5,0.5,") and not p.comments
    assert "two: outall=0.25,0.25," in p.extra_generation_params[FIELD]
    after, _ = generate("a cat<lora:one:0.8:MINE:lbwe=SOFT><lora:two:1:OUTALL>")
    assert any("'MINE'" in line for line in after.comments) and any("'SOFT'" in line for line in after.comments)
    assert "OUTALL=1,0,0" in after.extra_generation_params[FIELD]


def test_switched_off_tags_act_plainly_and_say_so(script: Any) -> None:
    p, done = generate("a cat<lora:one:0.8:NONE:start=2><lora:two:1>", {"active": False})
    assert done.images[0].tobytes() == generate("a cat<lora:one:0.8><lora:two:1>")[1].images[0].tobytes()
    assert [line for line in p.comments if "switched off" in line] and FIELD not in p.extra_generation_params
    assert "switched off" in done.infotexts[0]


def test_faults_of_the_values_are_told(script: Any) -> None:
    p, done = generate("a cat<lora:one:0.8>", ["NONE:1,2,3", "maybe", 7])
    told = " ".join(p.comments)
    assert "got 3" in told and "'active'" in told and "'xyzsetting'" in told and len(done.images) == 1
    assert "got 3" in done.infotexts[0]


def test_a_preview_like_the_last_picture_is_no_plot(case: HostCase, script: Any) -> None:
    generate(args=PLOT)
    with case.host.borrow_model() as lease, lease.turn() as model:
        drawn = model.preview(PreviewRequest("a dog<lora:one:1:XYZ>", seed=4, like_txt2img=True))
    assert drawn.image.size == (64, 64) and "LoRA plot" not in drawn.infotext
    assert drawn.infotext.startswith("a dog<lora:one:1:XYZ>\n")


def test_a_picture_within_a_picture_is_no_plot(script: Any) -> None:
    """As ADetailer does: the pictures of a plot are drawn once more with the same script and values."""
    from modules import processing, scripts, shared

    inner: list[Any] = []

    class Detailer(scripts.Script):
        def postprocess_image(self, p: Any, args: Any, *more: Any) -> None:
            again = processing.StableDiffusionProcessingTxt2Img(
                sd_model=shared.sd_model, prompt=p.all_prompts[p.iteration], seed=5, steps=1, width=64, height=64,
                sampler_name="Euler")
            again.scripts = scripts.ScriptRunner()
            again.scripts.scripts = again.scripts.alwayson_scripts = [script]
            again.script_args = p.script_args
            inner.append(processing.process_images(again))

    scripts.scripts_txt2img.add(Detailer())
    _, done = generate(args=PLOT)
    assert len(done.images) == 5 and done.index_of_first_image == 1
    assert [len(one.images) for one in inner] == [1] * 4
