"""What is said about a state of the wrong shape."""

import pytest
import torch

from seqgen.cells.state_shape import checked_parts, checked_tensor


def test_a_right_state_is_passed_on():
    tensor = torch.zeros(2, 3)
    assert checked_tensor(tensor, 2, 3) is tensor
    assert checked_parts((tensor, tensor), ("hidden", "memory"), 2, 3) == (tensor, tensor)


@pytest.mark.parametrize(
    ("state", "found"), [(torch.zeros(2, 4), r"\[2, 4\]"), (None, "NoneType"), ((), "tuple")]
)
def test_a_wrong_tensor_is_named(state, found):
    with pytest.raises(ValueError, match=rf"`state` must be \[2, 3\], but is {found}"):
        checked_tensor(state, 2, 3)
    with pytest.raises(ValueError, match=rf"`state.memory` must be \[2, 3\], but is {found}"):
        checked_parts((torch.zeros(2, 3), state), ("hidden", "memory"), 2, 3)


@pytest.mark.parametrize("state", [None, torch.zeros(2, 3), (torch.zeros(2, 3),)])
def test_a_tuple_has_all_its_parts(state):
    with pytest.raises(ValueError, match="`state` must be a tuple of hidden, memory"):
        checked_parts(state, ("hidden", "memory"), 2, 3)
