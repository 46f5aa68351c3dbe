"""Block weights in a picture's parameters, and back."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.recorded import FIELD, Entry, entries
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split
from lib_trainer.hosts.webui import infotext

SHIPPED = Presets.shipped()
NCNF = "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"


def weights(prompt: str, arch: str = "sd15") -> list[Weights]:
    return [resolve(tag, SHIPPED, arch) for tag in split(prompt)[1]]


def picture(is_hires: bool = False) -> SimpleNamespace:
    return SimpleNamespace(extra_generation_params={}, is_hr_pass=is_hires)


def test_the_numbers_stand_beside_the_name() -> None:
    p = picture()
    infotext.note(p, weights("<lora:m4_carbine:0.8:NCNF><lora:b:1><lora:c d:1:lbw=0.5>"))
    assert p.extra_generation_params == {FIELD: f"m4_carbine: NCNF={NCNF}; c d: 0.5"}
    assert entries(p.extra_generation_params[FIELD]) == [Entry("m4_carbine", NCNF), Entry("c d", "0.5")]


def test_another_batch_writes_its_own() -> None:
    p = picture()
    infotext.note(p, weights("<lora:a:1:NCNF>"))
    infotext.forget(p)
    infotext.note(p, weights("<lora:a:1>"))
    assert p.extra_generation_params == {}


def test_the_hires_pass_is_noted_where_it_differs() -> None:
    p = picture()
    infotext.note(p, weights("<lora:a:1:NCNF>"))
    p.is_hr_pass = True
    infotext.forget(p)
    infotext.note(p, weights("<lora:a:1:NCNF>"))
    assert set(p.extra_generation_params) == {FIELD}
    infotext.note(p, weights("<lora:a:1:OUTD>"))
    assert p.extra_generation_params[f"Hires {FIELD}"].startswith("a: OUTD=1,0,0,")
    assert p.extra_generation_params[FIELD].startswith("a: NCNF=")


@pytest.mark.parametrize(("prompt", "arch"), [
    ("<lora:a:1:NCNF>", "sd15"), ("<lora:a:0.5:lbw=LC-NCNF>, <lyco:b:1:NONE>", "sd15"), ("<lora:a:1:SDXL-MID>", "sdxl"),
    ("<lora:a:1:lbw=0.5>", "sdxl"), ("<lora:a:1:NCNF>", "sdxl"), ("a (cat:1.2) <lora:a:0.8>, <hypernet:h:1>", "sd15"),
])
def test_presets_that_say_the_same_stay(prompt: str, arch: str) -> None:
    p = picture()
    infotext.note(p, weights(prompt, arch))
    params = {"Prompt": prompt, **p.extra_generation_params}
    infotext.pasted(params, Presets.shipped, Elements.shipped)
    assert params["Prompt"] == prompt


@pytest.mark.parametrize("presets", ["", "NCNF:" + ",".join("1" * 17)])
def test_presets_that_changed_become_numbers(presets: str) -> None:
    prompt = "a cat <lora:a:0.8:NCNF>, <lora:b:1> <lora:c:te=1:unet=0.2:lbw=OUTS:dyn=4>"
    p = picture()
    infotext.note(p, weights(prompt))
    params = {"Prompt": prompt, **p.extra_generation_params}
    infotext.pasted(params, lambda: Presets.parse(presets), Elements.shipped)
    outs = SHIPPED.get("OUTS")
    assert outs is not None
    assert params["Prompt"] == (
        f"a cat <lora:a:0.8:lbw={NCNF}>, <lora:b:1> <lora:c:1:0.2:lbw={','.join(outs.items)}:dyn=4>")
    before, after = weights(prompt), weights(params["Prompt"])
    assert [one.digest for one in before] == [one.digest for one in after]


def test_a_renamed_lora_and_one_without_numbers_find_their_entries() -> None:
    changed = Presets.parse("NCNF:" + ",".join("0" * 17))
    params = {"Prompt": "<lora:renamed:1:NCNF>", FIELD: f"a: NCNF={NCNF}"}
    infotext.pasted(params, lambda: changed, Elements.shipped)
    assert params["Prompt"] == f"<lora:renamed:1:lbw={NCNF}>"
    params = {"Prompt": "<lora:wrong:1:1,2><lora:a:1:NCNF>", FIELD: f"a: NCNF={NCNF}"}
    infotext.pasted(params, lambda: changed, Elements.shipped)
    assert params["Prompt"] == f"<lora:wrong:1:1,2><lora:a:1:lbw={NCNF}>"


def test_hires_prompts_are_restored_too() -> None:
    params = {"Prompt": "a", "Hires prompt": "<lora:a:1:NCNF>", f"Hires {FIELD}": f"a: NCNF={NCNF}"}
    infotext.pasted(params, lambda: Presets.parse(""), Elements.shipped)
    assert params["Hires prompt"] == f"<lora:a:1:lbw={NCNF}>"
    infotext.pasted(untouched := {"Prompt": "<lora:a:1:NCNF>"}, lambda: Presets.parse(""), Elements.shipped)
    assert untouched["Prompt"] == "<lora:a:1:NCNF>"
