import os
import stat
from pathlib import Path

import pytest

from seqgen.errors import CheckpointError, DataError, SetupError
from seqgen.files import new_file, read_bytes, read_mapping, write_file


def test_what_is_written_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_file(path, "first")
    write_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_what_utf8_cannot_say_becomes_a_code(tmp_path: Path) -> None:
    write_file(tmp_path / "a.txt", "é\ud800")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "é\\ud800"


def test_a_file_that_cannot_be_put_there_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(SetupError, match=r"taken: cannot be written: Is a directory"):
        write_file(tmp_path / "taken", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("kept")
    for name in ("a.txt", f".a.txt.{os.getpid()}.tmp"):
        (tmp_path / name).symlink_to(foreign)
    write_file(tmp_path / "a.txt", "new")
    assert foreign.read_text() == "kept"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert not (tmp_path / "a.txt").is_symlink()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a.txt", "text")
        with new_file(tmp_path / "b.txt"):
            pass
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")}
    assert modes == {0o666 & ~umask}


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "large").write_bytes(b"x" * 2048)
    faults = {
        tmp_path / "pipe": "this is not a regular file; a file is needed",
        Path("/dev/zero"): "this is not a regular file; a file is needed",
        Path("/proc/self/maps"): "larger than 1 KiB; a file is needed",
        tmp_path: "this is a directory; a file is needed",
        tmp_path / "loop": "cannot be read: Too many levels of symbolic links",
        tmp_path / "large": "larger than 1 KiB; a file is needed",
        tmp_path / "absent": "cannot be read: No such file or directory",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
        Path("a\0b"): "not a path",
    }
    for path, fault in faults.items():
        with pytest.raises(DataError, match=fault):
            read_bytes(path, DataError, limit=1024)


def test_a_mapping_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, null]}')
    assert read_mapping(tmp_path / "a.json") == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "the file is missing"),
        (b'{"a": ', "cannot be read: Expecting value"),
        (b"[" * 100_000, "cannot be read: maximum recursion depth"),
        (b"[1]", "damaged, it does not hold a mapping"),
    ],
)
def test_what_is_no_mapping_is_said_with_the_file(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"a.json: {fault}"):
        read_mapping(tmp_path / "a.json")
