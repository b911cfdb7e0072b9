"""Models of every kind that read sources, and batches for them whose rows differ in length."""

import itertools
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from seqgen.attentions import attentions
from seqgen.cells import cells
from seqgen.data import PairBatch, Sources
from seqgen.data.batches import padded, shift_right
from seqgen.models import models
from seqgen.state import real
from seqgen.tokenizers import EOS

WORDS, LETTERS, VECTOR, LABELS, VOCAB = 9, 8, 3, 6, 8
TARGETS = (2, 5, 1, 3, 4)
"""The lengths of targets that are no labels, EOS included."""

READERS = ("recurrent", "bidirectional")
LSTM = {"name": "lstm", "hidden_size": 4}

# Kinds of labelling with an encoder and its cell; None is an LSTM that reads letters as well. Of
# each family of cells there is one; the laws of encoders are held with every cell.
SOME_CELLS = ("lstm", "lstm_cell", "gru", "min_gru", "slstm", "stack", "variational_dropout")
LABELLING = [
    *itertools.product(("classifier", "tagger"), READERS, (*SOME_CELLS, None)),
    *itertools.product(("classifier of the mean", "classifier of the max"), READERS, ("gru", None)),
]


def reader(name, cell=LSTM, **others):
    return {"name": name, "cell": cell, "embedding": {"size": 3}, **others}


def labelling_spec(small, kind, name, cell):
    model, _, pooling = kind.partition(" of the ")
    letters = {} if cell else {"letters": reader("bidirectional")}
    encoder = reader(name, small(cells, cell) if cell else LSTM, **letters)
    return {"name": model, "encoder": encoder, **({"pooling": pooling} if pooling else {})}


def every_seq2seq():
    """Encoder, its cell, the model's cell, attention, and whether that is fed to the cell: each
    cell once as the encoder's and once as the model's, together with another one."""
    names = cells.names()
    readers = itertools.cycle(["recurrent", "recurrent", "bidirectional", "bidirectional"])
    feeds = itertools.cycle([False, True, True, False, False])
    looks = itertools.cycle(attentions.names())
    pairs = zip(names, names[5:] + names[:5], strict=True)
    for pair, encoder, attention, feeding in zip(pairs, readers, looks, feeds, strict=False):
        # Which is as wide as `dot` needs it.
        yield "recurrent" if attention == "dot" else encoder, *pair, attention, feeding
    for attention, feeding in itertools.product(attentions.names(), (False, True)):
        yield "recurrent", "lstm", "gru", attention, feeding
    yield "bidirectional", "gru", "lstm", "dot", True
    yield from itertools.product(("label", "vector"), [""], ["lstm_cell"], ["none"], (False, True))


SEQ2SEQ = list(every_seq2seq())


def sized(spec, size):
    """A cell with that many units, where it says how many itself."""
    if "hidden_size" not in spec:
        return spec
    return {**spec, "hidden_size": size, **({"heads": 1} if "heads" in spec else {})}


def seq2seq_spec(small, encoder, encoder_cell, cell, attention, feeding):
    inner, own = (small(cells, each) if each else {} for each in (encoder_cell, cell))
    if attention == "dot":
        inner, own = sized(inner, 5), sized(own, 10 if encoder == "bidirectional" else 5)
    others = {"label": {"name": "label", "size": 4}, "vector": {"name": "vector"}}
    return {
        "name": "seq2seq",
        "encoder": others.get(encoder) or reader(encoder, inner),
        "cell": own,
        "attention": attention,
        "embedding": {"size": 4},
        "input_feeding": feeding,
    }


def made(spec):
    """One and the same model, in evaluation mode."""
    torch.manual_seed(1)
    source = {"vocab_size": WORDS, "letters_size": LETTERS, "vector_size": VECTOR}
    vocab_size = VOCAB if spec["name"] == "seq2seq" else LABELS
    return models.build(spec, vocab_size=vocab_size, source=source).eval()


@pytest.fixture
def label_build():
    """A function from a kind of labelling, and an encoder by its name or whole, to a model."""

    def build(kind, encoder="recurrent", **options):
        encoder = reader(encoder) if encoder in READERS else encoder
        return made({"name": kind, "encoder": encoder, **options})

    return build


@pytest.fixture
def write_build(small):
    """A function from a case of seq2seq and other options to a model."""

    def build(case=("recurrent", "lstm", "gru", "general", False), **options):
        return made({**seq2seq_spec(small, *case), **options})

    return build


def name_of(case):
    return "-".join(map(str, filter(None, case)))


@pytest.fixture(params=[*LABELLING, *SEQ2SEQ], ids=name_of)
def pair_model(request, small):
    """Every kind of model that learns from pairs."""
    spec = labelling_spec if len(request.param) == 3 else seq2seq_spec
    return made(spec(small, *request.param))


@pytest.fixture(params=SEQ2SEQ, ids=name_of)
def writer(request, write_build):
    """Every kind of seq2seq."""
    return write_build(request.param)


@pytest.fixture
def pairs():
    """A function from sources to a batch with a label for each word, or with one for each row."""

    def make(sources, single):
        rows, time = sources.values.shape
        lengths = torch.ones_like(sources.lengths) if single else sources.lengths
        draw = torch.Generator().manual_seed(3)
        targets = torch.randint(LABELS, (rows, 12), generator=draw)[:, : 1 if single else time]
        targets = targets.masked_fill(~real(lengths, targets.shape[1]), 0)
        return PairBatch(sources, torch.zeros_like(targets), targets, lengths, torch.arange(rows))

    return make


@pytest.fixture
def batch_for(sources, pairs):
    """A function from a model, and lengths of sources and targets, to a batch."""

    def make(model, of_sources=(3, 0, 1, 6, 4), lengths=None):
        kind, read = type(model).__name__, sources(of_sources)
        if kind != "Seq2Seq":
            return pairs(read, kind == "Classifier")
        draw = torch.Generator().manual_seed(4)
        lengths = TARGETS[: len(of_sources)] if lengths is None else lengths
        rows = [torch.randint(4, VOCAB, (each,), generator=draw) for each in lengths]
        for row in rows:
            row[-1:] = EOS
        if type(model.encoder).__name__ == "Vector":
            vectors = torch.randn(len(rows), VECTOR, generator=draw)
            read = Sources(vectors, torch.ones_like(read.lengths))
        return PairBatch(read, shift_right(rows), *padded(rows), torch.arange(len(rows)))

    return make


@pytest.fixture
def take(rows_of):
    """A function from a batch and rows to these rows, without more padding than they need."""

    def pick(batch, rows):
        here, lengths = batch.sources, batch.lengths[rows]
        spelt = here.letters is not None  # else it is of vectors
        read = rows_of(here, rows) if spelt else Sources(here.values[rows], here.lengths[rows])
        inputs, targets = (each[rows, : max(lengths)] for each in (batch.inputs, batch.targets))
        return PairBatch(read, inputs, targets, lengths, torch.tensor(rows))

    return pick


@pytest.fixture
def other_padding(other_padding):
    """A function that changes all in a batch of pairs that comes after the end of something."""

    def change(batch):
        here = batch.sources
        here = other_padding(here) if here.letters is not None else here
        gone = ~real(batch.lengths, batch.targets.shape[1])
        inputs, targets = (each.masked_fill(gone, 5) for each in (batch.inputs, batch.targets))
        return replace(batch, sources=here, inputs=inputs, targets=targets)

    return change


class _Copies(TorchDispatchMode):
    """Refuses what a GPU is waited for, with `meta` in its place, but for what has no numbers
    there and fails by itself."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [each for each in args if isinstance(each, torch.Tensor)]
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if name in ("_to_copy", "copy_") and result.is_meta and given[-1].device.type == "cpu":
            free = kwargs.get("non_blocking") or args[2:3] == (True,)
            assert free, f"{given[-1].shape} is copied while Python waits"
        if name.startswith("index"):
            places = [each for part in args[1:] if isinstance(part, list) for each in part]
            kinds = {each.dtype for each in places if each is not None and each.is_meta}
            assert not kinds & {torch.bool, torch.uint8}, "a mask is counted while Python waits"
        return result


class _Made(TorchFunctionMode):
    """Refuses tensors on `meta` of Python's numbers, which are made elsewhere and copied."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor):
            assert not result.is_meta, "numbers are copied while Python waits"
        return result


@pytest.fixture
def without_waiting():
    """A context in which a GPU, for which `meta` stands, is never waited for: `meta` has no numbers
    that could be asked for."""

    @contextmanager
    def watching():
        with _Copies(), _Made():
            yield

    return watching
