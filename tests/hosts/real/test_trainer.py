"""What the trainer can do beside plain LoRA, in a real host; the host draws afterwards as it did before."""
from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image

from tests.hosts.real import model_state, training
from tests.hosts.real.model_state import PROMPT
from tests.hosts.real.pixels import differ, same
from tests.hosts.real.server import HostFailed, Server
from tests.hosts.real.training import PREFIX

KINDS: dict[str, dict[str, Any]] = {
    "unet alone": {"train_text_encoder": False},
    "loha": {"algorithm": "loha"},
    "lokr": {"algorithm": "lokr", "factor": 8},
    "dora": {"dora": True},
    "velocity": {"prediction": "v", "zero_terminal_snr": "on"},
    "averaged": {"ema_decay": 0.5},
    "dropouts": {"network_dropout": 0.2, "rank_dropout": 0.2, "module_dropout": 0.2, "scale_weight_norms": 1.0},
    "schedulefree": {"optimizer": "AdamWScheduleFree", "loss_type": "huber", "noise_offset": 0.05, "lora_plus": 4.0},
}


def trained(host: Server, pictures: Path, name: str, **settings: Any) -> training.Training:
    """Trains to a good end, which leaves the host as it was."""
    with model_state.left_alone(host):
        run = training.start(host, pictures, name, **{"learning_rate": "1e-2", "train_text_encoder": True, **settings})
        run.finished()
    return run


def tensors(run: training.Training) -> dict[str, bytes]:
    return training.tensors(Path(run.events[-1]["file"]))


def ended(host: Server, pictures: Path, name: str, **settings: Any) -> dict[str, bytes]:
    return tensors(trained(host, pictures, name, **settings))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_trains_and_draws(host: Server, pictures: Path, name: str) -> None:
    run = trained(host, pictures, name, **KINDS[name])
    plain = host.draw(PROMPT)
    assert differ(host.draw(f"{PROMPT}<lora:{name}:1>"), plain)
    assert same(host.draw(PROMPT), plain)
    print(name, run.events[-1]["seconds"], [event["message"] for event in run.of("Warned")])


def test_a_dataset_file_with_two_sizes(host: Server, pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "sets.toml"
    file.write_text("".join(f"[[datasets]]\nresolution = {size}\nbatch_size = {batch}\n  [[datasets.subsets]]\n"
                            f"  image_dir = '{pictures}'\n  num_repeats = {batch}\n"
                            for size, batch in ((64, 1), (128, 2))), "utf8")
    run = trained(host, pictures, "two sizes", images="", datasets=str(file), resolution="", batch_size=1)
    started = run.of("Started")[0]
    assert (started["batches_per_epoch"], run.events[-1]["step"]) == (6, 6)
    assert len({event["loss"] for event in run.of("Stepped")}) == 6


def test_masks_change_what_is_learned(host: Server, pictures: Path, tmp_path: Path) -> None:
    for file in pictures.glob("*.png"):
        mask = Image.new("L", (64, 64), 0)
        mask.paste(255, (0, 0, 32, 64))
        mask.save(tmp_path / file.name)
    masked = ended(host, pictures, "masked", masked_loss=True, mask_folder=str(tmp_path), train_text_encoder=False)
    assert masked != ended(host, pictures, "not masked", train_text_encoder=False)


def test_weights_in_captions(host: Server, pictures: Path, tmp_path: Path) -> None:
    """Weights act where they are asked for, are read literally elsewhere, and plain captions stay what they were."""
    plain = {weighted: ended(host, pictures, f"plain {weighted}", weighted_captions=weighted)
             for weighted in (False, True)}
    assert plain[False] == plain[True]
    shutil.copytree(pictures, tmp_path / "weighted")
    for file in (tmp_path / "weighted").glob("*.txt"):
        file.write_text("(" + file.read_text("utf8").strip() + ":1.5)", "utf8")
    marked = {weighted: ended(host, tmp_path / "weighted", f"marked {weighted}", weighted_captions=weighted)
              for weighted in (False, True)}
    assert plain[True] != marked[True] != marked[False] != plain[True]


def test_validation_stops_early_and_losses_are_listed(host: Server, pictures: Path) -> None:
    """The rate is too small to change anything, so the first measurement stays the best on every checkpoint."""
    run = trained(host, pictures, "held out", epochs=50, validation_split=0.34, validate_every_steps=1,
                  early_stopping=2, learning_rate="1e-30", train_text_encoder=False)
    measured, over = run.of("Validated"), run.of("EndedEarly")[0]
    best = min(measured[1:], key=lambda event: event["loss"])
    assert (over["best_step"], over["step"]) == (best["step"], best["step"] + 2)
    assert (host.loras / "held out-best.safetensors").is_file()
    listed = host.get(f"{PREFIX}/losses")
    assert (listed["total"], sum(band["count"] for band in listed["bands"])) == (2, run.events[-1]["step"])
    print([round(event["loss"], 4) for event in measured], over["message"])


def test_previews_before_the_first_step_and_from_a_file(host: Server, pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(f"# seen\n{PROMPT} --w 64 --h 64 --d 7 --s 4 --l 5 --ss Euler\nnight --w 64 --h 64 --d 3 --s 2\n",
                    "utf8")
    quiet = ended(host, pictures, "no previews", epochs=2)
    run = training.start(host, pictures, "previews", epochs=2, preview_file=str(file), preview_at_first=True,
                         preview_every_steps=3, learning_rate="1e-2", train_text_encoder=True)
    run.finished()
    previews = run.of("Previewed")
    assert tensors(run) == quiet
    assert [(event["step"], len(event["files"])) for event in previews] == [(0, 2), (3, 2), (6, 2)]
    with Image.open(previews[0]["files"][0]) as first, Image.open(previews[-1]["files"][0]) as last:
        assert same(first.convert("RGB"), host.draw(PROMPT))
        assert differ(first, last)


def test_the_average_is_what_is_saved(host: Server, pictures: Path) -> None:
    assert ended(host, pictures, "raw", train_text_encoder=False) != ended(
        host, pictures, "average", train_text_encoder=False, ema_decay=0.9)


def test_two_in_the_queue(host: Server, pictures: Path) -> None:
    alone = ended(host, pictures, "alone", train_text_encoder=False)
    values = dict(images=str(pictures), repeats=1, epochs=1, rank=4, alpha=2.0, seed=42, resolution="64",
                  save_precision="float", learning_rate="1e-2", train_text_encoder=False)
    numbers = [host.post(f"{PREFIX}/queue", {**values, "name": name})["number"] for name in ("first", "second")]
    host.post(f"{PREFIX}/queue/start")
    end = time.monotonic() + training.PATIENCE
    while {entry["number"]: entry["state"] for entry in _entries(host) if entry["number"] in numbers} != dict.fromkeys(
            numbers, "done"):
        if time.monotonic() > end:
            raise HostFailed(f"The queue did not end: {_entries(host)}")
        time.sleep(0.5)
    host.post(f"{PREFIX}/queue/pause")
    assert all(training.tensors(host.loras / f"{name}.safetensors") == alone for name in ("first", "second"))


def _entries(host: Server) -> list[dict[str, Any]]:
    return list(host.get(f"{PREFIX}/queue")["entries"])


def test_a_pasted_command_trains(host: Server, pictures: Path) -> None:
    command = (f"accelerate launch train_network.py --output_name pasted --train_data_dir '{pictures}' --network_dim 4 "
               "--network_alpha 2 --learning_rate 1e-2 --network_train_unet_only --max_train_steps 3 --resolution 64 "
               "--seed 42 --save_precision float --dataset_repeats 1 --network_module networks.lora")
    read = host.post(f"{PREFIX}/import", {"text": command})
    assert read["faults"] == [] and read["values"]["rank"] == 4, read
    host.post(f"{PREFIX}/start", {**read["values"], "images": str(pictures), "repeats": 1})
    run = training.Training(host, time.time())
    assert run.finished().name == "pasted.safetensors" and run.events[-1]["step"] == 3


def test_the_bucket_report(host: Server, pictures: Path) -> None:
    asked = urlencode({"folder": str(pictures), "resolution": "64", "repeats": 2})
    report = host.get(f"{PREFIX}/dataset/report?{asked}")
    print(report)
    assert len(report["rows"]) == 3 and {row["uses"] for row in report["rows"]} == {2}
