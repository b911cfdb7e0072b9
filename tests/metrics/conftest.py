"""Answers as tests of metrics need them."""

import pytest

from seqgen.metrics import Answer


@pytest.fixture
def answers():
    """A function from rows of an output and its references to answers."""

    def make(*rows):
        return [
            Answer(f"source {i}", output, tuple(references))
            for i, (output, *references) in enumerate(rows)
        ]

    return make
