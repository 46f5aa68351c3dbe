"""The dataset file: sd-scripts' own format, where a value comes from, and every fault with its place."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.training import dataset_file, dataset_keys
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.dataset_file import DatasetFile
from tests.data_tests.drawn import caption, picture

EXAMPLE = """
[general]
enable_bucket = true
caption_extension = ".caption"
shuffle_caption = true
keep_tokens = 1

[[datasets]]
resolution = 1024
batch_size = 2
min_bucket_reso = 512
  [[datasets.subsets]]
  image_dir = "faces"
  num_repeats = 10
  class_tokens = "hina girl"
  [[datasets.subsets]]
  image_dir = "/pictures/reg"
  is_reg = true
  keep_tokens = 3

[[datasets]]
resolution = [768, 512]
keep_tokens = 2
  [[datasets.subsets]]
  metadata_file = "meta.json"
  image_dir = "bodies"
  shuffle_caption = false
  flip_aug = true
  custom_attributes = { diff_output_preservation = true }
"""


def read(folder: Path, values: str | dict[str, Any], **form: Any) -> DatasetFile:
    path = folder / ("data.toml" if isinstance(values, str) else "data.json")
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf8")
    return dataset_file.read(TrainConfig(datasets=str(path), **form))


def subset(**values: Any) -> dict[str, Any]:
    return {"datasets": [{"subsets": [{"image_dir": "a", **values}]}]}


def test_a_value_comes_from_the_nearest_table(tmp_path: Path) -> None:
    found = read(tmp_path, EXAMPLE, batch_size=4, tag_dropout=0.25, repeats=7, prior_loss_weight=0.5, trigger="form")
    (told,) = found.warnings
    assert found.faults == [] and told.startswith(
        "Repeats = 7 is not taken by datasets[0].subsets[1], datasets[1].subsets[0]: without num_repeats")
    first, second = found.specs
    assert (first.place, first.config.resolution, first.config.batch_size, first.config.bucket_min) == (
        "datasets[0]", "1024", 2, 512)
    assert (second.config.resolution, second.config.batch_size, second.config.buckets) == ("768,512", 4, True)
    faces, reg = first.sources
    (bodies,) = second.sources
    rules = [source.subset.captions for source in (faces, reg, bodies)]
    assert [one.keep_tokens for one in rules] == [1, 3, 2]
    assert [one.shuffle for one in rules] == [True, True, False]
    assert {one.tag_dropout for one in rules} == {0.25}
    assert [one.subset.repeats for one in (faces, reg, bodies)] == [10, 1, 1]  # not the form's
    assert [one.class_tokens for one in (faces, reg, bodies)] == ["hina girl", "", "form"]
    assert [(one.subset.is_reg, one.subset.loss_weight, one.subset.keeps_base) for one in (faces, reg, bodies)] == [
        (False, 1.0, False), (True, 0.5, False), (False, 1.0, True)]
    assert [one.subset.pictures.flip for one in (faces, reg, bodies)] == [False, False, True]
    assert faces.caption_extension == ".caption"
    assert [one.subset.prefix for one in (faces, reg, bodies)] == ["0.0/", "0.1/", "1.0/"]
    assert (bodies.metadata_file, faces.place) == (str(tmp_path / "meta.json"), "datasets[0].subsets[0]")


def test_paths_are_beside_the_file_or_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "beside").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    values = {"datasets": [{"subsets": [{"image_dir": name} for name in ("beside", "work", "nowhere", "/x")]}]}
    folders = [source.folder for source in read(tmp_path / "config", values).specs[0].sources]
    assert folders == [str(tmp_path / "config" / "beside"), "work", str(tmp_path / "config" / "nowhere"), "/x"]


def test_sd_scripts_keys_and_ours_are_the_same(tmp_path: Path) -> None:
    theirs = subset(caption_dropout_rate=0.5, caption_tag_dropout_rate=0.1, caption_dropout_every_n_epochs=3,
                    enable_wildcard=True, keep_tokens_separator="|||", secondary_separator=";;;", caption_separator=";",
                    caption_prefix="p", caption_suffix="s", token_warmup_min=2, token_warmup_step=0.5, color_aug=True,
                    random_crop=True, face_crop_aug_range=[2.0, 4.0], alpha_mask=True, resize_interpolation="area")
    ours = subset(caption_dropout=0.5, tag_dropout=0.1, caption_dropout_every=3, wildcards=True,
                  keep_tokens_separator="|||", secondary_separator=";;;", caption_separator=";", caption_prefix="p",
                  caption_suffix="s", token_warmup_min=2, token_warmup_step=0.5, color_aug=True, random_crop=True,
                  face_crop="2.0,4.0", alpha_mask=True, interpolation="area")
    found = [read(tmp_path, values) for values in (theirs, ours)]
    assert found[0].faults == found[1].faults == []
    assert found[0].specs[0].sources == found[1].specs[0].sources
    captions = found[0].specs[0].sources[0].subset.captions
    assert (captions.wildcards, captions.warmup_step, captions.dropout_every) == (True, 0.5, 3)


def test_all_faults_are_found_together_with_their_places(tmp_path: Path) -> None:
    found = read(tmp_path, {
        "generall": {},
        "general": {"shuffle_captions": True, "image_dir": "x"},
        "datasets": [
            {"resolution": 500, "batch_size": 0, "subsets": [
                {"image_dir": "a", "num_repeats": -1, "resolution": 512},
                {"is_reg": True, "custom_attributes": {"diff_output_preservation": "yes"}},
                "b",
            ]},
            {"enable_bucket": "perhaps"},
            7,
        ],
    })
    expected = [
        "the dataset file: unknown key 'generall': did you mean 'general'?",
        "general: unknown key 'shuffle_captions': did you mean 'shuffle_caption'?",
        "general: the key 'image_dir' belongs to a subset",
        "datasets[0].batch_size = 0: Batch size must be a whole number from 1 to 4096.",
        "datasets[0]: resolution = '500': 500 is not a multiple of 8",
        "datasets[0].subsets[0].num_repeats = -1: Repeats must be",
        "datasets[0].subsets[0]: the key 'resolution' belongs to a data set",
        "datasets[0].subsets[1]: neither image_dir nor metadata_file",
        "datasets[0].subsets[1].custom_attributes.diff_output_preservation = 'yes'",
        "datasets[0].subsets[2] must be a table",
        "datasets[1].enable_bucket = 'perhaps': Aspect buckets must be true or false.",
        "datasets[1].subsets: there is none; write at least one [[datasets.subsets]].",
        "datasets[2] must be a table",
    ]
    for sentence in expected:
        assert sum(fault.startswith(sentence) for fault in found.faults) == 1, sentence
    assert len(found.faults) == len(expected)


@pytest.mark.parametrize("values", [{}, {"datasets": []}, {"datasets": {}}, {"datasets": "x"}, {"general": {}}])
def test_a_file_without_data_sets(values: dict[str, Any], tmp_path: Path) -> None:
    (fault,) = read(tmp_path, values).faults
    assert "write at least one [[datasets]]" in fault


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read" in dataset_file.read(TrainConfig(datasets=str(tmp_path / "no.toml"))).faults[0]
    assert "not valid TOML" in read(tmp_path, "[[datasets").faults[0]
    assert "single quotes" in read(tmp_path, 'image_dir = "C:\\pictures\\zko"').faults[0]


def test_what_is_not_used_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, {"general": {"cache_info": True, "network_multiplier": 0.5}, "datasets": [
        {"subsets": [{"image_dir": "a", "custom_attributes": {"mine": 1}}, {"image_dir": "b", "num_repeats": 0},
                     {"image_dir": "./a", "num_repeats": 5}]},
        {"subsets": [{"image_dir": "a"}]},
    ]})
    assert found.faults == []
    assert [source.subset.prefix for spec in found.specs for source in spec.sources] == ["0.0/", "1.0/"]
    told = "\n".join(found.warnings)
    for words in ("general.cache_info", "general.network_multiplier", "subsets[0].custom_attributes.mine is not",
                  "subsets[1] is not used: its num_repeats is 0", "subsets[2] is not used", "datasets[0].subsets[0] a"):
        assert words in told


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["general", "datasets", "subsets", "image_dir", "num_repeats", "custom_attributes", "x"]),
        inner, max_size=4), max_leaves=12))
def test_any_file_is_read_or_its_faults_are_told(tmp_path_factory: pytest.TempPathFactory, values: Any) -> None:
    found = read(tmp_path_factory.getbasetemp(), {"datasets": [values]} if not isinstance(values, dict) else values)
    assert found.faults or found.specs
    assert all(fault.endswith((".", "?")) for fault in found.faults), found.faults


def test_the_keys_are_settings() -> None:
    fields = {one.name for one in dataset_keys.DATASET.fields} | {one.name for one in dataset_keys.SUBSET.fields}
    assert fields >= {*dataset_keys.OF_SUBSETS, *dataset_keys.OF_DATASETS} - {"validation_split", "validation_seed"}


def test_pictures_and_captions_of_a_metadata_subset_are_found(tmp_path: Path) -> None:
    picture(tmp_path / "bodies" / "a.png")
    caption(tmp_path / "meta.json", json.dumps({"a": {"caption": "x", "tags": "t, u"}}))
    source = read(tmp_path, EXAMPLE).specs[1].sources[0]
    assert (source.folder, source.metadata_file) == (str(tmp_path / "bodies"), str(tmp_path / "meta.json"))


def test_the_example_and_the_keys_of_the_document(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "DATASETS.md").read_text(encoding="utf8")
    found = read(tmp_path, text.split("```toml\n")[1].split("```")[0])
    assert (found.faults, found.warnings, len(found.specs)) == ([], [], 2)
    listed = text[text.index("Keys of a data set"):text.index("A metadata file is")]
    keys = set(re.findall(r"`(\w+)`", listed)) - {"buckets"}
    unknown = keys - dataset_keys.DATASET.names - dataset_keys.SUBSET.names
    assert unknown == set()
    fields = {one for keys in (dataset_keys.DATASET, dataset_keys.SUBSET) for one in keys.fields}
    missing = [one.name for one in fields if one.name not in dataset_keys.WITHOUT_USE
               and not keys & {one.name, one.metadata["kohya"], "num_repeats" if one.name == "repeats" else one.name}]
    assert missing == []
