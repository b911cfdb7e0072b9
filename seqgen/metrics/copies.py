"""Copies: what outputs have word for word from the training text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple, final

import numpy as np

from seqgen.metrics.ngrams import Numbers

SIZE = 8
"""From how many tokens on the same words are a copy."""

NONE = -1
"""The number of what the other side does not have; it stands behind each text, too."""


@final
class TrainingText:
    """The tokens of the training data, ready for looking up copies; made once for many outputs.

    Each of `texts` is a sequence of tokens, split as outputs are; no copy goes from one into the
    next, so a long text is to be one of them. It holds 8 bytes a token, and looking up takes about
    70 more for as long as it lasts: 80 MB and a second for a million tokens.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        numbers: dict[str, int] = {}
        self.numbers = _joined(texts, lambda token: numbers.setdefault(token, len(numbers)))
        self._vocabulary = numbers

    def number(self, texts: Iterable[Sequence[str]]) -> Numbers:
        """The tokens of all `texts` by the numbers that they have here, or NONE."""
        return _joined(texts, lambda token: self._vocabulary.get(token, NONE))


class Copies(NamedTuple):
    """`share` of the tokens of outputs that are copied; how many tokens the `longest` copy has."""

    share: float
    longest: int


def copies(
    outputs: Sequence[Sequence[str]], training: TrainingText, size: int = SIZE
) -> Copies | None:
    """`tokens in an n-gram of at least `size` tokens that the training text has / tokens`.

    From 0 to 1, over the tokens of all outputs together; how far a model only repeats what it was
    taught (as McCoy et al. 2023 ask by the share of n-grams that are new). Outputs with fewer than
    `size` tokens have no copies. `longest` is that of the longest run of tokens that an output and
    a training text share; it may be below `size`. None where outputs have no tokens.

    Exact: n-grams are compared and not hashed, those of 2n tokens as pairs of those of n tokens. So
    the cost grows with the number of tokens times the logarithm of the longest copy. Errors:
    ValueError where `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"`size` must be at least 1, but is {size}")
    tokens = sum(len(each) for each in outputs)
    if not tokens:
        return None
    single = _shared(1, training.number(outputs), training.numbers)
    found = single
    while found.size < size and found.exist:
        found = found.longer(min(found.size, size - found.size))
    share = found.covered() / tokens
    return Copies(share, _longest(found if found.exist else single))


class _Shared(NamedTuple):
    """The n-grams of `size` tokens that both sides have, by where they begin.

    `outputs` and `training` are `[positions]`: the same number for the same n-gram, or NONE.
    """

    size: int
    outputs: Numbers
    training: Numbers

    @property
    def exist(self) -> bool:
        return bool((self.outputs != NONE).any())

    def longer(self, by: int) -> _Shared:
        """Those that have `by` tokens more, at most `size`: two that overlap or touch."""
        kinds = int(self.outputs.max(initial=0)) + 1
        outputs, training = (_pairs(each, by, kinds) for each in (self.outputs, self.training))
        return _shared(self.size + by, outputs, training)

    def covered(self) -> int:
        """How many tokens of outputs lie in such n-grams."""
        begins = np.flatnonzero(self.outputs != NONE)
        changes = np.zeros(len(self.outputs) + self.size, np.int64)
        changes[begins] += 1
        changes[begins + self.size] -= 1
        return int(np.count_nonzero(changes.cumsum()))


def _shared(size: int, outputs: Numbers, training: Numbers) -> _Shared:
    """Of n-grams by numbers those that both sides have, numbered anew and below their number."""
    wanted = np.unique(outputs[outputs != NONE])
    training = _places(wanted, training)
    present = np.zeros(len(wanted) + 1, np.bool_)  # the last is for NONE
    present[training] = True
    present[NONE] = False
    outputs = _places(wanted, outputs)
    return _Shared(size, np.where(present[outputs], outputs, NONE), training)


def _places(rising: Numbers, numbers: Numbers) -> Numbers:
    """Where in `rising` each number stands, NONE where it does not."""
    if not len(rising):
        return np.full_like(numbers, NONE)
    places = np.searchsorted(rising[:-1], numbers)
    return np.where(rising[places] == numbers, places, NONE)


def _pairs(numbers: Numbers, by: int, kinds: int) -> Numbers:
    """The n-gram at each position and the one `by` tokens later as one number, or NONE."""
    first, second = numbers[:-by], numbers[by:]
    return np.where((first != NONE) & (second != NONE), first * kinds + second, NONE)


def _longest(shared: _Shared) -> int:
    """How many tokens the longest n-gram has that both sides have.

    An n-gram of that length has all shorter ones, so their length is doubled for as long as there
    are some, and then the rest is found by halves.
    """
    if not shared.exist:
        return 0
    while (double := shared.longer(shared.size)).exist:
        shared = double
    by = 1 << (shared.size - 1).bit_length()  # at least `size`
    while (by := by // 2) > 0:
        longer = shared.longer(by)
        shared = longer if longer.exist else shared
    return shared.size


def _joined(texts: Iterable[Sequence[str]], number: Callable[[str], int]) -> Numbers:
    """The numbers of the tokens of one text after the other, with NONE behind each text."""
    each = (chain(map(number, text), (NONE,)) for text in texts)
    return np.fromiter(chain.from_iterable(each), np.int64)
