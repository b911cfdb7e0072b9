"""Traces: the tree of a search, and its outputs token by token, ready to be drawn by a template."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """A path that the search continued, by its last token.

    `depth` is its number of tokens, `total` the sum of their log-probabilities, None where one of
    them is unknown. The empty path is node 0.
    """

    parent: int
    token: Candidate
    considered: tuple[Candidate, ...]
    depth: int
    total: float | None


class Step(NamedTuple):
    """A token of an output, the log-probability of the path up to it, what was `considered` in its
    place, and the stretch of the output's `text` that it stands for."""

    token: Candidate
    total: float | None
    considered: tuple[Candidate, ...]
    text: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the tree: a path that was `kept`, the last token of outputs (`ended`), or a token
    that was `dropped`.

    `parent` is the cell before it, `column` the step, `outputs` the numbers (from 1) of the outputs
    that end here, `best` that of the first output it leads to, infinite if it leads to none. `row`
    and `parent_row` count from 0.
    """

    kind: str
    parent: int
    column: int
    token: Candidate
    total: float | None
    considered: tuple[Candidate, ...] = ()
    kept: frozenset[str] = frozenset()
    outputs: tuple[int, ...] = ()
    best: float = math.inf
    row: int = 0
    parent_row: int = 0


class Trace:
    """A trace as `seqgen generate --trace` writes it, with what is computed from it for a page."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.input: str = record["input"]
        self.outputs: Sequence[Mapping[str, Any]] = record["outputs"]
        nodes: list[Node] = []
        for found in record["nodes"]:
            parent, token = found["parent"], Candidate(found["token"], found["log_prob"])
            considered = tuple(Candidate(*pair) for pair in found["considered"])
            if parent == ROOT_PARENT:
                nodes.append(Node(parent, token, considered, 0, 0.0))
            else:
                total = _plus(nodes[parent].total, token.log_prob)
                nodes.append(Node(parent, token, considered, nodes[parent].depth + 1, total))
        self.nodes = tuple(nodes)

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
    def cells(self) -> list[Cell]:
        """The cells of the tree, the empty path first and each parent before its children; none
        where the search gave no path up, and so is no tree."""
        return _placed(_cells(self)) if self.given_up else []

    def steps(self, output: Mapping[str, Any]) -> list[Step]:
        """The tokens of an output; their texts are empty where it is not made of them alone."""
        if output["node"] == ROOT_PARENT:
            return []
        path = [self.nodes[node] for node in self.path(output["node"])]
        last = Candidate(output["last"], output["last_log_prob"])
        chosen = [*path[1:], Node(0, last, (), 0, _plus(path[-1].total, last.log_prob))]
        steps = [
            Step(after.token, after.total, before.considered)
            for before, after in zip(path, chosen, strict=True)
        ]
        stretches = align(output["text"], [each.token.token for each in steps])
        if stretches is None:
            return steps
        return [step._replace(text=text) for step, text in zip(steps, stretches, strict=True)]


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
        following: list[int] = []
        last = -1  # the last row that is taken in the next column
        for node in level:
            for place, child in enumerate(children[node]):
                straight = place == 0 and last + 1 < rows[node] <= last + 1 + SLACK
                rows[child] = last = rows[node] if straight else last + 1
                following.append(child)
        level = following
    return rows


def _placed(cells: list[Cell]) -> list[Cell]:
    """The cells with their rows."""
    children: list[list[int]] = [[] for _ in cells]
    for place, each in enumerate(cells):
        if each.column:
            children[each.parent].append(place)
    for found in children:
        found.sort(key=lambda place: _rank(cells[place]))
    rows = rows_of(children)
    return [
        replace(each, row=row, parent_row=rows[each.parent])
        for each, row in zip(cells, rows, strict=True)
    ]


def _cells(trace: Trace) -> list[Cell]:
    nodes = _drawn_nodes(trace)
    places = {node: place for place, node in enumerate(nodes)}
    kept_after: defaultdict[int, set[str]] = defaultdict(set)
    for node in trace.nodes:
        kept_after[node.parent].add(node.token.token)
    first_output: dict[int, int] = {}
    endings: defaultdict[tuple[int, Candidate], list[int]] = defaultdict(list)
    for number, output in enumerate(trace.outputs, 1):
        for each in trace.path(output["node"]):
            first_output.setdefault(each, number)
        if output["node"] in places:
            kept_after[output["node"]].add(output["last"])
            last = Candidate(output["last"], output["last_log_prob"])
            endings[output["node"], last].append(number)
    cells = []
    for each in nodes:
        node = trace.nodes[each]
        parent, kept = places.get(node.parent, 0), frozenset(kept_after[each])
        best = first_output.get(each, math.inf)
        about = (node.depth, node.token, node.total, node.considered, kept)
        cells.append(Cell("kept", parent, *about, best=best))
    for (each, last), numbers in endings.items():  # outputs of the same tokens share a cell
        if trace.nodes[each].depth < MOST_STEPS:
            cell = _after(trace, each, places[each], last)
            cells.append(replace(cell, kind="ended", outputs=tuple(numbers), best=numbers[0]))
    return [*cells, *_dropped(trace, places, kept_after)]


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


def _dropped(
    trace: Trace, places: Mapping[int, int], kept_after: Mapping[int, set[str]]
) -> Iterator[Cell]:
    """The best tokens of each step that were not kept."""
    steps: defaultdict[int, list[Cell]] = defaultdict(list)
    for node, place in places.items():
        if trace.nodes[node].depth < MOST_STEPS:
            for each in trace.nodes[node].considered:
                likely = each.log_prob is not None and each.log_prob >= math.log(FAINT)
                if likely and each.token not in kept_after.get(node, ()):
                    cell = _after(trace, node, place, each)
                    steps[cell.column].append(cell)
    for cells in steps.values():
        yield from sorted(cells, key=lambda cell: _cost(cell.total))[:DROPPED]


def _after(trace: Trace, node: int, place: int, token: Candidate) -> Cell:
    """A token after a node whose cell is at `place`."""
    before = trace.nodes[node]
    return Cell("dropped", place, before.depth + 1, token, _plus(before.total, token.log_prob))


def _rank(cell: Cell) -> tuple[float, bool, float]:
    """What leads to outputs first, what was dropped last, the more probable before others."""
    return cell.best, cell.kind == "dropped", _cost(cell.total)


def _cost(total: float | None) -> float:
    return math.inf if total is None else -total


def _plus(total: float | None, log_prob: float | None) -> float | None:
    """The sum, None where one of them is unknown."""
    return None if total is None or log_prob is None else total + log_prob
