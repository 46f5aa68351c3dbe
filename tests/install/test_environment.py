"""Which parts of `.venv` are made anew, and when nothing is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lib_trainer.installation import environment, torch_build
from lib_trainer.installation.processes import PINS, Stop


@pytest.fixture(autouse=True)
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "installed.json"
    monkeypatch.setattr(environment, "STAMP", path)
    return path


def test_a_finished_environment_misses_nothing() -> None:
    wanted = environment.wanted_parts("cpu", with_tests=True)
    assert environment.missing_parts(dict(wanted), wanted) == []


def test_the_parts_come_in_the_order_they_need_each_other() -> None:
    wanted = environment.wanted_parts("cpu", with_tests=True)
    assert environment.missing_parts({}, wanted) == ["python", "embedded", "torch", "dev"]


def test_the_page_does_not_need_the_test_tools() -> None:
    assert "dev" not in environment.wanted_parts("cpu", with_tests=False)


def test_an_interrupted_set_up_goes_on_where_it_stopped() -> None:
    wanted = environment.wanted_parts("cpu", with_tests=True)
    done = {part: wanted[part] for part in ("python", "embedded")}
    assert environment.missing_parts(done, wanted) == ["torch", "dev"]


def test_another_python_version_makes_everything_anew() -> None:
    wanted = environment.wanted_parts("cpu", with_tests=True)
    assert environment.missing_parts({**wanted, "python": "3.9 x86_64"}, wanted) == list(wanted)


def test_changed_pins_bring_only_their_part_up_to_date() -> None:
    wanted = environment.wanted_parts("cpu", with_tests=True)
    assert environment.missing_parts({**wanted, "embedded": "an older hash"}, wanted) == ["embedded"]


def test_after_run_the_tests_add_only_their_tools() -> None:
    done = environment.wanted_parts("cpu", with_tests=False)
    assert environment.missing_parts(done, environment.wanted_parts("cpu", with_tests=True)) == ["dev"]


def test_a_cuda_build_stays_though_no_card_answers_now() -> None:
    assert environment.build_to_use({"torch": f"{torch_build.pin()} cu130"}) == "cu130"


def test_a_new_torch_pin_asks_the_machine_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi there
    assert environment.build_to_use({"torch": "torch==1.0 cu130"}) == "cpu"
    assert environment.build_to_use({}) == "cpu"


@pytest.mark.parametrize("content", ["", "{half a no", "[1, 2]", "null"])
def test_an_unreadable_note_means_nothing_is_there(stamp: Path, content: str) -> None:
    stamp.write_text(content)
    assert environment.read_stamp() == {}


def test_the_note_is_read_back(stamp: Path) -> None:
    stamp.write_text(json.dumps({"python": "3.11 x86_64"}))
    assert environment.read_stamp() == {"python": "3.11 x86_64"}


def test_line_ends_of_the_checkout_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(PINS, tmp_path / "pins")
    crlf = (PINS / "embedded.txt").read_text(encoding="utf-8").replace("\n", "\r\n")
    (tmp_path / "pins" / "embedded.txt").write_bytes(crlf.encode())
    before = environment.digest("embedded")
    monkeypatch.setattr(environment, "PINS", tmp_path / "pins")
    assert environment.digest("embedded") == before


def test_too_little_room_is_told_before_anything_is_downloaded() -> None:
    with pytest.raises(Stop, match=r"GB are free at .*; 1000000000\.0 GB are needed"):
        environment.require_space(1e9)


@pytest.mark.parametrize("part", ["python", "embedded", "torch", "dev"])
def test_every_part_has_its_line_of_progress(part: str) -> None:
    assert environment.describe(part, environment.wanted_parts("cu130", with_tests=True)).endswith("...")
