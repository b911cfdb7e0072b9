"""Showing how the share of errors goes with the length of the source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from seqgen.reports.answers import CLASSES, TAGS, Answer, Unit, compare, output_unit, source_unit
from seqgen.reports.held_out import concluded
from seqgen.reports.quantities import count, counted, share
from seqgen.reports.run_files import RunFiles
from seqgen.reports.text import as_html

BINS: Final = 12
CERTAIN: Final = 20
"""Bins of fewer answers do not widen the scale by their intervals."""
Z: Final = 1.96
"""Standard deviations to either side of the mean in which 95 % of a normal distribution lie."""


@dataclass
class Bin:
    """The answers to sources of `low` to `high` units, or more where `high` is None."""

    low: int
    high: int | None
    answers: int = 0
    wrong: int = 0
    edits: int = 0
    size: int = 0

    def holds(self, length: int) -> bool:
        """Whether a source of that length belongs here."""
        return self.low <= length and (self.high is None or length <= self.high)

    @property
    def rate(self) -> float:
        """The share of answers that are wrong."""
        return self.wrong / self.answers

    @property
    def edit_rate(self) -> float:
        """Edits for each unit of the right answers."""
        return self.edits / max(self.size, 1)


def lengths(run: RunFiles) -> str:
    """Error rates by length, where there are several lengths and errors."""
    unit = output_unit(run.answers, concluded(run)[0])
    pieces = source_unit(run.answers, unit)
    bins = binned(run.answers, pieces, unit)
    if len(bins) < 2 or not any(each.wrong for each in bins):
        return ""
    scale = _scale(bins, unit)
    rows = "".join(_row(each, scale, unit) for each in bins)
    return (
        f"<p>By the number of {pieces.name}s of the source: the bar is the share of answers that "
        f"are wrong, the line its 95 % interval (Wilson){_about_dots(unit)}.</p>"
        f'<ul class="lengths"><li class="head"><span>{pieces.name}s</span>'
        f'<span class="scale"><span>0</span><span>{100 * scale:g} %</span></span>'
        f"<span>wrong</span><span>answers</span></li>{rows}</ul>"
    )


def _about_dots(unit: Unit) -> str:
    if unit is CLASSES:
        return ""
    if unit is TAGS:
        return ", the dot the share of tags that are wrong"
    return f", the dot the edits per {unit.name} of the right answers"


def binned(answers: Sequence[Answer], pieces: Unit, unit: Unit) -> list[Bin]:
    """The answers by the length of their source, without empty bins; the last one is open."""
    sized = [(len(pieces.split(each.source)), compare(each, unit)) for each in answers]
    bins = bounds([length for length, _ in sized])
    for length, each in sized:
        found = next(candidate for candidate in bins if candidate.holds(length))
        found.answers += 1
        found.wrong += each.answer.wrong
        found.edits += each.edits
        found.size += each.size
    return [each for each in bins if each.answers]


def bounds(found: Sequence[int]) -> list[Bin]:
    """Up to 13 bins of equal round width; the few longest sources share the last one."""
    if not found:
        return []
    ordered = sorted(found)
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


def wilson(wrong: int, answers: int) -> tuple[float, float]:
    """The interval in which a share lies with 95 % confidence (Wilson 1927)."""
    part, square = wrong / answers, Z * Z / answers
    middle = part + square / 2
    side = Z * math.sqrt((part * (1 - part) + square / 4) / answers)
    return max(0.0, (middle - side) / (1 + square)), min(1.0, (middle + side) / (1 + square))


def _scale(bins: list[Bin], unit: Unit) -> float:
    """The share at which the bars end: a round one that no bar exceeds."""
    ends = [each.rate for each in bins]
    ends += [wilson(each.wrong, each.answers)[1] for each in bins if each.answers >= CERTAIN]
    if unit is not CLASSES:
        ends += [each.edit_rate for each in bins]
    return next((end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if end >= max(ends)), 1.0)


def _row(each: Bin, scale: float, unit: Unit) -> str:
    low, high = (_place(end, scale) for end in wilson(each.wrong, each.answers))
    dot = "" if unit is CLASSES else f'<b style="left: {_place(each.edit_rate, scale):.2f}%"></b>'
    title = f"{count(each.wrong)} of {count(each.answers)}"
    if unit is not CLASSES:
        title += f"; {counted(each.edits, 'edit')} in {counted(each.size, unit.name)}"
    return (
        f'<li title="{title}"><span>{_name(each)}</span>'
        f'<span class="bar"><i style="width: {_place(each.rate, scale):.2f}%"></i>'
        f'<u style="left: {low:.2f}%; width: {high - low:.2f}%"></u>{dot}</span>'
        f"<span>{as_html(share(each.rate))}</span><span>{count(each.answers)}</span></li>"
    )


def _name(each: Bin) -> str:
    if each.high is None:
        return f"{count(each.low)} or more"
    return (
        count(each.low) if each.low == each.high else f"{count(each.low)}\u2013{count(each.high)}"
    )


def _place(value: float, scale: float) -> float:
    return min(100 * value / scale, 100.0)
