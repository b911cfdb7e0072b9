"""Callables: where one is written and whether it is ours, and what of given values it asks for."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def asked_for(factory: Callable[..., Any], supplied: dict[str, Any]) -> dict[str, Any]:
    """Those of `supplied` that the signature of `factory` names."""
    parameters = inspect.signature(factory).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return supplied
    return {name: value for name, value in supplied.items() if name in parameters}


def place_of(factory: Callable[..., Any]) -> str:
    """`seqgen/cells/lstm.py:21` for our own parts; for others the path from the current folder."""
    inner = inspect.unwrap(factory)
    found = _source(inner) or _source(getattr(inner, "__init__", None))
    if found is None:
        return "<interactive>"
    source, line = found
    package = Path(__file__).parent.parent
    path = Path(source).resolve()
    if path.is_relative_to(package):
        return f"{path.relative_to(package).as_posix()}:{line}"
    return (
        f"{os.path.relpath(path)}:{line}" if path.is_relative_to(Path.cwd()) else f"{path}:{line}"
    )


def is_ours(part: object) -> bool:
    """Whether the class of `part` is one of this package, and not from a plugin."""
    return type(part).__module__.startswith("seqgen.")


def _source(inner: Any) -> tuple[str, int] | None:
    """File and line of a definition, as far as Python can tell."""
    try:
        return inspect.getsourcefile(inner) or "?", inspect.getsourcelines(inner)[1]
    except (OSError, TypeError):  # a class that says it is from another module, or no source
        return None
