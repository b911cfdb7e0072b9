"""Variety: how diverse outputs are, how far they degenerate, and what they copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from seqgen.comparison.lengths import length
from seqgen.comparison.measures import Measure, Outputs
from seqgen.comparison.plan import Unit
from seqgen.comparison.produced import Output
from seqgen.metrics import MORE_DIVERSE, TrainingText, diversity
from seqgen.metrics.diversity import looping
from seqgen.tokenizers import Tokenizer

_SIZED: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "distinct": (
            "distinct-{n}",
            "share",
            "Different {n}-grams of all outputs together, divided by all their {n}-grams.",
        ),
        "entropy": (
            "entropy of {n}-grams",
            "bits",
            "How evenly outputs use their {n}-grams: - sum of p * log2 p, where p is how often "
            "one comes, divided by all {n}-grams of all outputs.",
        ),
        "repeated": (
            "repeated {n}-grams",
            "share",
            "How much of itself an output has said before: the mean over outputs of 1 - different "
            "{n}-grams / {n}-grams.",
        ),
    }
)
_WHOLE: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "self_bleu": (
            "self-BLEU",
            "points",
            "How much outputs are like one another: the mean over outputs of the BLEU of each "
            "with all others as its references, from 0 to 100.",
        ),
        "looping": (
            "looping",
            "share",
            "Outputs that end in a loop, at least three times the same and 12 units long, divided "
            "by all outputs; a last word that may be cut off is left out.",
        ),
        "copied": (
            "copied",
            "share",
            "Units of outputs that lie in 8 or more on end which the training text has word for "
            "word, divided by all units of outputs.",
        ),
        "longest_copy": (
            "longest copy",
            "units",
            "How many units on end the longest passage has that an output shares with the training "
            "text.",
        ),
    }
)


def _described(name: str) -> Measure:
    stem, _, n = name.rpartition("_")
    title, unit, about = _SIZED[stem] if stem in _SIZED else _WHOLE[name]
    better = MORE_DIVERSE[name]
    return Measure(name, title.format(n=n), "diversity", better, unit, about.format(n=n))


MEASURES = tuple(map(_described, MORE_DIVERSE))
"""Better is what is more diverse, which serves a plot and is no praise: noise is most diverse."""


def training_text(texts: Iterable[str], unit: Unit, tokenizer: Tokenizer) -> TrainingText:
    """The training texts of what is generated, split as outputs are; to be made once."""

    def shown(text: str) -> list[str]:
        return [tokenizer.shown(token) for token in tokenizer.encode(text).tolist()]

    splits: Mapping[Unit, Callable[[str], Sequence[str]]]
    splits = {"words": str.split, "characters": str, "tokens": shown}
    return TrainingText(map(splits[unit], texts))


def variety(outputs: Outputs, unit: Unit, training: TrainingText | None = None) -> dict[str, float]:
    """All that `seqgen.metrics.diversity` says of all outputs together, and with `training` what
    they copy.

    `unit` is what n-grams are made of: words, which are what stands between spaces, characters, or
    the tokens of the model as a person reads them; the end token is none.
    """
    every = [each for own in outputs for each in own]
    found = diversity([split(each, unit) for each in every], training)
    loops = looping([_uncut(each, unit) for each in every])
    return found if loops is None else {**found, "looping": loops}


def split(output: Output, unit: Unit) -> Sequence[str]:
    """The units of an output."""
    return _SPLITS[unit](output)


def _uncut(output: Output, unit: Unit) -> Sequence[str]:
    """Its units, but for a last word that the largest length may have cut off: half a word is not
    the one that it would have been, and would hide the loop that it stands in."""
    units = split(output, unit)
    whole = unit != "words" or output.generated.hypothesis.finished
    return units if whole else units[:-1]


def _pieces(output: Output) -> Sequence[str]:
    return output.generated.pieces[: length(output)]


_SPLITS: Mapping[Unit, Callable[[Output], Sequence[str]]] = MappingProxyType(
    {
        "words": lambda output: output.generated.text.split(),
        "characters": lambda output: output.generated.text,
        "tokens": _pieces,
    }
)
