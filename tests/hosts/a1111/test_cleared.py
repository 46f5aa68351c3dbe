"""What a generation leaves on the model is put away in a turn, shows in a preview, and is there again afterwards."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib_trainer.errors import ModelChanged
from lib_trainer.host_model import HostModel, PreviewRequest
from lib_trainer.lora import file as lora_file
from tests.contract import snapshots, steps
from tests.contract.case import STEPS
from tests.hosts.a1111.case import A1111Case


@contextmanager
def turn(case: A1111Case) -> Iterator[HostModel]:
    with case.host.borrow_model() as lease, lease.turn() as model:
        yield model


@pytest.fixture(scope="module")
def lora(case: A1111Case) -> str:
    """A LoRA file that changes pictures visibly."""
    with turn(case) as model:
        made = steps.network(model)
    path = case.host.paths.loras / "merged.safetensors"
    lora_file.save(path, made.state_dict(torch.float32), {})
    case.host.lora_saved(path)
    return "a cat<lora:merged:1>"


def merged(case: A1111Case) -> list[Any]:
    return [layer for layer in case.model.network_layer_mapping.values() if layer.network_current_names]


def test_a_merged_lora_is_taken_out_and_stays_what_the_host_wants(case: A1111Case, lora: str) -> None:
    import networks

    plain = case.draw()
    clean = snapshots.networks(case.networks())
    drawn = case.draw(lora)
    wanted = list(networks.loaded_networks)
    assert drawn != plain and len(merged(case)) > 200 and len(wanted) == 1
    with turn(case) as model:
        assert merged(case) == [] and networks.loaded_networks == []
        weights = {name: state for name, state in snapshots.networks(case.networks()).items()
                   if isinstance(state, snapshots.TensorState)}
        assert all(state.digest == clean[name].digest and state.address == clean[name].address  # type: ignore[union-attr]
                   for name, state in weights.items())
        made = steps.network(model)
        with made.attached(model.targets()):
            steps.backward(model)
    assert networks.loaded_networks == wanted and networks.loaded_networks[0] is wanted[0]
    assert merged(case) == []
    assert case.draw(lora) == drawn and case.draw() == plain
    assert snapshots.networks(case.networks()) == clean


def test_a_preview_may_name_loras_and_the_turn_goes_on_with_clean_weights(case: A1111Case, lora: str) -> None:
    drawn, plain = case.draw(lora), case.draw()
    with turn(case) as model:
        assert model.preview(PreviewRequest(lora, seed=3, steps=STEPS)).image.tobytes() == drawn
        assert merged(case) == []
        assert model.preview(PreviewRequest("a cat", seed=3, steps=STEPS)).image.tobytes() == plain


def test_after_a_preview_that_failed_the_turn_goes_on_with_clean_weights(case: A1111Case, lora: str) -> None:
    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    plain = case.draw()
    with turn(case) as model:
        handle = model.targets()[-1].module.register_forward_hook(refuse)
        try:
            with pytest.raises(ZeroDivisionError):
                model.preview(PreviewRequest(lora, steps=2))
        finally:
            handle.remove()
        assert merged(case) == [] and not any(weight.requires_grad for weight in case.model.parameters())
    assert case.draw() == plain


def test_a_preview_that_switches_the_checkpoint_ends_the_turn(case: A1111Case) -> None:
    with pytest.raises(ModelChanged, match="preview has loaded another"), turn(case) as model:
        handle = model.targets()[-1].module.register_forward_pre_hook(
            lambda layer, args: _switch(case.checkpoint_file(first=False)))
        try:
            model.preview(PreviewRequest("a cat", steps=1))
        finally:
            handle.remove()
    case.load_checkpoint(first=True)
    with turn(case) as model:
        assert model.checkpoint.name == case.checkpoint_file(first=True).name


def _switch(path: Path) -> None:
    from modules import sd_models

    sd_models.reload_model_weights(info=sd_models.checkpoint_aliases[path.name])


def test_hypernetworks_do_not_act(case: A1111Case) -> None:
    from modules import shared

    found = [object()]
    shared.loaded_hypernetworks = found
    try:
        with turn(case):
            assert shared.loaded_hypernetworks == []
        assert shared.loaded_hypernetworks is found
    finally:
        shared.loaded_hypernetworks = []


def test_tiling_and_token_merging_are_off_and_come_back(case: A1111Case) -> None:
    from modules import sd_models
    from modules.sd_hijack import model_hijack

    convolution = case.model.model.diffusion_model.input_blocks[0][0]
    model_hijack.apply_circular(True)
    sd_models.apply_token_merging(case.model, 0.5)
    try:
        with pytest.raises(ZeroDivisionError), turn(case):
            assert convolution.padding_mode == "zeros" and case.model.applied_token_merged_ratio == 0
            raise ZeroDivisionError
        assert convolution.padding_mode == "circular" and case.model.applied_token_merged_ratio == 0.5
    finally:
        model_hijack.apply_circular(False)
        sd_models.apply_token_merging(case.model, 0)


def test_hypertile_is_off_and_comes_back(case: A1111Case) -> None:
    network, layer = case.model.model, case.model.model.diffusion_model.input_blocks[1][1]
    switch = layer.__dict__["__webui_hypertile_params"] = SimpleNamespace(enabled=True)
    network.__dict__["__webui_hypertile_layers"] = {"input_blocks.1.1": 1}
    try:
        with turn(case):
            assert not switch.enabled
        assert switch.enabled
    finally:
        del layer.__dict__["__webui_hypertile_params"], network.__dict__["__webui_hypertile_layers"]


def test_a_replaced_file_is_merged_anew_although_its_tag_is_the_same(case: A1111Case, lora: str) -> None:
    import networks

    first = case.draw(lora)
    path = case.host.paths.loras / "merged.safetensors"
    before = lora_file.load(path).tensors
    path.unlink()
    lora_file.save(path, {name: -tensor if ".lora_up." in name else tensor for name, tensor in before.items()}, {})
    case.host.lora_saved(path)
    assert merged(case) == [] and "merged" not in networks.networks_in_memory
    assert case.draw(lora) != first
    path.unlink()
    lora_file.save(path, before, {})
    case.host.lora_saved(path)
    assert case.draw(lora) == first
