"""A trace: the cells of its tree and where they stand, its outputs token by token, its page."""

import copy
import random

import pytest

from seqgen.reports import decoder_label, trace_html, trace_page, traces
from seqgen.reports.traces import ROOT_PARENT, SLACK, Trace, rows_of

HOSTILE = "</div><script>alert(1)</script>\"' onmouseover=x \u202e\x1b[31m\x00&lt;"


def node(parent, token, log_prob, considered=()):
    considered = [list(each) for each in considered]
    return {"parent": parent, "token": token, "log_prob": log_prob, "considered": considered}


@pytest.fixture
def branching():
    """A trace by hand: a beam of two that has kept a and c, then b and d, and found a b."""
    first = [("a", -0.5), ("c", -1.5), ("e", -2.0), ("f", -9.0)]
    output = {"text": "ab", "log_prob": -0.875, "finished": True, "node": 3}
    return {
        "input": "ab",
        "continues": False,
        "decoder": {"name": "beam", "beam_size": 2, "constraints": []},
        "start": "<s>",
        "nodes": [
            node(-1, "<s>", 0.0, first),
            node(0, "a", -0.5, [("b", -0.25), ("x", -2.0)]),
            node(0, "c", -1.5, [("d", -0.25)]),
            node(1, "b", -0.25, [("</s>", -0.125), ("d", -2.0)]),
            node(2, "d", -0.25, [("</s>", -1.0), ("g", -12.0)]),
        ],
        "outputs": [{**output, "last": "</s>", "last_log_prob": -0.125}],
    }


@pytest.fixture
def one_path(branching):
    """The same without the path that was given up."""
    found = copy.deepcopy(branching)
    found["nodes"] = [found["nodes"][place] for place in (0, 1, 3)]
    found["nodes"][2]["parent"] = 1
    found["outputs"][0]["node"] = 2
    return found


def path_of(log_probs, **output):
    """A trace of one path with these log-probabilities, and its output."""
    nodes = [node(place - 1, "x", each) for place, each in enumerate((0.0, *log_probs[:-1]))]
    found = {"text": "x" * len(log_probs), "log_prob": None, "finished": False}
    found |= {"node": len(nodes) - 1, "last": "x", "last_log_prob": log_probs[-1], **output}
    return {"input": "in", "continues": False, "nodes": nodes, "outputs": [found], "decoder": {}}


def names(cells, kind):
    return [cell.node.token.token for cell in cells if cell.kind == kind]


def having(read, name):
    """The attributes of the elements of a class."""
    return [each for _, each in read.tags if name in (each.get("class") or "").split()]


def test_what_a_trace_says(branching):
    trace = Trace(branching)
    assert [node.depth for node in trace.nodes] == [0, 1, 1, 2, 2]
    assert [node.total for node in trace.nodes] == pytest.approx([0, -0.5, -1.5, -0.75, -1.75])
    assert trace.path(3) == [0, 1, 3]
    assert trace.path(ROOT_PARENT) == []
    assert trace.given_up == [4]
    steps = trace.steps(trace.outputs[0])
    assert [step.token for step in steps] == [("a", -0.5), ("b", -0.25), ("</s>", -0.125)]
    assert [step.total for step in steps] == pytest.approx([-0.5, -0.75, -0.875])
    assert [step.considered[0].token for step in steps] == ["a", "b", "</s>"]
    assert [step.text for step in steps] == ["a", "b", ""]


def test_an_unknown_log_probability_makes_the_rest_of_its_path_unknown(branching):
    branching["nodes"][1]["log_prob"] = None
    trace = Trace(branching)
    assert [node.total for node in trace.nodes] == [0.0, None, -1.5, None, -1.75]
    assert [step.total for step in trace.steps(trace.outputs[0])] == [None, None, None]
    assert 'kept won t0" style="grid-area:2/3' in trace_html(branching)
    assert "<small>\u2013 <em>\u2013</em></small>" in trace_html(branching)


def test_the_cells_of_a_tree(branching):
    cells = Trace(branching).cells
    assert names(cells, "kept") == ["<s>", "a", "c", "b", "d"]
    assert names(cells, "ended") == ["</s>"]
    # After a: x at -2.5 in all; after the start: e at -2, while f is too improbable.
    assert names(cells, "dropped") == ["e", "x", "d", "</s>"]
    assert [cell.node.depth for cell in cells] == [0, 1, 1, 2, 2, 3, 1, 2, 3, 3]
    assert [cell.node.total for cell in cells[5:]] == pytest.approx(
        [-0.875, -2, -2.5, -2.75, -2.75]
    )
    assert [cell.best for cell in cells if cell.best == 1] == [1] * 4
    assert cells[1].kept == {"b"}
    # In each column: what leads to the output first, what was dropped last.
    assert [cell.row for cell in cells] == [0, 0, 1, 0, 2, 0, 2, 1, 1, 2]
    assert len({(cell.node.depth, cell.row) for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("most", "kept"), [(5, ["<s>", "a", "b", "late", "late"]), (1, ["<s>", "a", "b"])]
)
def test_of_many_paths_those_to_outputs_and_the_last_are_drawn(branching, monkeypatch, most, kept):
    branching["nodes"] += [node(0, "late", -3.0)] * 4  # given up at the first step
    monkeypatch.setattr(traces, "MOST_NODES", most)
    assert names(Trace(branching).cells, "kept") == kept
    assert f"Not drawn: {9 - len(kept)} paths that the search followed." in trace_html(branching)


def test_of_a_long_path_the_first_steps_are_drawn(branching, monkeypatch):
    monkeypatch.setattr(traces, "MOST_STEPS", 2)
    cells = Trace(branching).cells
    assert max(cell.node.depth for cell in cells) == 2
    assert names(cells, "ended") == []
    assert [cell.node.token.token for cell in cells if cell.best == 1] == ["<s>", "a", "b"]
    assert "Not drawn: what comes after step 2." in trace_html(branching)
    branching["left_out"] = 3000
    assert "Not drawn: 3,000 paths that the search followed and what" in trace_html(branching)


def test_a_step_shows_the_best_tokens_it_dropped():
    considered = [(str(place), -1.0 - place) for place in range(6)]
    nodes = [node(-1, "<s>", 0, considered), node(0, "1", -2)]
    trace = Trace({"input": "", "nodes": nodes, "outputs": []})
    assert names(trace.cells, "dropped") == ["0", "2", "3"]


def test_outputs_of_the_same_tokens_share_a_cell(branching):
    branching["outputs"] *= 2
    [cell] = [cell for cell in Trace(branching).cells if cell.kind == "ended"]
    assert cell.outputs == (1, 2)
    assert 'title="output 1, 2"' in trace_html(branching)


def test_a_search_that_gave_up_nothing_is_its_tokens(one_path, well_made):
    read = well_made(trace_html(one_path))
    assert not having(read, "tree")
    assert [each["class"] for each in having(read, "token")] == ["token t0"] * 3
    assert all(each["tabindex"] == "0" for each in having(read, "token"))
    assert "considered<u>a 60.7 %</u>" in trace_html(one_path).replace("</small>", "")
    assert "<i>c 22.3 %</i>" in trace_html(one_path)
    one_path["outputs"] *= 2
    read = well_made(trace_html(one_path))
    assert not having(read, "tree")
    assert len(having(read, "output")) == 2


def test_tints_follow_the_probability(well_made):
    html = trace_html(path_of([-0.1, -1.2, -2.5, -3.5, -6.0, None]))
    tints = [each["class"] for each in having(well_made(html), "token")]
    assert tints == [f"token t{tint}" for tint in (0, 1, 2, 3, 4, 0)]
    assert "6 tokens; no end token" in html


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"complete": False}, "the search gave up, so there may be a better output"),
        ({"satisfied": False}, "it does not satisfy all constraints"),
        ({"rank": -0.25}, "ranked by \u22120.25"),
        ({"text": "\n", "last": "\n"}, '<span class="code">\u21b5</span>\n'),
        # A text that is not made of its tokens, for <unk> was replaced, stands before them.
        ({"text": "Paris"}, "Paris\n"),
        ({"text": "", "node": ROOT_PARENT}, "(empty)"),
    ],
)
def test_what_is_special_about_an_output(changed, said):
    assert said in trace_html(path_of([-0.1], **changed))
    assert said not in trace_html(path_of([-0.1]))


def test_outputs_that_continue_their_input_show_its_end(branching):
    branching |= {"continues": True, "input": "to be"}
    assert '<b class="prompt">to be</b>' in trace_html(branching)
    branching["input"] = "x" * 1000
    assert f'<b class="prompt">\u2026{"x" * 300}</b>' in trace_html(branching)
    branching["continues"] = False
    assert "prompt" not in trace_html(branching)


def test_a_page_has_room_for_so_many_outputs_and_tokens(branching, well_made):
    branching["outputs"] *= 22
    html = trace_html(branching)
    assert len(having(well_made(html), "output")) == 20
    assert "2 more outputs." in html
    html = trace_html(path_of([-0.1] * 402))
    assert len(having(well_made(html), "token")) == 400
    assert html.count('title="x 90.5 %"') == 2


@pytest.mark.parametrize("place", ["token", "considered", "last", "text", "input"])
def test_no_text_acts_on_the_page(branching, one_path, place, well_made):
    for found in (branching, one_path):
        trace = copy.deepcopy(found) | {"continues": True}
        target, key = {
            "token": (trace["nodes"][-1], "token"),
            "considered": (trace["nodes"][1]["considered"][1], 0),
            "input": (trace, "input"),
        }.get(place, (trace["outputs"][0], place))
        target[key] = HOSTILE
        read = well_made(trace_html(trace))
        assert "script" not in {tag for tag, _ in read.tags}
        assert not any("onmouseover" in each for _, each in read.tags)
        assert not {"\u202e", "\x1b", "\x00"} & set(trace_html(trace))


def test_the_page(branching, golden, well_made):
    """It has the tree of a search with its output below, and a search that is its tokens."""
    other = path_of([-0.1, -2.0], text="a\n", last="\n") | {
        "input": "a longer input than a title <has> room for"
    }
    page = trace_page("runs & more", [branching, other], 5)
    golden("pages/traces.html", page)
    assert "http" not in page
    assert all(link.removeprefix("#") in well_made(page).ids for link in well_made(page).links)
    empty = trace_page("run", [], 0)
    assert "<section" not in empty
    assert "no room" not in empty


def test_the_page_in_a_browser(branching, open_file, tmp_path):
    for place in range(4):  # a tree wider than a phone
        branching["nodes"].append(node(3 if not place else 4 + place, "w" * 20, -1.0))
    path = tmp_path / "traces.html"
    path.write_text(trace_page("run", [branching], 1), encoding="utf-8")
    page = open_file(path, width=400)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".tree").evaluate("box => box.scrollWidth > box.clientWidth")
    cell = page.locator(".cell.kept").first
    assert not cell.locator(".pop").is_visible()
    cell.focus()
    assert cell.locator(".pop").is_visible()
    boxes = [page.locator(".cell").nth(place).bounding_box() for place in range(3)]
    assert boxes[1]["x"] == boxes[2]["x"] > boxes[0]["x"] + boxes[0]["width"]  # a column a step
    assert boxes[1]["y"] < boxes[2]["y"]


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ({"name": "beam", "beam_size": 5, "constraints": [], "x": None}, "beam beam_size=5"),
        ({"name": "a", "sampler": {"name": "top_k", "k": 3, "c": {}}}, "a sampler=(top_k k=3)"),
    ],
)
def test_a_decoder_on_one_line(decoder, said):
    assert decoder_label(decoder) == said


@pytest.mark.parametrize(
    ("children", "rows"),
    [
        # The columns, from top to bottom: 0; 1 2 3; 4 5 6 (of 1, 1 and 3); 7 (of 5).
        ([[1, 2, 3], [4, 5], [], [6], [], [7], [], []], [0, 0, 1, 2, 0, 1, 2, 1]),
        # A line goes straight on over rows that have ended ...
        ([[1, 2, 3], [], [], [4], [5], []], [0, 0, 1, 2, 2, 2]),
        # ... but not over more than the slack.
        (
            [[*range(1, SLACK + 3)], *[[] for _ in range(SLACK + 1)], [SLACK + 3], []],
            [0, *range(SLACK + 2), 0],
        ),
        ([], []),
        ([[]], [0]),
        ([[place + 1] for place in range(5000)] + [[]], [0] * 5001),  # no deep recursion
    ],
)
def test_the_rows_of_a_tree(children, rows):
    assert rows_of(children) == rows


@pytest.mark.parametrize("seed", range(20))
def test_no_lines_cross_and_no_place_is_taken_twice(seed):
    draw = random.Random(seed)
    children, depths = [[]], [0]
    for place in range(1, 80):
        parent = draw.randrange(max(place - 12, 0), place)
        children[parent].append(place)
        children.append([])
        depths.append(depths[parent] + 1)
    rows = rows_of(children)
    assert len({*zip(depths, rows, strict=True)}) == len(rows)
    lines = [
        (depths[parent], rows[parent], rows[child])
        for parent, behind in enumerate(children)
        for child in behind
    ]
    for depth, left, right in lines:
        for other, before, after in lines:
            if depth == other and left < before:
                assert right < after
