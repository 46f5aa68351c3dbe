"""ReLoRA on a real host: it trains on private copies of the checkpoint, and the host has its own model back."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.hosts.real import model_state, training
from tests.hosts.real.model_state import PROMPT
from tests.hosts.real.pixels import TOLERANCE, differ, furthest, same
from tests.hosts.real.server import Server

SETTINGS: dict[str, Any] = {"method": "relora", "rounds": 3, "epochs": 1, "round_rate": "0.5", "learning_rate": "1e-2"}


def contents(host: Server) -> dict[str, Any]:
    """The model without the addresses: a host that has loaded its checkpoint again puts it elsewhere."""
    return {name: {key: value for key, value in entry.items() if key != "address"}
            for name, entry in model_state.whole(host).items()}


def test_the_host_has_its_own_model_back_and_both_results_draw_alike(host: Server, pictures: Path) -> None:
    own = host.program.checkpoints()[0]
    plain, before, chosen = host.draw(PROMPT), contents(host), _chosen(host)
    run = training.start(host, pictures, "rounds", train_text_encoder=True, **SETTINGS)
    run.finished()
    print([event["title"] for event in run.of("PhaseStarted")], run.events[-1]["seconds"],
          [event["message"] for event in run.of("Warned")])
    assert _chosen(host) == chosen
    assert same(host.draw(PROMPT), plain)
    after = contents(host)
    assert [name for name in before if after[name] != before[name]] == [] and after.keys() == before.keys()
    lora = host.draw(f"{PROMPT}<lora:rounds:1>")
    host.choose("rounds.safetensors")
    try:
        merged = host.draw(PROMPT)
    finally:
        host.choose(own)
    print("LoRA against checkpoint", furthest(lora, merged), "LoRA against none", furthest(lora, plain))
    assert differ(lora, plain)
    assert furthest(lora, merged) <= TOLERANCE
    assert same(host.draw(PROMPT), plain)
    assert list((host.home / "outputs").rglob("*-after-round-*.safetensors")) == [], "the private copies are gone"


def test_a_run_that_is_stopped_in_a_later_round_goes_on(host: Server, pictures: Path) -> None:
    """Stopped while the host has a private copy loaded: its own model is back, and the rest ends in the same file."""
    settings = {**SETTINGS, "round_result": "lora", "epochs": 3, "train_text_encoder": False}
    plain, before = host.draw(PROMPT), contents(host)
    whole = training.tensors(training.start(host, pictures, "rounds whole", **settings).finished())
    run = training.start(host, pictures, "rounds cut", **settings)
    run.until("the second round", lambda: [
        event for event in run.of("Stepped") if len(run.of("PhaseStarted")) >= 3])
    run.press("stop", save=True)
    run.end()
    assert same(host.draw(PROMPT), plain)
    assert contents(host) == before
    again = training.start(host, pictures, "rounds cut", resume="auto", **settings)
    assert training.tensors(again.finished()) == whole
    assert same(host.draw(PROMPT), plain)


def _chosen(host: Server) -> str:
    """The chosen checkpoint, without the hash that a host puts behind its name once it knows it."""
    return str(host.get("/sdapi/v1/options")["sd_model_checkpoint"]).partition(" [")[0]
