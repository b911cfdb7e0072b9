"""The data kind `tagged`: sequences of words, each with a tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Data, Example, SplitName, data
from seqgen.data.batches import PairBatch, Sources, begun, padded
from seqgen.data.pairs import Columns
from seqgen.data.row_batches import Buckets, EncodedRows, RowSplit, RowTraining, text_size
from seqgen.data.row_files import Part, RowFiles
from seqgen.data.tables import Layout, Row, json_rows, lines_of, read_table, some_lines
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import Share, Size
from seqgen.tokenizers import PAD, UNK, Tokenizer, Tokenizers

# Reading a file of tagged sequences: a token and its tag a line, a blank line between two.


TWO_COLUMNS = Layout(("source", "target"))


class TaggedSequence(NamedTuple):
    """Words and the tag of each, and the number of the line of the first one."""

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


def parse_tagged(
    file: TextFile, name: str, layout: Layout = TWO_COLUMNS
) -> tuple[list[TaggedSequence], str]:
    """The sequences of a text in which each line is `word<TAB>tag`, and the note of `read_table`.

    Between two sequences is a line with nothing but spaces, or several. In JSON lines each line is
    a sequence, with a list of words and one of tags. Words have no spaces and tags no white space
    at all, so that each sequence can be written with a space between two of them. Raises DataError
    with the line.
    """
    sequences = []
    source, target = layout.read.index("source"), layout.read.index("target")
    if layout.format_of(name) == "jsonl":
        note = ""
        for line, lists in json_rows(file, name, layout, list):
            if lists:
                words, tags = lists[source], lists[target]
                if len(words) != len(tags):
                    raise DataError(f"{name}:{line}: {len(words)} words, but {len(tags)} tags")
                pairs = [
                    _checked(*pair, f"{name}:{line}") for pair in zip(words, tags, strict=True)
                ]
                if pairs:
                    sequences.append(TaggedSequence(line, *zip(*pairs, strict=True)))
    else:
        rows, note = read_table(file, name, layout, _miscounted)
        begin: int | None = None
        pairs = []
        for line, texts in [*rows, Row(0, ())]:
            if texts:
                begin = begin or line
                pairs.append(_checked(texts[source], texts[target], f"{name}:{line}"))
            elif begin is not None:
                sequences.append(TaggedSequence(begin, *zip(*pairs, strict=True)))
                begin, pairs = None, []
    if not sequences:
        lines = len(lines_of(file.text))
        blank = f"{lines} lines, all of them blank" if lines else "an empty file"
        raise DataError(f"{name}: no sequences in it ({blank})")
    return sequences, note


def _miscounted(cells: Sequence[str], count: int) -> str:
    """What is wrong with a line of another number of columns than two."""
    tabs = "no tab" if len(cells) == 1 else f"{len(cells) - 1} tabs"
    return f"must be a word, a tab and its tag, but has {tabs}" if count == 2 else ""


def _checked(word: str, tag: str, place: str) -> tuple[str, str]:
    """The word and the tag of a line. Raises DataError if they are not such."""
    if not word or not tag:
        raise DataError(f"{place}: the {'tag' if word else 'word'} is empty")
    if " " in word:
        raise _spaced(place, "word", word)
    if tag.split() != [tag]:
        raise _spaced(place, "tag", tag)
    return word, tag


def _spaced(place: str, what: str, text: str) -> DataError:
    """A space stands between two words, or tags, wherever a sequence is one text."""
    return DataError(f"{place}: the {what} {text!r} has a space in it; write another sign there")


# The tokens of words that are split already: one for each word, and those of its letters.


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


# Tagged sequences as tokens, and the batches that are made of them.


T = TypeVar("T")


@dataclass(frozen=True)
class TaggedRows:
    """For each sequence its words and its tags, `[time]`, and the letters of each word."""

    sequences: Sequence[TaggedSequence]
    words: Sequence[Tensor]
    tags: Sequence[Tensor]
    letters: Sequence[Sequence[Tensor]] | None = None

    @classmethod
    def of(
        cls,
        sequences: Sequence[TaggedSequence],
        tokenizers: Tokenizers,
        letters: bool,
        max_letters: int | None,
    ) -> TaggedRows:
        """The tokens of `sequences`. Errors: DataError where a word or a tag is not one token."""
        words = [sequence.words for sequence in sequences]
        tags = [sequence.tags for sequence in sequences]
        return cls(
            sequences,
            one_each(words, tokenizers["source"], "source"),
            one_each(tags, tokenizers["target"], "target"),
            letters_of(words, tokenizers["letters"], max_letters) if letters else None,
        )

    def lengths(self) -> list[tuple[int]]:
        """The number of words of each."""
        return [(len(row),) for row in self.words]

    def forgetting(self, rate: float, seed: Sequence[int]) -> TaggedRows:
        """The same where a share `rate` of the words, drawn from `seed` alone, is unknown."""
        ends = np.cumsum([len(row) for row in self.words])
        drawn = np.random.default_rng([*seed]).random(ends[-1]) < rate
        masks = map(torch.from_numpy, np.split(drawn, ends[:-1]))
        words = [row.masked_fill(mask, UNK) for row, mask in zip(self.words, masks, strict=True)]
        return replace(self, words=words)

    def encoded(self) -> EncodedRows[PairBatch]:
        """What training and held-out parts are made of."""
        tokens = {"source": self.words, "target": self.tags}
        if self.letters is not None:
            tokens["letters"] = [torch.cat([*row]) for row in self.letters]
        size = text_size([" ".join(sequence.tags) for sequence in self.sequences])
        return EncodedRows(self.lengths(), self.batch, tokens, "target", size)

    def batch(self, numbers: Sequence[int]) -> PairBatch:
        """Some of the sequences, by their numbers."""
        tags = _these(self.tags, numbers)
        targets, lengths = padded(tags)
        sources = self.sources(numbers)
        return PairBatch(sources, begun(tags), targets, lengths, torch.tensor([*numbers]))

    def sources(self, numbers: Sequence[int]) -> Sources:
        """The words of some of the sequences."""
        values, lengths = padded_words(_these(self.words, numbers))
        if self.letters is None:
            return Sources(values, lengths)
        return Sources(values, lengths, *padded_letters(_these(self.letters, numbers)))


def examples_of(sequences: Sequence[TaggedSequence]) -> list[Example]:
    """Each of them, also where its words come again: every tag of a part counts."""
    return [Example(" ".join(each.words), (" ".join(each.tags),)) for each in sequences]


def _these(rows: Sequence[T], numbers: Sequence[int]) -> list[T]:
    return [rows[number] for number in numbers]


@data.register("tagged")
@dataclass(eq=False)
class TaggedData(RowFiles[TaggedSequence], Data[PairBatch]):
    """Files with a word, a tab and its tag a line, and a blank line between two sequences.

    Other tables are read as `columns` says, such as `{source: 2, target: 4}` of CoNLL-U, and in
    JSON lines each line has a list of words and one of tags. Each word is a token, and each tag.
    With `letters` each word is spelt, too, for the role of that name; of words with more than
    `max_letters` the first ones are read. `unknown_rate` is the share of training words that are
    read as UNK, others in each epoch, so that a model learns what to make of a word that it does
    not know; its letters stay. Training leaves out sequences of more than `max_length` words;
    held-out ones stay. A batch is `batch_size` sequences, or up to `batch_tokens` words with the
    padding.
    """

    columns: Columns = ("source", "target")
    letters: bool = False
    max_letters: Size | None = None
    unknown_rate: Share = 0.0
    max_length: Size | None = None
    batch_size: Size = 32
    batch_tokens: Size | None = None
    seed: int = 0

    output_role = "target"
    usual_tokenizers = MappingProxyType({"source": "whole", "target": "whole", "letters": "char"})
    ends = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout = Layout(self.columns, self.format, self.header)
        if sorted(self._layout.read) != ["source", "target"]:
            needed = "source (the words) and target (the tags) once each, and `_` for others"
            raise ValueError(f"`columns` must name {needed}, but is {list(self.columns)}")
        self.roles = ("source", "target", "letters") if self.letters else ("source", "target")
        self._remarks: dict[str, str] = {}

    def parsed(self, files: Sequence[TextFile], names: Sequence[str]) -> list[TaggedSequence]:
        """The sequences of a part, which is one file."""
        if len(files) > 1:
            raise DataError(f"{', '.join(names)}: words and tags must be in one file, side by side")
        sequences, note = parse_tagged(files[0], names[0], self._layout)
        if note:
            self._remarks[f"layout of {names[0]}"] = note
        return sequences

    def identity(self, row: TaggedSequence) -> object:
        """The words."""
        return row.words

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The words and the tags one by one, those of sequences that are too long included; of
        the letters each word once."""
        rows = self.training_part.rows
        words = [*chain.from_iterable(row.words for row in rows)]
        texts = {"source": words, "target": [*chain.from_iterable(row.tags for row in rows)]}
        return {**texts, "letters": [*dict.fromkeys(words)]} if self.letters else {**texts}

    def training(self, tokenizers: Tokenizers) -> RowTraining[PairBatch]:
        """Sequences of about one length together."""
        rows = self._tokens(self._training_part(), tokenizers)
        buckets = Buckets(rows.lengths(), self.batch_size, self.batch_tokens, self.seed)
        if not self.unknown_rate:
            return RowTraining(rows.encoded(), buckets)

        def draw(epoch: int) -> EncodedRows[PairBatch]:
            # The third number keeps it apart from what draws the order of the epoch.
            return rows.forgetting(self.unknown_rate, (self.seed, epoch, 1)).encoded()

        return RowTraining(draw(0), buckets, draw)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> RowSplit[PairBatch] | None:
        """All sequences of the part; each is an example, also where its words come again."""
        part = self.part(name)
        if part is None:
            return None
        rows = self._tokens(part, tokenizers)
        unknown = [row for row, tags in zip(part.rows, rows.tags, strict=True) if UNK in tags]
        if unknown:
            what = f"{len(unknown)} of {len(part.rows)} sequences have tags that training has not"
            lines = some_lines([row.line for row in unknown])
            self._remarks[name] = f"{part.name}: {what} ({lines})"
        return RowSplit(rows.encoded(), examples_of(part.rows))

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Sources:
        """Words with spaces between; a text without any has a length of 0, and no tags."""
        rows = [_words(text) for text in texts]
        untagged = [TaggedSequence(0, tuple(words), ()) for words in rows]
        return self._tokens(Part("", untagged), tokenizers).sources(range(len(rows)))

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        """The number of tags; of the source the number of words, and of letters."""
        source = {"vocab_size": len(tokenizers["source"])}
        if self.letters:
            source["letters_size"] = len(tokenizers["letters"])
        return {"vocab_size": len(tokenizers["target"]), "source": source}

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """The tags with a space between two."""
        return " ".join(tokenizers["target"].decode([token]) for token in tokens)

    def output_tokens(self, text: str, tokenizers: Tokenizers) -> list[int]:
        """A token for each tag."""
        encode = tokenizers["target"].encode
        return [token for tag in text.split() for token in map(int, encode(tag))]

    def source_pieces(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """The words."""
        return _words(prompt)

    def unknown(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """The words that training does not have, or not often enough."""
        return [word for word in _words(prompt) if UNK in tokenizers["source"].encode(word)]

    def given(self, file: TextFile, name: str, tokenizers: Tokenizers) -> RowSplit[PairBatch]:
        """Tagged sequences, in the format of the files."""
        part = Part(name, parse_tagged(file, name, self._layout)[0])
        return RowSplit(self._tokens(part, tokenizers).encoded(), examples_of(part.rows))

    def output_lengths(self, batch: Any) -> Tensor:
        """As many as there are words."""
        lengths: Tensor = batch.lengths
        return lengths

    def fingerprint(self) -> dict[str, str]:
        """Of the files, or of the corpus."""
        return self.hashes()

    def remarks(self) -> tuple[str, ...]:
        """Files that are not there or have faults, sequences that are left out, words that are not
        read to their end, tags that are not known."""
        return (
            *self.file_remarks(),
            *filter(None, [self._long(), self._cut()]),
            *self._remarks.values(),
        )

    def _long(self) -> str:
        part = self.training_part
        lines = [row.line for row in part.rows if self._too_long(row)]
        if not lines:
            return ""
        long = f"{len(lines)} of {len(part.rows)} sequences have more than {self.max_length} words"
        return f"{part.name}: {long} and are left out of training ({some_lines(lines)})"

    def _cut(self) -> str:
        part, most = self.training_part, self.max_letters
        words = set(chain.from_iterable(row.words for row in part.rows))
        cut = 0 if most is None or not self.letters else sum(len(word) > most for word in words)
        if not cut:
            return ""
        long = f"{cut} of {len(words)} different words have more than {most} letters"
        return f"{part.name}: {long}, of which the first {most} are read"

    def _tokens(self, part: Part[TaggedSequence], tokenizers: Tokenizers) -> TaggedRows:
        return TaggedRows.of(part.rows, tokenizers, self.letters, self.max_letters)

    def _training_part(self) -> Part[TaggedSequence]:
        """What is not too long of it."""
        whole = self.training_part
        rows = [row for row in whole.rows if not self._too_long(row)]
        if not rows:
            found = f"none of {len(whole.rows)} training sequences has at most {self.max_length}"
            raise DataError(f"{whole.name}: {found} words, as `max_length` wants")
        return Part(whole.name, rows)

    def _too_long(self, row: TaggedSequence) -> bool:
        return self.max_length is not None and len(row.words) > self.max_length


def _words(text: str) -> list[str]:
    """What stands between spaces, as it does between the words of an example."""
    return [word for word in text.split(" ") if word]
