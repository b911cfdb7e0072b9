"""Buckets: every row once an epoch, like lengths together, and all of it by seed and step alone."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.data import Example, TextSize, TokenBatch
from seqgen.data.batches import begun, padded
from seqgen.data.row_batches import Buckets, EncodedRows, RowSplit, RowTraining, text_size
from seqgen.tokenizers import EOS, UNK

LENGTHS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=60)


def epoch_of(buckets, epoch):
    steps = buckets.steps_per_epoch
    return [buckets.rows(step).tolist() for step in range(epoch * steps, (epoch + 1) * steps)]


def padded_tokens(lengths, rows):
    return len(rows) * sum(max(column) for column in zip(*(lengths[i] for i in rows), strict=True))


def by_length(lengths, batches):
    """The batches in the order of what they hold."""
    return sorted(batches, key=lambda rows: [lengths[i] for i in rows])


class TestExamples:
    def test_rows_of_a_length_share_batches_of_the_size(self):
        lengths = [(3,), (1,), (2,), (1,), (3,), (2,), (1,), (1,)]
        batches = by_length(lengths, epoch_of(Buckets(lengths, batch_size=2), 0))
        assert [[lengths[i][0] for i in rows] for rows in batches] == [
            [1, 1],
            [1, 1],
            [2, 2],
            [3, 3],
        ]

    def test_a_batch_ends_where_the_first_length_changes_unless_that_is_in_its_first_half(self):
        """Five rows of length 1 and two of length 2: the first batch has five rows, the second two;
        of two rows of length 1 and five of length 2 the first batch has six."""
        for short, sizes in ((5, [5, 2]), (3, [3, 4]), (2, [6, 1])):
            lengths = [(1, 0)] * short + [(2, 0)] * (7 - short)
            batches = by_length(lengths, epoch_of(Buckets(lengths, batch_size=6), 0))
            assert [len(rows) for rows in batches] == sizes

    def test_the_second_length_orders_rows_but_ends_no_batch(self):
        lengths = [(1, 4), (1, 1), (1, 3), (1, 2)]
        (rows,) = epoch_of(Buckets(lengths, batch_size=4), 0)
        assert rows == [1, 3, 2, 0]

    def test_batches_by_tokens_count_the_padding_of_both_sides(self):
        """(2 + 1) * 4 is 12; a fifth row would make 15, and the one of 2 + 4 is apart."""
        lengths = [(2, 1)] * 5 + [(2, 4)]
        batches = by_length(lengths, epoch_of(Buckets(lengths, 1, batch_tokens=12), 0))
        assert [len(rows) for rows in batches] == [4, 2]
        assert [padded_tokens(lengths, rows) for rows in batches] == [12, 12]

    def test_a_row_of_more_tokens_is_a_batch_of_its_own(self):
        batches = epoch_of(Buckets([(1, 1), (50, 50), (1, 1)], 8, batch_tokens=10), 0)
        assert sorted(map(sorted, batches)) == [[0, 2], [1]]


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_each_epoch_has_every_row_once(lengths, batch_size, seed, epoch):
    batches = epoch_of(Buckets(lengths, batch_size, seed=seed), epoch)
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert all(0 < len(rows) <= batch_size for rows in batches)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(0, 3))
def test_batches_follow_one_another_in_length_and_all_but_one_are_half_full(lengths, size, epoch):
    batches = by_length(lengths, epoch_of(Buckets(lengths, size), epoch))
    flat = [lengths[i] for rows in batches for i in rows]
    assert flat == sorted(lengths)
    assert sum(2 * len(rows) < size for rows in batches) <= 1


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 200), st.integers(0, 3))
def test_batches_by_tokens_stay_below_the_limit(lengths, batch_tokens, epoch):
    batches = epoch_of(Buckets(lengths, 1, batch_tokens), epoch)
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or padded_tokens(lengths, rows) <= batch_tokens


@settings(deadline=None)
@given(LENGTHS, st.sampled_from([None, 40]), st.lists(st.integers(0, 90), max_size=8))
def test_rows_depend_on_the_seed_and_the_step_alone(lengths, batch_tokens, steps):
    used = Buckets(lengths, 4, batch_tokens, seed=3)
    for step in steps:
        fresh = Buckets(lengths, 4, batch_tokens, seed=3)
        assert used.rows(step).tolist() == fresh.rows(step).tolist()


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


def test_there_must_be_rows():
    with pytest.raises(ValueError, match="at least one row"):
        Buckets([], 4)


# Batches of rows: each row a whole, in training by the buckets, held out each exactly once.


def encoded(rows, shift=0):
    """Rows of numbers, which are their own targets."""
    tokens = [torch.tensor(row) + shift for row in rows]

    def collate(numbers):
        chosen = [tokens[number] for number in numbers]
        return TokenBatch(begun(chosen), *padded(chosen), numbers=torch.tensor(numbers))

    lengths = [(len(row),) for row in rows]
    return EncodedRows(lengths, collate, {"text": tokens}, "text", TextSize(30, 40))


ROWS = [[4, 5, EOS], [EOS], [UNK, EOS], [6, 6, UNK, EOS], [4, EOS]]


class TestRowTraining:
    def test_a_batch_holds_the_rows_that_the_buckets_name(self):
        rows = encoded(ROWS)
        buckets = Buckets(rows.lengths, 2, seed=1)
        training = RowTraining(rows, buckets)
        assert training.steps_per_epoch == buckets.steps_per_epoch == 3
        for step in range(7):
            batch = training.batch(step)
            assert batch.numbers.tolist() == buckets.rows(step).tolist()
            for number, target, length in zip(
                batch.numbers.tolist(), batch.targets, batch.lengths, strict=True
            ):
                assert target[:length].tolist() == ROWS[number]
            assert not batch.continues

    def test_it_knows_its_size_and_counts(self):
        training = RowTraining(encoded(ROWS), Buckets([(1,)] * 5, 2))
        assert training.tokens == 12
        assert training.size == TextSize(30, 40)
        assert training.counts()["text"].tolist() == [0, 0, 5, 2, 2, 1, 2]

    def test_each_epoch_may_have_tokens_of_its_own(self):
        drawn = []

        def draw(epoch):
            drawn.append(epoch)
            return encoded(ROWS, shift=10 * epoch)

        rows = encoded(ROWS)
        training = RowTraining(rows, Buckets(rows.lengths, 2, seed=1), draw)
        for step in (0, 4, 3, 8, 1, 5):
            batch = training.batch(step)
            least = int(batch.targets[:, 0].min())
            assert least // 10 == step // 3
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

    @settings(deadline=None)
    @given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(1, 40))
    def test_each_row_is_read_once_with_rows_of_about_its_length(self, lengths, batch_size):
        rows = [[number + 4] * length for number, length in enumerate(lengths)]
        split = RowSplit(encoded(rows), ())
        batches = self.walked(split, batch_size)
        numbers = [number for batch in batches for number in batch.numbers.tolist()]
        assert sorted(numbers) == list(range(len(rows)))
        assert [lengths[number] for number in numbers] == sorted(lengths)
        assert all(len(batch.numbers) == batch_size for batch in batches[:-1])
        assert sum(batch.tokens for batch in batches) == split.tokens == sum(lengths)

    def test_it_counts_unknown_targets_and_keeps_its_examples(self):
        examples = [Example("a", ("b", "c"))]
        split = RowSplit(encoded(ROWS), examples)
        assert (split.tokens, split.unknown, split.size) == (12, 2, TextSize(30, 40))
        assert split.examples == examples


def test_the_size_of_texts_is_in_characters_and_bytes():
    assert text_size(["ab", "", "cé"]) == TextSize(4, 5)
    assert text_size([]) == TextSize(0, 0)
