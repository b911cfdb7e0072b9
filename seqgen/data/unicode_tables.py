"""Corpora made of the tables of Unicode 3.2, which every Python has and which never change."""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import ucd_3_2_0 as unicode

from seqgen.data.corpora import Corpus, corpora
from seqgen.data.files import TextFile

_FAMILIES = ("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ")
"""Names that follow from the code point: families of thousands with one category each."""


@corpora.register("unicode_names")
class UnicodeNames(Corpus):
    """The 95,156 character names of Unicode 3.2, one a line: 2.6 MB, the same in every Python."""

    name = "unicode_names"

    def read(self) -> TextFile:
        """The names in the order of their code points."""
        return TextFile.of("".join(f"{name}\n" for _, name in _named()))

    def ready(self) -> bool:
        """Always: the names come with Python."""
        return True


@corpora.register("unicode_categories")
class UnicodeCategories(Corpus):
    """Labelled: 12,886 character names of Unicode 3.2, each with its category (Lu, So, ...).

    The ideographs of China, Japan and Korea and the Hangul syllables are left out: they have a
    number or a spelling for a name, and are all of the category Lo.
    """

    name = "unicode_categories"

    def read(self) -> TextFile:
        """`GREEK SMALL LETTER ALPHA<TAB>Ll`, in the order of the code points."""
        own = ((each, name) for each, name in _named() if not name.startswith(_FAMILIES))
        return TextFile.of("".join(f"{name}\t{unicode.category(each)}\n" for each, name in own))

    def ready(self) -> bool:
        """Always: the categories come with Python."""
        return True


@corpora.register("hangul")
class Hangul(Corpus):
    """Pairs: the 11,172 Hangul syllables, each as its jamo, and in Latin letters as in its name."""

    name = "hangul"

    def read(self) -> TextFile:
        """The jamo of a syllable without a space, a tab, and what `HANGUL SYLLABLE` is followed by
        in its name, such as GAG; in the order of the code points."""
        named = ((each, name) for each, name in _named() if name.startswith("HANGUL SYLLABLE "))
        rows = (f"{jamo(each)}\t{name.split()[-1]}\n" for each, name in named)
        return TextFile.of("".join(rows))

    def ready(self) -> bool:
        """Always: the names come with Python."""
        return True


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
