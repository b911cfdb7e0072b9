"""The encoder `bidirectional`, against torch's own network of two directions."""

import pytest
import torch
from torch import nn


@pytest.fixture(params=[1, 2, 3])
def layers(request):
    return request.param


@pytest.fixture
def encoder(build, layers):
    cell = {"name": "lstm", "hidden_size": 4}
    spec = {"name": "bidirectional", "cell": cell, "layers": layers, "embedding": {"size": 3}}
    return build(spec)


def torchs_own(encoder):
    """The same weights as one LSTM of torch."""
    lstm = nn.LSTM(3, 4, len(encoder.forwards), batch_first=True, bidirectional=True)
    own = zip(encoder.forwards, encoder.backwards, strict=True)
    pairs = zip(lstm.all_weights, [cell for pair in own for cell in pair], strict=True)
    with torch.no_grad():
        for weights, cell in pairs:
            for to, of in zip(weights, cell.native.all_weights[0], strict=True):
                to.copy_(of)
    return lstm


def test_is_what_torch_has_row_by_row(encoder, sources, layers):
    here, lstm = sources(), torchs_own(encoder)
    summary, memory, _ = encoder(here)
    assert (encoder.memory_size, encoder.summary_size) == (8, 16 * layers)
    for row, length in enumerate(here.lengths.tolist()):
        if length:
            embedded = encoder.vectors.embedding(here.values[[row], :length])
            outputs, (hidden, memories) = lstm(embedded)
            torch.testing.assert_close(memory[[row], :length], outputs)
            # From the bottom up, forwards before backwards, as torch has them.
            wanted = torch.stack([hidden, memories], 1).flatten()
            torch.testing.assert_close(summary[row], wanted)
        else:
            assert not summary[row].any()


def test_rows_that_fill_the_batch_are_what_torch_has(encoder, sources):
    here = sources((4, 4, 4))
    outputs, _ = torchs_own(encoder)(encoder.vectors.embedding(here.values))
    torch.testing.assert_close(encoder(here).memory, outputs)


def test_the_first_token_knows_the_last_and_the_last_the_first(encoder, sources):
    here = sources((5,))
    for changed, far in ((4, 0), (0, 4)):
        other = here.values.clone()
        other[0, changed] = (other[0, changed] + 1) % 8
        before = encoder(here).memory[0, far]
        after = encoder(type(here)(other, here.lengths)).memory[0, far]
        assert not torch.allclose(before, after)


def test_directions_have_weights_of_their_own(encoder):
    for one, other in zip(encoder.forwards, encoder.backwards, strict=True):
        assert not torch.equal(one.native.weight_ih_l0, other.native.weight_ih_l0)


def test_dropout_is_between_layers_too(build, sources):
    cell = {"name": "gru", "hidden_size": 32}
    spec = {"name": "bidirectional", "cell": cell, "dropout": 0.5}
    for layers, same in ((1, True), (2, False)):
        encoder = build({**spec, "layers": layers}).train()
        one, other = encoder(sources()), encoder(sources())
        assert torch.equal(one.summary, other.summary) == same
        assert not torch.equal(one.memory, other.memory)
