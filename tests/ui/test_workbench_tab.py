"""The workbench tab: few components, and what is pressed comes back as an answer."""
from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from lib_trainer.bootstrap import App
from lib_trainer.ui import workbench_tab
from tests.workbench import stored
from tests.workbench.test_tasks import LONG

MOST_COMPONENTS = 6


@pytest.fixture
def tab(app: App) -> workbench_tab.WorkbenchTab:
    stored.write(app.host.paths.loras / "a.safetensors", stored.small())
    return workbench_tab.WorkbenchTab(app)


def press(tab: workbench_tab.WorkbenchTab, *wish: Any) -> dict[str, Any]:
    found = re.fullmatch(r'<b data-answer="([^"]*)"></b>', tab.on_wish(json.dumps(wish)))
    assert found is not None
    answer: dict[str, Any] = json.loads(unescape(found[1]))
    return answer


def test_the_tab_costs_few_components(shared_app: App) -> None:
    blocks = workbench_tab.build(shared_app).blocks.values()
    assert len(blocks) <= MOST_COMPONENTS
    assert all(component.do_not_save_to_config for component in blocks)


def test_an_operation_begins_and_what_is_wrong_is_told(tab: workbench_tab.WorkbenchTab, app: App) -> None:
    answer = press(tab, "start", "inspect", {"file": "a"}, 1)
    assert answer == {"stamp": 1, "problems": [], "number": 1}
    assert app.jobs.workbench.tasks.find(1).wait(LONG)
    answer = press(tab, "start", "merge", {"sources": [{"lora": '"><script>'}], "out": ""}, 2)
    assert answer["stamp"] == 2 and len(answer["problems"]) == 2 and "number" not in answer
    assert press(tab, "cancel", "", {}, 3)["problems"] == [
        "No operation is running, so there is nothing to cancel."]
