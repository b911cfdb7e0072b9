"""Batches: rows padded to one length, real targets counted, all of it moved as a whole."""

import pytest
import torch

from seqgen.data import PairBatch, Prompts, Sources, TokenBatch
from seqgen.data.batches import append_eos, padded, shift_right
from seqgen.tokenizers import BOS, EOS, PAD

ROWS = [torch.tensor([5, 6, EOS]), torch.tensor([EOS]), torch.tensor([7, EOS])]
NONE = torch.tensor([], dtype=torch.long)
TWO = torch.tensor([[6, 2], [2, 0]])


@pytest.mark.parametrize(
    ("rows", "least", "tokens", "lengths"),
    [
        (ROWS, 0, [[5, 6, EOS], [EOS, PAD, PAD], [7, EOS, PAD]], [3, 1, 2]),
        ([NONE, torch.tensor([4])], 0, [[PAD], [4]], [0, 1]),
        ([NONE, NONE], 0, [[], []], [0, 0]),
        ([NONE, NONE], 1, [[PAD], [PAD]], [0, 0]),
        ([torch.tensor([5, 6]), torch.tensor([7])], 1, [[5, 6], [7, 0]], [2, 1]),
        ([], 0, [], []),
    ],
)
def test_shorter_rows_are_padded_behind(rows, least, tokens, lengths):
    found = padded(rows, least)
    assert [each.tolist() for each in found] == [tokens, lengths]
    assert {each.dtype for each in found} == {torch.long}
    assert not rows or found[0].shape[1] >= least


def test_without_rows_there_is_still_a_time():
    assert [tuple(padded([], least)[0].shape) for least in (0, 1)] == [(0, 0), (0, 1)]


def test_inputs_begin_with_bos_and_lack_the_last_token():
    assert shift_right(ROWS).tolist() == [[BOS, 5, 6], [BOS, PAD, PAD], [BOS, 7, PAD]]


def test_an_end_is_put_behind():
    assert append_eos(torch.tensor([5, 6])).tolist() == [5, 6, EOS]
    assert append_eos(NONE).tolist() == [EOS]


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


def test_only_floats_become_another_type():
    moved = Sources(torch.zeros(1, 2), torch.tensor([2])).to("cpu", torch.float64)
    assert (moved.values.dtype, moved.lengths.dtype) == (torch.float64, torch.long)


def test_row_ids_have_their_old_name_with_a_warning():
    with pytest.warns(DeprecationWarning, match="TokenBatch.numbers is now called row_ids"):
        batch = TokenBatch(TWO, TWO, numbers=torch.tensor([3, 4]))
    assert batch.row_ids.tolist() == [3, 4]
    with pytest.warns(DeprecationWarning, match="PairBatch.numbers is now called row_ids"):
        assert pair_batch().numbers.tolist() == [0, 1]
