"""The attention `general`."""

import torch

from seqgen.attentions import GeneralAttention


def test_keys_are_as_wide_as_the_cell():
    attention = GeneralAttention(3, 5)
    memory = torch.randn(2, 4, 5)
    keys = attention.keys(memory)
    assert keys.shape == (2, 4, 3)
    torch.testing.assert_close(keys, memory @ attention.of_memory.weight.T)


def test_with_the_identity_it_is_a_plain_product(build, scene):
    general, dot = build("general"), build("dot")
    with torch.no_grad():
        general.of_memory.weight.copy_(torch.eye(4))
        general.combine.load_state_dict(dot.combine.state_dict())
    torch.testing.assert_close(scene.read(general), scene.read(dot))
