"""A trained run as an object: load it, generate with it, evaluate it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqgen.alignments import Alignment, alignments
from seqgen.answers import Wanted, answer, outputs
from seqgen.build import Built, supply_decoder
from seqgen.conclusion import read_result
from seqgen.data.base import SplitName
from seqgen.data.files import TextFile
from seqgen.decoders import Decoder, decoders
from seqgen.errors import CheckpointError, DataError
from seqgen.evaluate import RowScore, score_rows
from seqgen.generate import Generated
from seqgen.metrics import Answer
from seqgen.run_directory import RunDirectory
from seqgen.saved_run import read_run, runs_beside


@dataclass(frozen=True)
class TrainedRun:
    """The parts of a run directory, with the weights of its best checkpoint.

    `plugins` are the files that a person named for it; they serve runs that help its decoder, too.
    """

    directory: RunDirectory
    built: Built
    plugins: Sequence[str | Path] = ()

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        overrides: Sequence[str] = (),
        plugins: Sequence[str | Path] = (),
    ) -> TrainedRun:
        """Read recipe, tokenizer and weights; no data is read.

        `overrides` are laid over the run's recipe. `plugins` are the files to import: those that
        the run was trained with, which are not imported unless they are named here. Errors:
        CheckpointError where there is no run in `folder` or it is damaged; PluginError where a
        plugin is not given; RecipeError, SetupError.
        """
        return cls(*read_run(folder, device, overrides, plugins), plugins)

    @property
    def result(self) -> dict[str, Any]:
        """The figures of the run, as in `result.json`. Raises CheckpointError."""
        if not self.directory.result.exists():
            raise CheckpointError(f"{self.directory.folder}: the run has not come to its end")
        return read_result(self.directory)

    def in_double_precision(self) -> TrainedRun:
        """The same run with weights in float64, for use in `machine.double_precision`.

        In single precision the scores of a row differ by about 2e-7 with the rows beside it, which
        now and then decides between two tokens; in double precision by 1e-16, which does not.
        """
        model = copy.deepcopy(self.built.model).double()
        return replace(self, built=replace(self.built, model=model))

    def decoder(self, spec: object = None, seed: int | None = None) -> Decoder:
        """The decoder of a name, or of a mapping of name and options; None: the recipe's own."""
        recipe = self.built.recipe
        part = recipe.decoder if spec is None else decoders.check(spec)
        seed = recipe.seed if seed is None else seed
        load = runs_beside(self.built, self.plugins)
        return supply_decoder(part, self.built.tokenizer, seed, load)

    def generate(
        self,
        prompt: str = "",
        decoder: str = "multinomial",
        max_length: int | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> str:
        """How `prompt` goes on, by a registered decoder with its `options`.

        The same seed gives the same text. Errors: ValueError for a wrong name or option.
        """
        found = self.continuations(
            [prompt], self.decoder({"name": decoder, **options}, seed), max_length
        )
        return found[0][0].text

    def continuations(
        self,
        prompts: Sequence[str],
        decoder: Decoder,
        max_length: int | None = None,
        samples: int = 1,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Generated]]:
        """For each prompt (or source) what comes of it, with tokens and scores.

        Random decoders draw for each by its number, its place where none are given.
        """
        batch_size = self.built.recipe.evaluation.batch_size
        wanted = Wanted(batch_size, max_length, samples)
        return outputs(self.built.generator(), decoder, prompts, wanted, numbers)

    def alignments(self, found: Sequence[Generated]) -> list[Alignment]:
        """How much each token of each output looked at each one of its source; nothing where the
        model does not look back."""
        return alignments(self.built.generator(), found)

    def evaluate(self, split: SplitName = "test", decoder: Decoder | None = None) -> dict[str, Any]:
        """The figures of a held-out split (`valid` or `test`), with those of the recipe's metrics
        for what `decoder` finds, the recipe's own where it is None.

        Errors: DataError, ValueError.
        """
        return self.judged(split, decoder or self.decoder())[0]

    def judged(
        self, split: SplitName, decoder: Decoder, answered: bool = False
    ) -> tuple[dict[str, Any], list[Answer]]:
        """The figures as `evaluate` gives them, and the answers behind them, of which there are
        none where the recipe has no metrics, unless they are wanted (`answered`).

        Errors: DataError, ValueError.
        """
        if split not in ("valid", "test"):
            raise ValueError(f"`split` must be valid or test, but is {split!r}")
        part = self.built.data.held_out(split, self.built.tokenizers)
        if part is None:
            raise DataError(f"{self.directory.folder}: the data has no split '{split}'")
        judge = self.built.judge()
        figures, answers = judge.figures(part, decoder)
        if answered and not answers:
            answers = answer(judge.generator, decoder, part.examples, judge.batch_size)
        return figures, answers

    def score(self, file: TextFile, name: str) -> list[RowScore]:
        """How probable the targets of each row of a text are, teacher-forced, in their order.

        The text has the format of the run's data; `name` is what an error calls it. Errors:
        DataError; ValueError where the data is not made of rows.
        """
        rows = self.built.data.given(file, name, self.built.tokenizers)
        batch_size = self.built.recipe.evaluation.batch_size
        return score_rows(self.built.model, rows, self.built.device, batch_size)

    def data_is_the_same(self) -> bool:
        """Whether the data is what the run was trained on, byte for byte."""
        return bool(self.directory.record().get("data") == self.built.data.fingerprint())
