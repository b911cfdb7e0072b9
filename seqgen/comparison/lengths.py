"""Lengths: how long outputs are, by themselves and beside their references."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from seqgen.comparison.measures import Measure, Outputs
from seqgen.comparison.produced import Output
from seqgen.tokenizers import EOS

MEASURES = (
    Measure(
        "mean_length",
        "mean length",
        "length",
        None,
        "tokens",
        "Tokens of all outputs, end tokens not counted, divided by the number of outputs.",
    ),
    Measure(
        "length_ratio",
        "length to reference",
        "length",
        None,
        "",
        "Tokens of all outputs divided by those of their references, the first of each input, by "
        "the same tokenizer; below 1 outputs are too short.",
    ),
    Measure(
        "finished",
        "finished",
        "length",
        "higher",
        "share",
        "Outputs that ended by themselves, with the end token, divided by all outputs; the others "
        "were cut at the largest length.",
    ),
)


def lengths(
    outputs: Outputs, reference_lengths: Sequence[int] | None, ends: bool
) -> dict[str, float]:
    """How long the outputs for all inputs are, by the measures above.

    `reference_lengths: [inputs]` has the tokens of the first reference of each input without the
    end token, None where there are none; a ratio to nothing is left out. `ends` says whether the
    data's outputs end by themselves; where they do not, nothing is said of it.
    """
    every = [each for own in outputs for each in own]
    if not every:
        return {}
    found = {"mean_length": fmean(map(length, every))}
    if reference_lengths is not None:
        pairs = zip(reference_lengths, outputs, strict=True)
        wanted = sum(size * len(own) for size, own in pairs)
        if wanted:
            found["length_ratio"] = sum(map(length, every)) / wanted
    if ends:
        found["finished"] = fmean(each.generated.hypothesis.finished for each in every)
    return found


def length(output: Output) -> int:
    """The tokens of an output without the end token."""
    return length_of(output.generated.hypothesis.tokens)


def length_of(tokens: Sequence[int]) -> int:
    """How many `tokens` there are without the end token that they may end in."""
    return len(tokens) - (len(tokens) > 0 and tokens[-1] == EOS)
