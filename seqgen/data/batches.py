"""Batches: what models read, padded to one length and told how much of each row is real."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqgen.data.base import Renamed
from seqgen.tokenizers import BOS, EOS, PAD

_END = torch.tensor([EOS])

T = TypeVar("T", bound="_OnDevice")


def padded(rows: Sequence[Tensor], least: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of tokens as `[batch, time]`, PAD behind the shorter ones, and `lengths: [batch]`.

    Without any token `time` is `least`.
    """
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    if not any(map(len, rows)):
        return lengths.new_full((len(rows), least), PAD), lengths
    return pad_sequence(list(rows), batch_first=True, padding_value=PAD), lengths


def append_eos(tokens: Tensor) -> Tensor:
    """`tokens: [time]` with EOS behind."""
    return torch.cat([tokens, _END])


def shift_right(rows: Sequence[Tensor]) -> Tensor:
    """What is read to predict `rows`: BOS, then each row without its last token, `[batch, time]`,
    padded like the rows themselves."""
    targets, lengths = padded(rows)
    real = torch.arange(targets.shape[1]) < lengths.unsqueeze(1)
    before = torch.cat([torch.full_like(targets[:, :1], BOS), targets[:, :-1]], dim=1)
    return before.masked_fill(~real, PAD)


def _takes_numbers(kind: type[T]) -> type[T]:
    """A batch whose constructor takes `row_ids` under its old name as well, with a warning."""
    create: Callable[..., None] = kind.__init__

    def renaming(self: T, *values: Any, **named: Any) -> None:
        if "numbers" in named:
            vars(kind)["numbers"].warn(kind)
            named["row_ids"] = named.pop("numbers")
        create(self, *values, **named)

    kind.__init__ = renaming  # type: ignore[assignment, method-assign]
    return kind


class _OnDevice(ABC):  # noqa: B024
    """A frozen dataclass of tensors, of other such dataclasses, and of plain values."""

    def to(self: T, device: Any, floats: torch.dtype | None = None) -> T:
        """The same batch on `device`; floating-point numbers as `floats`."""

        def moved(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.to(device, floats if value.is_floating_point() else None)
            return value.to(device, floats) if isinstance(value, _OnDevice) else value

        names = [each.name for each in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{name: moved(getattr(self, name)) for name in names})


@_takes_numbers
@dataclass(frozen=True)
class TokenBatch(_OnDevice):
    """Tokens to read and the tokens to predict from them.

    `inputs` and `targets: [batch, time]`; `lengths: [batch]` says how much of each row is real
    (None: all). `continues`: the rows go on where the last batch's rows ended, so the recurrent
    state is carried over. `row_ids: [batch]` are the places of the rows in the part that they were
    taken from, if it has rows.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    continues: bool = False
    row_ids: Tensor | None = None

    numbers = Renamed("row_ids")

    @property
    def tokens(self) -> int:
        """The number of real targets."""
        return self.targets.numel() if self.lengths is None else int(self.lengths.sum())


@dataclass(frozen=True)
class Prompts(_OnDevice):
    """What generation starts from: `tokens: [batch, time]`, each row `lengths[i] >= 1` long."""

    tokens: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Sources(_OnDevice):
    """What an encoder reads.

    `values` are tokens `[batch, source_time]` with `lengths: [batch]` of them real, or vectors
    `[batch, size]` of floats, whose lengths are all 1. Where tokens are words, `letters: [batch,
    source_time, letter_time]` may spell each of them, `letter_lengths: [batch, source_time]` long.
    """

    values: Tensor
    lengths: Tensor
    letters: Tensor | None = None
    letter_lengths: Tensor | None = None


@_takes_numbers
@dataclass(frozen=True)
class PairBatch(_OnDevice):
    """Sources, and the targets that belong to them.

    `targets: [batch, time]` with `lengths: [batch]` of them real. For sequences that end by
    themselves the last real one is EOS; `inputs` are BOS and the targets without the last one.
    `row_ids: [batch]` are the places of the rows in the part that they were taken from.
    """

    sources: Sources
    inputs: Tensor
    targets: Tensor
    lengths: Tensor
    row_ids: Tensor

    numbers = Renamed("row_ids")

    @property
    def continues(self) -> bool:
        """Never: each row is a whole."""
        return False

    @property
    def tokens(self) -> int:
        """The number of real targets."""
        return int(self.lengths.sum())
