"""The verb `compare`: what a command line means, what it refuses, what lies there at the end."""

import json
import signal

import pytest

FEW = ["plan.speed.repeats=0", "plan.search.inputs=2", "plan.shown=1", "plan.traced=1"]
FILES = {"compare.json", "compare.html", "compare.md"}
GREEDY = ["--decoder", "greedy", "--most", "2", *FEW]


@pytest.fixture
def compared(command, place):
    """A function that compares with few inputs; the document, and what was said."""

    def call(*words, out="out"):
        ended = command("compare", *words, *FEW, "--out", out, "--overwrite")
        assert ended.code == 0, ended.err
        assert {each.name for each in (place.folder / out).iterdir()} == FILES
        return json.loads((place.folder / out / "compare.json").read_bytes()), ended

    return call


def labels(document):
    return [each["label"] for each in document["systems"]]


class TestSystems:
    def test_decoders_with_grids_of_the_options_that_they_have(self, compared, pairs_run):
        document, ended = compared(
            pairs_run, "--decoder", "greedy", "--decoder", "top_k", "--decoder", "beam",
            "--set", "k=2,3", "--set", "beam_size=2", "--most", "3", "--seed", "7", "plan.seeds=2",
        )  # fmt: skip
        assert labels(document) == ["greedy", "top_k k=2", "top_k k=3", "beam beam_size=2"]
        assert document["systems"][1]["seeds"] == [7, 8]
        assert document["inputs"]["count"] == 3
        assert document["inputs"]["origin"] == "test"
        assert document["plan"]["baseline"] == "greedy"
        assert "report: out/compare.html\n" in ended.out
        assert "exact match" in ended.out
        assert f"take: {document['verdict']['take']}\n" in ended.out

    def test_the_same_command_finds_the_same_whatever_the_batches(self, compared, pairs_run):
        words = ["--decoder", "multinomial", "--set", "temperature=0.5,1", "--most", "5"]
        found = [
            compared(pairs_run, *words, f"evaluation.batch_size={size}")[0] for size in (1, 2, 64)
        ]
        for document in found:
            del document["timings"]
        assert found[0] == found[1] == found[2]

    def test_a_plan_of_ones_own_and_what_changes_it(self, compared, pairs_run, place):
        place.write("plan.yaml", "strategies: [{decoder: beam, label: mine}]\ninputs: {most: 2}\n")
        document, _ = compared(pairs_run, "--plan", "plan.yaml", "plan.strategies.0.label=x")
        assert labels(document) == ["x"]
        assert document["inputs"]["count"] == 2

    def test_without_a_plan_one_that_suits_the_data(self, compared, pairs_run, finished_run):
        document, _ = compared(pairs_run, "--most", "1", "plan.seeds=1", "plan.best_of.inputs=0")
        assert {"beam beam_size=20", "minimum_bayes_risk samples=32"} <= {*labels(document)}
        small = ["--prompt", "the ", "plan.seeds=1", "plan.max_length=4", "data.path=text.txt"]
        document, _ = compared(finished_run, *small)
        assert "min_p p=0.05" in labels(document)
        assert document["inputs"]["continues"] is True

    def test_several_runs(self, compared, pairs_run, finished_run):
        document, _ = compared(pairs_run, finished_run, "--decoder", "greedy", "--prompt", "ab")
        assert document["runs"][0]["name"].endswith("/run")
        assert len({each["name"] for each in document["runs"]}) == 2
        assert labels(document) == [f"{each['name']}: greedy" for each in document["runs"]]


class TestInputs:
    def test_prompts(self, compared, pairs_run):
        words = ["--decoder", "greedy", "--prompt", "ab", "--prompt", "c"]
        document, _ = compared(pairs_run, *words)
        assert document["inputs"]["origin"] == "prompts"
        assert [each["input"] for each in document["outputs"]] == ["ab"]
        assert document["inputs"]["count"] == 2

    def test_a_file(self, compared, pairs_run, place):
        place.write("in.txt", "ab\ncd\ne\n")
        document, _ = compared(pairs_run, "--decoder", "greedy", "--input", "in.txt")
        assert (document["inputs"]["origin"], document["inputs"]["count"]) == ("file", 3)

    def test_a_flag_comes_before_what_the_plan_says(self, compared, pairs_run, place):
        plan = "strategies: [{decoder: greedy}]\ninputs: {prompts: [a], most: 1}\n"
        place.write("plan.yaml", plan)
        document, _ = compared(pairs_run, "--plan", "plan.yaml", "--split", "valid")
        assert document["inputs"]["origin"] == "valid"
        assert document["inputs"]["count"] == 1

    def test_a_path_with_an_equals_sign_is_a_path(self, compared, place, train):
        train(out="a=b")
        document, _ = compared(
            "a=b", "--decoder", "greedy", "--prompt", "the", "generation.max_length=3"
        )
        assert document["runs"][0]["name"] == "a=b"


REFUSED = [
    (2, "--split test --prompt a", "--split and --prompt exclude one another"),
    (2, "--plan x.yaml", "--plan and --decoder exclude one another"),
    (2, "--decoder multinomial --set temperature=1 --set temperature=2", "is given twice"),
    (3, "--set beem_size=2", "--set beem_size=2: beem_size: not an option of decoder 'greedy' (c"),
    (3, "--set p", "--set p: must be of the form key=value"),
    (3, "--set p=", "--set p=: must be of the form key=value"),
    (3, "--decoder beam --set beam_size=1,,2", "--set beam_size=1,,2: malformed at character"),
    (3, "--decoder beam --set beem_size=2", "did you mean 'beam_size'? (alpha, beam_size,"),
    (
        3,
        "--decoder beam --set beam_size=1,x",
        "--set beam_size=1,x: strategies.1.grid.beam_size.1: must be an integer, but is 'x'",
    ),
    (
        3,
        "--decoder top_k --set k=2,999",
        "--set k=2,999: strategies.1.grid.k.1: `k` must be from 1 to ",
    ),
    (
        3,
        "--decoder top_k --set k=x",
        "--set k=x: strategies.1.grid.k.0: must be an integer, but is",
    ),
    (3, "--decoder top_k", "--decoder top_k: strategies.1.decoder: `k` is missing"),
    (3, "--decoder beem", "--decoder beem: no decoder named 'beem'; did you mean 'beam'?"),
    (
        3,
        "--decoder greedy",
        "--decoder greedy: strategies.1: 'greedy' decodes as strategies.0 does; the first is",
    ),
    (3, "plan.sedes=2", "override plan.sedes=2: sedes: not an option of a plan; did you mean"),
    (3, "plan.seeds=0", "override plan.seeds=0: seeds: must be at least 1"),
    (3, "plan.seeds=", "override plan.seeds=: no value; null means none"),
    (3, "plan.baseline=x", "override plan.baseline=x: baseline: nothing is called 'x' (greedy)"),
    (3, "plan.quality=x", "override plan.quality=x: quality: must be one of exact_match, "),
    (3, "metrics=[bleu,bleu]", "override metrics=[bleu,bleu]: metrics.1: duplicate metric 'bleu'"),
    (3, "model.x=1", "override model.x=1: model.x: not an option of model 'seq2seq'"),
    (4, "--input none.txt", "none.txt: "),
    (5, "nowhere", "nowhere: no run here"),
    (7, "--out text.txt", "text.txt: not a directory; choose another with --out"),
    (7, "--out .", ".: not empty and not a comparison; choose another with --out"),
    (8, "--plugin none.py", "no such file"),
]


class TestRefusals:
    @pytest.mark.parametrize(("code", "words", "message"), REFUSED)
    def test_one_line_and_nothing_is_written(self, code, words, message, refusal, pairs_run):
        assert message in refusal(code, "compare", pairs_run, "--decoder", "greedy", *words.split())

    def test_a_run_is_needed_and_each_once(self, refusal, pairs_run):
        told = refusal(2, "compare", "plan.seeds=1")
        assert told == "RUN is missing: the directory of at least one run"
        told = refusal(2, "compare", pairs_run, pairs_run)
        assert told == f"{pairs_run}: the run is named twice"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--plan", "seq2sek"], "seq2sek: no such plan; did you mean 'seq2seq'? (a path, or"),
            (["--plan", "tiny.yaml"], "tiny.yaml:2:1: data: not an option of a plan"),
            (["--plan", "bad.yaml"], "bad.yaml:1:59: strategies.0.grid.k.1: `k` must be from 1 to"),
        ],
    )
    def test_a_wrong_plan(self, words, message, refusal, pairs_run, place):
        place.write(
            "bad.yaml", "strategies: [{decoder: {name: top_k, k: 2}, grid: {k: [3, 999]}}]\n"
        )
        assert refusal(3, "compare", pairs_run, *words).startswith(message)

    def test_settings_without_a_decoder(self, refusal, pairs_run):
        told = refusal(2, "compare", pairs_run, "--set", "beam_size=2")
        assert told == "--set goes with --decoder NAME, whose option it is"

    def test_what_is_there_stays_unless_it_is_to_be_overwritten(
        self, compared, refusal, place, pairs_run
    ):
        compared(pairs_run, *GREEDY)
        told = refusal(7, "compare", pairs_run, *GREEDY, "--out", "out")
        assert told == ("out: has a comparison already; --overwrite it, or choose another --out")
        document, _ = compared(pairs_run, *GREEDY, "plan.seed=9")
        assert document["seed"] == 9


class TestEnds:
    def test_json_is_the_file_and_progress_goes_elsewhere(self, compared, pairs_run, place):
        _, ended = compared(pairs_run, *GREEDY, "--json")
        assert ended.out == (place.folder / "out" / "compare.json").read_text(encoding="utf-8")
        assert "greedy" in ended.err
        assert "%" in ended.err

    def test_by_default_it_lies_below_runs(self, command, pairs_run, place):
        ended = command("compare", pairs_run, *GREEDY)
        assert ended.code == 0, ended.err
        assert {each.name for each in (place.folder / "runs/compare/run").iterdir()} == FILES

    def test_interrupted_it_leaves_nothing(self, spawn, pairs_run, place):
        words = ["--plan", "seq2seq", "plan.seeds=1000", "--out", "out"]
        process = spawn("compare", pairs_run, *words)
        assert "greedy" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (130, "interrupted\n")
        assert not (place.folder / "out").exists()
