"""What a search begins from, and what every registered decoder keeps beyond the laws that
`seqgen.testing` states: those are tried in tests/testing/test_decoder.py."""

from inspect import signature

import pytest
import torch

from seqgen.decoders import (
    Limits,
    MinimumLength,
    Start,
    WithoutTokens,
    constraints,
    decoders,
    watched,
)
from seqgen.errors import DecodeError
from seqgen.options import OptionError

from .conftest import BATCH, rows_of


def all_of(found):
    return [hypothesis for own in found for hypothesis in own]


@pytest.mark.parametrize("ends", [(), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("max_length", [0, 1, 2, 7])
def test_where_nothing_or_everything_ends_a_sequence(decoder, deep, ends, max_length):
    found = decoder.decode(deep, deep.start(BATCH), Limits(max_length, ends))
    assert len(found) == BATCH
    for each in all_of(found):
        assert len(each.tokens) == len(each.log_probs) == min(max_length, 1 if ends else 7)
        assert each.finished == bool(ends and max_length)
    if not max_length:
        assert {each[:4] for each in all_of(found)} == {((), 0.0, False, ())}
        assert deep.seen == []


def test_each_source_may_have_its_own_length(decoder, deep):
    lengths = [0, 3, 1, 0, 8, 2, 5, 5, 1, 0, 4, 7]
    start = deep.start(BATCH, torch.arange(BATCH))
    found = decoder.decode(deep, start, Limits(lengths))
    assert [len(each[0].tokens) for each in found] == lengths
    for length in set(lengths):
        other = decoder.decode(deep, start, Limits(length))
        same = [i for i in range(BATCH) if lengths[i] == length]
        assert [found[i] for i in same] == [other[i] for i in same]


def test_what_never_ends_costs_no_more_steps_than_the_limit(decoder, table):
    found = decoder.decode(WithoutTokens(table, [2]), table.start(BATCH), Limits(50, (2,)))
    assert len(table.seen) <= 50
    assert not any(each.finished for each in all_of(found))


def test_impossible_tokens_never_come(decoder, deep):
    found = decoder.decode(WithoutTokens(deep, [0, 3]), deep.start(BATCH), Limits(9, (2,)))
    assert not {token for each in all_of(found) for token in each.tokens} & {0, 3}


def test_a_sequence_depends_on_its_source_and_its_id_alone(decoder, deep):
    """Not on the size of the batch, its order or its other rows; to the last bit."""
    whole = deep.start(BATCH, torch.tensor([5, 0, 2**40, 7, 1, 2, 99, 3, 2**32, 6, 4, 8]))
    wanted = decoder.decode(deep, whole, Limits(9, (2,)))
    for rows in ([4], [4, 4, 4], [0, 1, 2], list(range(BATCH))[::-1], [11, 3, 7, 0, 5]):
        found = decoder.decode(deep, rows_of(whole, rows), Limits(9, (2,)))
        assert found == [wanted[row] for row in rows]


def test_a_nested_state_moves_as_a_whole(decoder, deep):
    class Nested:
        def step(self, tokens, state, context):
            inner, (copy, nothing) = state
            assert torch.equal(inner[0], copy[:, 0])
            log_probs, inner = deep.step(tokens, inner, context[0])
            return log_probs, (inner, (inner[0].unsqueeze(1), nothing))

    start, limits = deep.start(BATCH), Limits(6, (2,))
    state = (start.state, (start.state[0].unsqueeze(1), None))
    nested = Start(start.tokens, state, (start.context, None))
    assert decoder.decode(Nested(), nested, limits) == decoder.decode(deep, start, limits)


@pytest.mark.parametrize(
    ("fault", "token", "message"),
    [(each, token, f"{text}.*; no token can be chosen")
     for each, text in [(float("nan"), "NaN"), (float("inf"), "inf as the best score")]
     for token in (0, 2, 4)]
    + [(float("-inf"), slice(None), "-inf as the best score")],
)  # fmt: skip
def test_faulty_scores_are_refused(decoder, table, fault, token, message):
    table.log_probs[3, token] = fault
    with pytest.raises(DecodeError, match=f"for row 3 at step 1 have {message}"):
        decoder.decode(table, table.start(BATCH), Limits(5, (2,)))
    assert decoder.decode(table, table.start(3), Limits(0, (2,)))


def test_a_watched_decoder_has_one_constraint_more_and_leaves_the_other(decoder):
    own, watching = MinimumLength(1), MinimumLength(2)
    decoder.constraints = (own,)
    copied = watched(decoder, watching)
    assert copied.constraints == (own, watching)
    assert decoder.constraints == (own,)
    assert type(copied) is type(decoder)


NAN, INF = float("nan"), float("inf")
OUT_OF_RANGE = [
    ("beam", {"beam_size": 0}, "`beam_size` must be at least 1 and at most 1000000, but is 0"),
    ("beam", {"n_best": 0}, "`n_best` must be at least 1 and"),
    ("beam", {"n_best": 6}, "`n_best` must be from 1 to `beam_size`, which is 5, but is 6"),
    *(("beam", {"alpha": alpha}, "`alpha` must be at least -10 and at most 10, but is")
      for alpha in (-10.5, 20.0, NAN, INF)),
    ("beam", {"length_normalisation": "mean"},
     "`length_normalisation` must be 'none', 'power' or 'gnmt', but is 'mean'"),
    ("diverse_beam", {"groups": 0}, "`groups` must be at least 1"),
    ("diverse_beam", {"groups": 4}, "`groups` must divide `beam_size`, which is 6, but is 4"),
    ("diverse_beam", {"groups": 12}, "`groups` must divide `beam_size`, which is 6, but is 12"),
    ("diverse_beam", {"n_best": 7}, "`n_best` must be from 1 to `beam_size`, which is 6"),
    *(("diverse_beam", {"diversity_strength": each}, "`diversity_strength` must be at least 0")
      for each in (-1.0, INF, NAN)),
    ("stochastic_beam", {"beam_size": 0}, "`beam_size` must be at least 1 and"),
    *(("exact", {name: 0}, f"`{name}` must be at least 1 and")
      for name in ("n_best", "max_nodes", "nodes_at_once")),
    ("minimum_bayes_risk", {"samples": 0}, "`samples` must be at least 1 and"),
    ("minimum_bayes_risk", {"n_best": 0}, "`n_best` must be at least 1 and"),
    ("minimum_bayes_risk", {"n_best": 33},
     "`n_best` must be from 1 to `samples`, which is 32, but is 33"),
    ("minimum_bayes_risk", {"utility": "taste"},
     "`utility` must be 'edit' or 'ngram_f', but is 'taste'"),
    ("minimum_bayes_risk", {"sampler": {"name": "greedy", "constraints": ["minimum_length"]}},
     "`sampler` must have no"),
    *((name, {**more, "temperature": each},
       "`temperature` must be at least 0 and at most 1000000000, but is")
      for name, more in (("multinomial", {}), ("top_k", {"k": 3}), ("top_p", {}), ("min_p", {}),
                         ("typical", {}))
      for each in (-0.5, 1.1e9, -INF, NAN)),
    ("top_k", {"k": 6}, "`k` must be from 1 to 5, the number of tokens, but is 6"),
    *(("top_k", {"k": each}, "`k` must be at least 1 and at most 1000000, but is")
      for each in (0, -1)),
    *((name, {"p": each}, "`p` must be greater than 0 and at most 1, but is")
      for name in ("top_p", "typical") for each in (0.0, -0.1, 1.1, NAN)),
    *((name, {key: each}, f"`{key}` must be at least 0 and at most 1, but is")
      for name, key in (("min_p", "p"), ("epsilon", "epsilon"), ("eta", "epsilon"))
      for each in (-0.1, 1.1, NAN)),
    ("eta", {"alpha": -1.0}, "`alpha` must be at least 0 and at most 1e"),
    ("top_n_sigma", {"n": -1.0}, "`n` must be at least 0 and at most 1e"),
    ("forced_prefix", {"text": "1", "tokens": [1]}, "give one of them"),
    ("forced_prefix", {"tokens": [1, 5]}, "`tokens` must have tokens from 0 to 4, but has 5"),
    ("forced_prefix", {"tokens": [-1]}, "`tokens` must have tokens from 0 to 4, but has -1"),
    ("forced_prefix", {"text": "13"}, "`text` '13' contains a token that is not in the vocabulary"),
    ("allowed", {}, "`texts` must have at least 1 text, but is empty"),
    ("allowed", {"texts": ["01", "013"]}, "`texts` '013' contains a token that is not in the voc"),
    ("forbid", {"texts": ["0", ""]}, "`texts` must have tokens, but '' has none"),
    ("minimum_length", {"length": -1}, "`length` must be at least 0 and"),
    ("minimum_length", {"ratio": -1}, "`ratio` must be at least 0 and"),
    ("no_repeat_ngram", {"size": 0}, "`size` must be at least 1 and"),
    *(("repetition_penalty", {"penalty": each}, "`penalty` must be greater than 0 and at most 1e")
      for each in (0, -1.0, INF, NAN)),
    *(("language_model", {"run": "other", "weight": each},
       r"`weight` must be at least 0 and at most 1e\+30, but is") for each in (-0.1, INF, NAN)),
    ("ensemble", {"runs": ["other"], "weights": [1]},
     "`weights` must be 2, the run's own and one for each of `runs`, but are 1"),
    *(("ensemble", {"runs": ["other"], "weights": each},
       "`weights` must be at least 0 and not all 0, but are")
      for each in ([0, 0], [2, -1], [1, INF])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "message"), OUT_OF_RANGE)
def test_options_out_of_range_are_refused(supplied, name, options, message):
    registry = decoders if name in decoders.names() else constraints
    given = {"seed": 3, **supplied} if registry is decoders else supplied
    factory = registry.entry(name).factory
    wanted = {key: given[key] for key in given.keys() & signature(factory).parameters.keys()}
    with pytest.raises(ValueError, match=message):
        factory(**wanted, **options)
    with pytest.raises(OptionError):
        registry.build({"name": name, **options}, **given)


@pytest.mark.parametrize("name", decoders.names())
def test_every_decoder_has_constraints_and_names_one_that_does_not_exist(name, small):
    with pytest.raises(OptionError, match="no constraint named 'nothing'") as caught:
        decoders.check({**small(decoders, name), "constraints": ["nothing"]})
    assert caught.value.path == ("constraints", 0)


class TestStart:
    def test_ids_are_places_where_none_are_given(self, deep):
        assert deep.start(3).ids.tolist() == [0, 1, 2]
        assert deep.start(2, torch.tensor([7, 5])).ids.tolist() == [7, 5]

    def test_copies_of_a_source_are_adjacent(self, deep):
        copies, which = deep.start(2, torch.tensor([7, 5])).copies(3)
        assert copies.ids.tolist() == [7, 7, 7, 5, 5, 5]
        assert copies.tokens.tolist() == [0, 0, 0, 1, 1, 1]
        assert which.tolist() == [0, 1, 2] * 2

    def test_the_former_name_of_its_ids_warns(self, deep):
        with pytest.warns(DeprecationWarning, match="sequence_ids"):
            assert deep.start(2, torch.tensor([7, 5])).numbers.tolist() == [7, 5]


class TestLimits:
    @pytest.mark.parametrize(
        ("most", "lengths", "copied"),
        [(4, [4, 4, 4], 4), ((1, 0, 7), [1, 0, 7], [1, 1, 0, 0, 7, 7])],
    )
    def test_one_length_is_for_all_or_there_is_one_for_each(self, table, most, lengths, copied):
        assert Limits(most).lengths(table.start(3)).tolist() == lengths
        assert Limits(most, (2,)).copies(2) == Limits(copied, (2,))

    @pytest.mark.parametrize("lengths", [[], [1, 2], [1, 2, 3, 4]])
    def test_another_number_of_lengths_is_refused(self, table, lengths):
        with pytest.raises(ValueError, match=f"must have 3 numbers, but has {len(lengths)}"):
            Limits(lengths).lengths(table.start(3))
