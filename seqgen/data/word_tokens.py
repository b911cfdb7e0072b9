"""The tokens of words that are split already: one for each word, and those of its letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor

from seqgen.data.padding import padded
from seqgen.errors import DataError
from seqgen.tokenizers.base import PAD, Tokenizer

Words = Sequence[str]


def one_each(rows: Iterable[Words], tokenizer: Tokenizer, role: str) -> list[Tensor]:
    """For each row `[time]`, a token for each of its words.

    `role` is what they are, for messages. Errors: DataError where the tokenizer cuts one up, or
    refuses it.
    """
    known: dict[str, int] = {}
    made = []
    for row in rows:
        for word in row:
            if word not in known:
                known[word] = _the_one(word, tokenizer, role)
        made.append(torch.tensor([known[word] for word in row], dtype=torch.long))
    return made


def letters_of(
    rows: Iterable[Words], tokenizer: Tokenizer, most: int | None = None
) -> list[list[Tensor]]:
    """For each row the letters of each of its words, `[letter_time]`.

    Of words with more than `most` characters the first ones are read.
    """
    known: dict[str, Tensor] = {}
    made = []
    for row in rows:
        for word in row:
            if word not in known:
                known[word] = torch.from_numpy(tokenizer.encode(word[:most]))
        made.append([known[word] for word in row])
    return made


def padded_words(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """As `padded`, but never without a place: what reads words reads one of PAD at least."""
    tokens, lengths = padded(rows)
    if not tokens.shape[1]:
        tokens = tokens.new_full((len(rows), 1), PAD)
    return tokens, lengths


def padded_letters(rows: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """The letters of each word of each row as `[batch, time, letter_time]` with PAD behind them,
    and their number as `[batch, time]`, which is 0 where a row has no word any more.

    Neither `time` nor `letter_time` is less than 1.
    """
    words = torch.tensor([len(row) for row in rows], dtype=torch.long)
    time = max([1, *map(len, rows)])
    values, counts = padded(list(chain.from_iterable(rows)))
    real = torch.arange(time) < words.unsqueeze(1)  # [batch, time], true once for each word
    letters = values.new_full((len(rows), time, max(1, values.shape[1])), PAD)
    lengths = words.new_zeros(len(rows), time)
    letters[real, : values.shape[1]] = values
    lengths[real] = counts
    return letters, lengths


def _the_one(word: str, tokenizer: Tokenizer, role: str) -> int:
    try:
        tokens: list[int] = tokenizer.encode(word).tolist()
    except ValueError as error:
        raise DataError(f"the tokenizer of `{role}`: {error}") from None
    if len(tokens) != 1:
        raise DataError(
            f"the tokenizer of `{role}` must give one token for each word, but gives "
            f"{len(tokens)} for {word!r}; the tokenizer `whole` gives one"
        )
    return tokens[0]
