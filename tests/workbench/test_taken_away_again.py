"""(A + B) - B = A, whatever the kinds of the two are: what a sum writes can be taken out of it again."""
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_trainer.workbench.sources import Source
from tests.lora.models import ATTENTION, KERNEL
from tests.workbench.algebra import EXACT, changes, drawn, merged, written

KINDS = ("lora", "lora_sparse_bias", "loha", "lokr", "lokr_w2_ab", "lokr_both", "full_b", "tucker", "loha_tucker",
         "lokr_tucker")
"""Those that stand alone, without the model's weights."""


@settings(max_examples=16, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.floats(0.01, 3), st.booleans(), st.integers(0, 99))
def test_a_sum_less_one_of_its_sources_is_the_other(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str, size: float, negative: bool, seed: int
) -> None:
    """Every step rounds once to single precision: to a part in 1.7e7 of the greater of the two, not of A alone."""
    folder, strength = tmp_path_factory.mktemp("sum"), -size if negative else size
    one = drawn(first, seed, [ATTENTION, KERNEL])
    other = drawn(second, seed + 1, [ATTENTION, KERNEL])
    a, b = written(folder / "a.safetensors", one), written(folder / "b.safetensors", other)
    merged(folder / "ab.safetensors", Source(a), Source(b, strength))
    back, _ = merged(folder / "back.safetensors", Source(folder / "ab.safetensors"), Source(b, -strength))
    true, added, found = changes(one), changes(other), changes(back)
    for layer in true.keys() | added.keys():
        for number in (0, 1):  # weight, bias
            wanted = true[layer][number] if layer in true else 0 * added[layer][number]
            scale = wanted.norm() + (size * added[layer][number].norm() if layer in added else 0)
            assert (found[layer][number] - wanted).norm() <= EXACT * scale
