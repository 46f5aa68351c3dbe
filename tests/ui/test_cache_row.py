"""The row that measures and empties the caches."""
from __future__ import annotations

import torch

from lib_trainer.bootstrap import App
from lib_trainer.data.caches import cache_files
from lib_trainer.training import caching
from lib_trainer.ui.cache_row import CacheRow


def test_measured_and_cleared(app: App) -> None:
    folder = caching.latents_folder(app.host.paths)
    cache_files.write(cache_files.place(folder, cache_files.digest("x")), {"mean": torch.zeros(250_000)})
    row = CacheRow(app)
    assert "<b>1</b> <small>cached pictures</small> <b>1.0</b> <small>MB</small>" in row.on_measure()
    assert "<b>0</b> <small>cached pictures</small>" in row.on_clear()
    assert caching.sizes(app.host.paths)["latents"].files == 0
