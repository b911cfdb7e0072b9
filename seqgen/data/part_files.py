"""Where the parts of data come from: one file or corpus that is divided, or files for each part."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from seqgen.data.corpora import CorpusFactory
from seqgen.data.data_sets import is_data_set, is_divided, long_column, read_data_set
from seqgen.data.text_files import PACKED_SUFFIXES, UTF_8, Reading, TextFile, read_long, read_text
from seqgen.errors import DataError
from seqgen.files import display_path
from seqgen.tokenizers import LongText

PartName = Literal["train", "valid", "test"]
SplitName = Literal["valid", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Shares = tuple[Fraction, Fraction, Fraction]
SPLIT_NAMES: tuple[SplitName, ...] = ("valid", "test")
PART_NAMES: tuple[PartName, ...] = ("train", "valid", "test")
TEXT_FILES = ("train.txt", "dev.txt", "test.txt")
SPLITS_OF_DATA_SETS = ("train", "validation", "test")


@dataclass(eq=False)
class PartFiles(ABC):  # noqa: B024
    """The options that say where the parts come from, for kinds of data to inherit.

    `path` is a directory with a file for each part, or one file that is divided. In a directory the
    files have the names of `usual_files`, unless `train`, `valid` and `test` name them. Without a
    `path` these three are paths of their own, and without any of them the text of `corpus` is
    divided. `split` gives the shares of train, valid and test. Files may be compressed by gzip,
    bzip2, xz or zstd; if `a.txt` does not exist, `a.txt.gz` is read. `encoding` is that of all
    files; with `errors: replace`, invalid bytes are read as U+FFFD. A folder that `save_to_disk` of
    Hugging Face's `datasets` wrote is read like a table (extra `hf`): one split as a file, several
    as a directory.
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
    usual_files: ClassVar[tuple[str, str, str]] = ("train.tsv", "dev.tsv", "test.tsv")

    def __post_init__(self) -> None:
        if self.corpus is None and self.path is None and self.train is None:
            where = f"where the {self.contents} from"
            raise ValueError(f"`path`, `train` or `corpus` must say {where}")
        if self.path is None and self.train == ():
            raise ValueError("`train` must be one file or several, but is []")
        if self.path is None and self.train is None and (self.valid or self.test):
            raise ValueError("`train` must be a file where `valid` or `test` is one, but is null")
        if self.split[0] <= 0 or round(sum(self.split), 6) > 1:
            shares = list(self.split)
            raise ValueError(
                f"`split` must add up to at most 1 and have a share to train on, but is {shares}"
            )
        self._reading = Reading(self.encoding, self.errors)
        self._corpus = self.corpus() if self.corpus is not None else None
        self._hashes: dict[str, str] = {}
        self._texts: dict[str, str] = {}  # the hash of each file's text, however it is packed
        self._replaced: dict[str, int] = {}
        self._remarks: dict[str, None] = {}  # a set in the order of what was read

    def read(self, path: Path) -> tuple[TextFile, str]:
        """A file, and what messages call it; its hash is kept. Raises DataError."""
        path = _packed(path)
        name = display_path(path)
        found = read_data_set(path) if is_data_set(path) else read_text(path, self._reading)
        return self._kept(found, name)

    def read_long(self, path: Path) -> tuple[LongText, str]:
        """Like `read`, but a large text is not kept in memory. Raises DataError."""
        path = _packed(path)
        name = display_path(path)
        found = long_column(path) if is_data_set(path) else read_long(path, self._reading)
        if found is None:
            return LongText.of(self.read(path)[0].text), name
        text, self._hashes[name] = found
        self._replaced[name] = 0
        if self.files is not None:  # else there is nothing to compare it with
            self._texts[name] = text.sha256
        return text, name

    def undivided(self) -> list[Path]:
        """The files that are divided, if no corpus is: one, or those of a pattern. Raises
        DataError."""
        return [] if self.path is None else _expanded(self.path)

    def read_corpus(self) -> tuple[TextFile, str]:
        """The corpus, which is divided if there is no file. Raises DataError."""
        assert self._corpus is not None
        return self._kept(self._corpus.read(), self._corpus.name)

    def read_undivided(self) -> list[tuple[TextFile, str]]:
        """What is divided: a corpus, a file, or the files of a pattern. Raises DataError."""
        return [*map(self.read, self.undivided())] or [self.read_corpus()]

    def remarks(self) -> tuple[str, ...]:
        return (*self.file_remarks(), *self._remarks)

    def file_remarks(self) -> list[str]:
        """Remarks on files that are missing or in two parts, and on replaced bytes."""
        remarks = []
        if self.files is not None and self.path is not None:
            for usual, paths in zip(self._usual, self.files.values(), strict=True):
                if not paths:
                    remarks.append(f"{self.path / usual}: not there, so there is no such part")
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
        given = (self.train, self.valid, self.test)
        if self.path is None and self.train is None:
            return None
        if self.path is not None and (is_data_set(self.path) or not self.path.is_dir()):
            if any(given):
                what = "no directory, in which `train`, `valid` and `test` would be files"
                raise DataError(f"{self.path}: {what}")
            return None
        found: dict[PartName, tuple[Path, ...]] = {}
        for part, usual, paths in zip(PART_NAMES, self._usual, given, strict=True):
            if paths or self.path is None:
                several = (paths,) if isinstance(paths, Path) else paths or ()
                places = [self.path / each if self.path else each for each in several]
                found[part] = tuple(file for place in places for file in _expanded(place))
            else:
                found[part] = _usual_file(self.path, part, Path(usual))
        if self.path is not None and not found["train"]:
            usual = self._usual[0]
            raise DataError(f"{self.path}: has no {usual}; data.train=NAME says what is read")
        return found

    @property
    def _usual(self) -> tuple[str, str, str]:
        """What the parts are usually called in the directory `path`."""
        divided = self.path is not None and is_divided(self.path)
        return SPLITS_OF_DATA_SETS if divided else self.usual_files

    def _remark(self, *remarks: str) -> None:
        self._remarks |= dict.fromkeys(remarks)

    def _kept(self, file: TextFile, name: str) -> tuple[TextFile, str]:
        self._hashes[name] = file.sha256
        self._texts[name] = file.sha256 if file.records else TextFile.of(file.text).sha256
        self._replaced[name] = file.replaced
        return file, name


def _usual_file(folder: Path, part: PartName, usual: Path) -> tuple[Path, ...]:
    """The file of a part in a directory, if any. Raises DataError if several may be meant."""
    stems: tuple[str, ...] = ("dev", "valid") if part == "valid" else (usual.stem,)
    if part == "valid" and not usual.suffix:  # of a data set
        stems += ("validation",)
    suffixes = (usual.suffix, ".csv", ".jsonl") if usual.suffix == ".tsv" else (usual.suffix,)
    names = (
        f"{stem}{suffix}{packed}"
        for stem in stems
        for suffix in suffixes
        for packed in ("", *PACKED_SUFFIXES)
    )
    found = [path for name in names if (path := folder / name).exists()]
    if len(found) > 1:
        several = " and ".join(path.name for path in found[:2])
        raise DataError(f"{folder}: has {several}; data.{part}=NAME says which is read")
    return tuple(found)


def _packed(path: Path) -> Path:
    """The path, or that of the packed file next to it if only that exists."""
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
