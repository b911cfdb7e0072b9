"""Writing the report of a run into its directory."""

from __future__ import annotations

from pathlib import Path

from seqgen.files import write_file
from seqgen.reports.run_files import read_run


def write_report(folder: Path) -> None:
    """Write `report.html`, `loss.png` and `loss.pdf` from the files of the run in `folder`.

    The run may be unfinished, and the report may be made any number of times.
    """
    run = read_run(folder)
    from seqgen.reports import curves, page, series

    shown = series.curves_of(run)
    write_file(folder / "loss.png", curves.as_png(shown))
    write_file(folder / "loss.pdf", curves.as_pdf(shown))
    write_file(folder / "report.html", page.page(run))
