"""A SentencePiece model: only a whole one is loaded, and its pieces stand under our ids."""

import itertools
import math
import os
import struct
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from seqgen.tokenizers import SPECIALS, UNK
from seqgen.tokenizers.pieces import (
    NONE,
    Kind,
    ModelPiece,
    ModelRecord,
    PieceIds,
    Pieces,
    load_model,
    model_record,
    read_model,
    sampler_of,
)
from seqgen.tokenizers.sentencepiece import train_model


@pytest.fixture(scope="module")
def content():
    return train_model(["a cat\na mat"], "bpe", 270, coverage=1.0)


@pytest.fixture
def read(tmp_path):
    """A function that reads a model file of some content."""

    def call(content):
        (tmp_path / "model").write_bytes(content)
        return read_model(tmp_path / "model")

    return call


def test_pieces_are_what_they_stand_for(content):
    pieces = Pieces.of(load_model(content))
    assert pieces.theirs == tuple(range(270))  # the ids of our own models stay
    assert pieces.from_theirs.tolist()[4:] == list(range(4, 270))
    assert pieces.shown[:6] == (*SPECIALS, "\n", "<0x00>")
    assert pieces.content[4:6] == (b"\n", b"\x00")
    assert {" ", "a", "<0x61>"} <= set(pieces.shown)
    assert [text.encode() for text in pieces.shown[261:]] == list(pieces.content[261:])
    assert pieces.spelled("\n") == [4]
    assert pieces.spelled("é") == [5 + 0xC3, 5 + 0xA9]
    assert NONE.spelled("é") == [UNK, UNK]


def test_only_a_whole_file_is_read(content, read):
    assert read(content) == content
    for size in (0, 1, len(content) // 2, *range(len(content) - 60, len(content))):
        with pytest.raises(ValueError, match="is no SentencePiece model, or was cut short"):
            read(content[:size])


@pytest.mark.parametrize(
    "foreign", [b"garbage", bytes(range(256)), b"\xff" * 40, b"\x1a\x00", b"\x1b", b"\x0a" * 3]
)
def test_foreign_files_are_refused(foreign, read):
    with pytest.raises(ValueError, match=r"no SentencePiece model|cannot be loaded"):
        load_model(read(foreign))


def test_what_is_no_file_is_not_waited_for(tmp_path):
    with pytest.raises(ValueError, match=r"`model_file` .*none cannot be read: No such file"):
        read_model(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="not a regular file; a SentencePiece model is needed"):
            read_model(path)


@pytest.mark.parametrize(
    ("trainer", "algorithm"),
    [(b"", "unigram"), (b"\x12\x00", "unigram"), (b"\x12\x02\x18\x02", "bpe")],
)
def test_what_a_model_leaves_out_is_the_default_of_its_format(trainer, algorithm):
    """Of two pieces one has nothing but its text; a field of 8 bytes is passed over."""
    pieces = b"\x0a\x03\x0a\x01a" + b"\x0a\x0a\x0a\x01b\x15" + struct.pack("<f", -2) + b"\x18\x06"
    wanted = [ModelPiece("a", 0.0, Kind.NORMAL), ModelPiece("b", -2.0, Kind.BYTE)]
    assert model_record(pieces + b"\x79" + bytes(8) + trainer) == ModelRecord(algorithm, wanted)


SCORES = {"a": -2.0, "b": -3.0, "ab": -2.5, "ba": -4.0, "aba": -3.5, "▁": -1.0, "▁a": -1.5}
SCORES["xa"] = -4.0  # though x is none
WORDS = ["a", "ab", "aba", "abab", "▁aba", "▁▁ab", "acb", "ca", "cc", "bxa"]
DRAWS = 4000


def model(algorithm, scores=SCORES, **kinds):
    """A model of these pieces; those in `kinds` are of another kind."""
    pieces = [ModelPiece(text, scores[text], kinds.get(text, Kind.NORMAL)) for text in scores]
    return ModelRecord(algorithm, pieces)


def cuts(word):
    """All ways to cut a word, as tuples of its parts."""
    for places in itertools.product([False, True], repeat=len(word) - 1):
        borders = [0, *(i for i, cut in enumerate(places, 1) if cut), len(word)]
        yield tuple(word[i:j] for i, j in itertools.pairwise(borders))


def by_scores(word, alpha, scores=SCORES):
    """The probability of each way to cut a word that has only pieces and unknown characters."""
    known = {**{each: min(scores.values()) - 10 for each in word}, **scores}
    ways = [way for way in cuts(word) if all(part in known for part in way)]
    weights = [math.exp(alpha * sum(known[part] for part in way)) for way in ways]
    return {way: weight / sum(weights) for way, weight in zip(ways, weights, strict=True)}


def by_merges(word, alpha, scores=SCORES):
    """The probability of each way that merging with dropout may end in, by following all of them.

    A way stands for itself and for the pairs in it that have been left out.
    """
    found = Counter()
    ways = [(tuple(word), frozenset(), 1.0)]
    while ways:
        parts, out, probability = ways.pop()
        starts = list(itertools.accumulate(map(len, parts), initial=0))
        pairs = [
            (-scores[one + other], starts[i], i)
            for i, (one, other) in enumerate(itertools.pairwise(parts))
            if one + other in scores and (starts[i], starts[i + 1], starts[i + 2]) not in out
        ]
        if not pairs:
            found[parts] += probability
            continue
        _, _, i = min(pairs)
        merged = (*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :])
        ways.append((merged, out, probability * (1 - alpha)))
        ways.append((parts, out | {tuple(starts[i : i + 3])}, probability * alpha))
    return {way: probability for way, probability in found.items() if probability}


EXACT = {"unigram": by_scores, "bpe": by_merges}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("alpha", [0, 0.3, 1])
@pytest.mark.parametrize("algorithm", EXACT)
def test_ways_to_cut_a_word_come_as_often_as_enumeration_says(algorithm, alpha, word):
    expected = EXACT[algorithm](word, alpha)
    uniform = Random(len(word)).random
    sampler = sampler_of(model(algorithm), alpha)
    found = Counter(tuple(sampler.draw(word, uniform)) for _ in range(DRAWS))
    assert set(found) <= set(expected)
    squares = ((found[way] - DRAWS * p) ** 2 / (DRAWS * p) for way, p in expected.items())
    # Far beyond what chance does: some 5 standard deviations of chi-square, the rare ways allowed.
    assert sum(squares) < len(expected) + 5 * math.sqrt(2 * len(expected)) + 10


@pytest.mark.parametrize(
    ("algorithm", "cut"),
    [("unigram", "▁ ab a ▁ ▁a b ab ▁ c ab"), ("bpe", "▁a b a ▁ ▁ ab ab ▁ c a b")],
)
def test_a_seed_means_the_same_pieces_for_all_time(algorithm, cut):
    """Runs that were made with them resume, wherever that is."""
    drawn = sampler_of(model(algorithm), 0.3).draw("▁aba▁▁abab▁cab", Random(2**63 + 1).random)
    assert " ".join(drawn) == cut


def test_the_limits_of_alpha_have_one_way():
    best, apart = sampler_of(model("unigram"), 500), sampler_of(model("bpe"), 1)
    for word in WORDS:
        likeliest = max(ways := by_scores(word, 1), key=ways.get)
        assert tuple(best.draw(word, Random(1).random)) == likeliest
        assert apart.draw(word, Random(1).random) == list(word)  # all merges are left out
    assert sampler_of(model("word"), 0.5) is sampler_of(model("char"), 0.5) is None


@pytest.mark.parametrize("algorithm", EXACT)
class TestTexts:
    def test_it_is_cut_word_by_word(self, algorithm):
        """So that what is drawn of one word says nothing of the next."""
        sampler = sampler_of(model(algorithm), 0.3)
        numbers = Random(1).random
        apart = [sampler.draw(word, numbers) for word in ("▁aba", "▁▁ab", "▁")]
        together = sampler.draw("▁aba▁▁ab▁", Random(1).random)
        assert together == list(itertools.chain.from_iterable(apart))

    @pytest.mark.parametrize("piece", ["a▁", "a▁b"])
    def test_a_piece_across_words_can_be_drawn(self, algorithm, piece):
        scores = {**SCORES, piece: -0.1}
        if algorithm == "bpe":
            scores |= {"a▁": -0.2}
        sampler = sampler_of(model(algorithm, scores), 0.3)
        numbers = Random(1).random
        assert any(piece in sampler.draw("ba▁b▁ab", numbers) for _ in range(100))

    def test_long_ones_without_a_space_take_no_longer(self, algorithm):
        sampler = sampler_of(model(algorithm), 0.3)
        for text in ("ab" * 20_000, "c" * 20_000, "▁" * 20_000):
            assert "".join(sampler.draw(text, Random(1).random)) == text
        assert sampler.draw("", Random(1).random) == []

    def test_what_is_remembered_changes_nothing(self, algorithm, monkeypatch):
        text = "▁aba▁ab▁cab" * 50
        one = sampler_of(model(algorithm), 0.3)
        monkeypatch.setattr("seqgen.tokenizers.pieces.REMEMBERED", 5)
        other = sampler_of(model(algorithm), 0.3)
        for seed in (1, 2):
            assert one.draw(text, Random(seed).random) == other.draw(text, Random(seed).random)

    def test_a_unit_is_never_taken_apart(self, algorithm):
        sampler = sampler_of(model(algorithm, {**SCORES, "ab": 0.0}, ab=Kind.USER_DEFINED), 1)
        drawn = [sampler.draw("aabb", Random(seed).random) for seed in range(50)]
        often = sum("ab" in pieces for pieces in drawn)
        assert often == 50 if algorithm == "bpe" else often > 25

    def test_an_unused_piece_is_not_drawn(self, algorithm):
        sampler = sampler_of(model(algorithm, ab=Kind.UNUSED), 0.2)
        drawn = {tuple(sampler.draw("abab", Random(seed).random)) for seed in range(200)}
        assert not any("ab" in pieces for pieces in drawn)
        assert ("aba", "b") in drawn


def test_a_character_that_is_no_piece_is_its_bytes_or_unknown():
    names = {f"<0x{byte:02X}>": 0.0 for byte in range(256)}
    record = model("bpe", {**SCORES, **names}, **dict.fromkeys(names, Kind.BYTE))
    ids = PieceIds(record, range(100, 100 + len(SCORES) + 256))
    first = 100 + len(SCORES)
    assert ids.encode(["ab", "é", "a"]) == [102, first + 0xC3, first + 0xA9, 100]
    ids = PieceIds(model("bpe"), range(100, first))
    assert ids.encode(["é", "日", "a", "é", "é"]) == [UNK, 100, UNK]  # several in a row are one
    assert ids.encode([]) == []
