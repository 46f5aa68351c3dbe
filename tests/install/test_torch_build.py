"""Which build of torch a machine gets, and in which order the places are tried."""

from __future__ import annotations

import pytest

from lib_trainer.installation import torch_build


def test_the_pin_is_one_that_a_prepared_wheel_can_serve() -> None:
    assert torch_build.pin() == "torch==2.13.0"


@pytest.mark.parametrize(
    ("cards", "build"),
    [
        ("", "cpu"),  # nvidia-smi is there, a card is not
        ("No devices were found", "cpu"),
        ("580.65.06, 8.9", "cu130"),
        ("595.10, 12.0", "cu130"),
        ("560.94, 8.6", "cu126"),  # a good card under an older driver
        ("581.15, 6.1", "cu126"),  # CUDA 13 has left Pascal behind
        ("581.15, 6.1\n581.15, 8.6", "cu130"),  # the better card of two decides
        ("470.82.01, 7.5", None),
        ("566.36, 12.0", None),  # Blackwell needs CUDA 12.8 or newer
    ],
)
def test_driver_and_card_decide(cards: str, build: str | None) -> None:
    assert torch_build.build_for(cards) == build


def places(build: str, system: str) -> list[str]:
    return [
        arguments[0] + (" from pytorch" if "--index-url" in arguments else "")
        for arguments in torch_build.attempts(build, system)
    ]


def test_on_linux_a_prepared_cpu_wheel_comes_before_any_index() -> None:
    assert places("cpu", "Linux") == ["torch==2.13.0+cpu", "torch==2.13.0+cpu from pytorch", "torch==2.13.0"]


@pytest.mark.parametrize("system", ["Windows", "Darwin"])
def test_elsewhere_the_registry_default_is_the_cpu_build(system: str) -> None:
    assert places("cpu", system) == ["torch==2.13.0"]


@pytest.mark.parametrize("system", ["Windows", "Linux"])
def test_for_a_card_pytorchs_own_index_comes_first(system: str) -> None:
    assert places("cu126", system) == ["torch==2.13.0+cu126 from pytorch", "torch==2.13.0"]
    assert torch_build.attempts("cu126", system)[0][2] == "https://download.pytorch.org/whl/cu126"
