"""pip's complaints become sentences that say what to do."""

from __future__ import annotations

import sys

import pytest

from lib_trainer.installation import processes


@pytest.mark.parametrize(
    ("complaint", "remedy"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "Free some space"),
        (
            "WARNING: Retrying: NewConnectionError('<x>: Failed to establish a new connection: [Errno -3] Temporary "
            "failure in name resolution')\nERROR: No matching distribution found for accelerate==0.31.0",
            "needs the internet",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "certificate"),
        ("ERROR: [WinError 5] Access is denied: 'C:\\\\x\\\\.venv\\\\torch.dll'", "Close a page"),
        ("ERROR: No matching distribution found for torch==2.13.0", "64-bit Python 3.11"),
    ],
)
def test_known_faults_are_told_with_their_remedy(complaint: str, remedy: str) -> None:
    told = processes.explained(complaint, "installing torch")
    assert remedy in told
    assert processes.last_line(complaint) in told


def test_an_unknown_fault_is_told_in_pips_own_words() -> None:
    assert (
        processes.explained("x\nERROR: something odd\n\n", "installing y")
        == "installing y failed: ERROR: something odd"
    )


def test_another_pythons_packages_are_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    environment = processes.clean_environment()
    assert "PYTHONPATH" not in environment
    assert environment["HTTPS_PROXY"] == "http://proxy:1"


def test_a_program_that_is_not_there_answers_nothing() -> None:
    assert processes.answer(["surely-no-such-program"]) == ""
    assert processes.answer([sys.executable, "-c", "raise SystemExit(3)"]) == ""
    assert processes.answer([sys.executable, "-c", "print('yes')"]) == "yes"


def test_the_exit_code_of_the_page_is_ours() -> None:
    assert processes.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7
