"""The data kind `my_data`: the different words of a text."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from seqgen.data import Prompts, RowData, TokenBatch, data, padded, shift_right
from seqgen.options import Size
from seqgen.tokenizers import BOS


class Word(NamedTuple):
    line: int
    text: str


@data.register("my_data")
@dataclass(eq=False)
class MyData(RowData):
    """The different words of at least `least` letters, each of them a sequence of its own."""

    least: Size = 3

    ends = True
    continues = True
    sorted_by = ("text",)

    def parse(self, files, empty):
        [(file, name)] = files
        words = {}
        for number, line in enumerate(file.text.splitlines(), 1):
            words.update({each: number for each in line.split() if each not in words})
        rows = [Word(*pair[::-1]) for pair in words.items() if len(pair[0]) >= self.least]
        return rows, [f"{name}: {len(rows)} different words"]

    def encode_rows(self, part, tokenizers, epoch):
        return {"text": self.encode_targets(part, tokenizers, epoch)}

    def collate(self, columns, places):
        rows = columns["text"]
        return TokenBatch(shift_right(rows), *padded(rows), row_ids=places)

    def identity(self, row):
        return row.text

    def target_of(self, row):
        return row.text

    def prompts(self, texts, tokenizers):
        rows = [[BOS, *tokenizers["text"].encode(each)] for each in texts]
        return Prompts(*padded([torch.tensor(row) for row in rows]))
