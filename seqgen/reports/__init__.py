"""What a run looks like to a person: `write_report` makes its page and its pictures from its files.

A section of the page is a function from `RunFiles` to HTML, empty where it has nothing to say. To
add one, write the function and name it in `SECTIONS` in `page.py`.
"""

from seqgen.reports.report import try_drawing, write_report

__all__ = ["try_drawing", "write_report"]
