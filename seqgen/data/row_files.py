"""Where the rows of each part come from: a file or a corpus that is divided, or several files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from seqgen.data.corpora import CorpusFactory
from seqgen.data.files import TextFile, read_text, replaced_remark
from seqgen.data.rows import divided
from seqgen.errors import DataError
from seqgen.files import display_path
from seqgen.options import Seed

T = TypeVar("T")
PartName = Literal["train", "valid", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
PART_NAMES: tuple[PartName, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Part(Generic[T]):
    """The rows of a part, and what they were read from, for messages."""

    name: str
    rows: list[T]


@dataclass(eq=False)
class RowFiles(ABC, Generic[T]):
    """The options that say where rows come from, for kinds of data to inherit.

    `path` is a directory with a file for each part, or one file that is divided. In a directory
    the files are called as `usual_files` says, unless `train`, `valid` and `test` name them. These
    three stand for themselves where there is no `path`; each is a file, or a list of files in
    parallel. Without any of them the text of `corpus` is divided. `split` says what shares of the
    different rows are train, valid and test, in an order drawn from `split_seed`, not from the
    seed of the run: another seed has the same parts.
    """

    corpus: CorpusFactory | None = None
    path: Path | None = None
    train: Path | tuple[Path, ...] | None = None
    valid: Path | tuple[Path, ...] | None = None
    test: Path | tuple[Path, ...] | None = None
    split: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1)
    split_seed: Seed = 1
    errors: Literal["strict", "replace"] = "strict"

    usual_files: ClassVar[Mapping[PartName, str]] = MappingProxyType(
        {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
    )

    def __post_init__(self) -> None:
        if self.corpus is None and self.path is None and self.train is None:
            raise ValueError("`path`, `train` or `corpus` must say where the rows come from")
        if self.path is None and self.train is None and (self.valid or self.test):
            raise ValueError("`train` must be a file where `valid` or `test` is one, but is null")
        if self.split[0] <= 0 or round(sum(self.split), 6) > 1:
            shares = list(self.split)
            raise ValueError(f"`split` must be shares of 1 with some for training, but is {shares}")
        self._corpus = self.corpus() if self.corpus is not None else None
        self._hashes: dict[str, str] = {}
        self._replaced: dict[str, int] = {}
        self._parts: dict[PartName, Part[T] | None] = {}

    @abstractmethod
    def parsed(self, files: Sequence[TextFile], names: Sequence[str]) -> list[T]:
        """The rows of one text, or of several in parallel. Errors: DataError with file:line."""

    @abstractmethod
    def identity(self, row: T) -> object:
        """Rows that are equal in this are in the same part where a text is divided."""

    def part(self, name: PartName) -> Part[T] | None:
        """The rows of a part; None where there are none. Errors: DataError."""
        if name not in self._parts:
            files = self._files
            self._parts[name] = self._divided[name] if files is None else self._read(files[name])
        return self._parts[name]

    @property
    def training_part(self) -> Part[T]:
        """The training rows, without which there is no data. Errors: DataError."""
        part = self.part("train")
        assert part is not None
        return part

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of all files by their names."""
        for name in PART_NAMES:
            self.part(name)
        return dict(self._hashes)

    def file_remarks(self) -> list[str]:
        """What a person should know of the files: which the directory might have had and has not,
        and how many faults of their encoding `errors: replace` has replaced."""
        if self._files is None or self.path is None:
            missing = []
        else:
            missing = [self.path / self.usual_files[n] for n in PART_NAMES if not self._files[n]]
        return [
            *(f"{path}: not there, so there is no such part" for path in missing),
            *(replaced_remark(name, count) for name, count in self._replaced.items() if count),
        ]

    @cached_property
    def _files(self) -> dict[PartName, tuple[Path, ...]] | None:
        """The files of each part; None where one text is divided."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        given = {name: _several(named[name]) for name in PART_NAMES}
        if self.path is None:
            return given if self.train is not None else None
        if not self.path.is_dir():
            if any(given.values()):
                what = "no directory, in which `train`, `valid` and `test` would be files"
                raise DataError(f"{self.path}: {what}")
            return None
        usual = {name: self.path / file for name, file in self.usual_files.items()}
        if not given["train"] and not usual["train"].exists():
            name = self.usual_files["train"]
            raise DataError(f"{self.path}: has no {name}; data.train=NAME says what is read")
        return {
            name: tuple(self.path / each for each in given[name])
            or ((usual[name],) if usual[name].exists() else ())
            for name in PART_NAMES
        }

    @cached_property
    def _divided(self) -> dict[PartName, Part[T] | None]:
        """The parts of the one text."""
        if self.path is not None:
            file, name = read_text(self.path, self.errors), display_path(self.path)
        else:
            assert self._corpus is not None
            file, name = self._corpus.read(), self._corpus.name
        self._hashes[name] = file.sha256
        self._replaced[name] = file.replaced
        rows = self.parsed([file], [name])
        parts = divided(rows, self.split, self.split_seed, self.identity)
        if not parts[0]:
            count, shares = len(set(map(self.identity, rows))), list(self.split)
            found = f"{count} different row{'s' if count > 1 else ''}"
            raise DataError(f"{name}: {found} and the split {shares} leave none for training")
        return {
            part: Part(name, own) if own else None
            for part, own in zip(PART_NAMES, parts, strict=True)
        }

    def _read(self, paths: Sequence[Path]) -> Part[T] | None:
        if not paths:
            return None
        files, names = [read_text(path, self.errors) for path in paths], [*map(display_path, paths)]
        self._hashes.update(zip(names, (file.sha256 for file in files), strict=True))
        self._replaced.update(zip(names, (file.replaced for file in files), strict=True))
        return Part(", ".join(names), self.parsed(files, names))


def _several(paths: Path | tuple[Path, ...] | None) -> tuple[Path, ...]:
    if paths is None:
        return ()
    return paths if isinstance(paths, tuple) else (paths,)
