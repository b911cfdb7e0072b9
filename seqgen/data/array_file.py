"""Reading vectors from a .npy file, a row each."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.errors import DataError
from seqgen.files import read_bytes

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
