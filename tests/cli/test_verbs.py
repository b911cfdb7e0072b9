"""The verb `run`: what it prints, and that it writes nothing when something is wrong."""

import json
import os
import signal

import pytest

from seqgen.decoders import Greedy, decoders
from seqgen.run_directory import RunDirectory

LSMT = "model.cell.name: no cell named 'lsmt'; did you mean 'lstm'? (seqgen list cells)"


class TestOutput:
    def test_json_is_one_document(self, command, place):
        ended = command("run", "tiny.yaml", "--out", "run", "--json")
        assert ended.code == 0
        assert json.loads(ended.out) == json.loads((place.folder / "run/result.json").read_bytes())
        assert "step 12" in ended.err

    def test_lines_for_reading(self, command, place):
        words = ["run", "tiny.yaml", "train.max_steps=4", 'samples.prompts=["a\\e[2J[/x]"]']
        ended = command(*words)
        assert ended.code == 0
        assert ended.err == ""
        assert "step 4  valid" in ended.out
        assert ended.out.endswith(
            "report: runs/tiny/report.html   samples: runs/tiny/samples.txt\n"
        )
        assert r"a\x1b[2J[/x]" in ended.out, "codes in a prompt do not act"
        assert "\x1b" not in ended.out
        manifest = json.loads((place.folder / "runs/tiny/manifest.json").read_bytes())
        assert manifest["command"][1:] == words


class TestNothingIsWritten:
    def test_when_the_file_is_wrong(self, refusal, place):
        place.recipe("name: lstm", "name: lsmt")
        assert refusal(3, "run", "tiny.yaml") == f"tiny.yaml:6:16: {LSMT}"

    def test_when_an_override_is_wrong(self, refusal):
        line = refusal(3, "run", "tiny.yaml", "model.cell.name=lsmt")
        assert line == f"override model.cell.name=lsmt: {LSMT}"

    @pytest.mark.parametrize(
        ("override", "part"),
        [
            ("threads=x", "threads: must be an integer or 'auto'"),
            ("train.lr=0", "train.lr: must be greater than 0"),
            ("train.lrr=1", "did you mean 'lr'?"),
            ("train.lr", "must be of the form key=value"),
            ("model.cell.hidden_size=0", "model.cell.hidden_size: must be at least 1"),
        ],
    )
    def test_and_the_override_is_named(self, refusal, override, part):
        line = refusal(3, "run", "tiny.yaml", override)
        assert line.startswith(f"override {override}: ")
        assert part in line

    @pytest.mark.parametrize("content", ["", " \n ", "abc"])
    def test_when_the_text_is_too_short(self, refusal, place, content):
        place.write("text.txt", content)
        assert refusal(4, "run", "tiny.yaml").startswith("text.txt: ")

    def test_when_there_is_no_text(self, refusal):
        line = refusal(4, "run", "tiny.yaml", "data.path=nowhere.txt")
        assert line == "nowhere.txt: cannot be read: No such file or directory"

    @pytest.mark.parametrize("flags", [[], ["--overwrite"]])
    def test_when_the_folder_holds_something_else(self, flags, refusal, place):
        place.write("mine/letter.txt", "dear")
        line = refusal(7, "run", "tiny.yaml", "--out", "mine", *flags)
        assert line == "mine: not empty and not a run; choose another with --out"

    @pytest.mark.parametrize("folder", ["nowhere", "mine", "runs/tiny"])
    def test_when_there_is_no_run_to_go_on_with(self, folder, copied_run, refusal, place):
        place.write("mine/letter.txt", "dear")
        copied_run.rename("minn")
        line = refusal(5, "run", "tiny.yaml", "--out", folder, "--resume")
        assert line.startswith(f"{folder}: no run here (there is no recipe.yaml in it)")
        assert line.endswith("; did you mean 'minn'? there are minn") is (folder == "mine")

    def test_when_a_run_is_named_for_a_recipe(self, copied_run, refusal):
        for flags in ([], ["--overwrite"], ["--out", "other"]):
            line = refusal(2, "run", copied_run, *flags)
            assert line.startswith(f"{copied_run}: this is a run; `seqgen run {copied_run} --res")
        line = refusal(2, "run", copied_run, "--resume", "--out", "other")
        assert line == f"--out other: the run in {copied_run} goes on where it is"

    def test_when_a_thesis_is_in_the_folder(self, refusal, place):
        """And a recipe of one's own, in the current folder."""
        place.write("recipe.yaml", (place.folder / "tiny.yaml").read_text(encoding="utf-8"))
        place.write(".git/HEAD", "ref")
        place.write("thesis.tex", "mine")
        for flags in ([], ["--overwrite"]):
            line = refusal(7, "run", "recipe.yaml", "--out", ".", *flags)
            assert line == ".: not empty and not a run; choose another with --out"

    @pytest.mark.parametrize(
        ("folder", "line"),
        [
            ("text.txt", "text.txt: not a directory; choose another with --out"),
            ("text.txt/run", "text.txt/run: cannot be written: Not a directory"),
            ("x" * 300, f"{'x' * 300}: cannot be read: File name too long"),
        ],
    )
    def test_when_no_folder_can_be_there(self, folder, line, refusal):
        assert refusal(7, "run", "tiny.yaml", "--out", folder) == line

    @pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
    def test_when_another_run_is_writing_there(self, flag, copied_run, refusal):
        [path] = json.loads((copied_run / "manifest.json").read_bytes())["data"]
        with RunDirectory(copied_run).locked():
            line = refusal(7, "run", "tiny.yaml", f"data.path={path}", "--out", copied_run, flag)
        assert line == f"{copied_run}: another run is writing here"

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (
                b"abc\ncaf\xe9 ",
                "text.txt:2: invalid UTF-8 at byte 7; this looks like latin-1 "
                "(encoding: latin-1 reads it)",
            ),
            (
                b"ab" * 45,
                "text.txt: 72 training tokens are too few: batch_size 4 and window 16 need at "
                "least 80",
            ),
        ],
    )
    def test_when_the_text_is_wrong(self, content, line, place, refusal):
        place.write("text.txt", content)
        assert refusal(4, "run", "tiny.yaml") == line

    @pytest.mark.parametrize(
        ("override", "part"),
        [
            ("data.path=.", ".: has no train.txt; data.train=NAME says what is read"),
            ("data={name: text, corpus: tiny_shakespeare}", "seqgen data get tiny_shakespeare"),
            ("tokenizer={alphabet: printable, unk: error}", "of known characters, but has 'é'"),
        ],
    )
    def test_when_the_data_does_not_do(self, override, part, place, refusal, monkeypatch):
        monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
        assert part in refusal(4, "run", "tiny.yaml", override)

    def test_on_a_full_disk_that_is_said(self, small_disk, command, place):
        ended = command("run", "tiny.yaml", "--out", small_disk(16) / "run")
        assert ended.code == 7
        assert ended.err.count("\n") == 1


def test_going_on_with_a_run_and_beginning_again(command, refusal):
    assert command("run", "tiny.yaml", "train.max_steps=3").code == 0
    assert "runs/tiny: has a run already" in refusal(7, "run", "tiny.yaml")
    ended = command("run", "tiny.yaml", "train.max_steps=6", "--resume", "--json")
    assert ended.code == 0
    assert "resumed at step 3" in ended.err
    assert json.loads(ended.out)["train"]["steps"] == 6
    ended = command("run", "tiny.yaml", "train.max_steps=2", "--overwrite", "--json")
    assert json.loads(ended.out)["train"]["steps"] == 2


def test_a_run_goes_on_without_its_recipe(command, place, monkeypatch):
    """By its folder alone, be that by a link, with overrides of what may change."""
    assert command("run", "tiny.yaml", "train.max_steps=3").code == 0
    (place.folder / "tiny.yaml").unlink()
    (place.folder / "runs/tiny").rename(place.folder / "moved")
    (place.folder / "link").symlink_to("moved")
    ended = command("run", "link", "train.max_steps=6", "--resume", "--json")
    assert ended.code == 0, ended.err
    assert "resumed at step 3" in ended.err
    assert "\ntiny\n" in f"\n{ended.err}"
    assert json.loads(ended.out)["train"]["steps"] == 6
    assert json.loads(ended.out) == json.loads((place.folder / "moved/result.json").read_bytes())


def test_it_goes_on_when_its_reader_goes(spawn, place):
    reading, writing = os.pipe()
    os.close(reading)
    process = spawn("run", "tiny.yaml", "train.max_steps=2", stdout=writing)
    os.close(writing)
    assert process.wait() == 0
    assert process.stderr.read() == ""
    result = json.loads((place.folder / "runs/tiny/result.json").read_bytes())
    assert result["train"]["steps"] == 2


# The verb `generate`: texts, seeds and settings of decoders.


@pytest.fixture
def generate(command, finished_run):
    """A function that generates from the finished run, which must work."""

    def call(*words, err=""):
        ended = command("generate", finished_run, *words)
        assert ended.code == 0, ended.err
        assert ended.err == err
        return ended.out

    return call


def test_the_recipe_says_the_prompt(generate):
    shown = generate("--max-length", 30)
    assert shown.startswith("the ")
    assert len(shown) == len("the ") + 30 + 1


def test_the_seed_says_the_text(generate):
    first = generate("--seed", 3)
    assert generate("--seed", 3) == first
    assert generate("--seed", 4) != first
    assert generate() == generate()


def test_greedy_needs_no_seed(generate):
    greedy = ("--decoder", "greedy")
    assert generate(*greedy, "--seed", 3) == generate(*greedy, "--seed", 4)
    assert generate("--set", "temperature=0") == generate(*greedy)


def test_no_tokens(generate):
    assert generate("--prompt", "cat", "--max-length", 0) == "cat\n"


def test_an_empty_prompt(generate):
    assert len(generate("--prompt", "", "--max-length", 5)) == 6


def test_several_samples_have_titles(generate):
    shown = generate("--prompt", "a", "--prompt", "the", "--samples", 2, "--max-length", 5)
    titles = [line for line in shown.splitlines() if line.startswith("=== ")]
    assert titles == ["=== 'a' 1 ===", "=== 'a' 2 ===", "=== 'the' 1 ===", "=== 'the' 2 ==="]


def test_more_samples_change_none(generate):
    def texts(*words):
        return [each["text"] for each in json.loads(generate("--json", *words))]

    one, many = texts("--prompt", "a"), texts("--prompt", "a", "--samples", 3)
    assert len(set(many)) == 3
    assert many[0] == one[0]


def test_json_is_one_document(generate):
    [found] = json.loads(generate("--prompt", "caf", "--max-length", 7, "--json"))
    assert set(found) == {
        "prompt", "text", "tokens", "pieces", "log_probs", "score", "rank", "finished", "complete",
        "satisfied",
    }  # fmt: skip
    assert found["prompt"] == "caf"
    assert found["text"] == "".join(found["pieces"])
    assert len(found["tokens"]) == len(found["log_probs"]) == 7
    assert found["score"] == pytest.approx(sum(found["log_probs"]))
    assert not found["finished"]


class TestPrompts:
    def test_unknown_characters_are_counted(self, generate):
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
    def test_nothing_acts_on_the_terminal(self, command, finished_run, prompt, shown, unknown):
        ended = command("generate", finished_run, "--prompt", prompt, "--max-length", 3)
        assert ended.code == 0
        assert ended.out.startswith(shown)
        if unknown is not None:
            assert ended.err.startswith(f"warning: {unknown} token")
        ended = command(
            "generate", finished_run, "--prompt", prompt, "--samples", 2, "--max-length", 3
        )
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(ended.out)

    def test_in_json_they_are_themselves(self, command, finished_run):
        ended = command("generate", finished_run, "--prompt", "a\x1b[m", "--json")
        assert json.loads(ended.out)[0]["prompt"] == "a\x1b[m"
        assert "\x1b" not in ended.out


def test_what_a_model_generates_does_not_act_either(command, place):
    codes = "\x1b[31m[/x][bold]\u202e\x07\u2028"
    place.write("text.txt", codes * 300)
    options = ["data.window=8", "samples.length=40", "train.max_steps=2"]
    ended = command("run", "tiny.yaml", *options, "--out", "run")
    assert ended.code == 0, ended.err
    assert not set("\x1b\u202e\x07\u2028") & set(ended.out)
    wild = ["--max-length", 200, "--set", "temperature=3", "--prompt", "[/x]"]
    ended = command("generate", "run", *wild)
    assert ended.code == 0
    assert r"\x1b" in ended.out
    assert not set("\x1b\u202e\x07\u2028") & set(ended.out)
    [found] = json.loads(command("generate", "run", *wild, "--json").out)
    assert set(found["text"]) <= set(codes)


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (
                ["--decoder", "multinmial"],
                "--decoder multinmial: no decoder named 'multinmial'; did you mean 'multinomial'?",
            ),
            (
                ["--set", "temprature=1"],
                "--set temprature=1: temprature: not an option of decoder 'multinomial'; "
                "did you mean 'temperature'?",
            ),
            (
                ["--set", "temperature=-1"],
                "--set temperature=-1: temperature: must be at least 0 and at most",
            ),
            (
                ["--decoder", "greedy", "--set", "temperature=1"],
                "--set temperature=1: temperature: not an option of decoder 'greedy'",
            ),
            (["--set", "temperature"], "--set temperature: must be of the form key=value"),
            (["--set", "seed=3"], "--set seed=3: seed: not an option"),
            (
                ["--set", "temperature=.inf"],
                "--set temperature=.inf: temperature: must be at least 0 and at most",
            ),
            (["--set", "temperature.x=1"], "--set temperature.x=1: no such key 'x'"),
            (["--set", "name=gredy"], "--set name=gredy: name: no decoder named 'gredy'"),
            (
                ["--prompt", "a\ud800"],
                "--prompt: `text` must be Unicode characters, but has a lone",
            ),
            (["--device", "gpu"], "override device=gpu: device: must be 'auto', 'cpu' or 'cuda'"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_named(self, refusal, finished_run, words, line):
        assert refusal(3, "generate", finished_run, *words).startswith(line)

    def test_a_decoder_whose_constructor_refuses(self, refusal, finished_run, own_registries):
        @decoders.register("picky")
        class Picky(Greedy):
            """A limit that depends on the vocabulary."""

            def __init__(self, vocab_size: int, top: int = 1) -> None:
                if top > vocab_size:
                    raise ValueError(f"`top` must be at most {vocab_size}, but is {top}")

        line = refusal(3, "generate", finished_run, "--decoder", "picky", "--set", "top=99")
        assert line == "--decoder picky: `top` must be at most 21, but is 99"

    def test_no_checkpoint_yet(self, refusal, copied_run):
        for name in ("best", "last"):
            (copied_run / "checkpoints" / name).unlink()
        assert refusal(5, "generate", copied_run) == f"{copied_run}: no checkpoint yet"

    def test_no_run_there(self, refusal):
        assert refusal(5, "generate", "nowhere").startswith("nowhere: no run here")

    def test_a_flipped_bit(self, refusal, copied_run):
        for path in copied_run.glob("checkpoints/*/model.safetensors"):
            content = bytearray(path.read_bytes())
            content[-9] ^= 1
            path.write_bytes(content)
        assert str(copied_run) in refusal(5, "generate", copied_run)


def test_the_best_ones_are_told_apart(command, finished_run):
    words = ("--prompt", "the", "--max-length", 6, "--decoder", "beam")
    ended = command("generate", finished_run, *words, "--set", "n_best=3", "--set", "beam_size=3")
    assert [line for line in ended.out.splitlines() if line.startswith("===")] == [
        f"=== 'the' {number} ===" for number in (1, 2, 3)
    ]
    ended = command("generate", finished_run, *words, "--set", "n_best=2", "--json")
    ranks = [each["rank"] for each in json.loads(ended.out)]
    assert ranks == sorted(ranks, reverse=True)


def test_a_search_that_gives_up_says_so(command, finished_run):
    words = ("--prompt", "the", "--max-length", 8, "--decoder", "exact", "--set", "max_nodes=2")
    ended = command("generate", finished_run, *words, "--json")
    assert "budget ran out: 1 of 1 texts are the best found so far" in ended.err
    assert [each["complete"] for each in json.loads(ended.out)] == [False]


def test_what_cannot_satisfy_all_constraints_is_counted(command, finished_run):
    constraints = "constraints=[{name: allowed, texts: [the, cat]}, {name: forbid, texts: [a, h]}]"
    words = ("--prompt", "the", "--decoder", "greedy", "--set", constraints)
    ended = command("generate", finished_run, *words, "--json")
    assert "warning: 1 of 1 texts does not satisfy all constraints; it ends where" in ended.err
    [found] = json.loads(ended.out)
    assert found["satisfied"] is False
    assert found["text"] in ("t", "c")


def test_texts_come_from_a_file(command, finished_run, place):
    place.write("words.txt", "cat\nmat\n")
    allowed = "constraints=[{name: allowed, file: words.txt}]"
    words = ("--prompt", "the ", "--decoder", "beam", "--max-length", 3, "--set")
    assert command("generate", finished_run, *words, allowed).out in ("the cat\n", "the mat\n")
    missing = allowed.replace("words", "nothing")
    ended = command("generate", finished_run, *words, missing)
    assert ended.code == 4
    assert ended.err == "nothing.txt: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("decoder", "same"),
    [
        (("greedy",), True),
        (("beam",), True),
        (("top_k", "--set", "k=1"), True),
        (("multinomial", "--set", "temperature=0"), True),
        (("multinomial",), False),
        (("minimum_bayes_risk", "--set", "samples=2"), False),
        (("minimum_bayes_risk", "--set", "samples=2", "--set", "sampler=greedy"), True),
    ],
)
def test_several_samples_of_what_draws_nothing_are_a_warning(command, finished_run, decoder, same):
    words = ("--prompt", "the", "--max-length", 2, "--samples", 3, "--decoder")
    ended = command("generate", finished_run, *words, *decoder)
    warning = "warning: --samples 3: this decoder draws nothing at random, so all samples are "
    assert ended.err == (f"{warning}the same\n" if same else "")


# The verb `evaluate`: the figures of the run again, or those of another text.


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
    wanted = (
        "override metrics=[exact_match, exact_match]: metrics.1: duplicate metric 'exact_match'"
    )
    assert told == wanted


# The verb `compare`: what a command line means, what it refuses, what lies there at the end.


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


class TestRefusals_compare:
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
