"""Batches of sources and targets: they count real targets, and move as a whole."""

import torch

from seqgen.data import PairBatch, Sources


def batch():
    sources = Sources(torch.tensor([[4, 5, 2], [2, 0, 0]]), torch.tensor([3, 1]))
    targets = torch.tensor([[6, 2], [2, 0]])
    return PairBatch(sources, targets, targets, torch.tensor([2, 1]), torch.tensor([0, 1]))


def test_real_targets_are_counted_and_rows_are_wholes():
    assert batch().tokens == 3
    assert not batch().continues


def test_sources_move_with_their_targets():
    moved = batch().to("meta")
    tensors = [moved.inputs, moved.targets, moved.lengths, moved.numbers]
    tensors += [moved.sources.values, moved.sources.lengths]
    assert {each.device.type for each in tensors} == {"meta"}
    assert moved.sources.letters is None


def test_letters_move_too():
    letters = torch.zeros(1, 2, 3)
    moved = Sources(torch.zeros(1, 2), torch.tensor([2]), letters, torch.ones(1, 2)).to("meta")
    assert moved.letters.device.type == moved.letter_lengths.device.type == "meta"
