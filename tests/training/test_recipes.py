"""The recipes of the product, from the config files as their users have them: read whole, then trained scaled down.

What is scaled, and why: steps, ranks of 128 and sides of 512 and more, because the suite has seconds; AdamW8bit (it
needs an NVIDIA card) to AdamW; fp16 and bf16 to the model's own precision, since a CPU has no fp16 gradients and the
tiny model would only be rounded. Everything else trains as it is written; the import itself is checked unscaled.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import check, recipe
from lib_trainer.training import events as ev
from lib_trainer.training.controls import Controls
from lib_trainer.training.interchange import reading
from lib_trainer.training.interchange.imported import Imported

RECIPES = Path(__file__).parents[1] / "data" / "recipes"
Fill = Callable[[str], Imported]

SMALL = {"resolution": "64", "bucket_min": 64, "bucket_max": 128, "precision": "auto"}


@pytest.fixture
def fill(tmp_path: Path, checkpoint: Path, host: StandaloneHost) -> Fill:
    """Writes the files of all recipes with real paths, and the pictures they name; returns what imports one."""
    data = tmp_path / "data"
    for folder, captions in (("zunko", ("zunko, a", "zunko, b")), ("hina/50_hina wife a woman", ("", "")),
                             ("reg/20_hina wife a woman", ("",)), ("aru/3_aru", ("aru, a", "aru, b, c"))):
        (data / folder).mkdir(parents=True)
        for number, caption in enumerate(captions):
            Image.new("RGB", (64 + 64 * number, 64), (200, 40 * number, 40)).save(data / folder / f"{number}.png")
            if caption:
                (data / folder / f"{number}.txt").write_text(caption, "utf8")
    marks = {"@MODEL@": checkpoint, "@DATA@": data, "@OUT@": host.paths.loras}
    for source in RECIPES.iterdir():
        text = source.read_text("utf8")
        for mark, path in marks.items():
            text = text.replace(mark, path.as_posix())
        (data / source.name).write_text(text, "utf8")
    return lambda name: reading.read_file(data / name)


def trained(imported: Imported, host: StandaloneHost, **scaled: Any) -> list[ev.Event]:
    """Trains with some settings scaled down."""
    assert imported.problems == imported.unsupported == []
    config = check.read({**imported.values, **scaled}, host)
    return list(recipe.run(config, host, Controls()))


def stepped(events: list[ev.Event]) -> list[ev.Stepped]:
    return [event for event in events if isinstance(event, ev.Stepped)]


def test_a_first_character(fill: Fill, host: StandaloneHost, tmp_path: Path) -> None:
    imported = fill("a_character.toml")
    assert {name: imported.values[name] for name in (
        "epochs", "learning_rate", "optimizer", "precision", "cache_latents", "gradient_checkpointing", "rank", "alpha",
        "prior_loss_weight", "save_every_epochs", "name", "algorithm",
    )} == {"epochs": 10, "learning_rate": "1e-4", "optimizer": "AdamW8bit", "precision": "fp16", "cache_latents": True,
           "gradient_checkpointing": True, "rank": 4, "alpha": 1.0, "prior_loss_weight": 1.0, "save_every_epochs": 1,
           "name": "zunko", "algorithm": "lora"}
    assert any("network_dim is not given" in sentence for sentence in imported.assumed)
    dataset = tmp_path / "data" / "a_dataset.toml"
    dataset.write_text(dataset.read_text("utf8").replace("resolution = 512", "resolution = 64")
                       .replace("num_repeats = 10", "num_repeats = 1"), "utf8")
    events = trained(imported, host, **{**SMALL, "resolution": ""}, optimizer="AdamW", epochs=3)
    assert stepped(events)[0].text.startswith("steps:") and len(stepped(events)) == 6  # two pictures, three epochs
    assert sorted(path.name for path in host.paths.loras.glob("*.safetensors")) == [
        "zunko-000001.safetensors", "zunko-000002.safetensors", "zunko.safetensors"]
    assert isinstance(events[-1], ev.Finished) and events[-1].tag == "<lora:zunko:1>"


def test_b_real_person(fill: Fill, host: StandaloneHost) -> None:
    imported = fill("b_person.json")
    assert {name: imported.values[name] for name in (
        "rank", "alpha", "learning_rate", "unet_lr", "text_encoder_lr", "scheduler", "clip_skip", "max_tokens",
        "precision", "flip", "resolution", "bucket_min", "bucket_max", "epochs", "seed", "state_every_epochs",
        "state_at_end", "preview_every_epochs", "preview_sampler",
    )} == {"rank": 128, "alpha": 128.0, "learning_rate": "5e-5", "unet_lr": "1e-4", "text_encoder_lr": "5e-5",
           "scheduler": "constant", "clip_skip": 2, "max_tokens": "150", "precision": "bf16", "flip": True,
           "resolution": "768", "bucket_min": 512, "bucket_max": 1024, "epochs": 10, "seed": 1234,
           "state_every_epochs": 1, "state_at_end": True, "preview_every_epochs": 1, "preview_sampler": "Euler a"}
    events = trained(imported, host, **SMALL, optimizer="AdamW", rank=8, alpha=8.0, epochs=1, steps=4,
                     preview_every_epochs=0, preview_every_steps=4)
    started = next(event for event in events if isinstance(event, ev.Started))
    assert (started.images, started.reg_images) == (2, 1)
    # 2 pictures x 50 repeats, as many uses of the regularisation picture: the epoch is 1:1.
    assert started.batches_per_epoch == 200
    assert any(isinstance(event, ev.Previewed) for event in events)
    facts = file.read_header(host.paths.loras / "hina.safetensors")[1]
    assert (facts["ss_num_train_images"], facts["ss_num_reg_images"]) == ("100", "100")
    assert (facts["ss_clip_skip"], facts["ss_max_token_length"], facts["ss_flip_aug"]) == ("2", "150", "True")


@pytest.mark.parametrize(("name", "expected"), [
    ("c_c3lier.sh", {"rank": 64, "alpha": 16.0, "conv_rank": 32, "conv_alpha": 1.0, "resolution": "576",
                     "scheduler": "cosine_with_restarts", "cycles": 4, "warmup": "100", "color_aug": True,
                     "keep_tokens": 1, "shuffle_caption": True, "steps": 4000, "bucket_min": 320, "bucket_max": 1536,
                     "cache_latents": False, "save_precision": "fp16"}),
    ("c_dadapt.ps1", {"optimizer": "DAdaptLion", "optimizer_args": "betas=0.9,0.999 weight_decay=0 d0=1e-06",
                      "learning_rate": "1", "rank": 16, "alpha": 4.0, "loss_type": "huber", "huber_schedule": "snr",
                      "steps": 3000}),
    ("c_blocks.bat", {"optimizer": "Lion", "train_text_encoder": False, "rank": 8, "alpha": 2.0, "steps": 5000,
                      "block_dims": "0,0,0,0,8,8,8,8,0,0,0,0,0,0,0,0,8,8,8,8,0,0,0,0,0"}),
    ("c_dora.toml", {"algorithm": "lora", "dora": True, "layers": "attn-mlp", "conv_rank": 0, "optimizer": "Prodigy",
                     "optimizer_args": "decouple=True weight_decay=0.01 d_coef=2", "steps": 2000}),
])
def test_c_experiments(fill: Fill, host: StandaloneHost, name: str, expected: dict[str, Any]) -> None:
    imported = fill(name)
    assert {field: imported.values[field] for field in expected} == expected
    events = trained(imported, host, **SMALL, steps=3, warmup="1" if expected.get("warmup") else "0")
    assert len(stepped(events)) == 3
    path = next(host.paths.loras.glob("*.safetensors"))
    tensors, facts = file.read_header(path)
    assert facts["ss_network_dim"] == str(expected.get("rank", 8))
    if name == "c_blocks.bat":
        trained_blocks = {tensor.partition("_attentions_")[0] for tensor in tensors}
        assert trained_blocks == {"lora_unet_down_blocks_1", "lora_unet_down_blocks_2", "lora_unet_up_blocks_1",
                                  "lora_unet_up_blocks_2"}
        assert facts["ss_network_args"].count("block_dims") == 1
    if name == "c_c3lier.sh":
        assert any("resnets" in tensor for tensor in tensors)
    if name == "c_dora.toml":
        assert any(tensor.endswith("dora_scale") for tensor in tensors)
