"""The data kinds `lines`, a sequence on each line of a text, and `vectors`, captions of vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.data import batches
from seqgen.data.base import Empty, Example, data, passage
from seqgen.data.batches import Columns, PairBatch, Prompts, RowSplit, Sources, TokenBatch
from seqgen.data.part_files import TEXT_FILES, SplitName
from seqgen.data.rows import Epoch, NamedFiles, Part, RowData
from seqgen.data.tables import Layout, Place, format_of, lines_of, read_table, some_lines
from seqgen.data.text_files import PACKED_SUFFIXES, TextFile
from seqgen.errors import DataError
from seqgen.files import read_bytes
from seqgen.options import Size
from seqgen.tokenizers import BOS, Tokenizers


class Line(NamedTuple):
    """The number of a line in its file, and its text."""

    line: int
    text: str


def lines_in(
    file: TextFile, name: str, empty: Empty, layout: Layout | None = None
) -> tuple[list[Line], str]:
    """The lines of a text that `empty` allows, with a remark on what was left out or recognised.

    With a `layout` they are the texts of the one column that it reads. A line of nothing but white
    space is empty. Raises DataError, with the line if it is one.
    """
    lines, note = [Line(number, text) for number, text in enumerate(lines_of(file.text), 1)], ""
    if layout is not None:
        rows, note = read_table(file, name, layout)
        lines = [Line(row.line, row.texts[0] if row.texts else "") for row in rows]
        broken = next((each.line for each in lines if "\n" in each.text), None)
        if broken is not None:
            raise DataError(f"{name}:{broken}: the text has an end of a line in it")
    out = [each.line for each in lines if not each.text.strip()]
    if len(out) == len(lines):
        blank = f"{len(lines)} lines, all of them empty" if lines else "an empty file"
        raise DataError(f"{name}: no lines in it ({blank})")
    if not out or empty == "keep":
        return lines, note
    if empty == "error":
        raise DataError(
            f"{name}:{out[0]}: the line is empty (data.empty: drop leaves such lines out, keep "
            "reads them as they are)"
        )
    left_out = f"{len(out)} of {len(lines)} lines are empty and left out ({some_lines(out)})"
    remark = f"{note}; {left_out}" if note else f"{name}: {left_out}"
    return [each for each in lines if each.text.strip()], remark


@data.register("lines")
@dataclass(eq=False)
class LinesData(RowData[Line, TokenBatch]):
    """Lines of text, each a sequence of its own: names, titles, sentences.

    A model reads BOS and the line, and predicts the line and EOS. `empty` says what to do with
    lines of nothing but spaces: they are left out with a remark (`drop`), an `error`, or kept.
    Training leaves out lines of more than `max_length` tokens, EOS not counted; held-out ones stay.
    With `column`, its number or name, the texts are those of one column of a table, whose `format`
    and `header` are recognised unless they are given; of a Hugging Face data set it is `text` if
    nothing is said. A batch is `batch_size` lines, or up to `batch_tokens` tokens with the padding.
    """

    column: Place | None = None
    empty: Empty = "drop"
    max_length: Size | None = None

    ends = True
    continues = True
    noun = "lines"
    sorted_by = ("text",)
    usual_files = TEXT_FILES

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout: Layout | None = None
        if self.column is not None:
            self._layout = Layout({"text": self.column}, self.format, self.header)
        elif (self.format, self.header) != ("auto", "auto"):
            raise ValueError("`column` must say what is read where `format` or `header` is given")

    def parse(self, files: NamedFiles, empty: Empty) -> tuple[list[Line], Iterable[str]]:
        if len(files) > 1:
            names = ", ".join(name for _, name in files)
            raise DataError(f"{names}: lines must be in one file, not in {len(files)}")
        [(file, name)] = files
        layout = Layout({"text": "text"}) if file.records and not self._layout else self._layout
        lines, remark = lines_in(file, name, empty, layout)
        if layout is not None or format_of(name) == "tsv":
            return lines, filter(None, [remark])
        plain = "read as plain lines; column: NAME reads one column of the table"
        return lines, filter(None, [remark, f"{name}: {plain}"])

    def encode_rows(self, part: Part[Line], tokenizers: Tokenizers, epoch: Epoch) -> Columns:
        return {"text": self.encode_targets(part, tokenizers, epoch)}

    def collate(self, columns: Columns, places: Tensor) -> TokenBatch:
        rows = columns["text"]
        return TokenBatch(batches.shift_right(rows), *batches.padded(rows), row_ids=places)

    def identity(self, row: Line) -> object:
        return row.text

    def target_of(self, row: Line) -> str:
        return row.text

    def limits(self) -> Mapping[str, int | None]:
        return {f"{self.max_length} tokens": self.max_length}

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Prompts:
        """BOS and the text that a line begins with. Raises ValueError if it has a line break."""
        if any("\n" in text or "\r" in text for text in texts):
            raise ValueError("`text` must be the beginning of a line, but has a line break in it")
        rows = [tokenizers["text"].encode(text) for text in texts]
        return Prompts(*batches.padded([torch.tensor([BOS, *row.tolist()]) for row in rows]))

    def passages(
        self, name: SplitName, tokenizers: Tokenizers, prompt_size: int | None, length: int
    ) -> Sequence[Example]:
        """A line each, whole however long; a prompt is empty unless its size is given."""
        part, tokenizer = self.part(name), tokenizers["text"]
        encoded = (tokenizer.encode(row.text).tolist() for row in part.rows) if part else ()
        return [passage(tokens, prompt_size or 0, tokenizer) for tokens in encoded]

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """What the tokens add after the prompt."""
        tokenizer = tokenizers["text"]
        return tokenizer.continuation(tokenizer.encode(prompt).tolist(), tokens)


class VectorRow(NamedTuple):
    """A line of text, its number, and the vector that it belongs to, `[vector_size]`."""

    line: int
    text: str
    vector: Tensor


def read_vectors(path: Path, vector_size: int) -> tuple[Tensor, str]:
    """The array of a .npy file as float32 `[rows, vector_size]`, and the SHA-256 of the file.

    Numbers of other types are converted. Nothing in the file is executed: arrays of Python objects
    are refused. Raises DataError, in one line, if it is no such array, and with the number of the
    row, from 0, if a number is not finite or too large for float32.
    """
    content = read_bytes(path, DataError, wanted="a .npy file")
    if not content.startswith(b"\x93NUMPY"):
        raise DataError(f"{path}: this is not a .npy file (numpy.save writes such)")
    try:
        array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged header is an error of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: this .npy file cannot be loaded: {reason}") from None
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


def written(vector: Tensor) -> str:
    """The numbers with spaces between, with the fewest digits that identify a float32."""
    return " ".join(map(str, vector.numpy()))


def vector_of(text: str, vector_size: int) -> Tensor:
    """The vector that is written in `text`, `[vector_size]`. Raises ValueError."""
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
@dataclass(eq=False)
class VectorsData(RowData[VectorRow, PairBatch]):
    """Lines of text, each with a vector of `vector_size` numbers in a .npy file.

    Row i of `name.npy` belongs to line i of `name.txt`, in the same folder; `vectors` names another
    file if `path` is one text. Texts of equal vectors are in the same part, and each of them is
    right. As a prompt a vector is written as numbers with spaces between; the empty prompt is the
    vector of zeros. Texts of nothing but spaces are an `error`, or left out with a remark (`empty:
    drop`), or kept. Training leaves out texts of more than `max_target_length` tokens, EOS not
    counted; held-out ones stay. A batch is `batch_size` rows, or up to `batch_tokens` tokens with
    the padding.
    """

    vector_size: Size = field(kw_only=True)
    corpus: None = field(default=None, init=False)
    format: Literal["auto"] = field(default="auto", init=False)
    header: Literal["auto"] = field(default="auto", init=False)
    train: Path | None = None
    valid: Path | None = None
    test: Path | None = None
    vectors: Path | None = None
    empty: Empty = "error"
    max_target_length: Size | None = None

    fields = ("target",)
    output_field = "target"
    ends = True
    noun = "lines"
    sorted_by = ("target",)
    usual_files = TEXT_FILES

    def __post_init__(self) -> None:
        if self.path is None and self.train is None:
            raise ValueError("`path` or `train` must say where the texts come from")
        if self.vectors is not None and (self.path is None or self.train is not None):
            raise ValueError("`vectors` goes with `path` alone: `train.npy` belongs to `train.txt`")
        for name in ("path", "train", "valid", "test"):
            text: Path | None = getattr(self, name)
            if text is not None and text.suffix == ".npy":
                wanted = "a file of texts, with its vectors in a .npy file next to it"
                raise ValueError(f"`{name}` must be {wanted}, but is {text}")
        super().__post_init__()

    def parse_rows(self, file: TextFile, name: str, tokenizers: Tokenizers) -> RowSplit[PairBatch]:
        raise ValueError("this data has no rows of text that could be scored one by one")

    def parse(self, files: NamedFiles, empty: Empty) -> tuple[list[VectorRow], Iterable[str]]:
        [(file, name)] = files
        if self.vectors is not None and self.path is not None and self.path.is_dir():
            raise DataError(f"{self.path}: a directory, but `vectors` belongs to one text")
        plain = Path(name)
        plain = plain.with_suffix("") if plain.suffix in PACKED_SUFFIXES else plain
        place = self.vectors or plain.with_suffix(".npy")
        vectors, self._hashes[str(place)] = read_vectors(place, self.vector_size)
        count = len(lines_of(file.text))
        if count != len(vectors):
            raise DataError(f"{name}: {count} lines, but {len(vectors)} vectors in {place}")
        lines, remark = lines_in(file, name, empty)
        rows = [VectorRow(line, text, vectors[line - 1]) for line, text in lines]
        return rows, filter(None, [remark])

    def encode_rows(self, part: Part[VectorRow], tokenizers: Tokenizers, epoch: Epoch) -> Columns:
        targets = self.encode_targets(part, tokenizers, epoch)
        return {"target": targets, "vector": [row.vector for row in part.rows]}

    def collate(self, columns: Columns, places: Tensor) -> PairBatch:
        sources = Sources(torch.stack([*columns["vector"]]), torch.ones_like(places))
        rows = columns["target"]
        return PairBatch(sources, batches.shift_right(rows), *batches.padded(rows), places)

    def identity(self, row: VectorRow) -> object:
        return row.vector.numpy().tobytes()

    def target_of(self, row: VectorRow) -> str:
        return row.text

    def source_of(self, row: VectorRow) -> str:
        return written(row.vector)

    def limits(self) -> Mapping[str, int | None]:
        return {f"{self.max_target_length} tokens": self.max_target_length}

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Sources:
        """Numbers with spaces between as a vector. Raises ValueError."""
        values = torch.zeros(len(texts), self.vector_size)
        for row, text in zip(values, texts, strict=True):
            if text.strip():
                row.copy_(vector_of(text, self.vector_size))
        return Sources(values, torch.ones(len(texts), dtype=torch.long))

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        return {**super().sizes(tokenizers), "source": {"vector_size": self.vector_size}}
