"""Every option of sd-scripts' LoRA trainers has one verdict, and the facts about it are those of its own parser."""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from lib_trainer.training import config_reading
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.network_args import (
    ALGORITHMS,
    NETWORK_ARGS,
    OTHER_ALGORITHMS,
    PRESETS,
    READ_BY,
)
from lib_trainer.training.interchange.option import OURS, Option

FACTS = json.loads((Path(__file__).parents[2] / "data" / "sd_scripts_options.json").read_text("utf8"))
PARSER: dict[str, Any] = FACTS["train_network"] | FACTS["sdxl_train_network_only"]
"""Options of both parsers, as `argparse` tells them."""

KINDS = {"bool": {"flag"}, "int": {"int"}, "float": {"float"}, "str": {"text", "path"}, "Path": {"path"},
         "int_or_float": {"steps"}}
FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
EVERY = [*OPTIONS.values(), *NETWORK_ARGS.values()]


def test_every_option_of_both_parsers_is_there_and_no_other() -> None:
    assert OPTIONS.keys() == PARSER.keys()
    assert len(PARSER) == 196


@pytest.mark.parametrize("name", PARSER)
def test_facts_are_those_of_the_parser(name: str) -> None:
    option, fact = OPTIONS[name], PARSER[name]
    assert fact["options"] == [f"--{name}"]
    assert option.kind in KINDS[fact["type"]]
    assert option.default == fact["default"] and type(option.default) is type(fact["default"])
    assert option.several == (fact["nargs"] == "*")


@pytest.mark.parametrize("option", EVERY, ids=lambda option: option.name)
def test_an_option_is_ours_or_says_why_not(option: Option) -> None:
    if option.verdict == OURS:
        assert option.fields and not option.says
        assert set(option.fields) <= FIELDS.keys()
    else:
        assert not option.fields and option.says.endswith(".")


@pytest.mark.parametrize("option", [option for option in EVERY if option.alone], ids=lambda option: option.name)
def test_an_option_that_is_one_field_comes_back_as_it_was(option: Option) -> None:
    field = FIELDS[option.fields[0]]
    ours = option.ours(option.default)
    theirs = option.theirs(ours)
    assert theirs == option.default or (theirs is None and option.default in ("", None))
    assert config_reading.read({field.name: ours})[1] == config_reading.read({})[1]  # our words, types and ranges


@pytest.mark.parametrize("option", [option for option in EVERY if option.alone], ids=lambda option: option.name)
def test_the_form_names_the_same_option(option: Option) -> None:
    """A setting says itself which of kohya's names it has; the table must not say otherwise."""
    field = FIELDS[option.fields[0]]
    assert (field.metadata["kohya"] or field.name) == option.name


def test_words_of_the_parser_are_known() -> None:
    for name, fact in PARSER.items():
        option = OPTIONS[name]
        if option.alone and fact["choices"]:
            choices = FIELDS[option.fields[0]].metadata["choices"]
            assert not choices or {option.ours(word) for word in fact["choices"]} <= set(choices)


def test_lycoris_arguments_are_those_that_it_reads() -> None:
    """`lycoris.kohya.create_network` of the version that the tests are held against."""
    import ast
    import importlib.util

    found = importlib.util.find_spec("lycoris")
    assert found and found.submodule_search_locations
    source = (Path(found.submodule_search_locations[0]) / "kohya.py").read_text("utf8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)
             and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
             and isinstance(node.func.value, ast.Name) and node.func.value.id == "kwargs"]
    names = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    assert names and names - READ_BY["lycoris.kohya"] == set()


def test_lycoris_presets_and_algorithms_are_known() -> None:
    config = pytest.importorskip("lycoris.config")
    wrapper = pytest.importorskip("lycoris.wrapper")
    assert PRESETS.keys() == set(config.PRESET)
    assert set(wrapper.network_module_dict) <= ALGORITHMS.keys() | OTHER_ALGORITHMS.keys()
