"""The streams of epochs: as long as the first, and drawn once for each."""

import torch

from seqgen.data.epochs import Epochs


def test_without_a_draw_all_epochs_are_the_first():
    first = torch.arange(5)
    assert all(Epochs(first).stream(epoch) is first for epoch in (0, 1, 7))


def test_are_trimmed_or_begin_again():
    epochs = Epochs(torch.arange(5), lambda epoch: torch.arange(epoch * 2) + 10)
    assert epochs.stream(1).tolist() == [10, 11, 10, 11, 10]
    assert epochs.stream(3).tolist() == [10, 11, 12, 13, 14]


def test_the_epoch_that_is_read_is_drawn_once():
    drawn = []

    def draw(epoch):
        drawn.append(epoch)
        return torch.full((4,), epoch)

    epochs = Epochs(torch.zeros(4), draw)
    for epoch in (0, 0, 1, 1, 1, 2, 1):
        assert epochs.stream(epoch).tolist() == [epoch] * 4
    assert drawn == [1, 2, 1]
