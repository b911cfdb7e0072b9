"""Texts on which tokenizers are tried."""

import json
from collections import Counter

import numpy as np
import pytest

from seqgen.testing import check_tokenizer
from seqgen.testing.tokenizer import LIKE_SPECIALS, TEXT, TOKENIZER_LAWS, prose, random_texts
from seqgen.tokenizers import SPECIALS, Tokenizer, tokenizers
from seqgen.tokenizers.base import check_text


def test_random_texts_are_the_same_texts_and_from_all_over():
    texts = random_texts(100)
    assert texts == random_texts(100)
    assert max(map(ord, "".join(texts))) > 0x1F300


def test_prose_is_many_words_some_of_them_often():
    counts = Counter(prose(1).replace(".", "").split())
    assert counts.total() == 4000
    assert len(counts) > 2000
    assert counts.most_common(1)[0][1] > 5
    assert prose(1) == prose.__wrapped__(1) != prose(2)
    assert len(prose(1).splitlines()) == 400


def test_strange_texts_are_no_part_of_the_prose():
    assert not set("ö日😀\x00<>[") & set(prose(1))
    assert all(each in TEXT for each in ("<pad>", "</s>"))
    assert {"<pad>", "<bos>", "<eos>", "<unk>"} < set(LIKE_SPECIALS)


# The laws of tokenizers: every registered one keeps them, and broken ones are found out.


@pytest.mark.parametrize("name", tokenizers.names())
def test_every_registered_tokenizer_keeps_them(name, small):
    check_tokenizer(small(tokenizers, name)).require()


class Nothing:
    pass


class Plain(Tokenizer):
    """Characters, and nothing is wrong."""

    lossless = True

    def __init__(self):
        self.chars = []

    def fit(self, texts):
        self.chars = sorted(set("".join(texts)))

    def encode(self, text):
        check_text(text)
        ids = {char: number for number, char in enumerate(self.chars, 4)}
        return np.array([ids.get(char, 3) for char in text], dtype=np.int64)

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


class SpecialText(Plain):
    def encode(self, text):
        tokens = super().encode(text)
        return np.array([2], dtype=np.int64) if text == "</s>" else tokens


class LowerCase(Plain):
    def encode(self, text):
        return super().encode(text.lower())


class HonestLowerCase(LowerCase):
    lossless = False


class Unsorted(Plain):
    count = 0

    def files(self):
        Unsorted.count += 1
        return {**super().files(), "date": str(Unsorted.count).encode()}


class ForgetsFiles(Plain):
    def restore(self, files):
        self.chars = []


class AList(Plain):
    def encode(self, text):
        return super().encode(text).tolist()


class Surrogates(Plain):
    def encode(self, text):
        return super().encode(text.replace("\ud800", "?"))


class ShowsNothing(Plain):
    def shown(self, token):
        return "" if token > 3 else super().shown(token)


class OtherSpecials(Plain):
    def shown(self, token):
        return ["<s>", "</s>", "<pad>", "<unk>"][token] if token < 4 else super().shown(token)


class Spaces(Plain):
    def continuation(self, before, tokens):
        return " " + super().continuation(before, tokens)


@pytest.mark.parametrize(
    ("tokenizer", "law", "says"),
    [
        (SpecialText, "text that looks special stays plain", "'</s>' became a special id"),
        (LowerCase, "what was learned comes back", "say `lossless = False`"),
        (Unsorted, "the same files twice", "sort the vocabulary"),
        (ForgetsFiles, "files and restore", "another vocabulary"),
        (AList, "encode gives ids", "end with `np.array(ids, dtype=np.int64)`"),
        (Surrogates, "lone surrogates are refused", "check_text"),
        (ShowsNothing, "every id is shown and decoded", "not an empty one"),
        (OtherSpecials, "special tokens are 0 to 3", "must be ('<pad>', '<bos>',"),
        (Spaces, "a continuation is what tokens add", "what tokens add"),
        (Nothing, "is a tokenizer", "AttributeError"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(tokenizer, law, says):
    report = check_tokenizer(tokenizer)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(TOKENIZER_LAWS)


def test_classes_will_do():
    check_tokenizer(Plain).require()


def test_who_does_not_claim_to_be_lossless_is_not_tried():
    report = check_tokenizer(HonestLowerCase)
    report.require()
    [law] = [each for each in report.findings if each.outcome == "not tried"]
    assert law.law == "what was learned comes back"


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


def test_who_knows_no_text_in_full_is_not_tried():
    found = outcomes("char", alphabet="ꙮ")["what was learned comes back"]
    assert (found.outcome, found.says) == (
        "not tried",
        "its vocabulary is so small that no text is known in full",
    )


class Dropping(Plain):
    """What looks special is lost, though no id says so."""

    def encode(self, text):
        return super().encode(text.replace("[PAD]", ""))


def test_what_looks_special_must_come_back():
    found = outcomes(Dropping)["text that looks special stays plain"]
    assert (found.outcome, found.says) == ("broken", "the text '[PAD]' came back as ''")


class Counting(Plain):
    fits = 0

    def fit(self, texts):
        Counting.fits += 1
        super().fit(texts)


def test_it_is_fitted_seldom():
    """Learning may take long: once for most laws, and where a law is about learning."""
    check_tokenizer(Counting).require()
    assert Counting.fits == 4
