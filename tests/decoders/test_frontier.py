"""Frontier: rows, states and contexts that belong together."""

import pytest
import torch

from seqgen.decoders import Limits
from seqgen.decoders.frontier import Frontier
from seqgen.decoders.paths import IMPOSSIBLE, Growth
from seqgen.errors import DecodeError

LIMITS = Limits([4, 0, 4, 4])


def growth(rows, tokens, log_probs, scores=None):
    rows, tokens = torch.tensor(rows), torch.tensor(tokens)
    given = log_probs[rows, tokens].double()
    return Growth(rows, tokens, given, given if scores is None else scores)


def test_begins_with_the_sources_that_may_have_tokens(deep):
    frontier = Frontier.begin(deep.start(4), LIMITS, 2)
    assert frontier.sources.tolist() == [0, 2, 3]
    assert frontier.tokens.tolist() == [0, 0, 2, 2, 0, 0]
    assert frontier.room.tolist() == [4, 4, 4]
    assert frontier.width == 2
    assert torch.equal(frontier.context, deep.start(4).context[[0, 2, 3]])


def test_what_is_read_after_any_reordering_is_what_the_path_alone_would_read(deep):
    start = deep.start(4)
    log_probs, frontier = Frontier.begin(start, LIMITS).step(deep)
    picked = growth([[0, 0], [1, 1], [2, 2]], [[4, 1], [0, 3], [2, 2]], log_probs)
    frontier = frontier.advance(picked, torch.tensor([True, False, True]))
    assert frontier.sources.tolist() == [0, 3]
    log_probs, frontier = frontier.step(deep)
    picked = growth([[1, 0, 1], [2, 3, 2]], [[0, 0, 1], [4, 1, 3]], log_probs)
    frontier = frontier.advance(picked, torch.tensor([True, True]))
    assert frontier.width == 3
    assert frontier.paths.tokens[:3].tolist() == [[1, 0], [4, 0], [1, 1]]
    log_probs, _ = frontier.step(deep)
    for row, tokens in enumerate(frontier.paths.tokens.tolist()):
        source = [0, 3][row // 3]
        for token in range(5):
            wanted = deep.rescore(start, source, [*tokens, token])
            assert [*frontier.paths.log_probs[row].tolist(), float(log_probs[row, token])] == wanted


class TestRowsWithoutAPath:
    @pytest.fixture
    def frontier(self, table):
        """Two sources: one path and two paths."""
        log_probs, frontier = Frontier.begin(table.start(2), Limits(4)).step(table)
        scores = torch.tensor([[-1.0, IMPOSSIBLE], [-1.0, -2.0]])
        picked = growth([[0, 0], [1, 1]], [[4, 3], [0, 1]], log_probs, scores)
        return frontier.advance(picked, torch.tensor([True, True]))

    def test_lead_nowhere(self, frontier, table):
        log_probs, _ = frontier.step(table)
        assert torch.isneginf(log_probs[1]).all()
        assert log_probs[[0, 2, 3]].isfinite().all()

    def test_are_not_read(self, frontier, table):
        frontier.step(table)
        assert table.seen == [2, 3]

    def test_the_others_read_their_own_contexts_and_states(self, deep):
        start = deep.start(2)
        log_probs, frontier = Frontier.begin(start, Limits(4)).step(deep)
        scores = torch.tensor([[-1.0, IMPOSSIBLE], [-1.0, -2.0]])
        picked = growth([[0, 0], [1, 1]], [[4, 3], [0, 1]], log_probs, scores)
        log_probs, frontier = frontier.advance(picked, torch.tensor([True, True])).step(deep)
        picked = growth([[0, 0], [3, 2]], [[4, 3], [0, 1]], log_probs)
        last, _ = frontier.advance(picked, torch.tensor([True, True])).step(deep)
        for row, (source, tokens) in enumerate(
            [(0, [4, 4]), (0, [4, 3]), (1, [1, 0]), (1, [0, 1])]
        ):
            wanted = [deep.rescore(start, source, [*tokens, token])[-1] for token in range(5)]
            assert last[row].tolist() == pytest.approx(wanted, abs=1e-6)

    def test_are_not_complained_of(self, frontier, table):
        table.log_probs[3] = float("nan")
        log_probs, _ = frontier.step(table)
        assert torch.isneginf(log_probs[1]).all()
        assert log_probs[[0, 2, 3]].isfinite().all()

    def test_but_the_others_are(self, frontier, table):
        table.log_probs[1] = float("nan")
        with pytest.raises(DecodeError, match="row 1 at step 2 have NaN"):
            frontier.step(table)
