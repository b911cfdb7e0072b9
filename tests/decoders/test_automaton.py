"""The process that makes automata: what it finds, and what bounds it."""

import pytest

from seqgen.decoders import Pattern, automaton
from seqgen.decoders.automaton import automaton_of
from seqgen.tokenizers import ByteTokenizer

pytest.importorskip("outlines_core", reason="outlines-core, of the extra structured, is missing")


def matches(found, text):
    state = found.first
    for byte in text.encode():
        state = found.moves.get(state, {}).get(byte)
    return state in found.final


def test_an_automaton_reads_bytes():
    found = automaton_of("(ab|é)*c", "c", {*"abcé".encode()})
    assert all(matches(found, text) for text in ("c", "abéc", "éabababc"))
    assert not any(matches(found, text) for text in ("", "ab", "bac", "é"))
    # A byte that is not used is there all the same where nothing else can follow.
    assert matches(automaton_of("ab", "ab", {*b"a"}), "ab")


def test_what_is_no_expression_is_said_by_the_library():
    with pytest.raises(ValueError, match="Failed to build DFA"):
        automaton_of("(?:a)|(b)", "a)|(b", {*b"ab"})


@pytest.mark.parametrize(
    ("bound", "value", "regex"),
    [
        ("GIBIBYTES", 0.1, "(a{1000}){1000}"),
        ("GIBIBYTES", 0.1, "(a|b)*a(a|b){20}"),
        ("SECONDS", 1, ".{0,100000}"),
    ],
)
def test_one_without_bounds_is_bounded(monkeypatch, bound, value, regex):
    monkeypatch.setattr(automaton, bound, value)
    with pytest.raises(ValueError, match=r"the automaton of the `regex` .* is too large") as said:
        Pattern(regex, contents=ByteTokenizer().contents)
    assert "take smaller counts" in str(said.value)


def test_a_process_that_ends_by_itself_is_no_matter_of_size(monkeypatch):
    monkeypatch.setattr(automaton, "__file__", __file__)
    with pytest.raises(RuntimeError, match="ended with"):
        automaton_of("a", "a", {97})


def test_a_graph_of_too_many_edges_is_refused(monkeypatch):
    monkeypatch.setattr("seqgen.decoders.patterns.MOST_EDGES", 20_000)
    Pattern(".{0,10}", contents=ByteTokenizer().contents)
    with pytest.raises(ValueError, match=r"`regex` '\.\{0,99\}' allows 20,000 tokens and more"):
        Pattern(".{0,99}", contents=ByteTokenizer().contents)
