"""The embedded host at work: pictures, LoRA tags, block weights, what the person is told."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_trainer.errors import Problems, UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Picture
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file as lora_file
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import Network, create
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest
from tests import tiny_checkpoint
from tests.hosts.standalone.conftest import paths_in

STEPS = 3


def draw(host: StandaloneHost, prompt: str = "a cat", seed: int = 1) -> Picture:
    return host.generate(GenerateRequest(prompt, seed=seed, steps=STEPS))[0]


def pixels(host: StandaloneHost, prompt: str = "a cat") -> bytes:
    return draw(host, prompt).image.tobytes()


def write_lora(host: StandaloneHost, name: str, seed: int = 1, folder: str = "", size: float = 0.3) -> Path:
    with host.borrow_model() as lease, lease.turn() as model:
        made: Network = create(model.targets(), NetworkSpec(rank=2, alpha=2.0), SD1, seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in made.layers.values():
        layer.up.data.copy_(torch.randn(layer.up.shape, generator=generator) * size)
    path = host.paths.loras / folder / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    lora_file.save(path, made.state_dict(torch.float32), {"sshs_model_hash": f"{seed:064x}"}, overwrite=True)
    return path


def test_same_request_same_picture_and_infotext(host: StandaloneHost) -> None:
    request = GenerateRequest("a (cat:1.2)", "bad", seed=5, steps=STEPS, sampler="ddim", cfg=5, clip_skip=2,
                              width=72, height=64)
    first, second = host.generate(request)[0], host.generate(request)[0]
    assert first.image.tobytes() == second.image.tobytes() and first.image.size == (72, 64)
    assert first.infotext.startswith(
        "a (cat:1.2)\nNegative prompt: bad\nSteps: 3, Sampler: DDIM, CFG scale: 5, Seed: 5, Size: 72x64, Model hash: ")
    assert "Model: tiny, Clip skip: 2, " in first.infotext and first.comments == []
    assert first.file is not None and first.file.parent == host.paths.outputs / "txt2img"
    with Image.open(first.file) as saved:
        assert saved.tobytes() == first.image.tobytes() and saved.info["parameters"] == first.infotext


def test_batches_count_their_seeds_on(host: StandaloneHost) -> None:
    told: list[DrawProgress] = []
    pictures = host.generate(
        GenerateRequest("a cat", seed=7, steps=STEPS, sampler="DDIM", batch_size=2, batch_count=2), told.append)
    assert [f"Seed: {seed}" in picture.infotext for seed, picture in enumerate(pictures, 7)] == [True] * 4
    assert [(p.step, p.steps) for p in told] == [(s, 6) for s in (0, 1, 2, 3, 3, 4, 5, 6)]
    alone = host.generate(GenerateRequest("a cat", seed=10, steps=STEPS, sampler="DDIM"))[0].image
    # a bigger batch may round differently inside a matrix product: one of 255 levels
    assert max(abs(a - b) for a, b in zip(alone.tobytes(), pictures[3].image.tobytes(), strict=True)) <= 1


def test_seed_of_minus_one_is_random_and_told(host: StandaloneHost) -> None:
    seeds = {host.generate(GenerateRequest("a", steps=1))[0].infotext.split("Seed: ")[1].split(",")[0] for _ in "ab"}
    assert len(seeds) == 2 and "-1" not in seeds


def test_interrupt_keeps_what_is_finished(host: StandaloneHost) -> None:
    steps: list[int] = []
    found = host.generate(GenerateRequest("a", seed=1, steps=2, batch_count=3), lambda p: steps.append(p.step),
                          lambda: len(steps) > 4)
    assert len(found) == 1
    assert pixels(host) == pixels(host)


def test_all_faults_of_a_request_are_told_together(host: StandaloneHost) -> None:
    with pytest.raises(Problems) as raised:
        host.generate(GenerateRequest("a", width=65, steps=0, sampler="Eulr a", clip_skip=9, batch_size=0, seed=-2))
    text = str(raised.value)
    assert len(raised.value.problems) == 6
    for part in ("Width must be a multiple of 8", "got 65", "Steps", "Euler a", "Clip skip must be 1 to 3", "Seed"):
        assert part in text


def test_long_prompts_and_negative_prompts_of_other_length(host: StandaloneHost) -> None:
    assert draw(host, "cat, " * 60).image.getextrema()
    assert pixels(host, "a BREAK cat") != pixels(host, "a cat")


def test_unknown_lora_is_told_and_the_picture_drawn(host: StandaloneHost) -> None:
    picture = draw(host, "a cat<lora:nobody:1>")
    assert picture.image.tobytes() == pixels(host)
    assert picture.comments == [f"There is no LoRA 'nobody' in '{host.paths.loras}': drawn without it."]


def test_strength_and_blocks_act(host: StandaloneHost) -> None:
    write_lora(host, "x")
    plain = pixels(host)
    prompts = ["<lora:x:1>", "<lora:x:0.5>", "<lora:x:1:NCNF>", "<lora:x:1:OUTD>", "<lora:x:te=0:unet=1>",
               "<lora:x:te=1:unet=0>", "<lora:x:1:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1>"]
    found = [pixels(host, "a cat" + tag) for tag in prompts]
    assert len({plain, *found}) == len(prompts) + 1
    for nothing in ("<lora:x:0>", "<lora:x:1:NONE>", "<lora:x:te=0>"):
        assert pixels(host, "a cat" + nothing) == plain
    for same in ("<lora:x:1:lbw=NCNF>", "<lyco:x:1:NCNF>", "<lora:x:1:1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0>"):
        assert pixels(host, "a cat" + same) == found[2]
    base_alone = "<lora:x:1:1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0>"
    assert pixels(host, "a cat" + base_alone) == found[5]
    assert pixels(host) == plain


def test_twice_the_same_lora_adds_up(host: StandaloneHost) -> None:
    write_lora(host, "x")
    assert pixels(host, "a cat<lora:x:0.25><lora:x:0.75>") == pixels(host, "a cat<lora:x:1>")


def test_two_loras_act_together(host: StandaloneHost) -> None:
    write_lora(host, "x")
    write_lora(host, "y", seed=2)
    assert len({pixels(host, f"a cat{tags}") for tags in ("", "<lora:x:1>", "<lora:y:1>", "<lora:x:1><lora:y:1>")}) == 4
    assert 'Lora hashes: "x: 000000000000, y: 000000000000"' in draw(host, "<lora:x:1><lora:y:1>").infotext


def test_bad_preset_draws_with_plain_strength_and_tells(host: StandaloneHost) -> None:
    write_lora(host, "x")
    for tag in ("<lora:x:1:NOSUCH>", "<lora:x:1:1,2,3>"):
        picture = draw(host, "a cat" + tag)
        assert picture.image.tobytes() == pixels(host, "a cat<lora:x:1>") and len(picture.comments) == 1


def test_presets_may_be_edited_while_the_host_runs(host: StandaloneHost) -> None:
    write_lora(host, "x")
    assert draw(host, "<lora:x:1:MINE>").comments
    file = host.paths.settings / "lbwpresets.txt"
    file.write_text(file.read_text(encoding="utf8") + "\nMINE:1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1\n", encoding="utf8")
    picture = draw(host, "a cat<lora:x:1:MINE>")
    assert picture.comments == []
    assert picture.image.tobytes() == pixels(host, "a cat<lora:x:1:1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1>")


def test_a_presets_file_of_ones_own(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    with pytest.raises(UserError, match=r"no presets file .*mine\.txt"):
        StandaloneHost(checkpoint, paths_in(tmp_path), presets_file=file)
    with pytest.raises(UserError, match=r"no file of elemental rules .*mine\.txt"):
        StandaloneHost(checkpoint, paths_in(tmp_path), elements_file=file)
    file.write_text("MINE:1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1\n", encoding="utf8")
    assert StandaloneHost(checkpoint, paths_in(tmp_path), presets_file=file).presets().names == ["MINE"]


def test_a_retrained_lora_of_the_same_name_is_fresh(host: StandaloneHost) -> None:
    path = write_lora(host, "x", seed=1)
    before = pixels(host, "a cat<lora:x:1>")
    time = path.stat().st_mtime_ns
    write_lora(host, "x", seed=2)
    os.utime(path, ns=(time + 1, time + 1))
    assert pixels(host, "a cat<lora:x:1>") != before


def test_names_of_loras(host: StandaloneHost) -> None:
    write_lora(host, "Zunko", folder="deep")
    write_lora(host, "zunko")
    write_lora(host, "other", seed=2)
    assert host.loras() == ["other", "zunko", "Zunko"] or host.loras() == ["other", "Zunko", "zunko"]
    for tag in ("Zunko", "zunko", "deep/Zunko", "OTHER"):
        assert draw(host, f"<lora:{tag}:1>").comments == [], tag


def test_files_that_are_no_lora_for_this_model_are_left_out_and_told(host: StandaloneHost) -> None:
    loras = host.paths.loras
    lora_file.save(loras / "loha.safetensors", {
        "lora_unet_mid_block_attentions_0_proj_in.hada_w1_a": torch.zeros(4, 4)}, {})
    lora_file.save(loras / "wide.safetensors", {
        "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 1280, 1, 1),
        "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(1280, 4, 1, 1)}, {})
    (loras / "broken.safetensors").write_bytes(b"nonsense")
    plain = pixels(host)
    for name in ("loha", "wide", "broken"):
        picture = draw(host, f"a cat<lora:{name}:1>")
        assert picture.image.tobytes() == plain
        assert len(picture.comments) == 1 and f"LoRA '{name}' was left out: " in picture.comments[0]


def test_other_tags_are_told(host: StandaloneHost) -> None:
    assert draw(host, "<hypernet:x:1>").comments == ["'<hypernet:x:1>' was left out: only LoRA tags are known here."]


def test_tags_in_the_negative_prompt_are_told(host: StandaloneHost) -> None:
    write_lora(host, "x")
    picture = host.generate(GenerateRequest("a cat", "<lora:x:1>", seed=1, steps=STEPS))[0]
    assert picture.image.tobytes() == pixels(host)
    assert picture.comments == ["'<lora:x:1>' in the negative prompt does nothing: write it in the prompt."]


def test_numbers_that_are_not_finite_are_told(host: StandaloneHost) -> None:
    write_lora(host, "x", size=1e38)
    picture = draw(host, "a cat<lora:x:1>")
    assert any("not finite" in comment for comment in picture.comments)


def test_another_checkpoint(host: StandaloneHost, tmp_path: Path) -> None:
    before, name = pixels(host), host.checkpoint().name
    other = tiny_checkpoint.write(tmp_path / "other", "second.ckpt", seed=9)
    with pytest.raises(UserError):
        host.load_model(tmp_path / "gone.safetensors")
    assert (host.checkpoint().name, pixels(host)) == (name, before)
    host.load_model(other)
    assert host.checkpoint().name == "second.ckpt" and pixels(host) != before
    assert {path.name for path in host.checkpoints()} == {name, "second.ckpt"}


def test_storage_in_bfloat16_draws_and_uses_loras(checkpoint: Path, tmp_path: Path) -> None:
    host = StandaloneHost(checkpoint, paths_in(tmp_path), precision="bf16")
    write_lora(host, "x")
    assert pixels(host) != pixels(host, "a cat<lora:x:1>")
    with pytest.raises(UserError, match="fp8"):
        StandaloneHost(checkpoint, paths_in(tmp_path), precision="fp8")


def test_loading_imports_no_pipeline_and_no_network_client_runs(checkpoint: Path, tmp_path: Path) -> None:
    """A host starts offline: with every proxy pointing nowhere and hub access forbidden, in a process of its own."""
    code = (
        "import sys; from pathlib import Path\n"
        "from lib_trainer.hosts.standalone.host import StandaloneHost\n"
        "from lib_trainer.host import HostPaths\n"
        "from lib_trainer.txt2img_host import GenerateRequest\n"
        f"d = Path({str(tmp_path)!r}); host = StandaloneHost(Path({str(checkpoint)!r}), HostPaths(d, d, d, d))\n"
        "host.generate(GenerateRequest('a', seed=1, steps=1))\n"
        "assert 'diffusers.pipelines.stable_diffusion' not in sys.modules\n"
        "accelerate = sys.modules.get('accelerate.state')\n"
        "assert accelerate is None or accelerate.AcceleratorState._shared_state == {}\n"
    )
    nowhere = "http://127.0.0.1:9"
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "https_proxy": nowhere, "http_proxy": nowhere}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
