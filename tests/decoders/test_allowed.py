"""The constraint `allowed`."""

import pytest

from seqgen.decoders import Allowed, Limits, constrain, decoders

TEXTS = ("0140", "0", "44", "1", "10", "4410")


def digits(text):
    return list(map(int, text))


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_a_sequence_is_one_of_the_texts(deep, search):
    limits = Limits(9, (2,))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    allowed = Allowed(TEXTS, vocab_size=5, encode=digits)
    found = decoder.decode(*constrain([allowed], deep, deep.start(12), limits), limits)
    assert all(each.finished for [each] in found)
    texts = {"".join(map(str, each.tokens[:-1])) for [each] in found}
    assert texts <= set(TEXTS)
    assert len(texts) > 2


def test_a_wide_beam_finds_all_of_them(deep):
    limits = Limits(9, (2,))
    start = deep.start(2)
    beam = decoders.build({"name": "beam", "beam_size": 10, "n_best": 10}, seed=3, vocab_size=5)
    found = beam.decode(
        *constrain([Allowed(TEXTS, vocab_size=5, encode=digits)], deep, start, limits), limits
    )
    for source, several in enumerate(found):
        texts = ["".join(map(str, each.tokens[:-1])) for each in several]
        assert sorted(texts) == sorted(TEXTS)
        for each in several:
            assert each.score == pytest.approx(sum(deep.rescore(start, source, each.tokens)))


def test_without_an_end_anything_may_follow_a_whole_text(deep):
    limits = Limits(6)
    multinomial = decoders.build("multinomial", seed=3, vocab_size=5)
    constrained = constrain(
        [Allowed(["014", "01"], vocab_size=5, encode=digits)], deep, deep.start(12), limits
    )
    found = {each.tokens for [each] in multinomial.decode(*constrained, limits)}
    assert {tokens[:2] for tokens in found} == {(0, 1)}
    assert {tokens[2] for tokens in found} > {4}
    assert len(found) > 6


def test_no_texts_and_unknown_ones_are_refused():
    with pytest.raises(ValueError, match="`texts` must have at least 1 text, but is empty"):
        Allowed((), vocab_size=5, encode=digits)
    with pytest.raises(ValueError, match="`texts` '013' must be known"):
        Allowed(("01", "013"), vocab_size=5, encode=digits)
