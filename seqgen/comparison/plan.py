"""The Plan type: what a comparison compares, on which inputs, and what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from seqgen.data import SplitName
from seqgen.decoders import DecoderFactory, Multinomial
from seqgen.options import Count, Seed, Share, Size

Unit = Literal["words", "characters", "tokens"]


@dataclass(frozen=True)
class Strategy:
    """A `decoder`, once for each combination of the values in `grid`.

    `grid: {beam_size: [1, 5], length_normalisation: [none, average]}` makes four strategies; a key
    may go into parts, `sampler.temperature`. `label` names it in the report, followed by what the
    grid sets; without one its name is the decoder and its options that are not the defaults.
    """

    decoder: DecoderFactory
    grid: Mapping[str, Annotated[tuple[Any, ...], Field(min_length=1)]] | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.label is not None and not self.label.strip():
            raise ValueError("`label` must not be empty")
        if self.label is not None and len(self.label.splitlines()) > 1:
            raise ValueError("`label` must be one line, but has a line break in it")


@dataclass(frozen=True)
class InputOptions:
    """What is decoded: up to `most` inputs (null: all), evenly spread over where they come from.

    That is `prompts`, else the lines of `file`, a source or a prompt each, else the rows of `rows`,
    a file in the format of the run's data, with their references, else the held-out part `split`.
    Of running text, passages of it are taken: `prompt_size` tokens are the prompt (50 where it is
    not given), and what follows them, as many tokens as an output may have, is the reference. Of
    lines each is a reference, after its first `prompt_size` tokens (none).
    """

    split: SplitName = "test"
    most: Count | None = 200
    prompt_size: Count | None = None
    prompts: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    file: Path | None = None
    rows: Path | None = None


@dataclass(frozen=True)
class SpeedOptions:
    """How time and memory are measured: `inputs` of the inputs, `batch_size` at once, each strategy
    in turn, `warm_ups` times unmeasured and `repeats` times by the clock (0: not at all)."""

    inputs: Size = 32
    batch_size: Size = 32
    warm_ups: Count = 1
    repeats: Count = 3


@dataclass(frozen=True)
class SearchOptions:
    """How the most probable output is looked for: on up to `inputs` inputs (0: not at all), by
    `exact` with `max_nodes`, for data whose outputs have an end of their own."""

    inputs: Count = 100
    max_nodes: Size = 2000


@dataclass(frozen=True)
class BestOfOptions:
    """The best of n draws of `decoder`, by the model's score and by the references, for each n of
    `sizes`, on up to `inputs` inputs (0: not at all)."""

    inputs: Count = 0
    decoder: DecoderFactory = Multinomial
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class SignificanceOptions:
    """Intervals at `level` of `resamples` bootstrap samples, and paired tests of `shuffles`."""

    level: Annotated[Share, Field(gt=0)] = 0.95
    resamples: Size = 1000
    shuffles: Size = 5000


@dataclass(frozen=True)
class Plan:
    """What to compare, as checked options; the keys of a plan file.

    All strategies decode the same inputs and give `samples` outputs for each. Those that draw at
    random do so `seeds` times, from `seed` on. `baseline` is the label of the strategy that the
    others are tested against, the first where it is not given. `quality` is the measure by which
    the best is chosen: the first of the run's metrics, or `unlikeness` where it has none. `unit` is
    what diversity counts: words (between spaces), characters or tokens; where it is not given,
    words, but characters where less than half of the references have two words. `copies` looks for
    what was copied from the training text. In `double` precision outputs cannot depend on what else
    is in their batch, not even by rounding; speed is measured in the run's own. The report shows
    `shown` inputs side by side and the traces of `traced` of them.
    """

    strategies: Annotated[tuple[Strategy, ...], Field(min_length=1)]
    description: str = ""
    inputs: InputOptions = InputOptions()
    baseline: str | None = None
    quality: str | None = None
    seed: Seed = 1
    seeds: Size = 3
    samples: Size = 1
    max_length: Count | None = None
    unit: Unit | None = None
    copies: bool = True
    precision: Literal["double", "single"] = "double"
    speed: SpeedOptions = SpeedOptions()
    search: SearchOptions = SearchOptions()
    best_of: BestOfOptions = BestOfOptions()
    significance: SignificanceOptions = SignificanceOptions()
    shown: Count = 20
    traced: Count = 3
