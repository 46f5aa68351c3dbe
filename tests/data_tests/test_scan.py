"""Scanning picture folders as people have them."""
from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_trainer.data.scanning.gathering import Skipped
from lib_trainer.data.scanning.scan import scan
from lib_trainer.data.subsets import Subset
from lib_trainer.errors import UserError
from tests.data_tests.drawn import caption, picture


def reasons(found: list[Skipped]) -> dict[str, str]:
    return {skip.path.name: skip.reason for skip in found}


def test_n_caption_folders(tmp_path: Path) -> None:
    picture(tmp_path / "10_zunko" / "zko (10).png", (80, 40))
    picture(tmp_path / "10_zunko" / "zko (2).PNG")
    caption(tmp_path / "10_zunko" / "zko (2).txt", "zunko, smile")
    picture(tmp_path / "3_ずん子 立ち絵" / "あ.JPG")
    found = scan(tmp_path, subset=Subset("", repeats=99), trigger="unused")
    assert [(item.key, item.caption, item.repeats, item.captioned) for item in found.items] == [
        ("images/3_ずん子 立ち絵/あ.JPG", "ずん子 立ち絵", 3, False),
        ("images/10_zunko/zko (2).PNG", "zunko, smile", 10, True),
        ("images/10_zunko/zko (10).png", "zunko", 10, False),
    ]
    assert (found.items[2].width, found.items[2].height, found.items[2].folder) == (80, 40, "10_zunko")
    assert (found.skipped, found.problems, found.warnings) == ([], [], [])


def test_flat_folder(tmp_path: Path) -> None:
    root = tmp_path / "my set"
    for name in ("a.png", "b.jpg", "c.jpeg", "d.webp", "e.bmp"):
        picture(root / name)
    caption(root / "A.TXT", "zko, hat")
    found = scan(f'"{root}"', subset=Subset("", prefix="reg/", repeats=4, is_reg=True), trigger="zko")
    assert [item.path.name for item in found.items] == ["a.png", "b.jpg", "c.jpeg", "d.webp", "e.bmp"]
    assert [item.caption for item in found.items] == ["zko, hat"] + ["zko"] * 4
    assert {(item.repeats, item.is_reg, item.folder) for item in found.items} == {(4, True, "my set")}
    assert found.items[0].key == "reg/a.png"


def test_two_pictures_share_a_caption(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.jpg")
    caption(tmp_path / "a.txt", "both")
    assert [item.caption for item in scan(tmp_path).items] == ["both", "both"]


def test_what_is_left_out_is_listed(tmp_path: Path) -> None:
    picture(tmp_path / "2_zko" / "a.png")
    picture(tmp_path / "loose.png")
    picture(tmp_path / "raw" / "b.png")
    picture(tmp_path / "0_none" / "c.png")
    picture(tmp_path / "2_zko" / "anim.gif")
    picture(tmp_path / "2_zko" / ".hidden.png")
    (tmp_path / "2_zko" / "empty.png").touch()
    (tmp_path / "2_zko" / "text.jpg").write_text("not a picture")
    (tmp_path / "logs").mkdir()
    found = scan(tmp_path)
    assert [item.path.name for item in found.items] == ["a.png"]
    listed = reasons(found.skipped)
    assert set(listed) == {"loose.png", "raw", "0_none", "anim.gif", "empty.png", "text.jpg"}
    assert "empty" in listed["empty.png"]
    assert "not a picture" in listed["text.jpg"]
    assert "10_caption" in listed["raw"]


def test_captions_with_faults(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        picture(tmp_path / f"{name}.png")
    caption(tmp_path / "a.txt", "")
    caption(tmp_path / "b.txt", "one\ntwo")
    (tmp_path / "c.txt").write_bytes("ずん子".encode("cp932"))
    (tmp_path / "d.txt").write_bytes("東北".encode("cp932"))
    found = scan(tmp_path, trigger="zko")
    used = [(item.path.name, item.caption) for item in found.items]
    assert used == [("a.png", "zko"), ("b.png", "one"), ("e.png", "zko")]
    assert len(found.problems) == 1
    assert all(part in found.problems[0] for part in ("2 caption files", "c.txt", "d.txt", "Shift-JIS", "UTF-8"))
    assert len(found.warnings) == 2
    assert "a.txt" in found.warnings[0]
    assert "b.txt" in found.warnings[1]


def test_pictures_without_any_caption_are_told(tmp_path: Path) -> None:
    for index in range(12):
        picture(tmp_path / f"{index}.png")
    (warning,) = scan(tmp_path).warnings
    assert "12 pictures (0.png, 1.png, 2.png, ...)" in warning
    assert scan(tmp_path, trigger="zko").warnings == []
    assert "1_woman" in scan(tmp_path, subset=Subset("", is_reg=True)).warnings[0]


def test_other_caption_ending_is_proposed(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    caption(tmp_path / "a.caption", "zko")
    (warning,) = scan(tmp_path, trigger="x").warnings
    assert "set 'Caption files' to .caption" in warning
    assert scan(tmp_path, caption_extension="caption").items[0].caption == "zko"


def test_n_caption_folder_given_itself(tmp_path: Path) -> None:
    root = picture(tmp_path / "20_zko" / "a.png").parent
    found = scan(root, subset=Subset("", repeats=10), trigger="zko")
    assert found.items[0].repeats == 10
    assert "20 repeats" in found.warnings[0]


@pytest.mark.parametrize(("orientation", "size"), [(1, (80, 40)), (3, (80, 40)), (6, (40, 80)), (8, (40, 80))])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_size_is_that_of_the_upright_picture(
    ending: str, orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (80, 40)).save(tmp_path / f"a.{ending}", exif=exif)
    (item,) = scan(tmp_path, trigger="x").items
    assert (item.width, item.height) == size


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist") as caught:
        scan(str(tmp_path / "no" / "such"))
    assert str(tmp_path) in str(caught.value)


def test_file_instead_of_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a file"):
        scan(picture(tmp_path / "a.png"))


def test_a_name_no_system_takes() -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        scan("pics\0")


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds nothing"):
        scan(tmp_path)
    picture(tmp_path / "zunko" / "a.png")
    caption(tmp_path / "a.txt", "x")
    with pytest.raises(UserError, match=r"1 folder and 1 file.*10_caption.*zunko: its name"):
        scan(tmp_path)


def test_only_unreadable_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=r"a\.png: the file is empty"):
        scan(tmp_path)
