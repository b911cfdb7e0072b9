"""Traces: the tree of a search, and its outputs token by token, ready to be drawn by a template."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from seqgen.reports.analyses import align
from seqgen.reports.format import render

MOST_TRACES: Final = 100
"""How many traces a page shows."""
MOST_NODES: Final = 500
"""How many paths of a tree are drawn; those that lead to the first output always are."""
MOST_STEPS: Final = 100
DROPPED: Final = 3
"""How many of the tokens that a step has dropped are drawn: the best of all its paths."""
FAINT: Final = 0.001
"""Dropped tokens that are less probable than this are not drawn."""
SLACK: Final = 6
"""How many rows a line leaves empty above it to stay straight."""
ROOT_PARENT: Final = -1


class Candidate(NamedTuple):
    """A token with its log-probability, None where that is unknown."""

    token: str
    log_prob: float | None

    @property
    def probability(self) -> float:
        """1 where it is unknown."""
        return 1.0 if self.log_prob is None else math.exp(min(self.log_prob, 0.0))


class Node(NamedTuple):
    """A path, by its last token; the empty path is node 0.

    `depth` is its number of tokens, `total` the sum of their log-probabilities, None where one of
    them is unknown. `considered` is what could have followed it. In the steps of an output it is
    what could have stood in the token's place, and `text` the stretch that the token stands for.
    """

    parent: int
    token: Candidate
    considered: tuple[Candidate, ...] = ()
    depth: int = 0
    total: float | None = 0.0
    text: str = ""

    def extended(
        self, place: int, token: Candidate, considered: tuple[Candidate, ...] = ()
    ) -> Node:
        """The path with one more token, where this one is the node at `place`."""
        total = None
        if self.total is not None and token.log_prob is not None:
            total = self.total + token.log_prob
        return Node(place, token, considered, self.depth + 1, total)


@dataclass
class TreeCell:
    """A cell of the tree: a path that was `kept`, the last token of outputs (`ended`), or a token
    that was `dropped`. Its column is the depth of its node.

    `parent` is the cell before it, `kept` what the search took of the node's candidates, `outputs`
    the numbers (from 1) of the outputs that end here, `best` that of the first output it leads to,
    infinite if it leads to none. `row` counts from 0.
    """

    kind: str
    parent: int
    node: Node
    kept: frozenset[str] = frozenset()
    outputs: tuple[int, ...] = ()
    best: float = math.inf
    row: int = 0

    @property
    def cost(self) -> float:
        """The less probable, the higher."""
        return math.inf if self.node.total is None else -self.node.total


class Trace:
    """A trace as `seqgen generate --trace` writes it, with what is computed from it for a page."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.input: str = record["input"]
        self.outputs: Sequence[Mapping[str, Any]] = record["outputs"]
        self.nodes: list[Node] = []
        for found in record["nodes"]:
            parent, token = found["parent"], Candidate(found["token"], found["log_prob"])
            considered = tuple(Candidate(*pair) for pair in found["considered"])
            if parent == ROOT_PARENT:
                self.nodes.append(Node(parent, token, considered))
            else:
                self.nodes.append(self.nodes[parent].extended(parent, token, considered))

    def path(self, node: int) -> list[int]:
        """The nodes that lead to `node`, the empty path first."""
        found = []
        while node != ROOT_PARENT:
            found.append(node)
            node = self.nodes[node].parent
        return found[::-1]

    @cached_property
    def given_up(self) -> list[int]:
        """The nodes after which nothing was kept, in the order of the steps."""
        continued = {node.parent for node in self.nodes} | {each["node"] for each in self.outputs}
        return [place for place in range(len(self.nodes)) if place not in continued]

    @cached_property
    def cells(self) -> list[TreeCell]:
        """The cells of the tree, the empty path first and each parent before its children; none
        where the search gave no path up, and so is no tree."""
        if not self.given_up:
            return []
        cells = list(_cells(self))
        children: list[list[int]] = [[] for _ in cells]
        for place, each in enumerate(cells):
            if each.node.depth:
                children[each.parent].append(place)
        for found in children:  # what leads to outputs first, what was dropped last
            found.sort(key=lambda at: (cells[at].best, cells[at].kind == "dropped", cells[at].cost))
        for each, row in zip(cells, rows_of(children), strict=True):
            each.row = row
        return cells

    def steps(self, output: Mapping[str, Any]) -> list[Node]:
        """The tokens of an output; their texts are empty where it is not made of them alone."""
        if output["node"] == ROOT_PARENT:
            return []
        path = [self.nodes[node] for node in self.path(output["node"])]
        last = Candidate(output["last"], output["last_log_prob"])
        after = [*path[1:], path[-1].extended(output["node"], last)]
        stretches = align(output["text"], [each.token.token for each in after])
        return [
            node._replace(considered=before.considered, text=text)
            for before, node, text in zip(path, after, stretches or [""] * len(path), strict=True)
        ]


def trace_page(run: str, traces: Sequence[Mapping[str, Any]], count: int) -> str:
    """The page of `seqgen generate --trace`: the traces of the run called `run`, the first ones of
    `count` that there are."""
    return render(
        "traces.html",
        heading=run,
        traces=[(each["input"], trace_html(each)) for each in traces],
        decoder=decoder_label(traces[0]["decoder"]) if traces else "",
        left_out=count - len(traces),
    )


def trace_html(record: Mapping[str, Any]) -> Markup:
    """What a search considered, kept and dropped, without a heading.

    A search that gave up paths is a tree, with its outputs below; one that did not, however many it
    followed, is its outputs, each token with what was considered in its place. The trace tells
    which it is, whatever the decoder is called.
    """
    return Markup(render("trace.html", found=Trace(record), most_steps=MOST_STEPS).strip())


def decoder_label(spec: Mapping[str, Any]) -> str:
    """A decoder with those of its options that are set, on one line: `beam beam_size=5`."""
    options = [
        f"{name}=({decoder_label(value)})" if isinstance(value, dict) else f"{name}={value}"
        for name, value in spec.items()
        if name != "name" and value not in (None, [], {})
    ]
    return " ".join([str(spec.get("name", "")), *options])


def rows_of(children: Sequence[Sequence[int]]) -> list[int]:
    """The row of each node of a tree in columns, from 0; node 0 is the root.

    A node stands in the column of its depth. In each column the nodes keep the order of their
    parents, and children of one parent their own, so lines do not cross. A first child stands in
    its parent's row if it can and that leaves no more than SLACK rows empty, all others as high as
    they can: so the picture is hardly higher than its fullest column needs.
    """
    rows = [0] * len(children)
    level = [0] if children else []
    while level:
        last = -1  # the last row that is taken in the next column
        for node in level:
            for place, child in enumerate(children[node]):
                straight = place == 0 and last + 1 < rows[node] <= last + 1 + SLACK
                rows[child] = last = rows[node] if straight else last + 1
        level = [child for node in level for child in children[node]]
    return rows


def _cells(trace: Trace) -> Iterator[TreeCell]:
    """The cells, without their rows."""
    drawn = _drawn_nodes(trace)
    places = {node: place for place, node in enumerate(drawn)}
    kept: defaultdict[int, set[str]] = defaultdict(set)
    for each in trace.nodes:
        kept[each.parent].add(each.token.token)
    first_output: dict[int, int] = {}
    endings: defaultdict[tuple[int, Candidate], list[int]] = defaultdict(list)
    for number, output in enumerate(trace.outputs, 1):
        end, last = output["node"], Candidate(output["last"], output["last_log_prob"])
        for place in trace.path(end):
            first_output.setdefault(place, number)
        if end in places:
            kept[end].add(last.token)
            endings[end, last].append(number)
    for place in drawn:
        node, best = trace.nodes[place], first_output.get(place, math.inf)
        yield TreeCell("kept", places.get(node.parent, 0), node, frozenset(kept[place]), best=best)
    for (end, last), numbers in endings.items():  # outputs of the same tokens share a cell
        if trace.nodes[end].depth < MOST_STEPS:
            node = trace.nodes[end].extended(end, last)
            yield TreeCell("ended", places[end], node, outputs=tuple(numbers), best=numbers[0])
    dropped: defaultdict[int, list[TreeCell]] = defaultdict(list)
    for place in drawn:
        node = trace.nodes[place]
        for token in node.considered if node.depth < MOST_STEPS else ():
            likely = token.log_prob is not None and token.log_prob >= math.log(FAINT)
            if likely and token.token not in kept[place]:
                cell = TreeCell("dropped", places[place], node.extended(place, token))
                dropped[cell.node.depth].append(cell)
    for cells in dropped.values():
        yield from sorted(cells, key=lambda cell: cell.cost)[:DROPPED]


def _drawn_nodes(trace: Trace) -> list[int]:
    """The nodes to draw, in their order: those that lead to outputs, then to the paths that were
    given up last, as far as there is room; each with its parents."""
    drawn: set[int] = set()
    ends = [each["node"] for each in trace.outputs] + trace.given_up[::-1]
    for place, end in enumerate(ends):
        path = [node for node in trace.path(end) if trace.nodes[node].depth <= MOST_STEPS]
        if place and len(drawn.union(path)) > MOST_NODES:
            break
        drawn.update(path)
    return sorted(drawn)
