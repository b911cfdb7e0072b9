"""The constraint `forced_prefix`."""

import pytest

from seqgen.decoders import Forbid, ForcedPrefix, Limits, constrain, decoders

BATCH = 12


def digits(text):
    return list(map(int, text))


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
@pytest.mark.parametrize("prefix", [{"text": "140"}, {"tokens": (1, 4, 0)}])
def test_every_sequence_begins_so_and_is_free_behind(deep, search, prefix):
    limits = Limits(9, (2,))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    forced = ForcedPrefix(5, digits, **prefix)
    start = deep.start(BATCH)
    found = decoder.decode(*constrain([forced], deep, start, limits), limits)
    assert {each.tokens[:3] for [each] in found} == {(1, 4, 0)}
    assert len({each.tokens for [each] in found}) > 3
    for source, [each] in enumerate(found):
        assert each.log_probs == pytest.approx(deep.rescore(start, source, each.tokens), abs=1e-5)


def test_it_may_be_longer_than_there_is_room(deep):
    limits = Limits([1, 0, 2], (2,))
    constrained = constrain([ForcedPrefix(5, digits, "1401")], deep, deep.start(3), limits)
    found = decoders.build("greedy").decode(*constrained, limits)
    assert [each.tokens for [each] in found] == [(), (), (1,)]
    assert [each.satisfied for [each] in found] == [False, True, False]


def test_what_the_stepper_cannot_say_is_not_forced(deep):
    limits = Limits(4, (2,))
    constrained = constrain(
        [ForcedPrefix(5, digits, "14")], Forbid(deep, [4]), deep.start(3), limits
    )
    found = decoders.build("greedy").decode(*constrained, limits)
    assert [each.tokens for [each] in found] == [(1,)] * 3
    assert not any(each.finished or each.satisfied for [each] in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "1", "tokens": (1,)}, "give one of them"),
        ({"tokens": (1, 5)}, "`tokens` must have tokens from 0 to 4, but has 5"),
        ({"tokens": (-1,)}, "`tokens` must have tokens from 0 to 4, but has -1"),
        ({"text": "13"}, "`text` '13' must be known to the tokenizer"),
    ],
)
def test_what_no_model_can_say_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ForcedPrefix(5, digits, **options)
