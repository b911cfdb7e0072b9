"""Scores of given rows: those that decoders report."""

import json

import pytest


@pytest.fixture
def scored(command, place):
    """A function from a run and rows to what `--score` says of them."""

    def call(run, content, *words):
        place.write("rows.txt", content)
        ended = command("generate", run, "--score", "rows.txt", *words)
        assert (ended.code, ended.err) == (0, "")
        return ended.out.splitlines()

    return call


@pytest.mark.parametrize(
    "decoder", [["greedy"], ["beam", "--n-best", "3"], ["multinomial", "--samples", "2"]], ids=str
)
def test_they_are_what_the_decoder_reports(decoder, command, scored, pairs_run, place, few_words):
    place.write("in.txt", "".join(f"{word}\n" for word in few_words(40, seed=3)))
    words = ("--input", "in.txt", "--json", "--decoder", *decoder)
    answers = [json.loads(line) for line in command("generate", pairs_run, *words).out.splitlines()]
    found = [(each["source"], own) for each in answers for own in each["outputs"]]
    ended = [(source, own) for source, own in found if own["finished"]]
    assert len(ended) > 30
    rows = "".join(f"{source}\t{own['text']}\n" for source, own in ended)
    lines = [json.loads(line) for line in scored(pairs_run, rows, "--json")]
    for number, (line, (_, own)) in enumerate(zip(lines, ended, strict=True), 1):
        assert (line["number"], line["tokens"]) == (number, len(own["tokens"]))
        assert line["score"] == pytest.approx(own["score"], abs=1e-5)
        assert line["log_probs"] == pytest.approx(own["log_probs"], abs=1e-5)


def test_a_line_for_a_row(scored, pairs_run):
    rows = "abcd\tABCD\nabcd\tEEEE\n\tB\nabc\t\n"
    one, two, three, four = (line.split("\t") for line in scored(pairs_run, rows))
    assert [one[1], two[1], three[1], four[1]] == ["5", "5", "2", "1"]
    assert float(one[0]) > float(two[0])
    assert scored(pairs_run, "abcd\tABCD") == ["\t".join(one)]


def test_to_a_file(scored, pairs_run, place):
    assert scored(pairs_run, "a\tA\n", "--output", "out.txt") == []
    assert (place.folder / "out.txt").read_text().endswith("\t2\n")


def test_from_standard_input(scored, command, pairs_run, type_in):
    type_in("a\tA\r\nb\tB")
    ended = command("generate", pairs_run, "--score", "-")
    assert ended.out.splitlines() == scored(pairs_run, "a\tA\nb\tB\n")


def test_unknown_targets_are_counted(command, pairs_run, type_in):
    type_in("a\tx\nb\tXB\n")
    ended = command("generate", pairs_run, "--score", "-")
    assert (ended.code, ended.out.count("\n")) == (0, 2)
    assert ended.err == "warning: 2 tokens of the targets scored as <unk>\n"


def test_lines_without_sources(train, place, scored):
    place.write("names.txt", "the cat\na mat\nfar dogs\n" * 10)
    place.recipe("{name: text, path: text.txt, batch_size: 4, window: 16}", "{name: lines}")
    run = train("data.path=names.txt", "data.split=[0.7,0.3,0]", "samples.prompts=['a']")
    likely, unlikely = (line.split("\t") for line in scored(run, "the cat\ntac eht\n"))
    assert likely[1] == unlikely[1] == "8"
    assert float(likely[0]) > float(unlikely[0])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a\tA\nb\n", "rows.txt:2: 1 column instead of 2 (source, target): there is no tab"),
        ("a\tA\tB\n", "rows.txt:1: 3 columns instead of 2"),
        ("", "rows.txt: no rows in it (an empty file)"),
    ],
)
def test_a_wrong_row_is_named(content, line, refusal, pairs_run, place):
    place.write("rows.txt", content)
    assert refusal(4, "generate", pairs_run, "--score", "rows.txt").startswith(line)


def test_a_text_has_no_rows(refusal, finished_run, place):
    place.write("rows.txt", "the cat\n")
    line = refusal(2, "generate", finished_run, "--score", "rows.txt")
    assert line.startswith("--score: this data has no rows of text that could be scored")
