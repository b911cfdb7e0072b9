"""The verbs about runs: what they print, what they refuse, and that they then write nothing."""

import json
import os
import signal

import pytest

from seqgen.decoders import Greedy, decoders
from seqgen.run_directory import RunDirectory


def result(folder):
    return json.loads((folder / "result.json").read_bytes())


HELD = "not empty and not a run; choose another with --out"
NO_RUN = "no run here (there is no recipe.yaml in it)"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (3, "tiny.yaml threads=x", "override threads=x: …threads: must be an integer or 'auto'…"),
        (4, "tiny.yaml 'data={name: text, corpus: tiny_shakespeare}'", "…seqgen data get tiny_s…"),
        (
            4,
            "tiny.yaml 'tokenizer={alphabet: printable, unk: error}'",
            "…characters in the vocabulary, but has 'é'…",
        ),
        (7, "tiny.yaml --out mine --overwrite", f"mine: {HELD}"),
        # A thesis in the current folder, and a recipe of one's own.
        (7, "recipe.yaml --out .", f".: {HELD}"),
        (7, "recipe.yaml --out . --overwrite", f".: {HELD}"),
        (7, "tiny.yaml --out text.txt", "text.txt: not a directory; choose another with --out"),
        (7, "tiny.yaml --out text.txt/x", "text.txt/x: cannot be written: Not a directory"),
        (7, f"tiny.yaml --out {'x' * 300}", f"{'x' * 300}: cannot be read: File name too long"),
        (5, "tiny.yaml --out runs/tiny --resume", f"runs/tiny: {NO_RUN}…"),
        (2, "@copy", "@copy: this is a run; `seqgen run @copy --res…"),
        (2, "@copy --overwrite", "@copy: this is a run; `seqgen run @copy --res…"),
        (2, "@copy --out other", "@copy: this is a run; `seqgen run @copy --res…"),
        (2, "@copy --resume --out other", "--out other: the run in @copy goes on where it is"),
    ],
)
def test_run_refuses(code, words, said, refused, place, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
    place.write("mine/letter.txt", "dear")
    place.write("recipe.yaml", (place.folder / "tiny.yaml").read_text(encoding="utf-8"))
    place.write(".git/HEAD", "ref")
    refused(code, f"run {words}", said)


def test_a_near_run_is_named_where_there_is_none_to_go_on_with(copied_run, refused, place):
    place.write("mine/letter.txt", "dear")
    copied_run.rename("minn")
    said = f"mine: {NO_RUN}…; did you mean 'minn'? there are minn"
    refused(5, "run tiny.yaml --out mine --resume", said)


@pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
def test_no_two_runs_write_into_a_folder(flag, copied_run, refused):
    [path] = json.loads((copied_run / "manifest.json").read_bytes())["data"]
    with RunDirectory(copied_run).locked():
        words = f"run tiny.yaml data.path={path} --out @copy {flag}"
        refused(7, words, "@copy: another run is writing here")


def test_a_run_on_a_full_disk(small_disk, command, place):
    ended = command("run", "tiny.yaml", "--out", small_disk(16) / "run")
    assert (ended.code, ended.err.count("\n")) == (7, 1)


def test_a_run_for_reading(output, place):
    words = ["run", "tiny.yaml", "train.max_steps=4", 'samples.prompts=["a\\e[2J[/x]"]']
    told = output(*words)
    assert "step 4  valid" in told
    assert told.endswith("report: runs/tiny/report.html   samples: runs/tiny/samples.txt\n")
    assert r"a\x1b[2J[/x]" in told, "codes in a prompt do not act"
    assert "\x1b" not in told
    manifest = json.loads((place.folder / "runs/tiny/manifest.json").read_bytes())
    assert manifest["command"][1:] == words


def test_going_on_with_a_run_and_beginning_again(command, refused, place):
    """By its recipe, or by its folder alone, be that by a link, with what may change."""

    def run(*words, resumed_at=None):
        ended = command("run", *words, "--json")
        assert ended.code == 0, ended.err
        assert (f"resumed at step {resumed_at}" in ended.err) is (resumed_at is not None)
        return json.loads(ended.out), ended.err

    found, said = run("tiny.yaml", "train.max_steps=3")
    assert found == result(place.folder / "runs/tiny")
    assert "step 3" in said
    refused(7, "run tiny.yaml", "…runs/tiny: has a run already…")
    found, _ = run("tiny.yaml", "train.max_steps=6", "--resume", resumed_at=3)
    assert found["train"]["steps"] == 6
    found, _ = run("tiny.yaml", "train.max_steps=2", "--overwrite")
    assert found["train"]["steps"] == 2
    (place.folder / "tiny.yaml").unlink()
    (place.folder / "runs/tiny").rename(place.folder / "moved")
    (place.folder / "link").symlink_to("moved")
    found, said = run("link", "train.max_steps=4", "--resume", resumed_at=2)
    assert "\ntiny\n" in f"\n{said}"
    assert found["train"]["steps"] == 4
    assert found == result(place.folder / "moved")


def test_a_run_goes_on_when_its_reader_goes(spawn, place):
    reading, writing = os.pipe()
    os.close(reading)
    process = spawn("run", "tiny.yaml", "train.max_steps=2", stdout=writing)
    os.close(writing)
    assert process.wait() == 0
    assert process.stderr.read() == ""
    assert result(place.folder / "runs/tiny")["train"]["steps"] == 2


# The verb `generate`: texts, seeds and settings of decoders.
@pytest.fixture
def generate(output):
    """A function that generates from the run that continues prompts, which must work."""
    return lambda *words, err="": output("generate", "@lm", *words, err=err)


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("--prompt a --prompt the --samples 2", ["'a' 1", "'a' 2", "'the' 1", "'the' 2"]),
        ("--prompt the --decoder beam --set n_best=3", ["'the' 1", "'the' 2", "'the' 3"]),
    ],
)
def test_several_outputs_have_titles(generate, words, titles):
    lines = generate("--max-length", 5, *words.split()).splitlines()
    assert [line for line in lines if line.startswith("=== ")] == [f"=== {t} ===" for t in titles]


def test_json_is_one_document(generate):
    [found] = json.loads(generate("--prompt", "caf", "--max-length", 7, "--json"))
    assert set(found) == {
        *("prompt", "text", "tokens", "pieces", "log_probs", "score", "rank", "finished"),
        *("complete", "satisfied", "finish_reason", "stop"),
    }
    assert found["prompt"] == "caf"
    assert found["text"] == "".join(found["pieces"])
    assert len(found["tokens"]) == len(found["log_probs"]) == 7
    assert found["score"] == pytest.approx(sum(found["log_probs"]))
    assert not found["finished"]


def test_unknown_characters_are_counted(generate):
    which = "(3 different: 'X', 'Y', 'Z')"
    warning = f"warning: 3 tokens of the prompts are unknown to the model {which}\n"
    assert generate("--prompt", "XaY", "--prompt", "Z", err=warning)


@pytest.mark.parametrize(
    ("prompt", "shown", "unknown"),
    [
        ("a\x1b[31m", r"a\x1b[31m", 4),
        ("a\x07\x9b", r"a\x07\x9b", 2),
        ("\u202ea", r"\u202ea", 1),
        ("[/x][red]", "[/x][red]", None),
    ],
)
def test_no_prompt_acts_on_the_terminal(command, finished_run, prompt, shown, unknown):
    words = ("generate", finished_run, "--prompt", prompt, "--max-length", 3)
    one, two, plain = (command(*words, *more) for more in ([], ["--samples", 2], ["--json"]))
    assert one.code == 0
    assert one.out.startswith(shown)
    assert unknown is None or one.err.startswith(f"warning: {unknown} token")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(one.out + two.out + plain.out)
    assert json.loads(plain.out)[0]["prompt"] == prompt


def test_what_a_model_generates_does_not_act_either(output, place):
    codes = "\x1b[31m[/x][bold]\u202e\x07\u2028"
    place.write("text.txt", codes * 300)
    options = ["data.window=8", "samples.length=40", "train.max_steps=2"]
    trained = output("run", "tiny.yaml", *options, "--out", "run")
    wild = ("generate", "run", "--max-length", 200, "--set", "temperature=3", "--prompt", "[/x]")
    generated = output(*wild)
    assert r"\x1b" in generated
    assert not set("\x1b\u202e\x07\u2028") & set(trained + generated)
    [found] = json.loads(output(*wild, "--json"))
    assert set(found["text"]) <= set(codes)


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (3, "--set temperature=.nan", "…: temperature: must be at least 0 and at most…"),
        (
            *(3, "--decoder greedy --set temperature=1"),
            "--set temperature=1: temperature: not an option of decoder 'greedy'…",
        ),
        (3, "--set temperature", "…: must be of the form key=value…"),
        (3, "--set seed=3", "…: seed: not an option…"),
        (3, "--set temperature.x=1", "…: no such key 'x'…"),
        (3, "--set name=gredy", "…: name: no decoder named 'gredy'…"),
        (3, "--prompt a\ud800", "--prompt: `text` must be Unicode characters, but has a lone…"),
        (3, "--device gpu", "override device=gpu: device: must be 'auto', 'cpu' or 'cuda'…"),
    ],
)
def test_generate_refuses(code, words, said, refused):
    """An error begins with the words that it is about, which … stands for here."""
    said = f"{words}{said.removeprefix('…')}" if said.startswith("…") else said
    refused(code, f"generate @lm {words}", said)


def test_a_decoder_whose_constructor_refuses(refused, own_registries):
    @decoders.register("picky")
    class Picky(Greedy):
        """A limit that depends on the vocabulary."""

        def __init__(self, vocab_size: int, top: int = 1) -> None:
            if top > vocab_size:
                raise ValueError(f"`top` must be at most {vocab_size}, but is {top}")

    said = "--decoder picky: `top` must be at most 21, but is 99"
    refused(3, "generate @lm --decoder picky --set top=99", said)


def test_a_run_without_a_checkpoint(refused, copied_run):
    for name in ("best", "last"):
        (copied_run / "checkpoints" / name).unlink()
    refused(5, "generate @copy", "@copy: no checkpoint yet")


def test_what_cannot_satisfy_all_constraints_is_counted(command, finished_run):
    constraints = "constraints=[{name: allowed, texts: [the, cat]}, {name: forbid, texts: [a, h]}]"
    words = ("--prompt", "the", "--decoder", "greedy", "--set", constraints)
    ended = command("generate", finished_run, *words, "--json")
    assert "warning: 1 of 1 texts does not satisfy all constraints; it ends where" in ended.err
    [found] = json.loads(ended.out)
    assert found["satisfied"] is False
    assert found["text"] in ("t", "c")


def test_texts_come_from_a_file(generate, refused, place):
    place.write("words.txt", "cat\nmat\n")
    allowed = "constraints=[{name: allowed, file: words.txt}]"
    words = ("--prompt", "the ", "--decoder", "beam", "--max-length", 3)
    assert generate(*words, "--set", allowed) in ("the cat\n", "the mat\n")
    missing = f"generate @lm --decoder beam --set '{allowed.replace('words', 'nothing')}'"
    refused(4, missing, "nothing.txt: cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("decoder", "same"),
    [
        ("greedy", True),
        ("beam", True),
        ("top_k --set k=1", True),
        ("multinomial --set temperature=0", True),
        ("multinomial", False),
        ("minimum_bayes_risk --set samples=2", False),
        ("minimum_bayes_risk --set samples=2 --set sampler=greedy", True),
    ],
)
def test_several_samples_of_what_draws_nothing_are_a_warning(generate, decoder, same):
    warning = "warning: --samples 3: this decoder draws nothing at random, so all samples are "
    words = ("--prompt", "the", "--max-length", 2, "--samples", 3, "--decoder", *decoder.split())
    generate(*words, err=f"{warning}the same\n" if same else "")


# The verb `evaluate`: the figures of the run again, or those of another text.
@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_figures_are_those_of_the_run(output, finished_run, pairs_run, split):
    found = json.loads(output("evaluate", "@lm", "--split", split, "--json"))
    assert found == result(finished_run)[split]


def test_figures_for_reading(output, finished_run):
    rows = dict(line.split() for line in output("evaluate", "@lm").splitlines())
    figures = result(finished_run)["test"]
    assert list(rows) == list(figures)
    assert float(rows["bits_per_char"]) == pytest.approx(figures["bits_per_char"], rel=1e-5)
    words = ("evaluate", "@pairs", "metrics=[exact_match, {name: bleu, tokenize: char}]")
    lines = output(*words).splitlines()
    assert [line.split()[0] for line in lines][-3:] == ["examples", "exact_match", "bleu"]
    assert len({line.index(line.split()[1]) for line in lines}) == 1
    assert "|tok:char|" in lines[-1]


def test_another_text(output, place):
    place.write("other.txt", "the cat sat on a mat? " * 30)
    figures = json.loads(output("evaluate", "@lm", "data.path=other.txt", "--json"))
    assert (figures["tokens"], figures["unknown"]) == (66, 3)


def test_a_text_that_has_changed_is_said(output, copied_run, place):
    """Also where only metrics are overridden, which leave the data as it was."""
    said = "warning: the data is not what this run was trained on\n"
    output("run", "tiny.yaml", "train.max_steps=1")
    place.write("text.txt", "the cat sat on a mat " * 300)
    assert json.loads(output("evaluate", "runs/tiny", "--json", err=said))["tokens"] == 630
    recipe = copied_run / "recipe.yaml"
    [path] = json.loads((copied_run / "manifest.json").read_bytes())["data"]
    recipe.write_text(recipe.read_text().replace(path, "text.txt"))
    output("evaluate", "@copy", "evaluation.batch_size=3", err=said)


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (3, "@lm data.pth=x", "…override data.pth=x: …"),
        (4, "@lm 'data.split=[1, 0, 0]'", "…has no split 'test'…"),
        (3, "@lm --device tpu", "…tpu…"),
        (5, "@lm model.cell.hidden_size=17", "…checkpoints…"),
        (4, "@lm --answers answers.jsonl", "--answers: this data has no sources…"),
        (2, "@pairs --decoder beam metrics=[]", "…--decoder: the recipe has no metrics…"),
        (2, "@pairs --answers -", "…--answers must be a file…"),
        (3, "@pairs --decoder bean", "…--decoder bean: no decoder named 'bean'; did you mean…"),
        (3, "@pairs --set beam_size=2", "…--set beam_size=2: beam_size: not an option of decoder…"),
        (3, "@pairs metrics=[blue]", "…did you mean 'bleu'…"),
        (4, "@pairs --split valid data.split=[0.9,0,0.1]", "…has no split 'valid'…"),
        (7, "@pairs --answers no/answers", "…no/answers: cannot be written: No such file…"),
    ],
)
def test_evaluate_refuses(code, words, said, refused):
    refused(code, f"evaluate {words}", said)


def test_figures_by_another_decoder(output, pairs_run):
    beam = ("--decoder", "beam", "--set", "beam_size=5", "--json")
    plain, one, five = (
        json.loads(output("evaluate", "@pairs", "--json", *words))
        for words in ([], [*beam, "--set", "beam_size=1"], [*beam, "--set", "beam_size=5"])
    )
    assert plain == one == result(pairs_run)["test"]
    assert plain["details"]["exact_match"]["answers"] == plain["examples"]
    assert five["metrics"] != one["metrics"]
    assert five["perplexity"] == one["perplexity"]


def test_answers_as_json_lines(output, place):
    words = ("evaluate", "@pairs", "--answers", "answers.jsonl", "--json")
    figures = json.loads(output(*words))
    lines = (place.folder / "answers.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == figures["examples"]
    right = sum(each["right"] for each in found)
    assert right / len(found) == pytest.approx(figures["metrics"]["exact_match"])
    assert [each["source"].upper() for each in found] == [each["references"][0] for each in found]
    assert found == [{**each, "right": each["output"] in each["references"]} for each in found]


def test_answers_as_a_table(output, place):
    rows = "a\tA\na\tB\n b\tE\n"
    place.write("other/train.tsv", rows)
    place.write("other/test.tsv", rows)
    words = ("data.path=other", "metrics=[]", "--answers", "answers.tsv")
    assert "exact_match" not in output("evaluate", "@pairs", *words)
    title, one, two = (place.folder / "answers.tsv").read_text().splitlines()
    assert title == "right\tscore\tsource\toutput\treferences"
    assert one.split("\t")[2::2] == ["a", "A"]
    assert one.split("\t")[5:] == ["B"]
    assert len(two.split("\t")) == 5


# The verb `compare`: what a command line means, what it refuses, what lies there at the end.
FEW = ["plan.speed.repeats=0", "plan.search.inputs=2", "plan.shown=1", "plan.traced=1"]
FILES = {"compare.json", "compare.html", "compare.md"}
GREEDY = ["--decoder", "greedy", "--most", "2", *FEW]


@pytest.fixture
def compared(command, with_runs, place):
    """A function that compares with few inputs; the document, and what was said."""

    def call(*words, out="out"):
        words = map(with_runs, words)
        ended = command("compare", *words, *FEW, "--out", out, "--overwrite")
        assert ended.code == 0, ended.err
        assert {each.name for each in (place.folder / out).iterdir()} == FILES
        return json.loads((place.folder / out / "compare.json").read_bytes()), ended

    return call


def labels(document):
    return [each["label"] for each in document["systems"]]


def test_decoders_with_grids_of_the_options_that_they_have(compared):
    words = "--decoder greedy --decoder top_k --decoder beam --set k=2,3 --set beam_size=2 --most 3"
    document, ended = compared("@pairs", *words.split(), "--seed", "7", "plan.seeds=2")
    assert labels(document) == ["greedy", "top_k k=2", "top_k k=3", "beam beam_size=2"]
    assert document["systems"][1]["seeds"] == [7, 8]
    assert (document["inputs"]["count"], document["inputs"]["origin"]) == (3, "test")
    assert document["plan"]["baseline"] == "greedy"
    assert "report: out/compare.html\n" in ended.out
    assert "exact match" in ended.out
    assert f"take: {document['verdict']['take']}\n" in ended.out


def test_the_same_command_finds_the_same_whatever_the_batches(compared):
    words = ["@pairs", "--decoder", "multinomial", "--set", "temperature=0.5,1", "--most", "5"]
    found = [compared(*words, f"evaluation.batch_size={size}")[0] for size in (1, 2, 64)]
    for document in found:
        del document["timings"]
    assert found[0] == found[1] == found[2]


def test_a_plan_of_ones_own_and_what_changes_it(compared, place):
    place.write("plan.yaml", "strategies: [{decoder: beam, label: mine}]\ninputs: {most: 2}\n")
    document, _ = compared("@pairs", "--plan", "plan.yaml", "plan.strategies.0.label=x")
    assert labels(document) == ["x"]
    assert document["inputs"]["count"] == 2


def test_without_a_plan_one_that_suits_the_data(compared):
    document, _ = compared("@pairs", "--most", "1", "plan.seeds=1", "plan.best_of.inputs=0")
    assert {"beam beam_size=20", "minimum_bayes_risk samples=32"} <= {*labels(document)}
    small = ["--prompt", "the ", "plan.seeds=1", "plan.max_length=4", "data.path=text.txt"]
    document, _ = compared("@lm", *small)
    assert "min_p p=0.05" in labels(document)
    assert document["inputs"]["continues"] is True


def test_several_runs(compared):
    document, _ = compared("@pairs", "@lm", "--decoder", "greedy", "--prompt", "ab")
    assert document["runs"][0]["name"].endswith("/run")
    assert len({each["name"] for each in document["runs"]}) == 2
    assert labels(document) == [f"{each['name']}: greedy" for each in document["runs"]]


@pytest.mark.parametrize(
    ("words", "origin", "count"),
    [
        ("--decoder greedy --prompt ab --prompt c", "prompts", 2),
        ("--decoder greedy --input in.txt", "file", 3),
        ("--plan plan.yaml --split valid", "valid", 1),  # the flag comes before the plan
    ],
)
def test_where_inputs_come_from(words, origin, count, compared, place):
    place.write("in.txt", "ab\ncd\ne\n")
    plan = "strategies: [{decoder: greedy}]\ninputs: {prompts: [a], most: 1}\n"
    place.write("plan.yaml", plan)
    document, _ = compared("@pairs", *words.split())
    assert (document["inputs"]["origin"], document["inputs"]["count"]) == (origin, count)
    assert len(document["outputs"]) == 1
    assert origin == "valid" or document["outputs"][0]["input"] == "ab"


def test_a_path_with_an_equals_sign_is_a_path(compared, train):
    train(out="a=b")
    words = ["a=b", "--decoder", "greedy", "--prompt", "the", "generation.max_length=3"]
    assert compared(*words)[0]["runs"][0]["name"] == "a=b"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "--split test --prompt a", "…--split and --prompt exclude one another…"),
        (2, "--plan x.yaml", "…--plan and --decoder exclude one another…"),
        (2, "--decoder multinomial --set temperature=1 --set temperature=2", "…is given twice…"),
        (3, "--set beem_size=2", "…beem_size: not an option of decoder 'greedy' (c…"),
        (3, "--set p", "--set p: must be of the form key=value…"),
        (3, "--set p=", "--set p=: must be of the form key=value…"),
        (3, "--decoder beam --set beam_size=1,,2", "…beam_size=1,,2: malformed at character…"),
        (
            *(3, "--decoder beam --set beam_size=1,x"),
            "…set beam_size=1,x: strategies.1.grid.beam_size.1: must be an integer, but is 'x'…",
        ),
        (
            *(3, "--decoder top_k --set k=2,999"),
            "…--set k=2,999: strategies.1.grid.k.1: `k` must be from 1 to …",
        ),
        (
            *(3, "--decoder top_k --set k=x"),
            "…--set k=x: strategies.1.grid.k.0: must be an integer, but is…",
        ),
        (3, "--decoder top_k", "--decoder top_k: strategies.1.decoder: `k` is missing…"),
        (
            *(3, "--decoder greedy"),
            "…greedy: strategies.1: 'greedy' decodes as strategies.0 does; the first is…",
        ),
        (3, "plan.seeds=", "override plan.seeds=: no value; null means none…"),
        (3, "metrics=[bleu,bleu]", "….1: duplicate metric 'bleu'"),
        (3, "model.x=1", "override model.x=1: model.x: not an option of model 'seq2seq'…"),
        (4, "--input none.txt", "none.txt: …"),
        (7, "--out text.txt", "text.txt: not a directory; choose another with --out"),
        (7, "--out .", ".: not empty and not a comparison; choose another with --out"),
        (8, "--plugin none.py", "…no such file…"),
    ],
)
def test_compare_with_greedy_refuses(code, words, said, refused):
    refused(code, f"compare @pairs --decoder greedy {words}", said)


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "plan.seeds=1", "RUN is missing: the directory of at least one run"),
        (2, "@pairs @pairs", "@pairs: the run is named twice"),
        (3, "@pairs --plan tiny.yaml", "tiny.yaml:2:1: data: not an option of a plan…"),
        (*(2, "@pairs --set beam_size=2"), "--set goes with --decoder NAME, whose option it is"),
    ],
)
def test_compare_refuses(code, words, said, refused):
    refused(code, f"compare {words}", said)


def test_what_is_there_stays_unless_it_is_to_be_overwritten(compared, refused, place):
    _, ended = compared("@pairs", *GREEDY, "--json")
    assert ended.out == (place.folder / "out" / "compare.json").read_text(encoding="utf-8")
    assert "greedy" in ended.err
    assert "%" in ended.err
    said = "out: has a comparison already; --overwrite it, or choose another --out"
    refused(7, f"compare @pairs {' '.join(GREEDY)} --out out", said)
    document, _ = compared("@pairs", *GREEDY, "plan.seed=9")
    assert document["seed"] == 9


def test_by_default_it_lies_below_runs(command, pairs_run, place):
    ended = command("compare", pairs_run, *GREEDY)
    assert ended.code == 0, ended.err
    assert {each.name for each in (place.folder / "runs/compare/run").iterdir()} == FILES


def test_interrupted_it_leaves_nothing(spawn, pairs_run, place):
    words = ["--plan", "seq2seq", "plan.seeds=1000", "--out", "out"]
    process = spawn("compare", pairs_run, *words)
    assert "greedy" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")
    assert not (place.folder / "out").exists()


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "@pairs --prompt-file text.txt --out s", "@pairs: its outputs answer sources…"),
        (4, "@lm --prompt-file nothing --out s", "nothing: cannot be read: No such file…"),
        (5, "nothing --prompt-file text.txt --out s", f"nothing: {NO_RUN}"),
        (7, "@lm --prompt-file text.txt --out no/s", "no: no such folder; --out must be a file"),
        (7, "@lm --prompt-file text.txt --out .", ".: this is a folder; --out must be a file"),
    ],
)
def test_state_refuses(code, words, said, refused, place):
    refused(code, f"state {words}", said)


def test_a_text_is_read_once(output, place, type_in, refused, copied_run):
    text = (place.folder / "text.txt").read_text(encoding="utf-8")
    words = ["--max-length", 40, "--seed", 3]
    wanted = output("generate", "@lm", "--prompt", f"{text}the ", *words).removeprefix(text)
    told = output("state", "@lm", "--prompt-file", "text.txt", "--out", "one")
    assert told == f"one: the state after {len(text):,} characters\n"
    assert output("generate", "@lm", "--state", "one", "--prompt", "the ", *words) == wanted
    type_in(text)
    output("state", "@lm", "--prompt-file", "-", "--out", "two")
    assert (place.folder / "one").read_bytes() == (place.folder / "two").read_bytes()
    # The same weights and tokenizer in another folder are the same run.
    assert output("generate", "@copy", "--state", "one", "--prompt", "the ", *words) == wanted
    refused(5, "generate @lm --state text.txt", "text.txt: damaged, or no state of a text")
    refused(5, "generate @lm --state nothing", "nothing: cannot be read: No such file…")
    refused(2, "generate @lm --state one --score text.txt", "--state and --score exclude…")
