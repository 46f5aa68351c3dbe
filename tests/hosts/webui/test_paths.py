"""Folders of a WebUI: where the LoRA Block Weight extension keeps its presets."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.hosts.webui import paths
from tests.hosts.webui.conftest import Person


def test_the_peers_folders_are_found_under_any_name(person: Person) -> None:
    from modules import paths_internal

    extension = Path(paths_internal.extensions_dir) / "lbw-renamed" / "scripts"
    extension.mkdir(parents=True)
    found = paths.peer_scripts()
    assert extension in found
    assert found[-1] == Path(paths_internal.script_path) / "scripts"
