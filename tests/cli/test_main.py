"""The command line: the contract other tools rely on."""
from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.cli.main import main
from lib_trainer.lora import file

ROOT = Path(__file__).parents[2]
KEYS = ["lora_te_text_model_encoder_layers_0_mlp_fc1",
        "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_attn1_to_q",
        "lora_unet_down_blocks_0_attentions_0_proj_in"]


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lib_trainer", *map(str, arguments)], cwd=cwd, text=True,
                          capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(KEYS))
    return path


@pytest.fixture
def config(tmp_path: Path, pictures: Path) -> Path:
    path = tmp_path / "zko.toml"
    path.write_text(f'[general]\nname = "zko"\nimages = {json.dumps(str(pictures))}\n'
                    "[training]\nrank = 2\nepochs = 1\nrepeats = 1\n", encoding="utf8")
    return path


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    code = main(["blocks", "explain", "--arch", "sd15", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_explain(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = explained(capsys, "--prompt", "a <lora:zko:0.8:NCNF>", "--keys", f"zko={keys}")
    assert code == 0 and answer["errors"] == []
    assert answer["loras"]["zko"] == pytest.approx(dict(zip(KEYS, (0.8, 0.0, 0.8), strict=True)))


def test_explain_reads_tensor_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps({f"{KEYS[0]}.{part}": [1] for part in ("alpha", "lora_down.weight", "lora_up.weight")}))
    _, answer = explained(capsys, "--prompt", "<lora:zko:0.5>", "--keys", f"zko={path}")
    assert answer["loras"] == {"zko": {KEYS[0]: 0.5}}


def test_explain_reads_lora_and_presets_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    lora, presets = tmp_path / "zko.safetensors", tmp_path / "presets.txt"
    file.save(lora, {f"{KEYS[0]}.alpha": torch.tensor(1.0)}, {})
    presets.write_text("MINE:" + ",".join(["0.5"] * 17))
    files = ("--lora", f"zko={lora}", "--presets", str(presets))
    code, answer = explained(capsys, "--prompt", "<lora:zko:1:MINE>", *files)
    assert (code, answer["loras"]) == (0, {"zko": {KEYS[0]: 0.5}})


def test_explain_reads_elemental_rules(keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("MINE::proj_in:0.5", "utf-8")
    prompt = ("--prompt", "<lora:zko:0.8:lbwe=MINE>", "--keys", f"zko={keys}")
    code, answer = explained(capsys, *prompt, "--elemental", str(rules))
    assert (code, answer["details"][0]["rules"]) == (0, ["/proj_in@0.5"])
    assert answer["loras"]["zko"] == pytest.approx({key: 0.4 if "proj_in" in key else 0.8 for key in KEYS})
    assert explained(capsys, *prompt)[0] == 1  # the shipped rules have no such ID


def test_explain_draws_from_a_seed(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = ("--prompt", "<lora:zko:1:lbw=R>", "--keys", f"zko={keys}")
    answers = [explained(capsys, *prompt, "--seed", seed)[1]["loras"]["zko"] for seed in ("1", "1", "2")]
    assert answers[0] == answers[1] != answers[2]


@pytest.mark.parametrize(("weights", "length", "answer", "told"), [
    ("NCNF", "12", "1,1,1,1,1,1,0,0,0,1,1,1", ""),
    ("1" + ",0.5" * 25, "20", "1" + ",0.5" * 19, "IN09, IN10, IN11, OUT00, OUT01, OUT02"),
    ("SDXL-MID", "17", "1,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0", ""), ("X" + ",R" * 11, "12", "X" + ",R" * 11, ""),
    ("0.5" + ",1" * 16, "25", "0,1,1,0,1,1,0,1,1,0,0,0,1,0,0,0,1,1,1,1,1,1,1,1,1", "BASE"),
])
def test_convert(weights: str, length: str, answer: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blocks", "convert", weights, "--to", length]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{answer}\n"
    assert told in printed.err and bool(told) == bool(printed.err)


@pytest.mark.parametrize("weights", ["NOPE", "0.5", "ALL,MID@0", "1,1", "FLUXALL"])
def test_what_cannot_be_converted_is_quoted(weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blocks", "convert", weights, "--to", "12"]) == 1
    assert f"'{weights}'" in capsys.readouterr().err


def test_explain_prints_json_with_exit_code_1(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = explained(capsys, "--prompt", "<lora:zko:1:NFNC>", "--keys", f"zko={keys}")
    assert code == 1 and answer["loras"]["zko"][KEYS[0]] == 1.0
    assert any("NFNC" in sentence for sentence in answer["errors"])


def test_explain_is_light_and_quick(keys: Path, tmp_path: Path) -> None:
    """Without torch; the time is what Python itself took, and the best of three, since the machine may be busy."""
    command = ["blocks", "explain", "--prompt", "<lora:zko:1:NCNF>", "--arch", "sd15", "--keys", f"zko={keys}"]
    code = (f"import sys, time; from lib_trainer.cli.main import main; main({command!r});"
            "print(time.process_time(), *sys.modules, file=sys.stderr)")

    def seconds() -> float:
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
        taken, *modules = done.stderr.split()
        assert not {"torch", "numpy", "PIL", "transformers", "safetensors", "gradio", "fastapi"} & set(modules)
        return float(taken)

    assert any(seconds() < 0.3 for _ in range(3))


@pytest.mark.parametrize("command", [
    ["blocks", "explain", "--prompt", "x", "--arch", "sd15", "--lora", "zko=none.safetensors"],
    ["blocks", "explain", "--prompt", "x", "--arch", "sd15", "--keys", "zko=none.json", "--presets", "none.txt"],
    ["lora", "inspect", "none.safetensors"],
])
def test_json_is_printed_for_files_that_are_not_there(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["errors"] == [captured.err.strip()]


@pytest.mark.parametrize(("arguments", "part"), [
    (["blocks", "explain", "--prompt", "x", "--arch", "sd15"], "--lora NAME=FILE or --keys"),
    (["blocks", "explain", "--prompt", "x", "--arch", "sd3"], "sd3"),
    (["blocks", "explain", "--prompt", "x", "--arch", "sd15", "--keys", "nothing"], "NAME=VALUE"),
    (["blocks", "explain", "--prompt", "x", "--arch", "sd15", "--keys", "a=none.json"], "none.json"),
    (["lora", "inspect", "none.safetensors"], "none.safetensors"),
    (["lora", "bake", "none.safetensors", "--out", "new.safetensors"], "none.safetensors"),
    (["lora", "bake", "none.safetensors"], "--out"),
    (["train", "none.toml"], "none.toml"),
    (["generate", "--prompt", "x"], "--out"),
    (["nothing"], "nothing"),
    ([], "COMMAND"),
])
def test_mistakes_are_sentences(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert part in captured.err and "Traceback" not in captured.err


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    path = tmp_path / "zko.safetensors"
    tensors = {f"{KEYS[0]}.alpha": torch.tensor(1.0), f"{KEYS[0]}.lora_down.weight": torch.zeros(2, 8),
               f"{KEYS[0]}.lora_up.weight": torch.zeros(8, 2)}
    file.save(path, tensors, {"ss_comment": "ずんだ"})
    assert main(["lora", "inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["algorithm"] == "lora"
    assert main(["lora", "inspect", str(path)]) == 0
    assert "algorithm" in capsys.readouterr().out


def test_bake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    path, out, presets = tmp_path / "zko.safetensors", tmp_path / "half.safetensors", tmp_path / "presets.txt"
    tensors = {f"{key}.lora_{part}.weight": torch.ones(8, 8) for key in KEYS for part in ("down", "up")}
    file.save(path, tensors, {"ss_base_model_version": "sd_v1"})
    presets.write_text("MINE:" + ",".join(["0.5"] * 16) + ",0")
    command = ["lora", "bake", str(path), "--presets", str(presets), "--out", str(out.with_suffix(""))]
    assert main([*command, "--weights", "1:lbw=MINE", "--te", "1.0", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["file"], answer["scaled"], answer["dropped"]) == (str(out), 2, 1)
    assert torch.equal(file.load(out).tensors[f"{KEYS[0]}.lora_up.weight"], torch.full((8, 8), 0.5))
    assert main([*command, "--weights", "1"]) == 1
    assert "never overwritten" in capsys.readouterr().err


def test_train_and_generate(
    tmp_path: Path, config: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["train", str(config), "--model", str(checkpoint), "--json", "--set", "network_dim=3", "--set",
                     "alpha=2", "--loras-dir", "my loras"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0 and events[-1]["kind"] == "Finished" and events[-1]["tag"] == "<lora:zko:1>"
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    started = next(event for event in events if event["kind"] == "Started")
    assert (started["config"]["rank"], started["config"]["alpha"]) == (3, 2.0)
    assert sorted(path.name for path in (tmp_path / "my loras").iterdir()) == ["zko.json", "zko.safetensors"]

    draw = ["generate", "--model", str(checkpoint), "--prompt", "zko <lora:zko:1:NOPE>", "--steps", "2", "--seed", "5",
            "--loras-dir", "my loras", "--out", "out/zko.png"]
    assert main(draw) == 0
    assert "NOPE" in capsys.readouterr().err
    assert "Seed: 5" in Image.open(tmp_path / "out" / "zko.png").text["parameters"]  # type: ignore[attr-defined]
    assert main(draw) == 1
    assert "not overwritten" in capsys.readouterr().err


def test_train_prints_lines_for_people(
    tmp_path: Path, config: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(config), "--model", str(checkpoint)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("steps: 100% 3/3 [") for line in lines)
    assert lines[-1].endswith("write <lora:zko:1> in the prompt, with zko")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "loras", "models", "outputs", "pictures (1)"]


def test_train_says_where_the_pictures_of_a_slider_are(
    tmp_path: Path, config: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = ["method=ileco", "concepts=hat", "steps=1", "slider_strengths=-1, 1", "slider_seeds=3", "preview_steps=1",
               "preview_width=64", "preview_height=64"]
    settings = [part for change in changes for part in ("--set", change)]
    assert main(["train", str(config), "--model", str(checkpoint), *settings]) == 0
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("2 pictures of the result"))
    said, _, file = told.partition(": ")
    assert said == "2 pictures of the result at the strengths -1, 1" and Path(file).name == "strengths.png"
    assert Path(file).is_file() and len(list((Path(file).parent / "strengths").iterdir())) == 2


def test_train_tells_all_faults_at_once_also_as_json(
    tmp_path: Path, config: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["train", str(config), "--model", str(checkpoint), "--json", "--set", "rank=0", "--set",
                     "learning_rate=abc", "--set", "images=nowhere"])
    captured = capsys.readouterr()
    failed = json.loads(captured.out)
    assert code == 1 and failed["kind"] == "Failed" and failed["user"] and len(failed["problems"]) == 3
    assert captured.err.strip().splitlines() == failed["problems"]


class _Rival(io.StringIO):
    """A stdout whose reader writes a file of the LoRA's name as soon as the training has started."""

    def write(self, text: str) -> int:
        if '"Started"' in text:
            Path("loras/zko.safetensors").write_text("another program was quicker")
        return super().write(text)


def test_a_training_that_cannot_save_ends_with_1(
    tmp_path: Path, config: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is there to press Continue, so it must not wait."""
    monkeypatch.chdir(tmp_path)
    stdout = _Rival()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["train", str(config), "--model", str(checkpoint), "--json", "--set", "steps=20"]) == 1
    assert [json.loads(line)["kind"] for line in stdout.getvalue().splitlines()][-2:] == ["Paused", "Failed"]
    assert "never overwritten" in capsys.readouterr().err
    assert Path("loras/zko.safetensors").read_text() == "another program was quicker"


def test_exit_code_2_is_a_bug_of_ours(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import json\ndef fail(*a, **k): raise ZeroDivisionError('a bug')\njson.loads = fail\n")
    (tmp_path / "keys.json").write_text("[]")
    done = subprocess.run(
        [sys.executable, "-m", "lib_trainer", "blocks", "explain", "--prompt", "x", "--arch", "sd15", "--keys",
         "a=keys.json"], cwd=tmp_path, text=True, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])})
    assert done.returncode == 2 and "ZeroDivisionError: a bug" in done.stderr


def test_the_module_exits_with_the_codes(tmp_path: Path, keys: Path) -> None:
    explain = ("blocks", "explain", "--arch", "sd15", "--keys", f"zko={keys}", "--json", "--prompt")
    assert run(*explain, "<lora:zko:1>", cwd=tmp_path).returncode == 0
    wrong = run(*explain, "<lora:zko:1:NOPE>", cwd=tmp_path)
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["errors"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("sign", ["SIGKILL", "SIGINT"])
def test_killed_and_interrupted(tmp_path: Path, config: Path, checkpoint: Path, sign: str) -> None:
    """Killed while it saves after every step, no half file is left; interrupted, it saves and ends well."""
    command = [sys.executable, "-m", "lib_trainer", "train", str(config), "--model", str(checkpoint), "--json", "--set",
               "epochs=1000", "--set", "save_every_steps=1"]
    # A shell starts background jobs with SIGINT ignored, and children inherit that: a person's terminal does not.
    with subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": str(ROOT)},
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        assert process.stdout
        saved = 0
        for line in process.stdout:
            saved += '"Saved"' in line
            if saved == 3:
                process.send_signal(getattr(signal, sign))
                break
        rest = process.stdout.read()
    files = sorted((tmp_path / "loras").glob("*.safetensors"))
    assert len(files) >= 3
    for path in files:
        assert file.load(path).tensors
    if sign == "SIGINT":
        assert process.returncode == 0
        last = json.loads(rest.splitlines()[-1])
        assert last["kind"] == "Finished" and last["stopped"] and Path(last["file"]).exists()
