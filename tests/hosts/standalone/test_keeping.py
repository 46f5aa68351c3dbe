"""A model kept as a run wants it: other weights while it lasts, exactly the former ones afterwards."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib_trainer.host import HostPaths
from lib_trainer.hosts.standalone import storage
from lib_trainer.hosts.standalone.compiled import CompiledUNet
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.hosts.standalone.placement import Placement
from lib_trainer.keeping import ATTENTIONS, Keeping
from lib_trainer.txt2img_host import GenerateRequest
from tests import tiny_checkpoint, tiny_families
from tests.contract import snapshots, steps

FP8 = torch.float8_e4m3fn


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints of a family."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sd1":
        return [tiny_checkpoint.write(folder, f"{seed}.safetensors", seed) for seed in (0, 1)]
    return [tiny_families.write(folder, "sdxl", f"{seed}.safetensors", seed) for seed in (0, 1)]


@pytest.fixture
def host(files: list[Path], tmp_path: Path) -> StandaloneHost:
    return StandaloneHost(files[0], HostPaths(*(tmp_path / name for name in ("loras", "outputs", "settings", "cache"))))


def drawn(host: StandaloneHost) -> bytes:
    return host.generate(GenerateRequest("a cat", seed=3, steps=2))[0].image.tobytes()


def dtypes(host: StandaloneHost) -> set[torch.dtype]:
    model = host._loaded
    return {weight.dtype for network in (model.unet, *model.text.networks) for weight in network.parameters()}


def addressless(host: StandaloneHost) -> dict[str, object]:
    """What the networks hold and how they are flagged, wherever they are."""
    return {name: replace(state, address=0) if isinstance(state, snapshots.TensorState) else state
            for name, state in snapshots.networks(host._loaded.networks()).items()}


@pytest.mark.parametrize(("keeping", "inside"), [
    (Keeping(dtype="bf16"), {torch.bfloat16}), (Keeping(storage="fp8"), {torch.float32, FP8}),
    (Keeping(dtype="bf16", storage="fp8_unet"), {torch.bfloat16, FP8}), (Keeping(dtype="fp32"), {torch.float32}),
])
def test_other_weights_for_a_run(host: StandaloneHost, keeping: Keeping, inside: set[torch.dtype]) -> None:
    before, picture = addressless(host), drawn(host)
    with pytest.raises(RuntimeError, match="in the middle"), host.borrow_model(keeping=keeping) as lease:
        with lease.turn() as model:
            assert dtypes(host) == inside
            made = steps.network(model)
            with made.attached(model.targets()), model.checkpointing():
                assert steps.backward(model).isfinite().all()
        assert len(drawn(host)) == len(picture)  # the person may draw meanwhile
        raise RuntimeError("in the middle")
    assert addressless(host) == before and drawn(host) == picture


def is_stored(network: torch.nn.Module) -> bool:
    return any(isinstance(layer, storage.StoredLinear | storage.StoredConv) for layer in network.modules())


def test_text_encoders_alone_stay_whole(host: StandaloneHost) -> None:
    with host.borrow_model(keeping=Keeping(storage="fp8_unet")):
        assert is_stored(host._loaded.unet) and not any(map(is_stored, host._loaded.text.networks))


def test_what_the_person_loads_meanwhile_is_kept_alike_and_stays(host: StandaloneHost, files: list[Path]) -> None:
    host.load_model(files[1])
    other = drawn(host)
    host.load_model(files[0])
    with host.borrow_model(keeping=Keeping(storage="fp8")) as lease:
        host.load_model(files[1])
        assert FP8 in dtypes(host)
        host.load_model(files[0])
        with lease.turn():
            assert FP8 in dtypes(host)
        host.load_model(files[1])
    assert dtypes(host) == {torch.float32} and drawn(host) == other


def test_a_coarser_host_reads_the_file_for_a_finer_run(files: list[Path], tmp_path: Path) -> None:
    paths = HostPaths(*(tmp_path / name for name in ("loras", "outputs", "settings", "cache")))
    host = StandaloneHost(files[0], paths, precision="bf16")
    before = drawn(host)
    with host.borrow_model(keeping=Keeping(dtype="fp32")):
        assert dtypes(host) == {torch.float32}
    assert dtypes(host) == {torch.bfloat16} and drawn(host) == before


def test_stored_layers_compute_with_their_rounded_weights(host: StandaloneHost, files: list[Path]) -> None:
    """Prediction and gradients are those of a float32 model that has the rounded weights."""
    plain = StandaloneHost(files[0], host.paths)
    with host.borrow_model(keeping=Keeping(storage="fp8")) as ours, plain.borrow_model() as theirs:
        named = dict(zip(map(id, host._loaded.modules), plain._loaded.modules, strict=True))
        for layer in host._loaded.modules:
            if isinstance(layer, storage.StoredLinear | storage.StoredConv):
                named[id(layer)].weight.data = layer.weight.float()  # type: ignore[union-attr]
        found = []
        for lease in (ours, theirs):
            with lease.turn() as model:
                made = steps.network(model)
                with made.attached(model.targets()):
                    predicted = steps.backward(model)
                found.append((predicted, {name: value.grad for name, layer in made.layers.items()
                                          for value in layer.parameters() if value.grad is not None}))
    (predicted, gradients), (want, wanted) = found
    torch.testing.assert_close(predicted, want)
    assert gradients.keys() == wanted.keys()
    mine, all_wanted = (torch.cat([part[name].flatten() for name in sorted(wanted)])
                        for part in (gradients, wanted))
    # sums in another order; where terms cancel, as in the norms of this narrow model, rounding grows
    assert (mine - all_wanted).norm() < 5e-3 * all_wanted.norm()


def test_what_backward_keeps_of_a_layer_is_its_stored_weight() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Unflatten(1, (8, 1, 1)), torch.nn.Conv2d(8, 8, 1))
    layers.requires_grad_(False)
    storage.store(layers)
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layers(torch.ones(1, 8, requires_grad=True)).sum().backward()
    assert [tensor.dtype for tensor in kept] == [FP8, FP8]


def test_numbers_beyond_8_bits_become_the_greatest() -> None:
    layer = torch.nn.Linear(1, 2)
    layer.weight.data = torch.tensor([[1e6], [-1e6]])
    storage.store(layer)
    assert layer.weight.float().flatten().tolist() == [448.0, -448.0]


def test_under_autocast_a_stored_layer_computes_in_its_dtype() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4)).requires_grad_(False)
    storage.store(layer)
    x = torch.ones(1, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16 and x.grad is not None and x.grad.dtype == torch.float32


@pytest.mark.parametrize("attention", [name for name in ATTENTIONS if name not in ("flash", "xformers")])
def test_attention_is_chosen_and_put_back(host: StandaloneHost, attention: str) -> None:
    before = snapshots.networks(host._loaded.networks())
    found = []
    for keeping in (Keeping(), Keeping(attention=attention)):
        with host.borrow_model(keeping=keeping) as lease, lease.turn() as model:
            made = steps.network(model)
            with made.attached(model.targets()), model.checkpointing():
                found.append(steps.backward(model))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert snapshots.networks(host._loaded.networks()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a card cannot do")
def test_what_cannot_be_had_here_is_said(host: StandaloneHost) -> None:
    assert host.obstacles(Keeping(attention="sdpa", offload=True, storage="fp8", dtype="bf16")) == []
    assert "NVIDIA card" in host.obstacles(Keeping(attention="flash"))[0]
    assert "xformers" in host.obstacles(Keeping(attention="xformers"))[0]
    assert host.remarks(Keeping()) == []
    assert "in main memory already" in host.remarks(Keeping(offload=True))[0]


class Luggage(torch.nn.Module):
    """A network that writes down where it is sent."""

    def __init__(self, name: str, way: list[str]) -> None:
        super().__init__()
        self._name, self._way = name, way

    def to(self, where: torch.device) -> Luggage:  # type: ignore[override]
        self._way.append(f"{self._name} {where.type}")
        return self


def test_only_what_is_used_is_on_the_device() -> None:
    way: list[str] = []
    placed = Placement(torch.device("cuda"), {name: [Luggage(name, way)] for name in ("unet", "vae", "text")})
    placed.bring("unet")
    assert not way  # without economy everything is there
    with placed.economy():
        placed.bring("vae")
        assert sorted(way) == ["text cpu", "unet cpu"] and placed.there == {"vae"}
        way.clear()
        placed.bring("unet", "text")
        assert way[0] == "vae cpu" and sorted(way[1:]) == ["text cuda", "unet cuda"]
        way.clear()
        placed.bring("unet", "text")
        assert not way
    assert way == ["vae cuda"] and placed.there == {"unet", "vae", "text"}


def test_offloading_changes_no_number(host: StandaloneHost) -> None:
    before, picture = snapshots.networks(host._loaded.networks()), drawn(host)
    found = []
    for keeping in (Keeping(), Keeping(offload=True)):
        with host.borrow_model(keeping=keeping) as lease, lease.turn() as model:
            made = steps.network(model)
            with made.attached(model.targets()):
                found.append(steps.backward(model))
            assert host._loaded.placement.there >= {"unet", "text"}  # backward needs both
            model.preview(steps.picture())
            assert ("text" in host._loaded.placement.there) != keeping.offload
    assert torch.equal(*found)
    assert snapshots.networks(host._loaded.networks()) == before and drawn(host) == picture


def test_a_compiled_network_acts_as_its_adapters_do_and_is_forgotten() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.SiLU(), torch.nn.Linear(4, 4)).requires_grad_(False)
    factor = torch.nn.Parameter(torch.full((4,), 0.5))
    compiled, x = CompiledUNet(backend="eager"), torch.ones(2, 4)

    def step(network: object) -> tuple[torch.Tensor, torch.Tensor]:
        handle = layers[0].register_forward_hook(lambda module, args, output: output + args[0] * factor)
        try:
            y = network(x)  # type: ignore[operator]
            y.sum().backward()
        finally:
            handle.remove()
        assert factor.grad is not None
        gradient, factor.grad = factor.grad, None
        return y.detach(), gradient

    want = step(layers)
    for _ in range(2):
        assert all(map(torch.equal, step(compiled(layers)), want))
    compiled.forget()
    assert torch.equal(layers(x), CompiledUNet(backend="eager")(layers)(x))
