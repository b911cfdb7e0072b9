"""Rounding: numbers of a document to so many digits that those of the last bits are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DIGITS = 9
"""What is left of a number. The bits that depend on how a sum was batched are far behind that."""


def rounded(value: Any) -> Any:
    """Plain data with every number that is not whole rounded to 9 significant digits."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
