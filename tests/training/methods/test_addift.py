"""ADDifT: what it asks for, in both directions, whatever the model predicts, and as a whole training."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lib_trainer import seeds
from lib_trainer.data.buckets import Placement
from lib_trainer.data.caches.latent_cache import Latents
from lib_trainer.data.item import Item
from lib_trainer.data.loading import Loaded, Loader
from lib_trainer.data.picture_rules import Look
from lib_trainer.data.sample import Batch, Sample
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import Problems
from lib_trainer.host_model import HostModel
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import network
from lib_trainer.lora.network import Network, NetworkSpec
from lib_trainer.training import check, config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.controls import Controls
from lib_trainer.training.forward_pass import predict
from lib_trainer.training.loss import noise
from lib_trainer.training.methods import addift
from lib_trainer.training.micro_batch import Drawn, Inputs, Losses
from tests.training.runs import changing, of, pairs_of_squares, same_tensors, stop_after, tensors, train

PLACED = Look(Placement((64, 64), (64, 64), (0, 0), 0.0))
SHAPE = (4, 8, 8)
OFTEN = Subset("zko", repeats=20)
CONFIG = TrainConfig(method="addift", min_timestep=500, train_text_encoder=False, difference_strength=0.5)
# The kernels for one sample and for four add up in another order, through some hundred layers.
ROUNDING = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture
def model(host: StandaloneHost) -> Iterator[HostModel]:
    with host.borrow_model() as lease, lease.turn() as model:
        yield model


@pytest.fixture
def adapters(model: HostModel) -> Network:
    """Adapters of the U-Net that change something."""
    return changing(model, NetworkSpec(rank=2, alpha=2.0, text_encoder=False))


def use(number: int, repeat: int) -> Sample:
    second = Item(OFTEN, f"{number}_after.png", f"after {number}", 64, 64, True)
    item = Item(OFTEN, f"{number}.png", f"before {number}", 64, 64, True, second)
    key = f"{item.key}#{repeat}"
    return Sample(item, PLACED, item.caption, repeat, key, Sample(second, PLACED, second.caption, repeat, key))


def loaded(samples: list[Sample]) -> Loaded:
    def side(shown: list[Sample]) -> Loaded:
        means = noise.normal(SHAPE, [seeds.torch_generator(3, "latents", one.item.key) for one in shown])
        return Loaded(Batch(shown), [Latents(mean, torch.full(SHAPE, 0.1)) for mean in means], None, None, None)

    return replace(side(samples), partners=side([one.partner for one in samples if one.partner]))


def losses(model: HostModel, made: Network, drawn: Drawn, config: TrainConfig = CONFIG) -> Losses:
    inputs = Inputs(Loader(), False, None, addift.ADDIFT, made.silent, made.act_at)
    with made.attached(model.targets()):
        return addift.losses(config, inputs, model, drawn)


def test_both_directions_of_a_pair_draw_the_same_and_parts_of_the_window_take_turns() -> None:
    drawn = addift.draw(CONFIG, loaded([use(0, repeat) for repeat in range(20)]), 1)
    again = addift.draw(CONFIG, loaded([use(0, repeat) for repeat in range(20)]), 2)
    signs = drawn.strengths
    assert signs is not None and signs.tolist()[:2] in ([0.5, -0.5], [-0.5, 0.5]) and signs.sum() == 0
    first = next(at for at, sign in enumerate(signs.tolist()) if sign > 0)
    for at in range(first, first + 16, 2):
        assert drawn.timesteps[at] == drawn.timesteps[at + 1]
        assert torch.equal(drawn.noise.base[at], drawn.noise.base[at + 1])
        assert torch.equal(drawn.posterior[at], drawn.posterior[at + 1])
    parts = [(int(timestep) - 500) // 100 for timestep in drawn.timesteps[first:first + 10:2]]
    assert sorted(parts) == [0, 1, 2, 3, 4] and set(parts) <= set(range(5))
    assert not torch.equal(drawn.noise.base, again.noise.base)


def clean_of(drawn: Drawn, at: int, model: HostModel) -> dict[str, torch.Tensor]:
    """The latents of both pictures of a pair by their file."""
    sides = (drawn.loaded, drawn.loaded.partners)
    scale = model.checkpoint.family.latent_scale
    return {side.batch.samples[at].item.file: (side.latents[at].mean + 0.1 * drawn.posterior[at]) * scale
            for side in sides if side}  # type: ignore[union-attr]


def shown(
    model: HostModel, made: Network, drawn: Drawn, at: int, sample: Sample, strength: float, prediction: str
) -> torch.Tensor:
    """The picture that a prediction stands for, of one picture alone."""
    alpha = float(model.alphas_cumprod[drawn.timesteps[at]])
    noisy = alpha**0.5 * clean_of(drawn, at, model)[sample.item.file] + (1 - alpha) ** 0.5 * drawn.noise.base[at]
    inputs, when = Inputs(Loader(), False, None, addift.ADDIFT), drawn.timesteps[at:at + 1]
    with made.attached(model.targets(), dict.fromkeys(made.layers, strength)), torch.no_grad():
        said = predict(CONFIG, inputs, model, [sample], None, noisy[None], when)[0]
    if prediction == "epsilon":
        return (noisy - (1 - alpha) ** 0.5 * said) / alpha**0.5
    return alpha**0.5 * noisy - (1 - alpha) ** 0.5 * said


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_the_equation(model: HostModel, adapters: Network, prediction: str) -> None:
    """x0 with the adapters, of the picture that is seen, is x0 without them of the other one, plus their difference."""
    drawn = addift.draw(CONFIG, loaded([use(0, 0), use(0, 1), use(2, 3)]), 1)
    found = losses(model, adapters, drawn, replace(CONFIG, prediction=prediction)).plain
    for at, sample in enumerate(drawn.samples):
        partner, strength = sample.partner, float(drawn.strengths[at])  # type: ignore[index]
        assert partner is not None
        seen, other = (partner, sample) if strength > 0 else (sample, partner)
        clean = clean_of(drawn, at, model)
        wanted = shown(model, adapters, drawn, at, other, 0.0, prediction)
        wanted = wanted + clean[seen.item.file] - clean[other.item.file]
        error = (shown(model, adapters, drawn, at, seen, strength, prediction) - wanted).square().mean()
        # From the error of the picture back to that of what the model says.
        alpha = float(model.alphas_cumprod[drawn.timesteps[at]])
        scale = alpha / (1 - alpha) if prediction == "epsilon" else 1 / (1 - alpha)
        torch.testing.assert_close(found[at], error * scale, **ROUNDING)


def test_a_batch_of_both_directions_is_its_pairs(model: HostModel, adapters: Network) -> None:
    samples = [use(0, 0), use(0, 1), use(1, 0), use(1, 1)]
    together = losses(model, adapters, addift.draw(CONFIG, loaded(samples), 1)).weighted
    alone = [losses(model, adapters, addift.draw(CONFIG, loaded([one]), 1)).weighted for one in samples]
    torch.testing.assert_close(together, torch.cat(alone), **ROUNDING)


def test_the_base_is_told_by_its_own_encoder(model: HostModel) -> None:
    """A continued LoRA may act on the encoder: then cached states are those of the adapters, which the base has not."""
    made = network.create(model.targets(), NetworkSpec(rank=2, alpha=2.0), model.checkpoint.family, 1)
    for name, layer in made.layers.items():
        for key, weight in layer.named_parameters():
            if "up" in key:
                weight.data.normal_(0, 0.2, generator=seeds.torch_generator(1, name))
    plain = loaded([use(0, 0), use(0, 1)])
    with made.attached(model.targets()):
        sides = [replace(side, states=model.encode_captions([one.caption for one in side.batch.samples]))
                 for side in (plain, plain.partners) if side]
    cached = replace(sides[0], partners=sides[1])
    wanted = losses(model, made, addift.draw(CONFIG, plain, 1)).plain
    found = losses(model, made, addift.draw(CONFIG, cached, 1), replace(CONFIG, continue_from="mine")).plain
    torch.testing.assert_close(found, wanted, **ROUNDING)
    assert not torch.allclose(losses(model, made, addift.draw(CONFIG, cached, 1)).plain, wanted, **ROUNDING)


def test_equal_pictures_ask_for_no_change(model: HostModel, adapters: Network) -> None:
    """Then silence is the answer: adapters that do nothing have no loss and no gradient, others have some."""
    same = loaded([use(0, 0), use(0, 1)])
    alike = [replace(one, caption=two.caption) for one, two in
             zip(same.batch.samples, same.partners.batch.samples, strict=True)]  # type: ignore[union-attr]
    same = replace(same, batch=Batch(alike), latents=same.partners.latents)  # type: ignore[union-attr]
    drawn = addift.draw(CONFIG, same, 1)
    spec = NetworkSpec(rank=2, alpha=2.0, text_encoder=False)
    fresh = network.create(model.targets(), spec, model.checkpoint.family, 1)
    torch.testing.assert_close(losses(model, fresh, drawn).plain, torch.zeros(2), rtol=0, atol=1e-10)
    assert (losses(model, adapters, drawn).plain > 1e-4).all()


def test_the_gradient_is_the_same_when_the_pass_runs_again(model: HostModel, adapters: Network) -> None:
    """Checkpointing runs the forward pass during the backward one: every sample must still have its strength."""
    drawn = addift.draw(CONFIG, loaded([use(0, 0), use(0, 1), use(1, 0)]), 1)
    gradients = []
    inputs = Inputs(Loader(), False, None, addift.ADDIFT, adapters.silent, adapters.act_at)
    adapters.requires_grad_()
    for again in (False, True):
        with adapters.attached(model.targets()):
            if again:
                with model.checkpointing():
                    addift.losses(CONFIG, inputs, model, drawn).weighted.sum().backward()
            else:
                addift.losses(CONFIG, inputs, model, drawn).weighted.sum().backward()
        gradients.append([weight.grad.clone() for layer in adapters.layers.values()  # type: ignore[union-attr]
                          for weight in layer.parameters()])
        for layer in adapters.layers.values():
            layer.zero_grad()
    for once, twice in zip(*gradients, strict=True):
        torch.testing.assert_close(once, twice, **ROUNDING)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs that differ in a square; the second side of the first pair has a caption of its own."""
    folder = pairs_of_squares(tmp_path, "colour {}, flat")
    (folder / "0_after.txt").write_text("square, colour 0", encoding="utf8")
    return folder


def settings(pairs: Path, **changes: Any) -> TrainConfig:
    return config_reading.from_dict({
        "name": "zko", "method": "addift", "images": str(pairs), "repeats": 2, "epochs": 2, "batch_size": 2, "rank": 2,
        "alpha": 1.0, "learning_rate": "1e-3", "train_text_encoder": False, "save_precision": "float", **changes})


def test_a_stopped_run_goes_on_bit_for_bit(host: StandaloneHost, pairs: Path) -> None:
    varied = {"flip": True, "shuffle_caption": True, "noise_offset": 0.05, "scheduler": "cosine", "repeats": 1,
              "cache_latents": False}
    whole = train(settings(pairs, name="whole", **varied), host)
    controls = Controls()
    first = train(settings(pairs, **varied), host, stop_after(3, controls), controls)
    second = train(settings(pairs, resume="auto", **varied), host)
    assert same_tensors(tensors(host), tensors(host, "whole"))
    both = [stepped.loss for stepped in of(ev.Stepped, first) + of(ev.Stepped, second)]
    assert both == [stepped.loss for stepped in of(ev.Stepped, whole)] and len(both) == 4
    assert any("lora_up" in name and bool(tensor.any()) for name, tensor in tensors(host).items())
    assert not any(name.startswith("lora_te") for name in tensors(host))


def test_caches_in_memory_and_on_disk_are_the_same(host: StandaloneHost, pairs: Path) -> None:
    """The second picture has the crops and the mirroring of the first, also where there are several of them."""
    drawing = {"flip": True, "random_crop": True, "cache_variants": 2, "repeats": 1, "epochs": 1, "batch_size": 3}
    train(settings(pairs, name="memory", **drawing), host)
    train(settings(pairs, name="disk", cache_to_disk=True, cache_captions_to_disk=True, **drawing), host)
    assert same_tensors(tensors(host, "memory"), tensors(host, "disk"))


def test_two_pictures_are_a_pair(host: StandaloneHost, pairs: Path) -> None:
    changes = {"images": str(pairs / "1.png"), "after_images": str(pairs / "0_after.png"), "epochs": 1,
               "repeats": 1}
    found = check.check(settings(pairs, **changes), host)
    assert [(one.caption, one.partner and one.partner.caption) for one in found.items] == [
        ("colour 1, flat", "square, colour 0")]
    assert of(ev.Finished, train(settings(pairs, **changes), host))


def test_all_faults_at_once(host: StandaloneHost, pairs: Path) -> None:
    (pairs / "1_after.png").unlink()
    Image.new("RGB", (64, 96)).save(pairs / "2_after.png")
    Image.new("RGB", (64, 64)).save(pairs / "9_after.png")
    wrong = {**settings(pairs).to_dict(), "train_text_encoder": True, "validation_split": 0.5, "reg_images": str(pairs)}
    with pytest.raises(Problems) as caught:
        check.read(wrong, host)
    told = "\n".join(caught.value.problems)
    for part in ("1 picture (1.png) without the second", "1 picture (9_after.png) without the first",
                 "2.png has 64x64 pixels and 2_after.png 64x96", "switch 'Train text encoder' off",
                 "validation_split = 0.5", "reg_images = "):
        assert part in told, part


@pytest.mark.parametrize(("changes", "part"), [
    ({"after_suffix": ""}, "an ending of their own"),
    ({"images": "{}/0.png"}, "the picture after it is missing"),
    ({"images": "{}/0.png", "after_images": "{}"}, "give two pictures, or two folders"),
    ({"images": "{}/0.png", "after_images": "{}/0.png"}, "the same picture"),
    ({"after_suffix": "/x"}, "cannot be in a file's name"),
])
def test_faults_of_the_settings(host: StandaloneHost, pairs: Path, changes: dict[str, str], part: str) -> None:
    values = {**settings(pairs).to_dict(), **{name: text.format(pairs) for name, text in changes.items()}}
    with pytest.raises(Problems, match=part):
        check.read(values, host)


def test_pairs_are_no_regularisation_pictures(host: StandaloneHost, pairs: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.toml"
    file.write_text(f"""[[datasets]]
resolution = 64
[[datasets.subsets]]
image_dir = '{pairs}'
is_reg = true
""", encoding="utf8")
    with pytest.raises(Problems, match="is_reg = true: this method learns what is different in pairs"):
        check.check(settings(pairs, images="", datasets=str(file)), host)


def test_one_caption_for_both_is_not_missing(host: StandaloneHost, pairs: Path) -> None:
    assert not any("empty caption" in told for told in check.check(settings(pairs), host).warnings)
    for file in pairs.glob("2*.txt"):
        file.unlink()
    assert any("2 pictures (2.png, 2_after.png) will be trained with an empty caption" in told
               for told in check.check(settings(pairs), host).warnings)
