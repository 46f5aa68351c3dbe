"""A loss that is no number: each cause is made on purpose in a real run, and the sentence names it."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from lib_trainer.data.caches import cache_files
from lib_trainer.errors import UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import events as ev
from lib_trainer.training.config import TrainConfig
from tests.conftest import Settings
from tests.training.test_recipe import loras, train


def failing(config: TrainConfig, host: StandaloneHost, watch: Callable[[ev.Event], None] = lambda event: None) -> str:
    with pytest.raises(UserError) as caught:
        train(config, host, watch)
    return str(caught.value)


@pytest.fixture
def overflowing(host: StandaloneHost) -> Iterator[Callable[[float], None]]:
    """Lets the last layer of the host's U-Net give numbers that are too great."""
    handles = []

    def begin(value: float) -> None:
        with host.borrow_model() as lease, lease.turn() as model:
            module = next(target.module for target in model.other_targets() if target.name == "lora_unet_conv_out")
        handles.append(module.register_forward_hook(lambda module, args, output: output * value))

    yield begin
    for handle in handles:
        handle.remove()


def at(step: int, act: Callable[[], None]) -> Callable[[ev.Event], None]:
    def watch(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == step:
            act()

    return watch


def test_a_rate_that_breaks_the_adapters(host: StandaloneHost, settings: Settings) -> None:
    told = failing(settings(optimizer="SGDNesterov", learning_rate="1e38", max_grad_norm=0, epochs=10), host)
    assert "the learning rate (unet 1e+38, text_encoder 1e+38) is too high" in told
    assert "No file was saved before" in told and loras(host) == []


def test_a_model_that_overflows_by_itself(
    host: StandaloneHost, settings: Settings, overflowing: Callable[[float], None]
) -> None:
    told = failing(settings(save_every_steps=1, epochs=4), host, at(2, lambda: overflowing(float("inf"))))
    assert "The base model itself gives no number" in told and "without the LoRA" in told
    assert "zko (" in told, "the picture is named"
    assert "zko-step00000002, is whole" in told
    kept = file.load(host.paths.loras / "zko-step00000002.safetensors").tensors
    assert all(tensor.isfinite().all() for tensor in kept.values())


def test_cached_latents_that_are_no_numbers(host: StandaloneHost, settings: Settings) -> None:
    """As a cache of a program that did not look would hold them."""

    def spoil(event: ev.Event) -> None:
        if isinstance(event, ev.Cached) and event.what == "latents" and event.done == event.total:
            for path in (host.paths.cache / "latents").rglob(f"*{cache_files.ENDING}"):
                tensors = cache_files.read(path)
                assert tensors is not None
                spoiled = {name: torch.full_like(tensor, float("nan")) for name, tensor in tensors.items()}
                cache_files.write(path, spoiled)

    told = failing(settings(cache_to_disk=True), host, spoil)
    assert "The cached latents of" in told and "zko (" in told and "delete the folder of cached latents" in told


def test_a_prediction_whose_square_is_no_number(
    host: StandaloneHost, settings: Settings, overflowing: Callable[[float], None]
) -> None:
    told = failing(settings(), host, at(1, lambda: overflowing(1e30)))
    assert "its square is no number" in told


def test_a_lora_that_is_broken_in_the_files_precision_is_not_saved(host: StandaloneHost, settings: Settings) -> None:
    """Numbers above 65,504 are fine while training and infinite in an fp16 file."""
    config = settings(optimizer="SGDNesterov", learning_rate="1e12", max_grad_norm=0, steps=1, save_precision="fp16",
                      min_timestep=999)
    told = failing(config, host)
    assert "zko is not saved" in told and "fp16 ends at 65,504" in told
    assert loras(host) == []
