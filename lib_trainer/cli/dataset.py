"""The commands `dataset report` (which picture goes into which bucket) and `cache show|clear` (what is kept)."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.cli.arguments import pair, print_json
from lib_trainer.cli.exit_codes import DONE
from lib_trainer.errors import Problems

if TYPE_CHECKING:
    from lib_trainer.bootstrap import App
    from lib_trainer.data.bucket_report import BucketReport

KINDS = ("all", "latents", "captions")


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dataset report`."""
    parser.add_argument("config", type=Path, help="settings, of any kind that `train` reads")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--order", default="cut", help="name, bucket, cut, enlarged, aspect, size or uses")
    parser.add_argument("--start", type=int, default=0, help="pictures to pass over")
    parser.add_argument("--count", type=int, default=20, help="pictures to list")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def report(start: Callable[[], App], arguments: argparse.Namespace) -> int:
    """Prints the bucket report of a settings file.

    Raises:
        UserError: it cannot be made; Problems tells why.
    """
    from lib_trainer.cli import recipe
    from lib_trainer.training import config_reading, forecast

    _, values = recipe.read(arguments.config, dict(pair(text, "--set") for text in arguments.set))
    config, faults = config_reading.read(values)
    found = forecast.forecast(config, start().host)
    if found.report is None:
        raise Problems(list(dict.fromkeys(faults + found.problems)) or ["There are no pictures to report on."])
    if arguments.json:
        print_json(found.report.to_json(arguments.order, arguments.start, arguments.count))
    else:
        print("\n".join(_lines(found.report, arguments)), flush=True)
    return DONE


def _lines(found: BucketReport, arguments: argparse.Namespace) -> list[str]:
    lines = [f"{found.pictures} pictures in {len(found.buckets)} buckets, {found.enlarged} enlarged, "
             f"mean aspect error {found.mean_ar_error:.4f}", "",
             f"{'bucket':>12} {'pictures':>9} {'uses':>9} {'enlarged':>9} {'error':>8} {'cut away':>9}"]
    lines += [f"{_named(row.bucket):>12} {row.pictures:>9} {row.uses:>9} {row.enlarged:>9} {row.ar_error:>8.4f} "
              f"{row.cut:>9.1%}" for row in found.buckets]
    rows = found.rows(arguments.order, arguments.start, arguments.count)
    lines += ["", f"{'bucket':>12} {'scaled':>12} {'cut away':>9} {'enlarged':>9} {'uses':>6}  picture"]
    return lines + [
        f"{_named(row.bucket):>12} {_named(row.resized):>12} {row.cut:>9.1%} {'x' + format(row.enlarged, '.2f'):>9} "
        f"{row.uses:>6}  {row.key}" for row in rows]


def _named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `cache show` and `cache clear`."""
    from lib_trainer.bootstrap import OUTPUTS_DIR

    parser.add_argument("what", nargs="?", choices=("show", "clear"), default="show")
    parser.add_argument("--kind", choices=KINDS, default="all", help="clear only these")
    parser.add_argument("--outputs-dir", type=Path, default=OUTPUTS_DIR, help="folder of pictures, settings and caches")
    parser.set_defaults(command=cache)


def cache(arguments: argparse.Namespace) -> int:
    """Prints what lies in the caches on the disk, or removes it; needs no model.

    Raises:
        UserError: a file cannot be removed.
    """
    from lib_trainer import bootstrap
    from lib_trainer.training import caching

    paths = bootstrap.standalone_paths(bootstrap.LORAS_DIR, arguments.outputs_dir)
    clears = arguments.what == "clear"
    found = caching.clear(paths, arguments.kind) if clears else caching.sizes(paths)
    for kind, size in found.items():
        print(f"{'removed ' if clears else ''}{kind}: {size.files} files, {size.bytes / 1e6:.1f} MB", flush=True)
    return DONE
