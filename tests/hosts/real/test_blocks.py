"""Block weights in the prompts of a real host, by its API."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.real import training
from tests.hosts.real.opens import Opens
from tests.hosts.real.pixels import close, differ, same
from tests.hosts.real.server import Server

PROMPT = "1girl, blue background"
NAME, OTHER = "blocks one", "blocks two"


@pytest.fixture(scope="module", autouse=True)
def loras(host: Server, pictures: Path) -> None:
    """Two LoRAs strong enough to see every block of."""
    for name, seed, text in ((NAME, 1, True), (OTHER, 2, False)):
        training.start(host, pictures, name, seed=seed, epochs=4, learning_rate="1e-2",
                       train_text_encoder=text).finished()


def test_presets_act_and_the_infotext_says_their_numbers(host: Server) -> None:
    plain = host.draw(PROMPT)
    whole = host.draw(f"{PROMPT}<lora:{NAME}:0.8>")
    part, info = host.drawn(f"{PROMPT}<lora:{NAME}:0.8:NCNF>")
    assert differ(whole, plain) and differ(part, whole) and differ(part, plain)
    assert "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0" in info["infotexts"][0].replace(" ", "")
    for spelling in (":0.8:lbw=NCNF", ":0.8:lbw=1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0", ":0.8:0.8:lbw=ncnf"):
        assert same(host.draw(f"{PROMPT}<lora:{NAME}{spelling}>"), part), spelling
    assert same(host.draw(PROMPT), plain)


def test_all_is_the_plain_lora_and_none_is_no_lora(host: Server) -> None:
    assert same(host.draw(f"{PROMPT}<lora:{NAME}:0.8:ALL>"), host.draw(f"{PROMPT}<lora:{NAME}:0.8>"))
    assert same(host.draw(f"{PROMPT}<lora:{NAME}:0.8:NONE>"), host.draw(PROMPT))
    assert close(host.draw(f"{PROMPT}<lora:{NAME}:0.8:ALL0.5>"), host.draw(f"{PROMPT}<lora:{NAME}:0.4>"))


def test_the_text_encoder_part_follows_base_without_a_stale_prompt(host: Server) -> None:
    """The prompt's text is the same each time, so a host that remembers its encoding would draw the former picture."""
    zeros = ",".join("0" * 16)
    with_base = host.draw(f"{PROMPT}<lora:{NAME}:1:lbw=1,{zeros}>")
    without = host.draw(f"{PROMPT}<lora:{NAME}:1:lbw=0,{zeros}>")
    assert differ(with_base, without)
    assert same(without, host.draw(PROMPT))
    assert same(host.draw(f"{PROMPT}<lora:{NAME}:1:lbw=1,{zeros}>"), with_base)


def test_two_loras_keep_their_own_weights(host: Server) -> None:
    first, second = f"<lora:{NAME}:1:IND>", f"<lora:{OTHER}:1:OUTD>"
    both = host.draw(PROMPT + first + second)
    assert close(host.draw(PROMPT + second + first), both)
    assert same(host.draw(f"{PROMPT}<lora:{NAME}:1:NONE>{second}"), host.draw(PROMPT + second))
    assert differ(host.draw(f"{PROMPT}<lora:{NAME}:1:OUTD><lora:{OTHER}:1:IND>"), both)


def test_the_hires_pass_is_weighted_too(host: Server) -> None:
    hires: dict[str, object] = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 2, "hr_upscaler": "Latent",
                                "denoising_strength": 0.7, "steps": 2}
    if host.program.kind == "forge":
        hires["hr_additional_modules"] = ["Use same choices"]  # its page says so, its API's own default raises
    plain, none, part = (host.draw(PROMPT + tag, **hires) for tag in (
        "", f"<lora:{NAME}:1:NONE>", f"<lora:{NAME}:1:NCNF>"))
    assert same(none, plain)
    assert differ(part, plain) and differ(part, host.draw(f"{PROMPT}<lora:{NAME}:1>", **hires))


def test_an_unknown_preset_is_told_with_the_picture(host: Server) -> None:
    host.get("/probe/draws")
    host.draw(f"{PROMPT}<lora:{NAME}:1:NCNG>")
    assert "did you mean 'NCNF'" in host.get("/probe/draws")[-1]["comments"]


def test_another_preset_reads_no_file(host: Server) -> None:
    host.draw(f"{PROMPT}<lora:{NAME}:1:OUTD>")
    with Opens(host.loras) as opens:
        for preset in ("IND", "NCNF", "OUTD", "ALL", "NONE"):
            host.draw(f"{PROMPT}<lora:{NAME}:1:{preset}>", steps=1)
        assert opens.counted() == {}
