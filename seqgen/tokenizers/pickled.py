"""Vocabularies that torchtext pickled, read as plain data: no code of the file runs.

A pickle is a program that may call anything by its name. Here the few names that vocabularies and
fields of torchtext need stand for values without behaviour, and any other name is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from seqgen.errors import DataError
from seqgen.files import RECORD_LIMIT, display_path, read_bytes
from seqgen.tokenizers.base import check_text

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""What `torch.save` wrote first before it wrote zip archives."""

_DEEP = 8
"""How deep in dicts and lists a vocabulary is looked for."""


class Inert(ABC):  # noqa: B024
    """Stands for an object or a function of the file; being called or changed it does nothing."""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: B027
        pass


class Vocabulary(Inert):
    """Stands for a `Vocab`: `itos` are its words, `freqs` how often each was there."""


class Field(Inert):
    """Stands for a field, which has a `vocab` and names of special tokens."""


def _counted(*given: Any) -> dict[Any, Any]:
    """A Counter, or a defaultdict without its default."""
    return dict(next((each for each in given if isinstance(each, Mapping)), {}))


def _made(kind: Any, *given: Any) -> Any:
    """An object as old protocols make it."""
    return kind() if isinstance(kind, type) and issubclass(kind, Inert) else Inert()


_FIELDS = ("Field", "RawField", "LabelField", "ReversibleField", "SubwordField", "NestedField")
_BUILTIN = ("builtins", "__builtin__")  # as Python 3 and Python 2 call it
_ALLOWED: dict[tuple[str, str], Any] = {
    **{
        (f"torchtext.{old}vocab", name): kind
        for old in ("", "legacy.")
        for name, kind in (
            *(("Vocab", Vocabulary), ("SubwordVocab", Vocabulary)),
            *(("_default_unk_index", Inert), ("_default_unk", Inert)),
        )
    },
    **{
        (f"torchtext.{old}data.{module}", name): Field
        for old in ("", "legacy.")
        for module in ("field", "fields")
        for name in _FIELDS
    },
    **{
        (f"torchtext.{old}data.utils", name): Inert
        for old in ("", "legacy.")
        for name in ("_split_tokenizer", "_basic_english_normalize")
    },
    ("collections", "Counter"): _counted,
    ("collections", "defaultdict"): _counted,
    ("collections", "OrderedDict"): _counted,
    **dict.fromkeys((("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")), _made),
    **{(module, name): Inert for module in _BUILTIN for name in ("getattr", "object")},
    ("torch._utils", "_rebuild_tensor_v2"): Inert,
    ("torch._utils", "_rebuild_tensor"): Inert,
    ("torch.storage", "_load_from_bytes"): Inert,
    ("torch", "FloatStorage"): Inert,
    ("torch", "DoubleStorage"): Inert,
}


class _RefusedError(Exception):
    """The file has a name in it that no vocabulary needs."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"{module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> None:
        """Numbers of vectors, which are not needed."""


@dataclass(frozen=True)
class Words:
    """The words of a vocabulary in the order of their ids, the special tokens that were left out,
    and whether its field wants texts in lower case."""

    words: list[str]
    left_out: list[str]
    lower: bool


def read_vocabulary(path: Path, name: str | None = None) -> Words:
    """The vocabulary of torchtext up to 0.8, or of its `legacy`, in a file of `pickle` or
    `torch.save`; where there are several, that called `name`, as in `src`.

    Raises DataError, in one line, if it has no vocabulary, or names what no vocabulary needs.
    """
    shown = display_path(path)
    content = read_bytes(path, DataError, limit=RECORD_LIMIT, wanted="a pickled vocabulary")
    try:
        found = dict(_vocabularies(_unpickled(content)))
    except _RefusedError as error:
        what = f"it names {error}, which no vocabulary of torchtext needs"
        raise DataError(f"{shown}: refused, nothing of it was run: {what}") from None
    except Exception as error:  # a damaged pickle is an error of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{shown}: no pickle, or a damaged one: {reason}") from None
    if name is None and len(found) == 1:
        [(name, _)] = found.items()
    if name not in found:
        _refuse(shown, name, [*found])
    return _words(shown, *found[name])


def _unpickled(content: bytes) -> Any:
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            [inner] = [each for each in archive.infolist() if each.filename.endswith("/data.pkl")]
            if inner.file_size > RECORD_LIMIT:
                raise ValueError("the pickle in it is larger than 1 GiB")
            content = archive.read(inner)
    file = io.BytesIO(content)
    found = _loaded(file, len(content))
    for _ in range(3 if found == _LEGACY_MAGIC else 0):  # a version, the machine, the object
        found = _loaded(file, len(content))
    return found


def _loaded(file: io.BytesIO, size: int) -> Any:
    """The next object. Raises ValueError if it asks for more memory than its `size` needs."""
    begin = file.tell()
    for operation, given, _ in pickletools.genops(file):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(given or 0) > size:
            raise ValueError(f"it counts {given} objects in {size} bytes")
    file.seek(begin)
    return _Reader(file).load()


_Found = tuple[Vocabulary, Field | None]


def _vocabularies(
    found: Any, place: str = "", field: Field | None = None, depth: int = 0
) -> Iterator[tuple[str, _Found]]:
    """All vocabularies with their names: keys of dicts or pairs, numbers in lists."""
    if isinstance(found, Vocabulary):
        yield place, (found, field)
    elif isinstance(found, Field):
        yield from _vocabularies(vars(found).get("vocab"), place, found, depth)
    elif depth < _DEEP and isinstance(found, list | tuple):
        pairs = all(isinstance(each, tuple) and len(each) == 2 for each in found)
        rest = dict(found) if pairs else dict(enumerate(found))
        yield from _vocabularies(rest, place, field, depth)
    elif depth < _DEEP and isinstance(found, dict):
        for key, each in found.items():
            inner = f"{place}.{key}" if place else str(key)
            yield from _vocabularies(each, inner, field, depth + 1)


def _refuse(path: str, name: str | None, names: list[str]) -> NoReturn:
    if not names:
        raise DataError(f"{path}: has no vocabulary of torchtext in it")
    what = f"no vocabulary {name!r}" if name is not None else "several vocabularies"
    several = ", ".join(each or "(one without a name)" for each in names)
    raise DataError(f"{path}: has {what}; --name says which of {several} is meant")


def _words(path: str, vocabulary: Vocabulary, field: Field | None) -> Words:
    """The words but for the special tokens: those of the field, or what was never counted."""
    parts = vars(vocabulary)
    every, counts = parts.get("itos"), parts.get("freqs") or {}
    try:
        texts = isinstance(every, list) and all(isinstance(each, str) for each in every)
        check_text("".join(every) if texts and every else "")
    except ValueError:
        texts = False
    if not texts or not every or not isinstance(counts, dict):
        raise DataError(f"{path}: its `itos` must be a list of texts, but is not")
    options = {} if field is None else vars(field)
    own = [options.get(f"{each}_token") for each in ("unk", "pad", "init", "eos")]
    special = {each for each in own if isinstance(each, str)} | {"<unk>", "<pad>"}
    left_out = [each for each in every if each in special or (counts and each not in counts)]
    words = [each for each in dict.fromkeys(every) if each and each not in left_out]
    if not words:
        raise DataError(f"{path}: its vocabulary has no words besides {', '.join(left_out)}")
    return Words(words, left_out, bool(options.get("lower")))
