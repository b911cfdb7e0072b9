"""The verb `generate`: texts, seeds and settings of decoders."""

import json

import pytest

from seqgen.decoders import Greedy, decoders


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
