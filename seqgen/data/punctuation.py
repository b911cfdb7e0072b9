"""The corpora `python_library`, documentation as prose, and `punctuation`, its words tagged."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from seqgen.data.corpora import Corpus, CorpusFactory, PythonDocs, corpora
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError

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
    """The sentences of each paragraph of a documentation, as plain text.

    Headings, tables, grammars, dialogues, and what is indented below a line that ends with a colon
    are no paragraphs. Quotation marks, emphasis, the numbers of footnotes and asides in brackets
    are removed; code of several words with signs in it stays as it is.
    """
    for paragraph in _paragraphs(text):
        # Sentences are cut first: a quoted full stop is followed by its quotation mark.
        found = _SENTENCE_END.split(paragraph)
        for pattern, replacement in _MARKUP:
            found = [re.sub(pattern, replacement, sentence) for sentence in found]
        yield found


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
        if mark := _ITEM.match(lines[0]):
            lines = [lines[0][mark.end() :], *lines[1:]]
        elif len(lines) > 1 and _indent(lines[0]) < _indent(lines[1]):
            lines = lines[1:]  # a definition, without the term above it
        if len({_indent(line) for line in lines[1:]}) > 1:
            continue
        paragraph = _HYPHEN.sub("", "\n".join(map(str.strip, lines))).replace("\n", " ")
        if paragraph.endswith(":"):
            code = indent + 1
        yield paragraph


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


_LEFT_OUT = {"ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "turtledemo"}
"""Packages that are tests, programs or tables, and those that not every Python has."""


@corpora.register("python_library")
class PythonLibrary(Corpus):
    """The help topics and the docstrings of this Python's library: 2 MB of prose; no download.

    Docstrings follow the text of `python_docs` module by module; modules are parsed, not imported,
    which takes some seconds. The text differs a little from one release of Python to the next.
    """

    name = "python_library"

    def read(self) -> TextFile:
        docs = PythonDocs()
        if not self.ready():
            raise DataError(f"corpus '{self.name}': this Python comes without its library's source")
        found = (text for path in self._modules for text in docstrings(path))
        return TextFile.of("\n\n".join([docs.read().text, *found]))

    def ready(self) -> bool:
        # Some systems pack the library without its source.
        return PythonDocs().ready() and bool(self._modules)

    @cached_property
    def _modules(self) -> list[Path]:
        """The public modules of the library in the order of their names."""
        library, found = Path(sysconfig.get_path("stdlib")), []
        for name in sorted(sys.stdlib_module_names - _LEFT_OUT):
            module, package = library / f"{name}.py", library / name
            if name.startswith("_"):
                continue
            if module.is_file():
                found.append(module)
            elif package.is_dir():
                below = (path.relative_to(package) for path in package.rglob("*.py"))
                paths = sorted(below, key=lambda path: path.parts)
                found += [package / path for path in paths if not _LEFT_OUT & set(path.parts)]
        return found


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and functions, in the order of the file.

    A file that is no UTF-8 or no Python has none: some packages hold such files on purpose.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in _documented(tree):
        if text := ast.get_docstring(node):
            # A lone surrogate, written as an escape, is no character.
            yield text.encode(errors="replace").decode()


def _documented(
    tree: ast.AST,
) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    if isinstance(tree, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _documented(child)


CASES: Mapping[str, Callable[[str], str]] = {
    "lower": str,
    "Cap": lambda word: word[:1].upper() + word[1:],
    "UPPER": str.upper,
}
MIXED = "Mixed"
"""The case of a word such as TypeError, which no rule restores."""
MARKS = ("", ",", ".", ":", ";", "?")
TAGS = tuple(case + mark for case in (*CASES, MIXED) for mark in MARKS)

_TOKEN = re.compile(r"(\w(?:(?!\.\.)[\w'./-])*?(?:\(\))?)([,.:;?]?)")
_SENTENCE_ENDS = (".", ":", "?")


@corpora.register("punctuation")
class Punctuation(Corpus):
    """Tagged: the words of a `corpus` of prose in lower case, with case and punctuation as tags.

    A tag is a case (`lower`, `Cap`, `UPPER`, `Mixed`) and the mark after the word, if any: `Cap,`.
    `restored` gives the sentences back, but for the words of `Mixed` case, less than 1 % of those
    of `python_docs`. A sequence is one sentence or several that follow one another. No sentence
    comes twice. What is no prose is left out, and so are quotation marks, asides in brackets and
    the sentences that have other signs; the longer `python_library` gives five times as many words.
    """

    name = "punctuation"

    def __init__(self, corpus: CorpusFactory = PythonDocs) -> None:
        self.corpus = corpora.build(corpus)

    def read(self) -> TextFile:
        passages = _passages(self.corpus.read().text)
        blocks = ("".join(f"{word}\t{tag}\n" for word, tag in each) for each in passages)
        return TextFile.of("\n".join(blocks))

    def ready(self) -> bool:
        return self.corpus.ready()

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        self.corpus.fetch(on_progress)


def tagged(token: str) -> tuple[str, str] | None:
    """The bare word and the tag of a word with its mark: `("however", "Cap,")` for `However,`.

    None if it is no word with at most one mark after it.
    """
    found = _TOKEN.fullmatch(token)
    if not found:
        return None
    word, mark = found.groups()
    bare = word.lower()
    case = next((name for name, apply in CASES.items() if apply(bare) == word), MIXED)
    return bare, case + mark


def restored(words: Sequence[str], tags: Sequence[str]) -> str:
    """The text of `words` with the case and the marks of their `tags`.

    Raises ValueError if there is not one tag for each word, or another one than `TAGS`.
    """
    if len(words) != len(tags):
        raise ValueError(f"`tags` must be one for each of {len(words)} words, but are {len(tags)}")
    found = []
    for word, tag in zip(words, tags, strict=True):
        if tag not in TAGS:
            raise ValueError(f"`tags` must be of {', '.join(TAGS)}, but there is {tag!r}")
        case = tag.rstrip("".join(MARKS))
        found.append(CASES.get(case, str)(word) + tag.removeprefix(case))
    return " ".join(found)


def _passages(text: str) -> Iterator[list[tuple[str, str]]]:
    """The words and tags of sentences that follow one another and can be tagged."""
    seen = set[str]()
    for paragraph in sentences(text):
        passage: list[tuple[str, str]] = []
        for sentence in paragraph:
            words = [] if sentence in seen else _words(sentence)
            if passage and not words:
                yield passage
                passage = []
            passage += words
            seen.add(sentence)
        if passage:
            yield passage


def _words(sentence: str) -> list[tuple[str, str]]:
    """The words and tags of a sentence; none if it has no beginning, no end, or other tokens."""
    tokens = sentence.split()
    if len(tokens) < 3 or not tokens[-1].endswith(_SENTENCE_ENDS):
        return []
    if tokens[0].isalpha() and tokens[0].islower():  # the rest of another one
        return []
    found = [tagged(token) for token in tokens]
    words = [each for each in found if each is not None]
    return words if len(words) == len(found) else []
