"""The verb `evaluate`: the figures of the run again, or those of another text."""

import json

import pytest


def result(folder):
    return json.loads((folder / "result.json").read_bytes())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_figures_are_those_of_the_run(command, finished_run, split):
    ended = command("evaluate", finished_run, "--split", split, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == result(finished_run)[split]


def test_lines_for_reading(command, finished_run):
    ended = command("evaluate", finished_run)
    assert ended.code == 0
    rows = dict(line.split() for line in ended.out.splitlines())
    assert list(rows) == list(result(finished_run)["test"])
    assert float(rows["bits_per_char"]) == pytest.approx(
        result(finished_run)["test"]["bits_per_char"], rel=1e-5
    )


def test_another_text(command, finished_run, place):
    place.write("other.txt", "the cat sat on a mat? " * 30)
    ended = command("evaluate", finished_run, "data.path=other.txt", "--json")
    assert (ended.code, ended.err) == (0, "")
    figures = json.loads(ended.out)
    assert figures["tokens"] == 66
    assert figures["unknown"] == 3


def test_a_text_that_has_changed_is_said(command, place):
    command("run", "tiny.yaml", "train.max_steps=1")
    place.write("text.txt", "the cat sat on a mat " * 300)
    ended = command("evaluate", "runs/tiny", "--json")
    assert ended.code == 0
    assert ended.err == "warning: the data is not what this run was trained on\n"
    assert json.loads(ended.out)["tokens"] == 630


@pytest.mark.parametrize(
    ("code", "words", "part"),
    [
        (4, ["data.path=nowhere.txt"], "nowhere.txt: cannot be read"),
        (3, ["data.pth=x"], "override data.pth=x: "),
        (3, ["model.cell.name=lsmt"], "did you mean 'lstm'?"),
        (4, ["data.split=[1, 0, 0]"], "has no split 'test'"),
        (3, ["--device", "tpu"], "tpu"),
        (5, ["model.cell.hidden_size=17"], "checkpoints"),
    ],
    ids=str,
)
def test_refusals(refusal, finished_run, code, words, part):
    assert part in refusal(code, "evaluate", finished_run, *words)


def test_no_run_there(refusal):
    assert refusal(5, "evaluate", ".").startswith(".: no run here")


class TestARunWithSources:
    def test_the_figures_are_those_of_the_run(self, command, pairs_run):
        ended = command("evaluate", pairs_run, "--json")
        assert (ended.code, ended.err) == (0, "")
        figures = json.loads(ended.out)
        assert figures == result(pairs_run)["test"]
        assert figures["details"]["exact_match"]["answers"] == figures["examples"]

    def test_lines_for_reading(self, command, pairs_run):
        ended = command(
            "evaluate", pairs_run, "metrics=[exact_match, {name: bleu, tokenize: char}]"
        )
        assert (ended.code, ended.err) == (0, "")
        lines = ended.out.splitlines()
        assert [line.split()[0] for line in lines][-3:] == ["examples", "exact_match", "bleu"]
        assert len({line.index(line.split()[1]) for line in lines}) == 1
        assert "|tok:char|" in lines[-1]

    def test_by_another_decoder(self, command, pairs_run):
        beam = ("--decoder", "beam", "--set", "beam_size=5", "--json")
        one, five = (
            json.loads(command("evaluate", pairs_run, *beam, "--set", f"beam_size={size}").out)
            for size in (1, 5)
        )
        assert one == result(pairs_run)["test"]
        assert five["metrics"] != one["metrics"]
        assert five["perplexity"] == one["perplexity"]

    def test_answers_as_json_lines(self, command, pairs_run, place):
        ended = command("evaluate", pairs_run, "--answers", "answers.jsonl", "--json")
        lines = (place.folder / "answers.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        figures = json.loads(ended.out)
        assert len(found) == figures["examples"]
        right = sum(each["right"] for each in found)
        assert right / len(found) == pytest.approx(figures["metrics"]["exact_match"])
        assert [each["source"].upper() for each in found] == [
            each["references"][0] for each in found
        ]
        assert found == [{**each, "right": each["output"] in each["references"]} for each in found]

    def test_answers_as_a_table(self, command, pairs_run, place):
        rows = "a\tA\na\tB\n b\tE\n"
        place.write("other/train.tsv", rows)
        place.write("other/test.tsv", rows)
        words = ("data.path=other", "metrics=[]", "--answers", "answers.tsv")
        ended = command("evaluate", pairs_run, *words)
        assert (ended.code, ended.err) == (0, "")
        assert "exact_match" not in ended.out
        title, one, two = (place.folder / "answers.tsv").read_text().splitlines()
        assert title == "right\tscore\tsource\toutput\treferences"
        assert one.split("\t")[2::2] == ["a", "A"]
        assert one.split("\t")[5:] == ["B"]
        assert len(two.split("\t")) == 5

    @pytest.mark.parametrize(
        ("code", "words", "part"),
        [
            (2, ["--decoder", "beam", "metrics=[]"], "--decoder: the recipe has no metrics"),
            (2, ["--answers", "-"], "--answers must be a file"),
            (3, ["--decoder", "bean"], "--decoder bean: no decoder named 'bean'; did you mean"),
            (3, ["--set", "beam_size=2"], "--set beam_size=2: beam_size: not an option of decoder"),
            (3, ["metrics=[blue]"], "did you mean 'bleu'"),
            (4, ["--split", "valid", "data.split=[0.9,0,0.1]"], "has no split 'valid'"),
            (7, ["--answers", "no/answers"], "no/answers: cannot be written: No such file"),
        ],
        ids=str,
    )
    def test_refusals(self, refusal, pairs_run, code, words, part):
        assert part in refusal(code, "evaluate", pairs_run, *words)


def test_a_text_has_no_answers(refusal, finished_run):
    line = refusal(4, "evaluate", finished_run, "--answers", "answers.jsonl")
    assert line.startswith("--answers: this data has no sources")


def test_metrics_alone_leave_the_data_as_it_was(command, copied_run, place):
    """So it is looked at whether it still is."""
    recipe = copied_run / "recipe.yaml"
    place.write("other.txt", "the cat sat on a mat " * 300)
    path = json.loads((copied_run / "manifest.json").read_bytes())["data"]
    recipe.write_text(recipe.read_text().replace(next(iter(path)), "other.txt"))
    ended = command("evaluate", copied_run, "evaluation.batch_size=3")
    assert ended.err == "warning: the data is not what this run was trained on\n"


def test_a_metric_that_is_there_twice(refusal, pairs_run):
    told = refusal(3, "evaluate", pairs_run, "metrics=[exact_match, exact_match]")
    assert told.startswith(
        "override metrics=[exact_match, exact_match]: metrics.1: 'exact_match' is"
    )
