"""The laws of encoders, for every registered one, with every cell, and with letters."""

import pytest
import torch

from seqgen.cells import cells
from seqgen.data.batches import Sources
from seqgen.encoders import Encoded, Encoder, encoders

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
