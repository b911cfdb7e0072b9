"""The laws of encoders, for every registered one, with every cell and with letters; bridges."""

import pytest
import torch

from seqgen.cells import cells
from seqgen.data import Sources
from seqgen.encoders import Bridge, Encoded, Encoder, bridges, encoders
from seqgen.options import OptionError
from seqgen.state import outline
from seqgen.tokenizers import EOS, PAD

READERS = ("recurrent", "bidirectional")
LAYERS = {"recurrent": {}, "bidirectional": {"layers": 2}}
GRU = {"name": "gru", "hidden_size": 3}


def spelt(name):
    letters = {"name": "bidirectional", "cell": GRU, "embedding": {"size": 2}}
    return {"name": name, "cell": GRU, **LAYERS[name], "letters": letters}


CASES = [
    *(name for name in encoders.names() if name not in {*READERS, "vector"}),
    *((name, cell) for name in READERS for cell in cells.names()),
    *((name, None) for name in READERS),
]


@pytest.fixture(params=CASES, ids=str)
def spec(request, small):
    if isinstance(request.param, str):
        return small(encoders, request.param)
    name, cell = request.param
    if cell is None:
        return spelt(name)
    return {"name": name, "cell": small(cells, cell), **LAYERS[name], "embedding": {"size": 4}}


@pytest.fixture
def encoder(spec, build):
    return build(spec)


def test_none_is_forgotten(build, small):
    names = {case if isinstance(case, str) else case[0] for case in CASES}
    assert names | {"vector"} == set(encoders.names())
    assert all(isinstance(build(small(encoders, name)), Encoder) for name in encoders.names())


def test_what_is_left_has_the_sizes_that_are_said(encoder, sources):
    here = sources()
    summary, memory, mask = encoder(here)
    assert summary.shape == (5, encoder.summary_size)
    time = here.values.shape[1] if encoder.memory_size else 1
    assert memory.shape == (5, time, encoder.memory_size)
    assert mask.shape == (5, time)
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == (here.lengths if encoder.memory_size else mask.sum(1)).tolist()
    assert not memory[~mask].any()


def test_a_row_has_what_it_has_alone(encoder, sources, row_of):
    here = sources()
    together = encoder(here)
    for row, length in enumerate(here.lengths.tolist()):
        alone = encoder(row_of(here, row))
        torch.testing.assert_close(together.summary[[row]], alone.summary, rtol=1e-5, atol=1e-6)
        time = alone.memory.shape[1]
        assert time == (length if encoder.memory_size else 1)
        torch.testing.assert_close(
            together.memory[[row], :time], alone.memory, rtol=1e-5, atol=1e-6
        )


def test_padding_does_not_matter_and_learns_nothing(encoder, sources, other_padding):
    here, found = sources(), []
    for each in (here, other_padding(here)):
        encoder.zero_grad()
        summary, memory, _ = encoder(each)
        (summary.square().sum() + memory.square().sum()).backward()
        gradients = [p.grad for p in encoder.parameters()]
        found.append([summary, memory, *(each.clone() for each in gradients)])
    torch.testing.assert_close(*found, rtol=0, atol=0)
    # Nothing but padding has the last token.
    assert not next(encoder.parameters()).grad[-1].any()


def test_every_parameter_learns(encoder, sources):
    summary, memory, _ = encoder(sources())
    (summary.square().sum() + memory.square().sum()).backward()
    assert all(each.grad is not None and each.grad.any() for each in encoder.parameters())


def test_the_order_of_the_rows_is_that_of_the_sources(encoder, sources):
    here, order = sources(), torch.tensor([4, 1, 0, 3, 2])
    moved = Sources(
        here.values[order], here.lengths[order], here.letters[order], here.letter_lengths[order]
    )
    for one, other in zip(encoder(here), encoder(moved), strict=True):
        torch.testing.assert_close(one[order], other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [(), (0,), (0, 0)], ids=str)
@pytest.mark.parametrize("time", [0, 2])
def test_sources_without_tokens(encoder, sources, lengths, time):
    summary, memory, mask = encoder(sources(lengths, time))
    assert summary.shape == (len(lengths), encoder.summary_size)
    assert torch.isfinite(summary).all()
    places = time if encoder.memory_size else 1
    assert memory.shape == (len(lengths), places, encoder.memory_size)
    assert not memory.any()
    assert mask.any() == (not encoder.memory_size and bool(lengths))


def test_rows_that_fill_the_batch_take_another_route_to_the_same_end(encoder, sources):
    full = encoder(sources((4, 4, 4)))
    among = encoder(sources((4, 4, 4), 5))
    torch.testing.assert_close(full.summary, among.summary, rtol=1e-5, atol=1e-6)
    time = full.memory.shape[1]
    torch.testing.assert_close(full.memory, among.memory[:, :time], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("where", ["dropout", "input_dropout"])
def test_dropout_is_in_training_only(build, sources, name, where):
    encoder, here = build({"name": name, "cell": GRU, where: 0.5}), sources()
    encoder.train()
    one, other = encoder(here), encoder(here)
    assert not torch.equal(one.memory, other.memory)
    assert not one.memory[~one.mask].any()
    assert torch.equal(one.summary, other.summary) == (where == "dropout")
    encoder.eval()
    assert torch.equal(encoder(here).memory, encoder(here).memory)


def test_a_summary_alone_has_one_empty_place_to_look_at():
    summary, memory, mask = Encoded.without_memory(torch.ones(2, 3))
    assert summary.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert memory.shape == (2, 1, 0)
    assert mask.tolist() == [[True], [True]]


@pytest.fixture
def summary():
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", bridges.names())
def test_every_bridge_gives_a_state_its_numbers(name):
    bridge = bridges.build(name, summary_size=5, state_size=5)
    assert isinstance(bridge, Bridge)
    for rows in (3, 0):
        assert bridge(torch.randn(rows, 5)).shape == (rows, 5)


@pytest.mark.parametrize("cell", cells.names())
def test_any_cell_begins_with_what_comes_over_the_bridge(small, cell, summary):
    made = cells.build(small(cells, cell), input_size=3).eval()
    size = made.summary(made.initial_state(1)).shape[1]
    bridge = bridges.build("linear", summary_size=5, state_size=size)
    numbers = bridge(summary)
    state = made.state_from(numbers)
    assert outline(state) == outline(made.initial_state(3))
    torch.testing.assert_close(made.summary(state), numbers)
    outputs, _ = made(torch.randn(3, 2, 3), state)
    outputs.sum().backward()
    assert bridge.linear.weight.grad.any()


def test_what_each_bridge_makes_of_a_summary(summary):
    bridge = bridges.build("linear", summary_size=5, state_size=2)
    with torch.no_grad():
        bridge.linear.weight.fill_(1)
        bridge.linear.bias.fill_(0.5)
    wanted = (summary.sum(1, keepdim=True) + 0.5).tanh().expand(3, 2)
    torch.testing.assert_close(bridge(summary), wanted)
    assert bridges.build("copy", summary_size=5, state_size=5)(summary) is summary
    assert bridges.build("zeros", state_size=2)(summary).tolist() == [[0, 0]] * 3


def test_copy_wants_equal_sizes():
    with pytest.raises(OptionError, match="they have 5 and 6 numbers; `linear` maps any to any"):
        bridges.build("copy", summary_size=5, state_size=6)


class TestLabel:
    """The first token, and nothing else."""

    @pytest.fixture
    def encoder(self, build):
        return build({"name": "label", "size": 4})

    def test_the_summary_is_the_vector_of_the_label(self, encoder):
        here = Sources(torch.tensor([[7, EOS], [5, EOS]]), torch.ones(2) * 2)
        summary, memory, mask = encoder(here)
        assert torch.equal(summary, encoder.embedding.table()[[7, 5]])
        assert (encoder.summary_size, encoder.memory_size) == (4, 0)
        assert memory.shape == (2, 1, 0)
        assert mask.all()

    def test_what_comes_after_the_label_is_not_read(self, encoder):
        pairs = (torch.tensor([[7, EOS, PAD]]), torch.tensor([[7, 4]]))
        one, other = (encoder(Sources(each, torch.tensor([2]))).summary for each in pairs)
        assert torch.equal(one, other)

    def test_no_label_is_padding_whatever_stands_there(self, encoder):
        for values in (torch.tensor([[5, 6]]), torch.zeros(1, 0, dtype=torch.long)):
            summary = encoder(Sources(values, torch.tensor([0]))).summary
            assert torch.equal(summary, encoder.embedding.table()[[PAD]])


class TestVector:
    """The vector itself, or a map of it."""

    VECTORS = torch.tensor([[1, 2, 3], [-4, 0, 0.5]])
    SOURCES = Sources(VECTORS, torch.ones(2, dtype=torch.long))

    def test_the_summary_is_the_vector(self, build):
        encoder = build("vector")
        summary, memory, mask = encoder(self.SOURCES)
        assert torch.equal(summary, self.VECTORS)
        assert (encoder.summary_size, encoder.memory_size) == (3, 0)
        assert (memory.shape, mask.tolist()) == ((2, 1, 0), [[True], [True]])
        none = Sources(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
        assert encoder(none).summary.shape == (0, 3)

    def test_with_a_size_it_is_mapped_into_minus_one_to_one_and_learns(self, build):
        encoder = build({"name": "vector", "size": 2})
        with torch.no_grad():
            encoder.project[0].weight.copy_(torch.tensor([[1, 0, 0], [0, 0.5, 2.0]]))
            encoder.project[0].bias.copy_(torch.tensor([0, 1.0]))
        wanted = torch.tensor([[1, 8], [-4, 2.0]]).tanh()
        summary = encoder(self.SOURCES).summary
        torch.testing.assert_close(summary, wanted)
        assert encoder.summary_size == 2
        summary.sum().backward()
        assert all(each.grad.any() for each in encoder.parameters())

    @pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), (2,)])
    def test_vectors_of_another_size_are_refused(self, build, shape):
        wrong = Sources(torch.zeros(shape), torch.ones(2, dtype=torch.long))
        with pytest.raises(ValueError, match=r"`sources.values` must be \[2, 3\], but is \["):
            build("vector")(wrong)
