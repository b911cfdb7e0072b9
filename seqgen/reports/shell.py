"""The frame that all reports share: one HTML file that needs no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqgen.reports.text import as_attribute, as_html


class Section(NamedTuple):
    """A part of a page, by its id; one whose body is empty is left out."""

    name: str
    title: str
    body: str


@dataclass(frozen=True)
class Page:
    """What a page has: `kind` is what it is of, `lead` what follows its heading, as HTML."""

    kind: str
    heading: str
    lead: str
    sections: Sequence[Section]
    footer: str
    style: str
    script: str = ""

    def html(self) -> str:
        """The whole page."""
        shown = [each for each in self.sections if each.body]
        links = "".join(f'<a href="#{each.name}">{each.title}</a>' for each in shown)
        sections = "".join(
            f'<section id="{name}"><h2>{title}</h2>{body}</section>\n'
            for name, title, body in shown
        )
        script = f"<script>\n{self.script}</script>\n" if self.script else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{as_attribute(self.heading)} \u2013 {self.kind}</title>\n"
            f"<style>\n{self.style}</style>\n</head>\n<body>\n"
            f'<header><p class="kind">{self.kind}</p><h1>{as_html(self.heading)}</h1>'
            f"{self.lead}<nav>{links}</nav></header>\n<main>\n{sections}</main>\n"
            f"<footer>{self.footer}</footer>\n{script}</body>\n</html>\n"
        )
