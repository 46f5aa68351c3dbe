"""SD 2.x and SDXL in the embedded host: it computes what the original code computes, and draws."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_trainer.errors import UserError
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host import HostPaths
from lib_trainer.host_model import Conditioning
from lib_trainer.hosts import size_ids
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.loader import describe, load
from lib_trainer.hosts.standalone.prompt import encode_negative, encode_prompt
from lib_trainer.txt2img_host import GenerateRequest
from tests import tiny_families

CPU = torch.device("cpu")
CAPTIONS = ["a red cat, sitting", ""]
END = 49407


@pytest.fixture(scope="module", params=tiny_families.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def file(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_families.write(tmp_path_factory.mktemp("families"), kind, dtype=torch.float32)


@pytest.fixture(scope="module")
def loaded(file: Path) -> LoadedModel:
    return load(file, CPU, torch.float32)


def told(model: LoadedModel, captions: list[str]) -> Conditioning:
    cond = model.text.captions(captions, 1, 1)
    sizes = torch.tensor([[80.0, 96, 0, 8, 64, 64]] * len(captions))
    return Conditioning(cond.hidden, cond.pooled, sizes if model.checkpoint.family.has_size_ids else None)


def test_facts(kind: str, loaded: LoadedModel) -> None:
    checkpoint = loaded.checkpoint
    assert checkpoint.family is (SDXL if kind.startswith("sdxl") else SD2)
    assert (checkpoint.prediction, checkpoint.resolution) == ("v" if kind.endswith("_v") else "epsilon", 64)
    assert checkpoint.path and describe(checkpoint.path) == checkpoint
    assert (loaded.alphas_cumprod[-1] < 1e-6) == (kind == "sdxl_v")


@torch.no_grad()
def test_weights_multiply_the_states_of_all_encoders_and_not_the_pooled_vector(loaded: LoadedModel) -> None:
    plain = loaded.text.captions(["a cat, sitting"], 1, 2)
    weighed = loaded.text.captions(["a (cat:1.5), [sitting]"], 1, 2, weighted=True)
    weights = torch.ones(152)
    weights[2], weights[4] = 1.5, 1 / 1.1
    # a factor of 1 / 1.1 is rounded once here, in the grammar's own arithmetic elsewhere
    torch.testing.assert_close(weighed.hidden, plain.hidden * weights[None, :, None], rtol=1e-5, atol=1e-6)
    assert weighed.pooled is plain.pooled is None or torch.equal(weighed.pooled, plain.pooled)


@torch.no_grad()
def test_the_u_net_predicts_as_the_original(kind: str, loaded: LoadedModel) -> None:
    unet, _ = tiny_families.networks(kind)
    noisy, times = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([7, 900])
    cond = told(loaded, CAPTIONS)
    vector = None
    if cond.pooled is not None and cond.sizes is not None:
        vector = size_ids.vector(cond.pooled, cond.sizes)
    want = unet(noisy, times, cond.hidden, y=vector)
    # two implementations of attention, rounded differently
    torch.testing.assert_close(loaded.predict(noisy, times, cond), want, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_text_is_encoded_as_the_original(kind: str, loaded: LoadedModel) -> None:
    _, texts = tiny_families.networks(kind)
    big = texts[-1]
    cond = loaded.text.captions(CAPTIONS, 1, 1)
    ids = loaded.text.tokenizer.captions(CAPTIONS, 1, loaded.checkpoint.family.text_encoders[-1])[:, 0]
    states = big.after(ids, tiny_families.TEXT_LAYERS)
    if len(texts) == 1:
        want, pooled = big.ln_final(states), None
    else:
        rows = loaded.text.tokenizer.captions(CAPTIONS, 1)[:, 0]
        first = texts[0](rows, output_hidden_states=True).hidden_states[-2]
        want = torch.cat([first, states], dim=-1)
        ends = (ids == END).int().argmax(dim=-1)
        last = big.ln_final(big.after(ids, tiny_families.TEXT_LAYERS + 1))
        pooled = last[torch.arange(2), ends] @ big.text_projection  # open_clip multiplies from the left
    torch.testing.assert_close(cond.hidden, want, rtol=1e-4, atol=1e-5)
    assert (cond.pooled is None) == (pooled is None)
    if pooled is not None:
        torch.testing.assert_close(cond.pooled, pooled, rtol=1e-4, atol=1e-5)


def test_long_captions_are_pooled_from_their_first_chunk(tmp_path: Path) -> None:
    model = load(tiny_families.write(tmp_path, "sdxl", "long.safetensors"), CPU, torch.float32)
    words = "cat " * 100
    short, long = (model.text.captions([text], 1, 2) for text in ("cat " * 75, words))
    assert long.hidden.shape == (1, 152, 2 * tiny_families.TEXT_WIDTH)
    assert short.pooled is not None and long.pooled is not None
    torch.testing.assert_close(short.pooled, long.pooled)
    assert not torch.allclose(short.hidden, long.hidden)


def test_emphasis_and_empty_negatives(kind: str, loaded: LoadedModel) -> None:
    plain, strong = (encode_prompt(loaded.text, text, 1) for text in ("a cat", "a (cat:1.5)"))
    assert not torch.allclose(plain.hidden, strong.hidden)
    if plain.pooled is not None and strong.pooled is not None:
        assert torch.equal(plain.pooled, strong.pooled)
    empty = encode_negative(loaded.text, "", 1)
    assert bool((empty.hidden == 0).all()) == loaded.checkpoint.family.empty_negative_is_zero
    assert not bool((encode_negative(loaded.text, "x", 1).hidden == 0).all())


def test_clip_skip_where_there_is_a_choice(kind: str, loaded: LoadedModel) -> None:
    first, second = (loaded.text.captions(CAPTIONS, skip, 1).hidden for skip in (1, 2))
    assert torch.equal(first, second) == (not loaded.checkpoint.family.has_clip_skip)
    if loaded.checkpoint.family.has_clip_skip:
        with pytest.raises(UserError, match="Clip skip must be 1 to 3"):
            loaded.text.captions(CAPTIONS, 4, 1)


def test_ckpt_and_half_precision(kind: str, tmp_path: Path, loaded: LoadedModel) -> None:
    pickled = load(tiny_families.write(tmp_path, kind, f"{kind}.ckpt", dtype=torch.float32), CPU, torch.bfloat16)
    assert {weight.dtype for weight in pickled.unet.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in pickled.vae.parameters()} == {torch.float32}
    assert torch.equal(pickled.unet.conv_in.weight, loaded.unet.conv_in.weight.bfloat16())
    assert pickled.predict(torch.randn(2, 4, 8, 8), torch.tensor([3, 4]), told(pickled, CAPTIONS)).isfinite().all()


def test_a_lora_acts_by_blocks_in_a_picture(file: Path, tmp_path: Path) -> None:
    from lib_trainer.lora import file as lora_file
    from tests.contract import steps

    home = HostPaths(*(tmp_path / name for name in ("loras", "outputs", "settings", "cache")))
    host = StandaloneHost(file, home)

    def drawn(prompt: str, sampler: str = "") -> bytes:
        picture = host.generate(GenerateRequest(prompt, seed=3, steps=3, sampler=sampler))[0]
        assert not picture.comments, picture.comments
        return picture.image.tobytes()

    with host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
        lora_file.save(home.loras / "x.safetensors", made.state_dict(torch.float32), {})
    plain, whole, nothing = drawn("a cat"), drawn("a cat<lora:x:1>"), drawn("a cat<lora:x:1:NONE>")
    assert len({plain, whole, drawn("a cat<lora:x:1:OUTALL>"), drawn("a cat<lora:x:1:INS>")}) == 4
    assert nothing != whole
    assert drawn("a cat", "DDIM") != plain


@pytest.mark.parametrize(("spread", "prediction"), [(0.3, "v"), (0.02, "epsilon")])
def test_velocity_of_sd2_shows_in_a_bias(tmp_path: Path, spread: float, prediction: str) -> None:
    name = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
    state = tiny_families.tensors("sd2")
    state[name] = torch.randn(state[name].shape, generator=torch.Generator().manual_seed(0)) * spread
    path = tmp_path / "v.safetensors"
    save_file(state, path)
    assert describe(path).prediction == prediction
    assert describe(path).resolution == (768 if prediction == "v" else 512)


@pytest.mark.parametrize(("gone", "found"), [
    (("conditioner.embedders.1.",), "the SDXL refiner"), (("first_stage_model.",), "without its VAE"),
    (("model.diffusion_model.",), "without its U-Net"), (("model.diffusion_model.input_blocks.8.",), "8 input blocks"),
])
def test_other_sdxls_are_named(tmp_path: Path, gone: tuple[str, ...], found: str) -> None:
    path = tmp_path / "other.safetensors"
    save_file({name: value for name, value in tiny_families.tensors("sdxl").items() if not name.startswith(gone)}, path)
    for use in (describe, lambda path: load(path, CPU, torch.float32)):
        with pytest.raises(UserError, match=found) as raised:
            use(path)
        assert "2.x and SDXL" in str(raised.value)


@pytest.mark.parametrize(("channels", "found"), [(9, "inpainting"), (8, "takes 8 channels"), (5, "takes 5 channels")])
@pytest.mark.parametrize("kind", ["sd2", "sdxl"])
def test_inpainting_and_instruct_models_are_refused(tmp_path: Path, kind: str, channels: int, found: str) -> None:
    path, name = tmp_path / "other.safetensors", "model.diffusion_model.input_blocks.0.0.weight"
    save_file({**tiny_families.tensors(kind), name: torch.zeros(64, channels, 3, 3)}, path)
    with pytest.raises(UserError, match=found):
        describe(path)


def test_an_edm_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edm.safetensors"
    save_file({**tiny_families.tensors("sdxl"), "edm_mean": torch.zeros(4)}, path)
    with pytest.raises(UserError, match=r"EDM"):
        describe(path)


def test_a_scale_that_is_not_the_familys_is_refused(tmp_path: Path) -> None:
    path = tiny_families.write(tmp_path, "sdxl")
    config = json.loads(path.with_suffix(".yaml").read_text())
    config["model"]["params"]["scale_factor"] = 0.18215
    path.with_suffix(".yaml").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"scale_factor: 0\.18215; SDXL has 0\.13025"):
        load(path, CPU, torch.float32)
