"""Commands as people paste them."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.training.interchange import command, shell
from lib_trainer.training.interchange.catalogue import OPTIONS

BASH = r"""
# activate first
source venv/bin/activate
accelerate launch --num_cpu_threads_per_process 1 train_network.py \
    --pretrained_model_name_or_path="/models/a b.safetensors" \
    --network_args conv_dim=8 "conv_alpha=4" \
    --optimizer_args "betas=0.9,0.999" weight_decay=0.01 \
    --text_encoder_lr 5e-5 1e-5 --train_data=/data/x --reso 512,512 \
    --learning_rate=-1 --cache_latents   # the rest as it is
"""
POWERSHELL = """
PS C:\\sd-scripts> accelerate launch --num_cpu_threads_per_process 1 .\\train_network.py `
    --pretrained_model_name_or_path="C:\\models\\a b.safetensors" `
    --output_name='it''s' `
    --cache_latents --network_args "conv_dim=8"
"""
CMD = """
@echo off
rem train
set NAME=zunko
accelerate launch train_network.py ^
  --output_name %NAME% ^
  --train_data_dir "C:\\my pictures\\x" ^
  --save_every_n_epochs=1
pause
"""
EXPECTED = {
    BASH: {"pretrained_model_name_or_path": "/models/a b.safetensors", "network_args": ["conv_dim=8", "conv_alpha=4"],
           "optimizer_args": ["betas=0.9,0.999", "weight_decay=0.01"], "text_encoder_lr": ["5e-5", "1e-5"],
           "train_data_dir": "/data/x", "resolution": "512,512", "learning_rate": "-1", "cache_latents": True},
    POWERSHELL: {"pretrained_model_name_or_path": "C:\\models\\a b.safetensors", "output_name": "it's",
                 "cache_latents": True, "network_args": ["conv_dim=8"]},
    CMD: {"output_name": "zunko", "train_data_dir": "C:\\my pictures\\x", "save_every_n_epochs": "1"},
    'train_network.py --output_dir D:\\loras --v2': {"output_dir": "D:\\loras", "v2": True},
    # Where the ends of lines have lost their marks.
    "accelerate launch train_network.py\n--output_name x\n--v2": {"output_name": "x", "v2": True},
    '$name = "zunko"\naccelerate launch ./sd-scripts/train_network.py --output_name=$name': {"output_name": "zunko"},
    "--output_name x --network_dim 8": {"output_name": "x", "network_dim": "8"},
    "python train_network.py --seed 1 --seed 2": {"seed": "2"},  # argparse: the last one counts
}


@pytest.mark.parametrize(("text", "values"), EXPECTED.items(), ids=range(len(EXPECTED)))
def test_options_are_found(text: str, values: dict[str, Any]) -> None:
    found = command.read(text)
    assert found.faults == [] and found.values == values


@pytest.mark.parametrize(("text", "sdxl"), [
    ("accelerate launch sdxl_train_network.py --seed 1", True), ("python train_network.py --seed 1", False),
    ("--seed 1", None), ("C:\\sd-scripts\\venv\\Scripts\\python.exe .\\sdxl_train_network.py --seed 1", True),
])
def test_the_script_tells_the_family(text: str, sdxl: bool | None) -> None:
    assert command.read(text).sdxl is sdxl


@pytest.mark.parametrize(("text", "said"), [
    ("flux_train_network.py --seed 1", "flux_train_network.py: only LoRAs of SD 1, SD 2 and SDXL"),
    ("train_db.py --seed 1", "train_db.py: only LoRAs"),
    ("train_network.py --network_dimm 1", "--network_dimm is not an option of sd-scripts' LoRA trainers: did you mean "
     "--network_dim?"),
    ("train_network.py --save 1", "did you mean --save_precision or --save_every_n_epochs or"),
    ("train_network.py --v2 true", "--v2 true: it is a switch and takes no value"),
    ("train_network.py --v2=true", "--v2 true: it is a switch"),
    ("train_network.py --output_name a b", "--output_name a b: it takes one value, not 2"),
    ("train_network.py --output_name", "--output_name: it takes one value, not 0"),
    ("train_network.py --output_name $x", "--output_name $x: $x is a name of the script; write its value"),
])
def test_what_cannot_be_understood_is_told(text: str, said: str) -> None:
    assert any(said in fault for fault in command.read(text).faults)


@pytest.mark.parametrize(("text", "said"), [
    ("train_network.py --seed 1\ntrain_network.py --seed 2", "holds 2 training commands"),
    ('train_network.py --output_name "x', "mend its quotation marks"),
])
def test_a_text_that_is_no_command(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        command.read(text)


def test_options_of_accelerate_are_named() -> None:
    (told,) = command.read("accelerate launch --multi_gpu --num_processes=2 train_network.py --seed 1").told
    assert "--multi_gpu" in told and "accelerate launch -m lib_trainer train" in told


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters='"%!^&|<>$`\''), min_size=1,
                max_size=12).map(str.strip).filter(lambda word: word and not word.startswith("-")
                                                   and not word.endswith("\\"))
OF_KIND = {"flag": st.just(True), "int": st.integers(0, 9999).map(str), "float": st.just("0.5"), "steps": st.just("10")}


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(OPTIONS)), unique=True, max_size=6))
    return {name: draw(st.lists(WORDS, min_size=1, max_size=3) if OPTIONS[name].several
                       else OF_KIND.get(OPTIONS[name].kind, WORDS)) for name in chosen}


@pytest.mark.parametrize("kind", shell.ENDINGS)
@given(values=options())
def test_what_is_written_is_read(kind: str, values: dict[str, Any]) -> None:
    text = command.write(values, False, kind)
    assert shell.kind_of(text) == kind or not values
    found = command.read(text)
    assert found.faults == [] and found.values == values
