"""Every kind of LoRA file in the embedded host's pictures: acting, weighted by blocks, baked."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.blocks.presets import Presets
from lib_trainer.host_model import Picture
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import baked_file
from lib_trainer.lora import file as lora_file
from lib_trainer.txt2img_host import GenerateRequest
from tests.hosts import lora_kinds

KINDS = [kind for kind in (*lora_kinds.KINDS, *lora_kinds.OTHERS) if kind not in ("lora", "bundled", "unet_only")]
BLOCKS = "lbw=ALL,BASE@0.5,IN01-IN05@-0.3,MID@0,OUT05-OUT08@0.7"


def draw(host: StandaloneHost, prompt: str) -> Picture:
    return host.generate(GenerateRequest(prompt, seed=1, steps=2, width=64, height=64))[0]


def write(host: StandaloneHost, checkpoint: Path, kind: str) -> Path:
    path = host.paths.loras / f"{kind}.safetensors"
    lora_file.save(path, lora_kinds.state(kind, checkpoint), {"ss_base_model_version": "sd_v1"})
    return path


def differing(first: Picture, second: Picture) -> int:
    """Returns the greatest difference of two pictures, in levels of 255."""
    pairs = zip(first.image.tobytes(), second.image.tobytes(), strict=True)
    return max(abs(a - b) for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_acts_by_blocks_and_baked(host: StandaloneHost, checkpoint: Path, kind: str) -> None:
    source = write(host, checkpoint, kind)
    plain = draw(host, "a cat")
    weighted = draw(host, f"a cat <lora:{kind}:0.8:{BLOCKS}>")
    assert weighted.comments == []
    assert weighted.image.tobytes() != plain.image.tobytes()
    assert draw(host, f"a cat <lora:{kind}:0>").image.tobytes() == plain.image.tobytes()
    order = baked_file.Order(source, f"0.8:{BLOCKS}", Presets.shipped(), base=checkpoint)
    result = baked_file.write(order, host.paths.loras / "baked.safetensors")
    host.lora_saved(result.path)
    baked = draw(host, "a cat <lora:baked:1>")
    assert baked.comments == []
    # float32 tensors multiplied before instead of after a product: the last digit, one level where it flips a byte
    assert differing(baked, weighted) <= 1
    assert draw(host, "a cat").image.tobytes() == plain.image.tobytes()


def test_another_preset_works_out_only_the_layers_that_begin_to_act(host: StandaloneHost, checkpoint: Path) -> None:
    """A change of preset re-applies only the blocks that changed: no file read, no copy, no arithmetic on weights."""
    write(host, checkpoint, "dora")
    draw(host, "a cat <lora:dora:1:lbw=0,OUT03-OUT05@1>")
    (entry,) = host._shelf._kept.values()
    network, first = entry.network, entry.network.workings_out
    in_blocks = [name for name, layer in network.layers.items() if layer.multiplier != 0]
    assert first == len(in_blocks) < len(network.layers)
    draw(host, "a cat <lora:dora:0.7:lbw=0,OUT03-OUT05@0.2>")
    assert network.workings_out == first
    draw(host, "a cat <lora:dora:0.7:lbw=0,OUT03-OUT06@0.2>")
    acting = [name for name, layer in network.layers.items() if layer.multiplier != 0]
    assert network.workings_out == len(acting) > first
    assert list(host._shelf._kept.values()) == [entry]


def test_what_a_prompt_no_longer_names_takes_no_memory(host: StandaloneHost, checkpoint: Path) -> None:
    write(host, checkpoint, "loha")
    draw(host, "a cat <lora:loha:1>")
    (entry,) = host._shelf._kept.values()
    assert entry.network.bytes_kept > 0
    draw(host, "a cat")
    assert entry.network.bytes_kept == 0
