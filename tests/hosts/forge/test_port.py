"""What is Forge's own about lending its model: late loading, placement, merged LoRAs, what cannot be trained."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lib_trainer.errors import UserError
from lib_trainer.hosts.forge.blocks import transformer_forward
from lib_trainer.lora import file as lora_file
from tests.contract import snapshots, steps
from tests.hosts.forge.case import ForgeCase


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeCase]:
    made = ForgeCase(tmp_path_factory.mktemp("forge"))
    yield made
    made.close()


def test_a_chosen_checkpoint_is_loaded_by_the_first_turn(case: ForgeCase) -> None:
    """After a start Forge has only written down what it will load."""
    from modules import sd_models

    picture = case.draw()
    sd_models.model_data.sd_model, sd_models.model_data.forge_hash = sd_models.FakeInitialModel(), ""
    told = case.host.checkpoint()
    assert told.name == case.checkpoint_file(True).name
    assert not hasattr(sd_models.model_data.sd_model, "forge_objects"), "looking loads nothing"
    with case.host.borrow_model() as lease, lease.turn() as model:
        assert model.checkpoint == told
    assert case.draw() == picture


def test_a_checkpoint_that_does_not_load_leaves_the_former_one(
    case: ForgeCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules import sd_models

    picture, make = case.draw(), sd_models.model_maker

    def refuse(info: object) -> object:
        if Path(info.filename) == case.checkpoint_file(False):  # type: ignore[attr-defined]
            raise RuntimeError("no such tensor")
        return make(info)

    monkeypatch.setattr(sd_models, "model_maker", refuse)
    with pytest.raises(UserError, match=r"could not load '1\.safetensors': no such tensor"):
        case.host.backend.load(case.checkpoint_file(False))
    assert case.host.checkpoint().name == case.checkpoint_file(True).name
    assert case.draw() == picture


def test_no_model_is_left_behind_as_the_loaded_one(case: ForgeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing loads any more Forge must not go on believing that the former model is there."""
    from modules import sd_models

    def refuse(info: object) -> object:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(sd_models, "model_maker", refuse)
        with pytest.raises(UserError, match="out of memory"):
            case.host.backend.load(case.checkpoint_file(False))
        assert sd_models.model_data.sd_model is None and not sd_models.model_data.forge_hash
    assert case.draw()


def test_merged_loras_are_taken_out_and_forge_merges_them_again(case: ForgeCase) -> None:
    with case.host.borrow_model() as lease, lease.turn() as model:
        made = steps.network(model)
    case.draw("a prompt whose states are not kept")  # when Forge first encodes it converts embeddings for good
    plain, clean = case.draw(), snapshots.networks(case.networks())
    lora_file.save(case.host.paths.loras / "own.safetensors", made.state_dict(torch.float32), {})
    merged = case.draw("a cat<lora:own:1>")
    assert merged != plain and snapshots.networks(case.networks()) != clean
    with case.host.borrow_model() as lease, lease.turn() as model, made.attached(model.targets()):
        steps.backward(model)
    assert snapshots.networks(case.networks()) == clean
    assert case.draw("a cat<lora:own:1>") == merged
    assert case.draw() == plain


def test_only_networks_with_gradients_are_aliased(case: ForgeCase) -> None:
    unet, text, vae = case.networks()

    def inference(network: torch.nn.Module) -> bool:
        return all(weight.is_inference() for weight in network.parameters())

    with case.host.borrow_model() as lease:
        with lease.turn() as model:
            cond = model.encode_captions(["a cat"])
            model.encode_images(steps.pixels())
            assert inference(unet) and inference(text) and inference(vae)
            model.predict(torch.zeros(1, 4, 8, 8), torch.tensor([1]), cond)
            assert not inference(unet) and inference(text)
            model.preview(steps.picture(count=1))
            assert not inference(unet)
        assert inference(unet)


def test_layers_in_main_memory_are_refused(case: ForgeCase) -> None:
    """A network whose device is not where (a part of) its weights are."""
    from lib_trainer.hosts.forge.placement import require_whole

    patcher = case.model.forge_objects_original.unet.clone()
    require_whole(patcher)
    patcher.load_device = torch.device("meta")
    with pytest.raises(UserError, match=r"Forge keeps \d+ MB of the KModel in main memory.*GPU Weights"):
        require_whole(patcher)


def test_an_unchanged_turn_places_nothing(case: ForgeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend import memory_management

    calls: list[int] = []
    load = memory_management.load_models_gpu
    with case.host.borrow_model() as lease:
        with lease.turn() as model, steps.network(model).attached(model.targets()):
            steps.backward(model)
        monkeypatch.setattr(memory_management, "load_models_gpu",
                            lambda models, **more: (calls.append(len(models)), load(models, **more)))
        with lease.turn() as model, steps.network(model).attached(model.targets()):
            steps.backward(model)
        assert not calls
        memory_management.unload_all_models()
        with lease.turn() as model, steps.network(model).attached(model.targets()):
            steps.backward(model)
        assert calls


def test_quantised_storage_is_refused(case: ForgeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    model = case.model.forge_objects_original.unet.model
    assert case.host.obstacles() == []
    monkeypatch.setattr(model, "storage_dtype", "nf4")
    assert "stored as nf4" in case.host.obstacles()[0]
    with pytest.raises(UserError, match="Diffusion in Low Bits"), case.host.borrow_model() as lease, lease.turn():
        pass


def test_a_model_of_another_kind_says_what_it_is(case: ForgeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    from lib_trainer.hosts.forge.loaded import family_of

    monkeypatch.setattr(type(case.model), "is_sd1", False)
    with pytest.raises(UserError, match="of the kind 'Engine'"):
        family_of(case.model)
    monkeypatch.undo()
    monkeypatch.setattr(case.model.forge_objects_original.unet.model.diffusion_model, "in_channels", 9)
    with pytest.raises(UserError, match="9 channels"):
        family_of(case.model)


def test_the_transformer_block_gives_forges_own_values(case: ForgeCase) -> None:
    unet = case.model.forge_objects_original.unet.model.diffusion_model
    block = unet.input_blocks[1][1].transformer_blocks[0]
    generator = torch.Generator().manual_seed(0)
    x, context = torch.randn((2, 9, 64), generator=generator), torch.randn((2, 77, 32), generator=generator)
    with torch.no_grad():
        assert torch.equal(transformer_forward(block, x, context), block(x.clone(), context))
