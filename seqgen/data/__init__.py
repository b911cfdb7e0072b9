"""Kinds of data, files to batches. To add one: subclass `Data`, `@data.register("name")`."""

from seqgen.data.base import Data, DataFactory, Dataset, Example, Split, TextSize, Training, data
from seqgen.data.batches import PairBatch, Prompts, Sources, TokenBatch
from seqgen.data.corpora import Corpus, Dates, Hangul, UnicodeCategories, UnicodeNames, corpora
from seqgen.data.lines import LinesData
from seqgen.data.pairs import LabelledData, PairsData
from seqgen.data.punctuation import Punctuation, PythonLibrary
from seqgen.data.tagged import TaggedData
from seqgen.data.text import TextData
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
