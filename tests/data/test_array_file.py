"""Reading .npy files: which arrays are vectors, and what is said of the others."""

import hashlib
import io

import numpy as np
import pytest
import torch

from seqgen.data.array_file import read_vectors
from seqgen.errors import DataError


@pytest.fixture
def write(tmp_path):
    """A function from an array or bytes to the path of a file of them."""

    def write(content):
        path = tmp_path / "v.npy"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content, allow_pickle=content.dtype.hasobject)
        return path

    return write


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(np.arange(6.0, dtype=">f4").reshape(2, 3)),
        np.arange(6, dtype=np.float16).reshape(2, 3),
    ],
)
def test_numbers_of_any_type_become_float32(write, array):
    path = write(array)
    vectors, sha256 = read_vectors(path, 3)
    assert vectors.dtype == torch.float32
    assert vectors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_array_without_rows_is_one(write):
    """Whether there are too few is for others to say."""
    assert read_vectors(write(np.ones((0, 3))), 3)[0].shape == (0, 3)


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def huge():
    file = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**3)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.getvalue()


def archive():
    file = io.BytesIO()
    np.savez(file, a=np.ones((2, 3)))
    return file.getvalue()


GOOD = saved(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is not a .npy file"),
        (b"1 2 3\n4 5 6\n", "this is not a .npy file"),
        (archive(), "this is not a .npy file"),
        (GOOD[:4], "this is not a .npy file"),
        (GOOD[:20], "this .npy file cannot be loaded: EOF: reading array header"),
        (GOOD[:-5], "this .npy file cannot be loaded: EOF: reading array data"),
        (huge(), "this .npy file cannot be loaded: "),
        (GOOD[:8] + b"\x06\x27" + b"[" * 9990, "this .npy file cannot be loaded: "),
        (np.array([[{}, 1]], dtype=object), "this .npy file cannot be loaded: Object arrays"),
        (np.ones(3), "must have 2 dimensions, [rows, 3], but has 1 [3]"),
        (np.ones((2, 3, 1)), "must have 2 dimensions, [rows, 3], but has 3 [2, 3, 1]"),
        (np.array([["a", "b", "c"]]), "must be an array of numbers, but is one of <U1"),
        (np.ones((1, 3), dtype=complex), "must be an array of numbers, but is one of complex128"),
        (np.ones((2, 4)), "the vectors are of 4 numbers, not of the 3 that `vector_size` says"),
    ],
)
def test_what_is_no_array_of_vectors_is_refused(write, content, message):
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_vectors(path, 3)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "shown"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e300, "1e+300")]
)
def test_numbers_that_are_none_are_named_with_their_row(write, number, shown):
    array = np.ones((5, 3))
    array[2, 1] = array[4, 0] = number
    with pytest.raises(DataError) as caught:
        read_vectors(write(array), 3)
    message = f"v.npy: row 2 has the number {shown}, which is no finite float32 (2 of 5 rows"
    assert message in str(caught.value)


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npy: cannot be read: No such file"):
        read_vectors(tmp_path / "none.npy", 3)
    with pytest.raises(DataError, match=r"this is a directory; a \.npy file is needed"):
        read_vectors(tmp_path, 3)
