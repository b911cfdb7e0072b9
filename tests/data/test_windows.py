"""Training batches out of one stream: what they cover, and that they depend on the step alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.data import TextSize
from seqgen.data.epochs import Epochs
from seqgen.data.windows import Lanes, RandomWindows, Window

SIZE = TextSize(1, 1)


def as_text(tokens):
    return ["".join(chr(97 + token) for token in row) for row in tokens.tolist()]


def joined(kind, steps):
    """Inputs and targets of some steps, lane by lane."""
    batches = [kind.batch(step) for step in steps]
    return torch.cat([each.inputs for each in batches], 1), torch.cat(
        [each.targets for each in batches], 1
    )


sizes = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(0, 60), st.integers(0, 9))


def lanes(size):
    rows, window, more, seed = size
    count = rows * window + window - 1 + more
    return Lanes(Epochs(torch.arange(count + 1)), SIZE, Window(rows, window), seed)


class TestLanes:
    def test_the_example_of_the_documentation(self):
        made = Lanes(Epochs(torch.arange(15)), SIZE, Window(2, 3), seed=0)
        assert made.steps_per_epoch == 2
        for step, (inputs, targets) in enumerate(
            [(["abc", "ghi"], ["bcd", "hij"]), (["def", "jkl"], ["efg", "klm"])]
        ):
            batch = made.batch(step)
            assert (as_text(batch.inputs), as_text(batch.targets)) == (inputs, targets)
            assert batch.lengths is None

    @settings(deadline=None)
    @given(sizes, st.integers(0, 3))
    def test_lanes_are_contiguous_and_adjoin_one_another(self, size, epoch):
        made = lanes(size)
        rows, window, _, _ = size
        steps = range(epoch * made.steps_per_epoch, (epoch + 1) * made.steps_per_epoch)
        inputs, targets = joined(made, steps)
        assert torch.equal(targets, inputs + 1)
        first, last = int(inputs[0, 0]), int(targets[-1, -1])
        assert inputs.flatten().tolist() == list(range(first, last))
        assert 0 <= first < window
        assert last <= made.tokens
        assert made.tokens - (last - first) < rows + window - 1

    @settings(deadline=None)
    @given(sizes)
    def test_windows_are_full_but_for_the_last(self, size):
        made = lanes(size)
        rows, window, _, _ = size
        shapes = [tuple(made.batch(step).inputs.shape) for step in range(made.steps_per_epoch)]
        assert shapes[:-1] == [(rows, window)] * (len(shapes) - 1)
        assert 0 < shapes[-1][1] <= window

    @settings(deadline=None)
    @given(sizes)
    def test_the_state_is_carried_within_an_epoch(self, size):
        made = lanes(size)
        continues = [made.batch(step).continues for step in range(3 * made.steps_per_epoch)]
        assert continues == [False, *[True] * (made.steps_per_epoch - 1)] * 3

    def test_epochs_begin_at_offsets_of_the_seed(self):
        offsets = {}
        for seed in (1, 2):
            made = Lanes(Epochs(torch.arange(1000)), SIZE, Window(4, 16), seed)
            firsts = [made.batch(epoch * made.steps_per_epoch) for epoch in range(300)]
            offsets[seed] = [int(each.inputs[0, 0]) for each in firsts]
        assert offsets[1][0] == offsets[2][0] == 0
        assert offsets[1] != offsets[2]
        assert set(offsets[1]) == set(offsets[2]) == set(range(16))


class TestRandomWindows:
    @settings(deadline=None)
    @given(sizes)
    def test_windows_lie_inside_and_targets_follow(self, size):
        rows, window, more, seed = size
        made = RandomWindows(
            Epochs(torch.arange(window + more + 1)), SIZE, Window(rows, window), seed
        )
        for step in range(5):
            batch = made.batch(step)
            assert batch.inputs.shape == (rows, window)
            assert torch.equal(batch.targets, batch.inputs + 1)
            assert torch.equal(batch.inputs[:, :1] + torch.arange(window), batch.inputs)
            assert 0 <= int(batch.inputs.min()) < int(batch.targets.max()) <= made.tokens
            assert not batch.continues
            assert batch.lengths is None

    def test_the_first_and_the_last_places_are_drawn(self):
        made = RandomWindows(Epochs(torch.arange(31)), SIZE, Window(8, 10), seed=3)
        starts = {int(row[0]) for step in range(60) for row in made.batch(step).inputs}
        assert starts == set(range(21))

    def test_an_epoch_is_as_many_tokens_as_there_are(self):
        made = RandomWindows(Epochs(torch.arange(1001)), SIZE, Window(8, 10), seed=3)
        assert (made.tokens, made.steps_per_epoch) == (1000, 13)

    def test_seeds_differ(self):
        one, other = (
            RandomWindows(Epochs(torch.arange(999)), SIZE, Window(8, 10), seed).batch(0)
            for seed in (1, 2)
        )
        assert not torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize("kind", [Lanes, RandomWindows])
def test_says_what_it_holds(kind):
    made = kind(Epochs(torch.arange(101)), TextSize(100, 250), Window(2, 3), 0)
    assert (made.tokens, made.size) == (100, TextSize(100, 250))


@pytest.mark.parametrize("kind", [Lanes, RandomWindows])
def test_a_batch_is_a_function_of_its_step(kind):
    """Whatever was read before, and in another process: so a resumed run reads the same."""
    first, second = (kind(Epochs(torch.arange(500)), SIZE, Window(3, 8), 5) for _ in range(2))
    forwards = [first.batch(step) for step in range(70)]
    for step in (69, 3, 3, 0, 42):
        again = second.batch(step)
        assert torch.equal(again.inputs, forwards[step].inputs)
        assert torch.equal(again.targets, forwards[step].targets)
        assert again.continues == forwards[step].continues
    assert not torch.equal(forwards[0].inputs, forwards[1].inputs)


@pytest.mark.parametrize("kind", [Lanes, RandomWindows])
def test_each_token_counts_but_not_the_one_before_them(kind):
    made = kind(Epochs(torch.tensor([1, 4, 6, 4, 4, 5, 6, 4, 4])), SIZE, Window(1, 2), 0)
    assert made.counts()["text"].tolist() == [0, 0, 0, 0, 5, 1, 2]


@pytest.mark.parametrize("kind", [Lanes, RandomWindows])
def test_epochs_may_read_other_streams(kind):
    def draw(epoch):
        return torch.arange(41) + 100 * epoch

    epochs = Epochs(draw(0), draw)
    made = kind(epochs, SIZE, Window(2, 4), 1)
    for step in (0, 17, 3, 11, 2 * made.steps_per_epoch - 1, 12):
        batch = made.batch(step)
        assert (batch.inputs // 100).unique().tolist() == [step // made.steps_per_epoch]
        assert torch.equal(batch.targets, batch.inputs + 1)
        assert torch.equal(batch.inputs, kind(epochs, SIZE, Window(2, 4), 1).batch(step).inputs)
