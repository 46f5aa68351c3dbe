"""Files under other programs' names: nothing is lost on the way there and back, and what has no name is told."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lib_trainer.errors import UserError
from lib_trainer.lora import file
from lib_trainer.workbench import convert, names
from lib_trainer.workbench.convert import NAMINGS, ConvertOrder
from lib_trainer.workbench.operation import Outcome, finish
from tests.lora import kinds
from tests.workbench import stored
from tests.workbench.stored import TEXT, Q

MID = "lora_unet_mid_block_resnets_0_conv1"
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def converted(source: Path, out: Path, naming: str, **more: str | bool) -> Outcome:
    return finish(convert.run(ConvertOrder(source, out, naming, **more)))  # type: ignore[arg-type]


def there_and_back(folder: Path, source: Path, naming: str) -> bytes:
    """Returns the file that has been in another naming."""
    there, back = folder / "there.safetensors", folder / "back.safetensors"
    for path in (there, back):
        path.unlink(missing_ok=True)
    converted(source, there, naming)
    converted(there, back, names.KOHYA)
    return back.read_bytes()


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("family", stored.VERSIONS)
def test_every_layer_of_every_family_comes_back_bit_by_bit(tmp_path: Path, family: str, naming: str) -> None:
    # One encoder layer and one transformer block have the names of all others (the tables of names are tested whole).
    chosen = {name: shapes for name, shapes in stored.layers(family).items()
              if not any(f"layers_{number}_" in name or f"transformer_blocks_{number % 10}_" in name
                         for number in range(1, 32))}
    source = stored.write(tmp_path / "x.safetensors", stored.lora(chosen), family, ss_output_name="x")
    assert there_and_back(tmp_path, source, naming) == source.read_bytes()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([names.PEFT, names.DIFFUSERS, names.LDM]), st.sampled_from(DTYPES), st.integers(1, 7),
       st.one_of(st.none(), st.floats(0.01, 300)), st.integers(0, 1 << 30), st.floats(1e-7, 1e3))
def test_any_rank_strength_and_dtype_comes_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, naming: str, dtype: torch.dtype, rank: int, alpha: float | None,
    seed: int, size: float,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    tensors = stored.lora({TEXT: ([2, 3], [4, 2])}, 2, 1.0, dtype) | stored.lora(
        {Q: ([2, 3], [4, 2]), MID: ([2, 3, 3, 3], [4, 2, 1, 1])}, rank, alpha, dtype, seed)
    tensors = {name: (tensor * size).to(dtype) if "lora_up" in name else tensor for name, tensor in tensors.items()}
    (folder / "x.safetensors").unlink(missing_ok=True)
    source = stored.write(folder / "x.safetensors", tensors)
    assert there_and_back(folder, source, naming) == source.read_bytes()


def test_numbers_of_8_bits_come_back(tmp_path: Path) -> None:
    tensors = {name: tensor.to(torch.float8_e4m3fn) if tensor.dim() else tensor
               for name, tensor in stored.small([Q]).items()}
    source = stored.write(tmp_path / "x.safetensors", tensors)
    assert there_and_back(tmp_path, source, names.PEFT) == source.read_bytes()


def test_dora_comes_back_whatever_shape_its_lengths_have(tmp_path: Path) -> None:
    tensors = stored.lora({MID: ([2, 3, 3, 3], [4, 2, 1, 1]), Q: ([2, 3], [4, 2])})
    tensors |= {f"{MID}.dora_scale": torch.rand(4, 1, 1, 1).half(), f"{Q}.dora_scale": torch.rand(4, 1)}
    source = stored.write(tmp_path / "x.safetensors", tensors)
    assert there_and_back(tmp_path, source, names.PEFT) == source.read_bytes()
    found = {name: tuple(tensor.shape) for name, tensor in load_file(tmp_path / "there.safetensors").items()}
    assert found["unet.mid_block.resnets.0.conv1.lora_magnitude_vector"] == (1, 4, 1, 1)
    assert found["unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_magnitude_vector"] == (4,)


@pytest.mark.parametrize("kind", ["loha_tucker", "lokr_both", "glora", "oft", "ia3", "full_b", "only_b", "tucker_dora"])
def test_every_kind_has_names_wherever_alpha_has(tmp_path: Path, kind: str) -> None:
    target = next(target for name, target in kinds.cases() if name == kind)
    tensors = {f"{target.name}.{part}": tensor.contiguous() for part, tensor in kinds.draw(kind, target).items()}
    source = stored.write(tmp_path / "x.safetensors", tensors)
    assert there_and_back(tmp_path, source, names.LDM) == source.read_bytes()
    with pytest.raises(UserError, match="have no name in the naming peft"):
        converted(source, tmp_path / "peft.safetensors", names.PEFT)


def test_layers_that_grow_for_their_last_bits_are_told(tmp_path: Path) -> None:
    tensors = stored.small([Q], alpha=1.0)
    for part in ("up", "down"):
        tensors[f"{Q}.lora_{part}.weight"][0, 0] = 2.0 ** -24  # fp16 has nothing between it and 0
    source = stored.write(tmp_path / "x.safetensors", tensors)
    outcome = converted(source, tmp_path / "y.safetensors", names.PEFT)
    assert any(note.startswith("1 layers are stored in a wider dtype") for note in outcome.notes)
    assert {tensor.dtype for tensor in load_file(tmp_path / "y.safetensors").values()} == {torch.float32}
    outcome = converted(source, tmp_path / "z.safetensors", names.PEFT, precision="fp16")
    assert any("will not come back bit for bit" in note for note in outcome.notes)


def test_the_old_prefix_of_oft_stays_in_kohyas_naming(tmp_path: Path) -> None:
    tensors = {"oft_" + Q.removeprefix("lora_") + ".oft_blocks": torch.zeros(2, 2, 2)}
    source = stored.write(tmp_path / "x.safetensors", tensors)
    converted(source, tmp_path / "y.safetensors", names.KOHYA)
    assert stored.same(load_file(tmp_path / "y.safetensors"), tensors)


def test_what_has_no_name_is_refused_or_left_out_and_told(tmp_path: Path) -> None:
    embedding, unknown = {"bundle_emb.word.x": torch.ones(2)}, {f"{Q}.newest_factor": torch.ones(3)}
    other = {f"{MID}.hada_w1_a": torch.ones(4, 2), f"{MID}.hada_w1_b": torch.ones(2, 3),
             f"{MID}.hada_w2_a": torch.ones(4, 2), f"{MID}.hada_w2_b": torch.ones(2, 3)}
    source = stored.write(tmp_path / "x.safetensors", stored.small() | embedding | unknown | other)
    with pytest.raises(UserError, match=r"6 tensors of 'x.safetensors' have no name in the naming peft"):
        converted(source, tmp_path / "y.safetensors", names.PEFT)
    assert not (tmp_path / "y.safetensors").exists()
    outcome = converted(source, tmp_path / "y.safetensors", names.PEFT, leave_out=True)
    assert outcome.facts["left_out"] == 6 and any("were left out" in note for note in outcome.notes)
    assert len(load_file(tmp_path / "y.safetensors")) == 4
    for naming in (names.LDM, names.KOHYA_LDM):  # these have a name for every kind, and take what is carried along
        whole = converted(source, tmp_path / f"{naming}.safetensors", naming)
        assert whole.facts["left_out"] == 0 and len(whole.notes) == 2
        assert stored.same({name: tensor for name, tensor in load_file(tmp_path / f"{naming}.safetensors").items()
                            if name in embedding | unknown}, embedding | unknown)


def test_orders_that_cannot_be_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    nothing, taken = tmp_path / "none.safetensors", stored.write(tmp_path / "x.safetensors", stored.small())
    for out, naming, words in ((tmp_path / "y.safetensors", "flux", "no naming 'flux'"),
                               (taken, names.LDM, "never overwritten"), (tmp_path / "y.pt", names.LDM, "end with")):
        with pytest.raises(UserError, match=words):
            converted(nothing, out, naming)
    stored.write(tmp_path / "z.safetensors", stored.small(), "")
    with pytest.raises(UserError, match="does not tell which kind of model"):
        converted(tmp_path / "z.safetensors", tmp_path / "y.safetensors", names.LDM)
    assert converted(tmp_path / "z.safetensors", tmp_path / "y.safetensors", names.LDM, family="sd2").file is not None


@pytest.mark.parametrize("record", ["{", "[]", '{"kinds": [], "layers": {"' + Q + '": 0}}', '{"kinds": 3}',
                                    '{"kinds": [{"dtype": 1}], "layers": {}}'])
def test_a_record_that_does_not_fit_is_told_and_not_followed(tmp_path: Path, record: str) -> None:
    tensors = stored.respelled(stored.small([Q], alpha=None), "sd1", names.PEFT)
    source = stored.write(tmp_path / "x.safetensors", tensors, **{"workbench.folded": record})
    outcome = converted(source, tmp_path / "y.safetensors", names.KOHYA)
    assert any("does not fit it" in note for note in outcome.notes)
    assert stored.same(load_file(tmp_path / "y.safetensors"), stored.small([Q], alpha=None))


def test_factors_that_somebody_has_changed_are_not_divided(tmp_path: Path) -> None:
    source, there = stored.write(tmp_path / "x.safetensors", stored.small([Q], alpha=1.0)), tmp_path / "y.safetensors"
    converted(source, there, names.PEFT)
    read = file.load(there)
    changed = {name: tensor * 2 for name, tensor in read.tensors.items()}
    save_file(changed, tmp_path / "z.safetensors", read.metadata)
    outcome = converted(tmp_path / "z.safetensors", tmp_path / "back.safetensors", names.KOHYA)
    assert any("have been changed since" in note for note in outcome.notes)
    back = load_file(tmp_path / "back.safetensors")
    assert torch.equal(back[f"{Q}.lora_up.weight"], next(t for name, t in changed.items() if "lora_B" in name))


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    source = stored.write(tmp_path / "x.safetensors", stored.small(alpha=1.0), ss_network_dim="2")
    outcome = converted(source, tmp_path / "y.safetensors", names.DIFFUSERS)
    facts = file.inspect(tmp_path / "y.safetensors")
    assert facts["hash_matches"] and facts["metadata"]["ss_network_dim"] == "2"
    assert json.loads(facts["metadata"]["workbench.folded"])["kinds"][0]["alpha"] == 1.0
    assert outcome.facts == {"summary": "y.safetensors: 0.0 MB, 2 layers under the names of diffusers.",
                             "bytes": facts["bytes"], "layers": 2, "from": "kohya", "to": "diffusers",
                             "family": "sd1", "left_out": 0}
