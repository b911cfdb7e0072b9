"""Files to text: decompression, decoding, and the download of named texts."""

from __future__ import annotations

import codecs
import hashlib
import http.client
import importlib
import importlib.util
import re
import urllib.error
import urllib.request
from bisect import bisect_right
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO, IncrementalNewlineDecoder
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from seqgen.errors import DataError, SetupError
from seqgen.files import atomic_file, display_path, read_bytes
from seqgen.tokenizers import LARGE, LongText

UTF_8 = "utf-8"
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""What the name of a packed file may end in; whether it is one its content says."""

BOMB_SIZE = 1 << 26
BOMB_RATIO = 200
"""Above so many bytes and so many times the size of its archive a content is no text (which packs
to a third or, where it repeats itself, to a fiftieth) but made to fill the memory."""

TIMEOUT_SECONDS = 30.0
"""How long a server may be silent."""

_REPLACEMENT = "\ufffd"
_CHUNK = 1 << 18
_HEAD = 1 << 12
"""The bytes at the begin of a file by which it is recognised."""
_PACKED = {
    "gzip": rb"\x1f\x8b\x08",
    "bzip2": rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\x00",
    "zstd": rb"\x28\xb5\x2f\xfd",
}
_OTHER = {
    "a PDF document": rb"%PDF-",
    "a zip archive, as .docx, .xlsx and .epub files are": rb"PK(?:\x03\x04|\x05\x06)",
    "a 7z archive": rb"7z\xbc\xaf\x27\x1c",
    "a RAR archive": rb"Rar!\x1a\x07",
    "a tar archive": rb".{257}ustar",
    "an old Office document": rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a picture": rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a",
    "a .npy file": rb"\x93NUMPY",
    "an SQLite database": rb"SQLite format 3\x00",
    "a Parquet file": rb"PAR1",
    "a program": rb"\x7fELF|MZ\x90\x00",
}
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


Records = Callable[[Sequence[str]], Iterator[Mapping[str, Any]]]
"""Called with names of columns, it gives the values of each row by these names. Where a column is
missing the rows have all names and no values."""


@dataclass(frozen=True)
class TextFile:
    """A text, the SHA-256 of its file's bytes, and how many invalid bytes were replaced in it.

    A table that is no text has `records` instead, which are read as JSON lines are.
    """

    text: str
    sha256: str
    replaced: int = 0
    records: Records | None = None

    @classmethod
    def of(cls, text: str) -> TextFile:
        """A text without a file, with the SHA-256 of its bytes in UTF-8."""
        return cls(text, hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True)
class Reading:
    """How bytes become text: an encoding by its name in Python, and whether faults are an error or
    become U+FFFD. Raises ValueError if there is no such encoding."""

    encoding: str = UTF_8
    errors: Literal["strict", "replace"] = "strict"

    def __post_init__(self) -> None:
        try:
            known = codecs.lookup(self.encoding)._is_text_encoding
        except (LookupError, ValueError):  # a NUL in the name
            known = False
        if not known:
            wanted = "an encoding that Python knows, such as latin-1, cp1251 or utf-16"
            raise ValueError(f"`encoding` must be {wanted}, but is {self.encoding!r}")


def read_text(path: Path, reading: Reading | None = None) -> TextFile:
    r"""The text of a file, which may be packed by gzip, bzip2, xz or zstd.

    A byte order mark is removed, and each `\r\n` and each `\r` alone becomes `\n`; nothing else
    changes. The hash is that of the bytes as they are. With `errors: replace` each fault of the
    encoding becomes U+FFFD and is counted. Without a `reading` it is strict UTF-8, and an error
    suggests no option.

    Raises DataError, in one line, if there is no such file, or no such text in it.
    """
    return as_text(read_bytes(path, DataError, wanted="a text file"), display_path(path), reading)


def read_long(path: Path, reading: Reading) -> tuple[LongText, str] | None:
    """The text of a large file as `read_text` has it, read anew for each use, and the SHA-256 of
    the bytes.

    None where `read_text` must read the whole, or says what is wrong: the file is not large, or
    packed, or has faults, or those are replaced. Raises DataError if it is no text file.
    """
    found, chars, offset, marks = hashlib.sha256(), 0, 0, [_Mark(0, 0, None)]
    try:
        if reading.errors == "replace" or not path.is_file() or path.stat().st_size < LARGE:
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if _packed_as(head) is not None:
            return None
        _refuse_other_kinds(head, display_path(path), reading)
        for content, text, state in _decoded(path, reading.encoding, marks[0]):
            found.update(content)
            chars, offset = chars + len(text), offset + len(content)
            if text:  # else a mark at the place is there
                marks.append(_Mark(chars, offset, state))
    except (OSError, UnicodeError, LookupError):
        return None

    def read(place: int) -> Iterator[str]:
        mark = marks[bisect_right(marks, place, key=lambda each: each.place) - 1]
        skipped = place - mark.place
        for _, text, _ in _decoded(path, reading.encoding, mark):
            yield text[skipped:]
            skipped = max(0, skipped - len(text))

    return LongText(read, chars), found.hexdigest()


class _Mark(NamedTuple):
    """A place in a text, how many bytes are before it, and the state of the decoder there, which is
    new at the begin."""

    place: int
    offset: int
    state: tuple[bytes, int] | None


def _decoded(
    path: Path, encoding: str, mark: _Mark
) -> Iterator[tuple[bytes, str, tuple[bytes, int]]]:
    """The bytes of a file from `mark` on, their text, and the state of the decoder behind them, a
    bounded piece at a time. Raises UnicodeError."""
    decoder = IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    if mark.state is not None:
        decoder.setstate(mark.state)
    begins = mark.state is None
    with path.open("rb") as file:
        file.seek(mark.offset)
        while content := file.read(_CHUNK):
            text = decoder.decode(content)
            text, begins = (text.removeprefix("\ufeff"), not text) if begins else (text, False)
            yield content, text, decoder.getstate()
        yield b"", decoder.decode(b"", final=True), (b"", 0)


def as_text(content: bytes, name: str, reading: Reading | None = None) -> TextFile:
    """The bytes of a file as `read_text` reads them; `name` is what an error calls the file."""
    how, sha256 = reading or Reading(), hashlib.sha256(content).hexdigest()
    content = unpacked(content, name)
    utf_8 = _refuse_other_kinds(content, name, reading)
    try:
        text = content.decode(how.encoding, how.errors)
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = len(re.findall(rb"\r\n?|\n", content[:at])) + 1
        advice = _advice(content, error, reading) if utf_8 else ""
        fault = f"invalid {'UTF-8' if utf_8 else how.encoding} at byte {at}"
        raise DataError(f"{name}:{line}: {fault}{advice}") from None
    replaced = 0
    if how.errors == "replace":
        sound = content.decode(how.encoding, "ignore")
        replaced = text.count(_REPLACEMENT) - sound.count(_REPLACEMENT)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return TextFile(text, sha256, replaced)


def unpacked(content: bytes, name: str) -> bytes:
    """What is in an archive of one file; other bytes as they are.

    Raises DataError, in one line, if it is damaged or cut short, or would fill the memory.
    """
    kind = _packed_as(content)
    if kind is None:
        return content
    most = max(BOMB_SIZE, BOMB_RATIO * len(content))
    found, size = [], 0
    try:
        for chunk in _chunks(kind, content, name):
            found.append(chunk)
            size += len(chunk)
            if size > most:
                break
    except EOFError:
        raise DataError(f"{name}: this {kind} file is cut short") from None
    except DataError:
        raise
    except Exception as error:  # each library has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: this {kind} file is damaged: {reason}") from None
    if size > most:
        what = f"more than {most >> 20} MiB out of {len(content)} bytes"
        raise DataError(f"{name}: unpacks to {what}, which is no text")
    return b"".join(found)


def _packed_as(content: bytes) -> str | None:
    return next((kind for kind, magic in _PACKED.items() if re.match(magic, content)), None)


def _chunks(kind: str, content: bytes, name: str) -> Iterator[bytes]:
    """What is in the archive, a bounded piece at a time."""
    modules = {"gzip": "gzip", "bzip2": "bz2", "xz": "lzma", "zstd": "compression.zstd"}
    if kind == "zstd" and importlib.util.find_spec("compression") is None:  # before Python 3.14
        yield from _zstd_chunks(content, name)
        return
    with importlib.import_module(modules[kind]).open(BytesIO(content)) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _zstd_chunks(content: bytes, name: str) -> Iterator[bytes]:
    if importlib.util.find_spec("zstandard") is None:
        raise DataError(f"{name}: this is a zstd file; `pip install zstandard` lets seqgen read it")
    decompressor = importlib.import_module("zstandard").ZstdDecompressor()
    while content:
        frame = decompressor.decompressobj()
        # 4 bytes of a frame may stand for 128 KiB, so a piece of 1 KiB gives 32 MiB at most.
        for start in range(0, len(content), 1024):
            yield frame.decompress(content[start : start + 1024])
            if frame.eof:
                break
        else:
            raise EOFError
        content = frame.unused_data + content[start + 1024 :]


def _refuse_other_kinds(content: bytes, name: str, reading: Reading | None) -> bool:
    """Raise a DataError for what begins as no text does. Returns whether it is to be UTF-8."""
    for what, pattern in _OTHER.items():
        if re.match(pattern, content, re.DOTALL):
            raise DataError(f"{name}: this is {what}, not a text file")
    utf_8 = codecs.lookup((reading or Reading()).encoding).name == UTF_8
    if utf_8:
        _refuse_wide(content, name, reading)
    return utf_8


def _refuse_wide(content: bytes, name: str, reading: Reading | None) -> None:
    """Raise a DataError for UTF-16 and UTF-32, which may be valid UTF-8, and for binary files."""
    first, seems, found = content[:_HEAD], "is", ""
    if content.startswith((BOM_UTF32_BE, BOM_UTF32_LE)):
        found = "utf-32"
    elif content.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        found = "utf-16"
    elif first.count(0) * 8 > len(first):
        even, odd = first[::2].count(0), first[1::2].count(0)
        if min(even, odd) * 8 > max(even, odd):
            raise DataError(f"{name}: this is a binary file, full of NULs, not a text file")
        seems, found = "looks like", "utf-16-be" if even > odd else "utf-16-le"
    if found:
        raise DataError(f"{name}: this {seems} {found.upper()}; {_helps(found, reading)}")


def _advice(content: bytes, error: UnicodeError, reading: Reading | None) -> str:
    """What may help with bytes that are not UTF-8, but never what would spoil the text."""
    if len(_CONTROLS.findall(content)) * 100 > len(content):
        return "; this looks like a binary file, not like text"
    replaced = content.decode(errors="replace")
    faults = replaced.count(_REPLACEMENT)
    cut = faults == 1 and getattr(error, "reason", "") == "unexpected end of data"
    if cut or sum(char > "\x7f" for char in replaced) >= 2 * faults:  # UTF-8 with faults in it
        return " (set errors: replace to go on)" if reading is not None else ""
    high = re.findall(rb"[\x80-\xff]", content)
    if len(high) * 3 > len(content) or any(map(_NOT_CP1252.match, high)):
        return f"; this looks like another encoding ({_helps('NAME', reading)})"
    western = "latin-1" if min(high) >= b"\xa0" else "cp1252"
    return f"; this looks like {western} ({_helps(western, reading)})"


def _helps(encoding: str, reading: Reading | None) -> str:
    return "save the file as UTF-8" if reading is None else f"encoding: {encoding} reads it"


def fetch(
    url: str,
    sha256: str,
    size: int,
    destination: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Download a file of a known hash and size; only the right one replaces `destination`.

    `on_progress(bytes_so_far, size)` is called as the bytes come. Raises DataError if the file does
    not come or is another one, SetupError if it cannot be written.
    """
    found = hashlib.sha256()
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(destination) as file, closing(_download(url, size)) as chunks:
            for chunk in chunks:
                found.update(chunk)
                file.write(chunk)
                if on_progress is not None:
                    on_progress(file.tell(), size)
            if found.hexdigest() != sha256:
                hashes = f"{found.hexdigest()[:16]}... instead of {sha256[:16]}..."
                _refuse(url, f"another file than expected (SHA-256 {hashes})")
    except OSError as error:  # network faults are DataErrors already
        raise SetupError(f"{destination}: cannot be written: {_reason(error)}") from None


def _download(url: str, size: int) -> Generator[bytes, None, None]:
    """The body of `url`, which must be `size` bytes long. Raises DataError."""
    got = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            announced = response.headers.get("Content-Length") or ""
            if announced.isdecimal() and int(announced) > size:
                _refuse(url, f"larger than expected ({announced} bytes instead of {size})")
            # One byte more than expected is enough to know that it is too large.
            while chunk := response.read(min(1 << 16, size + 1 - got)):
                got += len(chunk)
                if got > size:
                    _refuse(url, f"larger than expected (more than {size} bytes)")
                yield chunk
    except urllib.error.HTTPError as error:
        error.close()
        _refuse(url, f"the server answered {error.code} {error.reason}")
    except http.client.IncompleteRead as error:
        got += len(error.partial)
    except (OSError, http.client.HTTPException, ValueError) as error:
        _refuse(url, f"cannot be fetched: {_reason(error)}")
    if got < size:
        _refuse(url, f"cut short (got {got} of {size} bytes)")


def _refuse(url: str, fault: str) -> NoReturn:
    raise DataError(f"{url}: {fault}; a local file can be given instead: data.path=FILE")


def _reason(error: Exception) -> str:
    """Why, in a few words on one line."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return " ".join(text.split()) or type(inner).__name__
