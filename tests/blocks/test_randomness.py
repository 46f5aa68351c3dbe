"""R and U: numbers that the picture's seed decides, the same wherever and whenever they are drawn."""
from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.blocks.layouts import ARCH_BLOCKS, LAYOUTS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.randomness import RANGES, drawing
from lib_trainer.blocks.resolve import Weights, resolve, resolve_all
from lib_trainer.blocks.tags import split
from lib_trainer.blocks.writing import numbers

_NONE = Presets.parse("")
_ROOT = Path(__file__).parent.parent.parent
_LIST = ",".join("RU" * 8 + "R")


def _resolve(text: str, seed: int, place: int = 0) -> Weights:
    return resolve(split(f"<lora:n:1:lbw={text}>")[1][0], _NONE, "sd15", seed=seed, place=place)


def test_drawn_numbers_stay_what_they_are_for_ever() -> None:
    assert [drawing(1234, "zko", 0)(kind, block) for kind in "RU" for block in ("BASE", "OUT11")] == [
        0.284, 0.334, 0.068, 0.167]


def test_another_process_draws_the_same() -> None:
    code = "from lib_trainer.blocks.randomness import drawing; print(drawing(5, 'n', 1)('U', 'IN04'))"
    result = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert float(result.stdout) == drawing(5, "n", 1)("U", "IN04")


@given(st.integers(-1, 2**64), st.text(max_size=5), st.integers(0, 3), st.sampled_from("RUru"), st.text(max_size=5))
def test_numbers_lie_in_their_range_and_have_three_decimals(
    seed: int, name: str, place: int, kind: str, block: str
) -> None:
    low, high = RANGES[kind.upper()]
    number = drawing(seed, name, place)(kind, block)
    assert low <= number <= high
    assert number == round(number, 3)


def test_the_ranges_are_used_whole() -> None:
    for kind, (low, high) in RANGES.items():
        drawn = [drawing(seed, "n", 0)(kind, "IN01") for seed in range(2000)]
        assert min(drawn) < low + 0.02 * (high - low) and max(drawn) > high - 0.02 * (high - low)
        assert abs(sum(drawn) / len(drawn) - (low + high) / 2) < 0.03 * (high - low)  # 4.6 standard errors


def test_seed_lora_tag_and_block_decide() -> None:
    first = _resolve(_LIST, 1)
    assert first.is_random and first.ratios == _resolve(_LIST, 1).ratios
    assert len({first.digest, _resolve(_LIST, 2).digest, _resolve(_LIST, 1, place=1).digest}) == 3
    assert first.ratios is not None and len({first.ratios[block] for block in LAYOUTS[17]}) > 12
    twice = resolve_all(split(f"<lora:n:1:{_LIST}><lora:m:1:{_LIST}><lora:n:1:{_LIST}>")[1], _NONE, "sd15", seed=1)
    assert twice[0].ratios == first.ratios
    assert len({weights.digest for weights in twice}) == 3


def test_drawn_numbers_can_be_written_into_a_tag() -> None:
    drawn = _resolve(f"{_LIST},MID1@R", 3)
    assert drawn.ratios is not None
    again = _resolve(numbers(drawn.ratios, "sd15", drawn.fine), 99)
    assert (again.ratios, again.fine, again.is_random) == (drawn.ratios, drawn.fine, False)
    assert again.digest == drawn.digest


def test_one_letter_draws_for_every_block() -> None:
    weights = _resolve("R", 8)
    assert weights.ratios is not None and weights.is_random
    assert len(set(weights.ratios.values())) > len(ARCH_BLOCKS["sd15"]) - 3


def test_without_r_and_u_no_seed_matters() -> None:
    assert _resolve("0.5,MID@X", 1) == _resolve("0.5,MID@X", 2)
    assert not _resolve("0.5", 1).is_random


def test_the_process_wide_generator_is_left_alone() -> None:
    state = random.getstate()
    _resolve(_LIST, 1)
    assert random.getstate() == state
