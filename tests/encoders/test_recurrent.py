"""The encoder `recurrent`: what a cell outputs and remembers, row by row."""

from functools import partial

import pytest
import torch

from seqgen.cells import LSTM
from seqgen.encoders import Recurrent, encoders
from seqgen.options import OptionError


@pytest.mark.parametrize("layers", [1, 2])
def test_memory_and_summary_are_the_cells_own(build, sources, layers):
    cell = {"name": "lstm", "hidden_size": 4, "layers": layers}
    encoder, here = build({"name": "recurrent", "cell": cell, "embedding": {"size": 3}}), sources()
    summary, memory, _ = encoder(here)
    assert (encoder.memory_size, encoder.summary_size) == (4, 8 * layers)
    for row, length in enumerate(here.lengths.tolist()):
        embedded = encoder.vectors.embedding(here.values[[row], :length])
        outputs, (hidden, memories) = encoder.cell.native(embedded) if length else (None, (0, 0))
        if length:
            torch.testing.assert_close(memory[[row], :length], outputs)
            wanted = torch.stack([hidden, memories], 1).flatten()
            torch.testing.assert_close(summary[row], wanted)
        else:
            assert not summary[row].any()


def test_takes_classes_and_partials_as_well_as_parts_of_recipes(sources):
    encoder = Recurrent(9, cell=partial(LSTM, hidden_size=4), letters=None)
    assert encoder(sources()).memory.shape == (5, 6, 4)


def test_a_source_without_tokens_is_refused_by_name():
    with pytest.raises(OptionError, match="encoder 'recurrent' needs a `vocab_size`"):
        encoders.build({"name": "recurrent", "cell": "lstm"}, vector_size=3)
