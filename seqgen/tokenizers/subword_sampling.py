"""Subword sampling: ways to cut a text into a model's pieces, drawn from the caller's own numbers.

SentencePiece draws too, but its generator gives the same pieces for the same seed only within one
process. What is drawn here depends on the numbers of `uniform` alone, with the distributions that
SentencePiece documents.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate, chain

from seqgen.tokenizers.base import UNK, shown_byte
from seqgen.tokenizers.pieces import SPACE, Kind, ModelPiece, ModelRecord

Uniform = Callable[[], float]
"""Gives the next number, from 0 up to but not 1."""

UNKNOWN_PENALTY = 10.0
"""By how much the score of a character that is no piece is below that of the worst piece."""

REMEMBERED = 1 << 18
"""The characters of words whose lattices are kept, first come, first kept: some 60 MB at most."""

_MATCHING = (Kind.NORMAL, Kind.USER_DEFINED, Kind.UNUSED)


class SubwordSampler(ABC):
    """Cuts texts into pieces at random; in `text` spaces are written as SentencePiece has them.

    Words are cut one by one, which changes no probability: `_words` matches parts of a text whose
    borders no piece crosses.
    """

    def __init__(self, pieces: Sequence[ModelPiece]) -> None:
        # A word has its spaces before it, or after it where the model has them there; it is the
        # whole text if pieces cross words.
        pattern = "(?s:.+)"
        if not any(re.search(f"[^{SPACE}]{SPACE}", each.text) for each in pieces):
            pattern = f"{SPACE}*[^{SPACE}]+|{SPACE}+"
        elif not any(re.search(f"{SPACE}[^{SPACE}]", each.text) for each in pieces):
            pattern = f"[^{SPACE}]*{SPACE}+|[^{SPACE}]+"
        self._words = re.compile(pattern)

    def draw(self, text: str, uniform: Uniform) -> list[str]:
        """The pieces of `text` in their order; what is no piece is a character by itself."""
        return [piece for word in self._words.findall(text) for piece in self._cut(word, uniform)]

    @abstractmethod
    def _cut(self, word: str, uniform: Uniform) -> list[str]:
        """The pieces of a word."""


class PieceIds(dict[str, list[int]]):
    """The ids of what a sampler draws: of a piece its own, of another character those of its bytes,
    or UNK where the model has none.

    `ids` are those of the model's pieces in their order.
    """

    def __init__(self, model: ModelRecord, ids: Sequence[int]) -> None:
        named = list(zip(model.pieces, ids, strict=True))
        super().__init__({each.text: [token] for each, token in named if each.kind in _MATCHING})
        self._bytes = {each.text: token for each, token in named if each.kind is Kind.BYTE}

    def __missing__(self, character: str) -> list[int]:
        names = map(shown_byte, character.encode())
        self[character] = [self._bytes[name] for name in names] if self._bytes else [UNK]
        return self[character]

    def encode(self, drawn: Iterable[str]) -> list[int]:
        """One after the other; of several UNK in a row there is one, as SentencePiece has it."""
        tokens = list(chain.from_iterable(map(self.__getitem__, drawn)))
        if self._bytes:
            return tokens
        pairs = zip(tokens, [None, *tokens], strict=False)
        return [token for token, last in pairs if not token == last == UNK]


def sampler_of(model: ModelRecord, alpha: float) -> SubwordSampler | None:
    """The sampler of a model; None where it has only one way to cut a text (words, characters)."""
    pieces = [each for each in model.pieces if each.kind in _MATCHING]
    if model.algorithm == "unigram":
        return UnigramSampler(pieces, alpha)
    return MergeSampler(pieces, alpha) if model.algorithm == "bpe" else None


_Ways = tuple[tuple[int, ...], tuple[float, ...]]
"""The starts of the pieces that end at some place, and their cumulative probabilities."""


class UnigramSampler(SubwordSampler):
    """Each way to cut a word has a probability proportional to that of its pieces, to the power of
    `alpha`: 0 draws from all ways alike, 1 from the model itself (Kudo 2018, arXiv:1804.10959).

    Forward filtering, backward sampling: `total[i]` is the logarithm of the sum over all ways to
    cut the first i characters; the last piece is drawn first.
    """

    def __init__(self, pieces: Sequence[ModelPiece], alpha: float) -> None:
        super().__init__(pieces)
        normal = [each.score for each in pieces if each.kind is Kind.NORMAL]
        best = max([*normal, 0.0])
        self._scores = {}
        for each in pieces:
            if each.kind is Kind.USER_DEFINED:  # scored so that it is nearly always taken whole
                self._scores[each.text] = alpha * (len(each.text.encode()) * best - 0.1)
            elif each.kind is Kind.NORMAL:
                self._scores[each.text] = alpha * each.score
        self._unknown = alpha * (min(normal, default=0.0) - UNKNOWN_PENALTY)
        self._longest = max(map(len, self._scores), default=1)
        self._lattices: dict[str, list[_Ways]] = {}
        self._room = REMEMBERED

    def _cut(self, word: str, uniform: Uniform) -> list[str]:
        ways = self._lattices.get(word) or self._lattice(word)
        found = []
        end = len(word)
        while end:
            starts, sums = ways[end]
            start = starts[bisect_right(sums, uniform())] if sums else starts[0]
            found.append(word[start:end])
            end = start
        found.reverse()
        return found

    def _lattice(self, word: str) -> list[_Ways]:
        """For each place of `word` the ways to come there by one piece."""
        scores, longest = self._scores, self._longest
        total = [0.0]
        ways: list[_Ways] = [((), ())]
        for end in range(1, len(word) + 1):
            came = {}
            for start in range(max(0, end - longest), end):
                score = scores.get(word[start:end])
                if score is not None:
                    came[start] = total[start] + score
            if word[end - 1] not in scores:
                came[end - 1] = total[end - 1] + self._unknown
            best = max(came.values())
            weights = [math.exp(each - best) for each in came.values()]
            mass = math.fsum(weights)
            total.append(best + math.log(mass))
            sums = accumulate(each / mass for each in weights[:-1])  # the last takes the rest
            ways.append((tuple(came), tuple(sums)))
        if len(word) <= self._room:
            self._room -= len(word)
            self._lattices[word] = ways
        return ways


class MergeSampler(SubwordSampler):
    """Pairs of pieces are merged, the best first, and each merge that comes up is left out with
    the probability `alpha`: 0 leaves out none, 1 all (BPE-dropout; Provilkov et al. 2020,
    arXiv:1910.13267). As in SentencePiece, a merge that was left out does not come up again unless
    a neighbour changes."""

    def __init__(self, pieces: Sequence[ModelPiece], alpha: float) -> None:
        super().__init__(pieces)
        self._alpha = alpha
        self._order = {each.text: -each.score for each in pieces}
        self._unused = {each.text for each in pieces if each.kind is Kind.UNUSED}
        whole = sorted((each.text for each in pieces if each.kind is Kind.USER_DEFINED), key=len)
        self._whole = frozenset(whole)  # these are never merged with anything
        self._symbols = re.compile("|".join([*map(re.escape, reversed(whole)), "(?s:.)"]))

    def _cut(self, word: str, uniform: Uniform) -> list[str]:
        alpha, order = self._alpha, self._order
        symbols: list[str] = self._symbols.findall(word) if self._whole else list(word)
        whole = {place for place, each in enumerate(symbols) if each in self._whole}
        count = len(symbols)
        before, after = list(range(-1, count - 1)), list(range(1, count + 1))
        made: dict[str, tuple[str, str]] = {}
        agenda: list[tuple[float, int, int, str]] = []

        def offer(left: int, right: int) -> None:
            if left < 0 or right >= count or left in whole or right in whole:
                return
            merged = symbols[left] + symbols[right]
            if merged in order:
                heappush(agenda, (order[merged], left, right, merged))
                if merged in self._unused:
                    made[merged] = symbols[left], symbols[right]

        for place in range(1, count):
            offer(place - 1, place)
        while agenda:
            _, left, right, merged = heappop(agenda)
            one, other = symbols[left], symbols[right]
            if not one or not other or len(one) + len(other) != len(merged):
                continue  # one of the two has been merged with another neighbour
            if uniform() < alpha:
                continue
            symbols[left], symbols[right] = merged, ""
            after[left] = after[right]
            if after[right] < count:
                before[after[right]] = left
            offer(before[left], left)
            offer(left, after[left])
        return [part for each in symbols if each for part in _taken_apart(each, made)]


def _taken_apart(piece: str, made: Mapping[str, tuple[str, str]]) -> list[str]:
    """A piece that the model merges with others but does not use, as those that it is made of."""
    if piece not in made:
        return [piece]
    return [part for each in made[piece] for part in _taken_apart(each, made)]
