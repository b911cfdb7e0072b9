"""`seqgen generate --trace`: the file beside the outputs, which are the same as without."""

import json
import os

import pytest

from seqgen.cli import trace_file
from seqgen.decoders import decoders


@pytest.fixture
def traced(command, place):
    """A function that generates with and without a trace, to the same outputs; the traces."""

    def call(run, *words):
        plain = command("generate", run, *words)
        ended = command("generate", run, *words, "--trace", "trace.json")
        assert plain.code == 0, plain.err
        assert ended == plain
        assert not (place.folder / "trace.json.part").exists()
        return json.loads((place.folder / "trace.json").read_text(encoding="utf-8"))

    return call


@pytest.mark.parametrize("name", decoders.names())
def test_every_decoder_has_a_trace_and_finds_the_same(traced, pairs_run, small, name, place):
    place.write("words.txt", "ab\ncde\nb\n")
    spec = small(decoders, name)
    settings = [
        word
        for key, value in spec.items()
        if key != "name"
        for word in ("--set", f"{key}={json.dumps(value)}")
    ]
    words = ["--decoder", name, *settings, "--seed", 3, "--json"]
    traces = traced(pairs_run, *words, "--input", "words.txt")
    assert [each["input"] for each in traces] == ["ab", "cde", "b"]
    for each in traces:
        assert each["decoder"]["name"] == name
        assert {**each["decoder"], **spec} == each["decoder"]
        assert each["start"] == each["nodes"][0]["token"] == "<bos>"
        assert not each["continues"]
        assert each["outputs"]


def test_the_prompts_of_the_recipe(traced, finished_run):
    [trace] = traced(finished_run, "--max-length", 9)
    assert (trace["input"], trace["start"], trace["continues"]) == ("the ", " ", True)
    assert trace["decoder"]["temperature"] == 0.8
    assert len(trace["nodes"]) == 9
    [output] = trace["outputs"]
    tokens = [node["token"] for node in trace["nodes"][1:]] + [output["last"]]
    assert "".join(tokens) == output["text"]


def test_several_prompts_and_samples(traced, finished_run):
    words = ["--prompt", "a", "--prompt", "the", "--samples", 3, "--max-length", 5]
    traces = traced(finished_run, *words)
    assert [(each["input"], len(each["outputs"])) for each in traces] == [("a", 3), ("the", 3)]


def test_sources_that_are_typed(command, pairs_run, type_in, place):
    type_in("ab\n\nb\n")
    ended = command("generate", pairs_run, "data.empty=drop", "--trace", "trace.json")
    assert ended.code == 0
    assert ended.out.count("\n") == 3
    traces = json.loads((place.folder / "trace.json").read_bytes())
    assert [each["input"] for each in traces] == ["ab", "b"]  # nobody asked about the empty one


def test_no_sources_are_an_empty_list(command, pairs_run, place):
    place.write("none.txt", "")
    words = ["--input", "none.txt", "--trace", "trace.json"]
    assert command("generate", pairs_run, *words).code == 0
    assert json.loads((place.folder / "trace.json").read_bytes()) == []


def test_a_page(command, finished_run, place):
    beam = ["--decoder", "beam", "--set", "beam_size=3"]
    words = ["--prompt", "</p>\x1b", "--max-length", 6, *beam]
    plain = command("generate", finished_run, *words)
    assert command("generate", finished_run, *words, "--trace", "trace.HTML") == plain
    page = (place.folder / "trace.HTML").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert 'class="tree"' in page
    assert "&lt;/p&gt;" in page
    assert "\x1b" not in page


def test_a_page_has_the_first_traces(command, pairs_run, place, monkeypatch):
    monkeypatch.setattr(trace_file, "MOST_TRACES", 2)
    place.write("words.txt", "ab\ncde\nb\n")
    words = ["--input", "words.txt", "--trace", "trace.html"]
    assert command("generate", pairs_run, *words).code == 0
    page = (place.folder / "trace.html").read_text(encoding="utf-8")
    assert page.count("<section") == 2
    assert "1 more input had no room here." in page


class TestRefusals:
    @pytest.mark.parametrize("path", ["nowhere/trace.json", "folder", "text.txt/x"])
    def test_a_file_that_cannot_be_written(self, refusal, finished_run, place, path):
        place.write("folder/x", "")
        line = refusal(7, "generate", finished_run, "--trace", path)
        assert line.startswith("folder: cannot be" if path == "folder" else "")
        assert "cannot be written" in line
        assert path in line

    def test_standard_output(self, refusal, finished_run):
        line = refusal(2, "generate", finished_run, "--trace", "-")
        assert line == "--trace must be a file: standard output has the outputs"

    def test_scores_have_no_trace(self, refusal, pairs_run):
        words = ["--score", "x", "--trace", "trace.json"]
        assert (
            refusal(2, "generate", pairs_run, *words) == "--trace and --score exclude one another"
        )

    def test_one_file_for_both(self, refusal, pairs_run, place):
        place.write("words.txt", "ab\n")
        words = ["--input", "words.txt", "--output", "out", "--trace", "out"]
        line = refusal(2, "generate", pairs_run, *words)
        assert line == "--trace and --output must be two files"

    def test_a_wrong_line_leaves_nothing(self, refusal, pairs_run, place):
        place.write("words.txt", b"ab\n\xff\n")
        words = ["--input", "words.txt", "--trace", "trace.json"]
        assert refusal(4, "generate", pairs_run, *words)

    @pytest.mark.skipif(os.name != "posix", reason="there is no /dev/full")
    def test_a_full_disk(self, command, finished_run):
        ended = command("generate", finished_run, "--max-length", 3, "--trace", "/dev/full")
        assert ended.code == 7
        assert ended.err == "/dev/full: cannot be written: No space left on device\n"
