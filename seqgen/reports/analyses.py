"""What can be seen in generated texts: their units, differences, errors by length, and cycles.

- unit: what a text is made of where texts are compared: characters, words, phonemes, tags;
- edits: insertions, deletions and substitutions of units (Levenshtein 1966).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from statistics import median
from typing import Final, NamedTuple

from rapidfuzz.distance import Levenshtein

from seqgen.reports.run_files import Answer

SHOWN: Final = 800
"""How many characters of a text are shown."""
BINS: Final = 12
Z: Final = 1.96
"""Standard deviations to either side of the mean in which 95 % of a normal distribution lie."""


@dataclass(frozen=True)
class Unit:
    """What texts are made of where they are compared; `between` joins two of them."""

    name: str
    split: Callable[[str], list[str]]
    between: str = ""


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


CLASSES: Final = Unit("class", lambda text: [text])
TAGS, WORDS, PHONEMES = (Unit(name, str.split, " ") for name in ("tag", "word", "phoneme"))
CHARACTERS: Final = Unit("character", letters)
_UNITS: Final[Mapping[str, Unit]] = {
    **dict.fromkeys(("accuracy", "macro_recall"), CLASSES),
    **dict.fromkeys(("tag_accuracy", "tag_scores"), TAGS),
    "bleu": WORDS,
    "character_error_rate": CHARACTERS,
    "phoneme_error_rate": PHONEMES,
}
"""The unit of the outputs that a metric judges; the first one decides."""


def output_unit(answers: Sequence[Answer], metrics: Container[str]) -> Unit:
    """The unit of outputs, by the names of `metrics` or else by the references."""
    for name, unit in _UNITS.items():
        if name in metrics:
            return unit
    return _words_or_characters([each.references[0] for each in answers], 2)


def source_unit(answers: Sequence[Answer], output: Unit) -> Unit:
    """The unit in which the length of sources is counted: characters unless they are sentences."""
    if output is TAGS:
        return WORDS
    return _words_or_characters([each.source for each in answers], 5)


def _words_or_characters(texts: Sequence[str], least: int) -> Unit:
    several = bool(texts) and median(len(text.split()) for text in texts) >= least
    return WORDS if several else CHARACTERS


class Compared(NamedTuple):
    """An answer and its nearest reference of `size` units, with `edits` between them."""

    answer: Answer
    reference: str
    edits: int
    size: int


def compare(answer: Answer, unit: Unit) -> Compared:
    """The answer with the reference that has the fewest edits; ties go to the longest.

    The i-th tag belongs to the i-th of a reference; all else is aligned.
    """
    output = unit.split(answer.output)
    found = []
    for reference in answer.references:
        wanted = unit.split(reference)
        edits = Levenshtein.distance(output, wanted)
        if unit is TAGS:
            edits = sum(a != b for a, b in zip_longest(output, wanted))
        found.append(Compared(answer, reference, edits, len(wanted)))
    return min(found, key=lambda each: (each.edits, -each.size))


class Marked(NamedTuple):
    """A text in stretches: each is "wrong" or "missed", a "gap" with what it lacks, or "" where
    both texts agree. `more` characters are not shown."""

    stretches: list[tuple[str, str]]
    between: str
    more: int


def mark_differences(output: str, reference: str, unit: Unit) -> tuple[Marked, Marked]:
    """The output with what it should not have, the reference with what it should have instead."""
    ours, theirs = unit.split(output[:SHOWN]), unit.split(reference[:SHOWN])
    left: list[tuple[str, str]] = []
    right: list[tuple[str, str]] = []
    changes = Levenshtein.opcodes(theirs, ours)
    for equal, group in groupby(changes, key=lambda change: change.tag == "equal"):
        run = list(group)
        found = ours[run[0].dest_start : run[-1].dest_end]
        wanted = theirs[run[0].src_start : run[-1].src_end]
        wanted_text = unit.between.join(wanted)
        if not found:
            left.append(("gap", wanted_text))
        else:
            left.append(("" if equal else "wrong", unit.between.join(found)))
        if wanted:
            right.append(("" if equal else "missed", wanted_text))
    cut = [len(text) - SHOWN for text in (output, reference)]
    return Marked(left, unit.between, cut[0]), Marked(right, unit.between, cut[1])


def words_with_tags(compared: Compared) -> list[tuple[str, str, str]]:
    """Each word of the source with the tag that it got and the right one; empty where there is not
    one of each for each word."""
    answer = compared.answer
    rows = [text.split() for text in (answer.source, answer.output, compared.reference)]
    return list(zip(*rows, strict=True)) if len({len(row) for row in rows}) == 1 else []


def align(text: str, pieces: Sequence[str]) -> list[str] | None:
    """One stretch of `text` for each piece, together the whole text, or None where that fails.

    Characters match as they are. A word's piece may lack the space before it, SentencePiece writes
    that space as U+2581, and a special token (`</s>`) stands for no text at all.
    """
    stretches: list[str] = []
    position = 0
    for piece in pieces:
        start, end = position, position
        content = piece
        if not text.startswith(piece, position):
            content = piece.replace("\u2581", " ").strip()
            # Only the spaces just here are passed over: the rest belongs to later pieces.
            while start < len(text) and text[start].isspace():
                start += 1
        if content and text.startswith(content, start):
            end = start + len(content)
        stretches.append(text[position:end])
        position = end
    return stretches if position == len(text) else None


class Cycle(NamedTuple):
    """From index `start` on, the text repeats `unit` to its end."""

    start: int
    unit: str


def find_cycle(text: str) -> Cycle | None:
    """The shortest cycle of which the end of the text, at least a third of it, consists.

    Its unit begins with a word if it has one ("the first the counters to " rather than "rst the
    counters to the fi"), so the text need not enter it at its beginning.
    """
    # The room of reports also writes the errors of the command line, which need not wait for NumPy.
    from seqgen.metrics import SHORTEST, find_loop

    loop = find_loop(text, max(SHORTEST, math.ceil(len(text) / 3)))
    if loop is None:
        return None
    unit = text[loop.start : loop.start + loop.period]
    places = range(len(unit))  # before the first character is the last
    words = (place for place in places if unit[place - 1].isspace() and not unit[place].isspace())
    first = next(words, 0)
    return Cycle(loop.start, unit[first:] + unit[:first])


@dataclass
class Bin:
    """The answers to sources of `low` to `high` units, or more where `high` is None."""

    low: int
    high: int | None
    answers: int = 0
    wrong: int = 0
    edits: int = 0
    size: int = 0

    @property
    def rate(self) -> float:
        """The share of answers that are wrong."""
        return self.wrong / self.answers

    @property
    def interval(self) -> tuple[float, float]:
        """The interval in which the rate lies with 95 % confidence (Wilson 1927)."""
        square = Z * Z / self.answers
        middle = self.rate + square / 2
        side = Z * math.sqrt((self.rate * (1 - self.rate) + square / 4) / self.answers)
        return max(0.0, (middle - side) / (1 + square)), min(1.0, (middle + side) / (1 + square))

    @property
    def edit_rate(self) -> float:
        """Edits for each unit of the right answers."""
        return self.edits / max(self.size, 1)


def errors_by_length(answers: Sequence[Answer], source: Unit, output: Unit) -> list[Bin]:
    """The answers by the length of their source, without empty bins; the last one is open."""
    sized = [(len(source.split(each.source)), compare(each, output)) for each in answers]
    bins = bins_for([length for length, _ in sized])
    for length, each in sized:
        found = next(known for known in bins if known.high is None or length <= known.high)
        found.answers += 1
        found.wrong += each.answer.wrong
        found.edits += each.edits
        found.size += each.size
    return [each for each in bins if each.answers]


def bins_for(lengths: Sequence[int]) -> list[Bin]:
    """Up to 13 bins of equal round width; the few longest sources share the last one."""
    if not lengths:
        return []
    ordered = sorted(lengths)
    low, high = ordered[0], ordered[math.ceil(0.95 * len(ordered)) - 1]
    widths = (n * 10**power for power in range(12) for n in (1, 2, 5))
    width = next(width for width in widths if (high - low + 1) / width <= BINS)
    starts = range(low // width * width, high + 1, width)
    bins = [Bin(start, start + width - 1) for start in starts]
    bins[0].low, end = low, starts[-1] + width - 1
    if ordered[-1] > end:
        return [*bins, Bin(end + 1, None)]
    bins[-1].high = ordered[-1]
    return bins
