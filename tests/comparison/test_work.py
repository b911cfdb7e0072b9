"""What a system costs."""

import pytest

from seqgen.comparison.work import work


def test_rows_for_an_input_over_all_seeds(produced):
    found = work(produced("a", ["x", "y"], ["x", "z"], rows=26))
    assert found == {"rows_per_input": {"value": pytest.approx(6.5)}}


def test_without_inputs_there_is_none(produced):
    assert work(produced("a", [])) == {}
