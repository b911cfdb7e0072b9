"""The decoder `diverse_beam`: groups that keep out of one another's way."""

import pytest
import torch

from seqgen.decoders import Beam, DiverseBeam, Limits, decoders
from seqgen.options import OptionError

NORMALISATIONS = [("none", 1.0), ("power", 1.0), ("gnmt", 0.6)]


def plain_groups(table, start, source, length, groups, strength):
    """Groups of one path each and no end tokens, token by token."""
    row = torch.tensor([source])
    paths = [([], *(each[row] for each in start[:3])) for _ in range(groups)]
    for _ in range(length):
        chosen, grown = [], []
        for tokens, last, before, context in paths:
            log_probs, state = table.step(last, before, context)
            penalised = [
                each - strength * chosen.count(token)
                for token, each in enumerate(log_probs[0].double().tolist())
            ]
            token = penalised.index(max(penalised))
            chosen.append(token)
            grown.append(([*tokens, token], torch.tensor([token]), state, context))
        paths = grown
    return {tuple(tokens) for tokens, *_ in paths}


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)
@pytest.mark.parametrize("strength", [0.0, 3.0])
def test_one_group_is_beam(deep, normalisation, strength):
    start, limits = deep.start(9), Limits([7, 0, 1, 8, 8, 8, 3, 2, 5], (2, 4))
    wanted = Beam(4, 3, *normalisation).decode(deep, start, limits)
    decoder = DiverseBeam(4, 1, strength, 3, *normalisation)
    assert decoder.decode(deep, start, limits) == wanted


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0, 1e6])
def test_groups_of_one_path_choose_one_after_the_other(deep, strength):
    start = deep.start(6)
    found = DiverseBeam(4, 4, strength, 4).decode(deep, start, Limits(6))
    for source, each in enumerate(found):
        wanted = plain_groups(deep, start, source, 6, 4, strength)
        assert {one.tokens for one in each} == wanted


def test_without_a_penalty_the_groups_are_equal_and_count_once(deep):
    start, limits = deep.start(9), Limits(7, (2,))
    wanted = Beam(2, 2).decode(deep, start, limits)
    assert DiverseBeam(6, 3, 0.0, 6).decode(deep, start, limits) == wanted


def test_a_great_penalty_begins_each_group_with_other_tokens(deep):
    [found] = DiverseBeam(4, 4, 1e6, 4).decode(deep, deep.start(1), Limits(5))
    assert len({each.tokens[0] for each in found}) == 4


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=str)
def test_more_hypotheses_do_not_change_the_first_ones(deep, normalisation):
    start, limits = deep.start(10), Limits(9, (2,))
    most = DiverseBeam(6, 2, 1.0, 6, *normalisation).decode(deep, start, limits)
    assert max(map(len, most)) > 3
    for n_best in range(1, 6):
        found = DiverseBeam(6, 2, 1.0, n_best, *normalisation).decode(deep, start, limits)
        assert found == [each[:n_best] for each in most]


def test_an_end_token_is_a_token_too(tables):
    """Where the first group ends, the second one is kept from ending."""
    table = tables(torch.tensor([[0.0, 0.0, 3.0, 2.0]] * 4))
    [found] = DiverseBeam(2, 2, 2.0, 2).decode(table, table.start(1), Limits(2, (2,)))
    assert [each.tokens for each in found] == [(2,), (3, 3)]


def test_no_path_no_penalty(tables):
    """Where a group has fewer paths than rows, the idle rows keep nobody from a token."""
    logits = torch.full((3, 3), float("-inf"))
    logits[:, 1] = 0.0
    logits[:, 2] = -1.0
    table = tables(logits)
    [found] = DiverseBeam(8, 2, 1e-3, 8).decode(table, table.start(1), Limits(1))
    assert [each.tokens for each in found] == [(1,), (2,)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 4}, "`groups` must divide `beam_size`, which is 6, but is 4"),
        ({"groups": 0}, "`groups` must divide `beam_size`, which is 6, but is 0"),
        ({"n_best": 7}, "`n_best` must be from 1 to `beam_size`, which is 6, but is 7"),
        ({"diversity_strength": -1.0}, "`diversity_strength` must be at least 0 and finite"),
        ({"diversity_strength": float("inf")}, "`diversity_strength` must be at least 0 and"),
        ({"diversity_strength": float("nan")}, "`diversity_strength` must be at least 0 and"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DiverseBeam(**options)
    with pytest.raises(OptionError):
        decoders.build({"name": "diverse_beam", **options})
