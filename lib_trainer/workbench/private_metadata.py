"""What a LoRA's metadata tell about the person who trained it, and what programs need of them.

Trainers write down folders (`ss_dataset_dirs`), how often each tag stands in the captions (`ss_tag_frequency`), names
of files, comments and times. A LoRA works as well without. Standard library only.
"""
from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping

NEEDED = (
    "ss_v2", "ss_base_model_version", "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args",
    "modelspec.sai_model_spec", "modelspec.architecture", "modelspec.implementation", "modelspec.prediction_type",
    "modelspec.resolution", "modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash", "lora_adapter_metadata",
    "workbench.folded", "format",
)
"""What loaders, trainers that go on with the file, and the way back from a conversion read."""

_PRIVATE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("folders", ("ss_dataset_dirs", "ss_reg_dataset_dirs", "ss_datasets", "ot_config")),
    ("tags", ("ss_tag_frequency", "modelspec.tags")),
    ("file names", ("ss_sd_model_name", "ss_vae_name", "ss_output_name", "modelspec.title", "modelspec.merged_from",
                    "block_weight.source*", "block_weight.base", "block_weight.tag", "workbench.*source*",
                    "workbench.*base*", "workbench.tuned")),
    ("comments", ("ss_training_comment", "modelspec.description", "modelspec.usage_hint")),
    ("person", ("modelspec.author", "modelspec.thumbnail")),
    ("times", ("ss_training_started_at", "ss_training_finished_at", "ss_session_id", "modelspec.date")),
)
"""Why an entry is private -> patterns of its name."""

OWN_NAMES = ("ss_output_name", "modelspec.title")
"""Entries that get the new file's name instead: programs show them."""

_PATH = re.compile(r"""(?:^|[\s"'=(\[,{])(?:/(?:[^/\s"']+/)|~[/\\]|\\\\)|(?<![A-Za-z])[A-Za-z]:[\\/]""")
"""A path in a text: from the root, from home, from a drive or a network's computer; not the middle of an address."""

_NOTHING = ("", "None", "{}", "[]")


def reason(key: str, text: str) -> str:
    """Returns why an entry is private: a word of the table above, or "paths"; "" = it is not."""
    for why, patterns in _PRIVATE:
        if text not in _NOTHING and any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns):
            return why
    return "paths" if _PATH.search(text) and key not in NEEDED else ""


def without(metadata: Mapping[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Takes out what is private.

    Args:
        metadata: of the file.
        name: the new file's, without its ending, for the entries that show one.

    Returns:
        what is left, and why the rest is gone or changed, by entry.
    """
    why = {key: found for key, text in metadata.items() if (found := reason(key, text))}
    kept = {key: text for key, text in metadata.items() if key not in why}
    return kept | {key: name for key in OWN_NAMES if key in why}, why
