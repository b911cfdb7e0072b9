"""The metric `phoneme_error_rate`: edits over what stands between spaces."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import metrics
from seqgen.metrics.edit_distance import ErrorRate


@metrics.register("phoneme_error_rate")
class PhonemeErrorRate(ErrorRate):
    """Edits to the nearest reference over its length, in phonemes (or words) between spaces.

    `sum of distance(output, nearest) / sum of length(nearest)`, see `ErrorRate`; a share, which
    exceeds 1 where outputs are much too long. As in grapheme-to-phoneme conversion (Bisani and Ney
    2008); of sentences this is what speech recognition calls the word error rate.
    """

    def split(self, text: str) -> Sequence[str]:
        """What stands between spaces."""
        return text.split()
