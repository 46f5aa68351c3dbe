"""Files of strangers: whose names they have, what is believed of them, what is carried over, what is refused."""
from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lib_trainer.errors import Problems, UserError
from lib_trainer.lora import file
from lib_trainer.workbench import names, reading
from tests.lora import kinds
from tests.workbench import stored
from tests.workbench.stored import TEXT, Q

NAMINGS = (names.KOHYA, names.KOHYA_LDM, names.KOHYA_DIFFUSERS, names.PEFT, names.DIFFUSERS, names.LDM)
WRITTEN = {names.PEFT: ("lora_A.weight", "lora_B.default.weight"), names.LDM: ("hada_w1_a",),
           names.DIFFUSERS: ("lora.down.weight", "lora_linear_layer.up.weight")}
CONTEXT = Q.replace("attn1_to_q", "attn2_to_k")


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("family", stored.VERSIONS)
def test_every_layer_of_every_family_is_understood_in_every_naming(family: str, naming: str) -> None:
    known = names.FAMILIES[family]
    for layer in stored.layers(family):
        place = names.spelled(layer, known, naming)
        for part in WRITTEN.get(naming, ("lora_down.weight",)):
            said = names.understood(f"{place}.{part}")
            assert said is not None and names.kohya_layer(said, known) == layer


@pytest.mark.parametrize("naming", NAMINGS)
def test_layers_come_out_under_kohyas_names(tmp_path: Path, naming: str) -> None:
    tensors = stored.small((Q, TEXT), alpha=None)
    read = reading.read(stored.write(tmp_path / "x.safetensors", stored.respelled(tensors, "sd1", naming)))
    assert stored.same(read.tensors, tensors) and read.family == "sd1" and not read.carried and not read.notes
    assert read.naming == (names.KOHYA if naming == names.KOHYA_DIFFUSERS else naming)


@pytest.mark.parametrize("old", [
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.{}.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.{}.weight",
    "base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.{}.weight",
])
def test_the_first_names_of_diffusers(tmp_path: Path, old: str) -> None:
    path = stored.write(tmp_path / "x.safetensors", {
        old.format("down"): torch.ones(2, 3), old.format("up"): torch.ones(4, 2),
        "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.down.weight": torch.ones(2, 3),
        "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight": torch.ones(4, 2)})
    assert {name.split(".")[0] for name in reading.read(path).tensors} == {
        Q.replace("to_q", "to_out_0"), TEXT.replace("mlp_fc1", "self_attn_q_proj")}


@pytest.mark.parametrize(("width", "prefix"), [(768, "lora_te_"), (1024, "lora_te_"), (2048, "lora_te1_")])
def test_the_one_encoder_of_sd1_is_te_whatever_diffusers_calls_it(tmp_path: Path, width: int, prefix: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({f"{CONTEXT}.lora_down.weight": torch.ones(2, width), f"{CONTEXT}.lora_up.weight": torch.ones(4, 2),
               **stored.small([TEXT.replace("te_", "te1_", 1)])}, path)
    assert any(name.startswith(prefix) for name in reading.read(path).tensors)


@pytest.mark.parametrize(("config", "alpha"), [
    ({"lora_alpha": 3}, 3.0), ({"unet.lora_alpha": 3.0, "text_encoder.lora_alpha": 9}, 3.0),
    ({"lora_alpha": 3, "use_rslora": True}, 3 * 2 ** 0.5), ({"lora_alpha": 3, "alpha_pattern": {"attn1.to_q": 5}}, 5.0),
    ({"lora_alpha": 3, "alpha_pattern": {"to_v": 5, "ttn1.to_q": 6}}, 3.0), ({"r": 2}, None),
])
def test_what_peft_says_about_strength_becomes_alpha(
    tmp_path: Path, config: dict[str, Any], alpha: float | None
) -> None:
    tensors = stored.respelled(stored.small([Q], alpha=None), "sd1", names.PEFT)
    inside = stored.write(tmp_path / "x.safetensors", tensors, lora_adapter_metadata=json.dumps(config))
    beside = stored.write(tmp_path / "adapter_model.safetensors", tensors)
    (tmp_path / "adapter_config.json").write_text(json.dumps(
        {key.removeprefix("unet."): value for key, value in config.items() if not key.startswith("text")}))
    for path in (inside, beside):
        found = reading.read(path).tensors.get(f"{Q}.alpha")
        assert found is None if alpha is None else found is not None and float(found) == pytest.approx(alpha, rel=1e-7)


@pytest.mark.parametrize("config", ["{", "[]", '{"lora_alpha": "much"}', '{"lora_alpha": NaN}', "[" * 5000])
def test_a_configuration_that_makes_no_sense_is_refused(tmp_path: Path, config: str) -> None:
    tensors = stored.respelled(stored.small([Q], alpha=None), "sd1", names.PEFT)
    with pytest.raises(UserError):
        reading.read(stored.write(tmp_path / "x.safetensors", tensors, lora_adapter_metadata=config))


def test_what_is_not_known_is_carried_over_and_told(tmp_path: Path) -> None:
    strange = {f"{Q}.newest_factor": torch.ones(3), "bundle_emb.word.string_to_param.*": torch.ones(2, 2),
               "transformer.single_blocks.0.lora_A.weight": torch.ones(1), "lora_unet_mid_x.something": torch.ones(1)}
    read = reading.read(stored.write(tmp_path / "x.safetensors", stored.small() | strange))
    assert stored.same(read.carried, strange) and stored.same(read.tensors, stored.small())
    embeddings, unknown = reading.carried_notes(read)
    assert embeddings.startswith("1 tensors of embeddings") and unknown.startswith("3 tensors are of a kind")


def test_two_names_of_one_layer_are_refused(tmp_path: Path) -> None:
    double = stored.small([Q]) | stored.respelled(stored.small([Q]), "sd1", names.KOHYA_LDM)
    with pytest.raises(Problems, match="the same part of the same layer"):
        reading.read(stored.write(tmp_path / "x.safetensors", double))


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    narrow = Q.replace("to_q", "to_out_0")
    tensors = stored.small((Q, TEXT, CONTEXT, Q.replace("to_q", "to_v"), Q.replace("to_q", "to_k")))
    tensors[f"{Q}.lora_up.weight"] = torch.ones(4, 3)
    tensors[f"{TEXT}.alpha"] = torch.ones(2)
    del tensors[f"{CONTEXT}.lora_up.weight"]
    tensors[f"{Q.replace('to_q', 'to_v')}.lora_down.weight"] = torch.ones(0, 3)
    tensors[f"{Q.replace('to_q', 'to_v')}.lora_up.weight"] = torch.ones(4, 0)
    tensors[f"{Q.replace('to_q', 'to_k')}.lora_down.weight"] = torch.ones(2)
    empty = stored.small([narrow])
    tensors |= {name: tensor[:0] if tensor.dim() and "lora_up" in name else tensor for name, tensor in empty.items()}
    with pytest.raises(Problems) as raised:
        reading.read(stored.write(tmp_path / "x.safetensors", tensors))
    told = " ".join(raised.value.problems)
    for words in ("rank of down [2, 3] and of up [4, 3] differ", "'alpha' is [2]", "without its other half",
                  "rank is 0", "'lora_up.weight' is [0, 2], which holds no number", "are no matrices or kernels"):
        assert words in told


@pytest.mark.parametrize(("part", "shape"), [
    ("hada_w1_b", (2, 3)), ("lokr_w2_b", (2, 9)), ("a2.weight", (7, 7)), ("oft_blocks", (2, 3, 4)), ("hada_t1", (2,)),
])
def test_factors_of_any_kind_must_fit_one_another(tmp_path: Path, part: str, shape: tuple[int, ...]) -> None:
    kind = {"hada_w1_b": "loha", "hada_t1": "loha_tucker", "lokr_w2_b": "lokr_w2_ab", "a2.weight": "glora",
            "oft_blocks": "oft"}[part]
    target = next(target for name, target in kinds.cases() if name == kind)
    tensors = {f"{target.name}.{name}": tensor.contiguous() for name, tensor in kinds.draw(kind, target).items()}
    assert reading.read(stored.write(tmp_path / "good.safetensors", tensors)).tensors.keys() == tensors.keys()
    tensors[f"{target.name}.{part}"] = torch.ones(shape)
    with pytest.raises(Problems, match="damaged"):
        reading.read(stored.write(tmp_path / "bad.safetensors", tensors))


@pytest.mark.parametrize(("kind", "target"), dict(kinds.cases()).items(), ids=dict(kinds.cases()))
def test_every_kind_is_read_as_it_is(tmp_path: Path, kind: str, target: Any) -> None:
    tensors = {f"{target.name}.{part}": tensor.contiguous() for part, tensor in kinds.draw(kind, target).items()}
    read = reading.read(stored.write(tmp_path / "x.safetensors", tensors))
    assert stored.same(read.tensors, tensors) and not read.carried


def test_a_sparse_rest_may_not_name_a_shape_of_its_own(tmp_path: Path) -> None:
    tensors = stored.small([Q]) | {f"{Q}.bias_indices": torch.tensor([[0], [0]]), f"{Q}.bias_values": torch.ones(1)}
    whole = tensors | {f"{Q}.bias_size": torch.tensor([4, 3])}
    assert len(reading.read(stored.write(tmp_path / "x.safetensors", whole)).tensors) == 6
    greedy = tensors | {f"{Q}.bias_size": torch.tensor([1 << 20, 1 << 20])}
    with pytest.raises(Problems, match="not the layer's shape"):
        reading.read(stored.write(tmp_path / "y.safetensors", greedy))


def test_a_file_that_is_no_lora_says_so(tmp_path: Path) -> None:
    path = stored.write(tmp_path / "x.safetensors", {"model.diffusion_model.out.2.weight": torch.ones(3)})
    with pytest.raises(UserError, match="has no layer of a LoRA"):
        reading.read(path)
    with pytest.raises(UserError, match="no family 'flux'"):
        reading.read(path, "flux")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_sentence_and_never_more_than_the_file_holds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(file.serialise(stored.small(), {"ss_base_model_version": "sd_v1"}))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place:place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _read_or_refuse(tmp_path_factory.getbasetemp() / "mutated.safetensors", bytes(content[:data.draw(
        st.one_of(st.just(len(content)), st.integers(0, len(content))))]))


_NUMBERS = st.one_of(st.integers(-2, 40), st.sampled_from([1 << 31, 1 << 63, 10 ** 30, True, 1.5, None, "4"]))
_ENTRIES = st.fixed_dictionaries({
    "dtype": st.sampled_from(["F16", "F32", "BF16", "I64", "F4", "X", 3]), "shape": st.lists(_NUMBERS, max_size=4),
    "data_offsets": st.lists(_NUMBERS, min_size=1, max_size=3)})


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from([f"{Q}.lora_up.weight", f"{Q}.lora_down.weight", f"{Q}.alpha", "x\ud800", "y"]),
                       _ENTRIES), st.integers(0, 80))
def test_headers_that_anybody_may_write_are_believed_only_where_they_fit(
    tmp_path_factory: pytest.TempPathFactory, header: dict[str, Any], area: int
) -> None:
    text = json.dumps(header).encode()
    _read_or_refuse(tmp_path_factory.getbasetemp() / "headers.safetensors",
                    len(text).to_bytes(8, "little") + text + bytes(area))


def _read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read = reading.read(path)
    except UserError:
        return
    held = sum(tensor.numel() * tensor.element_size() for tensor in (*read.tensors.values(), *read.carried.values()))
    assert held <= len(content)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000])
def test_headers_without_end_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode())
    with pytest.raises(UserError, match="header cannot be read"):
        reading.read(path)


@pytest.mark.parametrize("ending", [".pt", ".ckpt", ".bin", ".pth"])
def test_pickles_are_read_as_weights_alone(tmp_path: Path, ending: str) -> None:
    torch.save({"state_dict": stored.small(alpha=2.0)}, tmp_path / f"x{ending}")
    read = reading.read(tmp_path / f"x{ending}", "sd1")
    assert stored.same(read.tensors, stored.small(alpha=2.0)) and "is a pickle" in read.notes[0]


class _Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {os.environ['CANARY']}",)


def test_a_pickle_that_wants_to_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", str(tmp_path / "canary"))
    torch.save({**stored.small(), "command": _Command()}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="wants to run code"):
        reading.read(tmp_path / "x.pt")
    assert not (tmp_path / "canary").exists()


def test_pickles_that_claim_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    torch.save({f"{Q}.lora_up.weight": torch.zeros(1).expand(1 << 20, 1 << 10)}, tmp_path / "wide.pt")
    torch.save(stored.small(), tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, \
            zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name) + bytes(1 << 20))
    torch.save(stored.small(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save([1, 2], tmp_path / "list.pt")
    for name, words in (("wide", "claim more"), ("bomb", "unpack to"), ("old", "PyTorch 1.6"), ("list", "no tensors")):
        with pytest.raises(UserError, match=words):
            reading.read(tmp_path / f"{name}.pt")
    with pytest.raises(UserError, match="Cannot read"):
        reading.read(tmp_path / "none.pt")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damaged_pickles_give_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.pt"
    torch.save(stored.small(), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refuse(path, bytes(content[:data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]))
