"""The laws of tokenizers: every registered one keeps them, and broken ones are found out."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from seqgen.testing import check_tokenizer
from seqgen.testing.tokenizer import LIKE_SPECIALS, TEXT, TOKENIZER_LAWS, prose, random_texts
from seqgen.tokenizers import SPECIALS, Tokenizer, check_text, tokenizers


def test_texts_are_the_same_texts_and_from_all_over():
    texts = random_texts(100)
    assert texts == random_texts(100)
    assert max(map(ord, "".join(texts))) > 0x1F300
    assert prose(1) == prose.__wrapped__(1) != prose(2)
    assert len(prose(1).splitlines()) == 400
    counts = Counter(prose(1).replace(".", "").split())
    assert counts.total() == 4000
    assert len(counts) > 2000
    assert counts.most_common(1)[0][1] > 5, "some words come often"
    assert not set("ö日😀\x00<>[") & set(prose(1))
    assert all(each in TEXT for each in ("<pad>", "</s>"))
    assert {"<pad>", "<bos>", "<eos>", "<unk>"} < set(LIKE_SPECIALS)


@pytest.mark.parametrize("name", tokenizers.names())
def test_every_registered_tokenizer_keeps_them(name, small):
    check_tokenizer(small(tokenizers, name)).require()


class Nothing:
    pass


class Plain(Tokenizer):
    """Characters, and nothing is wrong."""

    lossless = True
    fits = 0

    def __init__(self):
        self.chars = []

    def fit(self, texts):
        type(self).fits += 1
        self.chars = sorted(set("".join(texts)))

    def encode(self, text):
        check_text(text)
        ids = {char: number for number, char in enumerate(self.chars, 4)}
        return np.array([ids.get(char, 3) for char in text], dtype=np.int64)

    def last_cut(self, text):
        return len(text)

    def decode(self, tokens):
        pieces = ["", "", "", "?", *self.chars]
        return "".join(pieces[token] for token in tokens)

    def __len__(self):
        return len(self.chars) + 4

    def shown(self, token):
        return SPECIALS[token] if token < 4 else self.chars[token - 4]

    def files(self):
        return {"chars": json.dumps(self.chars).encode()}

    def restore(self, files):
        self.chars = json.loads(files["chars"])


def encoding(change):
    """A broken `encode`: of what `change` makes of the text."""
    return {"encode": lambda self, text: Plain.encode(self, change(text))}


def special(self, text):
    return np.array([2], dtype=np.int64) if text == "</s>" else Plain.encode(self, text)


DATES = itertools.count()
LOWER = encoding(str.lower)


@pytest.mark.parametrize(
    ("broken", "law", "says"),
    [
        ({"encode": special}, "text that looks special stays plain", "'</s>' became a special id"),
        (
            encoding(lambda text: text.replace("[PAD]", "")),  # lost, though no id says so
            "text that looks special stays plain",
            "the text '[PAD]' came back as ''",
        ),
        (LOWER, "what was learned comes back", "say `lossless = False`"),
        (
            {"files": lambda self: {**Plain.files(self), "date": str(next(DATES)).encode()}},
            "the same files twice",
            "sort the vocabulary",
        ),
        ({"restore": lambda self, files: None}, "files and restore", "another vocabulary"),
        (
            {"encode": lambda self, text: Plain.encode(self, text).tolist()},
            "encode gives ids",
            "end with `np.array(ids, dtype=np.int64)`",
        ),
        (
            encoding(lambda text: text.replace("\ud800", "?")),
            "lone surrogates are refused",
            "check_text",
        ),
        (
            {"shown": lambda self, token: "" if token > 3 else Plain.shown(self, token)},
            "every id is shown and decoded",
            "not an empty one",
        ),
        (
            {"shown": lambda self, token: [*reversed(SPECIALS), *self.chars][token]},
            "special tokens are 0 to 3",
            "must be ('<pad>', '<bos>',",
        ),
        (
            {"continuation": lambda self, *tokens: " " + Tokenizer.continuation(self, *tokens)},
            "a continuation is what tokens add",
            "what tokens add",
        ),
        (
            {"spans": lambda self, text: [(0, len(text))]},
            "spans are where tokens stand",
            "`spans` returned 1 for the 0 tokens of ''",
        ),
        (
            {"spans": lambda self, text: [(i + 1, i + 2) for i in range(len(text))]},
            "spans are where tokens stand",
            "are not in order, or leave the text",
        ),
        (
            {"last_cut": lambda self, text: len(text) + 1},
            "text cut at last_cut has the ids of the whole",
            "`last_cut` is no place in the text 'a', but 2",
        ),
        (
            {"last_cut": lambda self, text: len(text), **encoding(str.capitalize)},
            "text cut at last_cut has the ids of the whole",
            "has other ids than 'a ' and 'the\\n  word",
        ),
        (Nothing, "is a tokenizer", "AttributeError"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(broken, law, says):
    report = check_tokenizer(broken if broken is Nothing else type("Broken", (Plain,), broken))
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(TOKENIZER_LAWS)


def test_a_class_will_do_and_is_fitted_seldom():
    """Learning may take long: once for most laws, and where a law is about learning."""
    check_tokenizer(Plain).require()
    assert Plain.fits == 4


def test_a_tokenizer_that_is_not_lossless_is_not_tried():
    report = check_tokenizer(type("Honest", (Plain,), {**LOWER, "lossless": False}))
    report.require()
    not_tried = {each.law for each in report.findings if each.outcome == "not tried"}
    assert not_tried == {"what was learned comes back", "contents are what tokens add"}


def outcomes(*tokenizer, **options):
    return {each.law: each for each in check_tokenizer(*tokenizer, **options).findings}


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_sentencepiece_finds_text_enough_for_its_own_vocabulary(algorithm):
    found = outcomes("sentencepiece", algorithm=algorithm)
    assert [each.says for each in found.values() if each.outcome != "kept"] == []


@pytest.mark.parametrize("options", [{}, {"vocab_size": 30}, {"min_count": 2}])
def test_what_is_unknown_is_not_broken(options):
    """Words without a place in a vocabulary are UNK, also those that look special."""
    found = outcomes("word", split="exact", **options)
    assert [each.says for each in found.values() if each.outcome == "broken"] == []
    assert found["text that looks special stays plain"].outcome == "kept"


def test_a_tokenizer_that_knows_no_whole_text_is_not_tried():
    found = outcomes("char", alphabet="ꙮ")["what was learned comes back"]
    says = "its vocabulary is so small that no text is known in full"
    assert (found.outcome, found.says) == ("not tried", says)
