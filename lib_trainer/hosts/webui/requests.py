"""What the script's values ask of one generation: presets and rules, whether block weights act, a comparison.

It is kept by generation (see `generations`), so nothing of a request outlives its pictures, not even when they die.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.tags import Tag, split
from lib_trainer.blocks.writing import Parts
from lib_trainer.compare.cells import Comparison
from lib_trainer.errors import Problems, UserError
from lib_trainer.hosts.webui import lora_files, script_args
from lib_trainer.hosts.webui.generations import OfGeneration
from lib_trainer.hosts.webui.plot_batches import PlotBatches
from lib_trainer.hosts.webui.script_args import ANALYSIS, OFF, PLOT, ScriptArgs

FAULTS_FIELD = "LoRA block weights request"
"""What could not be understood, in the picture's parameters: the hosts' API keeps comments to itself."""

_OTHERWISE = ScriptArgs()

_Entry = TypeVar("_Entry")


class Requests:
    """The requests of the generations that are under way, and their comparisons."""

    def __init__(
        self, presets: Callable[[], Presets], elements: Callable[[], Elements], arch: Callable[[], str]
    ) -> None:
        """Starts without any.

        Args:
            presets: those of the file. elements: those of the file. arch: that of the loaded checkpoint.
        """
        self._file_presets, self._file_elements, self._arch = presets, elements, arch
        self._kept: OfGeneration[ScriptArgs] = OfGeneration()
        self._plots = PlotBatches()

    def begins(self, p: Any, values: Sequence[Any], *, compares: bool = True) -> None:
        """Reads the script's values (`before_process`).

        Args:
            p: the generation.
            values: as the page or a client sent them.
            compares: False where one picture is wanted whatever the values say.
        """
        args = script_args.read(values)
        args.mode = args.mode if compares else OFF
        if args.says_something:
            self._kept.put(p, args)
        tell(p, args.faults)

    def prompts_known(self, p: Any) -> None:
        """Begins the comparison that was asked for, now that prompts and seeds are known (`process`)."""
        args = self._of(p)
        if args.mode == OFF:
            return
        try:
            comparison = self._comparison(p, args)
        except UserError as error:
            sentences = error.problems if isinstance(error, Problems) else [str(error)]
            tell(p, [*sentences, "Nothing was compared: this is one ordinary picture."])
            return
        if p.batch_size * p.n_iter > 1:
            tell(p, ["Every picture of a comparison is drawn once: batch count and batch size are 1 there."])
        self._plots.begin(p, comparison)

    def batch_begins(self, p: Any) -> None:
        """Readies the next cell of a comparison (`before_process_batch`)."""
        self._plots.batch_begins(p)

    def ends(self, p: Any, processed: Any) -> None:
        """Shows what came of a comparison and forgets the request (`postprocess`)."""
        self._plots.end(p, processed)
        self._kept.take(p)

    def _of(self, p: Any) -> ScriptArgs:
        return self._kept.get(p) or _OTHERWISE

    def acting(self, p: Any, tags: Sequence[Tag]) -> list[Tag]:
        """Returns the tags as they act in this generation: without block weights where these are switched off."""
        if self._of(p).active:
            return list(tags)
        plain = [_plain(tag) for tag in tags]
        off = [tag.text for tag, one in zip(tags, plain, strict=True) if tag is not one]
        tell(p, [f"Block weights are switched off ('active'): {text} acts with plain strength." for text in off])
        return plain

    def presets(self, p: Any) -> Presets:
        """Those of the generation before those of the file.

        Raises:
            UserError: the file cannot be read.
        """
        own, file = self._of(p).presets, self._file_presets()
        if own is None:
            return file
        return Presets(_over(own.entries, file.entries, lambda preset: preset.name), own.problems, own.text)

    def elements(self, p: Any) -> Elements:
        """Those of the generation before those of the file.

        Raises:
            UserError: the file cannot be read.
        """
        own, file = self._of(p).elements, self._file_elements()
        if own is None:
            return file
        return Elements(_over(own.entries, file.entries, lambda entry: entry.id), own.problems, own.text)

    def _comparison(self, p: Any, args: ScriptArgs) -> Comparison:
        from lib_trainer.compare import peer_analysis, peer_plot

        prompt = p.all_prompts[0]
        if args.mode == ANALYSIS:
            arch = self._arch()
            return peer_analysis.analysis_of(args.analysis, prompt, p.all_seeds[0], arch, _present(prompt, arch))
        assert args.mode == PLOT
        names = peer_plot.Names(self.presets(p), self.elements(p), self._arch())
        return peer_plot.plot_of(args.axes, names, prompt)


def _over(own: Sequence[_Entry], others: Sequence[_Entry], name: Callable[[_Entry], str]) -> list[_Entry]:
    """Returns entries with those of others before them whose name, in any case, is none of theirs."""
    names = {name(one).casefold() for one in own}
    return [*(one for one in others if name(one).casefold() not in names), *own]


def _present(prompt: str, arch: str) -> list[str] | None:
    """Returns the blocks that the LoRAs to be compared have; None where a file cannot be found.

    Raises:
        UserError: a file cannot be read.
    """
    from lib_trainer.compare import placeholder, subject

    files = [lora_files.file_of(name) for name in placeholder.names(prompt)]
    if not files or None in files:
        return None
    found = {block for file in files if file is not None for block in subject.blocks_of(file, arch)}
    return [block for block in ARCH_BLOCKS[arch] if block in found] or None


def _plain(tag: Tag) -> Tag:
    """Returns a tag without what the WebUI does not know; the same one where there is nothing of that."""
    parts = Parts.of(tag)
    others = {key: value for key, value in parts.others.items() if key == "dyn"}
    if parts.weights is None and parts.x is None and others == parts.others:
        return tag
    return split(str(replace(parts, weights=None, x=None, others=others)))[1][0]


def tell(p: Any, sentences: Iterable[str]) -> None:
    """Puts sentences into the picture's comments and parameters."""
    for sentence in sentences:
        p.comment(sentence)
        former = p.extra_generation_params.get(FAULTS_FIELD, "")
        if sentence not in former:
            p.extra_generation_params[FAULTS_FIELD] = f"{former} {sentence}".strip()
