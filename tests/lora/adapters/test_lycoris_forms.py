"""The package that some kinds' mathematics come from: not imported before it is needed, and what is told without it."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.lora.adapters import lycoris_forms
from lib_trainer.training import check
from tests.conftest import Settings
from tests.lora.adapters import trained


@pytest.fixture
def without_lycoris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment that lacks the package."""
    for name in [name for name in sys.modules if name.split(".")[0] == "lycoris"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lycoris", None)
    lycoris_forms.functional.cache_clear()
    lycoris_forms._diff_weight.cache_clear()
    yield
    lycoris_forms.functional.cache_clear()
    lycoris_forms._diff_weight.cache_clear()


def test_plain_kinds_do_not_import_it() -> None:
    code = ("import sys; from tests.lora.adapters import trained; "
            "[trained.learned(kind) for kind in ('lora', 'dora', 'glora', 'ia3', 'full', 'norms', 'dylora')]; "
            "assert 'lycoris' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["loha", "lokr", "oft", "boft"])
def test_without_it_a_sentence_says_what_to_install(without_lycoris: None, kind: str) -> None:
    with pytest.raises(UserError, match=r"needs the package lycoris-lora.*pip install --no-deps lycoris-lora==3\.4\.0"):
        trained.learned(kind)[1].layers.popitem()[1].norm()


def test_without_it_the_check_says_so_before_the_start(
    without_lycoris: None, host: StandaloneHost, settings: Settings
) -> None:
    with pytest.raises(Problems, match="algorithm = lokr: This kind of network needs the package"):
        check.check(settings(algorithm="lokr"), host)
    check.check(settings(dora=True), host)
    _, network = trained.fresh("dora")
    path = host.paths.loras / "hada.safetensors"
    tensors = {f"{name}.hada_w1_a": torch.zeros(1) for name in network.layers}
    file.save(path, tensors, {"ss_base_model_version": "sd_v1"})
    with pytest.raises(Problems, match=r"continue_from = 'hada' is of the kind loha\. This kind of network needs"):
        check.check(settings(continue_from="hada"), host)


def test_boft_of_an_old_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import lycoris

    monkeypatch.delattr(lycoris, "list_builtin_presets")
    lycoris_forms.functional.cache_clear()
    with pytest.raises(UserError, match=r"BOFT is faulty before version 3\.4"):
        trained.fresh("boft")
    trained.fresh("loha")
    lycoris_forms.functional.cache_clear()
