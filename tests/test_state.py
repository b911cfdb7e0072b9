"""The verbs of State, on nested and named tuples of any structure."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.state import (
    batch_size_of,
    concatenate,
    detach,
    leaves,
    map_state,
    outline,
    part,
    real,
    rebuild,
    reorder,
    repeat,
    select,
    share,
)

BATCH = 3


class Pair(NamedTuple):
    hidden: object
    memory: object


def structures():
    """States of BATCH rows as plans: a shape for each tensor, tuples, Pairs and Nones."""
    shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
    tensors = st.builds(lambda shape: torch.rand(BATCH, *shape), shapes)
    return st.recursive(
        st.one_of(st.none(), st.just(()), tensors),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(tuple), st.builds(Pair, inner, inner)
        ),
        max_leaves=8,
    )


def same_types(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same_types, one, other))
    return True


def equal(one, other):
    return same_types(one, other) and all(map(torch.equal, leaves(one), leaves(other)))


on_structures = settings(max_examples=30)
example = Pair((torch.arange(6.0).view(3, 2), None), ((), torch.tensor([True, False, True])))


@on_structures
@given(structures())
def test_map_keeps_the_structure_and_touches_every_tensor(state):
    doubled = map_state(lambda tensor: tensor * 2, state)
    assert same_types(doubled, state)
    assert all(torch.equal(a, 2 * b) for a, b in zip(leaves(doubled), leaves(state), strict=True))


@on_structures
@given(structures())
def test_two_states_are_paired_rebuilt_and_counted(state):
    assert equal(map_state(torch.sub, state, state), map_state(torch.zeros_like, state))
    assert equal(rebuild(state, list(leaves(state))), state)
    assert batch_size_of(state) == (BATCH if list(leaves(state)) else None)


@pytest.mark.parametrize("tensors", [[], [torch.zeros(3)] * 3])
def test_rebuild_refuses_another_number_of_tensors(tensors):
    with pytest.raises(ValueError, match=f"must have 2 tensors, but has {len(tensors)}"):
        rebuild(example, tensors)


def test_leaves_go_depth_first():
    a, b, c = torch.zeros(1), torch.ones(1), torch.full((1,), 2.0)
    assert list(leaves((a, None, ((b,), ()), Pair(c, None)))) == [a, b, c]
    assert list(leaves(None)) == list(leaves(())) == []
    assert list(leaves(a)) == [a]


@on_structures
@given(structures(), st.lists(st.integers(0, BATCH - 1), max_size=5))
def test_reorder_takes_rows(state, rows):
    found = reorder(state, torch.tensor(rows, dtype=torch.long))
    assert same_types(found, state)
    for after, before in zip(leaves(found), leaves(state), strict=True):
        assert after.shape == (len(rows), *before.shape[1:])
        assert all(torch.equal(after[i], before[row]) for i, row in enumerate(rows))


@on_structures
@given(structures(), st.integers(1, 3))
def test_repeat_is_a_reorder(state, times):
    rows = torch.tensor([row for row in range(BATCH) for _ in range(times)])
    assert equal(repeat(state, times), reorder(state, rows))


def test_detach_cuts_the_graph_and_keeps_the_values():
    weight = torch.ones(3, 2, requires_grad=True)
    state = Pair(weight * 2, (weight * 3, None))
    found = detach(state)
    assert equal(found, state)
    assert not any(leaf.requires_grad for leaf in leaves(found))
    assert all(leaf.requires_grad for leaf in leaves(state))


@on_structures
@given(structures(), st.lists(st.booleans(), min_size=BATCH, max_size=BATCH))
def test_select_goes_row_by_row(state, mask):
    other = map_state(lambda tensor: tensor - 1, state)
    found = select(torch.tensor(mask), state, other)
    assert same_types(found, state)
    for chosen, yes, no in zip(leaves(found), leaves(state), leaves(other), strict=True):
        for row, holds in enumerate(mask):
            assert torch.equal(chosen[row], (yes if holds else no)[row])


@pytest.mark.parametrize(
    "state",
    [
        (torch.zeros(2, 3), torch.zeros(3, 3)),
        Pair(torch.zeros(2), (torch.zeros(1),)),
        (torch.zeros(2), torch.tensor(0.0)),
    ],
)
def test_two_batch_sizes_are_refused(state):
    with pytest.raises(ValueError, match="`state` must have one batch size"):
        batch_size_of(state)


def test_an_outline_is_the_structure_in_words():
    state = (torch.zeros(4, 8), None, (torch.zeros(4, dtype=torch.int64),))
    assert outline(state) == "(float32 [4, 8], None, (int64 [4]))"
    assert outline([state]) == "list"


def test_tokens_are_real_up_to_the_end_of_their_row():
    found = real(torch.tensor([0, 3, 2]), 3)
    assert found.tolist() == [[False] * 3, [True] * 3, [True, True, False]]


def test_concatenating_fills_up_what_grows_with_the_steps():
    one, other = Pair(torch.ones(1, 2), torch.ones(1, 3)), Pair(torch.ones(2, 2), torch.ones(2, 1))
    found = concatenate(one, other)
    assert type(found) is Pair
    assert torch.equal(found.hidden, torch.ones(3, 2))
    assert found.memory.tolist() == [[1, 1, 1], [1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(("rows", "count"), [(6, 1), (6, 2), (7, 3), (2, 5), (0, 2)])
def test_parts_are_of_about_one_size_and_together_the_whole(rows, count):
    state = Pair(torch.rand(rows, 2), (torch.rand(rows, 3), None)) if rows else None
    parts = [part(state, index, count) for index in range(count)]
    sizes = [len(range(rows)[share(rows, index, count)]) for index in range(count)]
    assert sum(sizes) == rows
    assert max(sizes) - min(sizes) <= 1
    if rows:
        assert [batch_size_of(each) for each in parts] == sizes
        assert all(map(torch.equal, leaves(concatenate(*parts)), leaves(state)))
    else:
        assert parts == [None] * count
