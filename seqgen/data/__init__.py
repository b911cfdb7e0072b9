"""Kinds of data, files to batches. To add one: subclass `Data`, `@data.register("name")`."""

from seqgen.data.base import Data, DataFactory, Dataset, Example, Split, TextSize, Training, data
from seqgen.data.batches import PairBatch, Prompts, Sources, TokenBatch
from seqgen.data.corpora import Corpus, corpora
from seqgen.data.dates import Dates
from seqgen.data.labelled import LabelledData
from seqgen.data.lines import LinesData
from seqgen.data.pairs import PairsData
from seqgen.data.punctuation import Punctuation
from seqgen.data.python_library import PythonLibrary
from seqgen.data.tagged import TaggedData
from seqgen.data.text import TextData
from seqgen.data.unicode_tables import Hangul, UnicodeCategories, UnicodeNames
from seqgen.data.vectors import VectorsData

__all__ = [
    "Corpus",
    "Data",
    "DataFactory",
    "Dataset",
    "Dates",
    "Example",
    "Hangul",
    "LabelledData",
    "LinesData",
    "PairBatch",
    "PairsData",
    "Prompts",
    "Punctuation",
    "PythonLibrary",
    "Sources",
    "Split",
    "TaggedData",
    "TextData",
    "TextSize",
    "TokenBatch",
    "Training",
    "UnicodeCategories",
    "UnicodeNames",
    "VectorsData",
    "corpora",
    "data",
]
