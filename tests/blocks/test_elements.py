"""Elemental rules: the peer's file and meaning, whole block names, exact parts, the form in a tag, every mistake told.

peer_elements.json holds, for layers of real LoRA files under the file's name and under AUTOMATIC1111's, the weight that
the peer's own code gives them with each rule (9 where only block weights act). Left out are the second text encoder of
SDXL, whose names differ between the peer's hosts, and rules that meet `ff`, which the peer finds in `diffusion_model`.
"""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.elements import SHIPPED, Elements, ElementsFile, find_rules
from lib_trainer.blocks.layers import block_of
from lib_trainer.blocks.layouts import BLOCKS_26
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.blocks.rules import Rule, inline, read_inline
from lib_trainer.blocks.tags import split
from lib_trainer.errors import UserError

_PEER: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "peer_elements.json").read_text("utf-8"))
_PEERS_FILE = ("ATTNDEEPON:IN05-OUT05:attn:1\n\nATTNDEEPOFF:IN05-OUT05:attn:0\n\nPROJDEEPOFF:IN05-OUT05:proj:0\n\n"
               "XYZ:::1")
_ATTENTION = "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_"


def _rules(text: str) -> tuple[Rule, ...]:
    elements = Elements.parse(f"ID:{text}")
    assert elements.problems == ()
    return elements.entries[0].rules


def _weight(rules: tuple[Rule, ...], layer: str, arch: str, otherwise: float) -> float:
    return next((rule.ratio for rule in reversed(rules) if rule.matches(layer, block_of(layer, arch))), otherwise)


@pytest.mark.parametrize("arch", ["sd15", "sdxl"])
@pytest.mark.parametrize("place", range(len(_PEER["rules"])))
def test_rules_mean_what_they_mean_to_the_peer(arch: str, place: int) -> None:
    rules = _rules(_PEER["rules"][place])
    for row in _PEER[arch]:
        for names in row["layers"]:
            otherwise = 9.0 if block_of(names[0], arch) else 1.0
            assert [_weight(rules, name, arch, otherwise) for name in names] == [row["ratios"][place]] * 2, names


def test_the_peers_file_is_accepted_unchanged() -> None:
    elements = Elements.parse(_PEERS_FILE.replace("\n", "\r\n"))
    assert (elements.names, elements.problems) == (["ATTNDEEPON", "ATTNDEEPOFF", "PROJDEEPOFF", "XYZ"], ())
    assert [entry.line for entry in elements.entries] == [1, 3, 5, 7]
    shipped = Elements.shipped()
    assert shipped.problems == ()
    for entry in elements.entries:
        ours = shipped.get(entry.id)
        assert ours is not None and ours.rules == entry.rules


@pytest.mark.parametrize(("rule", "matching", "others"), [
    (":attn1.to_out:0", ["attn1_to_out_0"], ["attn2_to_out_0", "attn1_to_q"]),
    (":=proj:0", ["ff_net_0_proj"], ["attn1_to_q"]),
    (":=net.0:0", ["ff_net_0_proj"], ["ff_net_2"]),
    (":ff:0", ["ff_net_0_proj", "ff_net_2"], ["attn1_to_q", "norm1"]),
    (":ATTN1:0", ["attn1_to_q"], ["attn2_to_q"]),
])
def test_parts_of_names(rule: str, matching: list[str], others: list[str]) -> None:
    (read,) = _rules(rule)
    found = [part for part in (*matching, *others) if read.matches(_ATTENTION + part, "OUT03")]
    assert found == matching


@pytest.mark.parametrize("layer", [
    "lora_unet_up_blocks_1_attentions_0_proj_in", "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
    "lora_unet_up_blocks_1_resnets_0_time_emb_proj",
])
def test_an_exact_part_is_no_part_of_a_longer_one(layer: str) -> None:
    assert not _rules(":=proj:0")[0].matches(layer, None)


@pytest.mark.parametrize(("element", "names"), [
    ("conv1", ("lora_unet_up_blocks_1_resnets_0_conv1", "diffusion_model_output_blocks_3_0_in_layers_2",
               "diffusion_model.output_blocks.3.0.in_layers.2")),
    ("in_layers", ("lora_unet_up_blocks_1_resnets_0_conv1", "lora_unet_output_blocks_3_0_in_layers_2")),
    ("=time_emb_proj", ("lora_unet_mid_block_resnets_1_time_emb_proj", "diffusion_model_middle_block_2_emb_layers_1")),
    ("downsamplers", ("lora_unet_down_blocks_0_downsamplers_0_conv", "diffusion_model_input_blocks_3_0_op")),
    ("upsamplers", ("lora_unet_up_blocks_1_upsamplers_0_conv", "diffusion_model_output_blocks_5_2_conv")),
    ("self_attn", ("lora_te2_text_model_encoder_layers_3_self_attn_q_proj",
                   "1_model_transformer_resblocks_3_attn_q_proj")),
    ("c_fc", ("lora_te_text_model_encoder_layers_3_mlp_fc1", "model_transformer_resblocks_3_mlp_c_fc")),
])
def test_every_name_of_a_layer_meets_the_same_rules(element: str, names: tuple[str, ...]) -> None:
    (rule,) = _rules(f":{element}:0")
    assert all(rule.matches(name, None) for name in names)


def test_block_names_are_matched_whole_and_layers_in_no_block_only_by_empty_blocks_or_not() -> None:
    assert _rules("OUT00::0")[0].blocks == {"OUT00"}
    layer = "lora_unet_time_embed_0"
    assert [_rules(f"{blocks}::0")[0].matches(layer, None) for blocks in ("", "NOT IN01", "BASE-OUT11")] == [
        True, True, False]
    assert _rules("IN::0")[0].blocks == {block for block in BLOCKS_26 if block.startswith("IN")}
    assert _rules("mid m00::0")[0].blocks == {"M00"}


@pytest.mark.parametrize(("text", "line", "sentence"), [
    ("A:IN01:attn", 1, "a rule has three parts, blocks:elements:ratio; got 2."),
    ("\n\nA:IN01:attn:0\nB:IN02:attn:0", 4, "an empty line must stand between two entries"),
    ("A:IN12:attn:0", 1, "Unknown block 'IN12'"),
    ("A:IN01-IN99:attn:0", 1, "'IN99' in 'IN01-IN99'"),
    ("A:IN01:attn:x", 1, "'x' is not a number"),
    ("A:IN01:attn:", 1, "the number is missing"),
    ("A:IN01:=:0", 1, "'=' is no part of a layer name"),
    ("A:", 1, "there is no rule after the ID"),
    (":IN01:attn:0", 1, "the ID before the first colon is missing"),
    ("A:IN01:attn:0\nhello", 2, "got 1."),
    ("hello", 1, "write ID:blocks:elements:ratio"),
    ("A\ufffd:::0", 1, "not UTF-8"),
    ("A:::0\n\nA:::1", 3, "defines 'A' again: it acts instead of line 1"),
    ("A::atn:0", 1, "No layer's name has 'atn': did you mean 'attn'?"),
    ("A:OUT0::0", 1, "'OUT0' means OUT00 alone"),
])
def test_every_mistake_is_a_problem_with_its_line(text: str, line: int, sentence: str) -> None:
    (problem,) = Elements.parse(text).problems
    assert problem.line == line
    assert sentence in problem.text


def test_an_entry_with_a_mistake_does_not_count_and_says_why_when_it_is_used() -> None:
    elements = Elements.parse("A:IN01:attn:0,IN12::1")
    assert elements.names == []
    with pytest.raises(UserError, match=r"Line 1 of the elemental rules.*'IN12'"):
        find_rules("a", elements)


def test_comments_are_no_rules_and_hint_at_their_entry() -> None:
    elements = Elements.parse("# About: all of it\n\n# deep\nA:::0\n# or not\n:attn:1\n\nB:::1")
    assert elements.problems == ()
    found = [(entry.id, entry.hint, len(entry.rules)) for entry in elements.entries]
    assert found == [("A", "deep or not", 2), ("B", "", 1)]


@pytest.mark.parametrize(("text", "sentence"), [
    ("XZY", "did you mean 'XYZ'?"), ("qqq", "known are ATTNDEEPON, ATTNDEEPOFF, PROJDEEPOFF, XYZ."),
    ("IN01/attn", "'IN01/attn' cannot be read: the ratio is missing"), ("", "missing"),
    ("XYZ,,XYZ", "missing"), ("IN01@", "the number is missing"), ("IN99/attn@0", "Unknown block 'IN99'"),
])
def test_mistakes_in_a_tag_are_quoted(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        find_rules(text, Elements.parse(_PEERS_FILE))
    assert sentence in str(caught.value)


def test_the_plots_name_is_told_where_no_rule_has_it() -> None:
    with pytest.raises(UserError, match="'xyz' is the place that a plot of elemental rules fills"):
        find_rules("xyz", Elements.parse(""))


def test_an_exact_part_survives_the_cutting_of_a_tag() -> None:
    (tag,) = split("<lora:n:1:lbwe=/=proj@0,NOT IN01-IN02 mid/NOT =to_q attn1.to_out@0.5>")[1]
    rules = resolve(tag, Presets.parse(""), "sd15").rules
    assert inline(rules) == "/=proj@0,NOT IN01-IN02 M00/NOT =to_q attn1.to_out@0.5"


def test_ids_and_rules_mix_in_a_tag() -> None:
    rules, notes = find_rules("xyz, IN05-OUT05/attn@0,/=proj@.5,M00@1", Elements.parse(_PEERS_FILE))
    assert inline(rules) == "/@1,IN05-OUT05/attn@0,/=proj@0.5,M00/@1"
    assert notes == []
    assert find_rules("/atn@0", Elements.parse(""))[1] == ["No layer's name has 'atn': did you mean 'attn'?"]


_PARTS = st.lists(st.sampled_from(["attn", "=proj", "attn1.to_out", "ff.net", "to_q", "xyz"]), max_size=3)
_RULES = st.builds(
    lambda blocks, elements, ratio, not_blocks, not_elements: Rule(
        blocks, tuple(elements), ratio, not_blocks and bool(blocks), not_elements and bool(elements)),
    st.frozensets(st.sampled_from(BLOCKS_26)), _PARTS, st.floats(-9, 9).map(lambda number: number + 0.0),
    st.booleans(), st.booleans())


@given(_RULES)
def test_a_written_rule_is_read_back(rule: Rule) -> None:
    assert read_inline(str(rule)) == rule


def test_a_file_is_read_again_when_it_changes_and_written_when_absent(tmp_path: Path) -> None:
    file = ElementsFile(tmp_path / "elempresets.txt")
    assert "ATTNDEEPOFF" in file.current().names
    assert file.path.read_bytes() == SHIPPED.read_bytes()
    file.path.write_text("MINE:::0", "utf-8")
    os.utime(file.path, ns=(1, 1))
    assert file.current().names == ["MINE"]
    assert file.current() is file.current()


def test_where_no_file_can_be_written_the_shipped_rules_act(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    elements = ElementsFile(tmp_path / "file" / "elempresets.txt").current()
    assert elements.names == Elements.shipped().names
    assert "cannot be written" in elements.problems[0].text


@given(st.text(st.sampled_from("AB:,\n#IN05-OUT attn=01.@/ \ufeff")))
def test_any_text_can_be_a_file_of_rules(text: str) -> None:
    elements = Elements.parse(text)
    assert len(elements.names) == len(set(elements.names))
    assert all(find_rules(name, elements)[0] for name in elements.names if "," not in name)
