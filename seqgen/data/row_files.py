"""Where each part comes from: a file or a corpus that is divided, a directory, or several files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from seqgen.data.corpora import CorpusFactory
from seqgen.data.tables import Format, Header, divided
from seqgen.data.text_files import (
    PACKED_SUFFIXES,
    UTF_8,
    Reading,
    TextFile,
    read_text,
    replaced_remark,
)
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
class PartFiles(ABC):  # noqa: B024
    """The options that say where the parts come from, for kinds of data to inherit.

    `path` is a directory with a file for each part, or one file that is divided. In a directory the
    files are called as `usual_files` says, unless `train`, `valid` and `test` name them. These
    three stand for themselves where there is no `path`. Without any of them the text of `corpus` is
    divided. `split` says what shares are train, valid and test. Files may be packed (gzip, bzip2,
    xz, zstd); where `a.txt` is not there, `a.txt.gz` is read. `encoding` is that of all of them,
    and `errors: replace` has faults of it read as U+FFFD.
    """

    corpus: CorpusFactory | None = None
    path: Path | None = None
    train: Path | tuple[Path, ...] | None = None
    valid: Path | tuple[Path, ...] | None = None
    test: Path | tuple[Path, ...] | None = None
    split: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1)
    errors: Literal["strict", "replace"] = "strict"
    encoding: str = UTF_8

    what: ClassVar[str] = "text"
    """What comes from the files, for messages."""
    usual_files: ClassVar[Mapping[PartName, str]] = MappingProxyType(
        {"train": "train.txt", "valid": "valid.txt", "test": "test.txt"}
    )

    def __post_init__(self) -> None:
        if self.corpus is None and self.path is None and self.train is None:
            verb = "comes" if self.what == "text" else "come"
            raise ValueError(
                f"`path`, `train` or `corpus` must say where the {self.what} {verb} from"
            )
        if self.path is None and self.train is None and (self.valid or self.test):
            raise ValueError("`train` must be a file where `valid` or `test` is one, but is null")
        if self.split[0] <= 0 or round(sum(self.split), 6) > 1:
            shares = list(self.split)
            raise ValueError(f"`split` must be shares of 1 with some for training, but is {shares}")
        self._reading = Reading(self.encoding, self.errors)
        self._corpus = self.corpus() if self.corpus is not None else None
        self._hashes: dict[str, str] = {}
        self._texts: dict[str, str] = {}  # the hash of each file's text, however it is packed
        self._replaced: dict[str, int] = {}

    def read(self, path: Path) -> tuple[TextFile, str]:
        """A file, and what messages call it; its hash is kept. Raises DataError."""
        path = _packed(path)
        return self._kept(read_text(path, self._reading), display_path(path))

    def read_undivided(self) -> list[tuple[TextFile, str]]:
        """What is divided: a corpus, a file, or the files of a pattern. Raises DataError."""
        if self.path is not None:
            return [*map(self.read, _expanded(self.path))]
        assert self._corpus is not None
        return [self._kept(self._corpus.read(), self._corpus.name)]

    def file_remarks(self) -> list[str]:
        """What a person should know of the files: which the directory might have had and has not,
        which are in two parts, and how many faults of the encoding were replaced."""
        files, missing = self.files, []
        if files is not None and self.path is not None and self.path.is_dir():
            missing = [self.path / self.usual_files[n] for n in PART_NAMES if not files[n]]
        return [
            *(f"{path}: not there, so there is no such part" for path in missing),
            *(
                f"{name}: of the {part} part, the same as {other}"
                for name, part, other in self.twice()
            ),
            *(replaced_remark(name, count) for name, count in self._replaced.items() if count),
        ]

    def twice(self) -> Iterator[tuple[str, PartName, str]]:
        """Held-out files with the content of one that another part has: the name, the part, and
        the file and the part of the other one."""
        seen: dict[str, str] = {}
        files = self.files or {}
        for part, paths in files.items():
            names = [display_path(_packed(path)) for path in paths]
            for name in names:
                if self._texts.get(name) in seen:
                    yield name, part, seen[self._texts[name]]
            own = {self._texts[name]: f"{name} of {part}" for name in names if name in self._texts}
            seen = {**own, **seen}

    @cached_property
    def files(self) -> dict[PartName, tuple[Path, ...]] | None:
        """The files of each part; None where one text is divided. Raises DataError."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        given = {name: _several(named[name]) for name in PART_NAMES}
        if self.path is None:
            if self.train is None:
                return None
            return {n: tuple(f for each in given[n] for f in _expanded(each)) for n in PART_NAMES}
        if not self.path.is_dir():
            if any(given.values()):
                what = "no directory, in which `train`, `valid` and `test` would be files"
                raise DataError(f"{self.path}: {what}")
            return None
        usual = {name: self._usual_file(name) for name in PART_NAMES if not given[name]}
        if not given["train"] and not usual["train"]:
            name = self.usual_files["train"]
            raise DataError(f"{self.path}: has no {name}; data.train=NAME says what is read")
        return {
            name: tuple(f for each in given[name] for f in _expanded(self.path / each))
            or usual[name]
            for name in PART_NAMES
        }

    def _usual_file(self, part: PartName) -> tuple[Path, ...]:
        """The file of a part in the directory, if there is one. Raises DataError if there are
        several that might be meant."""
        assert self.path is not None
        usual = Path(self.usual_files[part])
        stems = {"valid": ("dev", "valid")}.get(part, (usual.stem,))
        suffixes = (usual.suffix, ".csv", ".jsonl") if usual.suffix == ".tsv" else (usual.suffix,)
        found = [
            path
            for stem in stems
            for suffix in suffixes
            for packed in ("", *PACKED_SUFFIXES)
            if (path := self.path / f"{stem}{suffix}{packed}").exists()
        ]
        if len(found) > 1:
            names = " and ".join(path.name for path in found[:2])
            raise DataError(f"{self.path}: has {names}; data.{part}=NAME says which is read")
        return tuple(found)

    def _kept(self, file: TextFile, name: str) -> tuple[TextFile, str]:
        self._hashes[name] = file.sha256
        self._texts[name] = TextFile.of(file.text).sha256
        self._replaced[name] = file.replaced
        return file, name


@dataclass(eq=False)
class RowFiles(PartFiles, ABC, Generic[T]):
    """The options that say where rows come from, for kinds of data to inherit.

    `train`, `valid` and `test` are each a file, or a list of files in parallel. What is divided is
    the different rows, in an order drawn from `split_seed`, not from the seed of the run: another
    seed has the same parts. `format` and `header` are those of a `Layout`.
    """

    split_seed: Seed = 1
    format: Format = "auto"
    header: Header = "auto"

    what: ClassVar[str] = "rows"
    asked: ClassVar[str] = "rows"
    """What `question` gives, for messages."""
    usual_files: ClassVar[Mapping[PartName, str]] = MappingProxyType(
        {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._parts: dict[PartName, Part[T] | None] = {}
        self._empty: dict[PartName, str] = {}

    @abstractmethod
    def parsed(self, files: Sequence[TextFile], names: Sequence[str]) -> list[T]:
        """The rows of one text, or of several in parallel. Errors: DataError with file:line."""

    @abstractmethod
    def identity(self, row: T) -> object:
        """Rows that are equal in this are in the same part where a text is divided."""

    def question(self, row: T) -> object:
        """What is asked of a model: a held-out row is known from training if its is."""
        return self.identity(row)

    def part(self, name: PartName) -> Part[T] | None:
        """The rows of a part; None where there are none. Errors: DataError."""
        if name not in self._parts:
            files = self.files
            self._parts[name] = self._divided[name] if files is None else self._read(name)
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
        """Of the files, held-out parts that are empty, and rows that training has, too."""
        empty = [
            f"{where}: no rows for the {name} part, so there is none"
            for name, where in self._empty.items()
        ]
        return [*super().file_remarks(), *empty, *self._shared()]

    def _shared(self) -> Iterator[str]:
        """How much of each held-out part training has, too, where that is not a whole file."""
        training = self._parts.get("train")
        if training is None or self.files is None:
            return
        known = set(map(self.question, training.rows))
        same = {name for _, name, _ in self.twice()}
        for name in PART_NAMES[1:]:
            part = self.part(name) if name not in same else None
            if part is None:
                continue
            own = set(map(self.question, part.rows))
            if own & known:
                both = f"{len(own & known)} of {len(own)} different {self.asked} are in training"
                yield f"{part.name}: of the {name} part, {both}, too"

    @cached_property
    def _divided(self) -> dict[PartName, Part[T] | None]:
        """The parts of the one text."""
        [(file, name), *more] = self.read_undivided()
        if more:
            raise DataError(f"{self.path}: fits {1 + len(more)} files, but rows come from one")
        rows = self.parsed([file], [name])
        parts = divided(rows, self.split, self.split_seed, self.identity)
        if not parts[0]:
            count, shares = len(set(map(self.identity, rows))), list(self.split)
            found = f"{count} different row{'s' if count > 1 else ''}"
            raise DataError(f"{name}: {found} and the split {shares} leave none for training")
        for part, own, share in zip(PART_NAMES, parts, self.split, strict=True):
            if share and not own:
                self._empty[part] = name
        return {
            part: Part(name, own) if own else None
            for part, own in zip(PART_NAMES, parts, strict=True)
        }

    def _read(self, name: PartName) -> Part[T] | None:
        paths = self.files[name] if self.files else ()
        if not paths:
            return None
        files, names = zip(*map(self.read, paths), strict=True)
        if name != "train" and not any(file.text.strip() for file in files):
            self._empty[name] = ", ".join(names)
            return None
        return Part(", ".join(names), self.parsed(files, names))


def _several(paths: Path | tuple[Path, ...] | None) -> tuple[Path, ...]:
    if paths is None:
        return ()
    return paths if isinstance(paths, tuple) else (paths,)


def _packed(path: Path) -> Path:
    """The path, or that of the packed file beside it where only that is there."""
    if path.exists():
        return path
    packed = [path.with_name(path.name + suffix) for suffix in PACKED_SUFFIXES if path.name]
    there = [each for each in packed if each.exists()]
    return there[0] if len(there) == 1 else path


def _expanded(path: Path) -> list[Path]:
    """The files that fit a pattern, by name; a path that is none as it is. Raises DataError."""
    if not any(sign in str(path) for sign in "*?[") or path.exists():
        return [path]
    found = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207  absolute or not
    files = [each for each in found if each.is_file()]
    if not files:
        raise DataError(f"{display_path(path)}: no file fits this pattern")
    return files
