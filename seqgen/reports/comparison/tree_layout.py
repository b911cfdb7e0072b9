"""Room for a tree in columns: which row each of its nodes stands in, so that no lines cross."""

from __future__ import annotations

from collections.abc import Sequence

SLACK = 6
"""How many rows a line leaves empty above it to stay straight."""


def rows_of(children: Sequence[Sequence[int]]) -> list[int]:
    """The row of each node, from 0; node 0 is the root.

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
                beside = place == 0 and last + 1 < rows[node] <= last + 1 + SLACK
                rows[child] = last = rows[node] if beside else last + 1
                following.append(child)
        level = following
    return rows
