"""Batches of rows: each row a whole, in training by the buckets, held out each exactly once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.data import Example, TextSize, TokenBatch
from seqgen.data.buckets import Buckets
from seqgen.data.padding import begun, padded
from seqgen.data.row_batches import EncodedRows, RowSplit, RowTraining, text_size
from seqgen.tokenizers import EOS, UNK


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
