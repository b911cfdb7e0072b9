"""Where the parts of data come from: a file or a corpus that is divided, or files for each part."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seqgen.data.corpora import CorpusFactory
from seqgen.data.text_files import PACKED_SUFFIXES, UTF_8, Reading, TextFile, read_text
from seqgen.errors import DataError
from seqgen.files import display_path

PartName = Literal["train", "valid", "test"]
SplitName = Literal["valid", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Shares = tuple[Fraction, Fraction, Fraction]
PART_NAMES: tuple[PartName, ...] = ("train", "valid", "test")
TEXT_FILES: Mapping[PartName, str] = MappingProxyType(
    {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}
)
TABLE_FILES: Mapping[PartName, str] = MappingProxyType(
    {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
)


@dataclass(eq=False)
class PartFiles(ABC):  # noqa: B024
    """The options that say where the parts come from, for kinds of data to inherit.

    `path` is a directory with a file for each part, or one file that is divided. In a directory the
    files have the names of `usual_files`, unless `train`, `valid` and `test` name them. Without a
    `path` these three stand for themselves, and without any of them the text of `corpus` is
    divided. `split` says what shares are train, valid and test. Files may be packed (gzip, bzip2,
    xz, zstd); if `a.txt` is not there, `a.txt.gz` is read. `encoding` is that of all of them, and
    with `errors: replace` faults of it are read as U+FFFD.
    """

    corpus: CorpusFactory | None = None
    path: Path | None = None
    train: Path | tuple[Path, ...] | None = None
    valid: Path | tuple[Path, ...] | None = None
    test: Path | tuple[Path, ...] | None = None
    split: Shares = (0.8, 0.1, 0.1)
    errors: Literal["strict", "replace"] = "strict"
    encoding: str = UTF_8

    contents: ClassVar[str] = "rows come"
    """What comes from the files, for messages."""
    usual_files: ClassVar[Mapping[PartName, str]] = TABLE_FILES

    def __post_init__(self) -> None:
        if self.corpus is None and self.path is None and self.train is None:
            where = f"where the {self.contents} from"
            raise ValueError(f"`path`, `train` or `corpus` must say {where}")
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
        self._remarks: dict[str, None] = {}  # a set in the order of what was read

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

    def remarks(self) -> tuple[str, ...]:
        return (*self.file_remarks(), *self._remarks)

    def file_remarks(self) -> list[str]:
        """Remarks on files that are missing or in two parts, and on replaced faults."""
        files, missing = self.files, []
        if files is not None and self.path is not None and self.path.is_dir():
            missing = [self.path / self.usual_files[n] for n in PART_NAMES if not files[n]]
        remarks = [f"{path}: not there, so there is no such part" for path in missing]
        for name, part, other in self.copies():
            remarks.append(f"{name}: of the {part} part, the same as {other}")
        for name, count in self._replaced.items():
            if count:
                faults = f"{count} fault{'s' if count > 1 else ''} of the encoding"
                remarks.append(f"{name}: {faults} read as U+FFFD")
        return remarks

    def copies(self) -> Iterator[tuple[str, PartName, str]]:
        """Held-out files with the text of another part's file: name, part, and the other file."""
        seen: dict[str, str] = {}
        for part, paths in (self.files or {}).items():
            names = [display_path(_packed(path)) for path in paths]
            for name in names:
                if self._texts.get(name) in seen:
                    yield name, part, seen[self._texts[name]]
            own = {self._texts[name]: f"{name} of {part}" for name in names if name in self._texts}
            seen = {**own, **seen}

    @cached_property
    def files(self) -> dict[PartName, tuple[Path, ...]] | None:
        """The files of each part; None if one text is divided. Raises DataError."""
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
        """The file of a part in the directory, if any. Raises DataError if several may be meant."""
        assert self.path is not None
        usual = Path(self.usual_files[part])
        stems = ("dev", "valid") if part == "valid" else (usual.stem,)
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

    def _remark(self, *remarks: str) -> None:
        self._remarks |= dict.fromkeys(remarks)

    def _kept(self, file: TextFile, name: str) -> tuple[TextFile, str]:
        self._hashes[name] = file.sha256
        self._texts[name] = TextFile.of(file.text).sha256
        self._replaced[name] = file.replaced
        return file, name


def _several(paths: Path | tuple[Path, ...] | None) -> tuple[Path, ...]:
    if paths is None:
        return ()
    return paths if isinstance(paths, tuple) else (paths,)


def _packed(path: Path) -> Path:
    """The path, or that of the packed file beside it if only that is there."""
    if path.exists():
        return path
    packed = [path.with_name(path.name + suffix) for suffix in PACKED_SUFFIXES if path.name]
    there = [each for each in packed if each.exists()]
    return there[0] if len(there) == 1 else path


def _expanded(path: Path) -> list[Path]:
    """The files that fit a pattern, by name; a plain path as it is. Raises DataError."""
    if not any(sign in str(path) for sign in "*?[") or path.exists():
        return [path]
    found = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207  absolute or not
    files = [each for each in found if each.is_file()]
    if not files:
        raise DataError(f"{display_path(path)}: no file fits this pattern")
    return files
