"""All that is said of outputs by themselves: how diverse they are, and how far degenerate."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from statistics import fmean
from types import MappingProxyType
from typing import Literal, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

# The n-grams of outputs as numbers, equal where the n-grams are.


Numbers = NDArray[np.int64]


class NGrams(NamedTuple):
    """All n-grams of all outputs, in their order; none goes over the end of an output.

    `numbers` is `[n-grams]`, from 0 to `distinct` - 1, and the same for the same n-gram. `owners`
    is `[n-grams]`, the index of the output that each stands in.
    """

    numbers: Numbers
    owners: Numbers
    distinct: int


def ngrams(outputs: Sequence[Sequence[str]], n: int) -> NGrams:
    """The n-grams of the tokens of each output.

    They are told apart exactly: the number of one comes from the number of its first n - 1 tokens
    and that of its last token. Errors: ValueError where `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, but is {n}")
    vocabulary: defaultdict[str, int] = defaultdict(lambda: len(vocabulary))
    tokens = np.fromiter((vocabulary[token] for each in outputs for token in each), np.int64)
    owners = np.repeat(np.arange(len(outputs)), [len(each) for each in outputs])
    numbers = tokens
    for size in range(2, n + 1):
        pairs = numbers[:-1] * len(vocabulary) + tokens[size - 1 :]
        numbers = np.unique(pairs, return_inverse=True)[1]
    starts = owners[: len(numbers)]
    within = starts == owners[n - 1 :]
    distinct, numbers = np.unique(numbers[within], return_inverse=True)
    return NGrams(numbers, starts[within], len(distinct))


# Distinct n-grams: how many of all n-grams of all outputs are different ones.


def distinct(outputs: Sequence[Sequence[str]], n: int) -> float | None:
    """`distinct n-grams / n-grams` of the tokens of all outputs together: distinct-n.

    Above 0 and at most 1, where no n-gram comes twice; None where no output has n tokens. By Li et
    al. (2016), who divide by the number of tokens; the number of n-grams, which is usual since,
    lets it reach 1 for every n. It falls as more tokens are looked at (Liu et al. 2022), so compare
    it between outputs of about the same number and length.
    """
    found = ngrams(outputs, n)
    return found.distinct / len(found.numbers) if len(found.numbers) else None


# The entropy of n-grams: how evenly outputs make use of those that they have.


def entropy(outputs: Sequence[Sequence[str]], n: int) -> float | None:
    """`- sum over n-grams g of p(g) * log2 p(g)`, in bits: Ent-n.

    `p(g) = count(g) / n-grams`, over the tokens of all outputs together (Zhang et al. 2018, who
    give nats). From 0, where all n-grams are the same, to the log2 of their number, where all are
    different; so it grows with the amount of text. None where no output has n tokens.
    """
    numbers = ngrams(outputs, n).numbers
    if not len(numbers):
        return None
    # Equal counts are one term, in a fixed order, so that the order of outputs changes no last bit.
    counts, times = np.unique(np.bincount(numbers), return_counts=True)
    shares = counts / len(numbers)
    return float((times * shares * np.log2(1 / shares)).sum())


# Repeated n-grams: how much of an output it has said before.


def repeated(outputs: Sequence[Sequence[str]], n: int) -> float | None:
    """The mean over outputs of `1 - distinct n-grams / n-grams` within each: seq-rep-n.

    From 0, where no output has an n-gram twice, to below 1 (Welleck et al. 2020). Outputs with
    fewer than n tokens have no n-gram and do not count; where all are so short, it is None. What
    several outputs share is no matter here, unlike in `distinct`.
    """
    found = ngrams(outputs, n)
    totals = np.bincount(found.owners)
    # One of each n-gram of each output: which output has it.
    owners = np.unique(found.owners * found.distinct + found.numbers) // max(found.distinct, 1)
    distinct = np.bincount(owners)
    shares = 1 - distinct[totals > 0] / totals[totals > 0]
    return fmean(shares.tolist()) if len(shares) else None


# Self-BLEU: how much outputs are like one another.


LONGEST = 4
"""BLEU looks at n-grams of 1 to 4 tokens."""


def self_bleu(outputs: Sequence[Sequence[str]]) -> float | None:
    """The mean over outputs of the BLEU of each, with all others as its references: 0 to 100.

    By Zhu et al. (2018), smoothed as they do (0.1 of a match for an n without any: method 1 of Chen
    and Cherry 2014), on the scale of the metric `bleu`, by sacrebleu's formula. An output with
    fewer than 4 tokens is judged by the n-grams that it has. 100 where each output comes twice. It
    rises with the number of outputs, so compare it between equally many.

    Empty outputs take no part; where fewer than two are left, there is nothing to compare, and it
    is None. All others are references, and none is drawn: of each n-gram only the two outputs that
    have it most often matter, so the cost grows as n log n of the tokens.
    """
    from sacrebleu.metrics.bleu import BLEU

    texts = [each for each in outputs if len(each)]
    if len(texts) < 2:
        return None
    statistics = [_matches(ngrams(texts, n), len(texts)) for n in range(1, LONGEST + 1)]
    correct, total = np.array(statistics).transpose(1, 2, 0).tolist()
    lengths = [len(each) for each in texts]
    scores = [
        BLEU.compute_bleu(*row, smooth_method="floor", smooth_value=0.1, effective_order=True).score
        for row in zip(correct, total, lengths, _reference_lengths(lengths), strict=True)
    ]
    return min(fmean(scores), 100.0)  # rounding adds up to 100.00000000000004


def _matches(found: NGrams, outputs: int) -> tuple[Numbers, Numbers]:
    """For each output, how many of its n-grams another one has as well, and how many it has."""
    entries, counts = np.unique(found.owners * found.distinct + found.numbers, return_counts=True)
    owners, numbers = np.divmod(entries, max(found.distinct, 1))
    limits = np.minimum(counts, _most_elsewhere(numbers, counts))
    matches, totals = (np.bincount(owners, each, outputs) for each in (limits, counts))
    return matches.astype(np.int64), totals.astype(np.int64)


def _most_elsewhere(numbers: Numbers, counts: Numbers) -> Numbers:
    """For each n-gram of each output, how often the other that has it most often has it.

    numbers: `[entries]`, an entry for each different n-gram of each output; counts: `[entries]`.
    """
    order = np.lexsort((counts, numbers))  # by n-gram, then from those that have it least often
    numbers, counts = numbers[order], counts[order]
    best = np.searchsorted(numbers, numbers, side="right") - 1
    # Whoever has it most often is compared with the second, which stands before it.
    other = np.where(best == np.arange(len(best)), best - 1, best)
    shared = (other >= 0) & (numbers[other] == numbers)
    most = np.empty_like(counts)
    most[order] = np.where(shared, counts[other], 0)
    return most


def _reference_lengths(lengths: Sequence[int]) -> list[int]:
    """For each, the nearest of the others, of two that are equally near the shorter one."""
    rising = sorted(lengths)
    nearest = []
    for length in lengths:
        index = bisect_left(rising, length)
        around = rising[max(index - 1, 0) : index] + rising[index + 1 : index + 2]
        nearest.append(min((abs(other - length), other) for other in around)[1])
    return nearest


# Loops: outputs that end by going round and round.


REPEATS = 3
"""How often a loop must be gone through."""
SHORTEST = 12
"""How many tokens must go round: "hahaha" and a dotted ending are no loops."""


class Loop(NamedTuple):
    """From index `start` to the end, each token is the one that stands `period` tokens later."""

    start: int
    period: int


def find_loop(tokens: Sequence[str], shortest: int = SHORTEST) -> Loop | None:
    """The loop with the shortest period that `tokens` end in, from where it begins; None if none.

    The end of `tokens` is a loop if it consists of at least three repeats of a block (and perhaps a
    part of one), and has at least `shortest` tokens. A text is a sequence of its characters. Time
    and memory grow with the number of tokens, and no faster.
    """
    matches = _self_matches(tokens[::-1])
    for period in range(1, len(tokens) // REPEATS + 1):
        # Reversed, the tokens equal themselves, moved by `period`, while the end goes round.
        length = period + matches[period]
        if length >= max(REPEATS * period, shortest):
            return Loop(len(tokens) - length, period)
    return None


def looping(outputs: Sequence[Sequence[str]], shortest: int = SHORTEST) -> float | None:
    """`outputs that end in a loop / outputs`, from 0 to 1; see `find_loop`.

    Such an output would most likely go on like this for ever. Three repeats at the end are what
    Holtzman et al. (2020) ask for as well. An empty output does not loop. None without outputs.
    """
    if not outputs:
        return None
    return sum(find_loop(each, shortest) is not None for each in outputs) / len(outputs)


def _self_matches(tokens: Sequence[str]) -> list[int]:
    """How many tokens from each position on equal the first ones (Z-function; Gusfield 1997)."""
    matches = [0] * len(tokens)
    left = right = 0  # the match that reaches furthest: tokens[left:right] == tokens[:right - left]
    for position in range(1, len(tokens)):
        length = min(right - position, matches[position - left]) if position < right else 0
        while position + length < len(tokens) and tokens[length] == tokens[position + length]:
            length += 1
        matches[position] = length
        if position + length > right:
            left, right = position, position + length
    return matches


# Copies: what outputs have word for word from the training text.


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


Outputs = Sequence[Sequence[str]]
Direction = Literal["higher", "lower"]

_SIZED: Mapping[str, Callable[[Outputs, int], float | None]] = MappingProxyType(
    {"distinct": distinct, "entropy": entropy, "repeated": repeated}
)
_SIZES = (1, 2, 3, 4)

MORE_DIVERSE: Mapping[str, Direction] = MappingProxyType(
    {
        **{f"distinct_{n}": "higher" for n in _SIZES},
        **{f"entropy_{n}": "higher" for n in _SIZES},
        **{f"repeated_{n}": "lower" for n in _SIZES},
        "self_bleu": "lower",
        "looping": "lower",
        "copied": "lower",
        "longest_copy": "lower",
    }
)
"""Every name that `diversity` gives, in its order, and whether a higher or a lower value is more
diverse. More diverse is not better: noise is the most diverse of all."""


def diversity(outputs: Outputs, training: TrainingText | None = None) -> dict[str, float]:
    """What can be said of outputs, each a sequence of tokens, without any reference.

    `distinct_1` to `distinct_4`, `entropy_1` to `entropy_4` (bits), `repeated_1` to `repeated_4`,
    `self_bleu` (0 to 100), `looping`, and with the training data `copied` (8 tokens and more) and
    `longest_copy` (tokens); shares where nothing else is said. The functions of this room have the
    formulas.

    A name is left out where its value is not defined: those with n where no output has n tokens,
    `self_bleu` of fewer than two outputs that have tokens, `looping` of none, copies of no tokens.
    No value depends on the order of the outputs, but all depend on what a token is: compare outputs
    that are split alike. Words tell more than characters, where any two texts share most n-grams.
    What ends an output (EOS) is no token of it.
    """
    found = {f"{name}_{n}": measure(outputs, n) for name, measure in _SIZED.items() for n in _SIZES}
    found["self_bleu"] = self_bleu(outputs)
    found["looping"] = looping(outputs)
    copied = None if training is None else copies(outputs, training)
    if copied is not None:
        found |= {"copied": copied.share, "longest_copy": float(copied.longest)}
    return {name: value for name, value in found.items() if value is not None}
