"""Settings: names, types, ranges, contradictions, files."""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import Problems, UserError
from lib_trainer.training import config_reading, config_values
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.rules.data import parse_resolution
from lib_trainer.training.settings.declare import GROUPS

FIELDS = dataclasses.fields(TrainConfig)
NAMES = [field.name for field in FIELDS] + [field.metadata["kohya"] for field in FIELDS if field.metadata["kohya"]]


def faults(**values: Any) -> list[str]:
    with pytest.raises(Problems) as caught:
        config_reading.from_dict(values)
    return caught.value.problems


def one_fault(**values: Any) -> str:
    found = faults(**values)
    assert len(found) == 1, found
    return found[0]


def test_every_setting_is_described() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for field in FIELDS:
        assert field.metadata["label"] and field.metadata["help"]
        assert field.metadata["group"] in GROUPS


def test_an_untouched_form_is_a_valid_config() -> None:
    assert config_reading.from_dict({}) == TrainConfig()


def test_to_dict_and_back() -> None:
    config = TrainConfig(name="zko", rank=4, learning_rate="5e-6:2000, 5e-7", preview_prompts="a\nb")
    assert config_reading.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_kohya_names() -> None:
    config = config_reading.from_dict({
        "output_name": "zko", "network_dim": 4, "network_alpha": 1, "max_token_length": 150, "learning_rate": 1e-4,
        "optimizer_args": ["weight_decay=0.1", "betas=0.9,0.99"], "mixed_precision": "no", "lr_warmup_steps": 100,
        "lr_scheduler": "cosine", "resolution": [512, 768], "network_args": ["conv_dim=4", "conv_alpha=1"],
        "network_train_unet_only": True,
    })
    assert (config.name, config.rank, config.alpha, config.max_tokens) == ("zko", 4, 1.0, "150")
    assert (config.learning_rate, config.warmup, config.precision) == ("0.0001", "100", "fp32")
    assert config.optimizer_args == "weight_decay=0.1 betas=0.9,0.99"
    assert parse_resolution(config.resolution) == (512, 768)
    assert (config.conv_rank, config.conv_alpha, config.train_text_encoder, config.train_unet) == (4, 1.0, False, True)


def test_unknown_names_get_the_nearest_one() -> None:
    assert one_fault(lerning_rate=1e-4) == "Unknown setting 'lerning_rate': did you mean 'learning_rate'?"
    assert "leave it out" in one_fault(qqqqqq=1)


def test_a_setting_given_twice() -> None:
    assert "given twice" in one_fault(rank=4, network_dim=8)


def test_all_faults_are_reported_together() -> None:
    found = faults(rank=0, learning_rate="abc", epochs=0, min_timestep=900, max_timestep=100, blokcs="x", flip="maybe")
    for part in ("rank = 0", "'abc'", "epochs = 0", "min_timestep = 900", "did you mean 'blocks'", "flip = 'maybe'"):
        assert sum(part in sentence for sentence in found) == 1, (part, found)
    assert len(found) == 6


@pytest.mark.parametrize(("values", "part"), [
    ({"rank": 0}, "must be a whole number from 1 to"),
    ({"rank": 1.5}, "must be a whole number"),
    ({"rank": True}, "must be a whole number"),
    ({"rank": None}, "must be a whole number"),
    ({"alpha": 0}, "or more"),
    ({"alpha": "nan"}, "must be a number"),
    ({"caption_dropout": 1.1}, "from 0 to 1"),
    ({"scheduler": "cosin"}, "did you mean cosine"),
    ({"precision": "fp64"}, "one of auto, fp32, bf16, fp16"),
    ({"learning_rate": "abc"}, "abc"),
    ({"learning_rate": "0"}, "nothing would learn"),
    ({"learning_rate": "5e-6:2000, 5e-7", "scheduler": "cosine"}, "step list"),
    ({"unet_lr": "-1"}, "unet_lr"),
    ({"warmup": "xyz"}, "warmup"),
    ({"warmup": "100"}, "constant_with_warmup"),
    ({"optimizer": "AdmaW"}, "AdamW"),
    ({"optimizer_args": "hello"}, "hello"),
    ({"blocks": "IN99"}, "IN99"),
    ({"resolution": "500"}, "use 496"),
    ({"resolution": "big"}, "Resolution"),
    ({"resolution": "0"}, "use 64"),
    ({"caption_extension": "txt"}, "with its dot"),
    ({"train_unet": False, "train_text_encoder": False}, "nothing would learn"),
    ({"preview_width": 100}, "use 96"),
    ({"seed": 2**60}, "from 0 to"),
    ({"images": "a\0b"}, "control characters"),
    ({"name": "a\nb"}, "control characters"),
])
def test_one_fault_one_sentence(values: dict[str, Any], part: str) -> None:
    assert part in one_fault(**values)


@pytest.mark.parametrize("name", [
    "a/b", "a\\b", "a:b", "<a>", "what?", "con", "NUL", "com1.txt", "lpt9", "end.", "x" * 201, "あ" * 67,
    "__training__", "a.safetensors", '"', "|", "*",
])
def test_names_that_are_no_file_names(name: str) -> None:
    assert all(sentence.startswith("name = ") for sentence in faults(name=name))


@pytest.mark.parametrize("name", ["zko", "zko (1)", "SakuraScenery_v1.3", "ずんだもん", "console", "a b"])
def test_names_that_are_file_names(name: str) -> None:
    assert config_reading.from_dict({"name": name}).name == name


def test_texts_as_people_paste_them() -> None:
    config = config_reading.from_dict({"images": ' "C:\\my pictures\\zko" ', "rank": "8", "alpha": "4.0", "flip": "yes",
                                    "epochs": 3.0, "reg_images": "~/reg"})
    assert (config.images, config.rank, config.alpha, config.flip) == ("C:\\my pictures\\zko", 8, 4.0, True)
    assert config.epochs == 3 and isinstance(config.epochs, int)
    assert config.reg_images == str(Path("~/reg").expanduser())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*NAMES, "network_args", "network_train_unet_only"]) | st.text(), json_values,
                       max_size=6))
def test_nothing_crashes(values: dict[str, Any]) -> None:
    try:
        config = config_reading.from_dict(values)
    except Problems as problems:
        assert all(problems.problems)
    else:
        assert config_reading.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_list_is_no_settings() -> None:
    with pytest.raises(Problems, match="not as"):
        config_reading.from_dict([1])  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    toml = tmp_path / "zko.toml"
    toml.write_text('[general]\nname = "zko"\n[network]\nnetwork_dim = 4\n[more.deep]\nflip = true\n', encoding="utf8")
    config = config_reading.load(toml)
    assert (config.name, config.rank, config.flip) == ("zko", 4, True)
    config.dump(tmp_path / "zko.json")
    assert config_reading.load(tmp_path / "zko.json") == config
    TrainConfig(name="b").dump(tmp_path / "zko.json")
    assert config_reading.load(tmp_path / "zko.json").name == "b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["zko.json", "zko.toml"]


@pytest.mark.parametrize(("name", "content", "part"), [
    ("a.toml", b"name = ", "not valid TOML"),
    ("a.json", b"{", "not valid JSON"),
    ("a.json", b"[1]", "must hold an object"),
    ("a.json", b"\xff\xfe\x00", "UTF-8"),
    ("a.yaml", b"a: 1", "only .toml and .json"),
])
def test_unreadable_files(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=part):
        config_reading.load(tmp_path / name)


def test_missing_file_and_unwritable_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        config_reading.load(tmp_path / "none.toml")
    with pytest.raises(UserError, match="cannot be written"):
        TrainConfig().dump(tmp_path / "none" / "a.json")
    with pytest.raises(UserError, match=r"ends in \.json"):
        TrainConfig().dump(tmp_path / "a.toml")


def test_overriding_takes_every_name_of_a_setting() -> None:
    written = {"network": {"network_dim": 4}, "alpha": 1}
    values = config_values.overridden(FIELDS, written, {"rank": "8", "unknown": "1"})
    assert values == {"alpha": 1, "rank": "8", "unknown": "1"}
