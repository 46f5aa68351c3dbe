"""Fed what sd-scripts drew, we compute what sd-scripts computed.

`tests/data/sd_scripts/*.safetensors` were written by a recorder around sd-scripts 48d368fa (`train_network.py`, torch
2.13.0, CPU, fp32) on the tiny checkpoint of these tests in float32, with batch size 2, rank 2, four updates of AdamW at
128 pixels (at 64 a group norm at the bottom of the U-Net sees two numbers, which makes gradients mere rounding):
the initial factors, per step the scaled latents, noise, timesteps and captions (in the file's metadata) as they were
drawn there, its losses and norms of the gradient before clipping, for `plain` also a whole gradient and the final
factors. Nothing else of sd-scripts is in them.

Tolerances: found were 1e-6 in losses and norms of gradients and 2e-6 in the whole gradient and the final factors, which
is what float32 leaves of sums in another order; five times as much is allowed. AdamW divides a gradient by its own size
in the first steps, so where it is nearly 0 its rounding decides a whole step: factors are compared over the network.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from lib_trainer.data.buckets import Placement
from lib_trainer.data.caches.latent_cache import Latents
from lib_trainer.data.loading import Loaded, Loader
from lib_trainer.data.looks import draw as draw_look
from lib_trainer.data.sample import Batch, Sample
from lib_trainer.host import HostPaths
from lib_trainer.host_model import HostModel
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import network
from lib_trainer.training import config_reading, step
from lib_trainer.training.learning.learner import Learner
from lib_trainer.training.loss.noise import Noise
from lib_trainer.training.micro_batch import Drawn, Inputs
from tests import tiny_checkpoint
from tests.data_tests.items import item

RECORDED = Path(__file__).parents[1] / "data" / "sd_scripts"
STEPS = 4
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rich": {"min_snr_gamma": 5, "loss_type": "smooth_l1", "huber_schedule": "snr", "huber_c": 0.1, "clip_skip": 2,
             "max_tokens": "150", "scheduler": "cosine", "warmup": "1", "text_encoder_lr": "5e-4"},
    "vpred": {"prediction": "v", "debiased_estimation": True},
    "ztsnr": {"prediction": "v", "zero_terminal_snr": "on"},
}


class Recording:
    """What sd-scripts drew and computed in one run."""

    def __init__(self, name: str) -> None:
        with safe_open(RECORDED / f"{name}.safetensors", "pt") as file:
            self.steps: list[dict[str, Any]] = json.loads(file.metadata()["steps"])
            self._tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no dict

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        """Returns the tensors whose names begin with a prefix, without it."""
        return {key[len(prefix):]: value for key, value in self._tensors.items() if key.startswith(prefix)}

    def initial(self, alpha: float) -> dict[str, torch.Tensor]:
        """Returns the file of the network before the first step: ups are zero there."""
        state: dict[str, torch.Tensor] = {}
        for key, down in self.under("init.").items():
            layer = key.removesuffix(".lora_down.weight")
            state[key] = down
            state[f"{layer}.alpha"] = torch.tensor(alpha)
        return state


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> StandaloneHost:
    folder = tmp_path_factory.mktemp("parity")
    path = tiny_checkpoint.write(folder, "tiny32.safetensors", dtype=torch.float32)
    return StandaloneHost(path, HostPaths(*(folder / name for name in ("loras", "outputs", "settings", "cache"))))


def _network(model: HostModel, recording: Recording, alpha: float) -> network.Network:
    targets = {target.name: target for target in model.targets()}
    state = recording.initial(alpha)
    for key in [key for key in state if key.endswith("lora_down.weight")]:
        weight = targets[key.split(".")[0]].module.weight
        kernel = (1, 1) if state[key].dim() == 4 else ()
        state[key.replace(".lora_down.", ".lora_up.")] = torch.zeros(weight.shape[0], state[key].shape[0], *kernel)
    made, unmatched = network.from_state(model.targets(), state)
    assert not unmatched
    return made


def _drawn(recording: Recording, number: int, scale: float) -> Drawn:
    tensors = recording.under(f"{number}.")
    latents = tensors["latents"] / scale
    batch = []
    for index, caption in enumerate(recording.steps[number]["captions"]):
        picture = item(f"{index}.png", text=caption)
        size = (latents.shape[-1] * 8, latents.shape[-2] * 8)
        placement = Placement(size, size, (0, 0), 0.0)
        look = draw_look(picture.subset.pictures, picture.path, size, placement, 0, 1, picture.key)
        batch.append(Sample(picture, look, caption, 0, picture.key))
    kept = [Latents(mean, torch.zeros_like(mean), None) for mean in latents]
    return Drawn(
        Loaded(Batch(batch), kept, None, None, None), tensors["timesteps"].long(),
        posterior=torch.zeros_like(latents), noise=Noise(base=tensors["noise"]),
    )


def _far(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Returns the norm of the difference over the norm, of the whole network."""
    assert ours.keys() == theirs.keys()
    difference = sum(float((ours[key] - theirs[key]).double().square().sum()) for key in theirs)
    return (difference / sum(float(value.double().square().sum()) for value in theirs.values())) ** 0.5


def _by_kohya(made: network.Network, pick: Any) -> dict[str, torch.Tensor]:
    return {f"{name}.lora_{part}.weight": pick(factor).detach().clone() for name, layer in made.layers.items()
            for part, factor in layer.named_parameters()}


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_and_gradients_are_those_of_sd_scripts(host: StandaloneHost, name: str) -> None:
    recording = Recording(name)
    config = config_reading.from_dict({
        "name": name, "images": "none", "rank": 2, "optimizer": "AdamW", "learning_rate": "1e-3", "steps": STEPS,
        "batch_size": 2, **SETTINGS[name],
    })
    with host.borrow_model() as lease:
        with lease.turn() as model:
            made = _network(model, recording, 1.0 if name in ("plain", "rich") else 2.0)
            scale = model.checkpoint.family.latent_scale
        learner = Learner(config, made, list(made.layers), STEPS, torch.device("cpu"), fp16=False)
        inputs = Inputs(Loader(), text_grad=True, autocast=None, objective=step.DENOISING)
        for number, recorded in enumerate(recording.steps):
            learner.set_rates(number)
            with lease.turn() as model, made.attached(model.targets()):
                loss = step.losses(config, inputs, model, _drawn(recording, number, scale)).weighted.mean()
                learner.backward(loss)
            norm = torch.stack([weight.grad.norm() for weight in learner.parameters if weight.grad is not None]).norm()
            assert float(loss) == pytest.approx(recorded["loss"], rel=5e-6), number
            assert float(norm) == pytest.approx(recorded["grad_norm"], rel=5e-6), number
            gradients = recording.under(f"{number}.grad.")
            if gradients:
                assert _far(_by_kohya(made, lambda factor: factor.grad), gradients) < 1e-5
            learner.update()
    final = recording.under("final.")
    if final:
        assert _far(_by_kohya(made, lambda factor: factor), final) < 1e-5
