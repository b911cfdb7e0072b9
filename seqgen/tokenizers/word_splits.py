"""Ways to split a text into words: our own, and those of torchtext by name."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from functools import partial
from typing import Literal, cast

Split = Callable[[str], list[str]]
SplitName = Literal[
    "whitespace", "exact", "basic_english", "spacy", "moses", "toktok", "revtok", "subword"
]

LINE_END = "\n"

_NEEDED = {
    "spacy": "spacy",
    "moses": "sacremoses",
    "toktok": "nltk",
    "revtok": "revtok",
    "subword": "revtok",
}
"""The package that a kind of torchtext takes its work from."""

_EXACT = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s")
"""Words and marks, each with one space before it, and what else there is of spaces: together they
are the text."""


_WHITESPACE = re.compile(r"\S+")


def split_by_name(name: SplitName) -> Split:
    """The function that splits. Errors: ValueError where a package that it needs is missing."""
    if name == "whitespace":
        return str.split
    if name == "exact":
        return _EXACT.findall
    needed = _NEEDED.get(name)
    if needed is not None and importlib.util.find_spec(needed) is None:
        raise ValueError(f"`split: {name}` needs the package {needed}, which is not installed")
    return partial(_by_torchtext, name)


def split_by_pattern(pattern: str) -> Split:
    """The function that finds all matches. Errors: ValueError for what is no pattern."""
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"`pattern` must be a regular expression, but is {pattern!r}: {error}"
        raise ValueError(message) from None
    return partial(_matches, compiled)


def by_lines(split: Split) -> Split:
    """The function that splits each line by `split`, each end of a line being a word, too."""
    return partial(_by_lines, split)


def word_spans(split: Split, text: str) -> list[tuple[int, int]] | None:
    """Where the words that `split` finds stand in `text`; None where they do not stand there."""
    if isinstance(split, partial) and split.func is _by_lines:
        return _spans_by_lines(split.args[0], text)
    own = _WHITESPACE if split is str.split else _EXACT
    pattern = split.args[0] if isinstance(split, partial) else own
    if isinstance(pattern, re.Pattern):
        return [match.span() for match in pattern.finditer(text) if match[0]]
    spans, place = [], 0
    for word in split(text):
        start = text.find(word, place) if isinstance(word, str) else -1
        if start < 0:
            return None
        place = start + len(word)
        spans.append((start, place))
    return spans


def _spans_by_lines(split: Split, text: str) -> list[tuple[int, int]] | None:
    spans, begin = [], 0
    for line in text.split(LINE_END):
        found = word_spans(split, line)
        if found is None:
            return None
        end = begin + len(line)
        spans += [(begin + start, begin + stop) for start, stop in found]
        spans.append((end, end + 1))
        begin = end + 1
    return spans[:-1]  # the text ends, its last line does not


def _by_lines(split: Split, text: str) -> list[str]:
    first, *others = text.split(LINE_END)
    words = split(first)
    for line in others:
        words.append(LINE_END)
        words += split(line)
    return words


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match[0] for match in pattern.finditer(text) if match[0]]


def _by_torchtext(name: str, text: str) -> list[str]:
    from torchtext.data.utils import get_tokenizer  # here: few recipes need it

    try:
        return cast(Split, get_tokenizer(name))(text)
    except OSError as error:  # spacy without its model of English
        raise ValueError(f"`split: {name}` cannot be loaded: {error}") from None
