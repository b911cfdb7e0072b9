"""What explains an output: attention to its source, the model's scores, and the search's trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from seqgen.decoders import ROOT_PARENT, Decoder, Forced, Limits, SearchTrace, Tracing, watched
from seqgen.evaluate import DecodingOptions, batches_by_length
from seqgen.generate import Generated, Generator
from seqgen.machine import computing
from seqgen.models import evaluating
from seqgen.tokenizers import EOS, Tokenizer


class Alignment(NamedTuple):
    """The pieces of a source, EOS included where it has one, those of an output, and the `weights`,
    for each piece of the output one for each of the source."""

    source: tuple[str, ...]
    output: tuple[str, ...]
    weights: list[list[float]]


def alignments(generator: Generator, found: Sequence[Generated]) -> list[Alignment]:
    """The attention of each output, teacher-forced once more; nothing for models that have none.

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
        own = row[: len(each.pieces), : len(pieces)].tolist()
        aligned.append(Alignment(tuple(pieces), each.pieces, own))
    return aligned


LogProbs = tuple[float, ...]
Tokens = Sequence[int]


def rescored(
    generator: Generator, texts: Sequence[str], outputs: Sequence[Tokens], batch_size: int
) -> list[LogProbs]:
    """For each text the model's own log-probability of each token of its output.

    Whatever search found it, and without any constraint; a token that the model may not
    generate, such as one outside the vocabulary, has -inf. Outputs of similar length share a batch.
    """
    found: list[LogProbs] = [()] * len(texts)
    for places in batches_by_length([len(each) for each in outputs], batch_size):
        limits = Limits([len(outputs[place]) for place in places])
        forced = Forced({row: outputs[place] for row, place in enumerate(places)})
        with evaluating(generator.model), computing():
            batch = generator.batch([texts[place] for place in places])
            stepper, start = generator.start(batch, limits)
            hypotheses = forced.decode(stepper, start._replace(sequence_ids=None), limits)
        for place, [each] in zip(places, hypotheses, strict=True):
            found[place] = each.log_probs
    return found


CONSIDERED = 10
"""How many of the most probable tokens after a path are recorded."""

MOST_NODES = 2000
"""How many paths of a search are written at most, besides those that lead to an output."""


class Searched(NamedTuple):
    """The outputs for a text, the same as without a trace, and the trace of how they were found."""

    outputs: list[Generated]
    trace: dict[str, Any]


def traces(
    generator: Generator,
    decoder: Decoder,
    spec: Mapping[str, Any],
    texts: Sequence[str],
    options: DecodingOptions,
    sequence_ids: Sequence[int] | None = None,
) -> list[Searched]:
    """What `decoder` finds for each text, in their order, as `evaluate.outputs` has it, and how.

    A trace is plain data: the `input`, whether the outputs go on where it ends (`continues`), the
    `decoder` as `spec` says, what the model read first (`start`), and

    - `nodes`, the paths that the search went on with, in the order of its steps: the place of the
      `parent` (-1 for the empty path, whose token is `start`), the last `token` as display text,
      its `log_prob`, and the most probable tokens `considered` after it, with theirs;
    - `outputs`, those of all samples: `text`, `log_prob`, `finished`, the `node` after which the
      token `last` was chosen (-1 for an output without tokens), `last_log_prob`; `rank` where the
      decoder has one, and `complete` and `satisfied` where they are false;
    - `left_out`, how many nodes are not written, where there are such: of a search of more than
      MOST_NODES the last ones are not, but for those that lead to an output.

    Log-probabilities are what the search saw, after its constraints, to six decimal places.

    Raises DecodeError, or PluginError if a decoder from a plugin breaks its contract, or finds what
    it did not go to step by step.
    """
    ids = range(len(texts)) if sequence_ids is None else sequence_ids
    found: dict[int, Searched] = {}
    for places in batches_by_length([len(text) for text in texts], options.batch_size):
        tracing = Tracing(CONSIDERED)
        some, own = [texts[place] for place in places], [ids[place] for place in places]
        made = generator.generate(
            some, watched(decoder, tracing), options.max_length, options.samples, own
        )
        written = _documents(tracing.traces[0], made, generator.tokenizer)
        for place, outputs, each in zip(places, made, written, strict=True):
            about = {"input": texts[place], "continues": generator.data.continues}
            found[place] = Searched(outputs, {**about, "decoder": dict(spec), **each})
    return [found[place] for place in range(len(texts))]


def _documents(
    trace: SearchTrace, found: Sequence[Sequence[Generated]], tokenizer: Tokenizer
) -> Iterator[dict[str, Any]]:
    """For each source of a batch its part of the trace, with the outputs `found` for it."""
    shown = cache(tokenizer.shown)
    nodes_of: list[list[int]] = [[] for _ in found]
    for number, node in enumerate(trace.nodes):
        nodes_of[node.source].append(number)
    for source, (own, outputs) in enumerate(zip(nodes_of, found, strict=True)):
        ends = trace.ends(source, [each.hypothesis for each in outputs])
        written = _written(trace, own, ends)
        places = {ROOT_PARENT: -1, **{number: place for place, number in enumerate(written)}}
        nodes = [
            {
                "parent": places[node.parent],
                "token": shown(node.token),
                "log_prob": round(node.log_prob, 6),
                "considered": [[shown(token), round(each, 6)] for token, each in node.considered],
            }
            for node in (trace.nodes[number] for number in written)
        ]
        made = [_output(each, places[end]) for each, end in zip(outputs, ends, strict=True)]
        document = {"start": shown(trace.begun[source]), "nodes": nodes, "outputs": made}
        left_out = len(own) - len(written)
        yield document | ({"left_out": left_out} if left_out else {})


def _written(trace: SearchTrace, nodes: list[int], ends: Sequence[int]) -> list[int]:
    """Which of the nodes are written, in their order; with each its parent is."""
    if len(nodes) <= MOST_NODES:
        return nodes
    needed: set[int] = set()
    for end in ends:
        here = end
        while here != ROOT_PARENT and here not in needed:
            needed.add(here)
            here = trace.nodes[here].parent
    others = [number for number in nodes if number not in needed]
    return sorted(needed.union(others[: max(MOST_NODES - len(needed), 0)]))


def _output(output: Generated, node: int) -> dict[str, Any]:
    found = output.hypothesis
    written = {
        "text": output.text,
        "log_prob": round(found.score, 6),
        "finished": found.finished,
        **output.early_end,
        "node": node,
    }
    if found.tokens:
        written |= {"last": output.pieces[-1], "last_log_prob": round(found.log_probs[-1], 6)}
    if found.rank is not None:
        written["rank"] = round(found.rank, 6)
    flags = {"complete": found.complete, "satisfied": found.satisfied}
    return written | {name: value for name, value in flags.items() if not value}
