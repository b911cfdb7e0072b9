"""The metric `character_error_rate`: edits over characters."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import metrics
from seqgen.metrics.edit_distance import ErrorRate


@metrics.register("character_error_rate")
class CharacterErrorRate(ErrorRate):
    """Edits to the nearest reference over its length, in characters.

    `sum of distance(output, nearest) / sum of length(nearest)`, see `ErrorRate`; a share, which
    exceeds 1 where outputs are much too long. Characters are Unicode code points, spaces among
    them, so a letter with a combining accent is two.
    """

    def split(self, text: str) -> Sequence[str]:
        """Characters."""
        return text
