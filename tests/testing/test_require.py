"""The small part that a check builds."""

from functools import partial

import pytest

from seqgen.cells import LSTM, Cell, cells
from seqgen.decoders import decoders
from seqgen.encoders import encoders
from seqgen.models import models
from seqgen.testing import require
from seqgen.testing.laws import BreachError
from seqgen.testing.require import small_part


@pytest.mark.parametrize(
    ("spec", "options", "name", "size"),
    [
        ("lstm", {}, "cells.lstm", 8),
        ("lstm", {"hidden_size": 3}, "cells.lstm", 3),
        ({"name": "lstm", "hidden_size": 4}, {}, "cells.lstm", 4),
        ({"name": "lstm", "hidden_size": 4}, {"hidden_size": 5}, "cells.lstm", 5),
        (LSTM, {}, "LSTM", 8),
        (LSTM, {"hidden_size": 2}, "LSTM", 2),
        (lambda input_size: LSTM(input_size, 6), {}, "<lambda>", 6),
        (partial(LSTM, hidden_size=7), {}, "partial", 7),
    ],
)
def test_it_is_small_unless_something_is_said(spec, options, name, size):
    found, factory = small_part(cells, spec, options)
    assert found == name
    assert factory(input_size=2, more_than_it_asks_for=1).output_size == size


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        (cells, "zoneout"),
        (encoders, "recurrent"),
        (encoders, "bidirectional"),
        (models, "language_model"),
        (models, "seq2seq"),
        (models, "tagger"),
    ],
)
def test_a_required_cell_or_encoder_is_a_small_one(registry, name):
    _, factory = small_part(registry, name, {})
    made = factory(input_size=3, vocab_size=7, source={"vocab_size": 7})
    assert sum(each.numel() for each in made.parameters()) < 8000


def test_a_checked_part_will_do():
    part = cells.check({"name": "lstm", "hidden_size": 3})
    assert small_part(cells, part, {})[1](input_size=2).output_size == 3


def test_options_that_all_of_a_kind_have_are_left_to_the_registry():
    _, factory = small_part(decoders, "greedy", {})
    assert factory(seed=1, vocab_size=5).constraints == ()


@pytest.mark.parametrize("spec", [None, 3, {}, {"size": 3}, "nothing"])
def test_what_is_no_part_is_a_value_error(spec):
    with pytest.raises(ValueError, match="cell"):
        small_part(cells, spec, {})


def test_a_contract_is_required():
    require.contract(LSTM(2, 3), Cell)
    with pytest.raises(BreachError, match=r"dict is no Cell: it must extend seqgen\.cells\.Cell"):
        require.contract({}, Cell)
