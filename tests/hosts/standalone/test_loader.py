"""Loading single-file checkpoints: the networks are the file's, whatever their widths; anything else is a sentence."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lib_trainer.errors import UserError
from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Conditioning
from lib_trainer.hosts.standalone import architecture, layers, text_parts
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.loader import load
from tests import tiny_checkpoint
from tools.demo import ldm_keys

CPU = torch.device("cpu")


def load_tiny(path: Path, dtype: torch.dtype = torch.float32) -> LoadedModel:
    return load(path, CPU, dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    return tiny_checkpoint.write(folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def loaded(path: Path) -> LoadedModel:
    return load_tiny(path)


def test_networks_are_those_that_were_written(loaded: LoadedModel) -> None:
    for original, network in zip(tiny_checkpoint.networks(), loaded.networks(), strict=True):
        want = original.state_dict()
        assert network.state_dict().keys() == want.keys()
        assert all(torch.equal(value, want[name]) for name, value in network.state_dict().items())


def test_predictions_equal_those_of_the_original_network(loaded: LoadedModel) -> None:
    unet, vae, text = tiny_checkpoint.networks()
    latents, states = torch.randn(2, 4, 8, 8), torch.randn(2, 77, tiny_checkpoint.TEXT_WIDTH)
    times, ids = torch.tensor([7, 900]), torch.tensor([[49406, 320, 1125, *[49407] * 74]])
    with torch.no_grad():
        assert torch.equal(loaded.predict(latents, times, Conditioning(states)), unet(latents, times, states).sample)
        assert torch.equal(loaded.vae.decode(latents).sample, vae.decode(latents).sample)
        assert torch.equal(loaded.text.networks[0](ids).last_hidden_state, text(ids).last_hidden_state)


def test_everything_is_frozen_and_in_eval_mode(loaded: LoadedModel) -> None:
    for network in loaded.networks():
        assert not any(weight.requires_grad for weight in network.parameters())
        assert not any(module.training for module in network.modules())
        assert all(tensor.device == CPU for tensor in (*network.parameters(), *network.buffers()))


def test_weights_do_not_live_in_the_file(folder: Path) -> None:
    path = tiny_checkpoint.write(folder, "overwritten.safetensors", dtype=torch.float32)
    weight = load_tiny(path).unet.conv_in.weight
    before = weight.clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(weight, before)


def test_half_precision_files_are_cast_up(folder: Path) -> None:
    model = load_tiny(tiny_checkpoint.write(folder, "half.safetensors"))
    assert {weight.dtype for network in model.networks() for weight in network.parameters()} == {torch.float32}


def test_storage_in_bfloat16_keeps_the_vae_in_float32(path: Path) -> None:
    model = load_tiny(path, torch.bfloat16)
    assert (model.unet.dtype, model.text.networks[0].dtype, model.vae.dtype) == (
        torch.bfloat16, torch.bfloat16, torch.float32)
    told = Conditioning(torch.randn(1, 77, 32))
    assert model.predict(torch.randn(1, 4, 8, 8), torch.tensor([3]), told).isfinite().all()


def test_ckpt_loads_weights_only(folder: Path, loaded: LoadedModel) -> None:
    model = load_tiny(tiny_checkpoint.write(folder, "pickled.ckpt", dtype=torch.float32))
    assert torch.equal(model.unet.conv_in.weight, loaded.unet.conv_in.weight)


def test_ckpt_with_code_is_refused(folder: Path) -> None:
    path = folder / "code.ckpt"
    torch.save({"state_dict": tiny_checkpoint.tensors(), "callback": Path("x")}, path)
    with pytest.raises(UserError, match=r"could run code.*\.safetensors"):
        load_tiny(path)


def test_facts_come_from_the_yaml(loaded: LoadedModel) -> None:
    assert (loaded.checkpoint.resolution, loaded.checkpoint.prediction) == (64, "epsilon")
    assert loaded.text.networks[0].config.num_attention_heads == tiny_checkpoint.TEXT_HEADS
    assert loaded.unet.config["attention_head_dim"] == tiny_checkpoint.UNET_HEADS


def test_without_yaml_the_rules_of_sd15_apply(folder: Path) -> None:
    path = tiny_checkpoint.write(folder, "plain.safetensors")
    path.with_suffix(".yaml").unlink()
    model = load_tiny(path)
    assert (model.checkpoint.resolution, model.unet.config["attention_head_dim"]) == (512, 8)
    assert model.text.networks[0].config.num_attention_heads == 1


def test_missing_text_folder_is_said(folder: Path) -> None:
    path = tiny_checkpoint.write(folder / "alone")
    (path.parent / "text" / "config.json").unlink()
    with pytest.raises(UserError, match=r"'text'.*config\.json"):
        load_tiny(path)


def test_v_prediction_by_key_and_by_yaml(folder: Path) -> None:
    by_key = tiny_checkpoint.write(folder, "key.safetensors")
    save_file({**tiny_checkpoint.tensors(), "v_pred": torch.empty(0)}, by_key)
    by_yaml = tiny_checkpoint.write(folder, "yaml.safetensors")
    config = json.loads(by_yaml.with_suffix(".yaml").read_text())
    config["model"]["params"]["parameterization"] = "v"
    by_yaml.with_suffix(".yaml").write_text(json.dumps(config))
    assert [load_tiny(file).checkpoint.prediction for file in (by_key, by_yaml)] == ["v", "v"]


def test_noise_schedule(loaded: LoadedModel, folder: Path) -> None:
    table = loaded.alphas_cumprod
    assert table.shape == (1000,) and table.dtype == torch.float32
    # first and last value of SD's schedule, computed once in double precision
    assert table[0].item() == pytest.approx(1 - 0.00085) and table[-1].item() == pytest.approx(0.004660, abs=1e-6)
    own = torch.linspace(0.99, 0.01, 1000)
    path = tiny_checkpoint.write(folder, "schedule.safetensors")
    save_file({**tiny_checkpoint.tensors(), "alphas_cumprod": own}, path)
    assert torch.equal(load_tiny(path).alphas_cumprod, own)
    save_file({**tiny_checkpoint.tensors(), "alphas_cumprod": own.half()}, path)
    assert torch.equal(load_tiny(path).alphas_cumprod, table)
    save_file({**tiny_checkpoint.tensors(), "ztsnr": torch.empty(0)}, path)
    assert 0 < load_tiny(path).alphas_cumprod[-1].item() < 1e-7


def test_known_extras_are_ignored(folder: Path, loaded: LoadedModel) -> None:
    path = tiny_checkpoint.write(folder, "extras.safetensors")
    names = ("model_ema.decay", "sqrt_alphas_cumprod", "logvar", "posterior_variance")
    extras = {name: torch.zeros(3) for name in names}
    extras["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77.0)[None]
    save_file({**tiny_checkpoint.tensors(), **extras}, path)
    load_tiny(path)


def test_text_encoder_of_old_files(folder: Path) -> None:
    path = tiny_checkpoint.write(folder, "old.safetensors")
    old = {name.replace(".transformer.text_model.", ".transformer."): value
           for name, value in tiny_checkpoint.tensors().items()}
    save_file(old, path)
    load_tiny(path)


def unet_of(channels: int) -> dict[str, torch.Tensor]:
    return {**tiny_checkpoint.tensors(),
            "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(64, channels, 3, 3)}


@pytest.mark.parametrize(("state", "found"), [
    ({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 8)}, "a LoRA"),
    ({"emb_params": torch.zeros(2, 768)}, "textual inversion"),
    ({"conditioner.embedders.1.model.ln_final.weight": torch.zeros(4)}, "SDXL checkpoint without its U-Net"),
    ({"cond_stage_model.model.ln_final.weight": torch.zeros(4)}, r"SD 2\.x checkpoint without its U-Net"),
    ({"double_blocks.0.img_attn.qkv.weight": torch.zeros(4)}, "Flux"),
    ({"encoder.down.0.block.0.conv1.weight": torch.zeros(4)}, "a VAE alone"),
    ({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}, "without its VAE and text encoder"),
    ({"something": torch.zeros(4)}, "something"),
    (unet_of(9), r"inpainting checkpoint \(9 input channels\)"),
    (unet_of(8), "takes 8 channels"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_other_files_are_named(tmp_path: Path, state: dict[str, torch.Tensor], found: str) -> None:
    path = tmp_path / "other.safetensors"
    save_file(state, path)
    with pytest.raises(UserError, match=found) as raised:
        load_tiny(path)
    assert "Stable Diffusion 1.x" in str(raised.value) and str(path) in str(raised.value)


def test_missing_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    path = tiny_checkpoint.write(tmp_path)
    state = tiny_checkpoint.tensors()
    removed = state.pop("model.diffusion_model.middle_block.1.proj_out.bias")
    save_file(state, path)
    with pytest.raises(UserError, match=r"U-Net.*mid_block\.attentions\.0\.proj_out\.bias is missing"):
        load_tiny(path)
    save_file({**state, "model.diffusion_model.middle_block.1.proj_out.bias": torch.zeros(len(removed) + 1)}, path)
    with pytest.raises(UserError, match="shapes"):
        load_tiny(path)
    state.pop("model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight")
    save_file(state, path)
    with pytest.raises(UserError, match="lacks a tensor"):
        load_tiny(path)


@pytest.mark.parametrize("name", ["gone.safetensors", "gone.ckpt"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="There is no checkpoint file"):
        load_tiny(tmp_path / name)


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "html"])
def test_damaged_files(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tiny_checkpoint.write(tmp_path, f"tiny{suffix}")
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:len(whole) // 2], "empty": b"", "noise": bytes(range(256)) * 40,
                      "html": b"<!DOCTYPE html><html>not found</html>"}[damage])
    with pytest.raises(UserError, match="damaged"):
        load_tiny(path)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"\.safetensors or \.ckpt"):
        load_tiny(path)


def true_size_shapes() -> dict[str, tuple[int, ...]]:
    """LDM names and shapes of a true-size SD 1.5, from diffusers' own defaults."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2,
                            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        text = CLIPTextModel(CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12))
    shapes = {f"model.diffusion_model.{ldm_keys.unet_key(k)}": tuple(v.shape) for k, v in unet.state_dict().items()}
    shapes |= {f"first_stage_model.{ldm_keys.vae_key(k)}": tuple(v.shape) for k, v in vae.state_dict().items()}
    return shapes | {f"cond_stage_model.transformer.{k}": tuple(v.shape) for k, v in text.state_dict().items()}


def test_true_size_sd15_on_the_meta_device() -> None:
    """The sizes of SD 1.5 are inferred exactly, and its adaptable layers are kohya's (names and counts)."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    shapes = true_size_shapes()
    sizes = architecture.unet_config(shapes, {}, SD1)
    assert sizes["block_out_channels"] == (320, 640, 1280, 1280) and sizes["attention_head_dim"] == 8
    assert architecture.vae_config(shapes)["block_out_channels"] == (128, 256, 512, 512)
    source = text_parts.of(SD1)[0]
    metas = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    own = text_parts.tensors(source, metas)
    text = text_parts.sizes(source, {name: tuple(value.shape) for name, value in own.items()}, {}, {})
    assert text["num_attention_heads"] == 12
    with torch.device("meta"):
        unet, encoder = UNet2DConditionModel(**sizes), CLIPTextModel(CLIPTextConfig(**text))
    assert sum(weight.numel() for weight in unet.parameters()) == 859_520_964
    golden = json.loads((Path(__file__).parents[2] / "data" / "sd15_layers.json").read_text())
    assert {target.name for target in layers.targets(unet, [("lora_te", encoder)], SD1)} == set(golden)
