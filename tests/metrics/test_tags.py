"""Tags beside those that they should be."""

import pytest

from seqgen.metrics.tags import tag_confusion


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (("N V", "N V"), {"N": {"N": 1}, "V": {"V": 1}}),
        (("N N", "N V"), {"N": {"N": 1}, "V": {"N": 1}}),
        (("N", "N V"), {"N": {"N": 1}, "V": {"": 1}}),
        (("N V N", "N V"), {"": {"N": 1}, "N": {"N": 1}, "V": {"V": 1}}),
        (("V N", "N V N"), {"N": {"": 1, "V": 1}, "V": {"N": 1}}),
        (("", "N"), {"N": {"": 1}}),
        (("", ""), {}),
        (("N V", "V V", "N V", "N N"), {"N": {"N": 1}, "V": {"V": 1}}),
        (("N", "V", "N V"), {"N": {"N": 1}, "V": {"": 1}}),
        (("N", "N V", "V"), {"N": {"N": 1}, "V": {"": 1}}),
    ],
)
def test_token_by_token_with_the_nearest_reference(row, wanted, answers):
    assert tag_confusion(answers(row)).details()["confusion"] == wanted
