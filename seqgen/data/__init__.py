"""Kinds of data, files to batches. To add one: subclass `Data`, `@data.register("name")`."""

from seqgen.data.base import Data, DataFactory, Dataset, Example, Split, TextSize, Training, data
from seqgen.data.batches import PairBatch, Prompts, Sources, TokenBatch
from seqgen.data.corpora import Corpus, corpora
from seqgen.data.dates import Dates
from seqgen.data.punctuation import Punctuation
from seqgen.data.python_library import PythonLibrary
from seqgen.data.text import TextData
from seqgen.data.unicode_tables import Hangul, UnicodeCategories, UnicodeNames

__all__ = [
    "Corpus",
    "Data",
    "DataFactory",
    "Dataset",
    "Dates",
    "Example",
    "Hangul",
    "PairBatch",
    "Prompts",
    "Punctuation",
    "PythonLibrary",
    "Sources",
    "Split",
    "TextData",
    "TextSize",
    "TokenBatch",
    "Training",
    "UnicodeCategories",
    "UnicodeNames",
    "corpora",
    "data",
]
