"""The constraint `AllowedBy`."""

from seqgen.decoders import AllowedBy, Limits, constrain, decoders


def test_the_function_sees_each_sequence_and_is_obeyed(deep):
    asked = []

    def rising(tokens):
        asked.append(tokens)
        return [token for token in range(5) if not tokens or token > tokens[-1]] if tokens else None

    limits = Limits(5, (4,))
    beam = decoders.build({"name": "beam", "beam_size": 3, "n_best": 3}, seed=3, vocab_size=5)
    found = beam.decode(*constrain([AllowedBy(rising)], deep, deep.start(4), limits), limits)
    for each in (one for several in found for one in several):
        assert list(each.tokens) == sorted(set(each.tokens))
        assert each.finished
        assert each.tokens[:-2] in asked
    assert asked[:4] == [()] * 4


def test_nothing_allowed_is_the_end(deep):
    limits = Limits(5, (4,))
    nothing = AllowedBy(lambda tokens: [1] if len(tokens) < 2 else ())
    found = decoders.build("greedy").decode(
        *constrain([nothing], deep, deep.start(4), limits), limits
    )
    assert [each.tokens for [each] in found] == [(1, 1)] * 4
    assert not any(each.finished or each.satisfied for [each] in found)
