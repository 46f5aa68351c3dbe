"""What sd-scripts' options mean in our settings.

Options that are one field each are read by their tables; those that become fields together are read here. A file that
leaves an option out keeps its meaning: sd-scripts' default is taken, and what that changes is told.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import network_meaning, rate_meaning
from lib_trainer.training.interchange.arguments import Arguments, shown
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.imported import COMMAND, SD_SCRIPTS, Imported
from lib_trainer.training.interchange.network_args import NETWORK_ARGS
from lib_trainer.training.interchange.option import NEEDLESS, Option, Value
from lib_trainer.training.interchange.samplers import OURS as SAMPLERS

SAMPLE_STEPS, SAMPLE_CFG = 30, 7.5
"""sd-scripts' steps and guidance of a line of a sample prompt file that names none."""


def read(arguments: Arguments, kind: str) -> Imported:
    """Returns our settings of sd-scripts' ones, and all that should be known about them."""
    result = Imported(kind, faults=list(arguments.faults))
    result.values = {
        option.fields[0]: option.ours(arguments[option.name]) for option in OPTIONS.values() if option.alone
    }
    for read_joined in _JOINED:
        result.values.update(read_joined(arguments))
    result.values.update(network_meaning.network(arguments, result))
    result.values.update(rate_meaning.rates(arguments, result))
    if arguments["dataset_config"] and arguments.has("dataset_repeats"):
        result.changed.append(f"dataset_repeats = {arguments['dataset_repeats']} with dataset_config: here the dataset "
                              "file alone says how often its pictures are used (num_repeats, 1 where it says nothing).")
    if arguments["log_with"] in ("wandb", "all"):
        result.unsupported.append(f"log_with = {arguments['log_with']!r}: nothing is sent to other machines; logs are "
                                  "TensorBoard files.")
    _tell_dropped(arguments, result)
    if kind in (SD_SCRIPTS, COMMAND):  # kohya_ss has its own defaults, and a record is complete
        _tell_assumed(arguments, result)
    return result


def _data(arguments: Arguments) -> dict[str, Any]:
    """Sizes and caption files; the older spelling of caption_extension wins, as it does there."""
    sides = [part.strip() for part in (arguments["resolution"] or "").replace("x", ",").split(",") if part.strip()]
    square = len(sides) == 2 and sides[0] == sides[1]
    return {
        "resolution": sides[0] if square else ",".join(sides),
        "bucket_min": int(arguments["min_bucket_reso"] or 0), "bucket_max": int(arguments["max_bucket_reso"] or 0),
        "bucket_step": int(arguments["bucket_reso_steps"] or 0),
        "caption_extension": arguments["caption_extention"] or arguments["caption_extension"],
        "max_tokens": str(arguments["max_token_length"] or 75),
        # Repeats belong to metadata files there; folders carry their own.
        **({"repeats": int(arguments["dataset_repeats"])} if arguments["in_json"] else {}),
    }


def _prediction(arguments: Arguments) -> dict[str, Any]:
    """What is not said is read from the checkpoint, which is right for every checkpoint."""
    if not arguments["v_parameterization"]:
        return {"prediction": "auto", "zero_terminal_snr": "on" if arguments["zero_terminal_snr"] else "auto"}
    return {"prediction": "v", "zero_terminal_snr": "on" if arguments["zero_terminal_snr"] else "off"}


def _memory(arguments: Arguments) -> dict[str, Any]:
    return {
        "adapter_precision": next((name for name in ("fp16", "bf16") if arguments[f"full_{name}"]), "fp32"),
        "base_precision": "fp8" if arguments["fp8_base"] else "fp8_unet" if arguments["fp8_base_unet"] else "auto",
        **_caption_cache(arguments),
    }


def _caption_cache(arguments: Arguments) -> dict[str, bool]:
    """Whether captions are cached changes no number, so nothing is said where nothing is given."""
    names = ("cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk")
    if not any(name in arguments.given for name in names):
        return {}
    disk = bool(arguments[names[1]])
    return {"cache_captions": disk or bool(arguments[names[0]]), "cache_captions_to_disk": disk}


def _states(arguments: Arguments) -> dict[str, Any]:
    """States are written with the files; the number kept is the smaller limit, in files."""
    every = bool(arguments["save_state"])
    steps = int(arguments["save_every_n_steps"] or 0)
    epochs = _epochs_apart(arguments)
    by_epochs = arguments["save_last_n_epochs_state"] or arguments["save_last_n_epochs"] or 0
    by_steps = arguments["save_last_n_steps_state"] or arguments["save_last_n_steps"] or 0
    limits = [limit for limit in (by_epochs if epochs else 0, by_steps // steps + 1 if steps and by_steps else 0)
              if limit]
    return {
        "state_every_steps": steps if every else 0, "state_every_epochs": epochs if every else 0,
        "state_at_end": every or bool(arguments["save_state_on_train_end"]),
        **({"keep_states": min(limits)} if limits and every else {}),
    }


def _epochs_apart(arguments: Arguments) -> int:
    ratio, epochs = arguments["save_n_epoch_ratio"], arguments["max_train_epochs"]
    if ratio and epochs:
        return max(1, int(epochs) // int(ratio))
    return int(arguments["save_every_n_epochs"] or 0)


def _files(arguments: Arguments) -> dict[str, Any]:
    """Logs are written where a folder is named, for TensorBoard alone."""
    logs, program = arguments["logging_dir"] or "", arguments["log_with"]
    return {
        "file_metadata": "minimal" if arguments["no_metadata"] else "full", "log_folder": logs,
        "log_with": "tensorboard" if logs and program in (None, "", "tensorboard", "all") else "",
    }


def _previews(arguments: Arguments) -> dict[str, Any]:
    if not arguments["sample_prompts"]:
        return {"preview_file": "", "preview_sampler": ""}
    return {
        "preview_file": arguments["sample_prompts"], "preview_steps": SAMPLE_STEPS, "preview_cfg": SAMPLE_CFG,
        "preview_sampler": sampler(arguments),
    }


def sampler(arguments: Arguments) -> str:
    """Returns the sampler of previews by the name that the txt2img tab has for it."""
    name: str = arguments["sample_sampler"]
    return SAMPLERS.get(name, name)


_JOINED: tuple[Callable[[Arguments], dict[str, Any]], ...] = (
    _data, _prediction, _memory, _states, _files, _previews,
)


def _tell_dropped(arguments: Arguments, result: Imported) -> None:
    """Names every given option that has no setting here and says something else than its default."""
    for table, given, where in ((OPTIONS, arguments.given, ""), (NETWORK_ARGS, arguments.network, "network_args: ")):
        for name, value in given.items():
            option = table[name]
            if option.fields or value in (option.default, None, "", False):
                continue
            told = result.needless if option.verdict == NEEDLESS else result.unsupported
            told.append(f"{where}{name} = {_secret(name, value)}: {option.says}")


def _secret(name: str, value: Value) -> str:
    return "..." if name.endswith(("_key", "_token")) else shown(value)


def _tell_assumed(arguments: Arguments, result: Imported) -> None:
    """Tells sd-scripts' defaults that were taken and that an untouched form has otherwise."""
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    unused = () if result.values["buckets"] else ("bucket_min", "bucket_max", "bucket_step")
    for name, value in result.values.items():
        if name in unused:
            continue
        sources = [option for option in OPTIONS.values() if name in option.fields]
        given = any(option.name in arguments.given for option in sources)
        given = given or any(option.name in arguments.network and name in option.fields
                             for option in NETWORK_ARGS.values())
        if sources and not given and name in defaults and value != defaults[name]:
            result.assumed.append(_assumption(sources[0], name, value, defaults[name]))


def _assumption(option: Option, name: str, value: Value, ours: Value) -> str:
    return (f"{option.name} is not given: sd-scripts then takes {shown(value)}, so {name} = {shown(value)} "
            f"(an untouched form has {shown(ours)}).")
