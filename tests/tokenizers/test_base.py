"""What holds for every registered tokenizer besides its laws, and what tokenizers share."""

import json
import os
import string
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen import tokenizers as room
from seqgen.errors import SetupError
from seqgen.testing.tokenizer import TEXT
from seqgen.tokenizers import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    tokenizers,
    vocabulary_statistics,
)
from seqgen.tokenizers.base import check_text, count_ids, shown_byte, text_so_far

RANDOM = st.text(max_size=60) | st.text("▁▅ \t\n\r\x00\ufffd<>0x41/s'é😀a", max_size=60)


@pytest.fixture(params=tokenizers.names())
def make(request, small):
    """A function from texts to a tokenizer that was fitted on them."""

    def build(*texts):
        made = tokenizers.build(small(tokenizers, request.param))
        if texts:
            made.fit(texts)
        return made

    return build


@pytest.fixture(scope="session")
def all_fitted(small):
    """Each registered tokenizer, fitted on TEXT."""
    every = [tokenizers.build(small(tokenizers, name)) for name in tokenizers.names()]
    for made in every:
        made.fit([TEXT])
    return every


def test_special_tokens_come_first():
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert SPECIALS == ("<pad>", "<bos>", "<eos>", "<unk>")


def test_special_tokens_vanish_and_each_id_is_shown_in_its_own_way(make):
    made = make(TEXT)
    assert made.decode([PAD, BOS, EOS]) == made.decode([]) == ""
    assert len({made.shown(token) for token in range(len(made))}) == len(made)


def test_it_is_itself_alone_and_samples_only_where_it_says_so(make):
    made = make()
    assert not made.samples
    assert len({made, make()}) == 2


@settings(max_examples=50)
@given(text=RANDOM)
def test_training_text_decodes_to_itself(text, small):
    for name in tokenizers.names():
        made = tokenizers.build(small(tokenizers, name))
        try:
            made.fit([TEXT, text])
        except ValueError:  # so many characters that there are not ids enough for them
            assert name == "sentencepiece"
            continue
        tokens = made.encode(text)
        assert UNK not in tokens
        assert made.decode(tokens) == text or not made.lossless


@settings(max_examples=200)
@given(text=RANDOM, seed=st.integers(0, 2**63), cut=st.integers(0, 60))
def test_known_text_decodes_to_itself_and_continuations_add_up(text, seed, cut, all_fitted):
    for made in all_fitted:
        tokens = made.encode(text)
        for found in (tokens, made.sample(text, seed)):
            assert not made.lossless or UNK in found or made.decode(found) == text
        before, after, whole = tokens[:cut], tokens[cut:], made.decode(tokens)
        assert whole.startswith(made.decode(before))
        assert made.decode(before) + made.continuation(before, after) == whole


def test_a_sample_depends_on_its_seed_alone(make):
    made = make(TEXT)
    for seed in (0, 2**63 - 1):
        first = made.sample(TEXT, seed)
        made.sample("other", 5)
        assert np.array_equal(made.sample(TEXT, seed), first)
        assert made.samples or np.array_equal(first, made.encode(TEXT))


@pytest.mark.parametrize("text", ["\ud800", "ab\udfffc", "\ud83d \ude00"])
def test_lone_surrogates_are_refused(make, text):
    made = make(TEXT)
    place = next(i for i, char in enumerate(text) if "\ud800" <= char <= "\udfff")
    message = f"lone surrogate U\\+{ord(text[place]):04X} at position {place}"
    for refuse in (made.encode, lambda text: made.fit([text]), check_text):
        with pytest.raises(ValueError, match=message):
            refuse(text)


def test_a_saved_tokenizer_loads(make, tmp_path):
    made, other = make(TEXT), make()
    made.save(tmp_path / "deep" / "tokenizer")
    other.load(tmp_path / "deep" / "tokenizer")
    assert (len(other), other.files()) == (len(made), made.files())
    assert np.array_equal(other.encode(TEXT + "x"), made.encode(TEXT + "x"))
    assert other.decode(range(len(made))) == made.decode(range(len(made)))
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="file: cannot be written: File exists"):
        made.save(tmp_path / "file")


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
    for seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, specs]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop().splitlines()) == len(tokenizers.names())


@pytest.fixture(scope="module")
def fitted():
    """A function from a spec to a tokenizer that has learned a few words, kept."""
    known = {}

    def get(spec):
        if str(spec) not in known:
            made = known[str(spec)] = tokenizers.build(spec)
            made.fit(["a cab, a bac; cc b-c 1", "ab abba\nccc 11 i\u0307 ss\r\n"] * 9)
        return known[str(spec)]

    return get


@given(text=RANDOM | st.text("abc \n\r\u2028Aßİ-1", max_size=40))
@settings(max_examples=40)
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
def test_spans_are_the_places_of_tokens(fitted, spec, text):
    """Each one alone is the same token, where it stands for whole characters; UNK above all."""
    made = fitted(spec)
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


def test_the_default_spans_are_where_each_token_alone_is_the_same():
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


def test_statistics_have_one_piece_and_one_count_for_each_id():
    tokenizers = {"source": CharTokenizer(alphabet="ab"), "target": CharTokenizer(alphabet="cd")}
    found = vocabulary_statistics(tokenizers, {"target": np.array([0, 0, 0, 0, 7])})
    assert found["source"].pieces == ("<pad>", "<bos>", "<eos>", "<unk>", "a", "b")
    assert found["source"].counts is None
    assert found["target"].counts.tolist() == [0, 0, 0, 0, 7, 0]  # the last was never seen
    one, counts = {"text": CharTokenizer(alphabet="a")}, {"text": np.zeros(6, dtype=np.int64)}
    with pytest.raises(ValueError, match=r"of 'text' gave the id 5, but has 5 ids \(0 to 4\)"):
        vocabulary_statistics(one, counts)
    found = vocabulary_statistics(one, {"text": np.arange(5)})
    assert found["text"].counts.tolist() == [0, 1, 2, 3, 4]
    assert (room.Facts, room.gather_facts) == (room.VocabularyStatistics, vocabulary_statistics)


@pytest.mark.parametrize(("wrong", "place"), [(-1, 2), (2**24, 1), (2**62, 3)])
def test_an_id_that_no_vocabulary_has_is_named_with_its_place(wrong, place):
    ids = np.array([4, 5, 4])
    assert count_ids(ids).tolist() == [0, 0, 0, 0, 2, 1]
    ids[place - 1] = wrong
    with pytest.raises(ValueError, match=f"gave the id {wrong} for token {place} of the training"):
        count_ids(ids)


@given(st.text(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_the_text_of_bytes_only_grows(text, first, more):
    assert text_so_far(text.encode()) == text
    assert text_so_far(first + more).startswith(text_so_far(first))


def test_a_character_comes_with_its_last_byte_and_faulty_bytes_are_replaced():
    content = "a😀".encode()
    assert [text_so_far(content[:end]) for end in range(6)] == ["", "a", "a", "a", "a", "a😀"]
    assert text_so_far(b"a\xffb\xe2\x96c") == "a\ufffdb\ufffdc"
    assert (shown_byte(0xE2), shown_byte(10)) == ("<0xE2>", "<0x0A>")


BYTES = ByteTokenizer()


def char_tokenizer(*texts, **options):
    made = CharTokenizer(**options)
    made.fit(texts)
    return made


def chars_of(made):
    return [made.shown(token) for token in range(4, len(made))]


def test_ids_follow_the_code_points():
    made = char_tokenizer("banana", "😀 éa")
    assert chars_of(made) == [" ", "a", "b", "n", "é", "😀"]
    assert made.encode("ab😀").tolist() == [5, 6, 9]
    text = "".join(map(chr, [0, 0x7F, 0x80, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]))
    made = char_tokenizer(text)
    assert made.encode(text).tolist() == list(range(4, 12))
    assert made.decode(range(4, 12)) == text
    assert len(char_tokenizer("<pad>").encode("<pad>")) == 5


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=20))
def test_the_vocabulary_is_the_set_of_characters_and_others_are_unknown(texts, other):
    made, chars = char_tokenizer(*texts), sorted(set("".join(texts)))
    assert chars_of(made) == json.loads(made.files()["chars.json"]) == chars
    tokens = made.encode(other)
    assert [token == UNK for token in tokens] == [char not in chars for char in other]
    assert made.decode(tokens) == "".join(char if char in chars else "\ufffd" for char in other)


@pytest.mark.parametrize(
    ("text", "char", "position"), [("xab", "x", 0), ("ab😀", "😀", 2), ("a\nb", "\n", 1)]
)
def test_unknown_characters_can_be_refused(text, char, position):
    made = char_tokenizer("ab", unk="error")
    assert made.encode("abba").tolist() == [4, 5, 5, 4]
    with pytest.raises(ValueError, match="of characters in the vocabulary") as caught:
        made.encode(text)
    assert str(caught.value).endswith(f"but has {char!r} at {position}")


@pytest.mark.parametrize(
    ("alphabet", "chars"),
    [("printable", sorted(string.printable)), ("cabac", ["a", "b", "c"]), ("", [])],
)
def test_an_alphabet_is_fixed(alphabet, chars):
    made = CharTokenizer(alphabet=alphabet)
    assert chars_of(made) == chars  # before a text is read
    made.fit(["éxyz"])
    assert chars_of(made) == chars
    assert made.encode("é").tolist() == [UNK]
    text = "".join(chars)
    assert made.decode(made.encode(text)) == text


def test_half_a_character_is_no_alphabet():
    with pytest.raises(ValueError, match="lone surrogate U\\+D83D at position 1"):
        CharTokenizer(alphabet="a\ud83d")


BROKEN = ["null", "5", '"ab"', '{"a": 1}', '["b", "a"]', '["a", "a"]', '["ab"]', '[""]', "[1, 2]"]
BROKEN += ['[1, "a"]', '[["a"]]', "[null]", '["\\ud800"]', '["a"', "", "\u00e9", "[" * 100_000]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: content[:8])
def test_a_damaged_vocabulary_is_refused(content):
    made = char_tokenizer("xy")
    with pytest.raises(ValueError, match=r"`chars\.json` must be a list of single characters in"):
        made.restore({"chars.json": content.encode()})
    assert made.encode("xy").tolist() == [4, 5]


def test_an_empty_vocabulary_is_one():
    made, other = char_tokenizer(), char_tokenizer("xy")
    other.restore(made.files())
    assert len(other) == len(made) == 4


def test_bytes_come_after_the_special_tokens():
    assert len(BYTES) == 260
    assert BYTES.encode("a\x00é").tolist() == [4 + 0x61, 4, 4 + 0xC3, 4 + 0xA9]
    assert (BYTES.shown(4 + 0x61), BYTES.shown(4 + 0xC3)) == ("a", "<0xC3>")
    assert BYTES.decode([4 + 0xE6, 4 + 0x61, UNK]) == "\ufffda\ufffd"
    assert BYTES.files() == {}


@given(st.text())
def test_every_text_is_known_to_bytes(text):
    assert BYTES.decode(BYTES.encode(text)) == text


def test_a_split_character_comes_when_it_is_whole():
    tokens = BYTES.encode("né日").tolist()
    pieces = [BYTES.continuation(tokens[:i], [token]) for i, token in enumerate(tokens)]
    assert pieces == ["n", "", "é", "", "", "日"]
