"""Alignments: how much each token of an output looked at each token of its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch

from seqgen.answers import Wanted, alike
from seqgen.decoders import NOBODY, Decoder, Hypothesis, Limits, Trace, Traced, watched
from seqgen.decoders.sampling import Forced
from seqgen.generate import Generated, Generator
from seqgen.models import evaluating
from seqgen.tokenizers import EOS


class Alignment(NamedTuple):
    """The pieces of a source, EOS included where it has one, those of an output, and the `weights`,
    for each piece of the output one for each of the source."""

    source: tuple[str, ...]
    output: tuple[str, ...]
    weights: list[list[float]]


def alignments(generator: Generator, found: Sequence[Generated]) -> list[Alignment]:
    """Of each output, teacher-forced once more; nothing where the model does not look back.

    It is what the search saw: the weights follow from the source and the tokens before alone.
    """
    texts = [each.prompt for each in found]
    weights = generator.attention(texts, [each.hypothesis.tokens for each in found])
    if weights is None or not weights.any():  # without attention all weights are zero
        return []
    aligned, lengths = [], generator.batch(texts).lengths.tolist()
    for row, each, length in zip(weights, found, lengths, strict=True):
        pieces = [*generator.data.source_pieces(each.prompt, generator.tokenizers)]
        pieces += [generator.tokenizer.shown(EOS)] * (length - len(pieces))
        looked = row[: len(each.pieces), : len(pieces)].tolist()
        aligned.append(Alignment(tuple(pieces), each.pieces, looked))
    return aligned


# Rescoring: how probable given outputs are to a model, whichever search has found them.


LogProbs = tuple[float, ...]
Tokens = Sequence[int]


def rescored(
    generator: Generator, texts: Sequence[str], outputs: Sequence[Tokens], batch_size: int
) -> list[LogProbs]:
    """For each text the model's own log-probability of each token of its output.

    Without any constraint; a token that the model is not let say, such as one that it does not
    know, has -inf. Outputs alike in length share a batch.
    """
    found: list[LogProbs] = [()] * len(texts)
    for places in alike([len(each) for each in outputs], batch_size):
        own = [outputs[place] for place in places]
        scored = _together(generator, [texts[place] for place in places], own)
        for place, log_probs in zip(places, scored, strict=True):
            found[place] = log_probs
    return found


def _together(
    generator: Generator, texts: Sequence[str], outputs: Sequence[Tokens]
) -> list[LogProbs]:
    """As `rescored`, in one batch."""
    with evaluating(generator.model):
        batch = generator.batch(texts)
        limits = Limits([len(each) for each in outputs])
        stepper, start = generator.start(batch, limits)
        numbers = torch.arange(len(texts), device=start.tokens.device)
        forced = Forced(dict(enumerate(outputs)))
        hypotheses = forced.decode(stepper, start._replace(numbers=numbers), limits)
    return [found.log_probs for [found] in hypotheses]


# Traces: how the outputs for texts were found, as plain data that a person or a page reads.


CONSIDERED = 10
"""How many of the most probable tokens behind a path are told."""

MOST_NODES = 2000
"""How many paths of a search are told, but for those that lead to an output, which always are."""


class Searched(NamedTuple):
    """The outputs for a text, the same as without a trace, and the trace of how they were found."""

    outputs: list[Generated]
    trace: dict[str, Any]


def traces(
    generator: Generator,
    decoder: Decoder,
    spec: Mapping[str, Any],
    texts: Sequence[str],
    wanted: Wanted,
    numbers: Sequence[int] | None = None,
) -> list[Searched]:
    """What `decoder` finds for each text, in their order, as `answers.outputs` has it, and how.

    A trace is plain data: the `input`, whether the outputs go on where it ends (`continues`), the
    `decoder` as `spec` says, what the model read first (`start`), and

    - `nodes`, the paths that the search went on with, in the order of its steps: the place of the
      `parent` (-1 for the empty path, whose token is `start`), the last `token` as a person reads
      it, its `log_prob`, and the most probable tokens `considered` behind it, with theirs;
    - `outputs`, those of all samples: `text`, `log_prob`, `finished`, the `node` behind which the
      token `last` was chosen (-1 for an output without tokens), `last_log_prob`; `rank` where the
      decoder has one, and `complete` and `satisfied` where they are false;
    - `left_out`, how many nodes are not told, where there are such: of a search of more than
      MOST_NODES the last ones are not, but for those that lead to an output.

    Log-probabilities are what the search saw, after its constraints, to six decimal places.

    Errors: DecodeError; PluginError where a decoder from outside breaks its contract, or finds what
    it did not go to step by step.
    """
    every = range(len(texts)) if numbers is None else numbers
    found: dict[int, Searched] = {}
    for places in alike([len(text) for text in texts], wanted.batch_size):
        traced = Traced(CONSIDERED)
        some, own = [texts[place] for place in places], [every[place] for place in places]
        watching = watched(decoder, traced)
        made = generator.generate(some, watching, wanted.max_length, wanted.samples, own)
        [trace] = traced.traces
        told = _Telling(generator, trace).all(made)
        for place, outputs, each in zip(places, made, told, strict=True):
            about = {"input": texts[place], "continues": generator.data.continues}
            found[place] = Searched(outputs, {**about, "decoder": dict(spec), **each})
    return [found[place] for place in range(len(texts))]


class _Telling:
    """Tells the trace of a batch source by source, its tokens as a person reads them."""

    def __init__(self, generator: Generator, trace: Trace) -> None:
        self.trace = trace
        self.shown = cache(generator.tokenizer.shown)

    def all(self, found: Sequence[Sequence[Generated]]) -> Iterator[dict[str, Any]]:
        """For each source of the batch its part of the trace, with the outputs `found` for it."""
        own: list[list[int]] = [[] for _ in found]
        for number, node in enumerate(self.trace.nodes):
            own[node.source].append(number)
        for source, (numbers, outputs) in enumerate(zip(own, found, strict=True)):
            ends = self.trace.ends(source, [each.hypothesis for each in outputs])
            written = self._written(numbers, ends)
            places = {NOBODY: -1, **{number: place for place, number in enumerate(written)}}
            pairs = zip(outputs, ends, strict=True)
            yield {
                "start": self.shown(self.trace.begun[source]),
                "nodes": [self._node(number, places) for number in written],
                "outputs": [self._output(each, places[end]) for each, end in pairs],
                **_unless_zero(left_out=len(numbers) - len(written)),
            }

    def _written(self, numbers: list[int], ends: Sequence[int]) -> list[int]:
        """Which of the nodes are told, in their order; with each its parent is."""
        if len(numbers) <= MOST_NODES:
            return numbers
        needed: set[int] = set()
        for end in ends:
            here = end
            while here != NOBODY and here not in needed:
                needed.add(here)
                here = self.trace.nodes[here].parent
        others = [number for number in numbers if number not in needed]
        return sorted(needed.union(others[: max(MOST_NODES - len(needed), 0)]))

    def _node(self, number: int, places: Mapping[int, int]) -> dict[str, Any]:
        node = self.trace.nodes[number]
        return {
            "parent": places[node.parent],
            "token": self.shown(node.token),
            "log_prob": _rounded(node.log_prob),
            "considered": [[self.shown(token), _rounded(each)] for token, each in node.considered],
        }

    def _output(self, output: Generated, node: int) -> dict[str, Any]:
        found = output.hypothesis
        told = {
            "text": output.text,
            "log_prob": _rounded(found.score),
            "finished": found.finished,
            "node": node,
        }
        if found.tokens:
            told |= {"last": output.pieces[-1], "last_log_prob": _rounded(found.log_probs[-1])}
        return told | _standing(found)


def _standing(found: Hypothesis) -> dict[str, Any]:
    rank = {} if found.rank is None else {"rank": _rounded(found.rank)}
    flags = {"complete": found.complete, "satisfied": found.satisfied}
    return rank | {name: value for name, value in flags.items() if not value}


def _unless_zero(**counts: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _rounded(value: float) -> float:
    return round(value, 6)
