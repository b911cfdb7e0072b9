"""seqgen: a toolkit for recurrent sequence models.

import seqgen
run = seqgen.train("recipes/char_lstm.yaml", "train.max_seconds=60", out="runs/mine")
run = seqgen.load("runs/mine")
print(run.generate("The ", max_length=200, temperature=0.7))
print(run.evaluate()["bits_per_char"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seqgen.version import __version__

if TYPE_CHECKING:
    from seqgen.library import Run, load, train

__all__ = ["Run", "__version__", "load", "train"]


def __dir__() -> list[str]:
    """What a shell completes after `seqgen.`, before it is there."""
    return [*globals(), *__all__]


def __getattr__(name: str) -> Any:
    """Each at its first use: importing the package imports no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from seqgen import library

    return getattr(library, name)
