"""Kinds of data, files to batches.

To add one of rows: subclass `RowData`, say how rows are parsed, encoded and collated, and
`@data.register("name")`; any other: subclass `Data`.
"""

from seqgen.data.base import Data, DataFactory, Dataset, Example, Split, TextSize, Training, data
from seqgen.data.batches import PairBatch, Prompts, Sources, TokenBatch, padded, shift_right
from seqgen.data.corpora import Corpus, Dates, Hangul, UnicodeCategories, UnicodeNames, corpora
from seqgen.data.lines import LinesData, VectorsData
from seqgen.data.pairs import LabelledData, PairsData
from seqgen.data.part_files import SplitName
from seqgen.data.punctuation import Punctuation, PythonLibrary
from seqgen.data.rows import RowData
from seqgen.data.tables import lines_of
from seqgen.data.tagged import TaggedData
from seqgen.data.text import TextData
from seqgen.data.text_files import Reading, TextFile, as_text, read_long, read_text

__all__ = [
    "Corpus",
    "Data",
    "Example",
    "Prompts",
    "RowData",
    "Sources",
    "TextFile",
    "TokenBatch",
    "corpora",
    "data",
    "padded",
    "shift_right",
]
