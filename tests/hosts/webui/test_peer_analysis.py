"""The analysis by pictures as a WebUI's script draws it: the peer's values, only blocks that the LoRA has."""
from __future__ import annotations

from typing import Any

from tests.compare import known_loras
from tests.contract.case import HostCase
from tests.hosts.webui.test_plot_batches import case, generate, script

__all__ = ["case", "script"]  # the fixtures of the plots serve here, too

PROMPT = "a cat<lora:one:0.8:XYZ>"
ANALYZER = 2


def analysed(blocks: str, prompt: str = PROMPT) -> Any:
    """Draws with the 18 values of the peer's clients."""
    sent = ["", True, ANALYZER, "", "", "", "", "", "", "0,1", blocks, 1, "white", "20", False, "", False, False]
    return generate(prompt, sent)[1]


def test_one_picture_with_all_blocks_and_one_for_each(case: HostCase, script: Any) -> None:
    done = analysed("BASE,OUT03 OUT04")
    assert done.index_of_first_image == 1 and len(done.images) == 1 + 3
    assert 'LoRA analysis: "0,1: BASE, OUT03 OUT04"' in done.infotexts[0]
    assert done.images[0].width > 3 * 64 and len({image.tobytes() for image in done.images}) == 4


def test_blocks_that_the_lora_lacks_are_skipped(case: HostCase, script: Any) -> None:
    case.host.lora_saved(known_loras.write(case.host, "plain", {"BASE": 0.1}))
    done = analysed("BASE,IN00,IN03-IN04", prompt="a cat<lora:plain:1:XYZ>")  # an ordinary LoRA has no IN00 and IN03
    assert len(done.images) == 1 + 3
    assert "IN00" in done.comments and "IN03" not in done.comments


def test_a_fault_draws_one_picture_and_is_told(case: HostCase, script: Any) -> None:
    done = analysed("IN77")
    assert len(done.images) == 1 and "IN77" in done.comments
