"""Reading a file of tagged sequences: a token and its tag a line, a blank line between two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seqgen.data.files import TextFile
from seqgen.data.rows import Layout, Row, json_rows, lines_of, read_table
from seqgen.errors import DataError

TWO_COLUMNS = Layout(("source", "target"))


class TaggedSequence(NamedTuple):
    """Words and the tag of each, and the number of the line of the first one."""

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


def parse_tagged(
    file: TextFile, name: str, layout: Layout = TWO_COLUMNS
) -> tuple[list[TaggedSequence], str]:
    """The sequences of a text in which each line is `word<TAB>tag`, and the note of `read_table`.

    Between two sequences is a line with nothing but spaces, or several. In JSON lines each line is
    a sequence, with a list of words and one of tags. Words have no spaces and tags no white space
    at all, so that each sequence can be written with a space between two of them. Raises DataError
    with the line.
    """
    sequences = []
    source, target = layout.read.index("source"), layout.read.index("target")
    if layout.format_of(name) == "jsonl":
        note = ""
        for line, lists in json_rows(file, name, layout, list):
            if lists:
                words, tags = lists[source], lists[target]
                if len(words) != len(tags):
                    raise DataError(f"{name}:{line}: {len(words)} words, but {len(tags)} tags")
                pairs = [
                    _checked(*pair, f"{name}:{line}") for pair in zip(words, tags, strict=True)
                ]
                if pairs:
                    sequences.append(TaggedSequence(line, *zip(*pairs, strict=True)))
    else:
        rows, note = read_table(file, name, layout, _miscounted)
        begin: int | None = None
        pairs = []
        for line, texts in [*rows, Row(0, ())]:
            if texts:
                begin = begin or line
                pairs.append(_checked(texts[source], texts[target], f"{name}:{line}"))
            elif begin is not None:
                sequences.append(TaggedSequence(begin, *zip(*pairs, strict=True)))
                begin, pairs = None, []
    if not sequences:
        lines = len(lines_of(file.text))
        blank = f"{lines} lines, all of them blank" if lines else "an empty file"
        raise DataError(f"{name}: no sequences in it ({blank})")
    return sequences, note


def _miscounted(cells: Sequence[str], count: int) -> str:
    """What is wrong with a line of another number of columns than two."""
    tabs = "no tab" if len(cells) == 1 else f"{len(cells) - 1} tabs"
    return f"must be a word, a tab and its tag, but has {tabs}" if count == 2 else ""


def _checked(word: str, tag: str, place: str) -> tuple[str, str]:
    """The word and the tag of a line. Raises DataError if they are not such."""
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
