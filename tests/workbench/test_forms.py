"""Forms: every fault at once, names that become files, and words that the operations know."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora import file
from lib_trainer.workbench import convert, metadata_edit, prune, rounding, streamed
from lib_trainer.workbench.decomposition import device_of
from lib_trainer.workbench.forms import into_checkpoint, merge, resize, stored, table
from lib_trainer.workbench.forms.form import Form
from lib_trainer.workbench.forms.places import FilePlaces, HostPlaces
from lib_trainer.workbench.operation import Cancelled, Progress, finish
from lib_trainer.workbench.sources import Source
from tests.workbench.stored import small

FIRST_VIEW = 5


def choices(form: Form, name: str) -> set[str]:
    return set(next(field for field in form.fields if field.name == name).choices)


@pytest.fixture
def places(host: StandaloneHost) -> HostPlaces:
    (host.paths.loras / "a.safetensors").write_bytes(b"")
    return HostPlaces(host, lambda: False)


def problems(form: Form, given: dict[str, Any], places: HostPlaces) -> list[str]:
    with pytest.raises(Problems) as raised:
        form.read(given, places)
    return raised.value.problems


@pytest.mark.parametrize("form", table.FORMS.values(), ids=list(table.FORMS))
def test_a_first_view_holds_few_controls_and_each_has_its_help(form: Form) -> None:
    shown = [field for field in form.fields if not field.fold and field.only is None]
    assert 1 <= len(shown) <= FIRST_VIEW
    assert all(field.help.endswith((".", "...")) for field in form.fields) and form.summary.endswith(".")
    assert len({field.name for field in form.fields}) == len(form.fields)


def test_a_sum_begins_with_two_lines_and_a_merge_into_a_checkpoint_with_one() -> None:
    rows = {form.name: next((field["rows"] for field in form.to_json()["fields"] if field["kind"] == "sources"), None)
            for form in table.FORMS.values()}
    assert {name: count for name, count in rows.items() if count is not None} == {"merge": 2, "into_checkpoint": 1}


def test_the_operations_know_the_words() -> None:
    forms = table.FORMS
    assert choices(forms["convert"], "naming") == {"as it is", *convert.NAMINGS}
    assert choices(forms["convert"], "precision") == {"as it is", *rounding.PRECISIONS}
    assert choices(forms["merge"], "precision") == set(rounding.PRECISIONS)
    assert choices(into_checkpoint.FORM, "precision") == {streamed.AS_IT_IS, *rounding.PRECISIONS}
    assert choices(forms["prune"], "measure") == set(prune.MEASURES)
    assert choices(forms["metadata"], "keep") == set(metadata_edit.KEEPS)
    assert device_of("cpu").type == "cpu" and set(stored.DEVICE.choices) == {"auto", "cpu", "cuda"}


def test_every_fault_is_told_at_once(places: HostPlaces) -> None:
    told = problems(merge.FORM, {
        "sources": [{"lora": "a", "strength": "much"}, {"lora": "nobody"}, {}, {"lora": "a", "strength": ""}],
        "out": "x/out", "rank": 1.5, "conv_rank": 0, "shuffle": "maybe", "reduction": "best", "colour": "red"}, places)
    for said in ("colour = 'red'", "number 1: Strength = 'much'", "number 4: Strength = ''",
                 "number 2: there is no LoRA 'nobody'", "number 3: no LoRA is chosen", "must not contain /",
                 "Rank = 1.5 must be a whole number",
                 "Convolution rank = 0: it must be at least 1", "Shuffle = 'maybe'", "Ranks = 'best'"):
        assert any(said in sentence for sentence in told), (said, told)
    assert len(told) == 10
    assert problems(merge.FORM, {}, places) == [
        f"LoRAs is empty. {merge.SOURCES.help}", "Name of the new LoRA is empty. Write a name; nothing is overwritten."]


def test_contradictions_are_told_in_the_words_of_the_face(places: HostPlaces, tmp_path: Path) -> None:
    given = {"file": "a", "out": "o", "threshold": 0.5}
    with pytest.raises(Problems) as raised:
        resize.FORM.operation(resize.FORM.read(given, places), places)
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "Rank is not given", "Threshold = 0.5"]
    assert "Dynamic rank" in raised.value.problems[0]
    (tmp_path / "a.safetensors").write_bytes(b"")
    given = {"file": str(tmp_path / "a.safetensors"), "out": str(tmp_path / "o"), "threshold": 0.5}
    with pytest.raises(Problems) as raised:
        resize.FORM.operation(resize.FORM.read(given, FilePlaces()), FilePlaces())
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "--rank is not given", "--threshold = 0.5"]


def test_what_is_lacking_names_the_field(places: HostPlaces) -> None:
    layer = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    file.save(places.host.paths.loras / "b.safetensors", {
        f"{layer}.lora_down.weight": torch.ones(1, 32), f"{layer}.lora_up.weight": torch.ones(32, 1)}, {})
    form = table.FORMS["convert"]
    values = form.read({"file": "b", "naming": "peft", "out": "c"}, places)
    with pytest.raises(Problems, match=r"Name the family. \(It is the field 'Model family', below More.\)$"):
        finish(form.operation(values, places))


def test_a_bake_is_cancelled_between_two_layers(places: HostPlaces) -> None:
    folder = places.host.paths.loras
    file.save(folder / "b.safetensors", small(), {"ss_base_model_version": "sd_v1"})
    form, before = table.FORMS["bake"], sorted(folder.iterdir())
    values = form.read({"file": "b", "weights": "0.5", "out": "c"}, places)
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        finish(form.operation(values, places), seen.append, lambda: seen[-1].done == 1)
    assert (seen[-1].total, seen[-1].what) == (2, "Baking") and sorted(folder.iterdir()) == before
    assert finish(form.operation(values, places)).file == folder / "c.safetensors"


def test_a_host_writes_under_plain_names_only(places: HostPlaces) -> None:
    for name, said in (("a", "never overwritten"), ("../b", "must not contain /"), (".b", "begins with a dot"),
                       ("con", "Windows"), ("b\nc", "line break"), ("b\0", "line break"),
                       ("b.safetensors", "without its ending"), ("__training__", "in training")):
        for new in (places.new_lora, places.new_folder) if name != "a" else (places.new_lora,):
            with pytest.raises(UserError, match=said):
                new(name)


def test_a_host_finds_loras_folders_and_checkpoints(places: HostPlaces, checkpoint: Path, tmp_path: Path) -> None:
    loras = places.host.paths.loras
    assert places.lora("a") == places.lora_or_folder("a") == places.lora(str(loras / "a.safetensors"))
    assert places.lora_or_folder(".") == loras
    assert places.checkpoint("tiny") == places.checkpoint("tiny.safetensors") == checkpoint
    with pytest.raises(UserError, match="no checkpoint 'nobody'"):
        places.checkpoint("nobody")
    with pytest.raises(UserError, match="does not tell where its checkpoints lie"):
        places.new_checkpoint("merged")


@pytest.mark.parametrize(("text", "source"), [
    ("{}/a.safetensors", Source(Path("a.safetensors"))),
    ("{}/a.safetensors:0.8:NCNF", Source(Path("a.safetensors"), weights="0.8:NCNF")),
    ("<lora:{}/a.safetensors:0.8:lbw=NCNF>", Source(Path("a.safetensors"), weights="0.8:lbw=NCNF")),
])
def test_the_command_line_names_files_with_weights(tmp_path: Path, text: str, source: Source) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    values = merge.FORM.read({"sources": [text.format(tmp_path)], "out": str(tmp_path / "o")}, FilePlaces())
    assert values["sources"] == [Source(tmp_path / source.path, weights=source.weights)]
    assert values["out"] == tmp_path / "o.safetensors"
    with pytest.raises(UserError, match="names a folder and no file"):
        FilePlaces().new_lora(f"{tmp_path}/")
    with pytest.raises(Problems, match="there is no file 'C:"):
        merge.FORM.read({"sources": [r"C:\no.safetensors:1"], "out": "o"}, FilePlaces())


def test_texts_are_read_as_their_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    given = {"file": str(tmp_path / "a.safetensors"), "out": "o", "rank": " 8 ", "dynamic": "frobenius",
             "threshold": "0.9"}
    values = resize.FORM.read(given, FilePlaces())
    assert (values["rank"], values["threshold"], values["conv_rank"], values["precision"]) == (8, 0.9, None, "fp16")
