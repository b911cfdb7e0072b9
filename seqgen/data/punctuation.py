"""The corpus `punctuation`: words in lower case without marks, tagged with what restores them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from seqgen.data.corpora import Corpus, CorpusFactory, PythonDocs, corpora
from seqgen.data.files import TextFile
from seqgen.data.prose import sentences

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
    """Tagged: words of the prose of a `corpus`, in lower case, with their case and punctuation.

    A tag is a case (`lower`, `Cap`, `UPPER`, `Mixed`) and the mark behind the word, if any: `Cap,`.
    `restored` gives the sentences back, but for the words of `Mixed` case, less than 1 % of those
    of `python_docs`. A sequence is one sentence or several that follow one another. No sentence
    comes twice. What is no prose is left out, and so are quotation marks, asides in brackets and
    the sentences that have other signs; the longer `python_library` gives five times as many words.
    """

    name = "punctuation"

    def __init__(self, corpus: CorpusFactory = PythonDocs) -> None:
        self.corpus = corpora.build(corpus)

    def read(self) -> TextFile:
        """`assert<TAB>Cap`, a word a line, and a blank line between two sequences."""
        passages = _passages(self.corpus.read().text)
        blocks = ("".join(f"{word}\t{tag}\n" for word, tag in each) for each in passages)
        return TextFile.of("\n".join(blocks))

    def ready(self) -> bool:
        """Whether the corpus is whose prose it is."""
        return self.corpus.ready()

    def fetch(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Fetch the corpus whose prose it is."""
        self.corpus.fetch(on_progress)


def tagged(token: str) -> tuple[str, str] | None:
    """A word with its mark as the bare word and its tag: `("however", "Cap,")` for `However,`.

    None for what is no word with at most one mark behind it.
    """
    found = _TOKEN.fullmatch(token)
    if not found:
        return None
    word, mark = found.groups()
    bare = word.lower()
    case = next((name for name, apply in CASES.items() if apply(bare) == word), MIXED)
    return bare, case + mark


def restored(words: Sequence[str], tags: Sequence[str]) -> str:
    """The text that `words` are with what their `tags` say.

    Errors: ValueError for a tag that is none, and where there is not one for each word.
    """
    if len(words) != len(tags):
        raise ValueError(f"`tags` must be one for each of {len(words)} words, but are {len(tags)}")
    return " ".join(_restored(word, tag) for word, tag in zip(words, tags, strict=True))


def _restored(word: str, tag: str) -> str:
    if tag not in TAGS:
        raise ValueError(f"`tags` must be of {', '.join(TAGS)}, but there is {tag!r}")
    case = tag.rstrip("".join(MARKS))
    return CASES.get(case, str)(word) + tag.removeprefix(case)


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
    """The words and tags of a sentence; none where it has no beginning or end, or other tokens."""
    tokens = sentence.split()
    if len(tokens) < 3 or not tokens[-1].endswith(_SENTENCE_ENDS):
        return []
    if tokens[0].isalpha() and tokens[0].islower():  # the rest of another one
        return []
    found = [tagged(token) for token in tokens]
    words = [each for each in found if each is not None]
    return words if len(words) == len(found) else []
