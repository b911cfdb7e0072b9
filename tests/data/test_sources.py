"""Sources: features first, then the text, then EOS."""

import pytest

from seqgen.data.sources import SourceEncoder, split_features, split_source
from seqgen.tokenizers import EOS, UNK, CharTokenizer, SentencePieceTokenizer, WordTokenizer
from seqgen.tokenizers.whole import WholeTokenizer


def fitted(tokenizer, *texts):
    tokenizer.fit(texts)
    return tokenizer


@pytest.fixture
def plain():
    return SourceEncoder({"source": fitted(CharTokenizer(), "abc")}, ";")


@pytest.fixture
def featured():
    """a, b and c are 4, 5 and 6; the ids of features begin at 7: PL is 7 + 4, SG is 7 + 5."""
    tokenizers = {
        "source": fitted(CharTokenizer(), "abc"),
        "features": fitted(WholeTokenizer(), "PL", "PL", "SG"),
    }
    return SourceEncoder(tokenizers, ";")


def test_a_source_is_its_tokens_and_an_end(plain):
    assert plain.encode("cab").joined.tolist() == [6, 4, 5, EOS]
    assert plain.encode("").joined.tolist() == [EOS]
    assert plain.vocab_size == 7


def test_features_stand_in_front_with_ids_behind_those_of_texts(featured):
    source = featured.encode("ab", "SG;PL")
    assert source.joined.tolist() == [12, 11, 4, 5, EOS]
    assert source.text.tolist() == [4, 5, EOS]
    assert source.features.tolist() == [5, 4]
    assert featured.vocab_size == 7 + 6
    assert featured.encode("ab").joined.tolist() == [4, 5, EOS]


def test_an_unknown_feature_is_not_an_unknown_letter(featured):
    assert featured.encode("x", "DU").joined.tolist() == [7 + UNK, UNK, EOS]


def test_a_seed_draws_one_of_the_ways_to_cut_a_text():
    text = "the cat sat on the mat and the cat saw a rat"
    pieces = SentencePieceTokenizer("bpe", 300, sampling_alpha=0.5)
    encoder = SourceEncoder({"source": fitted(pieces, *[text] * 20)}, ";")
    cuts = [encoder.encode(text, seed=seed).joined.tolist() for seed in (1, 1, 2)]
    assert cuts[0] == cuts[1] != cuts[2]
    assert encoder.encode(text).joined.tolist() == [*pieces.encode(text), EOS]


class TestPieces:
    def test_they_are_what_a_person_reads_and_unknown_ones_what_stands_there(self, featured):
        assert featured.pieces("axb", "PL") == ["PL", "a", "x", "b"]
        assert featured.pieces("", "") == []

    def test_unknown_words_stand_as_they_are(self):
        encoder = SourceEncoder({"source": fitted(WordTokenizer(), "the cat")}, ";")
        assert encoder.pieces("the dog  sat", "") == ["the", "dog", "sat"]
        assert encoder.unknown("the dog  sat", "") == ["dog", "sat"]

    def test_there_is_one_for_each_token_but_the_end(self, featured):
        assert (
            len(featured.pieces("cab", "SG;PL")) == len(featured.encode("cab", "SG;PL").joined) - 1
        )


def test_unknown_features_and_letters_are_named(featured):
    assert featured.unknown("axb", "PL;DU") == ["DU", "x"]
    assert featured.unknown("ab", "PL") == []


def test_between_two_separators_may_be_nothing():
    assert split_features("N;DAT;PL", ";") == ["N", "DAT", "PL"]
    assert split_features(";;N;", ";") == ["N"]
    assert split_features("", ";") == []
    assert split_features("N, PL", ", ") == ["N", "PL"]


class TestLine:
    def test_features_are_behind_a_tab(self):
        assert split_source("lemma\tN;PL", True) == ("lemma", "N;PL")
        assert split_source("lemma", True) == ("lemma", "")
        assert split_source("", False) == ("", "")

    @pytest.mark.parametrize(
        ("text", "has_features", "message"),
        [
            ("a\tb", False, "`text` must be a source, but has 1 tab in it"),
            (
                "a\tb\tc",
                True,
                "a source, or a source, a tab and its features, but has 2 tabs in it",
            ),
            ("a\nb", False, "`text` must be one line, but has a line break in it"),
            ("a\r", True, "`text` must be one line"),
        ],
    )
    def test_what_is_no_source_is_refused(self, text, has_features, message):
        with pytest.raises(ValueError, match=message):
            split_source(text, has_features)
