"""Sums of LoRA files in the embedded host's pictures: the one file draws what all the tags drew."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.workbench import merge
from lib_trainer.workbench.merge import MergeOrder
from lib_trainer.workbench.operation import finish
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.sources import Source
from tests.hosts.standalone.test_kinds import BLOCKS, differing, draw, write

KINDS = ("lora", "loha", "dora")
WAYS: dict[str, dict[str, Any]] = {
    "exact": {}, "reduced": {"reduction": Reduction("svd", 512), "shuffle": True},  # to more than any layer's rank
}


def test_the_sum_draws_what_the_tags_drew(host: StandaloneHost, checkpoint: Path) -> None:
    paths = [write(host, checkpoint, kind) for kind in KINDS]
    sources = (Source(paths[0], 0.5), Source(paths[1], -0.3), Source(paths[2], 0.7, weights=f"1:{BLOCKS}"))
    tags = "".join(f"<lora:{source.path.stem}:{source.strength}{f':{BLOCKS}' if source.weights else ''}>"
                   for source in sources)
    together = draw(host, f"a cat {tags}")
    assert together.comments == [] and differing(together, draw(host, "a cat")) > 8
    for way, how in WAYS.items():
        out = host.paths.loras / f"{way}.safetensors"
        finish(merge.run(MergeOrder(sources, out, base=checkpoint, device="cpu", **how)))
        host.lora_saved(out)
        summed = draw(host, f"a cat <lora:{way}:1>")
        # one product instead of three: the last digit, one level where it flips a byte
        assert summed.comments == [] and differing(together, summed) <= 1
