"""Double of the WebUIs' extra networks: the tags of a prompt and who acts on them."""
from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from modules import errors

extra_network_registry: dict[str, Any] = {}
extra_network_aliases: dict[str, Any] = {}
re_extra_net = re.compile(r"<(\w+):([^>]+)>")


class ExtraNetworkParams:
    def __init__(self, items: list[Any] | None = None) -> None:
        self.items = items or []
        self.positional: list[Any] = []
        self.named: dict[str, str] = {}
        for item in self.items:
            name, equals, value = item.partition("=") if isinstance(item, str) else (item, "", "")
            if equals:
                self.named[name] = value
            else:
                self.positional.append(item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExtraNetworkParams) and self.items == other.items

    __hash__ = None  # type: ignore[assignment]


class ExtraNetwork:
    def __init__(self, name: str) -> None:
        self.name = name

    def activate(self, p: Any, params_list: list[ExtraNetworkParams]) -> None:
        raise NotImplementedError

    def deactivate(self, p: Any) -> None:
        raise NotImplementedError


def initialize() -> None:
    extra_network_registry.clear()
    extra_network_aliases.clear()


def register_extra_network(extra_network: Any) -> None:
    extra_network_registry[extra_network.name] = extra_network


def register_extra_network_alias(extra_network: Any, alias: str) -> None:
    extra_network_aliases[alias] = extra_network


def lookup_extra_networks(extra_network_data: dict[str, Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for name, params in extra_network_data.items():
        network = extra_network_registry.get(name) or extra_network_aliases.get(name)
        if network is not None:
            found.setdefault(network, []).extend(params)
    return found


def activate(p: Any, extra_network_data: dict[str, Any]) -> None:
    """Every network is told of every picture, those that no tag names with an empty list; errors are only logged."""
    asked = lookup_extra_networks(extra_network_data)
    rest = [network for network in extra_network_registry.values() if network not in asked]
    for network, params in [*asked.items(), *((network, []) for network in rest)]:
        try:
            network.activate(p, params)
        except Exception as error:
            errors.display(error, f"activating extra network {network.name}")
    if p.scripts is not None:
        p.scripts.after_extra_networks_activate(p, batch_number=p.iteration, prompts=p.prompts, seeds=p.seeds,
                                                subseeds=p.subseeds, extra_network_data=extra_network_data)


def deactivate(p: Any, extra_network_data: dict[str, Any]) -> None:
    asked = lookup_extra_networks(extra_network_data)
    for network in [*asked, *(network for network in extra_network_registry.values() if network not in asked)]:
        try:
            network.deactivate(p)
        except Exception as error:
            errors.display(error, f"deactivating extra network {network.name}")


def parse_prompt(prompt: str) -> tuple[str, dict[str, list[ExtraNetworkParams]]]:
    found: dict[str, list[ExtraNetworkParams]] = defaultdict(list)

    def take(match: re.Match[str]) -> str:
        found[match[1]].append(ExtraNetworkParams(items=match[2].split(":")))
        return ""

    return re_extra_net.sub(take, prompt), found


def parse_prompts(prompts: list[str]) -> tuple[list[str], Any]:
    """Only the first prompt of a batch supplies the networks."""
    parsed = [parse_prompt(prompt) for prompt in prompts]
    return [text for text, _ in parsed], parsed[0][1] if parsed else None
