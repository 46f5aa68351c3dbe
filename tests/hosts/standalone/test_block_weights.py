"""Every form of a block-weight tag draws the picture that its numbers stand for: the embedded host, pixel by pixel.

The demo checkpoint and a random LoRA on every layer of it: a block that gets another number than it should shows.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import LAYOUTS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.recorded import FIELD, RULES_FIELD, restored
from lib_trainer.bootstrap import DEMO_CHECKPOINT as DEMO
from lib_trainer.cli.main import main
from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Picture
from lib_trainer.hosts.standalone import samplers
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.loader import load
from lib_trainer.hosts.standalone.prompt import encode_prompt
from lib_trainer.lora import baked_file
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import loaded as loaded_networks
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import Network, create
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest
from tests.hosts.standalone.conftest import paths_in

STEPS = 4
CFG = 3.0

NCNF = "1,1,1,1,1,1,1,1,0,0,0,1,1,1,1,0,0"
TWELVE = "1,0,0.5,1,1,0.25,1,1,0.5,0,1,0.75"
SIXTEEN_ONES = ",".join("1" * 16)


def in_26(length: int, text: str) -> str:
    """Says a list of 12, 17 or 20 numbers as 26: blocks that it does not name are off."""
    named = dict(zip(LAYOUTS[length], text.split(","), strict=True))
    return ",".join(named.get(block, "0") for block in LAYOUTS[26])


def all_but(value: str, **others: str) -> str:
    """26 numbers: `value` for every block but the named ones."""
    return ",".join(others.get(block, value) for block in LAYOUTS[26])


def lora_tensors(model: LoadedModel, seed: int, size: float = 0.06) -> dict[str, torch.Tensor]:
    """A random LoRA of rank 2 on every matrix and convolution, those outside all blocks included."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for target in model.loadable:
        weight = target.module.weight
        if weight.dim() > 1:
            up, down = (weight.shape[0], 2, *[1] * (weight.dim() - 2)), (2, *weight.shape[1:])
            tensors[f"{target.name}.lora_up.weight"] = torch.randn(up, generator=generator) * size
            tensors[f"{target.name}.lora_down.weight"] = torch.randn(down, generator=generator) * size
    return tensors


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A second copy of the checkpoint, to compute pictures by hand with."""
    return load(DEMO, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def host(model: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> StandaloneHost:
    made = StandaloneHost(DEMO, paths_in(tmp_path_factory.mktemp("host")), precision="fp32")
    for name, seed in (("x", 1), ("y", 2)):
        lora_file.save(made.paths.loras / f"{name}.safetensors", lora_tensors(model, seed), {})
    return made


def draw(
    host: StandaloneHost, tags: str, seed: int = 1, steps: int = STEPS, sampler: str = "Euler", cfg: float = 1.0
) -> Picture:
    return host.generate(GenerateRequest(f"1girl{tags}", seed=seed, steps=steps, sampler=sampler, cfg=cfg))[0]


@pytest.fixture(scope="module")
def pixels(host: StandaloneHost) -> Callable[[str], bytes]:
    """Draws a prompt's picture once."""
    known: dict[str, bytes] = {}

    def drawn(tags: str) -> bytes:
        if tags not in known:
            known[tags] = draw(host, tags).image.tobytes()
        return known[tags]

    return drawn


SAME = [
    # strengths
    ("<lora:x>", "<lora:x:te=1:unet=1:lbw=1>"),
    ("<lora:x:0.5>", "<lora:x:te=0.5:unet=0.5>"),
    ("<lora:x:0.5:0.25>", "<lora:x:unet=0.25:te=0.5>"),
    ("<lora:x:unet=0.5>", "<lora:x:te=1:unet=0.5>"),
    ("<lora:x:-0.5>", f"<lora:x:0.5:lbw={all_but('-1')}:lbwe=@-1>"),
    # preset names, where they may stand and how they may be spelt
    ("<lora:x:0.8:NCNF>", f"<lora:x:0.8:0.8:lbw={in_26(17, NCNF)}>"),
    ("<lora:x:0.8:lbw=NCNF>", "<lora:x:0.8:NCNF>"),
    ("<lora:x:lbw=NCNF:0.8>", "<lora:x:0.8:NCNF>"),
    ("<lora:x:0.8:w=NCNF>", "<lora:x:0.8:NCNF>"),
    ("<lora:x:LBW=ncnf:TE=0.8>", "<lora:x:0.8:NCNF>"),
    ("<lyco:x:0.8:NCNF>", "<lora:x:0.8:NCNF>"),
    ("<lora:x:lbw=NCNF:0.8:0.4>", "<lora:x:te=0.8:unet=0.4:lbw=NCNF>"),
    ("<lora:x:NCNF>", "<lora:x:1:NCNF>"),
    # lists
    (f"<lora:x:0.8:{NCNF}>", "<lora:x:0.8:NCNF>"),
    (f"<lora:x:1:{TWELVE}>", f"<lora:x:1:{in_26(12, TWELVE)}>"),
    (f"<lora:x:1:lbw={','.join(['0.5'] * 20)}>", f"<lora:x:1:{in_26(20, ','.join(['0.5'] * 20))}>"),
    ("<lora:x:1:lbw=0.5>", f"<lora:x:1:{all_but('0.5')}>"),
    (f"<lora:x:1:0,{SIXTEEN_ONES}>", f"<lora:x:te=0:unet=1:lbw={in_26(17, '0,' + SIXTEEN_ONES)}>"),
    (f"<lora:x:1:{','.join(['0.25'] * 24 + ['1'])}>", f"<lora:x:1:{all_but('0.25', BASE='1', OUT11='1')}>"),
    # X
    (f"<lora:x:1:lbw=X,{SIXTEEN_ONES}:x=0.3>", f"<lora:x:1:0.3,{SIXTEEN_ONES}>"),
    (f"<lora:x:1:lbw=X+0.2,X-0.3,X,{SIXTEEN_ONES[4:]}:x=0.5>", f"<lora:x:1:0.7,0.2,0.5,{SIXTEEN_ONES[4:]}>"),
    (f"<lora:x:1:X,{SIXTEEN_ONES}>", f"<lora:x:1:1,{SIXTEEN_ONES}>"),
    # named blocks
    ("<lora:x:1:lbw=ALL,OUT03-OUT05@0,MID@0.5>", f"<lora:x:1:{in_26(17, '1,1,1,1,1,1,1,0.5,0,0,0,1,1,1,1,1,1')}>"),
    ("<lora:x:1:lbw=OUT03 OUT11@0>", f"<lora:x:1:{all_but('1', OUT03='0', OUT11='0')}>"),
    ("<lora:x:1:lbw=0,M00@1,IN03@-0.5>", f"<lora:x:1:{all_but('0', M00='1', IN03='-0.5')}>"),
    ("<lora:x:1:lbw=0.5,OUT00-OUT11@1,OUT05@0>",
     f"<lora:x:1:{all_but('0.5', **{f'OUT{i:02}': '0' if i == 5 else '1' for i in range(12)})}>"),
    ("<lora:x:1:lbw=NCNF,IN01 OUT11@0.5>", f"<lora:x:1:{in_26(17, '1,0.5' + NCNF[3:-1] + '0.5')}>"),
    # elemental rules
    ("<lora:x:1:lbwe=@0.5>", "<lora:x:0.5>"),
    ("<lora:x:1:NCNF:lbwe=@1>", "<lora:x:1>"),
    ("<lora:x:1:NCNF:lbwe=OUT03-OUT05@1,OUT10 OUT11@1>", f"<lora:x:1:{in_26(17, '1,' + SIXTEEN_ONES)}>"),
    ("<lora:x:1:lbwe=ATTNDEEPOFF>", "<lora:x:1:lbwe=IN05-OUT05/attn@0>"),
    ("<lora:x:1:lbwe=IN05-OUT05/attn@0>", "<lora:x:1:lbwe=IN05-OUT05/attn@1,IN05-OUT05/attn@0>"),
    ("<lora:x:1:lbwe=NOT BASE@0>", "<lora:x:1:lbwe=IN00-OUT11@0,/time_embed out_2 out.0@0>"),
    ("<lora:x:1:lbwe=/attn1.to_q@0>", "<lora:x:1:lbwe=/attn1_to_q@0>"),
    # steps
    ("<lora:x:1:start=1>", "<lora:x:1>"),
    (f"<lora:x:1:NCNF:start=1:stop={STEPS + 1}>", "<lora:x:1:NCNF>"),
    ("<lora:x:1:stop=1>", ""),
    (f"<lora:x:1:start={STEPS + 1}>", ""),
    ("<lora:x:1:step=2-4>", "<lora:x:1:start=2:stop=4>"),
    ("<lora:x:1:stop=3><lora:x:1:start=3>", "<lora:x:1>"),
    ("<lora:x:1:stop=3><lora:y:1:start=3><lora:x:0.5:start=2:stop=3><lora:x:-0.5:step=2-3>",
     "<lora:y:1:start=3><lora:x:1:stop=3>"),
    # several tags
    ("<lora:x:1:NCNF><lora:x:-1:NCNF>", ""),
    ("<lora:x:0.25:OUTD><lora:x:0.75:OUTD>", "<lora:x:1:OUTD>"),
    ("<lora:x:1:lbw=0,OUT03@1><lora:x:1:lbw=0,IN05@0.5>", "<lora:x:1:lbw=0,OUT03@1,IN05@0.5,BASE@0><lora:x:1:lbw=0>"),
    ("<lora:x:0.5><lora:X:0.5>", "<lora:x:1>"),
    ("<lora:x:1:OUTD><lora:y:1:IND>", "<lora:y:1:IND><lora:x:1:OUTD>"),
    # nothing
    ("<lora:x:1:lbw=NONE:lbwe=@0>", ""),
    ("<lora:x:0:NCNF>", ""),
]
"""A tag, and the same said with the numbers that it stands for (or in other words)."""


@pytest.mark.parametrize(("written", "said"), SAME, ids=[written for written, _ in SAME])
def test_a_form_draws_what_it_stands_for(pixels: Callable[[str], bytes], written: str, said: str) -> None:
    difference = max_difference(pixels(written), pixels(said))
    # two LoRAs, or one LoRA's numbers in another order of adding, may round apart: one of 255 levels
    assert difference <= (1 if written.count("<") > 1 else 0)


def max_difference(one: bytes, other: bytes) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


DIFFERENT = ["", "<lora:x:1>", "<lora:x:0.5>", "<lora:x:1:0.5>", "<lora:x:1:NCNF>", "<lora:x:1:OUTD>", "<lora:x:-1>",
             f"<lora:x:1:{TWELVE}>", "<lora:x:1:lbwe=ATTNDEEPOFF>", "<lora:x:1:lbwe=PROJDEEPOFF>",
             "<lora:x:1:start=2>", "<lora:x:1:stop=2>", "<lora:x:1:step=2-4>", "<lora:x:te=1:unet=0:step=2-4>",
             "<lora:x:te=0:unet=1:step=2-4>", "<lora:y:1>", "<lora:x:1><lora:y:1>",
             *(f"<lora:x:1:lbw=1,{block}@-9>" for block in LAYOUTS[26])]
"""Tags of which no two may draw the same picture: the 26 blocks, each weighed otherwise, among them."""


def test_other_weights_draw_another_picture(pixels: Callable[[str], bytes]) -> None:
    found = {tags: pixels(tags) for tags in DIFFERENT}
    twins = [(one, other) for one in found for other in found if one < other and found[one] == found[other]]
    assert not twins


WINDOWS = [("Euler", 6, 3, 6), ("Heun", 4, 2, 4), ("DPM2", 4, 3, 5), ("PLMS", 5, 2, 4), ("DPM++ 2M", 5, 1, 3)]


@pytest.mark.parametrize(("sampler", "steps", "start", "stop"), WINDOWS, ids=[window[0] for window in WINDOWS])
@torch.no_grad()
def test_a_window_is_what_a_loop_by_hand_draws(
    host: StandaloneHost, model: LoadedModel, sampler: str, steps: int, start: int, stop: int
) -> None:
    network, _ = loaded_networks.from_state(model.loadable, lora_tensors(model, 1))
    found, *others = (
        draw(host, tags, steps=steps, sampler=sampler, cfg=CFG).image.tobytes()
        for tags in (f"<lora:x:0.9:step={start}-{stop}>", "", "<lora:x:0.9>"))
    with network.attached(model.loadable) as attached:
        by_hand = loop(model, sampler, steps,
                       lambda step: attached.set_multipliers(
                           dict.fromkeys(attached.layers, 0.9 if start <= step < stop else 0.0)))
    assert max_difference(found, by_hand) <= 1
    assert min(max_difference(found, other) for other in others) > 1


def loop(model: LoadedModel, sampler: str, steps: int, switch: Callable[[int], None]) -> bytes:
    """Draws seed 1 with the scheduler alone; `switch` is told the step before every call of a network."""
    scheduler = samplers.make(sampler, model.alphas_cumprod, model.checkpoint.prediction)
    scheduler.set_timesteps(steps, device=torch.device("cpu"))
    size = model.checkpoint.resolution // 8
    latents = torch.randn((1, 4, size, size), generator=torch.Generator().manual_seed(1)) * scheduler.init_noise_sigma
    for step, times in enumerate(calls_by_step(sampler, list(scheduler.timesteps)), start=1):
        for time in times:
            switch(step)
            states = [encode_prompt(model.text, text, 1) for text in ("", "1girl")]
            scaled = scheduler.scale_model_input(latents, time)
            without, with_prompt = (model.predict(scaled, time.reshape(1), part) for part in states)
            latents = scheduler.step(without + CFG * (with_prompt - without), time, latents).prev_sample
    shown = model.vae.decode(latents / model.checkpoint.family.latent_scale, return_dict=False)[0][0]
    levels = (shown.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).numpy()).tobytes()


def calls_by_step(sampler: str, times: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Cuts the calls of the model into the sampler's steps."""
    sizes = {"Heun": 2, "DPM2": 2}.get(sampler, 1)
    first = 2 if sampler == "PLMS" else sizes
    yield times[:first]
    for place in range(first, len(times), sizes):
        yield times[place:place + sizes]


def test_the_text_encoder_runs_once_for_every_state(host: StandaloneHost) -> None:
    with host.borrow_model() as lease, lease.turn() as leased:
        layer = next(target.module for target in leased.targets() if target.name.startswith("lora_te_"))
    calls: list[int] = []
    handle = layer.register_forward_hook(lambda *_: calls.append(1))
    counts = {}
    try:
        for tags in ("", "<lora:x:1>", "<lora:x:1:step=2-4>", "<lora:x:te=0:unet=1:step=2-4>",
                     "<lora:x:1:lbw=1,BASE@0:step=2-4>", "<lora:x:1:step=2-4><lora:y:1:start=4>",
                     "<lora:x:1:step=2-4><lora:y:1:start=3>"):
            draw(host, tags, steps=6)
            counts[tags], _ = len(calls) // 2, calls.clear()  # the prompt and the negative prompt
    finally:
        handle.remove()
    assert list(counts.values()) == [1, 1, 2, 1, 1, 3, 4], counts


def test_without_a_tag_nothing_is_attached(host: StandaloneHost) -> None:
    with host.borrow_model() as lease, lease.turn() as leased:
        modules = [target.module for target in leased.targets()]
    hooks: list[int] = []

    def look(progress: DrawProgress) -> None:
        hooks.append(sum(len(module._forward_hooks) for module in modules))

    host.generate(GenerateRequest("1girl", seed=1, steps=2), look)
    assert set(hooks) == {0}
    host.generate(GenerateRequest("1girl<lora:x:1:start=2>", seed=1, steps=2), look)
    assert max(hooks) == len(modules)
    assert sum(len(module._forward_hooks) for module in modules) == 0


@pytest.mark.parametrize("fault", [
    "1:NOSUCH", "1:lbw=1,2,3", "1:lbw=a,1", "1:XYZ", "1:lbw=ZYX", "1:FLUXALL", "1:lbwe=NOSUCH", "1:lbwe=IN99@0",
    "1:start=abc", "1:step=5", "1:dyn=4", "1:1:8", "0.5@0,1@0.5", "1:nosuch=1", "1:lbw=", "te=x", "nan", "1::1",
])
def test_a_fault_is_told_and_the_picture_drawn(
    host: StandaloneHost, pixels: Callable[[str], bytes], fault: str
) -> None:
    picture = draw(host, f"<lora:x:{fault}>")
    assert picture.image.tobytes() == pixels("<lora:x:1>")
    assert len(picture.comments) == 1
    assert picture.comments[0].endswith(".")


def test_files_of_presets_and_rules_may_be_edited_while_the_host_runs(
    host: StandaloneHost, pixels: Callable[[str], bytes]
) -> None:
    assert draw(host, "<lora:x:1:MINE:lbwe=OWN>").comments
    settings = host.paths.settings
    for file, entry in (("lbwpresets.txt", f"MINE:{TWELVE}\nMINE:{NCNF}\n"),
                        ("elempresets.txt", "\n\nOWN:IN01:attn1.to_q:0.5,OUT11::0\nMID:ff:0.25\n")):
        path = settings / file
        path.write_text(path.read_text(encoding="utf8") + entry, encoding="utf8")
    picture = draw(host, "<lora:x:1:MINE:lbwe=OWN>")
    assert picture.comments == []
    said = f"<lora:x:1:{NCNF}:lbwe=IN01/attn1_to_q@0.5,OUT11@0,MID/ff@0.25>"
    assert picture.image.tobytes() == pixels(said)


BAKED = ["", "0.5", "0.8:lbw=NCNF", "te=0.3:unet=-0.7", f"1:{TWELVE}", "1:OUTALL:lbwe=ATTNDEEPOFF,/ff@0.5",
         "1:lbw=R,OUT03@0"]


@pytest.mark.parametrize("weights", BAKED)
def test_a_baked_file_at_strength_1_draws_what_the_tag_draws(
    host: StandaloneHost, pixels: Callable[[str], bytes], weights: str, tmp_path: Path
) -> None:
    folder = host.paths.loras
    order = baked_file.Order(
        folder / "x.safetensors", weights, Presets.shipped(), Elements.shipped(), arch="sd15", seed=1)
    baked_file.write(order, folder / f"{tmp_path.name}.safetensors")
    tag = f"<lora:x{f':{weights}' if weights else ''}>"
    assert max_difference(draw(host, f"<lora:{tmp_path.name}:1>").image.tobytes(), pixels(tag)) <= 1


def test_generate_on_the_command_line(
    host: StandaloneHost, pixels: Callable[[str], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    presets, rules, out = (tmp_path / name for name in ("own.txt", "rules.txt", "drawn.png"))
    presets.write_text(f"OWN:{NCNF}\n", encoding="utf8")
    rules.write_text("SOFT:IN05-OUT05:attn:0.25\n", encoding="utf8")
    command = ["generate", "--loras-dir", str(host.paths.loras), "--outputs-dir", str(tmp_path), "--seed", "1",
               "--steps", str(STEPS), "--cfg", "1", "--sampler", "Euler", "--presets", str(presets),
               "--elemental", str(rules), "--out", str(out)]
    assert main([*command, "--prompt", "1girl<lora:x:0.8:OWN:lbwe=SOFT:step=2-4><lora:y:1:NCNF>"]) == 0
    with Image.open(out) as picture:
        expected = f"<lora:x:0.8:lbw={NCNF}:lbwe=IN05-OUT05/attn@0.25:start=2:stop=4><lora:y:1>"
        assert max_difference(picture.tobytes(), pixels(expected)) <= 1
    assert "Unknown block-weight preset 'NCNF'" in capsys.readouterr().err


def test_a_lora_in_training_takes_block_weights_and_steps(
    host: StandaloneHost, pixels: Callable[[str], bytes]
) -> None:
    network = in_training(host)
    lora_file.save(host.paths.loras / "trained.safetensors", network.state_dict(torch.float32), {})
    with host.live(network):
        for rest in ("1", "0.8:NCNF:step=2-4", "1:lbwe=/attn@0:stop=3"):
            found = draw(host, f"<lora:__training__:{rest}>").image.tobytes()
            assert max_difference(found, pixels(f"<lora:trained:{rest}>")) <= 1
            assert not network.is_attached
    assert draw(host, "<lora:__training__:1:NCNF>").comments


def in_training(host: StandaloneHost) -> Network:
    with host.borrow_model() as lease, lease.turn() as leased:
        made = create(leased.targets(), NetworkSpec(rank=2, alpha=2.0), SD1, seed=4)
    generator = torch.Generator().manual_seed(4)
    for layer in made.layers.values():
        layer.up.data.copy_(torch.randn(layer.up.shape, generator=generator) * 0.3)
    return made


class Stop(Exception):
    """A page that is gone."""


@pytest.mark.parametrize("tag", ["<lora:x:1:stop=3>", "<lora:x:1:start=2>", "<lora:x:1:NCNF:step=1-9:lbwe=/attn@-1>"])
def test_nothing_leaks_into_the_next_picture(host: StandaloneHost, pixels: Callable[[str], bytes], tag: str) -> None:
    def fail(progress: DrawProgress) -> None:
        if progress.step == 2:
            raise Stop

    request = GenerateRequest(f"1girl{tag}", seed=1, steps=STEPS)
    with pytest.raises(Stop):
        host.generate(request, fail)
    assert draw(host, "").image.tobytes() == pixels("")
    steps: list[int] = []
    assert host.generate(request, lambda p: steps.append(p.step), lambda: len(steps) > 2) == []
    assert draw(host, "<lora:x:1>").image.tobytes() == pixels("<lora:x:1>")
    assert draw(host, "").image.tobytes() == pixels("")


def test_a_window_without_steps_is_told(host: StandaloneHost) -> None:
    assert draw(host, "<lora:x:1:start=9>").comments == [
        "LoRA 'x' acts in no step: it starts at step 9, and there are 4."]
    assert len(draw(host, "<lora:x:1:step=3-3>").comments) == 1
    assert draw(host, "<lora:x:1:step=2-3>").comments == []


RANDOM = f"<lora:x:1:lbw={','.join('RU' * 8)},R>"


def field(picture: Picture, name: str) -> str:
    return picture.infotext.split(f'{name}: "')[1].split('"')[0]


def test_a_seed_draws_its_random_weights_again(host: StandaloneHost) -> None:
    first, again, other = draw(host, RANDOM, seed=5), draw(host, RANDOM, seed=5), draw(host, RANDOM, seed=6)
    assert first.image.tobytes() == again.image.tobytes() and first.infotext == again.infotext
    assert field(first, FIELD) != field(other, FIELD)
    numbers = [float(number) for number in field(first, FIELD).removeprefix("x: ").split(",")]
    assert len(set(numbers)) > 10 and all(0 <= number <= 1 for number in numbers[::2])
    pasted = restored(f"1girl{RANDOM}", {FIELD: field(first, FIELD)}, host.presets(), host.elements())
    assert "R" not in pasted
    assert draw(host, pasted.removeprefix("1girl"), seed=5).image.tobytes() == first.image.tobytes()


def test_the_seed_of_a_batchs_first_picture_decides(host: StandaloneHost) -> None:
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    pictures = host.generate(GenerateRequest(f"1girl{RANDOM}", seed=5, steps=2, batch_size=2, batch_count=2))
    drawn = [field(picture, FIELD) for picture in pictures]
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]
    assert drawn[2] == field(draw(host, RANDOM, seed=7), FIELD)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_infotext_names_numbers_rules_and_faults(host: StandaloneHost) -> None:
    found = draw(host, "<lora:x:1:NCNF:lbwe=PROJDEEPOFF><lora:y:1:NOSUCH>").infotext
    assert f'{FIELD}: "x: NCNF={NCNF}"' in found
    assert f'{RULES_FIELD}: "x: PROJDEEPOFF=' in found
    assert 'LoRA block weights ignored: "Unknown block-weight preset \'NOSUCH\'' in found
    assert "LoRA block" not in draw(host, "<lora:x:1>").infotext
