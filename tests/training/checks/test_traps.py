"""Settings that are allowed but rarely meant are warned of, usual ones are not."""
from __future__ import annotations

from typing import Any

import pytest

from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sdxl import SDXL
from lib_trainer.training import config_reading
from lib_trainer.training.checks import traps


def warnings(**changes: Any) -> list[str]:
    return traps.warnings_for(config_reading.from_dict({"name": "a", **changes}))


@pytest.mark.parametrize(("changes", "word"), [
    ({"optimizer": "Prodigy"}, "Set 1 unless"),
    ({"optimizer": "DAdaptLion", "learning_rate": "1", "text_encoder_lr": "0.5"}, "in that ratio"),
    ({"optimizer": "Prodigy", "learning_rate": "1", "lora_plus": 16}, "in that ratio"),
    ({"learning_rate": "1"}, "destroyed"),
    ({"learning_rate": "2e-6"}, "next to nothing"),
    ({"optimizer": "Lion", "learning_rate": "1e-3"}, "tenth of AdamW's"),
    ({"rank": 64, "alpha": 1}, "1/64"),
    ({"rank": 64, "alpha": 1, "rs_lora": True}, "1/8"),
    ({"algorithm": "oft_kohya", "train_text_encoder": False, "alpha": 1}, "1e-3 is usual"),
    ({"adapter_precision": "bf16"}, "next to nothing"),
    ({"optimizer": "AdamWScheduleFree", "scheduler": "cosine"}, "needs no schedule"),
    ({"optimizer": "SGDScheduleFree", "scheduler": "constant_with_warmup", "warmup": "5%"}, "warmup_steps=100"),
    ({"optimizer": "Adafactor", "optimizer_args": "relative_step=True"}, "sets its rate itself"),
    ({"optimizer": "Adafactor", "optimizer_args": "relative_step=True", "scheduler": "cosine"}, "have no effect"),
    ({"optimizer": "Adafactor"}, "limited twice"),
    ({"optimizer_args": "weight_decay=0.5"}, "0.01 is usual"),
    ({"optimizer": "DAdaptAdam", "learning_rate": "1", "optimizer_args": "log_every=10"}, "'log_every'"),
])
def test_traps_are_warned_of(changes: dict[str, Any], word: str) -> None:
    assert any(word in warning for warning in warnings(**changes))


def test_a_second_encoder_that_is_not_there() -> None:
    config = config_reading.from_dict({"name": "a", "text_encoder2_lr": "1e-5"})
    assert "one text encoder" in next(traps.of_family(config, SD1))
    assert not [*traps.of_family(config, SDXL)]


@pytest.mark.parametrize("changes", [
    {}, {"optimizer": "Prodigy", "learning_rate": "1", "scheduler": "cosine"}, {"text_encoder_lr": "0"},
    {"optimizer": "Lion", "learning_rate": "1e-4"}, {"optimizer": "AdamWScheduleFree", "learning_rate": "1e-3"},
    {"optimizer": "DAdaptLion", "learning_rate": "1", "optimizer_args": "betas=0.9,0.999 weight_decay=0 d0=1e-06"},
    {"optimizer": "SGDNesterov", "learning_rate": "0.1"}, {"learning_rate": "5e-6:2000, 5e-7:10000, 5e-8"},
    {"optimizer": "Adafactor", "max_grad_norm": 0}, {"scheduler": "constant_with_warmup", "warmup": "100"},
])
def test_usual_settings_give_no_warning(changes: dict[str, Any]) -> None:
    assert warnings(**changes) == []
