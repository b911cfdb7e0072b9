"""The laws of tokenizers, for every registered one."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.tokenizers import BOS, EOS, PAD, SPECIALS, UNK, Tokenizer, tokenizers
from seqgen.tokenizers.base import check_text

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


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_what_was_read_in_training_comes_back(text):
    for name in tokenizers.names():
        made = tokenizers.build(name)
        if made.lossless:
            made.fit([text])
            assert made.decode(made.encode(text)) == text
            assert UNK not in made.encode(text)


def test_text_that_looks_like_a_special_token_is_plain(make):
    made = make(TEXT)
    for special in (*SPECIALS, "</s>"):
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
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
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
import hashlib, sys
from seqgen.tokenizers import tokenizers
for name in sys.argv[1:]:
    made = tokenizers.build(name)
    made.fit([{TEXT!a}, "another text", {TEXT!a}])
    for file, content in sorted(made.files().items()):
        print(name, file, hashlib.sha256(content).hexdigest())
"""


def test_vocabularies_are_the_same_bytes_in_every_process():
    found = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, *tokenizers.names()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop().splitlines()) >= len(tokenizers.names())
