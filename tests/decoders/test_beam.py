"""The decoder `beam`, against enumeration and against a beam search that never stops early."""

import pytest
import torch

from seqgen.decoders import Beam, Forbid, Greedy, Limits, Start, decoders
from seqgen.options import OptionError

VOCAB = 5
NORMALISATIONS = [
    ("none", 1.0),
    ("power", 0.0),
    ("power", 0.4),
    ("power", 1.0),
    ("power", -0.7),
    ("gnmt", 4.0),
    ("gnmt", 0.6),
]


def rank(normalisation, log_probs):
    """By the formulas of the docstring."""
    formula, alpha = normalisation
    score = 0.0
    for each in log_probs:
        score += each
    length = len(log_probs)
    return score / {"none": 1, "power": length**alpha, "gnmt": ((5 + length) / 6) ** alpha}[formula]


def standing(hypothesis):
    return hypothesis.score if hypothesis.rank is None else hypothesis.rank


def as_pairs(found):
    return [(each.tokens, each.log_probs, each.finished) for each in found]


def plain_beam(table, start, source, limits, beam_size):
    """All that a beam comes by when it goes on to the maximum length, in the order of finding."""
    live, found = [((), (), 0.0)], []
    row = torch.tensor([source])
    last, state, context = (each[row] for each in start[:3])
    for left in reversed(range(limits.max_length)):
        log_probs, state = table.step(last, state, context)
        every = [
            (score + step, parent, token, step)
            for parent, (_, _, score) in enumerate(live)
            for token, step in enumerate(log_probs[parent].tolist())
            if step > float("-inf")
        ]
        every.sort(key=lambda each: -each[0])
        before, live, parents = live, [], []
        for place, (score, parent, token, step) in enumerate(every):
            tokens, past, _ = before[parent]
            path = ((*tokens, token), (*past, step), score)
            if token in limits.ends:
                found += [(*path[:2], True)] if place < beam_size else []
            elif len(live) < beam_size:
                live.append(path)
                parents.append(parent)
                found += [] if left else [(*path[:2], False)]
        if not live:
            break
        state = state[torch.tensor(parents)]
        last = torch.tensor([tokens[-1] for tokens, *_ in live])
    return found


@pytest.mark.parametrize(("ends", "models"), [((2,), 20), ((0, 3), 20), ((), 2)])
def test_a_beam_as_wide_as_the_space_is_enumeration(deeps, ends, models):
    limits = Limits(4, ends)
    for seed in range(models):
        deep = deeps(seed)
        start = deep.start(2)
        every = [deep.enumerate(start, source, limits) for source in range(2)]
        for normalisation in NORMALISATIONS[::2]:
            found = Beam(VOCAB**4, VOCAB**4, *normalisation).decode(deep, start, limits)
            for source, each in enumerate(found):
                ranks = [rank(normalisation, past) for past in every[source].values()]
                assert [standing(one) for one in each] == sorted(ranks, reverse=True)
                assert {one.tokens: one.log_probs for one in each} == every[source]


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)
def test_stopping_early_loses_nothing(deeps, normalisation):
    for seed in range(12):
        deep = deeps(seed)
        start, limits = deep.start(3), Limits(8, [(2,), (1, 4), ()][seed % 3])
        for beam_size in (1, 2, 5, 7):
            n_best = min(beam_size, 3)
            found = Beam(beam_size, n_best, *normalisation).decode(deep, start, limits)
            for source in range(3):
                every = plain_beam(deep, start, source, limits, beam_size)
                every.sort(key=lambda each: -rank(normalisation, each[1]))
                assert as_pairs(found[source]) == every[:n_best]


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)
def test_more_hypotheses_do_not_change_the_first_ones(deep, normalisation):
    start, limits = deep.start(10), Limits(9, (2,))
    most = Beam(6, 6, *normalisation).decode(deep, start, limits)
    for n_best in range(1, 6):
        found = Beam(6, n_best, *normalisation).decode(deep, start, limits)
        assert found == [each[:n_best] for each in most]


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)
def test_the_list_is_sorted_by_rank_and_has_each_sequence_once(deep, normalisation):
    start, limits = deep.start(10), Limits(9, (2, 4))
    for each in Beam(6, 6, *normalisation).decode(deep, start, limits):
        assert len({one.tokens for one in each}) == len(each) == 6
        assert [standing(one) for one in each] == sorted(map(standing, each), reverse=True)
        for one in each:
            assert standing(one) == rank(normalisation, one.log_probs)
            assert one.score == rank(("none", 0), one.log_probs)
            assert (one.rank is None) == (normalisation[0] == "none")


@pytest.mark.parametrize("ends", [(), (2,), (0, 4)])
def test_one_path_is_greedy(deeps, ends):
    for seed in range(10):
        deep = deeps(seed)
        start, limits = deep.start(12), Limits([9, 0, 1, 7, 9, 9, 3, 2, 9, 9, 9, 9], ends)
        assert Beam(1).decode(deep, start, limits) == Greedy().decode(deep, start, limits)


@pytest.mark.parametrize("ends", [(), (0,), (1,), (4,)])
def test_one_path_is_greedy_where_tokens_are_equal(tables, ends):
    even = tables(torch.zeros(5, 5))
    start, limits = even.start(3), Limits(4, ends)
    assert Beam(1).decode(even, start, limits) == Greedy().decode(even, start, limits)


def test_of_equals_the_earliest_path_and_the_lowest_id_in_any_batch(tables):
    even = tables(torch.zeros(700, 700))
    for batch in (1, 2, 33):
        found = Beam(3, 3).decode(even, even.start(batch), Limits(2))
        assert [[one.tokens for one in each] for each in found] == [
            [(0, 0), (0, 1), (0, 2)]
        ] * batch


def test_impossible_tokens_are_never_chosen(table):
    """Rather are there fewer hypotheses."""
    two = Forbid(table, [0, 1, 4])
    [found] = Beam(9, 9).decode(two, table.start(1), Limits(3, (2,)))
    assert sorted(each.tokens for each in found) == [(2,), (3, 2), (3, 3, 2), (3, 3, 3)]
    [found] = Beam(9, 9).decode(Forbid(table, [0, 1, 3, 4]), table.start(1), Limits(3, (2,)))
    assert [each.tokens for each in found] == [(2,)]


def test_unfinished_ones_compete_at_the_maximum_length(tables):
    table = tables(torch.tensor([[0.0, 3.0, 1.0], [0.0, 3.0, 1.0], [0.0, 0.0, 0.0]]))
    [found] = Beam(2, 2, "power").decode(table, table.start(1), Limits(4, (2,)))
    assert [(each.tokens, each.finished) for each in found] == [
        ((1, 1, 1, 1), False),
        ((1, 1, 1, 2), True),
    ]


def test_nothing_has_the_highest_rank_there_is(table):
    for formula, wanted in [("none", None), ("power", 0.0), ("gnmt", 0.0)]:
        [[found]] = Beam(2, 2, formula).decode(table, table.start(1), Limits(0))
        assert found.rank == wanted


def test_the_same_end_token_twice_is_one(deep):
    start = deep.start(4)
    once = Beam(3, 3).decode(deep, start, Limits(6, (2,)))
    assert Beam(3, 3).decode(deep, start, Limits(6, (2, 2))) == once


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)
def test_a_source_alone_is_what_it_is_in_a_batch(deep, normalisation):
    decoder, start = Beam(4, 4, *normalisation), deep.start(12)
    lengths = [9, 0, 1, 7, 9, 2, 3, 2, 9, 5, 9, 9]
    found = decoder.decode(deep, start, Limits(lengths, (2,)))
    for source, length in enumerate(lengths):
        row = torch.tensor([source])
        alone = Start(start.tokens[row], start.state[row], start.context[row])
        assert decoder.decode(deep, alone, Limits(length, (2,))) == [found[source]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "`beam_size` must be at least 1, but is 0"),
        ({"n_best": 0}, "`n_best` must be from 1 to `beam_size`, which is 5, but is 0"),
        ({"n_best": 6}, "`n_best` must be from 1 to `beam_size`, which is 5, but is 6"),
        ({"alpha": 20.0}, "`alpha` must be from -10 to 10, but is 20.0"),
        ({"length_normalisation": "mean"}, "`length_normalisation` must be one of none, power"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Beam(**options)
    with pytest.raises(OptionError):
        decoders.build({"name": "beam", **options})
