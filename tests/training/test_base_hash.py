"""The checkpoint's hash: right, kept, and no reason to fail."""
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from lib_trainer.training.outputs.base_hash import BaseHash, Hashes


def test_hash_is_right_and_kept(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    found = BaseHash(path, tmp_path).result()
    assert found.full == hashlib.sha256(content).hexdigest()
    assert found.legacy == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
    kept = tmp_path / "checkpoint_hashes.json"
    entries = json.loads(kept.read_text())
    assert len(entries) == 1
    kept.write_text(json.dumps({identity: {"full": "kept", "legacy": "k"} for identity in entries}))
    assert BaseHash(path, tmp_path).result() == Hashes("kept", "k")


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"a")
    first = BaseHash(path, tmp_path).result()
    path.write_bytes(b"b")
    os.utime(path, ns=(1, 1))
    assert BaseHash(path, tmp_path).result() != first


def test_begun_when_asked_it_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"a")
    waiting = BaseHash(path, tmp_path, ahead=False)
    assert not (tmp_path / "checkpoint_hashes.json").exists()
    assert waiting.result() == waiting.result() == BaseHash(path, tmp_path).result()


def test_nothing_to_hash(tmp_path: Path) -> None:
    assert BaseHash(None, tmp_path).result() == BaseHash(tmp_path / "gone", tmp_path).result() == Hashes()


def test_a_broken_memory_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"a")
    for broken in ("{", "[]", '{"a": 1}'):
        (tmp_path / "checkpoint_hashes.json").write_text(broken)
        assert BaseHash(path, tmp_path).result().full == hashlib.sha256(b"a").hexdigest()
