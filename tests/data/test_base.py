"""What all kinds of data hand over: batches."""

import pytest
import torch

from seqgen.data import Data, Prompts, TokenBatch, data


@pytest.fixture(params=data.names())
def kind(request, small):
    return data.build(small(data, request.param), seed=1)


def test_every_kind_says_its_roles_before_it_reads(kind):
    """Recipes are checked by building; data that is missing must not get in the way."""
    assert isinstance(kind, Data)
    assert kind.output_role in kind.roles
    assert isinstance(kind.ends, bool)
    sizes = kind.sizes({role: range(7 + i) for i, role in enumerate(kind.roles)})
    assert sizes.keys() <= {"vocab_size", "source"}
    assert all(isinstance(size, int) for size in sizes.get("source", {}).values())
    assert sizes["vocab_size"] == 7 + kind.roles.index(kind.output_role)


@pytest.mark.parametrize(("lengths", "tokens"), [(None, 12), ([4, 0, 1], 5), ([0, 0, 0], 0)])
def test_a_batch_counts_its_real_targets(lengths, tokens):
    inputs = torch.zeros(3, 4, dtype=torch.long)
    given = None if lengths is None else torch.tensor(lengths)
    assert TokenBatch(inputs, inputs, given).tokens == tokens


def test_a_batch_moves_as_a_whole():
    inputs = torch.arange(6).view(2, 3)
    for lengths in (None, torch.tensor([1, 2])):
        moved = TokenBatch(inputs, inputs + 1, lengths, continues=True).to("meta")
        assert moved.continues
        assert {moved.inputs.device.type, moved.targets.device.type} == {"meta"}
        assert (moved.lengths is None) == (lengths is None)
        assert lengths is None or moved.lengths.device.type == "meta"


def test_prompts_move_as_a_whole():
    moved = Prompts(torch.zeros(2, 3), torch.tensor([3, 1])).to("meta")
    assert {moved.tokens.device.type, moved.lengths.device.type} == {"meta"}
