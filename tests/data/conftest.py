"""What tests of data share: tokenizers for each field, and one that samples."""

from functools import partial

import pytest

from seqgen.errors import DataError
from seqgen.tokenizers import CharTokenizer, tokenizers


@pytest.fixture
def said(said):
    """The same of errors of data."""
    return partial(said, kind=DataError)


@pytest.fixture
def fit():
    """A function that fits to a kind of data its default tokenizers, else `char`, or given ones."""

    def fitted(kind, **given):
        texts, made = kind.training_texts(), {}
        for field in kind.fields:
            default = kind.default_tokenizers.get(field, "char")
            made[field] = given[field] if field in given else tokenizers.build(default)
            made[field].fit(texts[field])
        return made

    return fitted


class Doubling(CharTokenizer):
    """Pieces that the seed draws: each character, or each character twice."""

    samples = True

    def sample(self, text, seed):
        tokens = self.encode(text)
        return tokens.repeat(2) if seed % 2 else tokens


@pytest.fixture
def doubling():
    return Doubling
