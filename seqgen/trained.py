"""A trained run as an object: load it, generate with it, evaluate it; and the runs it may use."""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self, cast

import torch

from seqgen import evaluate
from seqgen.build import Built, Load, build, build_data, build_decoder, restore_tokenizers
from seqgen.conclusion import read_result
from seqgen.config import Override, lay_over
from seqgen.data import SplitName, TextFile
from seqgen.decoders import Decoder, PathDecoder, SecondaryModel, Start, decoders
from seqgen.errors import CheckpointError, DataError, RecipeError
from seqgen.evaluate import RowScore, cut_short_remark, unknown_remark
from seqgen.explain import Alignment, alignments
from seqgen.generate import Generated, GenerationOptions
from seqgen.metrics import Answer
from seqgen.models import Generative, LanguageModel
from seqgen.options import Count, OptionError, Seed, check_value, did_you_mean, options_of, shown
from seqgen.registry import Part
from seqgen.run_directory import (
    RunDirectory,
    best_checkpoint,
    check_tokenizers,
    fingerprints,
    saved_recipe,
)
from seqgen.state import outline
from seqgen.streaming import NO_STREAM, TextStream
from seqgen.text_state import TextState
from seqgen.tokenizers import LongText
from seqgen.training import load_weights
from seqgen.units import INSPECTED, PROPERTIES, Inspection, Passage, Property, inspect


@dataclass(frozen=True)
class TrainedRun:
    """The model, data and decoder of a run directory, with the weights of its best checkpoint.

    `plugins` are the files named for it; auxiliary runs use them, too.
    """

    directory: RunDirectory
    built: Built
    plugins: Sequence[str | Path] = ()

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        overrides: Sequence[str | Override] = (),
        plugins: Sequence[str | Path] = (),
    ) -> Self:
        """Read recipe, tokenizers and weights; no data is read.

        `overrides` change the run's recipe. `plugins` are the files to import: those that the run
        was trained with, which are not imported unless they are named here. Raises CheckpointError
        if there is no run in `folder` or it is damaged, PluginError if a plugin is not given,
        RecipeError, SetupError.
        """
        directory = RunDirectory(Path(folder))
        recipe, file = saved_recipe(directory, [f"device={device}", *overrides], plugins)
        try:
            data = build_data(recipe)
            tokenizers = restore_tokenizers(recipe, data, directory.tokenizer)
            check_tokenizers(directory, fingerprints(tokenizers))
            built = build(recipe, data, tokenizers)
            built.judge()  # raises if something cannot be measured here
        except OptionError as error:
            raise file.error(error) from None
        load_weights(best_checkpoint(directory), built.model)
        built.model.eval()
        return cls(directory, built, plugins)

    @property
    def result(self) -> dict[str, Any]:
        """The figures of the run, as in `result.json`. Raises CheckpointError."""
        if not self.directory.result.exists():
            raise CheckpointError(f"{self.directory.folder}: the run is not finished")
        return read_result(self.directory)

    def in_double_precision(self) -> Self:
        """The same run with weights in float64, for use in `machine.double_precision`.

        In single precision the scores of a row vary by about 2e-7 with the other rows of the batch,
        which now and then decides between two tokens; in double precision by 1e-16, which does not.
        """
        model = copy.deepcopy(self.built.model).double()
        return replace(self, built=replace(self.built, model=model))

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of weights and tokenizers: what a state belongs to."""
        found = hashlib.sha256(json.dumps(fingerprints(self.built.tokenizers)).encode())
        for name, each in self.built.model.state_dict().items():
            found.update(f"{name} {outline(each)}".encode())
            found.update(each.cpu().reshape(-1).view(torch.uint8).numpy())
        return found.hexdigest()

    def state(self, text: str | LongText) -> TextState:
        """What the model remembers of a text, for `generate(state=...)` to go on from.

        It is read in parts of bounded size. Warns of unknown tokens. Raises ValueError if the
        outputs of this run do not continue texts, or the text cannot be one of its prompts.
        """
        long = text if isinstance(text, LongText) else LongText.of(text)
        found, unknown = self.built.generator().read(long, self.fingerprint)
        if remark := unknown_remark(unknown, "text"):
            warnings.warn(remark, stacklevel=2)
        return found

    def load_state(self, path: str | Path) -> TextState:
        """Read a state of this run, which `TextState.save` wrote. Raises CheckpointError."""
        like = self.built.model.initial_state(1)
        return TextState.load(path, self.fingerprint, like)

    def after(self, state: TextState) -> Self:
        """The same run, all of whose prompts go on from the text of `state`. Raises ValueError if
        it is a state of another run."""
        if state.run != self.fingerprint:
            raise ValueError("`state` must be one of this run, but is of another")
        return replace(self, built=replace(self.built, begun=state))

    def decoder(self, spec: object = None, seed: int | None = None) -> Decoder:
        """The decoder of a name, or of a mapping of name and options; None: the recipe's own."""
        recipe = self.built.recipe
        part = recipe.decoder if spec is None else decoders.check(spec)
        seed = recipe.seed if seed is None else seed
        load = load_auxiliary_runs(self.built, self.plugins)
        return build_decoder(part, self.built, seed, load)

    def decoder_spec(
        self, name: str | None = None, changes: Sequence[Override] = ()
    ) -> dict[str, Any]:
        """The decoder called `name`, or the recipe's own, with `changes` of its options, unchecked.

        Raises RecipeError if a change has no such key.
        """
        own = cast(Part[Decoder], self.built.recipe.decoder).plain()
        spec: dict[str, Any] = lay_over(own if name is None else {"name": name}, changes)
        return spec

    def generate(
        self,
        prompt: str | None = None,
        decoder: str | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        *,
        state: TextState | None = None,
        **options: Any,
    ) -> str:
        """The text that `seqgen generate` shows: `prompt` and its continuation, or the output for a
        source.

        The decoder is the recipe's own or the one called `decoder`. `options` are options of it, or
        of the recipe's section `generation`: `stop="\\n"` ends the text at a line end. Without a
        prompt it is the recipe's first, or none. The same seed gives the same text. Warns of
        unknown tokens, a search that gave up and constraints that are not met. Raises ValueError if
        a name or an option is wrong. With a `state` the prompt goes on from its text, and without
        one the output does.
        """
        begun = self if state is None else self.after(state)
        run, given, chosen = begun._asked(prompt, decoder, max_length, seed, options)
        [outputs] = run.continuations([given], chosen, max_length)
        for remark in self.remarks([given], outputs):
            warnings.warn(remark, stacklevel=2)
        return self.shown(outputs[0])

    def stream(
        self,
        prompt: str | None = None,
        decoder: str | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        *,
        state: TextState | None = None,
        **options: Any,
    ) -> TextStream[Generated]:
        """The text of `generate`, piece by piece as its tokens come: the pieces together are it.

        In a notebook what it returns is an output that grows. Raises ValueError, before the first
        piece, also if the decoder does not go token by token.
        """
        begun = self if state is None else self.after(state)
        run, given, chosen = begun._asked(prompt, decoder, max_length, seed, options)
        if not chosen.streams:
            raise ValueError(f"the decoder '{decoder or self.decoder_spec()['name']}' {NO_STREAM}")
        walking = cast(PathDecoder, chosen)
        before = given if self.built.data.continues else ""
        return TextStream(before, run.built.generator().stream(given, walking, max_length))

    def _asked(
        self,
        prompt: str | None,
        decoder: str | None,
        max_length: int | None,
        seed: int | None,
        options: Mapping[str, Any],
    ) -> tuple[Self, str, Decoder]:
        """The run with the options of generation, the prompt and the decoder that are meant."""
        given = self.prompts[0] if prompt is None else prompt
        if not isinstance(given, str):
            raise OptionError(("prompt",), f"must be a text, but is {shown(given)}")
        for name, value, kind in (("max_length", max_length, Count), ("seed", seed, Seed)):
            if value is not None:
                check_value(kind, value, (name,))
        known = options_of(GenerationOptions)
        of_run = {key: value for key, value in options.items() if key in known}
        changes = [
            Override(f"{key}={value}", (key,), value)
            for key, value in options.items()
            if key not in known
        ]
        try:
            run = self.generating(**of_run) if of_run else self
            return run, given, run.decoder(run.decoder_spec(decoder, changes), seed)
        except OptionError as error:
            own = ("prompt", "decoder", "max_length", "seed", *known)
            near = did_you_mean(str(error.path[-1]), own) if error.at_key else ""
            raise OptionError(error.path, error.message + near, at_key=error.at_key) from None

    def generating(self, **options: Any) -> Self:
        """The same run with other options of the section `generation`; `stop` and `stop_tokens` may
        be a single string. Raises ValueError if a name or a value is wrong."""
        generation = self.built.recipe.generation
        checked = generation.changed(self.built.tokenizer, options)
        recipe = replace(self.built.recipe, generation=checked)
        return replace(self, built=replace(self.built, recipe=recipe))

    @property
    def prompts(self) -> tuple[str, ...]:
        """What is continued if no prompt is given."""
        own = self.built.recipe.samples.prompts if self.built.begun is None else None
        return own or ("",)

    def shown(self, output: Generated) -> str:
        """An output as display text: after its prompt if the data `continues`."""
        return output.prompt + output.text if self.built.data.continues else output.text

    def remarks(self, prompts: Sequence[str], found: Sequence[Generated]) -> list[str]:
        """Sentences on unknown tokens in the prompts, and on outputs that are incomplete or break
        constraints."""
        data, tokenizers = self.built.data, self.built.tokenizers
        unknown = Counter(each for text in prompts for each in data.unknown(text, tokenizers))
        cut_short = sum(not each.hypothesis.complete for each in found)
        unsatisfied = sum(not each.hypothesis.satisfied for each in found)
        every = (
            unknown_remark(unknown, "prompts" if data.continues else "sources"),
            cut_short_remark(cut_short, len(found)),
            evaluate.unsatisfied_remark(unsatisfied, len(found)),
        )
        return [each for each in every if each]

    def continuations(
        self,
        prompts: Sequence[str],
        decoder: Decoder | None = None,
        max_length: int | None = None,
        samples: int = 1,
        sequence_ids: Sequence[int] | None = None,
        *,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Generated]]:
        """The outputs for each prompt (or source), with tokens and scores.

        The decoder is the recipe's own if none is given. What a random decoder draws for a prompt
        depends on the seed and the prompt's id: its position, unless `sequence_ids` are given
        (`numbers` is their former name).
        """
        if numbers is not None:
            message = "continuations(numbers=...) is now called sequence_ids"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        ids = numbers if sequence_ids is None else sequence_ids
        batch_size = self.built.recipe.evaluation.batch_size
        wanted = evaluate.DecodingOptions(batch_size, max_length, samples)
        return evaluate.outputs(
            self.built.generator(), decoder or self.decoder(), prompts, wanted, ids
        )

    def alignments(self, found: Sequence[Generated]) -> list[Alignment]:
        """The attention of each token of each output to each token of its source; nothing if the
        model has no attention."""
        with self.built.computing():
            return alignments(self.built.generator(), found)

    def evaluate(self, split: SplitName = "test", decoder: Decoder | None = None) -> dict[str, Any]:
        """The figures of a held-out split (`valid` or `test`), with those of the recipe's metrics
        for the outputs of `decoder` (the recipe's own if None).

        Raises DataError, ValueError.
        """
        return self.judged(split, decoder or self.decoder())[0]

    def judged(
        self, split: SplitName, decoder: Decoder, answered: bool = False
    ) -> tuple[dict[str, Any], list[Answer]]:
        """The figures as `evaluate` gives them, and the answers that the metrics were measured on.

        Without metrics in the recipe there are no answers, unless `answered` asks for them.
        Raises DataError, ValueError.
        """
        if split not in ("valid", "test"):
            raise ValueError(f"`split` must be valid or test, but is {split!r}")
        part = self.built.data.checked_split(split, self.built.tokenizers)
        if part is None:
            raise DataError(f"{self.directory.folder}: the data has no split '{split}'")
        judge = self.built.judge()
        with self.built.computing():
            figures, answers = judge.figures(part, decoder)
            if answered and not answers:
                answers = evaluate.answer(judge.generator, decoder, part.examples, judge.batch_size)
        return figures, answers

    def score(self, rows: TextFile, name: str) -> list[RowScore]:
        """How probable the targets of each row of a text are, teacher-forced, in order.

        The text has the format of the run's data; errors call it `name`. Raises
        DataError; ValueError if the data is not made of rows.
        """
        parsed = self.built.data.parse_rows(rows, name, self.built.tokenizers)
        batch_size = self.built.recipe.evaluation.batch_size
        with self.built.computing():
            return evaluate.score_rows(self.built.model, parsed, self.built.device, batch_size)

    def inspect(
        self, text: str, name: str = "text", properties: Mapping[str, Property] = PROPERTIES
    ) -> Inspection:
        """What each unit of the state did at each token of `text`, the units that follow some of
        `properties`, and what the model loses without them.

        Warns of unknown tokens, and where only the first INSPECTED ones are read. Errors call the
        text `name`. Raises ValueError if the model is no language model or its state has no
        numbers, DataError if the text is too short or the tokenizer refuses it.
        """
        built = self.built
        if (kind := cast(Part[Any], built.recipe.model).name) != "language_model":
            raise ValueError(f"needs a language model, but the model of this run is a '{kind}'")
        if len(text.splitlines()) < 2 or not text.strip():
            found = "only one line" if text.strip() else "nothing" if not text else "white space"
            raise DataError(f"{name}: must be a text of two lines at least, but has {found}")
        try:
            passage = Passage.of(text, built.tokenizer, built.data.ends, INSPECTED)
        except ValueError as error:
            raise DataError(f"{name}: {error}") from None
        read = passage.text.split("\n") if built.data.ends else [passage.text]
        unknown = (built.data.unknown(each, built.tokenizers) for each in read)
        remarks = [unknown_remark(Counter(chain.from_iterable(unknown)), "text")]
        if len(passage.ends) == INSPECTED and len(text) > len(passage.text):
            remarks.append(f"{name}: only the first {len(passage.text)} characters are read")
        for remark in filter(None, remarks):
            warnings.warn(remark, stacklevel=2)
        with built.computing():
            return inspect(cast(LanguageModel, built.model), passage, properties)

    def data_is_the_same(self) -> bool:
        """Whether the data is byte for byte that of the training."""
        return bool(self.directory.record().get("data") == self.built.data.fingerprint())


def load_auxiliary_runs(built: Built, given: Sequence[str | Path] = ()) -> Load:
    """A function from a run directory to its model, for use next to the model of `built`.

    Each is read once; `given` are the plugins that a person named. Besides the errors of
    `TrainedRun.load` it raises CheckpointError if vocabularies or kinds of sources differ.
    """

    @cache
    def load(folder: str | None) -> SecondaryModel:
        if folder is None:
            try:
                built.data.prompts([""], built.tokenizers)
                reads_sources = "source" in built.data.sizes(built.tokenizers)
            except ValueError:  # sources that are never empty, such as labels
                reads_sources = False
            if not reads_sources:
                what = "guidance needs a model of sources that may be empty, such as texts"
                raise RecipeError(f"decoder.constraints: {what}")
            return _Unconditional(built)
        # Building seeds torch, which is for the run that generates.
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            other = TrainedRun.load(folder, str(built.device), plugins=given).built
        fields = built.tokenizers.keys() & other.tokenizers.keys()
        vocabulary, its_vocabulary = (
            [
                each.tokenizer.fingerprint(),
                *(each.tokenizers[field].fingerprint() for field in fields),
            ]
            for each in (built, other)
        )
        if its_vocabulary != vocabulary:
            raise CheckpointError(
                f"{folder}: its vocabulary differs from that of the main run; "
                "train both with the same tokenizer on the same training text"
            )
        other.model.to(built.model.floats)
        source, its_source = (
            each.data.sizes(each.tokenizers).get("source") for each in (built, other)
        )
        if source == its_source:
            return cast(Generative, other.model)
        if its_source is None:
            return _Unconditional(other)
        what = "is a sequence-to-sequence run and cannot be combined with a language model"
        if source is not None:
            what = "its sources are not of the kind that the main run reads"
        raise CheckpointError(f"{folder}: {what}")

    return load


class _Unconditional:
    """A model without sources, next to one that reads them: each output is a text of its own. Or
    one that reads them, with empty ones."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.step = cast(Generative, built.model).step

    def start(self, batch: Any) -> Start:
        """From an empty prefix or source, for each row of `batch`."""
        nothing = [""] * len(batch.lengths)
        return cast(Generative, self.built.model).start(self.built.generator().batch(nothing))
