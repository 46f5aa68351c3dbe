"""Values of the script: by place as the peer's clients send them, as a JSON object, and as anything else."""
from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.hosts.webui import script_args
from lib_trainer.hosts.webui.script_args import ANALYSIS, NAMES, OFF, PLOT, read

ONES = ",".join("1" * 17)
PEER: list[Any] = ["", True, 0, "values", "0,0.5", "Block ID", "M00", "none", "", "0.5,1", "17ALL", 1, "black", "20",
                   False, "", False, False]


def test_the_peers_values_are_read_by_their_place() -> None:
    args = read(PEER)
    assert not args.faults and not args.says_something and len(PEER) == len(NAMES)
    assert args.axes == [("values", "0,0.5"), ("Block ID", "M00"), ("none", "")]
    assert args.analysis == {"range": "0.5,1", "blocks": "17ALL", "seeds": 1, "ground": "black", "threshold": "20",
                             "swap": False}


@pytest.mark.parametrize("count", range(len(PEER)))
def test_fewer_values_are_enough(count: int) -> None:
    args = read(PEER[:count])
    assert not args.faults and args.active and args.mode == OFF


@pytest.mark.parametrize(("place", "value", "read_as"), [
    (2, 1, PLOT), (2, "XYZ plot", PLOT), (2, "effective block analyzer", ANALYSIS), (2, 2.0, ANALYSIS), (2, None, OFF),
])
def test_a_choice_is_a_place_or_its_word(place: int, value: Any, read_as: int) -> None:
    values = [*PEER[:place], value, *PEER[place + 1:]]
    assert read(values).mode == read_as and not read(values).faults


def test_the_peers_text_of_presets_is_read_whole() -> None:
    args = read([f"a comment\nMINE:{ONES}\nFLUXALL:{','.join('1' * 61)}\n", None, None])
    assert args.presets is not None and args.presets.names == ["MINE", "FLUXALL"] and not args.faults


@pytest.mark.parametrize("as_text", [False, True])
def test_a_json_object_says_it_by_name(as_text: bool) -> None:
    given = {"presets": {"MINE": [1] * 17, "TEXT": ONES}, "elements": {"SOFT": "IN05-OUT05:attn:0.5\n:proj:0"},
             "active": False, "plot": {"x": ["values", [0, 0.5]], "z": ["seed", "1,2"]}}
    args = read([json.dumps(given) if as_text else given, True, 0])
    assert not args.faults and args.presets is not None and args.elements is not None
    assert args.presets.names == ["MINE", "TEXT"] and len(args.elements.entries[0].rules) == 2
    assert (args.active, args.mode) == (False, PLOT)
    assert args.axes == [("values", "0,0.5"), ("none", ""), ("seed", "1,2")]


def test_an_analysis_is_asked_for_by_name() -> None:
    args = read([{"analysis": {"range": "0,1", "seeds": 2}}])
    assert (args.mode, args.analysis, args.faults) == (ANALYSIS, {"range": "0,1", "seeds": 2}, [])


@pytest.mark.parametrize(("values", "sentence"), [
    ([{"activ": True}], "'activ' is nothing .* did you mean 'active'"),
    ([{"active": "yes"}], "'active' .* true or false"),
    ([{"plot": 3}], "'plot' .* JSON object, got 3"), ([{"plot": {"q": ["values", "1"]}}], "'plot: q' is nothing"),
    ([{"plot": {"x": "values"}}], "'plot: x' .* a type and values"), ([{"presets": 5}], "'presets' .* entries by name"),
    ([{"presets": {"A": {"b": 1}}}], "'presets: A' .* a list of numbers"), ([{"presets": {"A": [1, 2]}}], "got 2"),
    ([{"presets": {"A:B": [1] * 17}}], "'presets: A:B'"), ([{"presets": {"#": [1] * 17}}], "'presets: #'"),
    ([{"presets": {"A": "1" + ",abc" * 16}}], "'abc' is not a number"),
    ([{"elements": {"A": "x"}}], "three parts.*got 1"),
    ([{"elements": {"": ":attn:0"}}], "ID before the first colon is missing"), (["{not json"], "cannot be read"),
    ([{"analysis": {"sead": 1}}], "did you mean 'analysis: seeds'"), ([None, "no"], "'active'"),
    ([None, None, 3], "'xyzsetting' .* 0 \\(Disable\\)"), ([None, None, None, ["a"]], "'xtype' .* text"),
    ([*PEER, 1, 2], "18 values, got 20: the last 2"), ([*PEER[:-1], True], "'debug' prints nothing"),
    ([f"A:{ONES}\nA:{ONES}"], "defines 'A' again"), (["nothing of the kind"], "presets .* hold none"),
])
def test_what_cannot_be_read_is_told(values: list[Any], sentence: str) -> None:
    told = read(values).faults
    assert any(re.search(sentence, one) for one in told), told


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["presets", "elements", "active", "plot", "analysis", "x", "NONE"]) | st.text(max_size=5),
        inner, max_size=4),
    max_leaves=12)


@given(st.lists(_JSON, max_size=20))
def test_nothing_that_a_client_sends_is_an_exception(values: list[Any]) -> None:
    args = read(values)
    assert all(isinstance(fault, str) and fault.rstrip()[-1] in ".?" for fault in args.faults), args.faults


@given(_JSON)
def test_nothing_in_an_object_is_overlooked(value: Any) -> None:
    """An object that asks for something it does not get says so."""
    if isinstance(value, dict):
        unknown = [key for key in value if key not in ("presets", "elements", "active", "plot", "analysis")]
        told = " ".join(script_args.read([value]).faults)
        assert all("is nothing" in told for _ in unknown)
