"""The encoder `vector`: the vector itself, or a map of it."""

import pytest
import torch

from seqgen.data.batches import Sources

VECTORS = torch.tensor([[1, 2, 3], [-4, 0, 0.5]])
SOURCES = Sources(VECTORS, torch.ones(2, dtype=torch.long))


def test_the_summary_is_the_vector(build):
    encoder = build("vector")
    summary, memory, mask = encoder(SOURCES)
    assert torch.equal(summary, VECTORS)
    assert encoder.summary_size == 3
    assert (encoder.memory_size, memory.shape, mask.tolist()) == (0, (2, 1, 0), [[True], [True]])


def test_with_a_size_it_is_mapped_into_minus_one_to_one(build):
    encoder = build({"name": "vector", "size": 2})
    with torch.no_grad():
        encoder.project[0].weight.copy_(torch.tensor([[1, 0, 0], [0, 0.5, 2.0]]))
        encoder.project[0].bias.copy_(torch.tensor([0, 1.0]))
    wanted = torch.tensor([[1, 8], [-4, 2.0]]).tanh()
    torch.testing.assert_close(encoder(SOURCES).summary, wanted)
    assert encoder.summary_size == 2


def test_it_learns(build):
    encoder = build({"name": "vector", "size": 2})
    encoder(SOURCES).summary.sum().backward()
    assert all(each.grad.any() for each in encoder.parameters())


def test_there_may_be_no_vectors(build):
    none = Sources(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    assert build("vector")(none).summary.shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), (2,)])
def test_vectors_of_another_size_are_refused(build, shape):
    wrong = Sources(torch.zeros(shape), torch.ones(2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"`sources.values` must be \[2, 3\], but is \["):
        build("vector")(wrong)
