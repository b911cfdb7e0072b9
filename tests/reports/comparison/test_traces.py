"""A trace as HTML: a tree where paths were given up, else tinted tokens."""

import copy
import re
from html.parser import HTMLParser

import pytest

from seqgen.reports.comparison.traces import MOST_OUTPUTS, about_traces, style, trace_html

HOSTILE = "</div><script>alert(1)</script>\"' onmouseover=x \u202e\x1b[31m\x00&lt;"


class Reader(HTMLParser):
    """Text by class, and whether all that was opened was closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.closed = [], [], True
        self.feed(html)
        self.closed &= not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self.closed &= bool(self.open) and self.open.pop() == tag

    def having(self, name):
        return [each for _, each in self.tags if name in (each.get("class") or "").split()]


def test_a_search_that_gave_up_paths_is_a_tree(branching):
    html = trace_html(branching)
    read = Reader(html)
    assert read.closed
    assert len(read.having("tree")) == 1
    assert len(read.having("kept")) == 2 * 4  # each with the line to it
    assert len(read.having("dropped")) == 2 * 4
    won = [each for each in read.having("won") if "cell" in each["class"]]
    assert [each["class"].split()[1] for each in won] == ["kept", "kept", "ended"]
    assert "77.9 % <em>\u22120.75</em>" in html  # b, and the path a b
    assert "60.7 % <em>\u22120.50</em>" in html
    assert "3 tokens; log-probability \u22120.88 (41.7 %); ended by the model" in html
    assert not read.having("token")


def test_cells_stand_in_the_column_of_their_step(branching):
    read = Reader(trace_html(branching))
    places = [each["style"] for each in read.having("cell")]
    assert places[:5] == [
        "grid-area: 2 / 1", "grid-area: 2 / 3", "grid-area: 3 / 3",
        "grid-area: 2 / 5", "grid-area: 4 / 5",
    ]  # fmt: skip
    assert len(set(places)) == len(places)


def test_one_path_is_tinted_tokens_with_what_was_considered(branching):
    branching["nodes"] = [branching["nodes"][place] for place in (0, 1, 3)]
    branching["nodes"][2]["parent"] = 1
    branching["outputs"][0]["node"] = 2
    html = trace_html(branching)
    read = Reader(html)
    assert read.closed
    assert not read.having("tree")
    assert [each["class"] for each in read.having("token")] == ["token t0"] * 3
    assert all(each["tabindex"] == "0" for each in read.having("token"))
    assert "<small>considered</small><span class=taken><code>a</code> 60.7 %</span>" in html
    assert "<span><code>c</code> 22.3 %</span>" in html
    assert '<span class="mark">&lt;/s&gt;</span>' in html


def test_tints_follow_the_probability(branching):
    nodes = [branching["nodes"][0]]
    for place, log_prob in enumerate((-0.1, -1.2, -2.5, -3.5, -6.0)):
        nodes.append({"parent": place, "token": "x", "log_prob": log_prob, "considered": []})
    output = {"text": "xxxxxx", "node": 5, "last": "x", "last_log_prob": None, "finished": False}
    html = trace_html({"nodes": nodes, "outputs": [output]})
    tints = [each["class"] for each in Reader(html).having("token")]
    assert tints == [f"token t{n}" for n in (0, 1, 2, 3, 4, 0)]
    assert "6 tokens; no end token" in html


def test_samples_that_give_up_nothing_are_no_tree(branching):
    branching["outputs"].append({**branching["outputs"][0], "text": "cd", "node": 4})
    read = Reader(trace_html(branching))
    assert not read.having("tree")
    assert len(read.having("output")) == 2


def test_what_goes_on_shows_its_prompt(branching):
    branching |= {"continues": True, "input": "to be"}
    assert '<b class="prompt">to be</b>' in trace_html(branching)
    branching["input"] = "x" * 1000
    assert f'<b class="prompt">\u2026{"x" * 300}</b>' in trace_html(branching)
    branching["continues"] = False
    assert "prompt" not in trace_html(branching)


def test_a_line_end_can_be_pointed_at():
    nodes = [{"parent": -1, "token": "a", "log_prob": 0, "considered": [["\n", -0.1]]}]
    output = {"text": "\n", "node": 0, "last": "\n", "last_log_prob": -0.1}
    html = trace_html({"nodes": nodes, "outputs": [output]})
    assert '<span class="code">\u21b5</span>\n' in html


def test_a_text_that_is_not_made_of_its_tokens_is_shown_beside_them(branching):
    branching["outputs"][0]["text"] = "Paris b"  # <unk> was replaced
    shown = re.sub("<[^>]*>", "", trace_html(branching).split('class="output"')[1])
    assert shown.split("3 tokens")[0].split() == [">Paris", "b", "a", "b", "&lt;/s&gt;"]


def test_an_output_without_tokens_and_a_trace_without_anything():
    assert "(empty)" in trace_html({"outputs": [{"text": "", "node": -1, "finished": False}]})
    assert trace_html({}) == '<div class="trace"></div>'


def test_more_outputs_than_a_page_has_room_for(branching):
    branching["outputs"] *= MOST_OUTPUTS + 2
    html = trace_html(branching)
    assert len(Reader(html).having("output")) == MOST_OUTPUTS
    assert "2 more outputs" in html


def test_what_is_not_told_and_what_is_not_sure_is_said(branching):
    branching["left_out"] = 3000
    branching["outputs"][0] |= {"complete": False, "satisfied": False, "rank": -0.25}
    html = trace_html(branching)
    assert "Not drawn: 3,000 paths that the search has followed." in html
    assert "ranked by \u22120.25" in html
    assert "the search gave up" in html
    assert "does not satisfy all constraints" in html


@pytest.mark.parametrize("place", ["token", "considered", "last", "text", "input"])
def test_no_text_acts_on_the_page(branching, place):
    def spoilt(trace):
        trace = copy.deepcopy(trace) | {"continues": True}
        node, output = trace["nodes"][3], trace["outputs"][0]
        if place == "token":
            node["token"] = HOSTILE
        elif place == "considered":
            trace["nodes"][1]["considered"][1][0] = HOSTILE
        elif place == "input":
            trace["input"] = HOSTILE
        else:
            output[place] = HOSTILE
        return trace

    one_path = copy.deepcopy(branching)
    one_path["outputs"].append({**one_path["outputs"][0], "node": 4})
    for trace in (branching, one_path):
        html, plain = trace_html(spoilt(trace)), trace_html(trace | {"continues": True})
        read = Reader(html)
        assert read.closed
        assert "script" not in {tag for tag, _ in read.tags}
        assert not {"onmouseover"} & {key for _, each in read.tags for key in each}
        assert not {"\u202e", "\x1b", "\x00"} & set(html)
        assert "\\x1b" in html
        assert "\\x1b" not in plain


def test_the_page_is_told_how_to_read_them():
    read = Reader(about_traces())
    assert read.closed
    assert [len(read.having(f"t{n}")) for n in range(5)] == [1] * 5
    for name in ("tree", "cell", "pop", "token", "branches"):
        assert f".{name}" in style()
    assert not re.findall("#[0-9a-f]{3,6}", style())  # colours are those of all reports
