"""Japanese and both Chinese: every text of the page has an entry, and no entry is without a text."""
from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from lib_trainer.bootstrap import App
from lib_trainer.data.bucket_report import BucketReport
from lib_trainer.data.buckets import Buckets
from lib_trainer.data.caches.cache_folder import CacheSize
from lib_trainer.data.concepts import Concept
from lib_trainer.data.dataset import Dataset
from lib_trainer.data.item import Item
from lib_trainer.data.picture_rules import PictureRules
from lib_trainer.data.plan import Plan
from lib_trainer.data.subsets import Subset
from lib_trainer.training.forecast import Forecast
from lib_trainer.training.interchange.imported import COMMAND, FORMATS, KINDS, Imported
from lib_trainer.training.methods import difference
from lib_trainer.ui import bucket_fold, cache_row, checkpoint_line, dataset_card, interchange_fold, page, resume_part
from tests.ui import page_texts

AT_RUN_TIME = {"Paused. Press Continue to go on.", "Waiting for its turn", "picture", "pictures", "grid", "grids",
               *difference.TITLES.values()}
"""Texts without values that the training, txt2img and the plot show."""
_PLACE = re.compile(r"\{\w+\}")


def _card(count: int) -> str:
    """The card of a training on so many pictures, with as many of all else that is counted."""
    item = Item(Subset("2_zko", page_texts.ROOT, repeats=2), "none.png", "", 64, 64, captioned=True)
    return dataset_card.card(Forecast(
        [item] * count, count, count, [("2_zko", 2, count)], [(64, 64, 2)], count, 2, count, count, [], ["warning"]))


def _pairs(count: int) -> str:
    """The card of a training on so many pairs."""
    second = Item(Subset("2_zko", page_texts.ROOT), "two.png", "", 64, 64, captioned=True)
    pair = replace(second, file="one.png", partner=second)
    return dataset_card.card(Forecast([pair] * count, count, steps=count, runs=2))


def _prompts(count: int) -> str:
    """The card of a training on so many concepts."""
    found = [Concept("a", "", "b", "c", 2.0, label=f"x{number}") for number in range(count)]
    return dataset_card.card(Forecast(concepts=found, steps=count))


def _buckets() -> set[str]:
    """Texts of the bucket report: everything is enlarged, drawn and regularisation in one picture."""
    subset = Subset("2_zko", page_texts.ROOT, is_reg=True, pictures=PictureRules(random_crop=True))
    reg = [Item(subset, f"none{number}.png", "", 32, 40, captioned=True) for number in (1, 2)]
    train = Item(Subset("1_zko", page_texts.ROOT), "none.png", "", 64, 64, captioned=True)
    report = BucketReport(Plan([Dataset([train, *reg], Buckets(64, 64, 64))], seed=1))
    fold = bucket_fold.BucketFold(lambda settings: report)
    return page_texts.of_html(fold.on_show({}, "", "", 1)[0]) | {*bucket_fold.ORDERS, bucket_fold.ALL}


def _interchange() -> set[str]:
    """Heads and kinds of an import with all there is to tell, and the formats of an export."""
    imported = Imported(COMMAND, unsupported=["1."], changed=["2."], assumed=["3."], needless=["4."])
    told = page_texts.of_html(interchange_fold.told(imported, []) + interchange_fold.lost(["5."]))
    heads = {text for text in told if len(text) > 3}
    return heads | set(KINDS.values()) | set(FORMATS.values())


@pytest.fixture(scope="module")
def texts(shared_app: App) -> set[str]:
    blocks = page_texts.of_blocks(page.build(shared_app).get_config_file())
    cards = "".join(made(count) for made in (_card, _prompts, _pairs) for count in (1, 2))
    card = page_texts.of_html(cards) - {"warning"} | page_texts.of_methods()
    line = page_texts.of_html(checkpoint_line.line(shared_app.host.checkpoint()) + checkpoint_line.loaded_first("x"))
    line |= page_texts.of_html(resume_part.unfinished("x", 1, 2) + resume_part.unfinished("x", 2, 2))
    webui = page_texts.of_webui_settings(shared_app.host.paths.settings)
    written = page_texts.settings() | page_texts.of_scripts() | page_texts.of_notes()
    block_weight = page_texts.of_webui_panel(shared_app.host) | page_texts.of_analysis() | page_texts.of_entries()
    caches = page_texts.of_html(cache_row.told(dict.fromkeys(("latents", "captions"), CacheSize(1, 1))))
    written |= page_texts.of_workbench() | AT_RUN_TIME
    return blocks | card | _buckets() | _interchange() | caches | line | webui | written | block_weight


@pytest.mark.parametrize("language", ["ja_JP", "zh_CN", "zh_TW"])
def test_every_text_is_translated(texts: set[str], language: str) -> None:
    path = page_texts.ROOT / "localizations" / f"{language}.json"
    entries: dict[str, str] = json.loads(path.read_text(encoding="utf8"))
    assert texts - entries.keys() == set(), "texts without a translation"
    assert entries.keys() - texts == set(), "translations of texts that are no longer shown"
    for text, translated in entries.items():
        assert translated.strip()
        assert sorted(_PLACE.findall(text)) == sorted(_PLACE.findall(translated)), text


def test_the_training_still_says_what_is_translated() -> None:
    source = "\n".join(path.read_text(encoding="utf8") for path in (page_texts.ROOT / "lib_trainer").rglob("*.py"))
    assert all(text in source for text in AT_RUN_TIME)
