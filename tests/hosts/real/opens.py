"""Counts how often files of a folder are opened, by anybody: the kernel's inotify, so Rust and C readers count too."""
from __future__ import annotations

import ctypes
import os
import struct
from collections import Counter
from pathlib import Path

_IN_OPEN = 0x20
_EVENT = struct.Struct("iIII")


class Opens:
    """Watches one folder while open as a context: `with Opens(folder) as opens: ...; opens.counted()`."""

    def __init__(self, folder: Path, suffix: str = ".safetensors") -> None:
        self._folder, self._suffix = folder, suffix
        self._handle = -1

    def __enter__(self) -> Opens:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK)
        if self._handle < 0 or libc.inotify_add_watch(self._handle, os.fsencode(self._folder), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def counted(self) -> Counter[str]:
        """Opens by file name since the last call."""
        found: Counter[str] = Counter()
        while True:
            try:
                data = os.read(self._handle, 65536)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                _, _, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                name = data[at:at + length].rstrip(b"\0").decode()
                at += length
                if name.endswith(self._suffix):
                    found[name] += 1
