"""The data kind `vectors`: a feature vector, and the text that belongs to it, as in captioning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch

from seqgen.data.array_file import read_vectors
from seqgen.data.base import Data, Empty, SplitName, data
from seqgen.data.batches import PairBatch, Sources
from seqgen.data.buckets import Buckets
from seqgen.data.files import PACKED_SUFFIXES, UTF_8, TextFile
from seqgen.data.line_rows import lines_in
from seqgen.data.row_batches import RowSplit, RowTraining
from seqgen.data.row_files import Fraction, Part, PartName, RowFiles
from seqgen.data.rows import lines_of
from seqgen.data.vector_rows import (
    VectorRow,
    VectorTexts,
    encode_texts,
    examples_of,
    vector_of,
)
from seqgen.errors import DataError
from seqgen.options import Seed, Size
from seqgen.tokenizers.base import Tokenizers


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
