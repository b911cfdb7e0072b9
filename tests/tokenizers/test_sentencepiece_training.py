"""Training a SentencePiece model: what it reads, and what is said where it cannot."""

import itertools

import pytest

from seqgen.tokenizers.sentencepiece_training import ModelSize, train_model, training_lines

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
