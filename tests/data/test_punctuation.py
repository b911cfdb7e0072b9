"""The corpus `punctuation`: words and tags, and the text that they restore."""

import re

import pytest

from seqgen.data.corpora import Corpus, PythonDocs, corpora
from seqgen.data.files import TextFile
from seqgen.data.prose import sentences
from seqgen.data.punctuation import TAGS, Punctuation, restored, tagged


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


def test_the_tags_are_a_small_closed_set():
    assert len(TAGS) == 24
    assert {"lower", "Cap,", "UPPER.", "Mixed;", "lower?", "Cap:"} < set(TAGS)


class TestPassages:
    def test_a_word_a_line_and_a_blank_line_between_sequences(self):
        text = made("Read it, then go. It is 3.11.\n\nThe end is near:")
        assert text == (
            "read\tCap\nit\tlower,\nthen\tlower\ngo\tlower.\nit\tCap\nis\tlower\n3.11\tlower.\n\n"
            "the\tCap\nend\tlower\nis\tlower\nnear\tlower:\n"
        )

    def test_a_sentence_that_is_left_out_parts_two_sequences(self):
        text = made("This one stays. Here x < y holds. This stays too. So does this.")
        assert [restored(*zip(*each, strict=True)) for each in passages(text)] == [
            "This one stays.",
            "This stays too. So does this.",
        ]

    def test_no_sentence_comes_twice(self):
        assert made("This one stays. It is new.\n\nThis one stays.") == made(
            "This one stays. It is new."
        )

    @pytest.mark.parametrize(
        "text",
        ["", "Too short.", "There is no end", "rest of another sentence.", "No (so there is."],
    )
    def test_what_is_no_sentence_is_left_out(self, text):
        assert made(text) == ""


def test_is_ready_when_its_corpus_is():
    given = Given("This is it.")
    corpus = Punctuation(corpus=lambda: given)
    assert not corpus.ready()
    corpus.fetch()
    assert given.fetched
    assert corpus.ready()


@pytest.fixture(scope="module")
def found():
    return passages(corpora.build("punctuation").read().text)


class TestPythonDocs:
    def test_is_some_ten_thousand_words(self, found):
        assert 900 < len(found) < 3_000
        words = [word for passage in found for word, _ in passage]
        assert 25_000 < len(words) < 80_000
        assert all(word == word.lower() for word in words)
        assert {tag for passage in found for _, tag in passage} <= set(TAGS)

    def test_99_percent_of_the_words_are_restored_exactly(self, found):
        paragraphs = sentences(PythonDocs().read().text)
        prose = "\n".join({" ".join(" ".join(each).split()) for each in paragraphs})
        in_lower_case = prose.lower()
        right = wrong = 0
        for passage in found:
            text = restored(*zip(*passage, strict=True))
            mixed = [i for i, (_, tag) in enumerate(passage) if tag.startswith("Mixed")]
            assert mixed or text in prose, text
            assert text.lower() in in_lower_case
            wrong += len(mixed)
            right += len(passage) - len(mixed)
        assert right / (right + wrong) > 0.99

    def test_goes_in_a_recipe_with_another_corpus(self):
        options = {"name": "punctuation", "corpus": {"name": "dates", "count": 3, "seed": 1}}
        part = corpora.check(options)
        assert part.plain() == options
        assert part().read().text == "", "dates are no sentences"
        assert corpora.check("punctuation").plain()["corpus"] == {"name": "python_docs"}
