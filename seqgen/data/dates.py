"""The corpus `dates`: dates as people write them in English, and the same dates as ISO 8601."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TypeVar

from seqgen.data.corpora import Corpus, corpora
from seqgen.data.files import TextFile
from seqgen.options import Seed, Size

T = TypeVar("T")

# Written out here: those of the standard library follow the locale.
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_ONES = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
_TEENS = [
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
]
_TWENTIES = ["twentieth", *(f"twenty-{each}" for each in _ONES)]
ORDINALS = [*_ONES, *_TEENS, *_TWENTIES, "thirtieth", "thirty-first"]

# In these, `nth` is 3rd or third, `month` a name or an abbreviation.
_BEGIN_WITH_DAY_OR_MONTH = (
    "{day} {month} {year}",
    "{day} {month}, {year}",
    "{nth} {month} {year}",
    "{nth} {month}, {year}",
    "{nth} of {month} {year}",
    "{nth} of {month}, {year}",
    "the {nth} of {month} {year}",
    "the {nth} of {month}, {year}",
    "the {nth} day of {month} {year}",
    "{month} {day} {year}",
    "{month} {day}, {year}",
    "{month} {nth} {year}",
    "{month} {nth}, {year}",
    "{month} the {nth} {year}",
    "{month} the {nth}, {year}",
)
_OTHERS = (
    "{year} {month} {day}",
    "{year}, {month} {day}",
    "{year}, {month} {nth}",
    "{year}, {month} the {nth}",
    "{day}-{short}-{year}",
    "{year}-{short}-{day}",
    "{d}/{m}/{year}",
    "{d:02}/{m:02}/{year}",
    "{d}.{m}.{year}",
    "{d:02}.{m:02}.{year}",
    "{d:02}-{m:02}-{year}",
    "{year}-{m:02}-{d:02}",
    "{year}/{m:02}/{d:02}",
    "{year}/{m}/{d}",
    "{year}.{m:02}.{d:02}",
    "{year}{m:02}{d:02}",
)
_FORMS = _BEGIN_WITH_DAY_OR_MONTH * 2 + _OTHERS  # so that words come more often than numbers
_WITH_WEEKDAY = (
    "{0}",
    "{0}",
    "{weekday} {0}",
    "{weekday}, {0}",
    "{weekday:.3} {0}",
    "{weekday:.3}, {0}",
    "{0} ({weekday})",
    "{0}, a {weekday}",
)
_CASES: tuple[Callable[[str], str], ...] = (str, str, str.lower, str.upper)

_FIRST, _LAST = date(1900, 1, 1).toordinal(), date(2099, 12, 31).toordinal()


@corpora.register("dates")
class Dates(Corpus):
    """Pairs: 20,000 dates, written in many English ways, and in ISO form; drawn from a seed.

    The dates lie between 1900 and 2099; `count` of them are drawn. The same seed gives the same
    rows in every Python, and no source comes twice, be it in another case. Years have four digits.
    Where the month is a number, the day comes first, as in British English (`03/05/1984` and
    `3.5.1984` are in May), or else the year, then the month (`1984/5/3`). Weekdays are the right
    ones.
    """

    name = "dates"

    def __init__(self, count: Size = 20_000, seed: Seed = 1) -> None:
        self.count = count
        self.seed = seed

    def read(self) -> TextFile:
        """`Thursday, 3rd of May 1984<TAB>1984-05-03`, in the order in which they were drawn."""
        return TextFile.of("".join(f"{source}\t{target}\n" for source, target in self._rows()))

    def ready(self) -> bool:
        """Always: the dates are made here."""
        return True

    def _rows(self) -> Iterator[tuple[str, str]]:
        draw, seen = _Draw(self.seed), set[str]()
        while len(seen) < self.count:
            day = date.fromordinal(_FIRST + draw.below(_LAST - _FIRST + 1))
            source = _written(day, draw)
            # Another case alone would be no new row to a model, held out or not.
            if source.lower() not in seen:
                seen.add(source.lower())
                yield source, day.isoformat()


class _Draw:
    """Random choices by `random()` alone: no other method is promised to stay what it is."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, end: int) -> int:
        return int(self._random.random() * end)

    def of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]


def _written(day: date, draw: _Draw) -> str:
    """One of the ways to write `day`."""
    month = MONTHS[day.month - 1]
    short = draw.of(("Sep", "Sept")) if month == "September" else month[:3]
    # May has no abbreviation, so no full stop.
    dotted = month if month == "May" else f"{short}."
    form = draw.of(_FORMS)
    text = form.format(
        d=day.day,
        m=day.month,
        year=day.year,
        short=short,
        day=draw.of((f"{day.day}", f"{day.day:02}")),
        nth=draw.of((_numeral(day.day), ORDINALS[day.day - 1])),
        month=draw.of((month, month, short, dotted)),
    )
    if form in _BEGIN_WITH_DAY_OR_MONTH:
        text = draw.of(_WITH_WEEKDAY).format(text, weekday=WEEKDAYS[day.weekday()])
    text = draw.of((text, text[0].upper() + text[1:]))
    return draw.of(_CASES)(text)


def _numeral(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, ... `11th`, ... `31st`."""
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
