"""The data kind `tagged`: sequences of words, each with a tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Empty, Example, data
from seqgen.data.batches import Columns, PairBatch, Sources, padded, shift_right
from seqgen.data.pairs import PairColumns
from seqgen.data.part_files import SplitName
from seqgen.data.rows import Epoch, NamedFiles, Part, RowData
from seqgen.data.tables import Layout, Row, json_rows, lines_of, read_table, some_lines
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import Share, Size
from seqgen.state import real
from seqgen.tokenizers import PAD, UNK, Tokenizer, Tokenizers

TWO_COLUMNS = Layout(("source", "target"))

Pairs = list[tuple[str, str]]
"""Words, each with its tag."""


class TaggedSequence(NamedTuple):
    """Words and the tag of each, and the number of the line of the first one."""

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


def parse_tagged(
    file: TextFile, name: str, layout: Layout = TWO_COLUMNS
) -> tuple[list[TaggedSequence], str]:
    """The sequences of a text in which each line is `word<TAB>tag`, and the note of `read_table`.

    Between two sequences are blank lines. In JSON lines each line is a sequence, with a list of
    words and one of tags. Words have no spaces and tags no white space at all, so that each
    sequence can be written with a space between two of them. Raises DataError, with the line.
    """
    if layout.is_json(file, name):
        found, note = _from_json(file, name, layout), ""
    else:
        rows, note = read_table(file, name, layout, _miscounted)
        found = _from_table(rows, name, layout)
    sequences = [TaggedSequence(line, *zip(*pairs, strict=True)) for line, pairs in found if pairs]
    if not sequences:
        lines = len(lines_of(file.text))
        blank = f"{lines} lines, all of them blank" if lines else "an empty file"
        raise DataError(f"{name}: no sequences in it ({blank})")
    return sequences, note


def _from_json(file: TextFile, name: str, layout: Layout) -> Iterator[tuple[int, Pairs]]:
    for line, lists in json_rows(file, name, layout, list):
        if lists:
            words, tags = (lists[layout.read.index(side)] for side in ("source", "target"))
            if len(words) != len(tags):
                raise DataError(f"{name}:{line}: {len(words)} words, but {len(tags)} tags")
            pairs = zip(words, tags, strict=True)
            yield line, [_checked(*pair, f"{name}:{line}") for pair in pairs]


def _from_table(rows: list[Row], name: str, layout: Layout) -> Iterator[tuple[int, Pairs]]:
    source, target = layout.read.index("source"), layout.read.index("target")
    for has_words, block in groupby(rows, lambda row: bool(row.texts)):
        if has_words:
            lines = [*block]
            yield (
                lines[0].line,
                [_checked(each[source], each[target], f"{name}:{line}") for line, each in lines],
            )


def _miscounted(cells: Sequence[str], count: int) -> str:
    """What is wrong with a line of another number of columns than two."""
    tabs = "no tab" if len(cells) == 1 else f"{len(cells) - 1} tabs"
    return f"must be a word, a tab and its tag, but has {tabs}" if count == 2 else ""


def _checked(word: str, tag: str, place: str) -> tuple[str, str]:
    """A word and its tag. Raises DataError if one is empty, or has the space that would stand
    between two of them."""
    if not word or not tag:
        raise DataError(f"{place}: the {'tag' if word else 'word'} is empty")
    for what, text, spaced in (("word", word, " " in word), ("tag", tag, tag.split() != [tag])):
        if spaced:
            fault = f"the {what} {text!r} has a space in it; write another sign there"
            raise DataError(f"{place}: {fault}")
    return word, tag


def one_each(rows: Sequence[Sequence[str]], tokenizer: Tokenizer, field: str) -> list[Tensor]:
    """For each row `[time]`, one token for each of its words.

    Raises DataError, which names the `field`, if the tokenizer cuts a word up, or refuses it.
    """
    known: dict[str, int] = {}
    for word in dict.fromkeys(chain.from_iterable(rows)):
        try:
            tokens = tokenizer.encode(word).tolist()
        except ValueError as error:
            raise DataError(f"the tokenizer of `{field}`: {error}") from None
        if len(tokens) != 1:
            raise DataError(
                f"the tokenizer of `{field}` must give one token for each word, but gives "
                f"{len(tokens)} for {word!r}; the tokenizer `whole` gives one"
            )
        known[word] = tokens[0]
    return [torch.tensor([known[word] for word in row], dtype=torch.long) for row in rows]


def letters_of(
    rows: Sequence[Sequence[str]], tokenizer: Tokenizer, most: int | None = None
) -> list[list[Tensor]]:
    """For each row the letters of each of its words, `[letter_time]`; of words with more than
    `most` characters the first ones."""
    words = dict.fromkeys(chain.from_iterable(rows))
    known = {word: torch.from_numpy(tokenizer.encode(word[:most])) for word in words}
    return [[known[word] for word in row] for row in rows]


def padded_letters(rows: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """The letters of the words of each row as `[batch, time, letter_time]` with PAD after them,
    and their number as `[batch, time]`, which is 0 where a row has no more words.

    Neither `time` nor `letter_time` is less than 1.
    """
    words = torch.tensor([len(row) for row in rows], dtype=torch.long)
    time = max([1, *map(len, rows)])
    values, counts = padded(list(chain.from_iterable(rows)), least=1)
    letters = values.new_full((len(rows), time, values.shape[1]), PAD)
    lengths = words.new_zeros(len(rows), time)
    places = real(words, time)  # [batch, time], true once for each word
    letters[places], lengths[places] = values, counts
    return letters, lengths


def forgetting(words: Sequence[Tensor], rate: float, seed: Sequence[int]) -> list[Tensor]:
    """The same rows where a share `rate` of the words, drawn from `seed` alone, is unknown."""
    ends = np.cumsum([len(row) for row in words])
    drawn = np.random.default_rng([*seed]).random(ends[-1]) < rate
    masks = map(torch.from_numpy, np.split(drawn, ends[:-1]))
    return [row.masked_fill(mask, UNK) for row, mask in zip(words, masks, strict=True)]


@data.register("tagged")
@dataclass(eq=False)
class TaggedData(RowData[TaggedSequence, PairBatch]):
    """Lines of a word, a tab and its tag, with a blank line between sequences.

    Other tables are read as `columns` says, such as `{source: 2, target: 4}` of CoNLL-U, and in
    JSON lines each line has a list of words and one of tags. Each word is a token, and each tag.
    With `letters` each word is spelt, too, for the field of that name; of words with more than
    `max_letters` the first ones are read. `unknown_rate` is the share of training words that are
    read as UNK, others in each epoch, so that a model learns what to make of a word that it does
    not know; its letters stay. Training leaves out sequences of more than `max_length` words;
    held-out ones stay. A batch is `batch_size` sequences, or up to `batch_tokens` words with the
    padding.
    """

    batch_size: Size = field(default=32, kw_only=True)
    columns: PairColumns = ("source", "target")
    letters: bool = False
    max_letters: Size | None = None
    unknown_rate: Share = 0.0
    max_length: Size | None = None

    output_field = "target"
    default_tokenizers = MappingProxyType({"source": "whole", "target": "whole", "letters": "char"})
    ends = False
    sorted_by = ("source",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout = Layout(self.columns, self.format, self.header)
        if sorted(self._layout.read) != ["source", "target"]:
            needed = "source (the words) and target (the tags) once each, and `_` for others"
            raise ValueError(f"`columns` must name {needed}, but is {list(self.columns)}")
        self.fields = ("source", "target", *(("letters",) if self.letters else ()))

    def parse(self, files: NamedFiles, empty: Empty) -> tuple[list[TaggedSequence], Iterable[str]]:
        if len(files) > 1:
            names = ", ".join(name for _, name in files)
            raise DataError(f"{names}: words and tags must be in one file, side by side")
        sequences, note = parse_tagged(*files[0], self._layout)
        return sequences, filter(None, [note])

    def encode_rows(
        self, part: Part[TaggedSequence], tokenizers: Tokenizers, epoch: Epoch
    ) -> Columns:
        tags = [row.tags for row in part.rows]
        columns = self._words([row.words for row in part.rows], tokenizers)
        columns["target"] = one_each(tags, tokenizers["target"], "target")
        if epoch is not None and self.unknown_rate:
            # The third number keeps it apart from what draws the order of the epoch.
            seed = (self.seed, epoch, 1)
            columns["source"] = forgetting(columns["source"], self.unknown_rate, seed)
        return columns

    def collate(self, columns: Columns, places: Tensor) -> PairBatch:
        tags = columns["target"]
        return PairBatch(self._sources(columns), shift_right(tags), *padded(tags), places)

    def identity(self, row: TaggedSequence) -> object:
        return row.words

    def target_of(self, row: TaggedSequence) -> str:
        return " ".join(row.tags)

    def examples(self, rows: Sequence[TaggedSequence]) -> list[Example]:
        """Each of them, also if its words come again: every tag of a part counts."""
        return [Example(" ".join(row.words), (self.target_of(row),)) for row in rows]

    def training_rows(self) -> Part[TaggedSequence]:
        """The sequences that are not too long. Raises DataError if all are."""
        whole = self.training_part
        rows = [*filter(self._fits, whole.rows)]
        if not rows:
            found = f"none of {len(whole.rows)} training sequences has at most {self.max_length}"
            raise DataError(f"{whole.name}: {found} words, as `max_length` wants")
        return Part(whole.name, rows)

    def redraws(self, tokenizers: Tokenizers) -> bool:
        return self.unknown_rate > 0

    def unknown_remarks(
        self, split: SplitName, part: Part[TaggedSequence], columns: Columns
    ) -> Iterable[str]:
        tags = zip(part.rows, columns["target"], strict=True)
        lines = [row.line for row, own in tags if UNK in own]
        if lines:
            what = (
                f"{len(lines)} of {len(part.rows)} sequences have tags that training does not have"
            )
            yield f"{part.name}: {what} ({some_lines(lines)})"

    def file_remarks(self) -> list[str]:
        """Also on sequences that are left out, and on words that are not read to their end."""
        part, most = self.training_part, self.max_letters
        remarks = super().file_remarks()
        lines = [row.line for row in part.rows if not self._fits(row)]
        if lines:
            count = f"{len(lines)} of {len(part.rows)} sequences"
            long = f"{count} have more than {self.max_length} words and are left out of training"
            remarks.append(f"{part.name}: {long} ({some_lines(lines)})")
        words = set(chain.from_iterable(row.words for row in part.rows))
        cut = sum(len(word) > most for word in words) if self.letters and most else 0
        if cut:
            long = f"{cut} of {len(words)} different words have more than {most} letters"
            remarks.append(f"{part.name}: {long}, of which the first {most} are read")
        return remarks

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The words and the tags one by one, those of sequences that are too long included; of
        the letters each word once."""
        rows = self.training_part.rows
        words = [*chain.from_iterable(row.words for row in rows)]
        texts = {"source": words, "target": [*chain.from_iterable(row.tags for row in rows)]}
        return {**texts, "letters": [*dict.fromkeys(words)]} if self.letters else {**texts}

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Sources:
        """Words with spaces between; a text without any has a length of 0 and no tags, but is read
        as one of PAD."""
        return self._sources(self._words([*map(_split, texts)], tokenizers))

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        source = {"vocab_size": len(tokenizers["source"])}
        if self.letters:
            source["letters_size"] = len(tokenizers["letters"])
        return {**super().sizes(tokenizers), "source": source}

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        return " ".join(tokenizers["target"].decode([token]) for token in tokens)

    def output_tokens(self, text: str, tokenizers: Tokenizers) -> list[int]:
        encode = tokenizers["target"].encode
        return [token for tag in text.split() for token in map(int, encode(tag))]

    def source_pieces(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        return _split(prompt)

    def unknown(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """The words that training does not have, or not often enough."""
        return [word for word in _split(prompt) if UNK in tokenizers["source"].encode(word)]

    def output_lengths(self, batch: Any) -> Tensor:
        lengths: Tensor = batch.lengths
        return lengths

    def _words(self, rows: Sequence[Sequence[str]], tokenizers: Tokenizers) -> dict[str, Any]:
        """The columns of words and their letters. Raises DataError if a word is not one token."""
        columns: dict[str, Any] = {"source": one_each(rows, tokenizers["source"], "source")}
        if self.letters:
            columns["letters"] = letters_of(rows, tokenizers["letters"], self.max_letters)
        return columns

    def _sources(self, columns: Columns) -> Sources:
        letters = padded_letters(columns["letters"]) if self.letters else ()
        return Sources(*padded(columns["source"], least=1), *letters)

    def _fits(self, row: TaggedSequence) -> bool:
        return self.max_length is None or len(row.words) <= self.max_length


def _split(text: str) -> list[str]:
    """The words of a text, with spaces between as in an example."""
    return [word for word in text.split(" ") if word]
