"""The command `losses`: the last training of a name, as JSON or as a table."""
from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from lib_trainer.cli.main import main
from lib_trainer.data.item import Item
from lib_trainer.data.subsets import Subset
from lib_trainer.training.statistics import losses_file
from lib_trainer.training.statistics.watch import Seen, Watch


def written(folder: Path, step: int) -> None:
    """The losses of two pictures, the second of which stands out; the third was never used."""
    folder.mkdir(parents=True)
    watched = Watch([Item(Subset("zko"), f"{name}.png", f"tag {name}", 64, 64, True) for name in "abc"])
    watched.see(Seen(["images/a.png", "images/b.png"], [500, 500], [0.1, 0.3]))
    losses_file.write(folder, step, watched.bands, watched.pictures)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    for number, name in enumerate(("zko", "zko-2", "zko-other")):
        written(tmp_path / "train-lora" / name, number)
        os.utime(tmp_path / "train-lora" / name / losses_file.NAME, (number, number))
    return tmp_path


def test_json(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "zko-2", "--outputs-dir", str(outputs)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["step"] == 1 and [one["caption"] for one in found["pictures"]] == ["tag b", "tag a"]
    assert [one["loss"] for one in found["pictures"]] == [1.5, 0.5]
    assert [(band["first"], band["count"]) for band in found["bands"]] == [(500, 2)]


def test_the_last_run_of_a_name_as_a_table(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "zko", "--csv", "--outputs-dir", str(outputs)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["caption"] for row in rows] == ["tag b", "tag a"]


def test_a_folder(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", str(outputs / "train-lora" / "zko-other")]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 2


def test_no_such_training(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "nobody", "--outputs-dir", str(outputs)]) == 1
    assert "There is no training 'nobody'" in capsys.readouterr().err
