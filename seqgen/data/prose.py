"""Prose in the text of a documentation: its sentences, without what is code, table or markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEADING = re.compile(r"\s*([*=\-~^\"'.#_])\1+\s*")
_CODE = re.compile(r"\s*(\+[-=]|\||>>>|\.\.\. )|.*::=")
"""How a line begins that belongs to a table or a dialogue, or what a rule of a grammar has."""
_ITEM = re.compile(r"\s*(\*|-|\d+\.|\[\d+\])\s+")
_HYPHEN = re.compile(r"(?<=\w-)\n(?=\w)")
_SENTENCE_END = re.compile(r"(?<=[.?!])(?<!e\.g\.)(?<!i\.e\.)\s+(?=[A-Z\"\u201c*(`])")
_MARKUP = (
    (r"\s*\[\d+\]", ""),  # a footnote's number
    (r"(?<![\w*])\*{1,2}(\w(?:[^*]*[^*\s])?)\*{1,2}(?![\w*])", r"\1"),  # *emphasis*
    (r"(?::\w+)?:\w+:`([^`]*)`", r"\1"),  # a role, such as :class:`int`
    (r"``?([^`\s]+|[\w ]+)``?", r"\1"),
    (r'"([^"\s]+|[\w ]+)"', r"\1"),
    (r"(?<!\w)'([\w.]+)'(?!\w)", r"\1"),
    (r"\u201c([^\u201c\u201d]*)\u201d", r"\1"),  # typographic quotation marks
    (r"\u2018([^\u2018\u2019]*)\u2019", r"\1"),
    ("\u2019", "'"),  # an apostrophe
    (r"\s+\(\w[^()]*\)(?=[\s,.:;?]|$)", ""),  # an aside
)


def sentences(text: str) -> Iterator[list[str]]:
    """The sentences of each paragraph of `text`, as plain text.

    Headings, tables, grammars, dialogues, and what is indented below a line that ends with a colon
    are no paragraphs. Quotation marks, emphasis, the numbers of footnotes and asides in brackets
    are taken off; code in several words with signs in it stays as it is.
    """
    for paragraph in _paragraphs(text):
        # Sentences are cut first: a quoted full stop is followed by its quotation mark.
        yield [_plain(each) for each in _SENTENCE_END.split(paragraph)]


def _plain(sentence: str) -> str:
    for pattern, replacement in _MARKUP:
        sentence = re.sub(pattern, replacement, sentence)
    return sentence


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of prose, each on one line."""
    code = None  # how far the code is indented that may stand here
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        indent = min(map(_indent, lines))
        if code is not None and indent >= code:
            continue
        code = None
        if _HEADING.fullmatch(lines[-1]) or any(map(_CODE.match, lines)):
            continue
        lines = _without_term(lines)
        if len({_indent(line) for line in lines[1:]}) > 1:
            continue
        paragraph = _HYPHEN.sub("", "\n".join(map(str.strip, lines))).replace("\n", " ")
        if paragraph.endswith(":"):
            code = indent + 1
        yield paragraph


def _without_term(lines: list[str]) -> list[str]:
    """An item of a list without its mark, a definition without the line above it."""
    mark = _ITEM.match(lines[0])
    if mark:
        return [lines[0][mark.end() :], *lines[1:]]
    if len(lines) > 1 and _indent(lines[0]) < _indent(lines[1]):
        return lines[1:]
    return lines


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
