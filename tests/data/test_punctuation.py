"""Prose: what of a documentation is sentences, and how they read."""

import hashlib
import re
import sys
import sysconfig

import pytest

from seqgen.data import Corpus, Punctuation, PythonLibrary, corpora
from seqgen.data.corpora import PythonDocs
from seqgen.data.punctuation import TAGS, docstrings, restored, sentences, tagged
from seqgen.data.text_files import TextFile

PAGE = """\
Heading here.
*************

The "try" statement*s* of *Python* are \u2018well-
known\u2019 (so they say). Don\u2019t ask, i.e. Never mind. See below [3]:

   if x:
      This is code.

   And so is this.

Back to prose.  "in" works.

+------+
| A table. |
+------+

>>> print("A dialogue.")

   stmt ::= "A rule."

* An item that goes on
  here.

term
   Its definition.

     Ragged lines
   are code,
       too.
"""


def test_paragraphs_and_sentences():
    assert list(sentences(PAGE)) == [
        [
            "The try statement*s* of Python are well-known.",
            "Don't ask, i.e. Never mind.",
            "See below:",
        ],
        ["Back to prose.", "in works."],
        ["An item that goes on here."],
        ["Its definition."],
    ]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("Call ``len()`` or `repr` now.", "Call len() or repr now."),
        ("A :class:`int` and a :py:meth:`list.sort` are here.", "A int and a list.sort are here."),
        ("Both *args and **kwargs stay.", "Both *args and **kwargs stay."),
        ("**Strong** and *several words* are plain.", "Strong and several words are plain."),
        (
            'Code such as "x in y" or "x < y" is quoted.',
            'Code such as x in y or "x < y" is quoted.',
        ),
        ("It can be (re-)enabled by f(x) (or g).", "It can be (re-)enabled by f(x)."),
        ('The call "()" (a pair) is [2] empty.', "The call () is empty."),
        (
            "The \u201clong\u201d 'name' isn\u2019t the dogs' own.",
            "The long name isn't the dogs' own.",
        ),
    ],
)
def test_markup_is_taken_off(marked, plain):
    assert list(sentences(marked)) == [[plain]]
    assert [*sentences(""), *sentences("\n \n\n")] == []


MODULE = '''
"""Of the module."""
raise RuntimeError("this is never imported")

class A:
    """Of a class.

    More.
        Indented.
    """

    def f(self):
        "Of a method."

    x = 1
    """No docstring."""

if x:
    async def g(): "Of an async function."
    try:
        def h(): """   """
    except E:
        def k(): "Of a handler. \\ud800"
'''


DOCSTRINGS = [
    "Of the module.",
    "Of a class.\n\nMore.\n    Indented.",
    "Of a method.",
    "Of an async function.",
    "Of a handler. ?",
]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (MODULE.encode(), DOCSTRINGS),
        *((wrong, []) for wrong in (b"def (", b"'\xff'", b"\x00", b"# coding: none\n", b"")),
    ],
)
def test_docstrings_come_in_order_and_dedented_from_what_is_a_module(content, found, tmp_path):
    path = tmp_path / "module.py"
    path.write_bytes(content)
    assert list(docstrings(path)) == found


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of our own; a function writes a module of it."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset({"b", "a", "_c", "idlelib", "gone"}))

    def write(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name}"""', encoding="utf-8")

    return write


def test_public_modules_come_by_name(library):
    names = ["b.py", "a/z.py", "a/b/c.py", "a/__init__.py", "a/test/d.py", "_c.py", "idlelib/e.py"]
    for name in [*names, "other.py", "site-packages/f.py"]:
        library(name)
    found = PythonLibrary().read()
    docs = PythonDocs().read().text
    assert found.text == "\n\n".join([docs, "a/__init__.py", "a/b/c.py", "a/z.py", "b.py"])
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()


def test_a_library_without_source_is_not_ready(library, said):
    assert not PythonLibrary().ready()
    message = said(PythonLibrary().read)
    assert message == "corpus 'python_library': this Python comes without its library's source"


def test_the_library_of_this_python(monkeypatch):
    assert 400 < len(PythonLibrary()._modules) < 2_000
    # All of it takes ten seconds.
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset({"heapq", "json"}))
    text = PythonLibrary().read().text
    assert text.startswith(PythonDocs().read().text)
    assert "Heap queue algorithm (a.k.a. priority queue)." in text


class Given(Corpus):
    """A corpus with a text of our own, which must be fetched."""

    name = "given"

    def __init__(self, text):
        self.text = text
        self.fetched = False

    def read(self):
        return TextFile.of(self.text)

    def ready(self):
        return self.fetched

    def fetch(self, on_progress=None):
        self.fetched = True


def made(text):
    return Punctuation(corpus=lambda: Given(text)).read().text


def passages(text):
    blocks = text.split("\n\n")
    return [[line.split("\t") for line in block.splitlines()] for block in blocks]


@pytest.mark.parametrize(
    ("token", "word", "tag"),
    [
        ("word", "word", "lower"),
        ("However,", "however", "Cap,"),
        ("UTF-8.", "utf-8", "UPPER."),
        ("A", "a", "Cap"),
        ("TypeError;", "typeerror", "Mixed;"),
        ("3.11:", "3.11", "lower:"),
        ("why?", "why", "lower?"),
        ("don't", "don't", "lower"),
        ("e.g.", "e.g", "lower."),
        ("__init__()", "__init__()", "lower"),
        ("str.format(),", "str.format()", "lower,"),
        ("\u00dcber", "\u00fcber", "Cap"),
    ],
)
def test_a_token_as_word_and_tag(token, word, tag):
    assert tagged(token) == (word, tag)
    assert tag in TAGS
    assert restored([word], [tag]) == (token if "Mixed" not in tag else word + tag[-1])


@pytest.mark.parametrize("token", ["", ",", "(so", "what?!", "...", "wait...", "-1", "f(x)", "a=b"])
def test_what_no_tag_restores(token):
    assert tagged(token) is None


def test_restored_text():
    words = ["if", "so", "the", "utf-8", "text", "goes", "on", "is", "that", "right"]
    tags = ["Cap", "lower,", "lower", "UPPER", "lower", "lower", "lower.", "Cap", "lower", "lower?"]
    assert restored(words, tags) == "If so, the UTF-8 text goes on. Is that right?"
    assert restored([], []) == ""


def test_wrong_tags_are_refused():
    with pytest.raises(ValueError, match="one for each of 2 words, but are 1"):
        restored(["a", "b"], ["lower"])
    for tag in ("Caps", "lower!", "", ",", "lower,,"):
        with pytest.raises(ValueError, match=f"there is '{re.escape(tag)}'"):
            restored(["a"], [tag])


def test_a_word_a_line_and_a_blank_line_between_sequences():
    text = made("Read it, then go. It is 3.11.\n\nThe end is near:")
    assert text == (
        "read\tCap\nit\tlower,\nthen\tlower\ngo\tlower.\nit\tCap\nis\tlower\n3.11\tlower.\n\n"
        "the\tCap\nend\tlower\nis\tlower\nnear\tlower:\n"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (  # a sentence that is left out parts two sequences
            "This one stays. Here x < y holds. This stays too. So does this.",
            ["This one stays.", "This stays too. So does this."],
        ),
        ("This one stays. It is new.\n\nThis one stays.", ["This one stays. It is new."]),
        *((text, []) for text in ("", "Too short.", "There is no end", "No (so there is.")),
        ("rest of another sentence.", []),
    ],
)
def test_sequences_are_sentences_that_follow_one_another_and_come_once(text, found):
    assert [restored(*zip(*each, strict=True)) for each in passages(made(text)) if each] == found


def test_is_ready_when_its_corpus_is():
    given = Given("This is it.")
    corpus = Punctuation(corpus=lambda: given)
    assert not corpus.ready()
    corpus.fetch()
    assert given.fetched
    assert corpus.ready()


def test_99_percent_of_some_ten_thousand_words_are_restored_exactly():
    found = passages(corpora.build("punctuation").read().text)
    assert 900 < len(found) < 3_000
    words, tags = zip(*(pair for passage in found for pair in passage), strict=True)
    assert 25_000 < len(words) < 80_000
    assert all(word == word.lower() for word in words)
    assert len(TAGS) == 24
    assert set(tags) <= set(TAGS)
    assert sum(tag.startswith("Mixed") for tag in tags) < 0.01 * len(tags)
    paragraphs = sentences(PythonDocs().read().text)
    prose = "\n".join({" ".join(" ".join(each).split()) for each in paragraphs})
    in_lower_case = prose.lower()
    for passage in found:
        text = restored(*zip(*passage, strict=True))
        mixed = any(tag.startswith("Mixed") for _, tag in passage)
        assert mixed or text in prose, text
        assert text.lower() in in_lower_case


def test_it_goes_in_a_recipe_with_another_corpus():
    options = {"name": "punctuation", "corpus": {"name": "dates", "count": 3, "seed": 1}}
    part = corpora.check(options)
    assert part.plain() == options
    assert part().read().text == "", "dates are no sentences"
    assert corpora.check("punctuation").plain()["corpus"] == {"name": "python_docs"}
