"""The tokenizer `sentencepiece`: what training reads, pieces that give the text back, sampling."""

import io
import itertools
import json
import math
import random
import re
from collections import Counter

import numpy as np
import pytest
import sentencepiece

from seqgen.options import OptionError
from seqgen.testing.tokenizer import random_texts
from seqgen.tokenizers import BOS, EOS, PAD, UNK, SentencePieceTokenizer, tokenizers
from seqgen.tokenizers.sentencepiece import train_model, training_lines

SYLLABLES = ["".join(each) for each in itertools.product("bdkst", "aeio", "mnr")]
LINES = "\n".join(" ".join(SYLLABLES[i % 60] for i in range(n, 9 * n, n)) for n in range(1, 40))
TEXT = f"{' the' * 30} cat saw  the cat and the dogs\n{LINES}\n\tthe cat sat" * 3
both = pytest.mark.parametrize("algorithm", ["unigram", "bpe"])


def fitted(*texts, **options):
    made = SentencePieceTokenizer(**{"vocab_size": 310, **options})
    made.fit(texts or [TEXT])
    return made


def shown(made, text):
    return [made.shown(token) for token in made.encode(text)]


def test_training_lines_are_cut_where_no_piece_can_be_and_at_spaces():
    texts = [" a b\n\nc\r\nd", "e\u2581f\u2585g\x00h\n"]
    assert list(training_lines(texts)) == [" a b", "c\r", "d", "e", "f", "g", "h"]
    text = "word " * 5000 + "x" * 5000 + " 日本" * 3000
    lines = list(training_lines([text]))
    assert "".join(lines) == text
    assert max(map(len, lines)) <= 1000
    assert {line[0] for line in lines} == {"w", " ", "x"}
    with pytest.raises(ValueError, match="lone surrogate"):
        list(training_lines(["a\ud800"]))


@both
class TestTraining:
    @pytest.mark.parametrize("texts", [[], [""], ["\n\n", "\u2581\x00"]])
    def test_without_text_there_is_nothing_to_learn(self, algorithm, texts):
        with pytest.raises(ValueError, match="there is no text from which `sentencepiece` could"):
            train_model(texts, algorithm, 300)

    def test_the_limits_of_the_size_are_named_and_possible(self, algorithm):
        with pytest.raises(ValueError, match=r"`vocab_size` must be at most \d+ for") as caught:
            train_model([LINES], algorithm, 100_000)
        most = int(str(caught.value).split()[5])
        assert str(caught.value).endswith(f"at most {most} for this text, but is 100000")
        assert train_model([LINES], algorithm, most)
        with pytest.raises(ValueError, match="`vocab_size` must be at least 274 for this text"):
            train_model([LINES], algorithm, 270)

    def test_it_is_the_same_each_time_and_silent(self, algorithm, capfd):
        first, second = (train_model([LINES] * 3, algorithm, 300) for _ in range(2))
        assert first == second
        out, err = capfd.readouterr()
        assert out == err == ""


@both
def test_a_space_belongs_to_the_word_after_it(algorithm):
    made = fitted(algorithm=algorithm)
    line = shown(made, " the bam the")
    assert line[0].startswith(" t")
    assert not any(piece.endswith(" ") for piece in line)
    assert shown(made, " the bam the\n\nthe") == [*line, "\n", "\n", *shown(made, "the")]
    assert len(made) == 310


def test_what_is_no_piece_is_bytes_or_unknown():
    made = fitted()
    assert shown(made, "é日")[-3:] == ["<0xE6>", "<0x97>", "<0xA5>"]
    assert shown(made, "\u2581") == ["<0xE2>", "<0x96>", "<0x81>"]
    assert made.decode(made.encode(" \u2581 a\u2581b")) == " \u2581 a\u2581b"
    made = fitted(byte_fallback=False, vocab_size=60)
    assert not made.lossless
    assert made.encode("日\u2581").tolist().count(UNK) >= 2
    assert made.decode(made.encode("the\ncat")) == "the\ncat"


@both
def test_a_long_line_is_read_as_if_it_were_read_at_once(algorithm):
    made = fitted(TEXT, "the cat " * 20_000, algorithm=algorithm)
    text = "the cat\n\n" * 2000 + "cat the " * 2000 + "\n"
    assert made.decode(made.encode(text)) == text
    text = TEXT.replace("\n", "  ") * 5 + "x" * 3000 + " the"
    assert made.encode(text).tolist() == made._model.encode(text)


@pytest.mark.parametrize("ours", [True, False])
def test_a_model_is_only_restored_with_its_record(ours):
    made = fitted()
    made._ours = ours
    files, other = made.files(), SentencePieceTokenizer()
    assert json.loads(files["model.json"])["ours"] is ours
    other.restore(files)
    assert other.files() == files
    for wrong in ({**files, "model.spm": b"contenT"}, {**files, "model.json": b"{}"}, {}):
        with pytest.raises(ValueError, match=r"`model\.spm` must be what `model\.json` has"):
            other.restore(wrong)


class TestSampling:
    @both
    def test_pieces_differ_by_seed_and_the_text_does_not(self, algorithm):
        made = fitted(algorithm=algorithm, sampling_alpha=0.3)
        assert made.samples
        one, other = made.sample(TEXT, 1), made.sample(TEXT, 2)
        assert not np.array_equal(one, other)
        assert len(one) > len(made.encode(TEXT))
        assert made.decode(one) == made.decode(other) == TEXT

    @both
    @pytest.mark.parametrize(("byte_fallback", "vocab_size"), [(True, 290), (False, 60)])
    def test_what_is_drawn_is_the_same_text(self, algorithm, byte_fallback, vocab_size):
        how = {"byte_fallback": byte_fallback, "vocab_size": vocab_size, "sampling_alpha": 0.2}
        made = fitted(algorithm=algorithm, **how)
        strange = ["", " ", "\n\n", "  the  ", " \u2581 a\u2581b"]
        for seed, text in enumerate([TEXT[:500], *strange, *random_texts(40)]):
            drawn = made.sample(text, seed)
            assert drawn.dtype == np.int64
            assert made.decode(drawn) == (text if byte_fallback else made.decode(made.encode(text)))

    def test_without_alpha_it_is_encode(self):
        text = TEXT + "\u2581é 日\n"
        for made in (fitted(algorithm="bpe", sampling_alpha=0), fitted()):
            assert made.samples == (made.sampling_alpha is not None)
            assert np.array_equal(made.sample(text, 1), made.encode(text))


@pytest.fixture
def of_others(tmp_path):
    """A function that trains a model as others do (unknown first, no padding, letters and spaces
    normalised) and gives a tokenizer of it."""

    def make(sampling_alpha=None, **how):
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.split("\n")),
            model_writer=written,
            minloglevel=2,
            **{"vocab_size": 50, **how},
        )
        (tmp_path / "their.model").write_bytes(written.getvalue())
        return fitted(model_file=tmp_path / "their.model", sampling_alpha=sampling_alpha)

    return make


THEIR_WAYS = (
    {},
    {"treat_whitespace_as_suffix": True},
    {"split_by_whitespace": False, "vocab_size": 90},
    {"byte_fallback": True, "vocab_size": 310},
    {"user_defined_symbols": ["at", "▁s"]},
)


class TestModelFile:
    @pytest.mark.parametrize("how", [*THEIR_WAYS, {"add_dummy_prefix": False}])
    def test_what_its_pieces_add_to_a_text_is_what_they_decode_to(self, of_others, how):
        made = of_others(**how)
        contents = made.contents()
        draw = random.Random(1)
        known = [each for each in range(4, len(made)) if contents.first[each]]
        for _ in range(200):
            first, *later = draw.choices(known, k=draw.randint(1, 8))
            whole = contents.first[first] + b"".join(contents.later[each] for each in later)
            found, wanted = made.decode([first, *later]), whole.decode(errors="replace")
            assert re.sub("\ufffd+", "", found) == re.sub("\ufffd+", "", wanted)

    def test_it_has_our_special_tokens_and_their_ways_with_spaces(self, of_others):
        made = of_others()
        assert len(made) == 50 + 1  # their model has no padding
        assert not made.lossless
        assert not {PAD, BOS, EOS} & set(made.encode(TEXT).tolist())
        assert (made.encode("the 日") == UNK).any()
        tokens = made.encode("  the   cat saw")
        assert made.decode(tokens) == made.decode([BOS, *tokens, EOS, PAD]) == "the cat saw"
        other = SentencePieceTokenizer(model_file="no longer there")
        other.restore(made.files())
        assert np.array_equal(other.encode(TEXT), made.encode(TEXT))

    @pytest.mark.parametrize("how", THEIR_WAYS, ids=str)
    @both
    def test_it_samples_as_the_library_does(self, algorithm, how, of_others):
        """So often is each way to cut a text drawn here, and so often by SentencePiece itself."""
        made = of_others(0.4, model_type=algorithm, **how)
        count = 3000
        for text in ("rats 日日x", " cat saw", "bam"):
            ours = Counter(tuple(made.sample(text, seed).tolist()) for seed in range(count))
            how = {"enable_sampling": True, "alpha": 0.4, "nbest_size": -1}
            found = [made._model.encode(text, num_threads=1, **how) for _ in range(count)]
            theirs = Counter(tuple(made._pieces.from_theirs[each].tolist()) for each in found)
            every = ours + theirs
            squares = ((ours[way] - theirs[way]) ** 2 / every[way] for way in every)
            # Their seed is another one each time: beyond 8 standard deviations is no chance.
            assert sum(squares) < len(every) + 8 * math.sqrt(2 * len(every)) + 20

    @pytest.mark.parametrize("algorithm", ["char", "word"])
    def test_one_with_a_single_way_is_read_that_way(self, algorithm, of_others):
        made = of_others(0.4, model_type=algorithm, hard_vocab_limit=False)
        assert np.array_equal(made.sample(TEXT, 3), made.encode(TEXT))

    def test_a_broken_one_is_refused(self, tmp_path):
        (tmp_path / "broken").write_bytes(b"garbage")
        with pytest.raises(ValueError, match=r"`model_file` .*broken is no SentencePiece model"):
            fitted(model_file=tmp_path / "broken")


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("algorithm", ["wordpiece"]),
        ("vocab_size", [0]),
        ("character_coverage", [0, 0.9799, 1.1]),
        ("sampling_alpha", [-1, 2]),
    ],
)
def test_wrong_options_are_refused(option, values):
    for value in values:
        with pytest.raises(OptionError, match=option):
            tokenizers.build({"name": "sentencepiece", option: value})
