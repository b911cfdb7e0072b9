"""Writing the report of a run into its directory."""

from __future__ import annotations

import os
from pathlib import Path

from seqgen.errors import SetupError
from seqgen.reports.run_files import read_run


def write_report(folder: Path) -> None:
    """Write `report.html`, `loss.png` and `loss.pdf` from the files of the run in `folder`.

    The run may be unfinished, and the report may be made any number of times.
    """
    run = read_run(folder)
    from seqgen.reports import curves, page, series

    shown = series.curves_of(run)
    _replace(folder / "loss.png", curves.as_png(shown))
    _replace(folder / "loss.pdf", curves.as_pdf(shown))
    _replace(folder / "report.html", page.page(run).encode("utf-8"))


def _replace(path: Path, content: bytes) -> None:
    """Put the file there whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error
