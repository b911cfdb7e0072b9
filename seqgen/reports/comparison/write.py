"""Writing the report of a comparison beside its compare.json."""

from __future__ import annotations

from pathlib import Path

from seqgen.files import write_file
from seqgen.reports.comparison.document import read_comparison


def write_comparison(folder: Path) -> None:
    """Write `compare.html` and `compare.md` from `compare.json` in `folder`.

    They may be made any number of times. Errors: CheckpointError where there is no such file or it
    is damaged, SetupError.
    """
    comparison = read_comparison(folder)
    from seqgen.reports.comparison import markdown, page

    write_file(folder / "compare.html", page.page(comparison))
    write_file(folder / "compare.md", markdown.markdown(comparison))
