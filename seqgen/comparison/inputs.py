"""The inputs of a comparison: what all systems decode, with references where there are some."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

from seqgen.answers import spread
from seqgen.comparison.plan import InputOptions, Plan, Unit
from seqgen.data import Example
from seqgen.data.text_files import read_text
from seqgen.errors import DataError, RecipeError
from seqgen.trained import TrainedRun

Origin = Literal["prompts", "file", "rows", "valid", "test"]


class Inputs(NamedTuple):
    """The `examples` that were chosen, out of how many, and where they come from."""

    examples: Sequence[Example]
    origin: Origin
    of: int

    @property
    def texts(self) -> list[str]:
        """What is decoded."""
        return [each.source for each in self.examples]

    @property
    def referenced(self) -> bool:
        """Whether it is known of each input what would be right."""
        return all(each.references for each in self.examples)


def choose_inputs(runs: Sequence[TrainedRun], plan: Plan) -> Inputs:
    """What the plan says, read by the first of the runs, whose data it is.

    Errors: DataError, RecipeError for a prompt that a run cannot read.
    """
    origin, every = _every(runs[0], plan)
    chosen = spread(every, plan.inputs.most)
    if not chosen:
        raise DataError(f"{runs[0].directory.folder}: there are no inputs to compare by")
    for run in runs:
        _check_readable(run, chosen)
    if origin in ("valid", "test"):
        _warn_of_other_data(runs)
    return Inputs(chosen, origin, len(every))


def unit_of(plan: Plan, inputs: Inputs) -> Unit:
    """What diversity counts: what the plan says, else what the references are made of."""
    if plan.unit is not None:
        return plan.unit
    references = [each.references[0] for each in inputs.examples if each.references]
    several = sum(len(text.split()) > 1 for text in references)
    return "characters" if 2 * several < len(references) else "words"


def longest_output(run: TrainedRun, plan: Plan) -> int:
    """Up to how many tokens an output may have, and so the reference of a passage."""
    return run.built.recipe.generation.max_length if plan.max_length is None else plan.max_length


def _every(run: TrainedRun, plan: Plan) -> tuple[Origin, Sequence[Example]]:
    options, built = plan.inputs, run.built
    if options.prompts is not None:
        return "prompts", [Example(text, ()) for text in options.prompts]
    if options.file is not None:
        lines = read_text(options.file).text.split("\n")
        return "file", [Example(line, ()) for line in (lines[:-1] if not lines[-1] else lines)]
    if options.rows is not None:
        if built.data.continues:
            raise RecipeError("inputs.rows: text to be continued has none; `inputs.file` may do")
        file, name = read_text(options.rows), str(options.rows)
        try:
            return "rows", built.data.parse_rows(file, name, built.tokenizers).examples
        except ValueError as error:
            raise RecipeError(f"inputs.rows: {error}") from None
    return options.split, _held_out(run, options, longest_output(run, plan))


def _held_out(run: TrainedRun, options: InputOptions, length: int) -> Sequence[Example]:
    data, tokenizers = run.built.data, run.built.tokenizers
    split = data.held_out(options.split, tokenizers)
    if split is None:
        raise DataError(f"{run.directory.folder}: the data has no split '{options.split}'")
    if split.examples:
        return split.examples
    passages = data.passages(options.split, tokenizers, options.prompt_size, length)
    if not passages:
        raise DataError(
            f"{run.directory.folder}: the {options.split} part is too short for one passage: "
            f"{split.tokens} tokens, of which a prompt and {length} more are needed; "
            "plan.max_length and plan.inputs.prompt_size make passages shorter"
        )
    return passages


def _check_readable(run: TrainedRun, examples: Sequence[Example]) -> None:
    """A RecipeError unless the run can begin from each input."""
    data, tokenizers = run.built.data, run.built.tokenizers
    for number, example in enumerate(examples, start=1):
        try:
            data.prompts([example.source], tokenizers)
        except ValueError as error:
            raise RecipeError(f"{run.directory.folder}: input {number}: {error}") from None


def _warn_of_other_data(runs: Sequence[TrainedRun]) -> None:
    """A warning where the inputs may be what a run was trained on."""
    if not runs[0].data_is_the_same():
        what = f"{runs[0].directory.folder}: the data is not what this run was trained on"
        warnings.warn(what, stacklevel=2)
    own = runs[0].directory.record().get("data")
    for run in runs[1:]:
        if run.directory.record().get("data") != own:
            what = "was trained on other data, of which the inputs may be a part"
            warnings.warn(f"{run.directory.folder}: {what}", stacklevel=2)
