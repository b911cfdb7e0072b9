"""The files of a comparison: where they may go, and how they get there whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seqgen.errors import SetupError
from seqgen.files import write_file
from seqgen.plain_values import for_json
from seqgen.reports.comparison import write_comparison

DOCUMENT = "compare.json"
"""What a comparison found; a folder that has it is one, and all reports are made of it."""

PAGE, TEXT = "compare.html", "compare.md"
"""The reports."""

_TEMPORARY = re.compile(r"\..*\.tmp")


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder where something else lies, or where nothing can be written; writes nothing.

    Errors: SetupError.
    """
    try:
        names = {each.name for each in folder.iterdir()}
    except FileNotFoundError:
        _check_writable(folder)
        return
    except NotADirectoryError:
        raise SetupError(f"{folder}: not a directory; choose another with --out") from None
    except OSError as error:
        raise SetupError(f"{folder}: cannot be read: {error.strerror}") from None
    names = {name for name in names if not _TEMPORARY.fullmatch(name)}
    if not names <= {DOCUMENT, PAGE, TEXT} and DOCUMENT not in names:
        raise SetupError(f"{folder}: not empty and not a comparison; choose another with --out")
    if names and not overwrite:
        raise SetupError(
            f"{folder}: has a comparison already; --overwrite it, or choose another --out"
        )
    _check_writable(folder)


def document_text(document: Mapping[str, Any]) -> str:
    """What compare.json holds; a number that JSON cannot hold is null."""
    text = json.dumps(for_json(dict(document)), indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Put compare.json and the reports into `folder`, all of them or none; an older comparison
    that is there is replaced. Errors: SetupError."""
    staging = folder / f".compare.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            staging.mkdir()
            write_file(staging / DOCUMENT, document_text(document))
            write_comparison(staging)
            for name in (PAGE, TEXT, DOCUMENT):
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
