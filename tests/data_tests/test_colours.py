"""Hue and gamma, held against the standard library's colour wheel."""
from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.data import colours

SHADE = st.floats(0, 1, width=32)


@given(red=SHADE, green=SHADE, blue=SHADE, degrees=st.floats(-180, 180))
def test_hue_turns_as_in_hsv(red: float, green: float, blue: float, degrees: float) -> None:
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    expected = colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)
    found = colours.turn_hue(np.array([[[red, green, blue]]], dtype=np.float32), degrees)[0, 0]
    # float32 against float64; where two channels are almost one the hue itself is rounded, but hardly shows
    assert found == pytest.approx(expected, abs=2e-5)


def test_greys_have_no_hue() -> None:
    greys = np.linspace(0, 1, 11, dtype=np.float32).repeat(3).reshape(1, 11, 3)
    assert np.array_equal(colours.turn_hue(greys, 90), greys)


def test_gamma_keeps_black_and_white() -> None:
    found = colours.apply_gamma(np.array([[[0, 0.5, 1]]], dtype=np.float32), 1.05)[0, 0]
    assert found.tolist() == pytest.approx([0, 0.5**1.05, 1], abs=1e-6)
