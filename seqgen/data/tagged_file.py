"""Reading a file of tagged sequences: a token and its tag a line, a blank line between two."""

from __future__ import annotations

from typing import NamedTuple

from seqgen.data.files import TextFile
from seqgen.data.rows import lines_of
from seqgen.errors import DataError


class TaggedSequence(NamedTuple):
    """Words and the tag of each, and the number of the line of the first one."""

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


def parse_tagged(file: TextFile, name: str) -> list[TaggedSequence]:
    """The sequences of a text in which each line is `word<TAB>tag`.

    Between two sequences is a line with nothing but spaces, or several. Words have no spaces and
    tags no white space at all, so that each sequence can be written with a space between two of
    them. Errors: DataError with the line.
    """
    sequences = []
    begin: int | None = None
    pairs: list[tuple[str, str]] = []
    lines = lines_of(file.text)
    for number, line in enumerate([*lines, ""], 1):
        if line.strip(" "):
            begin = begin or number
            pairs.append(_pair(line, f"{name}:{number}"))
        elif begin is not None:
            words, tags = zip(*pairs, strict=True)
            sequences.append(TaggedSequence(begin, words, tags))
            begin, pairs = None, []
    if not sequences:
        blank = f"{len(lines)} lines, all of them blank" if lines else "an empty file"
        raise DataError(f"{name}: no sequences in it ({blank})")
    return sequences


def _pair(line: str, place: str) -> tuple[str, str]:
    """The word and the tag of a line. Errors: DataError."""
    cells = line.split("\t")
    if len(cells) != 2:
        tabs = "no tab" if len(cells) == 1 else f"{len(cells) - 1} tabs"
        raise DataError(f"{place}: must be a word, a tab and its tag, but has {tabs}")
    word, tag = cells
    if not word or not tag:
        raise DataError(f"{place}: the {'tag' if word else 'word'} is empty")
    if " " in word:
        raise _spaced(place, "word", word)
    if tag.split() != [tag]:
        raise _spaced(place, "tag", tag)
    return word, tag


def _spaced(place: str, what: str, text: str) -> DataError:
    """A space stands between two words, or tags, wherever a sequence is one text."""
    return DataError(f"{place}: the {what} {text!r} has a space in it; write another sign there")
