"""The data kind `tagged`: sequences of words, each with a tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from torch import Tensor

from seqgen.data.base import Data, SplitName, data
from seqgen.data.batches import PairBatch, Sources
from seqgen.data.buckets import Buckets
from seqgen.data.files import TextFile
from seqgen.data.pair_rows import Columns
from seqgen.data.row_batches import EncodedRows, RowSplit, RowTraining
from seqgen.data.row_files import Part, RowFiles
from seqgen.data.rows import Layout, some_lines
from seqgen.data.tagged_file import TaggedSequence, parse_tagged
from seqgen.data.tagged_rows import TaggedRows, examples_of
from seqgen.errors import DataError
from seqgen.options import Share, Size
from seqgen.tokenizers.base import UNK, Tokenizers


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
