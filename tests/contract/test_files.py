"""LoRA files of other kinds on every host's own layers: hooked on, they do what changed weights would do."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lib_trainer.host_model import HostModel, Target
from lib_trainer.lora import loaded
from lib_trainer.lora.changes import ChangeLayer, own_weight
from tests.contract import steps
from tests.contract.case import HostCase


def drawn(targets: Sequence[Target]) -> dict[str, Tensor]:
    """Returns a file that changes every layer: norms and biases by differences, matrices by GLoRA and DoRA."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int, std: float) -> Tensor:
        return torch.randn(*shape, generator=generator) * std

    state: dict[str, Tensor] = {}
    for number, target in enumerate(targets):
        weight = own_weight(target)
        if weight.dim() == 1:
            state |= {f"{target.name}.{part}": random(*weight.shape, std=0.1) for part in ("w_norm", "b_norm")}
        elif number % 2:
            state[f"{target.name}.diff"] = random(*weight.shape, std=0.2 * weight[0].numel() ** -0.5)
            state[f"{target.name}.dora_scale"] = 1.1 * weight.float().flatten(1).norm(dim=1).reshape(
                -1, *(1 for _ in weight.shape[1:]))
        else:
            outputs, inputs = weight.shape[0], weight.shape[1]
            state |= {f"{target.name}.a1.weight": random(inputs, 2, std=0.2),
                      f"{target.name}.a2.weight": random(2, inputs, std=inputs**-0.5),
                      f"{target.name}.b1.weight": random(outputs, 2, std=0.05),
                      f"{target.name}.b2.weight": random(2, weight[0].numel(), std=weight[0].numel() ** -0.5)}
    return state


@contextmanager
def changed(network: loaded.LoadedNetwork, targets: Sequence[Target], strength: float) -> Iterator[None]:
    """While open, the host's own weights hold what the network does."""
    saved: list[tuple[Tensor, Tensor]] = []
    try:
        for target in targets:
            layer, module = network.layers[target.name], target.module
            assert isinstance(layer, ChangeLayer)
            change = layer.weight_delta()
            for whole, delta in ((module.weight, change.weight), (module.bias, change.bias)):
                if delta is not None:
                    own: Any = whole.data if target.rows is None else whole.data[target.rows]
                    saved.append((own, own.clone()))
                    own += strength * delta
        yield
    finally:
        for own, before in saved:
            own.copy_(before)


def test_files_of_other_kinds_act_on_every_layer(case: HostCase) -> None:
    """Norms, the time embedding, the first and the last convolution are among them."""
    with case.host.borrow_model() as lease, lease.turn() as model:
        targets = [*model.targets(), *model.other_targets()]
        names = [target.name for target in targets]
        assert len(set(names)) == len(names)
        for part in ("conv_in", "conv_out", "time_embedding_linear_1", "norm1", "final_layer_norm"):
            assert any(name.endswith(part) for name in names), part
        network, unmatched = loaded.from_state(targets, drawn(targets))
        assert unmatched == [] and network.layers.keys() == set(names)
        plain = predicted(model)
        with network.attached(targets, dict.fromkeys(names, 0.5)):
            hooked = predicted(model)
        with torch.no_grad(), changed(network, targets, 0.5):
            merged = predicted(model)
        assert torch.equal(predicted(model), plain)
        difference = (hooked - merged).abs().max() / (merged - plain).abs().max()
        # Sums in another order through some hundred layers, in float32; half precision is tested layer by layer.
        assert difference < 1e-3


@torch.no_grad()
def predicted(model: HostModel) -> Tensor:
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)).to(model.device)
    return model.predict(noisy, torch.tensor([500], device=model.device), steps.conditioning(model, grad=False))
