"""The laws of tokenizers, for every registered one."""

import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.tokenizers import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    CharTokenizer,
    Tokenizer,
    gather_facts,
    tokenizers,
)
from seqgen.tokenizers.base import check_text, count_ids, shown_byte, text_so_far

TEXT = "In the beginning was the wörd, 日本語, and 😀.\r\n\t<pad> <bos></s> <eos> <unk> \x00\ufffd"


@pytest.fixture(params=tokenizers.names())
def make(request, small):
    """A function from texts to a tokenizer that was fitted on them."""

    def build(*texts):
        made = tokenizers.build(small(tokenizers, request.param))
        if texts:
            made.fit(texts)
        return made

    return build


def test_is_a_tokenizer(make):
    assert isinstance(make(TEXT), Tokenizer)


def test_special_tokens_come_first():
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert SPECIALS == ("<pad>", "<bos>", "<eos>", "<unk>")


def test_special_tokens_are_shown_and_vanish(make):
    made = make(TEXT)
    assert [made.shown(token) for token in (PAD, BOS, EOS, UNK)] == list(SPECIALS)
    assert made.decode([PAD, BOS, EOS]) == made.decode([]) == ""
    tokens = made.encode("the word")
    assert made.decode([BOS, *tokens, EOS, PAD, PAD]) == made.decode(tokens)


def test_tokens_are_ids(make):
    made = make(TEXT)
    for text in ("", "t", TEXT, TEXT * 50):
        tokens = made.encode(text)
        assert isinstance(tokens, np.ndarray)
        assert (tokens.ndim, tokens.dtype) == (1, np.int64)
        assert ((tokens >= UNK) & (tokens < len(made))).all()


RANDOM = st.text(max_size=60) | st.text("▁▅ \t\n\r\x00\ufffd<>0x41/s'é😀a", max_size=60)


@pytest.fixture(scope="session")
def all_fitted(small):
    """Each registered tokenizer, fitted on TEXT."""
    every = [tokenizers.build(small(tokenizers, name)) for name in tokenizers.names()]
    for made in every:
        made.fit([TEXT])
    return every


@settings(deadline=None, max_examples=100)
@given(text=RANDOM)
def test_what_was_read_in_training_comes_back(text, small):
    for name in tokenizers.names():
        made = tokenizers.build(small(tokenizers, name))
        try:
            made.fit([TEXT, text])
        except ValueError:  # so many characters that there are not ids enough for them
            assert name == "sentencepiece"
            continue
        tokens = made.encode(text)
        assert UNK not in tokens
        if made.lossless:
            assert made.decode(tokens) == text


@settings(deadline=None, max_examples=300)
@given(text=RANDOM, seed=st.integers(0, 2**63))
def test_known_text_comes_back_from_lossless_tokenizers(text, seed, all_fitted):
    for made in all_fitted:
        for tokens in (made.encode(text), made.sample(text, seed)):
            assert not made.lossless or UNK in tokens or made.decode(tokens) == text


@given(text=RANDOM, cut=st.integers(0, 60))
def test_the_text_of_more_tokens_begins_with_that_of_fewer(text, cut, all_fitted):
    for made in all_fitted:
        tokens = made.encode(text)
        assert made.decode(tokens).startswith(made.decode(tokens[:cut]))
        before, behind = tokens[:cut], tokens[cut:]
        assert made.decode(before) + made.continuation(before, behind) == made.decode(tokens)


def test_a_sample_is_of_its_seed(make):
    made = make(TEXT)
    for seed in (0, 2**63 - 1):
        first = made.sample(TEXT, seed)
        made.sample("other", 5)
        assert np.array_equal(made.sample(TEXT, seed), first)
        assert made.samples or np.array_equal(first, made.encode(TEXT))


def test_text_that_looks_like_a_special_token_is_plain(make):
    like_specials = (*SPECIALS, "</s>")
    made = make(TEXT, *like_specials)
    for special in like_specials:
        tokens = made.encode(special).tolist()
        assert not {PAD, BOS, EOS} & set(tokens)
        if made.lossless:
            assert made.decode(tokens) == special


def test_every_id_is_shown_and_decoded(make):
    made = make(TEXT)
    shown = [made.shown(token) for token in range(len(made))]
    assert all(isinstance(piece, str) and piece for piece in shown)
    assert len(set(shown)) == len(shown)
    assert isinstance(made.decode(range(len(made))), str)


@pytest.mark.parametrize("text", ["\ud800", "ab\udfffc", "\ud83d \ude00"])
def test_lone_surrogates_are_refused(make, text):
    made = make(TEXT)
    place = next(i for i, char in enumerate(text) if "\ud800" <= char <= "\udfff")
    message = f"lone surrogate U\\+{ord(text[place]):04X} at position {place}"
    with pytest.raises(ValueError, match=message):
        made.encode(text)
    with pytest.raises(ValueError, match=message):
        made.fit([text])
    with pytest.raises(ValueError, match=message):
        check_text(text)


def test_is_saved_and_loaded(make, tmp_path):
    made, other = make(TEXT), make()
    made.save(tmp_path / "deep" / "tokenizer")
    other.load(tmp_path / "deep" / "tokenizer")
    assert len(other) == len(made)
    assert other.files() == made.files()
    assert np.array_equal(other.encode(TEXT + "x"), made.encode(TEXT + "x"))
    assert other.decode(range(len(made))) == made.decode(range(len(made)))


def test_the_fingerprint_is_that_of_the_vocabulary(make):
    one, same, other = make(TEXT), make(TEXT, TEXT), make(TEXT + "another: ß")
    assert one.fingerprint() == same.fingerprint()
    assert (other.fingerprint() == one.fingerprint()) == (not one.files())
    assert len(one.fingerprint()) == 64


def test_a_continuation_is_what_tokens_add(make):
    made = make(TEXT)
    tokens = made.encode(TEXT).tolist()
    whole = made.decode(tokens)
    for cut in (0, 1, 7, len(tokens) - 1, len(tokens)):
        first = made.decode(tokens[:cut])
        assert first + made.continuation(iter(tokens[:cut]), iter(tokens[cut:])) == whole


@pytest.mark.parametrize("damage", ["empty", "half", "all but the last byte", "foreign", "gone"])
def test_a_damaged_file_is_a_value_error(make, damage):
    files = make(TEXT).files()
    for name, content in files.items():
        changed = {
            "empty": b"",
            "half": content[: len(content) // 2],
            "all but the last byte": content[:-1],
            "foreign": bytes(range(256)),
        }
        wrong = {**files, name: changed.get(damage, b"")}
        if damage == "gone":
            del wrong[name]
        with pytest.raises(ValueError, match=name):
            make().restore(wrong)


SCRIPT = f"""
import json, sys
from seqgen.tokenizers import tokenizers
for spec in json.loads(sys.argv[1]):
    made = tokenizers.build(spec)
    made.fit([{TEXT!a}, "another text", {TEXT!a}])
    print(spec["name"], made.fingerprint(), sorted(made.files()))
"""


def test_vocabularies_are_the_same_bytes_in_every_process(small):
    specs = json.dumps([small(tokenizers, name) for name in tokenizers.names()])
    found = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, specs]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop().splitlines()) == len(tokenizers.names())


@given(text=RANDOM | st.text("abc \n\r\u2028Aßİ-1", max_size=40))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize(
    "spec",
    [
        *("char", "byte", "whole", "word"),
        {"name": "word", "split": "exact"},
        {"name": "word", "pattern": "[a-z]+|[0-9]"},
        {"name": "word", "pattern": "(?<!1)[a-z]+"},
        {"name": "word", "lower": True},
        {"name": "sentencepiece", "vocab_size": 290, "algorithm": "bpe"},
        {"name": "sentencepiece", "vocab_size": 45, "algorithm": "bpe", "byte_fallback": False},
    ],
    ids=str,
)
def test_tokens_are_where_their_spans_say(fitted, spec, text):
    """Each one alone is the same token, where it stands for whole characters; UNK above all."""
    made = fitted(str(spec), spec)
    tokens, spans = made.encode(text).tolist(), made.spans(text)
    assert len(spans) == len(tokens)
    assert all(one[0] <= two[0] and one[1] <= two[1] for one, two in pairwise(spans))
    for token, (start, end) in zip(tokens, spans, strict=True):
        own = text[start:end]
        assert own
        if token == UNK:
            assert set(made.encode(own).tolist()) == {UNK}
        elif made.decode([token]) and "\ufffd" not in made.decode([token]):
            assert made.decode([token]) == (own.lower() if "lower" in spec else own)


@pytest.fixture(scope="module")
def fitted():
    """A function from a key and a spec to a tokenizer that has learned a few words, kept."""
    known = {}

    def get(key, spec):
        if key not in known:
            known[key] = tokenizers.build(spec)
            known[key].fit(["a cab, a bac; cc b-c 1", "ab abba\nccc 11 i\u0307 ss\r\n"] * 9)
        return known[key]

    return get


def test_without_spans_of_its_own_a_tokenizer_says_them_where_each_alone_is_the_same():
    class Plugin(Tokenizer):
        """As one that was written before there were spans."""

        def __init__(self, inner):
            self.inner = inner
            self.lossless = inner.lossless

        fit = files = restore = decode = shown = lambda self, *given: None
        encode = lambda self, text: self.inner.encode(text)  # noqa: E731
        __len__ = lambda self: len(self.inner)  # noqa: E731

    inner = tokenizers.build({"name": "word", "pattern": "[a-z]+"})
    inner.fit(["cat dog"])
    made = Plugin(inner)
    assert made.spans("cat  zork dog") == [(0, 3), (5, 9), (10, 13)]
    assert made.spans("cat-zork 42 dog") is None  # three words, but not those three


# Facts about a vocabulary: one piece and one count for each id.


def test_each_role_has_its_own():
    tokenizers = {"source": CharTokenizer(alphabet="ab"), "target": CharTokenizer(alphabet="c")}
    facts = gather_facts(tokenizers, {"target": np.array([0, 0, 0, 0, 7])})
    assert facts["source"].pieces == ("<pad>", "<bos>", "<eos>", "<unk>", "a", "b")
    assert facts["source"].counts is None
    assert facts["target"].counts.tolist() == [0, 0, 0, 0, 7]


def test_ids_that_were_never_seen_count_nothing():
    facts = gather_facts({"text": CharTokenizer(alphabet="ab")}, {"text": np.array([0, 0, 3])})
    assert facts["text"].counts.tolist() == [0, 0, 3, 0, 0, 0]


def test_counts_of_more_ids_than_there_are_are_refused():
    with pytest.raises(ValueError, match="of 'text' gave the id 5, but has 5 ids"):
        gather_facts({"text": CharTokenizer(alphabet="a")}, {"text": np.zeros(6, dtype=np.int64)})


@pytest.mark.parametrize(("wrong", "place"), [(-1, 2), (2**24, 1), (2**62, 3)])
def test_an_id_that_no_vocabulary_has_is_named_with_its_place(wrong, place):
    ids = np.array([4, 5, 6])
    ids[place - 1] = wrong
    with pytest.raises(ValueError, match=f"gave the id {wrong} for token {place} of the training"):
        count_ids(ids)


# Text from bytes that come in pieces.


@given(st.text(max_size=20))
def test_whole_text_comes_back(text):
    assert text_so_far(text.encode()) == text


def test_a_character_comes_with_its_last_byte():
    content = "a😀".encode()
    assert [text_so_far(content[:end]) for end in range(6)] == ["", "a", "a", "a", "a", "a😀"]


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_what_has_come_stays(first, more):
    assert text_so_far(first + more).startswith(text_so_far(first))


def test_faulty_bytes_are_replaced():
    assert text_so_far(b"a\xffb\xe2\x96c") == "a\ufffdb\ufffdc"


def test_a_byte_is_shown_in_hexadecimal():
    assert shown_byte(0xE2) == "<0xE2>"
    assert shown_byte(10) == "<0x0A>"
