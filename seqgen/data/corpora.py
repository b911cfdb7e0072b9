"""Corpora: texts that have a name, so that a recipe runs without a file of one's own.

Those of Unicode are made of the tables of version 3.2, which every Python has and which never
change.
"""

from __future__ import annotations

import importlib.util
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar
from unicodedata import ucd_3_2_0 as unicode

from seqgen.data.text_files import TextFile, fetch, read_text
from seqgen.errors import DataError
from seqgen.files import cache_folder, sha256
from seqgen.options import Seed, Size
from seqgen.registry import Registry

corpora: Registry[Corpus] = Registry("corpus", room="corpora")


class Corpus(ABC):
    """A text with a name. A listing shows the first line of its docstring.

    For kinds of data with a source and a target each line is a source, a tab and its target; for
    tagged data each line is a token, a tab and its tag, with blank lines between sequences.
    """

    name: ClassVar[str]

    @abstractmethod
    def read(self) -> TextFile:
        """The text. Raises DataError if it is not ready."""

    def ready(self) -> bool:
        """Whether `read` would work now, without a download."""
        return True

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:  # noqa: B027
        """Make the corpus ready; nothing to do for one that comes with Python.

        `on_progress(bytes_so_far, size)` is called as the bytes come. Raises DataError if they do
        not come, SetupError if they cannot be written.
        """


CorpusFactory = Annotated[Callable[..., Corpus], corpora]


@corpora.register("python_docs")
class PythonDocs(Corpus):
    """The help topics of this Python: 0.5 MB of English prose and code; no download.

    The text differs a little from one release of Python to the next.
    """

    name = "python_docs"

    def read(self) -> TextFile:
        if not self.ready():
            raise DataError(f"corpus '{self.name}': this Python comes without pydoc_data.topics")
        from pydoc_data.topics import topics

        return TextFile.of("\n\n".join(topics[key] for key in sorted(topics)))

    def ready(self) -> bool:
        try:  # some systems pack the topics apart from Python
            return importlib.util.find_spec("pydoc_data.topics") is not None
        except ModuleNotFoundError:
            return False


@corpora.register("tiny_shakespeare")
class TinyShakespeare(Corpus):
    """40,000 lines of Shakespeare's plays: 1.1 MB, the usual text for character models; fetched."""

    name = "tiny_shakespeare"
    url = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    )
    sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    size = 1_115_394

    def read(self) -> TextFile:
        return read_text(self._checked())

    def ready(self) -> bool:
        try:
            self._checked()
        except DataError:
            return False
        return True

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        if not self.ready():
            path = cache_folder() / "tiny_shakespeare.txt"
            fetch(self.url, self.sha256, self.size, path, on_progress)

    def _checked(self) -> Path:
        """Where the text is. Raises DataError if it is not there, or is another one."""
        path, get = cache_folder() / "tiny_shakespeare.txt", f"seqgen data get {self.name}"
        if not path.exists():
            missing = f"is not here yet: {get} (or give a local file: data.path=FILE)"
            raise DataError(f"corpus '{self.name}' {missing}")
        found = sha256(path, DataError)
        if found != self.sha256:
            hashes = f"SHA-256 {found[:16]}... instead of {self.sha256[:16]}..."
            raise DataError(
                f"{path}: not what corpus '{self.name}' is ({hashes}); fetch it again: {get}"
            )
        return path


_FAMILIES = ("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ")
"""Names that follow from the code point: families of thousands with one category each."""


@corpora.register("unicode_names")
class UnicodeNames(Corpus):
    """The 95,156 character names of Unicode 3.2, one a line: 2.6 MB, the same in every Python."""

    name = "unicode_names"

    def read(self) -> TextFile:
        return TextFile.of("".join(f"{name}\n" for _, name in _named()))


@corpora.register("unicode_categories")
class UnicodeCategories(Corpus):
    """Labelled: 12,886 character names of Unicode 3.2, each with its category (Lu, So, ...).

    Chinese, Japanese and Korean ideographs and the Hangul syllables are left out: they have a
    number or a spelling for a name, and are all of the category Lo.
    """

    name = "unicode_categories"

    def read(self) -> TextFile:
        own = ((each, name) for each, name in _named() if not name.startswith(_FAMILIES))
        return TextFile.of("".join(f"{name}\t{unicode.category(each)}\n" for each, name in own))


@corpora.register("hangul")
class Hangul(Corpus):
    """Pairs: the 11,172 Hangul syllables, each as its jamo and in the Latin letters of its name."""

    name = "hangul"

    def read(self) -> TextFile:
        named = ((each, name) for each, name in _named() if name.startswith("HANGUL SYLLABLE "))
        rows = (f"{jamo(each)}\t{name.split()[-1]}\n" for each, name in named)
        return TextFile.of("".join(rows))


def jamo(syllable: str) -> str:
    """The two or three conjoining jamo of a Hangul syllable.

    There are 19 initials, 21 vowels, and 27 finals or none, and the syllables stand in their order
    (The Unicode Standard, section 3.12).
    """
    initial_vowel, final = divmod(ord(syllable) - 0xAC00, 28)
    initial, vowel = divmod(initial_vowel, 21)
    letters = chr(0x1100 + initial) + chr(0x1161 + vowel)
    return letters + chr(0x11A7 + final) if final else letters


def _named() -> Iterator[tuple[str, str]]:
    """Each character that has a name, with it, in the order of the code points."""
    for each in map(chr, range(0x110000)):
        name = unicode.name(each, "")
        if name:
            yield each, name


T = TypeVar("T")

# Written out here: those of the standard library follow the locale.
MONTHS, WEEKDAYS, _ONES, _TEENS = map(
    str.split,
    (
        "January February March April May June July August September October November December",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "first second third fourth fifth sixth seventh eighth ninth",
        "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
        "nineteenth",
    ),
)
_TWENTIES = ["twentieth", *(f"twenty-{each}" for each in _ONES)]
ORDINALS = [*_ONES, *_TEENS, *_TWENTIES, "thirtieth", "thirty-first"]

# In these, `nth` is 3rd or third, `month` a name or an abbreviation.
_BEGIN_WITH_DAY_OR_MONTH = [
    *("{day} {month} {year}", "{day} {month}, {year}"),
    *("{nth} {month} {year}", "{nth} {month}, {year}"),
    *("{nth} of {month} {year}", "{nth} of {month}, {year}"),
    *("the {nth} of {month} {year}", "the {nth} of {month}, {year}"),
    "the {nth} day of {month} {year}",
    *("{month} {day} {year}", "{month} {day}, {year}"),
    *("{month} {nth} {year}", "{month} {nth}, {year}"),
    *("{month} the {nth} {year}", "{month} the {nth}, {year}"),
]
_OTHERS = [
    *("{year} {month} {day}", "{year}, {month} {day}"),
    *("{year}, {month} {nth}", "{year}, {month} the {nth}"),
    *("{day}-{short}-{year}", "{year}-{short}-{day}"),
    *("{d}/{m}/{year}", "{d:02}/{m:02}/{year}", "{d}.{m}.{year}", "{d:02}.{m:02}.{year}"),
    *("{d:02}-{m:02}-{year}", "{year}-{m:02}-{d:02}", "{year}/{m:02}/{d:02}"),
    *("{year}/{m}/{d}", "{year}.{m:02}.{d:02}", "{year}{m:02}{d:02}"),
]
_FORMS = _BEGIN_WITH_DAY_OR_MONTH * 2 + _OTHERS  # so that words come more often than numbers
_WITH_WEEKDAY = (
    *("{0}", "{0}"),
    *("{weekday} {0}", "{weekday}, {0}", "{weekday:.3} {0}", "{weekday:.3}, {0}"),
    *("{0} ({weekday})", "{0}, a {weekday}"),
)
_CASES: tuple[Callable[[str], str], ...] = (str, str, str.lower, str.upper)

_FIRST, _LAST = date(1900, 1, 1).toordinal(), date(2099, 12, 31).toordinal()


@corpora.register("dates")
class Dates(Corpus):
    """Pairs: 20,000 dates drawn from a seed, written in many English ways and in ISO form.

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
        return TextFile.of("".join(f"{source}\t{target}\n" for source, target in self._rows()))

    def _rows(self) -> Iterator[tuple[str, str]]:
        """Sources and targets, such as `Thursday, 3rd of May 1984` and `1984-05-03`."""
        draw, seen = _Draw(self.seed), set[str]()
        while len(seen) < self.count:
            day = date.fromordinal(_FIRST + draw.below(_LAST - _FIRST + 1))
            source = _written(day, draw)
            # Another case alone would be no new row to a model, held out or not.
            if source.lower() not in seen:
                seen.add(source.lower())
                yield source, day.isoformat()


class _Draw(random.Random):
    """Random choices by `random()` alone: no other method is promised to stay what it is."""

    def below(self, end: int) -> int:
        return int(self.random() * end)

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
