"""The Train LoRA tab over AUTOMATIC1111: what it trains on, and what stands in the way, before Start."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from lib_trainer.bootstrap import App
from lib_trainer.jobs import Jobs
from lib_trainer.ui.saved_settings import Draft
from lib_trainer.ui.train_tab import TrainTab
from tests.hosts.a1111.case import A1111Case


@pytest.fixture
def case(tmp_path: Path) -> Iterator[A1111Case]:
    case = A1111Case(tmp_path)
    yield case
    case.close()


def test_the_tab_says_on_what_it_trains_and_what_forbids_it(case: A1111Case) -> None:
    tab = TrainTab(App(case.host, Jobs(case.host)), [], Draft())
    with gr.Blocks():
        tab.lay_out()
    said = " ".join(map(str, tab.on_restore()))
    assert case.host.checkpoint().name in said and "tl-error" not in said
    case.model.lowvram = True
    assert "--medvram" in " ".join(map(str, tab.on_restore()))
