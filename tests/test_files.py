"""Files: read after a look at their kind and size, written whole or not at all."""

import os
import re
import stat
import time
from pathlib import Path

import pytest

from seqgen.errors import CheckpointError, DataError, SetupError
from seqgen.files import cache_file, new_file, read_bytes, read_mapping, write_file


@pytest.mark.parametrize(
    ("content", "written"), [(b"\x00\xff", b"\x00\xff"), ("é\ud800", "é\\ud800".encode())]
)
def test_a_new_file_replaces_the_old_one(content, written, tmp_path):
    path = tmp_path / "a.txt"
    write_file(path, "first")
    write_file(path, content)
    assert path.read_bytes() == written
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_that_cannot_be_written_leaves_no_temporary_one(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(SetupError, match=r"taken: cannot be written: Is a directory"):
        write_file(tmp_path / "taken", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("ages", "limit", "left"),
    [
        ((90, 60, 31, 29, 0), 60, "abcde"),  # there is room for all, the new one included
        ((90, 60, 31, 29, 0), 45, "cde"),  # the oldest go, and no more of them than must
        ((31, 90, 60, 29, 0), 45, "ade"),
        ((90, 60, 31, 29, 0), 1, "de"),  # what was used lately stays, however much it is
        ((5, 4, 3, 2, 1), 1, "abcde"),
    ],
)
def test_a_folder_of_the_cache_forgets_what_is_old(ages, limit, left, tmp_path, monkeypatch):
    monkeypatch.setattr("seqgen.files.CACHE_LIMIT", limit)
    (tmp_path / "below").mkdir()
    paths = [tmp_path / "below" / "a", *(tmp_path / name for name in "bcde")]
    for path, days in zip(paths, ages, strict=True):
        path.write_bytes(bytes(10))
        at = time.time() - days * 86_400
        os.utime(path, (at, at - 86_400 * days))  # to have been read is enough
    with cache_file(tmp_path / "new") as file:
        file.write(bytes(10))
    assert [path.name for path in paths if path.exists()] == [*left]
    assert (tmp_path / "new").exists()


def test_nothing_is_written_through_a_link(tmp_path):
    foreign = tmp_path / "foreign"
    foreign.write_text("kept")
    for name in ("a.txt", f".a.txt.{os.getpid()}.tmp"):
        (tmp_path / name).symlink_to(foreign)
    write_file(tmp_path / "a.txt", "new")
    assert foreign.read_text() == "kept"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert not (tmp_path / "a.txt").is_symlink()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask(umask, tmp_path):
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a.txt", "text")
        new_file(tmp_path / "b.txt").close()
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")}
    assert modes == {0o666 & ~umask}


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("pipe", "this is not a regular file; a file is needed"),
        ("/dev/zero", "this is not a regular file; a file is needed"),
        ("/proc/self/maps", "larger than 1 KiB; a file is needed"),
        (".", "this is a directory; a file is needed"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("large", "larger than 1 KiB; a file is needed"),
        ("absent", "cannot be read: No such file or directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "not a path"),
    ],
)
def test_only_a_regular_file_of_sane_size_is_read(path, fault, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "large").write_bytes(b"x" * 2048)
    with pytest.raises(DataError, match=fault):
        read_bytes(tmp_path / path, DataError, limit=1024)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"a": [1, null]}', ""),
        (None, "the file is missing"),
        (b'{"a": ', "cannot be read: Expecting value"),
        (b"[" * 100_000, "cannot be read: maximum recursion depth"),
        *((wrong, "damaged, it does not hold a mapping") for wrong in (b"[1]", b"null")),
        *((wrong, "cannot be read: ") for wrong in (b"", b"\xff")),
    ],
)
def test_a_mapping_is_read_or_the_file_is_named(content, fault, tmp_path):
    path = Path(tmp_path, "a.json")
    if content is not None:
        path.write_bytes(content)
    if not fault:
        assert read_mapping(path) == {"a": [1, None]}
        return
    with pytest.raises(CheckpointError, match=re.escape(f"a.json: {fault}")):
        read_mapping(path)
