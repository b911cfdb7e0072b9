"""The answers of a run as its file has them: how far each is from what would have been right."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median
from typing import Final

from rapidfuzz.distance import Levenshtein

from seqgen.reports.fields import Record, finite, items, record, records, string

_CLASSES: Final = {"accuracy", "macro_recall"}
_TAGS: Final = {"tag_accuracy", "tag_scores"}


@dataclass(frozen=True)
class Answer:
    """What a model made of a source, and all that would have been right."""

    source: str
    output: str
    references: tuple[str, ...]
    score: float | None
    finished: bool

    @property
    def wrong(self) -> bool:
        """Whether the output is none of the references."""
        return self.output not in self.references


def read_answers(found: list[object]) -> tuple[tuple[Answer, ...], int]:
    """The answers among `found`, and how much else there is."""
    answers = [answer for each in records(found) if (answer := _answer(each))]
    return tuple(answers), len(found) - len(answers)


def _answer(found: Record) -> Answer | None:
    references = tuple(each for each in items(found, "references") if isinstance(each, str))
    texts = [found.get("source"), found.get("output")]
    if not references or not all(isinstance(text, str) for text in texts):
        return None
    return Answer(
        string(found, "source"),
        string(found, "output"),
        references,
        finite(found, "score"),
        found.get("finished") is True,
    )


@dataclass(frozen=True)
class Unit:
    """What texts are made of where they are compared; `name` says."""

    name: str
    split: Callable[[str], list[str]]
    between: str = ""
    """What stands between two of them in a text."""


def letters(text: str) -> list[str]:
    """The characters, each with the marks and joiners that belong to it."""
    found: list[str] = []
    for character in text:
        joined = character == "\u200d" or (found and found[-1].endswith("\u200d"))
        if found and (joined or unicodedata.category(character).startswith("M")):
            found[-1] += character
        else:
            found.append(character)
    return found


def words(text: str) -> list[str]:
    """What stands between spaces."""
    return text.split()


CLASSES: Final = Unit("class", lambda text: [text])
TAGS: Final = Unit("tag", words, " ")
WORDS: Final = Unit("word", words, " ")
PHONEMES: Final = Unit("phoneme", words, " ")
CHARACTERS: Final = Unit("character", letters)


def output_unit(answers: Sequence[Answer], measured: Record) -> Unit:
    """What outputs are made of, told by the metrics in `measured` or else by the references."""
    metrics = record(measured, "metrics").keys()
    if metrics & _CLASSES:
        return CLASSES
    if metrics & _TAGS:
        return TAGS
    named = {"bleu": WORDS, "character_error_rate": CHARACTERS, "phoneme_error_rate": PHONEMES}
    for name, unit in named.items():
        if name in metrics:
            return unit
    return _words_or_characters([each.references[0] for each in answers], 2)


def source_unit(answers: Sequence[Answer], output: Unit) -> Unit:
    """In what the length of sources is counted: in characters unless they are sentences."""
    if output is TAGS:
        return WORDS
    return _words_or_characters([each.source for each in answers], 5)


def _words_or_characters(texts: Sequence[str], least: int) -> Unit:
    several = bool(texts) and median(len(words(text)) for text in texts) >= least
    return WORDS if several else CHARACTERS


@dataclass(frozen=True)
class Compared:
    """An answer beside its nearest reference: `edits` of `size` units are between them."""

    answer: Answer
    reference: str
    edits: int
    size: int


def compare(answer: Answer, unit: Unit) -> Compared:
    """The answer beside the reference with the fewest edits, of several such the longest.

    The i-th tag belongs to the i-th of a reference; all else is aligned (Levenshtein 1966).
    """
    output = unit.split(answer.output)
    found = []
    for reference in answer.references:
        wanted = unit.split(reference)
        if unit is TAGS:
            edits = sum(a != b for a, b in zip_longest(output, wanted))
        else:
            edits = Levenshtein.distance(output, wanted)
        found.append(Compared(answer, reference, edits, len(wanted)))
    return min(found, key=lambda each: (each.edits, -each.size))
