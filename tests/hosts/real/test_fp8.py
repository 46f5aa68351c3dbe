"""A base that the WebUI itself keeps in 8 bits: a sentence while its option is off, a training while it is on."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.real import model_state, training
from tests.hosts.real.pixels import differ, same
from tests.hosts.real.server import HostFailed, Server

PROMPT = "1girl, blue background"
_A1111 = ({"fp8_storage": "Enable"}, {"fp8_storage": "Disable"})
OPTIONS = {
    "a1111": _A1111,
    "forge": tuple({"forge_unet_storage_dtype": kind, "forge_inference_memory": memory}
                   for kind, memory in (("float8-e4m3fn", 1025), ("Automatic", 1024))),
    "reforge": _A1111,
}
"""On and off. By its API Forge heeds the kind of storage only together with a change of memory."""


@pytest.fixture
def in_8_bits(host: Server) -> Iterator[dict[str, object]]:
    """The host with its option on; returns the tensors of the model as it was before."""
    on, off = OPTIONS[host.program.kind]
    host.draw(PROMPT)
    before = model_state.whole(host)
    host.post("/sdapi/v1/options", on)
    try:
        yield before
    finally:
        host.post("/sdapi/v1/options", off)
        host.draw(PROMPT)


def test_a_wish_that_the_host_does_not_meet_is_a_sentence(host: Server, pictures: Path) -> None:
    host.draw(PROMPT)
    with pytest.raises(HostFailed, match="has the checkpoint in memory in more than 8 bits"):
        training.start(host, pictures, "wished", base_precision="fp8_unet")


def test_a_base_of_8_bits_is_trained_on(host: Server, pictures: Path, in_8_bits: dict[str, object]) -> None:
    plain = host.draw(PROMPT)
    model = model_state.whole(host)
    kinds = {entry.get("dtype") for entry in model.values()}
    assert "torch.float8_e4m3fn" in kinds, kinds
    run = training.start(host, pictures, "eight", base_precision="fp8_unet", learning_rate="1e-2", epochs=2)
    run.finished()
    print(kinds, [event["message"] for event in run.of("Warned")], [event["loss"] for event in run.of("Stepped")])
    assert model_state.whole(host) == model
    assert same(host.draw(PROMPT), plain)
    assert differ(host.draw(f"{PROMPT}<lora:eight:1>"), plain)
