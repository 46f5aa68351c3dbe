"""What the LoRA workbench writes loads in a real host, and draws there what the tags it was made from draw."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import save_file

from lib_trainer.lora import file as lora_file
from tests.hosts import lora_kinds
from tests.hosts.real import training
from tests.hosts.real.model_state import PROMPT
from tests.hosts.real.pixels import TOLERANCE, differ, furthest, same
from tests.hosts.real.server import HostFailed, Server
from tests.hosts.real.workbench import made, source

KINDS = ("lora", "locon", "loha", "lokr", "dora", "diff", "glora_old", "ia3", "oft", "norms")
OF_THE_BASE = ("dora", "glora_old", "ia3", "oft")
"""Kinds whose change depends on the model's own weights."""
WHOLE = ("lokr", "dora", "diff", "glora_old", "ia3", "oft")
"""Kinds that are written as full differences, which are as large as the checkpoint."""
LARGE = 10**9
"""Bytes of a checkpoint for which no full differences are made here, nor its encoders decomposed."""
OF_MATRICES = ("glora_old", "ia3")
"""Kinds that AUTOMATIC1111 itself works out for matrices only and leaves out at 1x1 convolutions."""
READ_OTHERWISE = {"reforge": ("oft",)}
"""Kinds that a program itself draws with otherwise: reForge takes OFT's strength twice and its bound as a norm."""
MOST_RANK = 1280
"""As many as the smaller side of the widest layer can have: nothing is cut off."""
NAMINGS = ("kohya", "kohya-ldm", "kohya-diffusers", "peft", "diffusers", "ldm")


@pytest.fixture(scope="module")
def checkpoint(host: Server) -> Path:
    """The host's."""
    return host.program.models / host.program.checkpoints()[0]


@pytest.fixture(scope="module")
def is_large(checkpoint: Path) -> bool:
    return checkpoint.stat().st_size > LARGE


@pytest.fixture(scope="module", autouse=True)
def loras(host: Server, checkpoint: Path, is_large: bool) -> None:
    """A random file of every kind for the host's checkpoint."""
    for seed, kind in enumerate((*KINDS, "unet_only"), start=1):
        if is_large and kind in WHOLE and kind != "lokr":
            continue
        file = host.loras / f"w_{kind}.safetensors"
        lora_kinds.write(kind, checkpoint, file, seed)
        if kind in OF_MATRICES:
            found = lora_file.load(file)
            save_file({name: tensor for name, tensor in found.tensors.items() if "_proj_" not in name}, file,
                      found.metadata)
    host.post("/sdapi/v1/refresh-loras")


def draw(host: Server, *tags: str) -> Image.Image:
    """Draws with tags, each a LoRA's name and what comes after it."""
    return host.draw(PROMPT + "".join(f"<lora:{tag}>" for tag in tags))


def alike(host: Server, name: str, made_one: Image.Image, expected: Image.Image) -> None:
    """Holds two pictures within rounding, and against the picture without a LoRA."""
    plain = draw(host)
    print(name, "furthest from the tags", furthest(made_one, expected), "from no LoRA", furthest(made_one, plain))
    assert differ(made_one, plain)
    assert furthest(made_one, expected) <= TOLERANCE
    assert same(draw(host), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_any_kind_becomes_one_that_does_the_same(host: Server, is_large: bool, kind: str) -> None:
    if is_large and kind in WHOLE:
        pytest.skip("its full differences would be as large as the checkpoint")
    if kind in READ_OTHERWISE.get(host.program.kind, ()):
        pytest.skip(f"{host.program.kind} itself reads {kind} otherwise")
    expected = draw(host, f"w_{kind}:0.6")
    if same(expected, draw(host)):
        pytest.skip(f"{host.program.kind} itself does nothing with {kind}")
    base = {"base": host.program.checkpoints()[0]} if kind in OF_THE_BASE else {}
    told = made(host, "merge", sources=[source(f"w_{kind}", 0.6)], out=f"one {kind}", **base)
    alike(host, f"{kind} {told.get('summary')} {told['notes']}", draw(host, f"one {kind}:1"), expected)


def test_a_sum_with_block_weights_is_all_its_tags(host: Server, is_large: bool) -> None:
    third = "w_lora" if is_large else "w_lokr"
    made(host, "merge", out="sum", shuffle=True,
         sources=[source("w_locon", 0.5), source("w_loha", -0.4), source(third, 0.6, "NCNF")])
    alike(host, "sum", draw(host, "sum:1"), draw(host, "w_locon:0.5", "w_loha:-0.4", f"{third}:0.6:NCNF"))


def test_a_difference_and_what_was_taken_away_are_the_whole(host: Server) -> None:
    made(host, "merge", out="difference", sources=[source("w_locon", 0.6), source("w_lora", -0.6)])
    alike(host, "A - B", draw(host, "difference:1"), draw(host, "w_locon:0.6", "w_lora:-0.6"))
    alike(host, "A - B + B", draw(host, "difference:1", "w_lora:0.6"), draw(host, "w_locon:0.6"))


def test_the_full_rank_changes_nothing_and_a_smaller_one_acts(host: Server) -> None:
    made(host, "resize", file="w_locon", out="full rank", rank=lora_kinds.RANK, precision="fp32")
    alike(host, "rank 4 of 4", draw(host, "full rank:0.6"), draw(host, "w_locon:0.6"))
    told = made(host, "resize", file="w_locon", out="rank two", rank=2)
    small = draw(host, "rank two:0.6")
    print("rank 2 of 4:", told.get("summary"), "furthest from rank 4", furthest(small, draw(host, "w_locon:0.6")))
    assert differ(small, draw(host))


def test_a_baked_file_is_its_tag(host: Server) -> None:
    made(host, "bake", file="w_locon", weights="0.8:NCNF:lbwe=ATTNDEEPOFF", out="baked")
    alike(host, "baked", draw(host, "baked:1"), draw(host, "w_locon:0.8:NCNF:lbwe=ATTNDEEPOFF"))


@pytest.mark.parametrize("naming", NAMINGS)
def test_there_and_back_is_the_same_file(host: Server, checkpoint: Path, naming: str) -> None:
    made(host, "convert", file="w_locon", out=f"as {naming}", naming=naming)
    made(host, "convert", file=f"as {naming}", out=f"back from {naming}", naming="kohya",
         family=lora_kinds.family_of(checkpoint).name)
    there, back, first = (training.tensors(host.loras / f"{name}.safetensors") for name in (
        f"as {naming}", f"back from {naming}", "w_locon"))
    expected = draw(host, "w_locon:0.6")
    read = furthest(draw(host, f"as {naming}:0.6"), expected)
    print(naming, "names changed" if there.keys() != first.keys() else "as it was",
          "furthest when the host reads it", read, "and if it did nothing", furthest(draw(host), expected))
    assert back == first
    assert same(draw(host, f"back from {naming}:0.6"), expected)
    if naming == "kohya":
        assert read == 0


def test_pruned_blocks_are_blocks_at_0(host: Server) -> None:
    made(host, "prune", file="w_locon", out="pruned", blocks="BASE OUT03 OUT04 OUT05")
    alike(host, "pruned", draw(host, "pruned:0.6"), draw(host, "w_locon:0.6:lbw=BASE OUT03-OUT05@0"))


def test_a_private_file_draws_the_same(host: Server) -> None:
    made(host, "metadata", file="w_locon", out="private", privacy=True, put=["modelspec.author=nobody"])
    alike(host, "private", draw(host, "private:0.6"), draw(host, "w_locon:0.6"))
    assert training.tensors(host.loras / "private.safetensors") == training.tensors(host.loras / "w_locon.safetensors")


def test_a_checkpoint_with_loras_in_it_draws_as_its_tags(host: Server) -> None:
    own = host.program.checkpoints()[0]
    merged = made(host, "into_checkpoint", checkpoint=own, out="merged", precision="fp32",
                  sources=[source("w_locon", 0.5), source("w_lokr", 0.4, "NCNF")])
    print(merged.get("summary"), merged["notes"])
    plain, expected = draw(host), draw(host, "w_locon:0.5", "w_lokr:0.4:NCNF")
    with _chosen(host, "merged.safetensors", own):
        found = draw(host)
    print("into a checkpoint: furthest from the tags", furthest(found, expected), "from no LoRA",
          furthest(found, plain))
    assert differ(expected, plain) and furthest(found, expected) <= TOLERANCE
    assert same(draw(host), plain), "the host's own checkpoint is what it was"


def test_what_a_checkpoint_learned_is_extracted(host: Server, is_large: bool) -> None:
    """All of the norm kept; of a large one the U-Net alone, at the rank that was put in."""
    own = host.program.checkpoints()[0]
    loras = ("w_unet_only",) if is_large else ("w_locon", "w_lokr")
    made(host, "into_checkpoint", checkpoint=own, out="to extract", precision="fp32",
         sources=[source(lora, 0.5) for lora in loras])
    kept: dict[str, Any] = {"rank": lora_kinds.RANK} if is_large else {
        "dynamic": "frobenius", "threshold": 1.0, "conv_rank": MOST_RANK}
    told = made(host, "extract", base=own, tuned="to extract.safetensors", out="extracted", precision="fp32",
                min_diff=0, **kept)
    alike(host, f"extracted {told.get('summary')}", draw(host, "extracted:1"),
          draw(host, *(f"{lora}:0.5" for lora in loras)))


@contextmanager
def _chosen(host: Server, checkpoint: str, own: str) -> Iterator[None]:
    host.choose(checkpoint)
    try:
        yield
    finally:
        host.choose(own)


def test_values_that_cannot_be_are_refused_and_nothing_is_written(host: Server) -> None:
    before = set(host.loras.iterdir())
    for values in ({"sources": [source("nowhere")], "out": "x"}, {"sources": [source("w_lora")], "out": "w_lora"},
                   {"sources": [source("w_lora")], "out": "../x"}, {"sources": [source("w_lora")], "out": "x",
                                                                    "reduction": "svd"}):
        with pytest.raises(HostFailed) as refused:
            made(host, "merge", **values)
        print(refused.value)
    assert set(host.loras.iterdir()) == before


def test_a_merge_beside_a_training_changes_neither(host: Server, pictures: Any) -> None:
    alone = training.tensors(training.start(host, pictures, "beside nothing", epochs=3).finished())
    made(host, "merge", sources=[source("w_locon"), source("w_loha", 0.5)], out="quiet sum")
    run = training.start(host, pictures, "beside a merge", epochs=3)
    made(host, "merge", sources=[source("w_locon"), source("w_loha", 0.5)], out="busy sum")
    assert training.tensors(run.finished()) == alone
    assert training.tensors(host.loras / "busy sum.safetensors") == training.tensors(
        host.loras / "quiet sum.safetensors")
