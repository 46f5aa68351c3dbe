"""Whole trainings on the embedded host with a tiny checkpoint: what is written, repeated, interrupted, and broken."""
from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.training import config_reading
from lib_trainer.training import events as ev
from lib_trainer.training.controls import Controls
from lib_trainer.txt2img_host import GenerateRequest
from tests.conftest import Settings
from tests.training.runs import of, tensors, train


def loras(host: StandaloneHost) -> list[str]:
    return sorted(path.name for path in host.paths.loras.iterdir() if path.suffix not in (".json", ".png"))


def model_hash(host: StandaloneHost, name: str = "zko") -> str:
    return file.load(host.paths.loras / f"{name}.safetensors").metadata["sshs_model_hash"]


def learned(host: StandaloneHost, name: str) -> torch.Tensor:
    """All numbers that start at 0, as one vector: the sum of all updates."""
    state = tensors(host, name)
    return torch.cat([tensor.flatten() for key, tensor in sorted(state.items()) if "lora_up" in key])


def weights(host: StandaloneHost) -> list[torch.Tensor]:
    """Copies of all weights of the host, and a look at what a training may leave behind."""
    with host.borrow_model() as lease, lease.turn() as model:
        modules = [target.module for target in model.targets()]
        assert not any(module._forward_hooks for module in modules)
        return [parameter.detach().clone() for module in modules for parameter in module.parameters()]


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_whole_run(host: StandaloneHost, settings: Settings) -> None:
    before = weights(host)
    config = settings(save_every_epochs=1, save_every_steps=2, preview_prompts="zko\n# a note\nzko, red",
                      preview_every_epochs=1, preview_steps=2, comment="für Zunko")
    events = train(config, host)

    assert [type(event).__name__ for event in events if not isinstance(event, ev.Cached)] == [
        "Started", "Stepped", "Stepped", "Saved", "Stepped", "Saved", "Previewed", "Stepped", "Saved", "Stepped",
        "Stepped", "LossBands", "Saved", "Previewed", "Finished",
    ]
    assert [saved.name for saved in of(ev.Saved, events)] == [
        "zko-step00000002", "zko-000001", "zko-step00000004", "zko"]  # none for the last epoch or step
    assert loras(host) == sorted(f"{saved.name}.safetensors" for saved in of(ev.Saved, events))
    started, finished = of(ev.Started, events)[0], events[-1]
    assert (started.total_steps, started.images, started.batches_per_epoch) == (6, 3, 3)
    assert isinstance(finished, ev.Finished)
    assert (finished.tag, finished.trigger, finished.stopped) == ("<lora:zko:1>", "zko", False)
    folder = Path(started.folder)
    assert folder == host.paths.outputs / "train-lora" / "zko"
    assert config_reading.load(folder / "config.json") == config
    for previewed in of(ev.Previewed, events):
        assert previewed.prompts == ["zko", "zko, red"]
        for name in previewed.files:
            assert Path(name).parent == folder / "previews"
            assert "zko" in Image.open(name).text["parameters"]  # type: ignore[attr-defined]
    assert same(before, weights(host))


def test_the_card_of_a_finished_lora(host: StandaloneHost, settings: Settings) -> None:
    """With the last preview as thumbnail; for the result only, and nothing of the person's own is replaced."""
    config = settings(preview_prompts="zko", preview_every_steps=3, preview_steps=2, save_every_steps=3, comment="mine")
    events = train(config, host)
    folder = host.paths.loras
    facts = json.loads((folder / "zko.json").read_text("utf8"))
    assert (facts["activation text"], facts["sd version"], facts["preferred weight"]) == ("zko", "SD1", 1.0)
    assert "tiny.safetensors" in facts["description"] and "6 steps" in facts["description"]
    assert facts["notes"].startswith("mine\nrank 2, alpha 1; AdamW")
    last = Path(of(ev.Previewed, events)[-1].files[0])
    assert (folder / "zko.png").read_bytes() == last.read_bytes() and last.name.startswith("00000006")
    assert sorted(path.name for path in folder.iterdir()) == [
        "zko-step00000003.safetensors", "zko.json", "zko.png", "zko.safetensors"]
    (folder / "own.json").write_text("mine")
    train(settings(name="own"), host)
    assert (folder / "own.json").read_text() == "mine" and not (folder / "own.png").exists()


def test_a_card_that_cannot_be_written_is_told(host: StandaloneHost, settings: Settings) -> None:
    config = settings(preview_prompts="zko", preview_every_steps=6, preview_steps=2)

    def remove(event: ev.Event) -> None:
        if isinstance(event, ev.Previewed):
            Path(event.files[0]).unlink()

    events = train(config, host, remove)
    assert isinstance(events[-1], ev.Finished) and events[-1].file
    assert any("not all of its card" in event.message for event in of(ev.Warned, events))


def test_metadata(host: StandaloneHost, settings: Settings) -> None:
    train(settings(conv_rank=2, unet_lr="1e-3", text_encoder_lr="5e-4", resolution="64"), host)
    metadata = file.load(host.paths.loras / "zko.safetensors").metadata
    assert metadata["ss_sd_model_name"] == "tiny.safetensors"
    assert len(metadata["ss_new_sd_model_hash"]) == 64
    assert metadata["ss_network_dim"] == "2" and metadata["ss_network_alpha"] == "1.0"
    assert json.loads(metadata["ss_network_args"])["conv_dim"] == "2"
    assert metadata["ss_unet_lr"] == "0.001" and metadata["ss_text_encoder_lr"] == "0.0005"
    assert metadata["ss_resolution"] == "(64, 64)"
    assert metadata["ss_steps"] == "6" and metadata["ss_epoch"] == "2" and metadata["ss_num_epochs"] == "2"
    assert json.loads(metadata["ss_tag_frequency"])["pictures (1)"]["zko"] == 3
    assert metadata["modelspec.trigger_phrase"] == "zko"


def test_the_same_run_gives_the_same_bits(host: StandaloneHost, settings: Settings) -> None:
    """Also while the person draws, and other code uses the process-wide generators, between the steps."""
    train(settings(name="first"), host)

    def disturb(event: ev.Event) -> None:
        random.random()
        np.random.rand()
        torch.rand(3)
        if isinstance(event, (ev.Started, ev.Stepped)):
            host.generate(GenerateRequest("a cat <lora:first:0.5:NCNF>", seed=7, steps=2))

    train(settings(name="second"), host, disturb)
    assert model_hash(host, "first") == model_hash(host, "second")
    train(settings(name="third", seed=43), host)
    assert model_hash(host, "first") != model_hash(host, "third")


def test_the_process_wide_generators_are_left_alone(host: StandaloneHost, settings: Settings) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index]
    train(settings(flip=True, shuffle_caption=True, caption_dropout=0.5, noise_offset=0.05, preview_prompts="zko",
                   preview_every_steps=3, preview_steps=2), host)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index]
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


def test_a_preview_draws_with_what_was_learned_and_disturbs_nothing(host: StandaloneHost, settings: Settings) -> None:
    with_previews = settings(
        name="a", preview_prompts="zko", preview_every_steps=1, preview_steps=2, learning_rate="0.1")
    drawn = [Path(event.files[0]).read_bytes() for event in of(ev.Previewed, train(with_previews, host))]
    assert len(set(drawn)) == len(drawn) == 6
    train(settings(name="b", learning_rate="0.1"), host)
    assert model_hash(host, "a") == model_hash(host, "b")


@pytest.mark.parametrize(("batch", "accumulation"), [(1, 3), (2, 2), (1, 8)])
def test_accumulation_equals_a_big_batch(
    host: StandaloneHost, settings: Settings, batch: int, accumulation: int
) -> None:
    """Every sample weighs the same in an update, however the update is cut into batches.

    One step of SGD is proportional to the gradient. Kernels for one picture and for three round differently, and the
    difference grows over hundreds of layers: 2e-3 was seen. A sample of the wrong weight would be more than 1e-1.
    """
    fixed = {"optimizer": "SGDNesterov", "learning_rate": "1e-2", "save_precision": "float", "epochs": 1}
    cut = train(settings(name="cut", batch_size=batch, gradient_accumulation=accumulation, **fixed), host)
    whole = train(settings(name="whole", batch_size=3, **fixed), host)
    assert [event.loss for event in of(ev.Stepped, cut)] == pytest.approx([e.loss for e in of(ev.Stepped, whole)])
    ours, theirs = learned(host, "cut"), learned(host, "whole")
    assert torch.linalg.vector_norm(ours - theirs) < 1e-2 * torch.linalg.vector_norm(theirs)


def test_a_remainder_at_the_end_of_an_epoch_steps_too(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(gradient_accumulation=2), host)
    assert [stepped.epoch for stepped in of(ev.Stepped, events)] == [1, 1, 2, 2]


def test_a_number_of_steps_wins_over_epochs(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(steps=4), host)
    assert [stepped.step for stepped in of(ev.Stepped, events)] == [1, 2, 3, 4]
    assert of(ev.Started, events)[0].epochs == 2


def test_rates_follow_the_schedule(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(learning_rate="1e-3:2, 1e-4", text_encoder_lr="5e-4"), host)
    assert [stepped.lrs["unet"] for stepped in of(ev.Stepped, events)] == pytest.approx([1e-3] * 2 + [1e-4] * 4)
    assert {stepped.lrs["text_encoder"] for stepped in of(ev.Stepped, events)} == {5e-4}


def test_what_is_cached_equals_what_is_not(host: StandaloneHost, settings: Settings) -> None:
    """Latents bit for bit; captions are encoded in other batch sizes, which changes the last bits."""
    fixed = {"train_text_encoder": False, "flip": True, "save_precision": "float", "epochs": 1}
    train(settings(name="cached", **fixed), host)
    train(settings(name="pixels", cache_latents=False, **fixed), host)
    train(settings(name="disk", cache_to_disk=True, **fixed), host)
    train(settings(name="again", cache_to_disk=True, **fixed), host)
    train(settings(name="captions", cache_captions=False, **fixed), host)
    assert len({model_hash(host, name) for name in ("cached", "pixels", "disk", "again")}) == 1
    ours, theirs = tensors(host, "cached"), tensors(host, "captions")
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-3) for name in ours)


def test_checkpointing_and_bf16_learn_the_same(host: StandaloneHost, settings: Settings) -> None:
    fixed = {"optimizer": "SGDNesterov", "learning_rate": "1e-2", "save_precision": "float", "epochs": 1,
             "blocks": "OUT09-OUT11", "train_text_encoder": False}
    train(settings(name="plain", **fixed), host)
    train(settings(name="recomputed", gradient_checkpointing=True, **fixed), host)
    train(settings(name="bf16", precision="bf16", **fixed), host)
    plain, recomputed, bf16 = (learned(host, name) for name in ("plain", "recomputed", "bf16"))
    assert torch.linalg.vector_norm(plain - recomputed) < 1e-3 * torch.linalg.vector_norm(plain)
    # bf16 has 8 bits of mantissa; the direction learned must still be the same. (Only in blocks near the output: the
    # tiny model's middle is one pixel wide, where a norm over two numbers makes gradients of rounding errors.)
    assert torch.cosine_similarity(plain, bf16, dim=0) > 0.98


def test_only_what_was_chosen_is_trained(host: StandaloneHost, settings: Settings) -> None:
    train(settings(blocks="OUT03-OUT05", train_text_encoder=False), host)
    layers = {name.partition(".")[0] for name in tensors(host)}
    assert layers and all(layer.startswith("lora_unet_up_blocks_1_") for layer in layers)


def test_a_rate_of_zero_keeps_the_part_in_the_file(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(text_encoder_lr="0"), host)
    assert of(ev.Stepped, events)[0].lrs.keys() == {"unet"}
    text = {name: tensor for name, tensor in tensors(host).items() if name.startswith("lora_te_")}
    assert text and not any(tensor.any() for name, tensor in text.items() if "lora_up" in name)


def test_continuing_a_lora(host: StandaloneHost, settings: Settings) -> None:
    train(settings(name="first", rank=3, alpha=2.0, conv_rank=2), host)
    train(settings(name="second", continue_from="first", train_text_encoder=False), host)
    first, second = tensors(host, "first"), tensors(host, "second")
    assert {name: tensor.shape for name, tensor in first.items()} == {n: t.shape for n, t in second.items()}
    assert all(torch.equal(first[name], second[name]) for name in first if "lora_te_" in name or "alpha" in name)
    changed = [name for name in first if not torch.equal(first[name], second[name])]
    assert any("resnets_0_conv1" in name for name in changed) and any("attn2_to_k" in name for name in changed)
    metadata = file.load(host.paths.loras / "second.safetensors").metadata
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("3", "2.0")


def test_regularisation_pictures_are_balanced_and_weighted(
    host: StandaloneHost, settings: Settings, tmp_path: Path
) -> None:
    reg = tmp_path / "reg" / "1_girl"
    reg.mkdir(parents=True)
    Image.new("RGB", (64, 64), (90, 90, 90)).save(reg / "a.png")
    started = of(ev.Started, train(settings(reg_images=str(reg.parent)), host))[0]
    assert (started.images, started.reg_images, started.batches_per_epoch) == (3, 1, 6)
    # With weight 0 only the training pictures teach, though the regularisation pictures are shown.
    losses = [stepped.loss for stepped in of(ev.Stepped, train(settings(
        name="unweighted", reg_images=str(reg.parent), prior_loss_weight=0.0), host))]
    assert sum(loss == 0 for loss in losses) == 6


def test_stop_saves_and_discard_does_not(host: StandaloneHost, settings: Settings) -> None:
    for save in (True, False):
        controls = Controls()

        def stop(event: ev.Event, save: bool = save, controls: Controls = controls) -> None:
            if isinstance(event, ev.Stepped) and event.step == 2:
                controls.stop(save)

        events = train(settings(name=f"save-{save}"), host, stop, controls)
        finished = events[-1]
        assert isinstance(finished, ev.Finished) and finished.stopped and finished.step == 2
        assert len(of(ev.Stepped, events)) == 2
    assert loras(host) == ["save-True.safetensors"]


@pytest.mark.parametrize("kind", [ev.Cached, ev.Started])
def test_stop_before_the_first_step_leaves_nothing(
    host: StandaloneHost, settings: Settings, kind: type[ev.Event]
) -> None:
    controls = Controls()

    def stop(event: ev.Event) -> None:
        if isinstance(event, kind):
            controls.stop()

    finished = train(settings(), host, stop, controls)[-1]
    assert isinstance(finished, ev.Finished) and (finished.file, finished.step, finished.stopped) == ("", 0, True)
    assert loras(host) == []


def test_pause_save_now_and_sample_now(host: StandaloneHost, settings: Settings) -> None:
    """The buttons work during a pause as well, and the pause changes nothing."""
    controls = Controls()

    def press(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == 2:
            controls.pause()
        if isinstance(event, ev.Paused):
            controls.save_now()
            controls.sample_now()
        if isinstance(event, ev.Previewed):
            controls.resume()

    events = train(settings(name="paused", preview_prompts="zko", preview_steps=2), host, press, controls)
    kinds = [type(event).__name__ for event in events if not isinstance(event, ev.Cached)]
    assert kinds == ["Warned", "Started", "Stepped", "Stepped", "StateSaved", "Paused", "Saved", "Previewed",
                     "Continued", "Stepped", "Stepped", "Stepped", "Stepped", "LossBands", "Saved", "Finished"]
    assert loras(host) == ["paused-step00000002.safetensors", "paused.safetensors"]
    train(settings(name="plain"), host)
    assert model_hash(host, "paused") == model_hash(host, "plain")


def test_save_now_when_the_file_is_there_already(host: StandaloneHost, settings: Settings) -> None:
    controls = Controls()
    events = train(settings(save_every_steps=2), host, lambda event: controls.save_now() if isinstance(event, ev.Saved)
                   and not event.final else None, controls)
    assert [saved.name for saved in of(ev.Saved, events)] == ["zko-step00000002", "zko-step00000004", "zko"]


def test_sample_now_without_prompts_says_so(host: StandaloneHost, settings: Settings) -> None:
    controls = Controls()
    controls.sample_now()
    warned = of(ev.Warned, train(settings(), host, controls=controls))
    assert any("Preview prompts" in event.message for event in warned)


@pytest.mark.parametrize("kind", [ev.Cached, ev.Started, ev.Stepped])
def test_another_checkpoint_pauses_the_run(
    host: StandaloneHost, settings: Settings, checkpoint: Path, other_checkpoint: Path, kind: type[ev.Event]
) -> None:
    changed = False

    def change(event: ev.Event) -> None:
        nonlocal changed
        if isinstance(event, kind) and not changed:
            host.load_model(other_checkpoint)
            changed = True
        if isinstance(event, ev.Paused):
            assert "other.safetensors" in event.reason
            host.load_model(checkpoint)

    events = train(settings(name="changed"), host, change)
    assert len(of(ev.Paused, events)) == len(of(ev.Continued, events)) == 1
    train(settings(name="plain"), host)
    assert model_hash(host, "changed") == model_hash(host, "plain")


def test_stop_while_another_checkpoint_is_loaded(
    host: StandaloneHost, settings: Settings, other_checkpoint: Path
) -> None:
    controls = Controls()

    def change(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped):
            host.load_model(other_checkpoint)
        if isinstance(event, ev.Paused):
            controls.stop()

    finished = train(settings(gradient_accumulation=2), host, change, controls)[-1]
    assert isinstance(finished, ev.Finished) and finished.step == 1 and finished.stopped
    assert loras(host) == ["zko.safetensors"]


def test_a_file_that_cannot_be_written_makes_the_run_wait(host: StandaloneHost, settings: Settings) -> None:
    """As with a full disk: nothing is lost, Continue saves again, in the middle and at the end."""
    controls, away = Controls(), host.paths.loras.with_name("away")
    pauses = 0

    def block(event: ev.Event) -> None:
        nonlocal pauses
        if isinstance(event, ev.Stepped) and event.step in (2, 6):
            host.paths.loras.rename(away)
            host.paths.loras.write_text("in the way")
        if isinstance(event, ev.Paused):
            pauses += 1
            assert "Cannot write" in event.reason and "Continue" in event.reason
            if pauses == 2:
                controls.resume()  # too early: nothing was mended, so it waits again
                return
            host.paths.loras.unlink()
            away.rename(host.paths.loras)
            controls.resume()

    events = train(settings(name="blocked", save_every_steps=2), host, block, controls)
    assert pauses == 3
    assert loras(host) == ["blocked-step00000002.safetensors", "blocked-step00000004.safetensors",
                           "blocked.safetensors"]
    assert isinstance(events[-1], ev.Finished)
    train(settings(name="plain"), host)
    assert model_hash(host, "blocked") == model_hash(host, "plain")


def test_giving_up_on_a_file_that_cannot_be_written(host: StandaloneHost, settings: Settings) -> None:
    controls = Controls()

    def block(event: ev.Event) -> None:
        if isinstance(event, ev.Stepped) and event.step == 1:
            controls.stop()
            (host.paths.loras / "zko.safetensors").write_text("another program was quicker")
        if isinstance(event, ev.Paused):
            controls.stop(save=False)

    before = weights(host)
    with pytest.raises(UserError, match="never overwritten"):
        train(settings(), host, block, controls)
    assert (host.paths.loras / "zko.safetensors").read_text() == "another program was quicker"
    assert same(before, weights(host))


class _Broken(Exception):
    """A bug of some library."""


@pytest.fixture
def breaking(host: StandaloneHost) -> Iterator[Callable[[str], None]]:
    """Makes a layer of the host's model raise from now on."""
    handles = []

    def breaks(layer: str) -> None:
        def fail(module: torch.nn.Module, args: object) -> None:
            raise _Broken(layer)

        with host.borrow_model() as lease, lease.turn() as model:
            module = next(target.module for target in model.targets() if layer in target.name)
        handles.append(module.register_forward_pre_hook(fail))

    yield breaks
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize(("kind", "layer"), [
    (ev.Started, "lora_te_"), (ev.Stepped, "lora_unet_mid"), (ev.Saved, "lora_unet_mid"),
])
def test_an_exception_leaves_the_host_as_it_was(
    host: StandaloneHost, settings: Settings, breaking: Callable[[str], None], kind: type[ev.Event], layer: str
) -> None:
    """In caching, in a step, in a preview: weights and hooks restored, files written before stay, the lock is free."""
    before, broken = weights(host), False

    def spoil(event: ev.Event) -> None:
        nonlocal broken
        if isinstance(event, kind) and not broken:
            breaking(layer)
            broken = True

    config = settings(train_text_encoder=False, save_every_steps=2, preview_every_steps=2, preview_prompts="zko",
                      preview_steps=2)
    with pytest.raises(_Broken):
        train(config, host, spoil)
    assert same(before, weights(host))
    assert loras(host) == (["zko-step00000002.safetensors"] if kind is ev.Saved else [])


def test_a_picture_that_vanishes_while_caching(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    def remove(event: ev.Event) -> None:
        if isinstance(event, ev.Started):
            (pictures / "zko (1).png").unlink()

    with pytest.raises(UserError, match=r"zko \(1\)\.png"):
        train(settings(), host, remove)
    assert host.generate(GenerateRequest("a cat", seed=1, steps=1))


def test_a_truncated_picture_is_listed_and_left_out(host: StandaloneHost, settings: Settings, pictures: Path) -> None:
    whole = (pictures / "zko (0).png").read_bytes()
    (pictures / "cut.png").write_bytes(whole[: len(whole) * 2 // 3])
    events = train(settings(), host)
    assert any("cut.png" in event.message for event in of(ev.Warned, events))
    assert of(ev.Started, events)[0].images == 3


def test_a_preview_that_cannot_be_drawn_does_not_end_the_run(host: StandaloneHost, settings: Settings) -> None:
    events = train(settings(preview_prompts="zko", preview_every_steps=3, preview_sampler="No such sampler"), host)
    assert any("No such sampler" in event.message for event in of(ev.Warned, events))
    assert isinstance(events[-1], ev.Finished) and loras(host) == ["zko.safetensors"]


def test_a_loss_that_is_no_number_says_why(host: StandaloneHost, settings: Settings) -> None:
    config = settings(optimizer="SGDNesterov", learning_rate="1e30", max_grad_norm=0, epochs=10)
    with pytest.raises(UserError, match="learning rate"):
        train(config, host)
    assert loras(host) == []


def test_faults_come_before_anything_is_written(host: StandaloneHost, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Problems) as caught:
        train(settings(name="", images=str(tmp_path / "none")), host)
    assert len(caught.value.problems) == 2
    assert loras(host) == [] and not (host.paths.outputs / "train-lora").exists()


def test_a_job_of_the_same_name_keeps_its_folder(host: StandaloneHost, settings: Settings) -> None:
    controls = Controls()
    controls.stop(save=False)
    train(settings(), host, lambda event: controls.stop(False) if isinstance(event, ev.Stepped) else None, Controls())
    (host.paths.loras / "zko.safetensors").unlink()
    folders = [of(ev.Started, train(settings(), host))[0].folder]
    assert folders == [str(host.paths.outputs / "train-lora" / "zko-2")]


def test_a_generation_waits_for_one_turn_only(host: StandaloneHost, settings: Settings) -> None:
    """Pressed from another thread during a step, it is drawn before the run ends."""
    drawn_at: list[int] = []
    steps_done = 0
    thread = threading.Thread(target=lambda: (host.generate(GenerateRequest("a cat", seed=1, steps=1)),
                                              drawn_at.append(steps_done)))

    def press(event: ev.Event) -> None:
        nonlocal steps_done
        if isinstance(event, ev.Stepped):
            steps_done = event.step
            if event.step == 1:
                thread.start()

    train(settings(epochs=5), host, press)
    thread.join()
    assert drawn_at and drawn_at[0] < 15
