"""What the command line of a WebUI says about its API."""
from __future__ import annotations


def api_accounts() -> dict[str, str] | None:
    """Returns the accounts of the host's API (`--api-auth`), none = open; None when the host runs without its API."""
    from modules.shared import cmd_opts

    if not (cmd_opts.api or cmd_opts.nowebui):
        return None
    pairs = (pair.partition(":") for pair in (cmd_opts.api_auth or "").split(",") if pair)
    return {name: password for name, _, password in pairs}
