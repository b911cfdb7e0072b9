"""The check that a token can be chosen from scores."""

import pytest
import torch

from seqgen.decoders.scores import check_scores
from seqgen.errors import DecodeError

NAN, INF = float("nan"), float("inf")
SOURCES = torch.tensor([4, 7, 9])


@pytest.mark.parametrize(
    "row", [[0.0, -1.0, -2.0], [-INF, -3.0, -INF], [1e30, 0.0, -1e30], [-1e-30, -INF, -INF]]
)
def test_one_possible_token_is_enough(row):
    scores = torch.tensor([row] * 3)
    assert check_scores(scores, SOURCES, 0) is None


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ([NAN, 0.0, -1.0], "NaN"),
        ([-INF, -INF, NAN], "NaN"),
        ([INF, NAN, 0.0], "NaN"),
        ([0.0, INF, 0.0], "inf as the best score"),
        ([-INF, -INF, -INF], "-inf as the best score"),
    ],
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_fault_is_named_by_source_step_and_kind(row, what, index):
    scores = torch.zeros(3, 3)
    scores[index] = torch.tensor(row)
    with pytest.raises(DecodeError) as caught:
        check_scores(scores, SOURCES, 11)
    assert str(caught.value) == (
        f"the model's scores for row {int(SOURCES[index])} at step 12 have {what}; "
        "no token can be chosen from them"
    )
