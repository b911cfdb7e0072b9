"""The files of a comparison: where they may go, and how they get there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seqgen.errors import CheckpointError, SetupError
from seqgen.files import kind_of, read_mapping, write_file, written_as
from seqgen.options import for_json
from seqgen.reports.comparison import write_comparison

DOCUMENT = "compare.json"
"""What a comparison found; a folder that has it is one, and all reports are made of it."""

PAGE, TEXT = "compare.html", "compare.md"
"""The reports."""


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder where something else lies, or where nothing can be written; writes nothing.

    Raises SetupError.
    """
    try:
        kinds = {each.name: kind_of(each) for each in folder.iterdir()}
    except FileNotFoundError:
        _check_writable(folder)
        return
    except NotADirectoryError:
        raise SetupError(f"{folder}: not a directory; choose another with --out") from None
    except OSError as error:
        raise SetupError(f"{folder}: cannot be read: {error.strerror}") from None
    kinds = {name: kind for name, kind in kinds.items() if not _is_staging(name)}
    if kinds and not _is_ours(folder):
        raise SetupError(f"{folder}: not empty and not a comparison; choose another with --out")
    if kinds and not overwrite:
        raise SetupError(
            f"{folder}: has a comparison already; --overwrite it, or choose another --out"
        )
    own = (DOCUMENT, PAGE, TEXT)
    foreign = [name for name, kind in sorted(kinds.items()) if name not in own or kind != "file"]
    if foreign:
        more = f" and {len(foreign) - 4} more" if len(foreign) > 4 else ""
        raise SetupError(
            f"{folder}: holds what no comparison wrote: {', '.join(foreign[:4])}{more}; move it "
            "away, or choose another with --out"
        )
    _check_writable(folder)


def _is_staging(name: str) -> bool:
    """Whether a folder of that name is where `write` makes its files, or one that was killed."""
    return name != "compare" and written_as(name) == "compare"


def _is_ours(folder: Path) -> bool:
    """Whether the folder has a comparison, and not another file of that name."""
    with suppress(CheckpointError):
        found = read_mapping(folder / DOCUMENT)
        return "format" in found and isinstance(found.get("systems"), list)
    return False


def document_text(document: Mapping[str, Any]) -> str:
    """What compare.json holds; a number that JSON cannot hold is null."""
    text = json.dumps(for_json(dict(document)), indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Put compare.json and the reports into `folder`, all of them or none; an older comparison
    that is there is replaced. Raises SetupError."""
    staging = folder / f".compare.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for each in folder.iterdir():
                if _is_staging(each.name) and kind_of(each) == "folder":
                    shutil.rmtree(each)
            staging.mkdir()
            write_file(staging / DOCUMENT, document_text(document))
            write_comparison(staging)
            for name in (DOCUMENT, PAGE, TEXT):  # the first says that a comparison made the folder
                (staging / name).replace(folder / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            with suppress(OSError):  # empty where nothing came of it
                folder.rmdir()
    except SetupError as error:  # that names a file which is not there any more
        raise SetupError(str(error).replace(str(staging), str(folder))) from None
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written: {error.strerror}") from None


def _check_writable(folder: Path) -> None:
    """A SetupError unless files can be made in `folder`, or the folder itself."""
    for each in (folder, *folder.absolute().parents):
        try:
            each.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SetupError(f"{folder}: cannot be written: {error.strerror}") from None
        if not os.access(each, os.W_OK | os.X_OK):
            raise SetupError(f"{folder}: cannot be written: no permission in {each}")
        return
