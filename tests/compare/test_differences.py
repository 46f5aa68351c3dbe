"""Pictures apart: numbers by hand, and the share that the peer tells."""
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lib_trainer.compare import differences
from lib_trainer.errors import UserError


def picture(*rows: list[tuple[int, int, int]]) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=np.uint8))


FIRST = picture([(0, 0, 0), (255, 10, 100)])
SECOND = picture([(20, 21, 0), (0, 10, 101)])


def test_numbers_by_hand() -> None:
    assert differences.mean(FIRST, SECOND) == pytest.approx((20 + 21 + 255 + 1) / 6 / 255 * 100)
    assert differences.changed(FIRST, SECOND) == pytest.approx(2 / 6 * 100)  # 20 is not above 20
    assert differences.changed(FIRST, SECOND, 0) == pytest.approx(4 / 6 * 100)
    assert differences.mean(FIRST, FIRST) == differences.changed(FIRST, FIRST, 0) == 0.0


def test_the_picture_of_differences_and_its_negative() -> None:
    assert np.asarray(differences.difference(FIRST, SECOND)).tolist() == [[[20, 21, 0], [255, 0, 1]]]
    white = np.asarray(differences.difference(FIRST, SECOND, differences.WHITE))
    assert white.tolist() == [[[235, 234, 255], [0, 255, 254]]]


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(UserError, match="2x1 and 3x1"):
        differences.mean(FIRST, Image.new("RGB", (3, 1)))
    with pytest.raises(UserError, match="0 to 255, got 256"):
        differences.changed(FIRST, SECOND, 256)
    with pytest.raises(UserError, match="'grey'"):
        differences.difference(FIRST, SECOND, "grey")
