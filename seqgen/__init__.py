"""seqgen: a toolkit for recurrent sequence models.

import seqgen
run = seqgen.load("runs/char_lstm")
print(run.generate("The ", max_length=200, temperature=0.7))
print(run.evaluate()["bits_per_char"])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seqgen.version import __version__

if TYPE_CHECKING:
    from seqgen.trained import TrainedRun

__all__ = ["__version__", "load"]


def load(folder: str, device: str = "auto", plugins: Sequence[str] = ()) -> TrainedRun:
    """Load a run directory: its recipe, tokenizers and best weights.

    `plugins` are the Python files to import first. No other is: a run that was trained with
    plugins must be given them. Raises the errors of `seqgen.errors`.
    """
    from seqgen.trained import TrainedRun  # torch is imported only when it is needed

    return TrainedRun.load(folder, device, plugins=plugins)
