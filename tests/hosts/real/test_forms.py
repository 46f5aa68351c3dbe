"""Every form of a block-weight tag on a real host, by its API, with random LoRAs that change every layer they can."""
from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from lib_trainer.blocks.recorded import FIELD, RULES_FIELD
from lib_trainer.cli.main import main
from tests.hosts import lora_kinds
from tests.hosts.real.pixels import close, differ, furthest, same
from tests.hosts.real.server import Server

PROMPT = "1girl, blue background"
OUTALL = "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"
KINDS = ("lora", "locon", "loha", "lokr", "dora", "diff", "glora_old", "ia3", "oft", "norms", "unblocked")
HIRES: dict[str, Any] = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 3, "hr_upscaler": "Latent",
                         "denoising_strength": 0.7, "steps": 3}


@pytest.fixture(scope="module", autouse=True)
def loras(host: Server) -> None:
    """A file of every kind for the host's checkpoint."""
    checkpoint = host.program.models / host.program.checkpoints()[0]
    for seed, kind in enumerate(KINDS, start=1):
        lora_kinds.write(kind, checkpoint, host.loras / f"k_{kind}.safetensors", seed)
    host.post("/sdapi/v1/refresh-loras")


def draw(host: Server, arguments: str, name: str = "k_lora", **values: Any) -> Image.Image:
    """Draws with a tag's arguments; "" = without a LoRA."""
    if values.get("enable_hr") and host.program.kind == "forge":
        values["hr_additional_modules"] = ["Use same choices"]  # its API's own default raises
    return host.draw(PROMPT + (f"<lora:{name}:{arguments}>" if arguments else ""), **values)


@pytest.mark.parametrize(("arguments", "same_as"), [
    (("0.8:OUTALL", "0.8:lbw=outall", "w=OUTALL:0.8", "lbw=OUTALL:0.8:0.8", "0.8:lbw=0,BASE OUT03-OUT11@1",
      "0.8:X,0,0,0,0,0,0,0,X,X,X,X,X,X,X,X,X:1"), f"0.8:{OUTALL}"),
    (("0.8:lbw=ALL,OUT03-OUT05@0,MID@0.5",), "0.8:1,1,1,1,1,1,1,0.5,0,0,0,1,1,1,1,1,1"),
    (("1:lbwe=ATTNDEEPOFF", "1:ALL:lbwe=ATTNDEEPOFF", "1:lbwe=ATTNDEEPON,ATTNDEEPOFF"), "1:lbwe=IN05-OUT05/attn@0"),
    (("te=0.5:unet=0.8:lbw=1",), "0.5:0.8"),
])
def test_spellings_of_one_thing_are_one_picture(host: Server, arguments: Sequence[str], same_as: str) -> None:
    expected = draw(host, same_as)
    for one in arguments:
        assert same(draw(host, one), expected), one


def test_rules_act_on_some_layers(host: Server) -> None:
    whole, none = draw(host, "1"), draw(host, "")
    off, half = draw(host, "1:lbwe=ATTNDEEPOFF"), draw(host, "1:lbwe=/@0.5")
    assert differ(off, whole) and differ(off, none)
    assert close(half, draw(host, "0.5")) and same(draw(host, "1:lbwe=/@0"), none)
    assert close(draw(host, "1:lbwe=NOT BASE/@0"), draw(host, "1:0"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_nothing_half_and_all(host: Server, kind: str) -> None:
    name = f"k_{kind}"
    none, whole = draw(host, ""), draw(host, "1", name)
    if same(none, whole):
        pytest.skip(f"{host.program.kind} itself does nothing with {kind}")
    assert same(draw(host, "1:lbw=1", name), whole)
    if kind != "unblocked":
        assert same(draw(host, "1:NONE", name), none)
    assert same(draw(host, "1:lbw=0,EMBED@0,FINAL@0", name), none) or kind != "unblocked"
    half = draw(host, "1:lbw=0.5,EMBED@0.5,FINAL@0.5", name)
    print(kind, "half against half strength", furthest(half, draw(host, "0.5", name)))
    assert close(half, draw(host, "0.5", name))
    assert same(draw(host, ""), none)


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM2", "DDIM", "UniPC", "DPM++ 2M"])
def test_steps_count_as_the_sampler_counts(host: Server, sampler: str) -> None:
    values = {"sampler_name": sampler, "steps": 6}
    none, whole = draw(host, "", **values), draw(host, "1", **values)
    for arguments, expected in (("1:start=1", whole), ("1:stop=99", whole), ("1:stop=1", none), ("1:start=99", none)):
        assert same(draw(host, arguments, **values), expected), arguments
    part = draw(host, "1:NCNF:step=3-5", **values)
    assert differ(part, none) and differ(part, whole)
    assert not same(draw(host, "1:start=6", **values), none), "the last step counts"
    assert same(draw(host, "1:start=7", **values), none), "there is no seventh"
    assert not same(draw(host, "1:start=2", **values), whole), "the first step counts"
    assert same(draw(host, "1", **values), whole) and same(draw(host, "", **values), none)


def test_two_windows_and_both_passes(host: Server) -> None:
    tags = "<lora:k_lora:0.7:stop=3><lora:k_locon:0.7:NCNF:start=3>"
    both = host.draw(PROMPT + tags, steps=4)
    assert differ(both, host.draw(f"{PROMPT}<lora:k_lora:0.7><lora:k_locon:0.7:NCNF>", steps=4))
    assert same(host.draw(PROMPT + tags, steps=4), both)
    none, whole = draw(host, "", **HIRES), draw(host, "1", **HIRES)
    assert same(draw(host, "1:stop=1", **HIRES), none) and same(draw(host, "1:start=1", **HIRES), whole)
    part = draw(host, "1:stop=2", **HIRES)
    assert not same(part, none) and not same(part, whole) and not same(draw(host, "1:stop=3", **HIRES), whole)
    assert same(draw(host, "1:stop=4", **HIRES), whole) and same(draw(host, "1", **HIRES), whole)


def test_drawn_numbers_follow_the_seed_and_stand_in_the_infotext(host: Server) -> None:
    tag = f"<lora:k_lora:1:R,{','.join('U' * 16)}>"
    hires = {**HIRES, "hr_additional_modules": ["Use same choices"]} if host.program.kind == "forge" else HIRES
    first, info = host.drawn(PROMPT + tag)
    field = info["extra_generation_params"][FIELD]
    numbers = field.partition(": ")[2].rpartition("=")[2]
    assert same(host.draw(PROMPT + tag), first)
    assert close(draw(host, f"1:{numbers}"), first)
    assert host.drawn(PROMPT + tag, seed=8)[1]["extra_generation_params"][FIELD] != field
    of_hires = host.drawn(PROMPT + tag, **hires)[1]["extra_generation_params"]
    assert of_hires[FIELD] == field and f"Hires {FIELD}" not in of_hires
    rules = host.drawn(f"{PROMPT}<lora:k_lora:1:lbwe=PROJDEEPOFF>")[1]["extra_generation_params"]
    assert rules[RULES_FIELD] == "k_lora: PROJDEEPOFF=IN05-OUT05/proj@0"


def test_eighteen_values_and_a_plot_by_the_api(host: Server) -> None:
    def asked(args: Any, prompt: str) -> list[Image.Image]:
        values = {"prompt": prompt, "seed": 7, "steps": 2, "width": 64, "height": 64, "cfg_scale": 5,
                  "sampler_name": "Euler", "alwayson_scripts": {"LoRA Block Weight": {"args": args}}}
        answer = host.post("/sdapi/v1/txt2img", values)
        return [Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB") for one in answer["images"]]

    mine = f"{PROMPT}<lora:k_lora:1:MINE>"
    usual = [True, "Disable", "none", "", "none", "", "none", "", "0.5,1", "17ALL", 1, "black", 20, False, "", False,
             False]
    (picture,) = asked([f"MINE:{OUTALL}", *usual], mine)
    assert same(picture, draw(host, "1:OUTALL", steps=2))
    (plain,) = asked([f"MINE:{OUTALL}", False, *usual[1:]], mine)
    assert same(plain, draw(host, "1", steps=2))
    plot = {"plot": {"x": ["values", "0,1"], "y": ["Block ID", "IN01-OUT05,BASE"]}}
    images = asked([plot], f"{PROMPT}<lora:k_lora:1:XYZ>")
    assert len(images) == 1 + 3, "two of the four cells are the same picture"
    assert any(same(image, draw(host, "1:lbw=1", steps=2)) for image in images[1:])


@pytest.mark.parametrize("kind", ["locon", "loha", "lokr", "dora", "diff", "ia3", "norms", "glora_old"])
def test_a_baked_file_is_its_tag(host: Server, kind: str) -> None:
    tag, baked = "0.8:NCNF:lbwe=ATTNDEEPOFF", host.loras / f"baked_{kind}.safetensors"
    checkpoint = host.program.models / host.program.checkpoints()[0]
    assert main(["lora", "bake", str(host.loras / f"k_{kind}.safetensors"), "--weights", tag, "--out", str(baked),
                     "--base", str(checkpoint)]) == 0
    host.post("/sdapi/v1/refresh-loras")
    picture, plain = draw(host, tag, f"k_{kind}"), draw(host, "")
    if same(picture, plain):
        pytest.skip(f"{host.program.kind} itself does nothing with {kind}")
    apart = furthest(draw(host, "1", baked.stem), picture)
    print(kind, "baked against its tag", apart, "without", furthest(plain, picture))
    assert apart <= 3, "half precision in the file"


def test_an_interrupted_picture_leaves_no_window_behind(host: Server) -> None:
    none, whole = draw(host, ""), draw(host, "1")
    for arguments in ("1:start=2:stop=30", "1:NCNF:stop=30"):
        drawing = threading.Thread(target=lambda one=arguments: draw(host, one, steps=60))
        drawing.start()
        while host.get("/sdapi/v1/progress")["state"]["sampling_step"] < 3 and drawing.is_alive():
            time.sleep(0.02)
        host.post("/sdapi/v1/interrupt")
        drawing.join()
        assert same(draw(host, ""), none) and same(draw(host, "1"), whole), arguments


