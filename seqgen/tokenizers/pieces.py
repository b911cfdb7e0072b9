"""A SentencePiece model: its file, its pieces by our ids, and ways to cut a text, drawn at random.

The file is checked before it is loaded: nothing that is cut short or foreign gets to the library.
It does not expose the algorithm and the kinds of pieces, which sampling needs, so fields of the
file are read here, too. SentencePiece itself draws the same pieces for the same seed only within
one process. What is drawn here depends on the numbers of `uniform` alone, with the distributions
that SentencePiece documents.
"""

from __future__ import annotations

import math
import re
import struct
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqgen.errors import DataError
from seqgen.files import RECORD_LIMIT, read_bytes
from seqgen.tokenizers import base
from seqgen.tokenizers.base import SPECIALS, UNK, Spans, Tokens

SPACE = "\u2581"
"""How SentencePiece writes a space; so the character itself cannot be in a piece."""

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
"""The fields of a model. The last comes last: one that was cut between two fields lacks it."""

_ALGORITHMS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


class Kind(IntEnum):
    """What a piece is for, by the numbers that a model has for it."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class ModelPiece(NamedTuple):
    """A piece, its log-probability (`unigram`) or its rank as a negative number (`bpe`)."""

    text: str
    score: float
    kind: Kind


class ModelRecord(NamedTuple):
    """What a model file says."""

    algorithm: str
    pieces: list[ModelPiece]


def read_ready(path: Path, option: str, wanted: str) -> bytes:
    """The content of a ready file that `option` names. Raises ValueError if it cannot be read."""
    try:
        return read_bytes(path, DataError, limit=RECORD_LIMIT, wanted=wanted)
    except DataError as error:
        # As the option's own errors say it: without the colon after the path.
        message = str(error).replace(f"{path}: cannot be", f"{path} cannot be")
        raise ValueError(f"`{option}` {message}") from None


def read_model(path: Path) -> bytes:
    """The content of `path`. Raises ValueError if it is no whole model."""
    content = read_ready(path, "model_file", "a SentencePiece model")
    with suppress(ValueError):
        if _NORMALIZER in dict(_fields(content)):
            return content
    raise ValueError(f"`model_file` {path} is no SentencePiece model, or was cut short")


def load_model(content: bytes) -> Any:
    """The library's processor. Raises ValueError if it refuses `content`."""
    import sentencepiece  # here: few recipes need it

    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(content)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the SentencePiece model cannot be loaded: {reason}") from None
    return processor


def model_record(content: bytes) -> ModelRecord:
    """The algorithm and the pieces of a whole model."""
    pieces, algorithm = [], 1
    for number, value in _fields(content):
        if number == _PIECES and isinstance(value, bytes):
            found = dict(_fields(value))
            [score] = struct.unpack("<f", found.get(2, bytes(4)))
            pieces.append(ModelPiece(found.get(1, b"").decode(), score, Kind(found.get(3, 1))))
        if number == _TRAINER and isinstance(value, bytes):
            algorithm = dict(_fields(value)).get(3, 1)
    return ModelRecord(_ALGORITHMS[algorithm], pieces)


def leading_space_left_out(content: bytes) -> bool | None:
    """Whether decoding leaves out a space at the beginning of a text; None where a model changes
    its texts in other ways, too (field 5, its rules for them)."""
    fields = dict(_fields(content))
    if 5 in fields and dict(_fields(fields[5])).get(2):
        return None
    normalizer = dict(_fields(fields.get(_NORMALIZER, b"")))
    return bool(normalizer.get(3, 1) or normalizer.get(4, 1))


def _fields(content: bytes) -> list[tuple[int, Any]]:
    """The numbers and values of a protocol buffer's fields. Raises ValueError if it is none."""
    found: list[tuple[int, Any]] = []
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind, value = tag & 7, 0
        if kind in (0, 2):  # a number, or how many bytes follow
            value, place = _varint(content, place)
        if kind == 0:
            found.append((tag >> 3, value))
            continue
        sizes = {1: 8, 2: value, 5: 4}
        if kind not in sizes or place + sizes[kind] > len(content):
            raise ValueError("cut short, or no protocol buffer")
        found.append((tag >> 3, content[place : place + sizes[kind]]))
        place += sizes[kind]
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte, and the place after it. Raises ValueError if it is
    cut short or longer than 64 bits."""
    value = 0
    for index, byte in enumerate(content[place : place + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise ValueError("cut short, or no protocol buffer")


@dataclass(frozen=True)
class Pieces:
    """What each of our ids stands for, as bytes and as display text, and the ids both ways.

    Our special tokens come first, then the model's other pieces in its order. `theirs` is -1 for a
    special token that the model lacks; `from_theirs: [pieces of the model]`.
    """

    content: tuple[bytes, ...]
    shown: tuple[str, ...]
    theirs: tuple[int, ...]
    from_theirs: Tokens

    @classmethod
    def of(cls, model: Any) -> Pieces:
        """The pieces of a processor; of one that we trained, the ids are the same on both sides."""
        every = range(model.get_piece_size())
        plain = [i for i in every if not (model.is_control(i) or model.is_unknown(i))]
        specials = (model.pad_id(), model.bos_id(), model.eos_id(), model.unk_id())
        from_theirs = np.full(len(every), UNK, dtype=np.int64)
        from_theirs[plain] = np.arange(len(SPECIALS), len(SPECIALS) + len(plain))
        content, shown = list(_SPECIAL_CONTENT), list(SPECIALS)
        for i in plain:
            piece = model.id_to_piece(i)
            if model.is_byte(i):
                content.append(bytes([int(piece[3:5], 16)]))
                shown.append(piece)
            else:
                text = piece.replace(SPACE, " ")
                content.append(text.encode())
                shown.append(base.shown_plainly(text))
        return cls(tuple(content), tuple(shown), (*specials, *plain), from_theirs)

    def spelled(self, text: str) -> list[int]:
        """`text` as a piece of its own, else as its bytes, or UNK where there are none."""
        if text in self.shown:
            return [self.shown.index(text)]
        names = [base.shown_byte(byte) for byte in text.encode()]
        return [self.shown.index(name) if name in self.shown else UNK for name in names]


_SPECIAL_CONTENT = (b"", b"", b"", base.REPLACEMENT.encode())
NONE = Pieces(_SPECIAL_CONTENT, SPECIALS, (-1, -1, -1, -1), np.zeros(0, dtype=np.int64))
"""Those of a model that has not been trained."""

_BYTE = re.compile("<0x([0-9A-F]{2})>")


def written_bytes(piece: str, space: str = SPACE, *, bytes_too: bool = True) -> bytes:
    """The UTF-8 of a piece as a model writes it: `space` for a space and, with `bytes_too`,
    `<0xE2>` for a byte."""
    byte = _BYTE.fullmatch(piece) if bytes_too else None
    return bytes([int(byte[1], 16)]) if byte else piece.replace(space, " ").encode()


def piece_spans(pieces: Sequence[str], text: str) -> Spans | None:
    """The places of `pieces`, as a processor writes them, in `text`; None where it differs.

    A model may put a space before the text, or leave spaces out.
    """
    content = text.encode()
    # For each byte the character that it is part of, and for the end the number of characters.
    chars = [place for place, char in enumerate(text) for _ in char.encode()] + [len(text)]
    spans: Spans = []
    place = 0
    for piece in pieces:
        wanted = written_bytes(piece)
        if not content.startswith(wanted, place):
            wanted = wanted.strip(b" ")
            place = len(content) - len(content[place:].lstrip(b" ")) if wanted else place
            if not content.startswith(wanted, place):
                return None
        end = place + len(wanted)
        spans.append((chars[place], chars[end - 1] + 1 if wanted else chars[place]))
        place = end
    return spans


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
        names = map(base.shown_byte, character.encode())
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
