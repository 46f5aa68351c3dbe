"""Weighted copies of AUTOMATIC1111's networks: nothing of the host's own is edited."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split
from lib_trainer.hosts.a1111.weights import LoadedNetworks, weighted_copy
from lib_trainer.hosts.webui.backend import Weighted
from tests.hosts import doubles

KEYS = ("diffusion_model_input_blocks_4_1_proj_in", "diffusion_model_output_blocks_3_1_proj_in",
        "diffusion_model_time_embed_0", "transformer_text_model_encoder_layers_0_mlp_fc1")


@pytest.fixture(autouse=True)
def program(tmp_path: Path) -> Iterator[None]:
    with doubles.installed("a1111", tmp_path):
        yield


def weights(tag: str) -> Weights:
    return resolve(split(f"<lora:{tag}>")[1][0], Presets.shipped(), "sd15")


def loaded(name: str, te: float = 1.0, unet: float = 1.0) -> Any:
    """A network as the host has it after activation, with one module a layer."""
    import network

    net = network.Network(name, network.NetworkOnDisk(name, __file__))
    net.mentioned_name, net.te_multiplier, net.unet_multiplier = name, te, unet
    net.modules = {key: network.NetworkModule(net, network.NetworkWeights(key, key, {}, None)) for key in KEYS}
    return net


def factors(net: Any) -> dict[str, float]:
    return {key: module.multiplier() for key, module in net.modules.items()}


def test_every_layer_answers_with_its_own_factor() -> None:
    net = loaded("a", 0.5, 0.8)
    before = {key: vars(module).copy() for key, module in net.modules.items()}
    copy = weighted_copy(net, weights("a:0.5:0.8:OUTD"), "sd15")
    in_block, out_block, no_block, text = KEYS
    assert factors(copy) == {out_block: 0.8, no_block: 0.8, text: 0.5}, "IN04 is off and left out"
    assert factors(net) == {in_block: 0.8, out_block: 0.8, no_block: 0.8, text: 0.5}
    assert {key: vars(module) for key, module in net.modules.items()} == before
    assert copy.name == "a [OUTD]" and net.name == "a"
    half = weighted_copy(net, weights("a:0.5:0.8:lbw=0.5"), "sd15")
    assert factors(half)[in_block] == 0.4 and factors(half)[no_block] == 0.8


def test_the_host_sees_a_change_exactly_when_there_is_one() -> None:
    def seen(tag: str) -> tuple[Any, ...]:
        copy = weighted_copy(loaded("a", 0.8, 0.8), weights(tag), "sd15")
        return (copy.te_multiplier, copy.unet_multiplier, copy.dyn_dim)

    assert seen("a:0.8:OUTD") == seen("a:0.8:lbw=1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0")
    assert seen("a:0.8:OUTD") != seen("a:0.8:OUTS")
    assert seen("a:0.8:OUTD") != (0.8, 0.8, None)


def test_originals_come_back_and_files_that_failed_shift_nothing() -> None:
    import networks

    two, three, extra = loaded("two"), loaded("three"), loaded("from the settings")
    networks.loaded_networks[:] = [two, three, extra]
    tags = ["broken:1:OUTD", "two:1", "three:1:OUTD"]
    state = LoadedNetworks()
    state.weigh([Weighted(at, weights(tag)) for at, tag in enumerate(tags)], "sd15")
    assert networks.loaded_networks[0] is two and networks.loaded_networks[2] is extra
    assert networks.loaded_networks[1].name == "three [OUTD]"
    networks.loaded_networks.append(another := loaded("another"))
    state.put_back()
    state.put_back()
    assert networks.loaded_networks == [two, three, extra, another]


def test_a_list_that_the_host_has_replaced_stays() -> None:
    import networks

    networks.loaded_networks[:] = [loaded("one")]
    state = LoadedNetworks()
    state.weigh([Weighted(0, weights("one:1:OUTD"))], "sd15")
    networks.loaded_networks[:] = [other := loaded("other")]
    state.put_back()
    assert networks.loaded_networks == [other]


def test_a_lora_without_a_fitting_layer_is_told() -> None:
    import networks

    net = loaded("one")
    net.modules = {}
    networks.loaded_networks[:] = [net]
    told = LoadedNetworks().weigh([Weighted(0, weights("one:1:OUTD"))], "sd15")
    assert told == ["LoRA 'one' has no layer that fits this checkpoint, so it has no effect: it was made for another "
                    "kind."]


def test_every_kind_of_module_is_copied_shallowly() -> None:
    net = loaded("a")
    tensor = object()
    net.modules[KEYS[0]].updown = tensor
    net.bundle_embeddings = SimpleNamespace()
    copy = weighted_copy(net, weights("a:1:lbw=0.5"), "sd15")
    assert copy.modules[KEYS[0]].updown is tensor and copy.bundle_embeddings is net.bundle_embeddings
    assert copy.modules[KEYS[0]].network is copy
