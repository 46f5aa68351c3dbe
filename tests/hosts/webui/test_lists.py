"""The host's folders and lists as the program's command line and files say."""
from __future__ import annotations

from pathlib import Path

import pytest

from lib_trainer.errors import UserError
from lib_trainer.hosts.webui import checkpoints, program
from lib_trainer.hosts.webui.host import WebUIHost
from tests.hosts import doubles
from tests.hosts.webui.conftest import Person
from tests.hosts.webui.embedded import EmbeddedBackend


def test_folders_are_the_hosts(person: Person, host: WebUIHost, tmp_path: Path) -> None:
    paths = host.paths
    assert (paths.loras, paths.outputs) == (tmp_path / "models" / "Lora", tmp_path / "outputs")
    assert (paths.settings, paths.cache) == (tmp_path / "lora-trainer", tmp_path / "lora-trainer" / "cache")
    assert all(folder.is_dir() for folder in (paths.loras, paths.outputs, paths.settings, paths.cache))
    assert paths.checkpoints == tmp_path / "models" / "Stable-diffusion"


def test_options_of_ours_move_folders(person: Person, tmp_path: Path) -> None:
    from modules.shared import cmd_opts

    cmd_opts.lora_trainer_settings_dir = str(tmp_path / "s")
    cmd_opts.lora_trainer_cache_dir = str(tmp_path / "c")
    cmd_opts.lora_trainer_outputs_dir = None
    paths = WebUIHost(EmbeddedBackend()).paths
    assert (paths.settings, paths.cache, paths.outputs) == (tmp_path / "s", tmp_path / "c", tmp_path / "outputs")


def test_a_folder_that_cannot_be_made_is_told(person: Person, tmp_path: Path) -> None:
    from modules.shared import cmd_opts

    (tmp_path / "file").write_text("in the way", encoding="utf8")
    cmd_opts.lora_trainer_cache_dir = str(tmp_path / "file" / "cache")
    with pytest.raises(UserError, match=r"file/cache cannot be made .*--lora-trainer-"):
        _ = WebUIHost(EmbeddedBackend()).paths


def test_a_saved_lora_is_listed_and_what_was_known_of_it_dropped(person: Person, host: WebUIHost) -> None:
    import networks

    file = host.paths.loras / "zunko.safetensors"
    file.write_bytes(b"")
    assert "zunko" not in networks.available_networks
    host.lora_saved(file)
    assert "zunko" in networks.available_networks
    assert isinstance(host.backend, EmbeddedBackend) and host.backend.forgotten == [file]


def test_a_saved_checkpoint_is_listed(person: Person, host: WebUIHost) -> None:
    from modules import sd_models

    file = Path(sd_models.model_path) / "merged.safetensors"
    file.write_bytes(person.files[0].read_bytes())
    try:
        assert file not in host.checkpoints()
        host.checkpoint_saved(file)
        assert file in host.checkpoints()
    finally:
        file.unlink()
        host.checkpoint_saved(file)


def test_the_selected_checkpoint_is_the_persons(person: Person) -> None:
    from modules.shared import opts

    assert checkpoints.selected() == person.files[0]
    opts.sd_model_checkpoint = "gone.safetensors"
    assert checkpoints.selected() is None


@pytest.mark.parametrize("name", ["a1111", "forge", "reforge"])
def test_the_program_is_known_by_its_folders(name: str, tmp_path: Path) -> None:
    with doubles.installed(name, tmp_path):
        from modules import paths_internal

        root = tmp_path / name
        root.mkdir()
        for folder in {"forge": ("backend",), "reforge": ("backend", "ldm_patched")}.get(name, ()):
            (root / folder).mkdir()
        paths_internal.script_path = str(root)
        assert program.running() == name
