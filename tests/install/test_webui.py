"""Inside a WebUI: only what is missing is added, and pip is tied to all that is there."""

from __future__ import annotations

from lib_trainer.installation import webui
from lib_trainer.installation.processes import PINS

TEXT = '# a comment\npytorch-optimizer==4.1.0\n\nsafetensors==0.8.0  # why\ntomli==2.5.0; python_version < "3.11"\n'


def test_a_package_that_is_there_in_any_version_is_left_alone() -> None:
    assert webui.missing_pins(TEXT, {"safetensors": "0.3.1", "tomli": "1.0"}, (3, 10)) == ["pytorch-optimizer==4.1.0"]


def test_names_are_compared_as_the_index_does() -> None:
    assert webui.missing_pins("pytorch_optimizer==4.1.0", {webui.normal("PyTorch.Optimizer"): "3.0"}) == []


def test_tomli_is_for_python_3_10_only() -> None:
    assert webui.missing_pins(TEXT, {"pytorch-optimizer": "4", "safetensors": "1"}, (3, 10)) == ["tomli==2.5.0"]
    assert webui.missing_pins(TEXT, {"pytorch-optimizer": "4", "safetensors": "1"}, (3, 11)) == []


def test_our_own_file_knows_no_other_marker() -> None:
    lines = (PINS / "webui.txt").read_text(encoding="utf-8").splitlines()
    markers = {line.partition(";")[2].strip() for line in lines if not line.startswith("#")}
    assert markers <= {"", 'python_version < "3.11"'}


def test_every_installed_package_becomes_a_constraint() -> None:
    installed = {"torch": "2.1.2+cu121", "numpy": "1.26.2", "odd": "unknown", "gradio": "3.41.2"}
    assert webui.constraints_text(installed) == "gradio==3.41.2\nnumpy==1.26.2\ntorch==2.1.2+cu121\n"


def test_the_packages_of_this_environment_are_seen() -> None:
    assert {"torch", "pytest", "pytorch-optimizer"} <= set(webui.installed_versions())
