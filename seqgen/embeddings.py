"""Embeddings, tokens to vectors. To add one: subclass `Embedding`, `@embeddings.register("x")`.

The *table* of an embedding has a vector for each token of the vocabulary.
"""

from __future__ import annotations

import os
import re
import warnings
from abc import ABC, abstractmethod
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from seqgen.errors import DataError
from seqgen.options import PositiveFloat, Size
from seqgen.registry import Registry
from seqgen.tokenizers import SPECIALS, Facts

__all__ = ["Embedding", "EmbeddingFactory", "embeddings"]

embeddings: Registry[Embedding] = Registry("embedding", supplied={"vocab_size"})


class Embedding(nn.Module, ABC):
    """A vector of `output_size` numbers for each token."""

    output_size: int

    @abstractmethod
    def table(self) -> Tensor:
        """The vectors of all tokens, `[vocab, output_size]`; a parameter where they are learned."""

    def forward(self, tokens: Tensor) -> Tensor:
        """`[...] -> [..., output_size]`, the rows of the table."""
        return functional.embedding(tokens, self.table())

    def initialise(self, facts: Facts) -> None:
        """Start a new run from what is known of the vocabulary; never called on loaded weights."""


EmbeddingFactory = Annotated[Callable[..., Embedding], embeddings]
"""Called with `vocab_size=`, it returns the embedding."""


@embeddings.register("learned")
class LearnedEmbedding(Embedding):
    """A table of vectors, drawn from a normal distribution and trained."""

    def __init__(self, vocab_size: int, size: Size = 64, std: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.output_size = size
        self.weight = nn.Parameter(torch.empty(vocab_size, size).normal_(std=std))

    def table(self) -> Tensor:
        return self.weight


@embeddings.register("one_hot")
class OneHot(Embedding):
    """The unit vector of each token, so that the cell's input weights are the embedding."""

    identity: Tensor

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.output_size = vocab_size
        self.register_buffer("identity", torch.eye(vocab_size), persistent=False)

    def table(self) -> Tensor:
        return self.identity


@embeddings.register("pretrained")
class PretrainedEmbedding(Embedding):
    """Vectors from a GloVe or fastText text file; random ones for tokens that it lacks.

    `path` may be the folder in which torchtext keeps such files (`.vector_cache`): then it is the
    file in it with vectors of `size` numbers, of which there must be one.

    A token is looked up as it is, then without the spaces around it, then in lower case. The
    random vectors have the standard deviation of those that were found. The numbers in a vector
    are those of the file; with `size` they are checked, and the file is needed only where a new
    run begins: a trained model has its table. `trainable: false` keeps the table as it began.
    """

    weight: Tensor

    def __init__(
        self, vocab_size: int, path: Path, size: Size | None = None, trainable: bool = True
    ) -> None:
        super().__init__()
        self.path = path
        self.output_size = layout(file_of_vectors(path))[0] if size is None else size
        weight = nn.init.normal_(torch.empty(vocab_size, self.output_size))
        if trainable:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def table(self) -> Tensor:
        return self.weight

    @torch.no_grad()
    def initialise(self, facts: Facts) -> None:
        """Put the vectors of the file into the table. Raises DataError."""
        # The ways to write each piece, the best first.
        forms = [(piece, piece.strip(), piece.strip().lower()) for piece in facts.pieces]
        words = {form for each in forms for form in each if form}
        path = file_of_vectors(self.path, self.output_size)
        vectors, duplicates = read_vectors(path, words, self.output_size)
        rows: dict[int, Vector] = {}
        for token, each in enumerate(forms):
            known = [vectors[form] for form in each if form in vectors]
            if known:
                rows[token] = known[0]
        if not rows:
            raise DataError(f"{self.path}: has no vector for any token of the vocabulary")
        found = torch.stack([torch.from_numpy(row) for row in rows.values()])
        self.weight.mul_(found.std(correction=0).item())
        self.weight[torch.tensor(list(rows), device=self.weight.device)] = found.to(self.weight)
        _report(self.path, facts, rows, duplicates)


def _report(path: Path, facts: Facts, rows: dict[int, Vector], duplicates: int) -> None:
    """Say how much of the vocabulary and of the training text has a vector."""
    own = range(len(SPECIALS), len(facts.pieces))
    known = [token for token in own if token in rows]
    text = f"vectors for {len(known)} of {len(own)} tokens ({len(known) / max(1, len(own)):.1%})"
    if facts.counts is not None and facts.counts.sum():
        share = facts.counts[known].sum() / facts.counts.sum()
        text += f", {share:.1%} of the training text"
    if duplicates:
        text += f"; {duplicates} duplicate rows left out"
    warnings.warn(f"{path}: {text}", stacklevel=2)


# Reading word vectors from a text file, as GloVe and fastText write them.

Vector = NDArray[np.float32]
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def file_of_vectors(path: Path, size: int | None = None) -> Path:
    """`path` itself, or the only text file in the folder `path` that has vectors (of `size`
    numbers). Raises DataError if there is not one."""
    if not path.is_dir():
        if path.suffix == ".pt":
            raise DataError(f"{path}: a cache of torchtext's; the text file beside it is needed")
        return path
    files = sorted(each for each in path.rglob("*") if each.suffix in (".txt", ".vec"))
    found = [each for each in files if each.is_file() and (not size or layout(each)[0] == size)]
    if len(found) != 1:
        what = f"files of vectors of {size} numbers" if size else "files of vectors"
        names = f" ({', '.join(each.name for each in found[:5])})" if found else " (.txt or .vec)"
        raise DataError(f"{path}: must have one of the {what} in it, but has {len(found)}{names}")
    return found[0]


def read_vectors(path: Path, words: Collection[str], size: int) -> tuple[dict[str, Vector], int]:
    """The vectors of `words`, of `size` numbers each, and how many rows were duplicates: of these
    the first one counts.

    A row is a word and its numbers, with single spaces between. A word may have spaces itself:
    the last `size` fields are the numbers. A header of two whole numbers (how many rows, how many
    numbers) may come first. Of rows for other words only the number of fields is checked.
    Raises DataError with the row's number.
    """
    found_size, header = layout(path)
    if found_size != size:
        raise DataError(f"{path}: the vectors are of {found_size} numbers, not of {size}")
    wanted = {word.encode(): word for word in words}
    found: dict[str, Vector] = {}
    duplicates = 0
    for row, line in enumerate(_lines(path), 1):
        if header and row == 1:
            continue
        start = _start_of_numbers(line, size)
        if start is None:
            raise DataError(f"{path}:{row}: must be a word and {size} numbers, but is {_few(line)}")
        word = wanted.get(line[:start])
        if word is None:
            continue
        if word in found:
            duplicates += 1
            continue
        numbers = line[start + 1 :].split(b" ")
        if not all(map(_NUMBER.fullmatch, numbers)):
            raise DataError(f"{path}:{row}: must be a word and {size} numbers, but is {_few(line)}")
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            vector = np.array([float(each) for each in numbers], dtype=np.float32)
        if not np.isfinite(vector).all():
            number = numbers[int(np.isinf(vector).argmax())].decode()
            raise DataError(f"{path}:{row}: the number {number} is too large for float32")
        found[word] = vector
    return found, duplicates


def layout(path: Path) -> tuple[int, bool]:
    """How many numbers a row of the file has, and whether a header comes first.

    `5 3` is a header if the row below has three numbers; else it is the word 5 with a vector of
    one number.
    """
    lines = _lines(path)
    first, second = next(lines, b""), next(lines, b"")
    fields = first.split(b" ")
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        size = int(fields[1])
        if size and second.count(b" ") >= size:
            return size, True
    size = len(fields) - 1
    while size and not _NUMBER.fullmatch(fields[-size]):  # a word with spaces
        size -= 1
    if not size:
        raise DataError(f"{path}:1: must be a word and numbers, but is {_few(first)}")
    return size, False


def _lines(path: Path) -> Iterator[bytes]:
    """The lines without their ends and without the space that fastText puts there."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DataError(f"{path}: this is not a regular file; a file of vectors is needed")
        with path.open("rb") as file:
            for number, line in enumerate(file):
                content = line if number else line.removeprefix(BOM_UTF8)
                yield content.rstrip(b"\r\n ")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataError(f"{path}: cannot be read: {reason}") from None


def _start_of_numbers(line: bytes, size: int) -> int | None:
    """Where the space before the last `size` fields is; None where that cannot be."""
    spaces = line.count(b" ")
    if spaces == size:
        return line.index(b" ")
    if spaces < size:
        return None
    start = len(line)
    for _ in range(size):
        start = line.rindex(b" ", 0, start)
    more = line[:start].split(b" ")[1:]
    # A vector that is too long would look like a word with numbers in it.
    return None if all(map(_NUMBER.fullmatch, more)) else start


def _few(line: bytes) -> str:
    text = line[:40].decode(errors="replace")
    return repr(text) + ("..." if len(line) > 40 else "")
