"""Steppers made of tables, whose every sequence can be scored and enumerated by hand."""

import itertools
import math
from collections import Counter
from importlib.util import find_spec

import pytest
import torch

from seqgen.data import data
from seqgen.decoders import Attended, Start, constrain, constraints, decoders
from seqgen.generate import Generator
from seqgen.models import models
from seqgen.state import reorder
from seqgen.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    Contents,
    SentencePieceTokenizer,
    WordTokenizer,
)

VOCAB = 5
BATCH = 12
WORDS = "the cat sat on a mat and the dög ate 12 figs in 1999 for 5 € \n"
TOKENIZERS = {
    "char": CharTokenizer,
    "byte": ByteTokenizer,
    "sentencepiece": lambda: SentencePieceTokenizer(vocab_size=285),
    "bpe": lambda: SentencePieceTokenizer("bpe", vocab_size=300),
    "word": WordTokenizer,
    "lines": lambda: WordTokenizer(line_ends=True),
    "exact": lambda: WordTokenizer(split="exact"),
}


def enumerated(stepper, start, limits):
    """Every sequence of the one source of `start`: its tokens and their log-probabilities."""
    last, state, context, _ = start
    live, over = [((), ())], {}
    for left in reversed(range(limits.max_length)):
        log_probs, state = stepper.step(last, state, context)
        rows = []
        for row, (tokens, past) in enumerate(live):
            for token, score in enumerate(log_probs[row].tolist()):
                if left and token not in limits.ends:
                    rows.append((row, (*tokens, token), (*past, score)))
                else:
                    over[*tokens, token] = (*past, score)
        live = [path for _, *path in rows]
        state = reorder(state, torch.tensor([row for row, *_ in rows], dtype=torch.long))
        last = torch.tensor([tokens[-1] for tokens, _ in live], dtype=torch.long)
    return over


def chi_square_limit(freedom):
    """What chance exceeds once in a thousand times, by Wilson and Hilferty's approximation."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + 3.09 * math.sqrt(spread)) ** 3


class Table:
    """`log p(next | last)` as a table `[vocab, vocab]`; `seen` counts the rows of each step."""

    def __init__(self, logits):
        self.log_probs = logits.float().log_softmax(-1)
        self.seen = []

    def step(self, tokens, state, context):
        self.seen.append(len(tokens))
        return self.log_probs[tokens], state

    def start(self, batch=1, sequence_ids=None):
        """Sources that begin after token 0, 1, 2, ..."""
        tokens = torch.arange(batch) % len(self.log_probs)
        return Start(tokens, None, None, sequence_ids)

    def rescore(self, start, source, tokens):
        """What the table gives to each token of a sequence, read alone from its beginning."""
        last, state, context, _ = rows_of(start, [source])
        found = []
        for token in tokens:
            log_probs, state = self.step(last, state, context)
            found.append(float(log_probs[0, token]))
            last = torch.tensor([token])
        return found

    def enumerate(self, start, source, limits):
        """Every sequence of a source: its tokens, and what the table gives to each of them."""
        return enumerated(self, rows_of(start, [source]), limits)


class Deep(Table):
    """Scores that depend on all tokens before (the state) and on the source (the context), with
    something like attention.

    So they are wrong as soon as a row of the state or of the context goes astray.
    """

    def step(self, tokens, state, context):
        self.seen.append(len(tokens))
        vocab, (history, attended) = len(self.log_probs), state
        history = (3 * history + tokens + 1) % vocab
        sources = context.repeat_interleave(len(tokens) // len(context), 0)
        logits = 2 * self.log_probs[tokens] + 2 * self.log_probs.T[history] + sources
        weights = logits.softmax(1).view(len(context), len(tokens) // len(context), vocab)
        attended = attended.after(weights, torch.ones_like(context, dtype=torch.bool))
        return logits.log_softmax(-1), (history, attended)

    def start(self, batch=1, sequence_ids=None):
        context = torch.randn(batch, len(self.log_probs), generator=torch.manual_seed(5))
        state = torch.arange(batch) % 2, Attended()
        return Start(torch.arange(batch) % 3, state, context, sequence_ids)


class Secondary:
    """A model that generates with another: it is given which of its sources the batch has."""

    def __init__(self, stepper):
        self.step = stepper.step
        self.whole = stepper.start(BATCH)

    def start(self, batch):
        return reorder(self.whole, batch)


def logits(vocab=VOCAB, seed=1):
    return 1.5 * torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))


def digits(text):
    """A tokenizer: digits are their own tokens."""
    return list(map(int, text))


def spelled():
    """What the tokens of `digits` add to a text."""
    return Contents(
        [b"%d" % each for each in range(VOCAB)], [b"%d" % each for each in range(VOCAB)]
    )


def installed(names):
    """Those of the constraints of these `names` whose packages are installed."""
    return [name for name in names if name != "pattern" or find_spec("outlines_core")]


def fitted(name):
    tokenizer = TOKENIZERS[name]()
    tokenizer.fit([WORDS * 20])
    return tokenizer


def model_of(tokenizer, kind="lines", corpus="unicode_names"):
    """A model with random weights, which finds much of what it may say improbable."""
    torch.manual_seed(1)
    made = data.build({"name": kind, "corpus": corpus}, seed=1)
    spec = {"name": "language_model", "cell": {"name": "gru", "hidden_size": 8}}
    model = models.build(spec, vocab_size=len(tokenizer))
    with torch.no_grad():
        for each in model.parameters():
            each.mul_(3)
    return Generator(model, {"text": tokenizer}, made, torch.device("cpu"))


def rows_of(start, rows):
    return reorder(start, torch.tensor(rows))


def build(spec):
    return decoders.build(spec, seed=3, vocab_size=VOCAB)


def constrained(decoder, chosen, stepper, start, limits, batch=None):
    """What a decoder, or the one of that name, finds in constraints."""
    decoder = build(decoder) if isinstance(decoder, str) else decoder
    return decoder.decode(*constrain(chosen, stepper, start, limits, batch), limits)


def tokens_of(found):
    return [[each.tokens for each in own] for own in found]


def kept_tokens(scores):
    """Which tokens of a row are possible."""
    return scores.isfinite().nonzero().flatten().tolist()


@pytest.fixture
def follow():
    """A function: do `draws`, sequences, follow the transition probabilities `steps`?

    `steps[last][token]` as lists, sequences begin after token 0. The chi-square test, failing
    once in a thousand times by chance.
    """

    def check(draws, steps, limits):
        every = {}
        for tokens in itertools.product(range(len(steps)), repeat=limits.max_length):
            ends = [i for i, token in enumerate(tokens) if token in limits.ends]
            sequence = tokens[: ends[0] + 1] if ends else tokens
            pairs = itertools.pairwise((0, *sequence))
            every[sequence] = math.prod(steps[last][token] for last, token in pairs)
        assert math.isclose(sum(every.values()), 1)
        wanted = {each: share * len(draws) for each, share in every.items() if share}
        counts = Counter(draws)
        assert set(counts) <= set(wanted)

        rare = {each for each, number in wanted.items() if number < 5}
        cells = [(counts[each], wanted[each]) for each in wanted if each not in rare]
        if rare:
            cells.append((sum(counts[each] for each in rare), sum(wanted[each] for each in rare)))
        assert len(cells) > 3
        statistic = sum((count - number) ** 2 / number for count, number in cells)
        assert statistic < chi_square_limit(len(cells) - 1)

    return check


@pytest.fixture
def table():
    return Table(logits())


@pytest.fixture
def deep():
    return Deep(logits())


@pytest.fixture
def counting():
    """A table in which i is almost surely followed by i + 1, modulo 5."""
    return Table(20 * torch.eye(5).roll(1, 1))


@pytest.fixture
def even():
    """A table in which all tokens are equally probable."""
    return Table(torch.zeros(5, 5))


@pytest.fixture
def other():
    """Another model than `deep`, with the same tokens."""
    return Secondary(Deep(logits(seed=4)))


@pytest.fixture
def supplied(other):
    """What constraints are given: digits are their own tokens, and each run is `other`."""
    return {
        "vocab_size": VOCAB,
        "encode": digits,
        "contents": spelled,
        "looks_back": True,
        "load": {"other": other, None: other}.get,
    }


@pytest.fixture(params=decoders.names())
def decoder(request, small):
    return build(small(decoders, request.param))


@pytest.fixture(params=constraints.names())
def constraint(request, small, supplied):
    if not installed([request.param]):
        pytest.skip("outlines-core, of the extra structured, is not installed")
    return constraints.build(small(constraints, request.param), **supplied)
