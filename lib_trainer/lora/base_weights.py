"""The weights of a base checkpoint by kohya's layer names, read from its file one at a time."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora import checkpoint, checkpoint_layers


@contextmanager
def opened(path: Path, family: str) -> Iterator[Callable[[str], Tensor]]:
    """Yields a function from kohya layer names to weights (CPU, as stored), valid while open.

    Args:
        path: a checkpoint in the original layout, `.safetensors` or `.ckpt`.
        family: "sd1", "sd2" or "sdxl": that of the LoRA.

    Raises:
        UserError: the file is missing, damaged or of another kind; the function raises it for a layer it lacks.
    """
    with checkpoint.opened(path) as file:
        yield by_layer(file, path, family)


def by_layer(file: checkpoint.Tensors, path: Path, family: str) -> Callable[[str], Tensor]:
    """Returns the function from layer names to weights of an open checkpoint."""
    model = checkpoint_layers.FAMILIES[family]
    known = checkpoint_layers.layers(file.entries, model)

    def weight(layer: str) -> Tensor:
        found = checkpoint_layers.find(known, layer, model)
        if found is None:
            raise UserError(f"The checkpoint '{path.name}' has no layer '{layer}': it is no {model.label} checkpoint, "
                            "or not a whole one. Choose the one that the LoRA was trained on.")
        return found.weight.of(file.read(found.weight.key))

    return weight
