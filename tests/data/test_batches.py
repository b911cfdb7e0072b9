"""Batches: rows padded and moved as a whole; buckets, whose rows depend on seed and step alone."""

import random
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import Example, PairBatch, Prompts, Sources, TextSize, TokenBatch
from seqgen.data.batches import (
    Buckets,
    EncodedRows,
    RowSplit,
    RowTraining,
    append_eos,
    padded,
    shift_right,
)
from seqgen.tokenizers import BOS, EOS, PAD, UNK

PADDED = [torch.tensor([5, 6, EOS]), torch.tensor([EOS]), torch.tensor([7, EOS])]
NONE = torch.tensor([], dtype=torch.long)
TWO = torch.tensor([[6, 2], [2, 0]])


@pytest.mark.parametrize(
    ("rows", "least", "tokens", "lengths"),
    [
        (PADDED, 0, [[5, 6, EOS], [EOS, PAD, PAD], [7, EOS, PAD]], [3, 1, 2]),
        ([NONE, torch.tensor([4])], 0, [[PAD], [4]], [0, 1]),
        ([NONE, NONE], 0, [[], []], [0, 0]),
        ([NONE, NONE], 1, [[PAD], [PAD]], [0, 0]),
        ([torch.tensor([5, 6]), torch.tensor([7])], 1, [[5, 6], [7, 0]], [2, 1]),
        ([], 0, [], []),
        ([], 1, [], []),
    ],
)
def test_shorter_rows_are_padded_at_the_end(rows, least, tokens, lengths):
    found = padded(rows, least)
    assert [each.tolist() for each in found] == [tokens, lengths]
    assert {each.dtype for each in found} == {torch.long}
    assert found[0].shape == (len(rows), max([least, *map(len, rows)]))


def test_inputs_begin_with_bos_and_lack_the_last_token():
    assert shift_right(PADDED).tolist() == [[BOS, 5, 6], [BOS, PAD, PAD], [BOS, 7, PAD]]
    assert [append_eos(row).tolist() for row in (PADDED[0], NONE)] == [[5, 6, EOS, EOS], [EOS]]


@pytest.mark.parametrize(("lengths", "tokens"), [(None, 12), ([4, 0, 1], 5), ([0, 0, 0], 0)])
def test_a_batch_counts_its_real_targets(lengths, tokens):
    inputs = torch.zeros(3, 4, dtype=torch.long)
    given = None if lengths is None else torch.tensor(lengths)
    assert TokenBatch(inputs, inputs, given).tokens == tokens


def pair_batch():
    sources = Sources(torch.tensor([[4, 5, 2], [2, 0, 0]]), torch.tensor([3, 1]))
    return PairBatch(sources, TWO, TWO, torch.tensor([2, 1]), torch.tensor([0, 1]))


def test_pairs_count_their_real_targets_and_are_wholes():
    assert pair_batch().tokens == 3
    assert not pair_batch().continues


@pytest.mark.parametrize(
    "batch",
    [
        TokenBatch(TWO, TWO + 1, None, continues=True),
        TokenBatch(TWO, TWO + 1, torch.tensor([1, 2]), continues=True),
        Prompts(torch.zeros(2, 3), torch.tensor([3, 1])),
        pair_batch(),
        Sources(torch.zeros(1, 2), torch.tensor([2]), torch.zeros(1, 2, 3), torch.ones(1, 2)),
    ],
    ids=lambda batch: type(batch).__name__,
)
def test_a_batch_moves_as_a_whole(batch):
    def check(one, other):
        for name, value in vars(one).items():
            moved = getattr(other, name)
            if isinstance(value, Sources):
                check(value, moved)
            elif isinstance(value, torch.Tensor):
                assert (moved.device.type, moved.shape) == ("meta", value.shape)
            else:
                assert moved == value

    check(batch, batch.to("meta"))


def test_what_was_moved_can_be_looked_at_where_it_was():
    batch = pair_batch()
    assert batch.on_host is batch
    moved = batch.to("meta").to("meta")
    assert moved.on_host is batch
    assert moved.sources.on_host is batch.sources
    assert moved.cut(2)[0].on_host.targets.is_meta  # which is another batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gets_a_batch_while_it_works():
    batch = pair_batch()
    torch.cuda.set_sync_debug_mode("error")
    try:
        moved = batch.to("cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert moved.sources.values.is_cuda
    assert moved.sources.values.cpu().equal(batch.sources.values)
    assert moved.tokens == batch.tokens


@pytest.mark.parametrize(("count", "rows"), [(1, [2]), (2, [1, 1]), (5, [1, 1])])
def test_a_batch_is_cut_into_parts_of_its_rows(count, rows):
    texts = TokenBatch(TWO, TWO + 1, torch.tensor([1, 2]), continues=True)
    parts = texts.cut(count)
    assert [len(each.targets) for each in parts] == rows
    assert sum(each.tokens for each in parts) == texts.tokens
    assert all(each.continues for each in parts)
    assert torch.cat([each.inputs for each in parts]).equal(TWO)
    pairs = pair_batch().cut(count)
    assert torch.cat([each.sources.values for each in pairs]).tolist() == [[4, 5, 2], [2, 0, 0]]
    assert [each.row_ids.tolist() for each in pairs] == ([[0, 1]] if count == 1 else [[0], [1]])
    assert TokenBatch(TWO[:0], TWO[:0]).cut(2) == []


def test_only_floats_become_another_type():
    moved = Sources(torch.zeros(1, 2), torch.tensor([2])).to("cpu", torch.float64)
    assert (moved.values.dtype, moved.lengths.dtype) == (torch.float64, torch.long)


def test_row_ids_have_their_old_name_with_a_warning():
    with pytest.warns(DeprecationWarning, match="TokenBatch.numbers is now called row_ids"):
        batch = TokenBatch(TWO, TWO, numbers=torch.tensor([3, 4]))
    assert batch.row_ids.tolist() == [3, 4]
    with pytest.warns(DeprecationWarning, match="PairBatch.numbers is now called row_ids"):
        assert pair_batch().numbers.tolist() == [0, 1]


LENGTHS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=60)


def epoch_of(buckets, epoch):
    steps = buckets.steps_per_epoch
    return [buckets.rows(step).tolist() for step in range(epoch * steps, (epoch + 1) * steps)]


def padded_tokens(lengths, rows):
    return len(rows) * sum(max(column) for column in zip(*(lengths[i] for i in rows), strict=True))


def by_length(lengths, batches):
    """The batches in the order of their rows' lengths."""
    return sorted(batches, key=lambda rows: [lengths[i] for i in rows])


SEVEN = [[(1, 0)] * short + [(2, 0)] * (7 - short) for short in range(8)]


@pytest.mark.parametrize(
    ("lengths", "options", "sizes"),
    [
        ([(3,), (1,), (2,), (1,), (3,), (2,), (1,), (1,)], {"batch_size": 2}, [2, 2, 2, 2]),
        # A batch ends where the first length changes, unless that is in its first half.
        (SEVEN[5], {"batch_size": 6}, [5, 2]),
        (SEVEN[3], {"batch_size": 6}, [3, 4]),
        (SEVEN[2], {"batch_size": 6}, [6, 1]),
        # (2 + 1) * 4 is 12; a fifth row would make 15, and the one of 2 + 4 is apart.
        ([(2, 1)] * 5 + [(2, 4)], {"batch_size": 1, "batch_tokens": 12}, [4, 2]),
        # A row of more tokens is a batch of its own.
        ([(1, 1), (50, 50), (1, 1)], {"batch_size": 8, "batch_tokens": 10}, [2, 1]),
    ],
)
def test_sizes_of_batches(lengths, options, sizes):
    batches = by_length(lengths, epoch_of(Buckets(lengths, **options), 0))
    assert [len(rows) for rows in batches] == sizes


def test_the_second_length_orders_rows_but_ends_no_batch():
    (rows,) = epoch_of(Buckets([(1, 4), (1, 1), (1, 3), (1, 2)], batch_size=4), 0)
    assert rows == [1, 3, 2, 0]


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_batches_have_every_row_once_by_length_and_all_but_one_are_half_full(
    lengths, size, seed, epoch
):
    batches = by_length(lengths, epoch_of(Buckets(lengths, size, seed=seed), epoch))
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert all(0 < len(rows) <= size for rows in batches)
    assert [lengths[i] for rows in batches for i in rows] == sorted(lengths)
    assert sum(2 * len(rows) < size for rows in batches) <= 1


@given(LENGTHS, st.integers(1, 200), st.integers(0, 3))
def test_batches_by_tokens_stay_below_the_limit(lengths, batch_tokens, epoch):
    batches = epoch_of(Buckets(lengths, 1, batch_tokens), epoch)
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or padded_tokens(lengths, rows) <= batch_tokens


def test_epochs_and_seeds_differ_in_their_order_and_in_which_equal_rows_share_a_batch():
    lengths = [(1 + i % 3,) for i in range(60)]
    buckets = Buckets(lengths, 5, seed=1)
    first, second = epoch_of(buckets, 0), epoch_of(buckets, 1)
    other = epoch_of(Buckets(lengths, 5, seed=2), 0)
    for one in (second, other):
        assert [lengths[rows[0]] for rows in first] != [lengths[rows[0]] for rows in one]
        assert {frozenset(rows) for rows in first} != {frozenset(rows) for rows in one}


def test_a_large_epoch_has_little_padding():
    draw = np.random.default_rng(1)
    lengths = [(int(a), int(a + b)) for a, b in draw.integers([1, 0], [20, 4], (5000, 2))]
    batches = epoch_of(Buckets(lengths, 64), 0)
    real = sum(map(sum, lengths))
    assert sum(padded_tokens(lengths, rows) for rows in batches) < 1.03 * real
    alike = [rows for rows in batches if len({lengths[i][0] for i in rows}) == 1]
    assert len(alike) > 0.7 * len(batches)


@pytest.mark.parametrize("batch_size", [4, 25])
def test_batches_have_no_more_padding_than_those_of_torchtext(batch_size):
    """And every row once, as its BucketIterator has in an epoch."""
    from torchtext import data

    lengths = np.random.default_rng(1).integers(1, 60, 400).tolist()
    rows = [
        data.Example.fromlist([place], [("place", data.RawField())])
        for place in range(len(lengths))
    ]
    state = random.getstate()
    theirs = data.BucketIterator(
        data.Dataset(rows, [("place", data.RawField())]),
        batch_size,
        sort_key=lambda row: lengths[row.place],
        shuffle=True,
    )
    theirs = [batch.place for batch in theirs]
    random.setstate(state)
    ours = epoch_of(Buckets([(n,) for n in lengths], batch_size), 0)
    assert sorted(chain(*ours)) == sorted(chain(*theirs)) == [*range(len(lengths))]
    padded_size = [
        sum(len(b) * max(lengths[i] for i in b) for b in each) for each in (ours, theirs)
    ]
    assert padded_size[0] <= padded_size[1]


def test_there_must_be_rows():
    with pytest.raises(ValueError, match="at least one row"):
        Buckets([], 4)


ROWS = [[4, 5, EOS], [EOS], [UNK, EOS], [6, 6, UNK, EOS], [4, EOS]]
SIZE = TextSize(30, 40)


def collate(columns, places):
    rows = columns["text"]
    return TokenBatch(shift_right(rows), *padded(rows), row_ids=places)


def encoded(rows, shift=0):
    """Rows of numbers, which are their own targets."""
    columns = {"text": [torch.tensor(row) + shift for row in rows]}
    return EncodedRows(columns, [(len(row),) for row in rows], collate, ["text"], "text")


class TestRowTraining:
    def test_it_knows_its_size_and_counts(self):
        training = RowTraining(encoded(ROWS), SIZE, Buckets([(1,)] * 5, 2))
        assert (training.tokens, training.size, training.longest) == (12, SIZE, 4)
        assert training.counts()["text"].tolist() == [0, 0, 5, 2, 2, 1, 2]

    def test_each_epoch_may_have_tokens_of_its_own(self):
        drawn = []

        def draw(epoch):
            drawn.append(epoch)
            return encoded(ROWS, shift=10 * epoch)

        rows = encoded(ROWS)
        training = RowTraining(rows, SIZE, Buckets(rows.lengths, 2, seed=1), draw)
        for step in (0, 4, 3, 8, 1, 5):
            assert int(training.batch(step).targets[:, 0].min()) // 10 == step // 3
        assert drawn == [1, 2, 1], "the epoch that is read is kept"
        assert training.batch(3).targets.tolist() == training.batch(3).targets.tolist()


class TestRowSplit:
    def walked(self, split, batch_size):
        batches = []

        def visit(batch, state):
            assert state is None
            batches.append(batch)
            return batch.tokens, "a state that nothing reads"

        counts = split.walk(visit, lambda size: pytest.fail("rows need no state"), batch_size)
        assert counts == [batch.tokens for batch in batches]
        return batches

    @given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(1, 40))
    def test_each_row_is_read_once_with_rows_of_about_its_length(self, lengths, batch_size):
        rows = [[number + 4] * length for number, length in enumerate(lengths)]
        split = RowSplit(encoded(rows), SIZE)
        batches = self.walked(split, batch_size)
        read = [row for batch in batches for row in batch.row_ids.tolist()]
        assert sorted(read) == list(range(len(rows)))
        assert [lengths[row] for row in read] == sorted(lengths)
        assert all(len(batch.row_ids) == batch_size for batch in batches[:-1])
        assert sum(batch.tokens for batch in batches) == split.tokens == sum(lengths)

    def test_it_counts_unknown_targets_and_keeps_its_examples(self):
        examples = [Example("a", ("b", "c"))]
        split = RowSplit(encoded(ROWS), SIZE, examples)
        assert (split.tokens, split.unknown, split.size) == (12, 2, SIZE)
        assert split.examples == examples
