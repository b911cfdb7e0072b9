"""What a trace says, as typed values; whatever is missing or foreign in it is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from seqgen.reports.fields import Record, as_number, finite, items, record, records, string

NOBODY = -1


class Candidate(NamedTuple):
    """A token that was considered, with its log-probability where that is known."""

    token: str
    log_prob: float | None


class Node(NamedTuple):
    """A path that the search went on with, by its last token.

    `parent` is the place of the path before, NOBODY for the empty one, which is node 0; `depth` is
    how many tokens it has, `total` the sum of their log-probabilities.
    """

    parent: int
    token: str
    log_prob: float | None
    considered: tuple[Candidate, ...]
    depth: int
    total: float | None


class Output(NamedTuple):
    """An output; `node` is the path behind which the token `last` was chosen, NOBODY where there is
    no token or the trace does not know."""

    text: str
    log_prob: float | None
    rank: float | None
    finished: bool | None
    complete: bool
    satisfied: bool
    node: int
    last: Candidate


class Step(NamedTuple):
    """A token of an output, `total`, the sum of the log-probabilities up to it, and what was
    `considered` in its place."""

    token: Candidate
    total: float | None
    considered: tuple[Candidate, ...]


@dataclass(frozen=True)
class Told:
    """A trace: of `left_out` paths it says no more. `continues` is whether the outputs go on where
    the input ends."""

    input: str
    continues: bool
    decoder: Record
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    left_out: int

    def way(self, node: int) -> list[int]:
        """The nodes that lead to `node`, the empty path first."""
        found = []
        while node != NOBODY:
            found.append(node)
            node = self.nodes[node].parent
        return found[::-1]

    def steps(self, output: Output) -> list[Step]:
        """The tokens of an output, as far as the trace knows them."""
        if output.node == NOBODY:
            return []
        way = [self.nodes[node] for node in self.way(output.node)]
        chosen = [(Candidate(each.token, each.log_prob), each.total) for each in way[1:]]
        chosen.append((output.last, plus(way[-1].total, output.last.log_prob)))
        return [
            Step(token, total, before.considered)
            for before, (token, total) in zip(way, chosen, strict=True)
        ]

    def children(self) -> list[list[int]]:
        """For each node those that go on from it."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for place, node in enumerate(self.nodes):
            if node.parent != NOBODY:
                found[node.parent].append(place)
        return found

    def given_up(self) -> list[int]:
        """The nodes behind which nothing was kept, in the order of the steps."""
        ends = {each.node for each in self.outputs}
        behind = enumerate(self.children())
        return [place for place, children in behind if not children and place not in ends]


def told(trace: Record) -> Told:
    """The trace as typed values."""
    nodes: list[Node] = []
    for found in records(items(trace, "nodes")):
        nodes.append(_node(found, nodes))
    left_out = finite(trace, "left_out") or 0
    return Told(
        input=string(trace, "input"),
        continues=trace.get("continues") is True,
        decoder=record(trace, "decoder"),
        nodes=tuple(nodes),
        outputs=tuple(_output(each, len(nodes)) for each in records(items(trace, "outputs"))),
        left_out=max(int(left_out), 0),
    )


def _node(found: Record, before: list[Node]) -> Node:
    parent = _place(found.get("parent"), len(before))
    if before and parent == NOBODY:  # a second beginning, or a parent that comes later
        parent = 0
    token, log_prob = string(found, "token"), finite(found, "log_prob")
    considered = tuple(
        Candidate(pair[0], as_number(pair[1]))
        for pair in items(found, "considered")
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
    )
    if parent == NOBODY:
        return Node(NOBODY, token, 0.0, considered, 0, 0.0)
    here = before[parent]
    return Node(parent, token, log_prob, considered, here.depth + 1, plus(here.total, log_prob))


def _output(found: Record, nodes: int) -> Output:
    finished = found.get("finished")
    return Output(
        text=string(found, "text"),
        log_prob=finite(found, "log_prob"),
        rank=finite(found, "rank"),
        finished=finished if isinstance(finished, bool) else None,
        complete=found.get("complete") is not False,
        satisfied=found.get("satisfied") is not False,
        node=_place(found.get("node"), nodes),
        last=Candidate(string(found, "last"), finite(found, "last_log_prob")),
    )


def _place(value: object, most: int) -> int:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most
    return value if known and isinstance(value, int) else NOBODY


def plus(total: float | None, log_prob: float | None) -> float | None:
    """The sum, None where one of them is not known."""
    return None if total is None or log_prob is None else total + log_prob
