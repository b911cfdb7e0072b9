"""Writing the report of a run into its directory."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from seqgen.errors import SetupError
from seqgen.files import write_file
from seqgen.reports.run_files import read_run


@cache
def try_drawing() -> None:
    """Draw the pictures of a run that has no losses yet, so that what would end a run at its end
    does so at its start. Raises SetupError if they cannot be drawn."""
    from seqgen.reports import curves, series

    nothing = series.Curves([], [], [], None, [], [], 0)
    try:
        for draw in (curves.as_png, curves.as_pdf):
            draw(nothing)
    except Exception as error:  # of a library that is not ours, from the fonts of the machine
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SetupError(f"the pictures of the report cannot be drawn: {reason}") from None


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
