"""The search of one source, fed by hand."""

import numpy as np
import pytest

from seqgen.decoders import Hypothesis
from seqgen.decoders.best_first import BestFirst, Node, Scores
from seqgen.decoders.length_normalisation import LengthNormalisation

IS_END = np.array([False, False, True])


@pytest.fixture
def begin():
    """A function from options to a search that has its root still to be picked."""

    def search(room=3, n_best=1, max_nodes=100, formula="none"):
        root = Node((), (), 0.0, 1, None)
        return BestFirst(root, room, n_best, LengthNormalisation(formula), max_nodes)

    return search


def scores(**by_token):
    """Scores of tokens 0, 1, 2 in the order of a stepper."""
    pairs = sorted(((int(key[1]), value) for key, value in by_token.items()), key=lambda p: -p[1])
    tokens, log_probs = zip(*pairs, strict=True)
    return Scores(np.array(tokens), np.array(log_probs, dtype=float))


def test_the_root_is_first_and_then_the_best_child(begin):
    search = begin()
    [root] = search.pick(5)
    assert (root.tokens, root.last) == ((), 1)
    search.expand(root, scores(t0=-1.0, t1=-0.5, t2=-3.0), IS_END, None)
    assert [node.tokens for node in search.pick(5)] == [(1,), (0,)]


def test_what_cannot_come_to_the_best_any_more_is_not_picked(begin):
    search = begin()
    [root] = search.pick(5)
    search.expand(root, scores(t0=-4.0, t1=-3.0, t2=-0.1), IS_END, None)
    assert search.pick(5) == []
    [found] = search.results()
    assert (found.tokens, found.finished, found.complete) == ((2,), True, True)


def test_with_a_length_normalisation_it_may(begin):
    search = begin(formula="power")
    [root] = search.pick(5)
    search.expand(root, scores(t0=-7.0, t1=-1.0, t2=-1.5), IS_END, None)
    assert [node.tokens for node in search.pick(5)] == [(1,)]  # -1 / 3 is above -1.5, -7 / 3 is not


def test_at_the_last_length_all_are_over(begin):
    search = begin(room=1, n_best=2)
    [root] = search.pick(5)
    search.expand(root, scores(t0=-1.0, t1=-0.5, t2=-3.0), IS_END, None)
    assert search.pick(5) == []
    assert [(each.tokens, each.finished) for each in search.results()] == [
        ((1,), False),
        ((0,), False),
    ]


def test_without_budget_the_greedy_path_still_comes_to_its_end(begin):
    search = begin(room=3, max_nodes=1)
    picked = []
    while nodes := search.pick(5):
        picked += [node.tokens for node in nodes]
        search.expand(nodes[0], scores(t0=-1.0, t1=-0.9, t2=-3.0), IS_END, None)
    assert picked == [(), (1,), (1, 1)]
    [found] = search.results()
    assert found.tokens == (1, 1, 1)
    assert not found.complete


def test_no_room_has_nothing_to_do(begin):
    search = begin(room=0)
    assert search.pick(5) == []
    assert search.results() == [Hypothesis((), 0.0, False)]


def test_dead_ends_are_given_up_and_the_longest_one_is_what_comes_of_them(begin):
    search = begin(max_nodes=4)
    [root] = search.pick(1)
    search.expand(root, scores(t0=-1.0, t1=-2.0, t2=float("-inf")), IS_END, None)
    [first] = search.pick(1)
    assert first.tokens == (0,)
    search.give_up(first)
    assert search.results() == [Hypothesis((0,), -1.0, False, (-1.0,), None, False, False)]
    [second] = search.pick(1)  # and from there the best child comes next, as after the root
    search.expand(second, scores(t0=-1.0, t1=-2.0, t2=float("-inf")), IS_END, None)
    [third] = search.pick(1)
    assert third.tokens == (1, 0)
    search.give_up(third)
    assert search.results()[0][:2] == ((1, 0), -3.0)
    assert search.pick(1) == []  # the budget
    assert not search.results()[0].complete
