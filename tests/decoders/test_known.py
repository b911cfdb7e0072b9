"""The check of tokens that options name."""

import pytest

from seqgen.decoders.known import check_known


def test_tokens_of_the_vocabulary_are_fine():
    assert check_known([0, 1, 2, 4, 5, 9], 10, "`tokens`") is None
    assert check_known([], 10, "`tokens`") is None


@pytest.mark.parametrize("token", [-1, 10, 2**40])
def test_others_are_not(token):
    with pytest.raises(ValueError, match=f"`tokens` must have tokens from 0 to 9, but has {token}"):
        check_known([4, token], 10, "`tokens`")


def test_nor_is_the_unknown_one():
    with pytest.raises(ValueError, match="`text` 'Z' must be known to the tokenizer"):
        check_known([4, 3], 10, "`text` 'Z'")
