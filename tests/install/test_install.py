"""The two commands as a person types them: what is printed, which exit code, which Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import install

ROOT = Path(__file__).parent.parent.parent


def typed(*arguments: str, module_path: str = "") -> subprocess.CompletedProcess[str]:
    """Runs install.py in a process of its own, as a shell does."""
    command = [sys.executable, str(ROOT / "install.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": module_path}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_bare_outside_a_webui_it_tells_its_usage() -> None:
    done = typed()
    assert done.returncode == 2
    assert "python install.py run" in done.stdout
    assert "python install.py test" in done.stdout


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["run", "--help"], ["test", "-h"]])
def test_asked_for_help_it_installs_nothing(arguments: list[str]) -> None:
    done = typed(*arguments)
    assert done.returncode == 0
    assert "--models-dir" in done.stdout


def test_an_unknown_command_gets_the_usage_and_exit_code_2() -> None:
    done = typed("launch")
    assert done.returncode == 2
    assert "python install.py run" in done.stdout


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12)])
def test_a_supported_python_is_used_itself(version: tuple[int, int]) -> None:
    assert install.other_python(version) is None


@pytest.mark.skipif(os.name == "nt", reason="puts shell scripts on the PATH")
def test_another_python_is_found_when_this_one_is_too_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shim that only complains must be passed over: pyenv leaves one for every version it could switch to.
    program(tmp_path / "python3.11", "echo 'not set up' >&2; exit 127")
    program(tmp_path / "python3.12", "echo 3.12")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.other_python((3, 13)) == ["python3.12"]


@pytest.mark.skipif(os.name == "nt", reason="Windows may have the py launcher outside the PATH")
def test_without_a_supported_python_it_says_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(install.Stop, match=r"Python 3\.9 .*Install Python 3\.11"):
        install.other_python((3, 9))


def test_inside_a_webui_with_everything_there_it_is_silent(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "launch.py").write_text("raise SystemExit('must not be imported')")
    (tmp_path / "modules" / "launch_utils.py").write_text("")
    done = typed(module_path=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_package_called_launch_is_not_yet_a_webui(tmp_path: Path) -> None:
    (tmp_path / "launch.py").write_text("")
    assert typed(module_path=str(tmp_path)).returncode == 2


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
