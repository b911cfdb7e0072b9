"""Curves: the families of systems that differ in one number alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from seqgen.comparison.labels import decoder_label
from seqgen.comparison.systems import System
from seqgen.decoders import decoders
from seqgen.registry import plain

FEWEST = 3
"""The fewest points that make a curve."""


def curves(systems: Sequence[System], names: Sequence[str]) -> list[dict[str, Any]]:
    """Each family of systems of one run whose decoders differ in one numeric option only.

    An entry has the `option` (`sampler.temperature` for one of a part inside), the `name` of the
    decoder with what else of it is not the default, the name of the `run`, and `points`, at least
    three, each the value (`at`) and the system's `label`, sorted by the value.
    """
    families: dict[tuple[int, str, str], list[tuple[float, System]]] = {}
    for system in systems:
        leaves = dict(_leaves(plain(system.spec), ""))
        for option, value in leaves.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                rest = json.dumps({**leaves, option: None}, sort_keys=True)
                families.setdefault((system.run, option, rest), []).append((value, system))
    return [
        _curve(option, names[run], sorted(points, key=lambda point: point[0]))
        for (run, option, _), points in families.items()
        if len(points) >= FEWEST
    ]


def _curve(option: str, run: str, points: Sequence[tuple[float, System]]) -> dict[str, Any]:
    part = decoders.check(plain(points[0][1].spec))
    return {
        "option": option,
        "name": decoder_label(part, without=option),
        "run": run,
        "points": [{"at": at, "label": system.label} for at, system in points],
    }


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping or list, by the way to it."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
