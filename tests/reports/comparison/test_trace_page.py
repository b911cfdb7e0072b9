"""The page of the traces of a run."""

import copy

from seqgen.reports.comparison.trace_page import trace_page


def test_each_input_has_a_section_and_the_decoder_is_named(branching):
    other = copy.deepcopy(branching) | {"input": "a longer input than a title <has> room for"}
    page = trace_page("runs & more", [branching, other], 5)
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>runs &amp; more</h1>" in page
    assert '<p class="summary">beam beam_size=2</p>' in page
    assert '<section id="trace-1"><h2>ab</h2>' in page
    assert 'dir="auto">a longer input than a title &lt;has&gt; room for</div>' in page
    branching["decoder"]["sampler"] = {"name": "top_k", "k": 3, "constraints": []}
    assert "beam beam_size=2, sampler=(top_k k=3)" in trace_page("run", [branching], 1)
    assert "3 inputs more had no room here." in page
    assert "http" not in page.replace("http-equiv", "")


def test_no_inputs_no_sections():
    page = trace_page("run", [], 0)
    assert "<section" not in page
    assert "no room" not in page
