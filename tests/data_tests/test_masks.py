"""Masks: found beside their pictures, aligned with them in every look, averaged over the pixels of a latent."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_trainer.data import looks, masks
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.item import Item
from lib_trainer.data.masks import MaskFolders
from lib_trainer.data.picture_rules import Look, PictureRules
from lib_trainer.data.pictures import load_mask, load_picture
from lib_trainer.data.scanning.scan import scan
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from tests.data_tests.drawn import picture


def blob(size: tuple[int, int], seed: int) -> Image.Image:
    """A grey picture with slopes: what is scaled two ways still agrees where it is smooth."""
    columns, rows = (np.linspace(0, 3, side) for side in size)
    waves = np.sin(columns[None] * (1 + seed % 3) + seed) * np.cos(rows[:, None] * (1 + seed % 2))
    return Image.fromarray(((waves + 1) * 127).astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(64, 400), height=st.integers(64, 400), seed=st.integers(0, 1000), flip=st.booleans(),
    random_crop=st.booleans(), face=st.booleans(), turned=st.sampled_from([1, 3, 6, 8]), in_folder=st.booleans(),
)
def test_a_mask_stays_aligned_with_its_picture(
    width: int, height: int, seed: int, flip: bool, random_crop: bool, face: bool, turned: int, in_folder: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The picture is its own mask: whatever is drawn, the mask is the picture averaged over every latent's pixels."""
    folder = tmp_path_factory.mktemp("m")
    path, grey = folder / "a_60_50_30_30.png", blob((width, height), seed)
    exif = Image.Exif()
    exif[0x0112] = turned
    if in_folder:
        Image.merge("RGB", [grey] * 3).save(path, exif=exif)
    else:
        # On black, the alpha channel of white is the picture.
        Image.merge("RGBA", [Image.new("L", grey.size, 255)] * 3 + [grey]).save(path, exif=exif)
    rules = PictureRules(
        flip=flip, random_crop=random_crop, face_crop=(1.5, 3.0) if face else None, alpha_mask=not in_folder,
        background=(0, 0, 0), interpolation="bilinear",
    )
    size = (height, width) if turned in (6, 8) else (width, height)
    look = looks.draw(rules, path, size, Buckets(64, 64, 64).select(*size), seed, 1, "key")
    pixels, alpha = load_picture(path, look, rules)
    mask = load_mask(path if in_folder else None, look, rules, alpha)
    expected = F.avg_pool2d((pixels[:1] + 1) / 2, 8)
    assert mask.shape == expected.shape == (1, look.placement.bucket[1] // 8, look.placement.bucket[0] // 8)
    # One grey level of 255 is 0.004: the alpha channel is rounded once more when the picture is laid on black.
    assert torch.allclose(mask, expected, atol=0.004)


def test_a_mask_is_averaged_over_the_pixels_of_a_latent() -> None:
    image = Image.new("L", (64, 64), 0)
    image.paste(255, (0, 0, 12, 64))  # one and a half latents
    found = masks.placed(image, Look(Buckets(64, 64, 64).select(64, 64)))
    assert found[0, 3].tolist() == [1, 0.5, 0, 0, 0, 0, 0, 0]
    mirrored = masks.placed(image, Look(Buckets(64, 64, 64).select(64, 64), flip=True))
    assert torch.equal(mirrored, found.flip(-1))


def test_without_a_mask_everything_counts(tmp_path: Path) -> None:
    look = Look(Buckets(64, 128, 64, enabled=False).select(64, 128))
    assert torch.equal(load_mask(None, look, PictureRules(alpha_mask=True), None), torch.ones(1, 16, 8))
    assert masks.placed(None, look).shape == (1, 16, 8)


def test_a_mask_of_another_size_is_stretched(tmp_path: Path) -> None:
    path, look = picture(tmp_path / "a.png", (16, 16), (255, 0, 0)), Look(Buckets(64, 64, 64).select(128, 128))
    assert torch.equal(load_mask(path, look, PictureRules()), torch.ones(1, 8, 8))


def listed(tmp_path: Path, mask_folder: Path) -> list[Item]:
    return scan(tmp_path / "pics", subset=Subset("", pictures=PictureRules(mask_folder=mask_folder))).items


def test_masks_have_the_stem_of_their_picture(tmp_path: Path) -> None:
    for name in ("a.png", "B.jpg"):
        picture(tmp_path / "pics" / name)
    ours = [picture(tmp_path / "masks" / name) for name in ("a.bmp", "b.png")]
    items = listed(tmp_path, tmp_path / "masks")
    assert masks.faults(items) == []
    assert [MaskFolders().file_of(item) for item in items] == ours


def test_all_faults_of_masks_are_told(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / "pics" / f"{name}.png")
    picture(tmp_path / "masks" / "a.png", (64, 128))
    (tmp_path / "masks" / "d.png").write_text("no picture")
    items = listed(tmp_path, tmp_path / "masks")
    found = masks.faults(items)
    assert len(found) == 3
    assert "2 pictures have no mask" in found[0] and "b.png, c.png" in found[0]
    assert "64x128" in found[1] and "not a picture" in found[2]
    with pytest.raises(UserError, match="no mask"):
        MaskFolders().file_of(items[1])


def test_a_mask_folder_that_is_not_there(tmp_path: Path) -> None:
    picture(tmp_path / "pics" / "a.png")
    assert ["cannot be read" in fault for fault in masks.faults(listed(tmp_path, tmp_path / "none"))] == [True]
