"""The commands below `lora`: every operation, its JSON, its refusals, and Ctrl+C."""
from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.cli import workbench
from lib_trainer.cli.main import main, make_parser
from lib_trainer.lora import file
from lib_trainer.workbench.forms import table
from lib_trainer.workbench.operation import Operation, Progress
from tests.workbench import stored

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
TELLING = """
import signal, sys
from lib_trainer.cli.main import main, make_parser
from lib_trainer.workbench import operation

real = operation.finish
operation.finish = lambda running, shown: real(running, lambda progress: (shown(progress), print("at", flush=True)))
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""
"""The command line in a process that prints a line at every progress, where a test can wait for it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        generator = torch.Generator().manual_seed(seed)
        stored.write(tmp_path / f"{name}.safetensors", {
            f"{layer}.{part}": torch.randn(shape, generator=generator) for layer in (stored.Q, stored.TEXT)
            for part, shape in (("lora_down.weight", (2, 32)), ("lora_up.weight", (32, 2)), ("alpha", ()))})
    return tmp_path


def run(capsys: Capture, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = main(["lora", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def change(path: Path) -> torch.Tensor:
    """What a LoRA does to one layer."""
    tensors = file.load(path).tensors
    down, up = (tensors[f"{stored.Q}.lora_{part}.weight"].double() for part in ("down", "up"))
    return up @ down * tensors[f"{stored.Q}.alpha"].double() / len(down)


def test_a_difference_and_its_sum_are_the_first_again(folder: Path, capsys: Capture) -> None:
    a, b, c, again = (folder / f"{name}.safetensors" for name in ("a", "b", "c", "again"))
    code, told = run(capsys, "difference", a, b, "--out", c.with_suffix(""))
    assert code == 0 and told["file"] == str(c) and told["rows"]
    code, _ = run(capsys, "merge", f"{c}:1", f"{b}:1", "--out", again)
    # Doubles rounded to single precision twice.
    assert code == 0 and torch.allclose(change(again), change(a), rtol=0, atol=1e-6 * float(change(a).abs().max()))
    code, told = run(capsys, "merge", f"{a}:0.5", "--out", again)
    assert code == 1 and "never overwritten" in told["errors"][0]


def test_a_merge_into_a_checkpoint(folder: Path, checkpoint: Path, capsys: Capture) -> None:
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    width = file.read_header(checkpoint)[0]["model.diffusion_model.middle_block.1.proj_in.weight"][1][0]
    lora = stored.write(folder / "mid.safetensors", {
        f"{layer}.lora_down.weight": torch.ones(1, width, 1, 1), f"{layer}.lora_up.weight": torch.ones(width, 1, 1, 1)})
    code, told = run(capsys, "merge", lora, "--checkpoint", checkpoint, "--out", folder / "new")
    assert code == 0 and Path(told["file"]).stat().st_size > 0
    code, told = run(capsys, "merge", lora, "--checkpoint", checkpoint, "--out", folder / "other", "--rank", "4")
    assert code == 1 and "--rank = '4': 'Into checkpoint' asks for no such thing" in told["errors"][0]
    code, told = run(capsys, "extract", checkpoint, folder / "new.safetensors", "--rank", "1", "--out", folder / "got")
    assert code == 0 and file.read_header(folder / "got.safetensors")[0].keys() >= {f"{layer}.lora_up.weight"}


def test_a_file_and_a_folder_are_resized(folder: Path, capsys: Capture) -> None:
    code, told = run(capsys, "resize", folder / "a.safetensors", "--rank", "1", "--out", folder / "small")
    assert code == 0 and 0 < told["retained"] <= 1
    assert file.inspect(folder / "small.safetensors")["ranks"] == {1: 2}
    code, told = run(capsys, "resize", folder, "--rank", "1", "--out", folder / "all", "--suffix=-r1")
    assert code == 0 and told["files"] == 3
    assert (folder / "all" / "a-r1.safetensors").exists()
    code, told = run(capsys, "resize", folder / "a.safetensors", "--rank", "1", "--out", folder / "q", "--suffix", "q")
    assert code == 1 and told["errors"][0].startswith("--suffix = 'q': ") and not (folder / "q.safetensors").exists()
    code, told = run(capsys, "resize", folder / "a.safetensors", "--out", folder / "none")
    assert code == 1 and told["errors"][0].startswith("--rank is not given")
    code, told = run(capsys, "resize", folder / "a.safetensors", "--rank", "0", "--dynamic", "best", "--out", "none")
    assert told["errors"] == ["--rank = 0: it must be at least 1 and at most 4096.",
                              "--dynamic = 'best': choose one of fixed, sv_ratio, cumulative, frobenius."]
    code, told = run(capsys, "merge", folder / "a.safetensors", "--rank", "4", "--out", folder / "none")
    assert code == 1 and told["errors"][0] == (
        "--rank = 4: it counts for --reduction svd only, and --reduction exact keeps every rank. Leave it out, or "
        "choose --reduction svd.")


def test_names_metadata_and_blocks_of_a_file(folder: Path, capsys: Capture) -> None:
    a = folder / "a.safetensors"
    assert run(capsys, "convert", a, "--naming", "peft", "--out", folder / "peft")[0] == 0
    assert run(capsys, "convert", folder / "peft.safetensors", "--naming", "kohya", "--out", folder / "back")[0] == 0
    assert stored.same(file.load(a).tensors, file.load(folder / "back.safetensors").tensors)
    code, told = run(capsys, "prune", a, "--blocks", "BASE")
    assert (code, told["file"], told["dropped"]) == (0, "", 1)
    assert run(capsys, "prune", a, "--blocks", "BASE", "--out", folder / "unet")[0] == 0
    code, told = run(capsys, "metadata", a)
    assert code == 0 and {row["entry"] for row in told["rows"]} >= {"ss_base_model_version"}
    code, told = run(capsys, "metadata", a, "--put", "modelspec.author=me", "--put", "wrong", "--out", folder / "mine")
    assert code == 1 and told["errors"] == ["--put: 'wrong' must be written as NAME=VALUE."]
    assert run(capsys, "metadata", a, "--put", "modelspec.author=me", "--out", folder / "mine")[0] == 0
    assert file.read_header(folder / "mine.safetensors")[1]["modelspec.author"] == "me"
    code, told = run(capsys, "inspect", folder / "peft.safetensors")
    assert code == 0 and told["naming"] == "peft" and told["hashes"]["sha256"]


def test_people_get_a_sentence_and_a_table(folder: Path, capsys: Capture) -> None:
    assert main(["lora", "resize", str(folder / "a.safetensors"), "--rank", "1", "--out", str(folder / "r1")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("r1.safetensors: ") and lines[1].split() == ["block", "layers", "ranks", "retained"]
    assert lines[2].split()[:3] == ["BASE", "1", "1"]
    many = stored.lora(stored.layers("sd1", whole=False))
    stored.write(folder / "many.safetensors", many, ss_tag_frequency="x" * 500)
    assert main(["lora", "inspect", str(folder / "many.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "layers: 264 (--json gives all of them)" in lines and max(map(len, lines)) < 600
    assert any(line.startswith("metadata: ") and line.endswith("(--json gives all of them)") for line in lines)
    assert main(["lora", "inspect", str(folder / "nobody")]) == 1
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*(name for name in table.FORMS if name != "into_checkpoint"), "difference"])
def test_help_is_a_command_lines(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["lora", command, "--help"])
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[0].startswith(f"usage: python -m lib_trainer lora {command} ") and "  " not in lines[0]
    assert lines[0].endswith("[options]") and "this one may be empty" not in told and "Write a name" not in told
    examples = lines[lines.index("examples:") + 1:]
    assert examples and all(line.startswith(f"  python -m lib_trainer lora {command} ") for line in examples)
    for line in examples:
        known = make_parser().parse_args(shlex.split(line)[3:])
        assert known.command is not None


def test_what_is_lacking_names_the_option(folder: Path, capsys: Capture) -> None:
    stored.write(folder / "nameless.safetensors", {
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(1, 32),
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(32, 1)}, "")
    code, told = run(capsys, "convert", folder / "nameless.safetensors", "--naming", "peft", "--out", folder / "p")
    assert code == 1 and told["errors"][0].endswith("Name the family. (--family sd1 or sd2 or sdxl.)")


def test_an_interrupted_operation_leaves_nothing_and_says_so(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib_trainer.workbench import resize

    real, before = resize.run, sorted(folder.iterdir())

    def interrupted(order: resize.ResizeOrder) -> Operation:
        inner = real(order)
        yield next(inner)
        try:
            raise KeyboardInterrupt
        finally:
            inner.close()
        yield Progress(1, 1, "")

    monkeypatch.setattr(resize, "run", interrupted)
    code = main(["lora", "resize", str(folder / "a.safetensors"), "--rank", "1", "--out", str(folder / "r1")])
    assert code == workbench.INTERRUPTED and capsys.readouterr().err == "Cancelled; nothing half done is left.\n"
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_a_real_command(folder: Path) -> None:
    """A merge that takes long enough for it: Ctrl+C is pressed when the first progress is told."""
    big = folder / "big.safetensors"
    stored.write(big, stored.lora(stored.layers("sd1"), rank=64))
    command = [sys.executable, "-c", TELLING, "lora", "merge", *[str(big)] * 8, "--reduction", "svd", "--rank", "8",
               "--out", str(folder / "sum")]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline().startswith("at")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode == workbench.INTERRUPTED and "Cancelled; nothing half done is left." in said
    assert sorted(path.name for path in folder.iterdir()) == ["a.safetensors", "b.safetensors", "big.safetensors"]
