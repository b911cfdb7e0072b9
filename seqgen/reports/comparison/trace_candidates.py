"""The tokens that were considered at a place of a trace, with their probabilities."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from seqgen.reports.comparison.trace_content import Candidate
from seqgen.reports.quantities import percent
from seqgen.reports.text import token_label

TINY = -9.0
"""Log-probabilities below this are not shown in percent as well."""


def chance(log_prob: float | None) -> str:
    """A log-probability as a probability in percent."""
    return "\u2013" if log_prob is None else percent(probability(log_prob))


def nats(log_prob: float | None) -> str:
    """A log-probability in nats, and as a probability if that is not tiny."""
    value = as_nats(log_prob)
    return value if log_prob is None or log_prob < TINY else f"{value} ({chance(log_prob)})"


def as_nats(log_prob: float | None) -> str:
    """A log-probability to two decimal places."""
    return "\u2013" if log_prob is None else f"{log_prob:.2f}".replace("-", "\u2212")


def probability(log_prob: float | None) -> float:
    """That of a log-probability, 1 where it is not known."""
    return 1.0 if log_prob is None else math.exp(min(log_prob, 0.0))


def popover(about: str, title: str, considered: Sequence[Candidate], kept: Collection[str]) -> str:
    """What shows beside a token while a person points at it: `about` it, as HTML, and under `title`
    what was considered, with a mark at what was `kept`."""
    listed = "".join(
        f"<span{' class=taken' if each.token in kept else ''}>"
        f"<code>{token_label(each.token)}</code> {chance(each.log_prob)}</span>"
        for each in considered
    )
    behind = f"<small>{title}</small>{listed}" if listed else ""
    return f'<span class="pop">{about}{behind}</span>'


def of_path(token: Candidate, total: float | None) -> str:
    """A token with its probability and that of the path which it ends."""
    return (
        f"<b><code>{token_label(token.token)}</code> {chance(token.log_prob)}</b>"
        f"<small>path so far {nats(total)}</small>"
    )
