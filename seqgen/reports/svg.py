"""Fitting a matplotlib SVG into the page: the page's colours and letters, ids of its own."""

from __future__ import annotations

import re

from seqgen.reports.curves import GRID, INK, MUTED, RATE, TRAIN, VALID
from seqgen.reports.text import as_attribute

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    TRAIN: "--train",
    VALID: "--valid",
    RATE: "--rate",
}


def inline(svg: str, prefix: str, label: str) -> str:
    """The SVG as an element of the page; `label` says in words what it shows."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->\s*|<style.*?</style>", "", body, flags=re.DOTALL)
    # Two pictures in one page must not share ids.
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = body.replace("url(#", f"url(#{prefix}-").replace('xlink:href="#', f'href="#{prefix}-')
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    # The letters are the page's; older matplotlibs write size and family as one `font`.
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    view = re.search(r'viewBox="[^"]*"', body)
    opening = f'<svg role="img" aria-label="{as_attribute(label)}" {view[0] if view else ""}>'
    return re.sub(r"^<svg[^>]*>", lambda _: opening, body).strip()
