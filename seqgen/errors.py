"""The errors for users, each with its exit code (see docs/errors.md), and how any text is made safe
to show."""

from __future__ import annotations

import unicodedata
from abc import ABC
from typing import ClassVar, Final

# Kept as they are: line ends and tabs, and the two joiners that Persian, Hindi and many emoji need.
_PLAIN: Final = frozenset("\n\t\u200c\u200d")
_CODED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class SeqgenError(Exception, ABC):
    """An error that is not a bug in seqgen: one line for the user, no traceback."""

    exit_code: ClassVar[int]


class UsageError(SeqgenError):
    """The command line is wrong."""

    exit_code = 2


class RecipeError(SeqgenError):
    """The recipe, or an override of it, is wrong."""

    exit_code = 3


class DataError(SeqgenError):
    """The data cannot be read or does not suffice."""

    exit_code = 4


class CheckpointError(SeqgenError):
    """A run or a checkpoint is missing, damaged or belongs to something else."""

    exit_code = 5


class DivergedError(SeqgenError):
    """A loss or a gradient stopped being a finite number."""

    exit_code = 6


class DecodeError(SeqgenError):
    """A model returned scores from which no token can be chosen."""

    exit_code = 6


class SetupError(SeqgenError):
    """The environment does not allow it: no device, space or permission; run directory taken."""

    exit_code = 7


class PluginError(SeqgenError):
    """A plugin broke its contract."""

    exit_code = 8


class StoppedError(SeqgenError):
    """A signal ended the run after a checkpoint was written (130 interrupted, 143 terminated)."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    def __reduce__(self) -> tuple[type[StoppedError], tuple[str, int]]:
        return StoppedError, (str(self), self.signal_number)  # so that another process can have it

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """128 and the number of the signal, as shells have it."""
        return 128 + self.signal_number


def visible(text: str) -> str:
    """The text with codes such as \\x1b and \\u202e for what would act or be invisible."""
    return "".join(display_code(character) or character for character in text)


def display_code(character: str) -> str:
    """The code to show for an invisible character; empty for characters that show.

    A code and no picture such as U+241B: many a machine has no glyphs for those.
    """
    point = ord(character)
    if character in _PLAIN:
        return ""
    # Noncharacters have no category of their own, and HTML forbids them.
    noncharacter = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    if not noncharacter and unicodedata.category(character) not in _CODED_CATEGORIES:
        return ""
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
