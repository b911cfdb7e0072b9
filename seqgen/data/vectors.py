"""The data kind `vectors`: a feature vector, and the text that belongs to it, as in captioning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.data.base import Data, Empty, Example, SplitName, data
from seqgen.data.batches import PairBatch, Sources
from seqgen.data.lines import EncodedLines, Line, encode_lines, lines_in, within
from seqgen.data.row_batches import Buckets, EncodedRows, RowSplit, RowTraining
from seqgen.data.row_files import Fraction, Part, PartName, RowFiles
from seqgen.data.tables import lines_of
from seqgen.data.text_files import PACKED_SUFFIXES, UTF_8, TextFile
from seqgen.errors import DataError
from seqgen.files import read_bytes
from seqgen.options import Seed, Size
from seqgen.tokenizers import Tokenizer, Tokenizers

# Reading vectors from a .npy file, a row each.


_MAGIC = b"\x93NUMPY"


def read_vectors(path: Path, vector_size: int) -> tuple[Tensor, str]:
    """The array of a .npy file as float32 `[rows, vector_size]`, and the SHA-256 of the file.

    Numbers of other types are converted. Nothing in the file is executed: arrays of Python objects
    are refused. Errors: DataError, in one line, for what is no such array, and with the number of
    the row, from 0, for one in which a number is not finite or too large for float32.
    """
    content = read_bytes(path, DataError, wanted="a .npy file")
    array = _array(content, path)
    if array.ndim != 2:
        found = f"{array.ndim} {list(array.shape)}"
        raise DataError(f"{path}: must have 2 dimensions, [rows, {vector_size}], but has {found}")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: must be an array of numbers, but is one of {array.dtype}")
    if array.shape[1] != vector_size:
        found = f"{array.shape[1]} numbers, not of the {vector_size} that `vector_size` says"
        raise DataError(f"{path}: the vectors are of {found}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is looked for
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        number = array[bad[0]][~np.isfinite(vectors[bad[0]])][0]
        raise DataError(
            f"{path}: row {bad[0]} has the number {number}, which is no finite float32 "
            f"({len(bad)} of {len(vectors)} rows have such numbers)"
        )
    return torch.from_numpy(vectors), hashlib.sha256(content).hexdigest()


def _array(content: bytes, path: Path) -> NDArray[Any]:
    if not content.startswith(_MAGIC):
        raise DataError(f"{path}: this is not a .npy file (numpy.save writes such)")
    try:
        array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged header is an error of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: this .npy file cannot be loaded: {reason}") from None
    return array


# Rows with a vector and a text: as tokens, as batches, and as a person reads them.


class VectorRow(NamedTuple):
    """A line, and the vector that it belongs to, `[vector_size]`."""

    line: Line
    vector: Tensor


@dataclass(frozen=True)
class VectorTexts:
    """Rows, and their lines as tokens."""

    rows: Sequence[VectorRow]
    encoded: EncodedLines

    def within(self, max_length: int | None, name: str) -> tuple[VectorTexts, str]:
        """See `line_rows.within`."""
        kept, remark = within(self.encoded, max_length, name)
        numbers = {line.number for line in kept.lines}
        return VectorTexts([row for row in self.rows if row.line.number in numbers], kept), remark

    def batched(self) -> EncodedRows[PairBatch]:
        """What training and held-out parts are made of."""
        lines = self.encoded.batched()
        vectors = torch.stack([row.vector for row in self.rows])

        def collate(numbers: Sequence[int]) -> PairBatch:
            batch = lines.collate(numbers)
            places = torch.tensor([*numbers])
            sources = Sources(vectors[places], torch.ones_like(places))
            assert batch.lengths is not None  # lines are of any length
            return PairBatch(sources, batch.inputs, batch.targets, batch.lengths, places)

        tokens = {"target": self.encoded.targets}
        return EncodedRows(lines.lengths, collate, tokens, "target", lines.size)


def encode_texts(
    part: Part[VectorRow], tokenizer: Tokenizer, seed: Sequence[int] | None = None
) -> VectorTexts:
    """The rows with the tokens of their lines; see `encode_lines`. Errors: DataError."""
    lines = [row.line for row in part.rows]
    return VectorTexts(part.rows, encode_lines(lines, part.name, tokenizer, seed))


def examples_of(rows: Sequence[VectorRow]) -> tuple[Example, ...]:
    """Each vector once, written out, with all its different texts, as they come first."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        found.setdefault(written(row.vector), {})[row.line.text] = None
    return tuple(Example(source, tuple(texts)) for source, texts in found.items())


def written(vector: Tensor) -> str:
    """The numbers with a space between two, as few digits as tell the float32 numbers apart."""
    return " ".join(map(str, vector.numpy()))


def vector_of(text: str, vector_size: int) -> Tensor:
    """The vector that is written in `text`, `[vector_size]`. Errors: ValueError."""
    words = text.split()
    wanted = f"{vector_size} numbers with spaces between"
    if len(words) != vector_size:
        raise ValueError(f"`text` must be {wanted}, but has {len(words)} words")
    try:
        vector = torch.tensor([float(word) for word in words], dtype=torch.float32)
    except ValueError as error:
        raise ValueError(f"`text` must be {wanted}, but: {error}") from None
    if not vector.isfinite().all():
        word = words[int((~vector.isfinite()).nonzero()[0])]
        raise ValueError(f"`text` must be {wanted}, but {word!r} is no finite float32")
    return vector


@data.register("vectors")
class VectorsData(RowFiles[VectorRow], Data[PairBatch]):
    """Texts, one a line, and for each a vector of `vector_size` numbers in a .npy file.

    Row i of `name.npy` belongs to line i of `name.txt`, beside which it stands; `vectors` names
    another file where `path` is one text. Texts of equal vectors are in the same part, and each of
    them is right. As a prompt a vector is written as numbers with spaces between; the empty prompt
    is the vector of zeros. Texts with nothing but spaces are an `error`, or left out with a remark
    (`empty: drop`), or kept. Training leaves out texts of more than `max_target_length` tokens,
    EOS not counted; held-out ones stay. A batch is `batch_size` rows, or up to `batch_tokens`
    tokens with the padding.
    """

    roles = ("target",)
    output_role = "target"
    ends = True
    usual_files: ClassVar[Mapping[PartName, str]] = MappingProxyType(
        {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}
    )

    def __init__(
        self,
        vector_size: Size,
        path: Path | None = None,
        vectors: Path | None = None,
        train: Path | None = None,
        valid: Path | None = None,
        test: Path | None = None,
        split: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1),
        split_seed: Seed = 1,
        empty: Empty = "error",
        max_target_length: Size | None = None,
        batch_size: Size = 64,
        batch_tokens: Size | None = None,
        errors: Literal["strict", "replace"] = "strict",
        encoding: str = UTF_8,
        seed: int = 0,
    ) -> None:
        if path is None and train is None:
            raise ValueError("`path` or `train` must say where the texts come from")
        if vectors is not None and (path is None or train is not None):
            raise ValueError("`vectors` goes with `path` alone: `train.npy` belongs to `train.txt`")
        for name, text in (("path", path), ("train", train), ("valid", valid), ("test", test)):
            if text is not None and text.suffix == ".npy":
                wanted = "a file of texts, beside which its vectors are in a .npy file"
                raise ValueError(f"`{name}` must be {wanted}, but is {text}")
        where = (path, train, valid, test)
        super().__init__(None, *where, split, errors, encoding, split_seed)
        self.vector_size = vector_size
        self.vectors = vectors
        self.empty = empty
        self.max_target_length = max_target_length
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.seed = seed
        self._remarks: dict[str, str] = {}

    def parsed(self, files: Sequence[TextFile], names: Sequence[str]) -> list[VectorRow]:
        """The texts of a part, and the vectors beside them."""
        [file], [name] = files, names
        if self.vectors is not None and self.path is not None and self.path.is_dir():
            raise DataError(f"{self.path}: a directory, but `vectors` belongs to one text")
        plain = Path(name)
        plain = plain.with_suffix("") if plain.suffix in PACKED_SUFFIXES else plain
        place = self.vectors or plain.with_suffix(".npy")
        vectors, self._hashes[str(place)] = read_vectors(place, self.vector_size)
        count = len(lines_of(file.text))
        if count != len(vectors):
            raise DataError(f"{name}: {count} lines, but {len(vectors)} vectors in {place}")
        lines, self._remarks[f"empty in {name}"] = lines_in(file, name, self.empty)
        return [VectorRow(line, vectors[line.number - 1]) for line in lines]

    def identity(self, row: VectorRow) -> object:
        """The numbers of the vector."""
        return row.vector.numpy().tobytes()

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The training texts, those that are too long included."""
        return {"target": [row.line.text for row in self.training_part.rows]}

    def training(self, tokenizers: Tokenizers) -> RowTraining[PairBatch]:
        """Texts of about one length together. Where the tokenizer samples, each epoch reads them
        in pieces drawn from the seed and the number of the epoch."""
        part, tokenizer = self.training_part, tokenizers["target"]

        def encoded(epoch: int, rows: Sequence[VectorRow]) -> VectorTexts:
            return encode_texts(Part(part.name, [*rows]), tokenizer, (self.seed, epoch))

        every = encoded(0, part.rows)
        kept, self._remarks["long"] = every.within(self.max_target_length, part.name)
        rows = kept.batched()
        buckets = Buckets(rows.lengths, self.batch_size, self.batch_tokens, self.seed)
        draw = (lambda epoch: encoded(epoch, kept.rows).batched()) if tokenizer.samples else None
        return RowTraining(rows, buckets, draw)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> RowSplit[PairBatch] | None:
        """All rows of the part; its examples have each vector once, with all its texts."""
        part = self.part(name)
        if part is None:
            return None
        rows = encode_texts(part, tokenizers["target"]).batched()
        return RowSplit(rows, examples_of(part.rows))

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Sources:
        """Numbers with spaces between as a vector. Errors: ValueError for what is none."""
        values = torch.zeros(len(texts), self.vector_size)
        for row, text in zip(values, texts, strict=True):
            if text.strip():
                row.copy_(vector_of(text, self.vector_size))
        return Sources(values, torch.ones(len(texts), dtype=torch.long))

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        """Of the target, and of a vector."""
        return {**super().sizes(tokenizers), "source": {"vector_size": self.vector_size}}

    def fingerprint(self) -> dict[str, str]:
        """Of the texts and of the vectors."""
        return self.hashes()

    def remarks(self) -> tuple[str, ...]:
        """Files that are not there or have faults, and texts that are left out."""
        return (*self.file_remarks(), *filter(None, self._remarks.values()))
