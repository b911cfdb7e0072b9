"""Changes that are made to a text before anything else reads it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

TextChange = Literal["lower", "NFC", "NFD", "NFKC", "NFKD"]


def changed(text: str, changes: Sequence[TextChange]) -> str:
    """`text` after all `changes` in their order.

    `lower` is lower case; the others are normal forms of Unicode, of which NFD takes letters with
    accents and Hangul syllables apart, and NFC puts them together (Unicode Standard Annex 15).
    """
    for change in changes:
        text = text.lower() if change == "lower" else unicodedata.normalize(change, text)
    return text
