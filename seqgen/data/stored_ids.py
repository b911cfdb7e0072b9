"""The ids of a text: in memory, or of a large one in a file of the cache, which is mapped."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.errors import SetupError
from seqgen.files import cache_file, cache_folder
from seqgen.tokenizers import LongText, Tokenizer
from seqgen.version import __version__

Ids = NDArray[np.unsignedinteger]

_BLOCK = 1 << 20
_SEAL = hashlib.sha256().digest_size
"""The bytes at the end of a file of ids: the SHA-256 of what is before them."""


def ids_of(text: LongText, tokenizer: Tokenizer, first: int) -> Tensor:
    """`first` and then the ids of `text`, `[time]`.

    Those of a large text are the smallest unsigned integers that hold the vocabulary, and stay in a
    file, which is made if it is not in the cache or damaged. It is found by the hashes of the text,
    the tokenizer and its code. Processes that make it at once do not disturb one another. Where the
    cache cannot be written, a warning says so, and the ids are in memory. Raises ValueError as
    `encode` does, and if an id is none of the tokenizer's.
    """
    if not text.large:
        tokens = torch.from_numpy(tokenizer.encode(str(text)))
        return torch.cat([tokens.new_tensor([first]), tokens])
    kind = np.min_scalar_type(len(tokenizer) - 1)
    try:
        path = cache_folder() / "ids" / _name(text, tokenizer, first)
        if not _whole(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _store(path, _blocks(text, tokenizer, first, kind))
        count = (path.stat().st_size - _SEAL) // kind.itemsize
        # Copied on writing, since torch wants memory that could be written; nobody does.
        return torch.from_numpy(np.memmap(path, kind, "c", shape=(count,)))
    except (OSError, SetupError) as error:
        what = f"the ids of the text are in memory, for they cannot be in the cache: {error}"
        warnings.warn(what, stacklevel=2)
        return torch.from_numpy(np.concatenate([*_blocks(text, tokenizer, first, kind)]))


def _blocks(
    text: LongText, tokenizer: Tokenizer, first: int, kind: np.dtype[np.unsignedinteger]
) -> Iterator[Ids]:
    """`first` and the ids of the text, as `kind`, a part at a time."""
    yield np.array([first], dtype=kind)
    size = len(tokenizer)
    for tokens in text.encoded(tokenizer):
        for found in (tokens.min(initial=0), tokens.max(initial=0)):
            if not 0 <= found < size:
                ids = f"has {size} ids (0 to {size - 1})"
                raise ValueError(f"the tokenizer gave the id {found}, but {ids}")
        yield tokens.astype(kind)


def _store(path: Path, blocks: Iterator[Ids]) -> None:
    seal = hashlib.sha256()
    with cache_file(path) as file:
        for block in blocks:
            content = block.tobytes()
            seal.update(content)
            file.write(content)
        file.write(seal.digest())


def _whole(path: Path) -> bool:
    """Whether a file is there and is what was written."""
    if not path.is_file():
        return False
    seal, left = hashlib.sha256(), path.stat().st_size - _SEAL
    with path.open("rb") as file:
        while left > 0:
            block = file.read(min(_BLOCK, left))
            seal.update(block)
            left -= len(block)
        return file.read() == seal.digest()


def _name(text: LongText, tokenizer: Tokenizer, first: int) -> str:
    """What the ids depend on, as the name of their file: the text, the vocabulary, the options of
    the tokenizer, which are its public attributes, and its code."""
    kind = type(tokenizer)
    options = {name: each for name, each in sorted(vars(tokenizer).items()) if name[0] != "_"}
    code = hashlib.sha256(inspect.getsource(inspect.getmodule(kind) or kind).encode()).hexdigest()
    every = (text.sha256, tokenizer.fingerprint(), kind.__qualname__, options, code, __version__)
    return hashlib.sha256(repr((*every, first)).encode()).hexdigest()
