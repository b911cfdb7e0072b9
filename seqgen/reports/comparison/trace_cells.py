"""The cells of a search's tree: which of its paths and tokens are drawn, and where they belong."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from seqgen.reports.comparison.trace_content import Candidate, Told, plus
from seqgen.reports.generated import FAINT

MOST_NODES = 500
"""How many paths are drawn, but for those to the first output, which always are."""

MOST_STEPS = 100
DROPPED = 3
"""How many of the tokens that a step has dropped are drawn, the best of all its paths."""


@dataclass(frozen=True)
class Drawn:
    """A cell of the tree: a path that was kept, the last token of outputs, or a token dropped.

    `parent` is the cell before; `outputs` are the numbers, from 1, of the outputs that end here;
    `best` is that of the first output that it leads to, infinite where it leads to none.
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


def cells_of(told: Told) -> list[Drawn]:
    """All cells, the empty path first and each parent before what is behind it."""
    nodes = _chosen(told)
    places, behind = {node: place for place, node in enumerate(nodes)}, _behind(told)
    return [
        *_kept(told, places, behind),
        *_ended(told, places),
        *_dropped(told, places, behind),
    ]


def in_order(cells: list[Drawn]) -> list[list[int]]:
    """For each cell those behind it: what leads to outputs first and what was dropped last."""
    found: list[list[int]] = [[] for _ in cells]
    for place, each in enumerate(cells):
        if each.column:
            found[each.parent].append(place)
    return [sorted(behind, key=lambda place: _rank(cells[place])) for behind in found]


def _rank(cell: Drawn) -> tuple[float, bool, float]:
    return cell.best, cell.kind == "dropped", _badness(cell)


def _badness(cell: Drawn) -> float:
    return math.inf if cell.total is None else -cell.total


def _chosen(told: Told) -> list[int]:
    """The nodes to draw, in their order: those to the outputs, then those to the paths that were
    given up last, as far as there is room; with each its parent is."""
    picked: set[int] = set()
    ends = [each.node for each in told.outputs] + told.given_up()[::-1]
    for place, end in enumerate(ends):
        way = [node for node in told.way(end) if told.nodes[node].depth <= MOST_STEPS]
        if place and len(picked.union(way)) > MOST_NODES:
            break
        picked.update(way)
    return sorted(picked)


def _behind(told: Told) -> dict[int, set[str]]:
    """For each node the tokens that were kept behind it."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for node in told.nodes:
        found[node.parent].add(node.token)
    for output in told.outputs:
        found[output.node].add(output.last.token)
    return found


def _kept(told: Told, places: Mapping[int, int], behind: Mapping[int, set[str]]) -> Iterator[Drawn]:
    leads: dict[int, int] = {}
    for number, output in enumerate(told.outputs, 1):
        for each in told.way(output.node):
            leads.setdefault(each, number)
    for each in places:
        node = told.nodes[each]
        yield Drawn(
            kind="kept",
            parent=places.get(node.parent, 0),
            column=node.depth,
            token=Candidate(node.token, node.log_prob),
            total=node.total,
            considered=node.considered,
            kept=frozenset(behind.get(each, ())),
            best=leads.get(each, math.inf),
        )


def _ended(told: Told, places: Mapping[int, int]) -> Iterator[Drawn]:
    """The last tokens of outputs; outputs of the same tokens share a cell."""
    endings: defaultdict[tuple[int, Candidate], list[int]] = defaultdict(list)
    for number, output in enumerate(told.outputs, 1):
        endings[output.node, output.last].append(number)
    for (node, last), numbers in endings.items():
        if node in places and told.nodes[node].depth < MOST_STEPS:
            cell = _after(told, node, places[node], last)
            yield replace(cell, kind="ended", outputs=tuple(numbers), best=numbers[0])


def _dropped(
    told: Told, places: Mapping[int, int], behind: Mapping[int, set[str]]
) -> Iterator[Drawn]:
    """The best tokens that were not kept at each step."""
    steps: defaultdict[int, list[Drawn]] = defaultdict(list)
    for node, place in places.items():
        if told.nodes[node].depth >= MOST_STEPS:
            continue
        for each in told.nodes[node].considered:
            likely = each.log_prob is not None and each.log_prob >= math.log(FAINT)
            if likely and each.token not in behind.get(node, ()):
                cell = _after(told, node, place, each)
                steps[cell.column].append(cell)
    for cells in steps.values():
        yield from sorted(cells, key=_badness)[:DROPPED]


def _after(told: Told, node: int, place: int, token: Candidate) -> Drawn:
    """A token behind a node whose cell is at `place`."""
    before = told.nodes[node]
    return Drawn("dropped", place, before.depth + 1, token, plus(before.total, token.log_prob))
