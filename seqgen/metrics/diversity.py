"""Measures of outputs without references: how diverse and how degenerate they are."""

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

Outputs = Sequence[Sequence[str]]
"""Each output is a sequence of tokens; a text is one of its characters."""

Ids = NDArray[np.int64]


class NGrams(NamedTuple):
    """All n-grams of all outputs, in their order; none goes over the end of an output.

    `ids` is `[n-grams]`, from 0 to `distinct` - 1, and the same for the same n-gram. `owners` is
    `[n-grams]`, the index of the output that each stands in.
    """

    ids: Ids
    owners: Ids
    distinct: int


def ngrams(outputs: Outputs, n: int) -> NGrams:
    """The n-grams of the tokens of each output. Raises ValueError if `n` is less than 1.

    The id of one comes from that of its first n - 1 tokens and that of its last, so no two collide.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, but is {n}")
    vocabulary: defaultdict[str, int] = defaultdict(lambda: len(vocabulary))
    tokens = np.fromiter((vocabulary[token] for each in outputs for token in each), np.int64)
    owners = np.repeat(np.arange(len(outputs)), [len(each) for each in outputs])
    ids = tokens
    for size in range(2, n + 1):
        pairs = ids[:-1] * len(vocabulary) + tokens[size - 1 :]
        ids = np.unique(pairs, return_inverse=True)[1]
    starts = owners[: len(ids)]
    within = starts == owners[n - 1 :]
    kinds, ids = np.unique(ids[within], return_inverse=True)
    return NGrams(ids, starts[within], len(kinds))


def distinct(outputs: Outputs, n: int) -> float | None:
    """`distinct n-grams / n-grams` of the tokens of all outputs together: distinct-n.

    At most 1, where no n-gram comes twice; None where no output has n tokens. Li et al. (2016)
    divide by the number of tokens, which keeps it from reaching 1. It falls as more tokens are
    looked at (Liu et al. 2022), so compare it between outputs of about the same number and length.
    """
    found = ngrams(outputs, n)
    return found.distinct / len(found.ids) if len(found.ids) else None


def entropy(outputs: Outputs, n: int) -> float | None:
    """`- sum over n-grams g of p(g) * log2 p(g)`, in bits: Ent-n.

    `p(g) = count(g) / n-grams`, over the tokens of all outputs together (Zhang et al. 2018, who
    give nats). At most the log2 of the number of n-grams, where all are different; so it grows with
    the amount of text. None where no output has n tokens.
    """
    ids = ngrams(outputs, n).ids
    if not len(ids):
        return None
    # Equal counts are one term, in a fixed order, so that the order of outputs changes no last bit.
    counts, times = np.unique(np.bincount(ids), return_counts=True)
    shares = counts / len(ids)
    return float((times * shares * np.log2(1 / shares)).sum())


def repeated(outputs: Outputs, n: int) -> float | None:
    """The mean over outputs of `1 - distinct n-grams / n-grams` within each: seq-rep-n.

    From 0, where no output has an n-gram twice, to below 1 (Welleck et al. 2020). Outputs with
    fewer than n tokens do not count; None where all are so short.
    """
    found = ngrams(outputs, n)
    totals = np.bincount(found.owners)
    # One of each n-gram of each output: which output has it.
    owners = np.unique(found.owners * found.distinct + found.ids) // max(found.distinct, 1)
    kinds = np.bincount(owners)
    shares = 1 - kinds[totals > 0] / totals[totals > 0]
    return fmean(shares.tolist()) if len(shares) else None


def self_bleu(outputs: Outputs) -> float | None:
    """The mean over outputs of the BLEU of each, with all others as its references: 0 to 100.

    By Zhu et al. (2018), smoothed as they do (0.1 of a match for an n without any: method 1 of Chen
    and Cherry 2014), by sacrebleu's formula. An output with fewer than 4 tokens is judged by the
    n-grams that it has, and an empty one takes no part; None where fewer than two are left. It
    rises with the number of outputs, so compare it between equally many.

    No references are drawn: of each n-gram only the two outputs that have it most often matter, so
    the cost grows as n log n of the tokens.
    """
    from sacrebleu.metrics.bleu import BLEU

    texts = [each for each in outputs if len(each)]
    if len(texts) < 2:
        return None
    statistics = [_matches(ngrams(texts, n), len(texts)) for n in (1, 2, 3, 4)]
    correct, total = np.array(statistics).transpose(1, 2, 0).tolist()
    lengths = [len(each) for each in texts]
    scores = [
        BLEU.compute_bleu(*row, smooth_method="floor", smooth_value=0.1, effective_order=True).score
        for row in zip(correct, total, lengths, _nearest_others(lengths), strict=True)
    ]
    return min(fmean(scores), 100.0)  # rounding adds up to 100.00000000000004


def _matches(found: NGrams, outputs: int) -> tuple[Ids, Ids]:
    """For each output, how many of its n-grams another one has as well, and how many it has."""
    entries, counts = np.unique(found.owners * found.distinct + found.ids, return_counts=True)
    owners, ids = np.divmod(entries, max(found.distinct, 1))
    # Sorted by n-gram, then from the outputs that have it least often.
    order = np.lexsort((counts, ids))
    ids, rising = ids[order], counts[order]
    best = np.searchsorted(ids, ids, side="right") - 1
    # Whoever has it most often is compared with the second, which stands before it.
    other = np.where(best == np.arange(len(ids)), best - 1, best)
    shared = (other >= 0) & (ids[other] == ids)
    elsewhere = np.empty_like(counts)
    elsewhere[order] = np.where(shared, rising[other], 0)
    limits = np.minimum(counts, elsewhere)
    matches, totals = (np.bincount(owners, each, outputs) for each in (limits, counts))
    return matches.astype(np.int64), totals.astype(np.int64)


def _nearest_others(lengths: Sequence[int]) -> list[int]:
    """For each, the nearest of the others, of two that are equally near the shorter one."""
    rising = sorted(lengths)
    nearest = []
    for length in lengths:
        index = bisect_left(rising, length)
        around = rising[max(index - 1, 0) : index] + rising[index + 1 : index + 2]
        nearest.append(min((abs(other - length), other) for other in around)[1])
    return nearest


REPEATS = 3
"""How often a block must be repeated at the end to be a loop."""
SHORTEST = 12
"""How many tokens a loop must have: "hahaha" and a dotted ending are no loops."""


class Loop(NamedTuple):
    """From index `start` to the end, each token is the one that stands `period` tokens later."""

    start: int
    period: int


def find_loop(tokens: Sequence[str], shortest: int = SHORTEST) -> Loop | None:
    """The loop with the shortest period that `tokens` end in, from where it begins; None if none.

    A loop is at least three repeats of a block (and perhaps a part of one) at the end, of at least
    `shortest` tokens in all. Time and memory are linear in the number of tokens.
    """
    # Reversed, the tokens equal themselves, moved by the period, while the end repeats.
    matches = _self_matches(tokens[::-1])
    for period in range(1, len(tokens) // REPEATS + 1):
        length = period + matches[period]
        if length >= max(REPEATS * period, shortest):
            return Loop(len(tokens) - length, period)
    return None


def looping(outputs: Outputs, shortest: int = SHORTEST) -> float | None:
    """`outputs that end in a loop / outputs`, from 0 to 1; see `find_loop`.

    Three repeats at the end are what Holtzman et al. (2020) ask for as well. None without outputs.
    """
    return fmean(find_loop(each, shortest) is not None for each in outputs) if outputs else None


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


COPY_LENGTH = 8
"""From how many tokens on the same words are a copy."""

NONE = -1
"""The id of what the other side does not have; it stands after each text, too."""


@final
class TrainingText:
    """The tokens of the training data, ready for looking up copies; made once for many outputs.

    Each of `texts` is a sequence of tokens, split as outputs are; no copy goes from one into the
    next. It holds 8 bytes a token, and looking up takes about 70 more while it lasts.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        known: dict[str, int] = {}
        self.ids = _joined(texts, lambda token: known.setdefault(token, len(known)))
        self._known = known

    def look_up(self, texts: Iterable[Sequence[str]]) -> Ids:
        """The tokens of all `texts` by the ids that they have here, or NONE."""
        return _joined(texts, lambda token: self._known.get(token, NONE))


def _joined(texts: Iterable[Sequence[str]], identify: Callable[[str], int]) -> Ids:
    """The ids of the tokens of one text after the other, with NONE after each text."""
    each = (chain(map(identify, text), (NONE,)) for text in texts)
    return np.fromiter(chain.from_iterable(each), np.int64)


class Copies(NamedTuple):
    """`share` of the tokens of outputs that are copied; how many tokens the `longest` copy has."""

    share: float
    longest: int


def copies(outputs: Outputs, training: TrainingText, size: int = COPY_LENGTH) -> Copies | None:
    """`tokens in an n-gram of at least `size` tokens that the training text has / tokens`.

    From 0 to 1, over the tokens of all outputs together (McCoy et al. 2023 ask by the share of
    n-grams that are new). `longest` is that of the longest run of tokens that an output and a
    training text share; it may be below `size`. None where outputs have no tokens. Raises
    ValueError if `size` is less than 1.

    Exact: n-grams are compared and not hashed, those of 2n tokens as pairs of those of n tokens. So
    the cost grows with the number of tokens times the logarithm of the longest copy.
    """
    if size < 1:
        raise ValueError(f"`size` must be at least 1, but is {size}")
    tokens = sum(len(each) for each in outputs)
    if not tokens:
        return None
    single = found = _common(1, training.look_up(outputs), training.ids)
    while found.size < size and found.exist:
        found = found.longer(min(found.size, size - found.size))
    return Copies(found.covered() / tokens, _longest(found if found.exist else single))


class _Common(NamedTuple):
    """The n-grams of `size` tokens that both sides have, by where they begin.

    `outputs` and `training` are `[positions]`: the same id for the same n-gram, or NONE.
    """

    size: int
    outputs: Ids
    training: Ids

    @property
    def exist(self) -> bool:
        return bool((self.outputs != NONE).any())

    def longer(self, by: int) -> _Common:
        """N-grams with `by` tokens more, at most `size`, from two that overlap or touch."""
        kinds = int(self.outputs.max(initial=0)) + 1
        sides = []
        for ids in (self.outputs, self.training):
            first, second = ids[:-by], ids[by:]
            both = (first != NONE) & (second != NONE)
            sides.append(np.where(both, first * kinds + second, NONE))
        return _common(self.size + by, *sides)

    def covered(self) -> int:
        """How many tokens of outputs lie in such n-grams."""
        begins = np.flatnonzero(self.outputs != NONE)
        changes = np.zeros(len(self.outputs) + self.size, np.int64)
        changes[begins] += 1
        changes[begins + self.size] -= 1
        return int(np.count_nonzero(changes.cumsum()))


def _common(size: int, outputs: Ids, training: Ids) -> _Common:
    """Of n-grams by ids those that both sides have, with new ids below their number."""
    wanted = np.unique(outputs[outputs != NONE])
    outputs, training = _places(wanted, outputs), _places(wanted, training)
    shared = np.where(np.isin(outputs, training), outputs, NONE)
    return _Common(size, shared, training)


def _places(rising: Ids, ids: Ids) -> Ids:
    """Where in `rising` each id stands, or NONE."""
    if not len(rising):
        return np.full_like(ids, NONE)
    places = np.searchsorted(rising[:-1], ids)
    return np.where(rising[places] == ids, places, NONE)


def _longest(common: _Common) -> int:
    """How many tokens the longest n-gram has that both sides have.

    It has all shorter ones in it, so their length is doubled while there are some, then halved.
    """
    if not common.exist:
        return 0
    while (double := common.longer(common.size)).exist:
        common = double
    by = 1 << (common.size - 1).bit_length()  # at least `size`
    while (by := by // 2) > 0:
        longer = common.longer(by)
        common = longer if longer.exist else common
    return common.size


_SIZES = (1, 2, 3, 4)

MORE_DIVERSE: Mapping[str, Literal["higher", "lower"]] = MappingProxyType(
    {
        **{f"{name}_{n}": "higher" for name in ("distinct", "entropy") for n in _SIZES},
        **{f"repeated_{n}": "lower" for n in _SIZES},
        **dict.fromkeys(("self_bleu", "looping", "copied", "longest_copy"), "lower"),
    }
)
"""Every name that `diversity` gives, in its order, and whether a higher or a lower value is more
diverse. More diverse is not better: noise is the most diverse of all."""


def diversity(outputs: Outputs, training: TrainingText | None = None) -> dict[str, float]:
    """All measures of outputs that need no reference.

    `distinct_1` to `distinct_4`, `entropy_1` to `entropy_4` (bits), `repeated_1` to `repeated_4`,
    `self_bleu` (0 to 100), `looping`, and with the training data `copied` (8 tokens and more) and
    `longest_copy` (tokens); all others are shares. A name is left out where its value is not
    defined; see the functions of this module.

    No value depends on the order of the outputs, but all depend on what a token is: compare outputs
    that are split alike. Words say more than characters, of which any two texts share most n-grams.
    EOS is no token of an output.
    """
    sized = {"distinct": distinct, "entropy": entropy, "repeated": repeated}
    found = {f"{name}_{n}": measure(outputs, n) for name, measure in sized.items() for n in _SIZES}
    found |= {"self_bleu": self_bleu(outputs), "looping": looping(outputs)}
    copied = None if training is None else copies(outputs, training)
    if copied is not None:
        found |= {"copied": copied.share, "longest_copy": float(copied.longest)}
    return {name: value for name, value in found.items() if value is not None}
