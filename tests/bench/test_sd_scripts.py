"""The comparison with sd-scripts, with a small program in its place that speaks as its progress bar does."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lib_trainer.bench import sd_scripts
from lib_trainer.errors import UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.jobs import Jobs

PROGRAM = """
import sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert options["--network_dim"] == "8" and options["--mixed_precision"] == "no", options
steps = int(options["--max_train_steps"])
sys.stderr.write("loading\\n")
for step in range(steps + 1):
    sys.stderr.write(f"\\rsteps:  {100 * step // steps}%|##| {step}/{steps} [00:00<00:00, avr_loss=0.1]")
    sys.stderr.flush()
"""


def _rival(folder: Path, program: str) -> sd_scripts.Rival:
    folder.mkdir()
    (folder / "train_network.py").write_text(program, encoding="utf8")
    return sd_scripts.Rival(folder, Path(sys.executable))


def test_both_sides_are_measured(host: StandaloneHost, checkpoint: Path, tmp_path: Path) -> None:
    recipe = sd_scripts.Recipe(checkpoint, size=64, steps=5, rounds=1)
    told: list[str] = []
    found = sd_scripts.compare(Jobs(host), _rival(tmp_path / "rival", PROGRAM), recipe, told.append).to_json()
    for figure in ("first_step", "step", "processor"):
        assert found[figure].keys() == {"ours", "sd_scripts"}
    ratio = found["first_step"]["sd_scripts"] / found["first_step"]["ours"]
    assert found["sd_scripts_over_ours"]["first_step"] == pytest.approx(ratio)
    assert len(told) == 1 and "sd_scripts" in told[0]


def test_what_the_other_program_said_is_quoted(host: StandaloneHost, checkpoint: Path, tmp_path: Path) -> None:
    recipe = sd_scripts.Recipe(checkpoint, size=64, steps=5, rounds=1)
    rival = _rival(tmp_path / "rival", "raise SystemExit('no such optimiser')")
    with pytest.raises(UserError, match=r"code 1 after 0 of 5 steps: .*no such optimiser"):
        sd_scripts.compare(Jobs(host), rival, recipe, print)


def test_a_folder_without_it_is_told(host: StandaloneHost, checkpoint: Path, tmp_path: Path) -> None:
    rival = sd_scripts.Rival(tmp_path, Path(sys.executable))
    with pytest.raises(UserError, match=r"no train_network\.py"):
        sd_scripts.compare(Jobs(host), rival, sd_scripts.Recipe(checkpoint), print)
