"""Typed looks into JSON objects that may hold anything, as files of a cut or foreign run do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

Record: TypeAlias = Mapping[str, object]


def as_number(value: object) -> float | None:
    """The value as a float (NaN and infinity too), or None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # JSON has integers of any length
        return math.inf if value > 0 else -math.inf


def number(record: Record, key: str) -> float | None:
    """The number under `key`, or None."""
    return as_number(record.get(key))


def finite(record: Record, key: str) -> float | None:
    """The number under `key` if it is finite, or None."""
    value = number(record, key)
    return value if value is not None and math.isfinite(value) else None


def string(record: Record, key: str) -> str:
    """The text under `key`, empty where there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def record(parent: Record, key: str) -> Record:
    """The JSON object under `key`, empty where there is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def items(parent: Record, key: str) -> list[object]:
    """The JSON array under `key`, empty where there is none."""
    value = parent.get(key)
    return value if isinstance(value, list) else []


def records(values: list[object]) -> list[Record]:
    """The JSON objects among the values."""
    return [value for value in values if isinstance(value, dict)]
