"""Training a SentencePiece model: what it reads, and what is said where it cannot."""

import io
import itertools
import math
from collections import Counter

import numpy as np
import pytest
import sentencepiece

from seqgen.options import OptionError
from seqgen.testing.tokenizer import random_texts
from seqgen.tokenizers import BOS, EOS, PAD, UNK, SentencePieceTokenizer, tokenizers
from seqgen.tokenizers.sentencepiece import ModelSize, train_model, training_lines

SYLLABLES = ["".join(each) for each in itertools.product("bdkst", "aeio", "mnr")]
TEXT = "\n".join(" ".join(SYLLABLES[i % 60] for i in range(n, 9 * n, n)) for n in range(1, 40))


def size(vocab_size=300, algorithm="bpe", byte_fallback=True, coverage=0.9995):
    return ModelSize(algorithm, vocab_size, byte_fallback, coverage)


class TestLines:
    def test_are_cut_where_no_piece_can_be(self):
        texts = [" a b\n\nc\r\nd", "e\u2581f\u2585g\x00h\n"]
        assert list(training_lines(texts)) == [" a b", "c\r", "d", "e", "f", "g", "h"]

    def test_long_ones_are_cut_at_spaces_and_nothing_is_lost(self):
        text = "word " * 5000 + "x" * 5000 + " 日本" * 3000
        lines = list(training_lines([text]))
        assert "".join(lines) == text
        assert max(map(len, lines)) <= 1000
        assert all(len(line.encode()) <= 4000 for line in lines)
        assert {line[0] for line in lines} == {"w", " ", "x"}

    def test_lone_surrogates_are_refused(self):
        with pytest.raises(ValueError, match="lone surrogate"):
            list(training_lines(["a\ud800"]))


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
class TestTooLittle:
    @pytest.mark.parametrize("texts", [[], [""], ["\n\n", "\u2581\x00"]])
    def test_no_text(self, algorithm, texts):
        with pytest.raises(ValueError, match="there is no text from which `sentencepiece` could"):
            train_model(texts, size(algorithm=algorithm))

    def test_the_maximum_is_named_and_possible(self, algorithm):
        with pytest.raises(ValueError, match=r"`vocab_size` must be at most \d+ for") as caught:
            train_model([TEXT], size(100_000, algorithm))
        most = int(str(caught.value).split()[5])
        assert str(caught.value).endswith(f"at most {most} for this text, but is 100000")
        assert train_model([TEXT], size(most, algorithm))

    def test_the_minimum_is_named(self, algorithm):
        with pytest.raises(ValueError, match="`vocab_size` must be at least 274 for this text"):
            train_model([TEXT], size(270, algorithm))


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_is_the_same_each_time_and_says_nothing(algorithm, capfd):
    first, second = (train_model([TEXT] * 3, size(300, algorithm)) for _ in range(2))
    assert first == second
    out, err = capfd.readouterr()
    assert out == err == ""


# The tokenizer `sentencepiece`: pieces that give the text back.


WORDS = ["".join(each) for each in itertools.product("bdkst", "aeio", "mnr")]
TEXT_SENTENCEPIECE = "\n".join(
    " ".join(WORDS[i % 60] for i in range(n, 9 * n, n)) for n in range(1, 40)
)
TEXT_SENTENCEPIECE = f"{' the' * 30} cat saw  the cat and the dogs\n{TEXT}\n\tthe cat sat" * 3


def fitted(*texts, **options):
    made = SentencePieceTokenizer(**{"vocab_size": 310, **options})
    made.fit(texts or [TEXT_SENTENCEPIECE])
    return made


def shown(made, text):
    return [made.shown(token) for token in made.encode(text)]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_a_space_belongs_to_the_word_behind_it(algorithm):
    made = fitted(algorithm=algorithm)
    line = shown(made, " the bam the")
    assert line[0].startswith(" t")
    assert not any(piece.endswith(" ") for piece in line)
    assert shown(made, " the bam the\n\nthe") == [*line, "\n", "\n", *shown(made, "the")]
    assert len(made) == 310


def test_what_is_no_piece_is_bytes():
    made = fitted()
    assert shown(made, "é日")[-3:] == ["<0xE6>", "<0x97>", "<0xA5>"]
    assert shown(made, "\u2581") == ["<0xE2>", "<0x96>", "<0x81>"]
    assert made.decode(made.encode(" \u2581 a\u2581b")) == " \u2581 a\u2581b"


def test_without_bytes_it_is_unknown():
    made = fitted(byte_fallback=False, vocab_size=60)
    assert not made.lossless
    assert made.encode("日\u2581").tolist().count(UNK) >= 2
    assert made.decode(made.encode("the\ncat")) == "the\ncat"


def test_a_long_line_is_read():
    made = fitted(TEXT_SENTENCEPIECE, "the cat " * 20_000)
    text = "the cat\n\n" * 2000 + "cat the " * 2000 + "\n"
    assert made.decode(made.encode(text)) == text


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_a_long_line_is_read_as_if_it_were_read_at_once(algorithm):
    made = fitted(algorithm=algorithm)
    text = TEXT_SENTENCEPIECE.replace("\n", "  ") * 5 + "x" * 3000 + " the"
    assert made.encode(text).tolist() == made._model.encode(text)


class TestSampling:
    @pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
    def test_pieces_differ_by_seed_and_the_text_does_not(self, algorithm):
        made = fitted(algorithm=algorithm, sampling_alpha=0.3)
        assert made.samples
        one, other = made.sample(TEXT_SENTENCEPIECE, 1), made.sample(TEXT_SENTENCEPIECE, 2)
        assert not np.array_equal(one, other)
        assert len(one) > len(made.encode(TEXT_SENTENCEPIECE))
        assert made.decode(one) == made.decode(other) == TEXT_SENTENCEPIECE

    @pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
    @pytest.mark.parametrize("byte_fallback", [True, False])
    def test_what_is_drawn_is_the_same_text(self, algorithm, byte_fallback):
        made = fitted(
            algorithm=algorithm,
            byte_fallback=byte_fallback,
            vocab_size=290 if byte_fallback else 60,
            sampling_alpha=0.2,
        )
        texts = [
            TEXT_SENTENCEPIECE[:500],
            "",
            " ",
            "\n\n",
            "  the  ",
            " \u2581 a\u2581b",
            *random_texts(40),
        ]
        for seed, text in enumerate(texts):
            drawn = made.sample(text, seed)
            assert drawn.dtype == np.int64
            assert made.decode(drawn) == (text if byte_fallback else made.decode(made.encode(text)))

    def test_no_alpha_for_merges_leaves_none_out(self):
        made = fitted(algorithm="bpe", sampling_alpha=0)
        text = TEXT_SENTENCEPIECE + "\u2581é 日\n"
        assert np.array_equal(made.sample(text, 1), made.encode(text))

    def test_is_only_for_those_who_ask(self):
        made = fitted()
        assert not made.samples
        assert np.array_equal(made.sample(TEXT_SENTENCEPIECE, 1), made.encode(TEXT_SENTENCEPIECE))


def trained(**how):
    """A model as others train them: unknown first, no padding, letters and spaces normalised."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT_SENTENCEPIECE.split("\n")),
        model_writer=written,
        minloglevel=2,
        **{"vocab_size": 50, **how},
    )
    return written.getvalue()


THEIR_WAYS = (
    {},
    {"treat_whitespace_as_suffix": True},
    {"split_by_whitespace": False, "vocab_size": 90},
    {"byte_fallback": True, "vocab_size": 310},
    {"user_defined_symbols": ["at", "▁s"]},
)


class TestModelFile:
    """A model of others."""

    @pytest.fixture
    def made(self, tmp_path):
        path = tmp_path / "their.model"
        path.write_bytes(trained())
        return fitted(model_file=path)

    def test_special_tokens_get_our_ids(self, made):
        assert len(made) == 50 + 1  # their model has no padding
        assert not {PAD, BOS, EOS} & set(made.encode(TEXT_SENTENCEPIECE).tolist())
        assert (made.encode("the 日") == UNK).any()

    def test_text_comes_back_as_they_write_it(self, made):
        assert not made.lossless
        tokens = made.encode("  the   cat saw")
        assert made.decode(tokens) == made.decode([BOS, *tokens, EOS, PAD]) == "the cat saw"

    def test_is_saved_with_the_run(self, made):
        other = SentencePieceTokenizer(model_file="no longer there")
        other.restore(made.files())
        assert np.array_equal(other.encode(TEXT_SENTENCEPIECE), made.encode(TEXT_SENTENCEPIECE))
        assert other.decode(other.encode("the cat")) == "the cat"

    @pytest.mark.parametrize("how", THEIR_WAYS, ids=str)
    @pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
    def test_it_samples_as_the_library_does(self, algorithm, how, tmp_path):
        """So often is each way to cut a text drawn here, and so often by SentencePiece itself."""
        path = tmp_path / "their.model"
        path.write_bytes(trained(model_type=algorithm, **how))
        made = fitted(model_file=path, sampling_alpha=0.4)
        count = 3000
        for text in ("rats 日日x", " cat saw", "bam"):
            ours = Counter(tuple(made.sample(text, seed).tolist()) for seed in range(count))
            how = {"enable_sampling": True, "alpha": 0.4, "nbest_size": -1}
            found = [made._model.encode(text, num_threads=1, **how) for _ in range(count)]
            theirs = Counter(tuple(made._pieces.from_theirs[each].tolist()) for each in found)
            both = ours + theirs
            squares = ((ours[way] - theirs[way]) ** 2 / both[way] for way in both)
            # Their seed is another one each time: beyond 8 standard deviations is no chance.
            assert sum(squares) < len(both) + 8 * math.sqrt(2 * len(both)) + 20

    @pytest.mark.parametrize("algorithm", ["char", "word"])
    def test_one_that_has_but_one_way_is_read_that_way(self, algorithm, tmp_path):
        path = tmp_path / "their.model"
        path.write_bytes(trained(model_type=algorithm, hard_vocab_limit=False))
        made = fitted(model_file=path, sampling_alpha=0.4)
        assert np.array_equal(made.sample(TEXT_SENTENCEPIECE, 3), made.encode(TEXT_SENTENCEPIECE))

    def test_a_broken_one_is_refused(self, tmp_path):
        (tmp_path / "broken").write_bytes(b"garbage")
        with pytest.raises(ValueError, match=r"`model_file` .*broken is no SentencePiece model"):
            fitted(model_file=tmp_path / "broken")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("algorithm", "wordpiece"),
        ("vocab_size", 0),
        ("character_coverage", 0),
        ("character_coverage", 0.9799),
        ("character_coverage", 1.1),
        ("sampling_alpha", -1),
        ("sampling_alpha", 2),
    ],
)
def test_wrong_options_are_refused(option, value):
    with pytest.raises(OptionError, match=option):
        tokenizers.build({"name": "sentencepiece", option: value})
