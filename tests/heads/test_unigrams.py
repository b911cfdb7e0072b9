"""How likely each token is when nothing is known of its context."""

import numpy as np
import pytest
import torch

from seqgen.heads.unigrams import unigram_log_probs
from seqgen.tokenizers.facts import Facts


def test_a_token_never_seen_is_rare_but_possible():
    found = unigram_log_probs(Facts(("a", "b"), np.array([0, 8])))
    torch.testing.assert_close(found.exp(), torch.tensor([0.1, 0.9], dtype=torch.float64))


def test_counts_are_needed():
    with pytest.raises(ValueError, match="`unigram_bias` needs counts of tokens"):
        unigram_log_probs(Facts(("a", "b")))
