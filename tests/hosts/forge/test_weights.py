"""Forge's patches with strengths by block."""
from __future__ import annotations

from typing import Any

from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import split
from lib_trainer.hosts.forge.weights import dealt, of_text_encoder, of_unet
from lib_trainer.hosts.webui.backend import Weighted

IN04 = "diffusion_model.input_blocks.4.1.proj_in.weight"
OUT03 = "diffusion_model.output_blocks.3.1.proj_in.bias"
TIME = "diffusion_model.time_embed.0.weight"
TEXT = "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
FUNCTION = len


def weights(tag: str) -> Weights:
    return resolve(split(f"<lora:{tag}>")[1][0], Presets.shipped(), "sd15")


def patches(strength: float, *keys: str) -> dict[str, Any]:
    """One LoRA as the host has made it: `diff`, `set` and `lora` patches, one in a part of its weight."""
    kinds = [("diff", (key,)) for key in keys[:-1]] + [("set", ("tensor",))]
    return {key: [[strength, kind, 1.0, (0, 0, 8), FUNCTION]] for key, kind in zip(keys, kinds, strict=True)}


def test_patches_of_every_kind_get_the_strength_of_their_block() -> None:
    stock = {("a.safetensors", 0.8, 1.0, False): patches(0.8, IN04, TIME, OUT03)}
    tag = weights("a:0.5:0.8:lbw=" + "1," * 8 + "0.5," * 8 + "0.5")
    (key, own), = dealt(stock, {"a.safetensors": [Weighted(0, tag)]}, "sd15", of_unet).items()
    assert {name: [entry[0] for entry in entries] for name, entries in own.items()} == {
        IN04: [0.8], TIME: [0.8], OUT03: [0.4]}
    assert own[IN04][0][1:] == [("diff", (IN04,)), 1.0, (0, 0, 8), FUNCTION]
    assert key[0] == "a.safetensors" and key != next(iter(stock)) and key[2:] == (1.0, False)
    assert stock[("a.safetensors", 0.8, 1.0, False)][IN04][0][0] == 0.8


def test_zero_is_off_for_patches_that_know_no_strength() -> None:
    stock = {("a.safetensors", 0.8, 1.0, False): patches(0.8, IN04, TIME, OUT03)}
    own = next(iter(dealt(stock, {"a.safetensors": [Weighted(0, weights("a:0.8:NONE"))]}, "sd15", of_unet).values()))
    assert list(own) == [TIME]


def test_a_lora_without_text_encoder_part_shifts_nothing() -> None:
    stock = {("b.safetensors", 0.9, 1.0, False): patches(0.9, TEXT)}
    tags = {f"{name[0]}.safetensors": [Weighted(at, weights(name))]
            for at, name in enumerate(("a:1:NONE", "b:0.9:ALL0.5"))}
    own = dealt(stock, tags, "sd15", of_text_encoder)
    assert [entries[0][0] for entries in next(iter(own.values())).values()] == [0.45]


def test_each_tag_of_a_lora_has_patches_and_other_files_stay() -> None:
    stock = {
        ("c.safetensors", 1.0, 1.0, False): patches(1.0, IN04),
        ("a.safetensors", 0.4, 1.0, False): patches(0.4, IN04, OUT03),
        ("a.safetensors", 0.3, 1.0, False): patches(0.3, IN04, OUT03),
    }
    tags = {"a.safetensors": [
        Weighted(at, weights(tag)) for at, tag in enumerate(("a:0.4:INALL", "a:0.4:INALL", "a:0.3"))]}
    own = dealt(stock, tags, "sd15", of_unet)
    assert [key[0][0] for key in own] == ["c", "a", "a", "a"]
    assert next(iter(own.values())) is stock[("c.safetensors", 1.0, 1.0, False)]
    assert [{name: entries[0][0] for name, entries in one.items()} for one in list(own.values())[1:]] == [
        {IN04: 0.4}, {IN04: 0.4}, {IN04: 0.3, OUT03: 0.3}]


def test_keys_change_exactly_with_the_numbers() -> None:
    stock = {("a.safetensors", 0.8, 1.0, False): patches(0.8, IN04)}

    def hashed(tag: str) -> str:
        return str(list(dealt(stock, {"a.safetensors": [Weighted(0, weights(tag))]}, "sd15", of_unet)))

    assert hashed("a:0.8:OUTD") == hashed("a:0.8:lbw=1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0") != hashed("a:0.8:OUTS")
