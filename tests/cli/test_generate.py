"""The verb `generate`."""

import json

import pytest

from seqgen.training.checkpoint import Checkpoints


@pytest.fixture
def generate(command, finished_run):
    def call(*words):
        return command("generate", finished_run, *words)

    return call


class TestText:
    def test_prompt_and_continuation(self, generate):
        ended = generate("--prompt", "the ", "--max-length", 30)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("the ")
        assert len(ended.out) == 4 + 30 + 1

    def test_the_recipes_own_prompts_decoder_and_seed(self, generate, finished_run):
        assert generate().out.startswith("the ")
        again = generate("--prompt", "the ", "--decoder", "multinomial", "--set", "temperature=0.8")
        assert again.out == generate("--seed", 1).out == generate().out

    def test_the_same_seed_gives_the_same_text(self, generate):
        texts = [generate("--seed", seed, "--max-length", 60).out for seed in (5, 5, 6)]
        assert texts[0] == texts[1] != texts[2]

    def test_no_length_at_all(self, generate):
        assert generate("--prompt", "the", "--max-length", 0).out == "the\n"

    def test_several(self, generate):
        ended = generate("--prompt", "a", "--prompt", "b", "--samples", 2, "--max-length", 9)
        lines = ended.out.split("\n")
        titles = [line for line in lines if line.startswith("===")]
        assert titles == ["=== 'a' 1 ===", "=== 'a' 2 ===", "=== 'b' 1 ===", "=== 'b' 2 ==="]
        texts = [line for line in lines if line and not line.startswith("===")]
        assert [text[0] for text in texts] == ["a", "a", "b", "b"]
        assert len(set(texts)) == 4

    def test_more_samples_change_none(self, generate):
        few, many = (
            json.loads(generate("--samples", count, "--max-length", 9, "--json").out)
            for count in (2, 5)
        )
        assert many[:2] == few

    def test_greedy(self, generate):
        greedy = generate("--decoder", "greedy", "--max-length", 30).out
        assert (
            generate("--decoder", "multinomial", "--set", "temperature=0", "--max-length", 30).out
            == greedy
        )
        for temperature in ("1e-4", "100"):
            ended = generate("--set", f"temperature={temperature}", "--max-length", 30)
            assert len(ended.out) == len(greedy)


class TestJson:
    def test_tokens_and_scores(self, generate):
        [found] = json.loads(generate("--prompt", "the ", "--max-length", 6, "--json").out)
        assert found["prompt"] == "the "
        assert "".join(found["pieces"]) == found["text"]
        assert len(found["tokens"]) == len(found["log_probs"]) == 6
        assert found["score"] == pytest.approx(sum(found["log_probs"]))
        assert found["finished"] is False


class TestWhatIsWrong:
    @pytest.fixture
    def refused(self, refusal, finished_run):
        return lambda code, *words: refusal(code, "generate", finished_run, *words)

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (
                ["--decoder", "gredy"],
                "--decoder gredy: no decoder named 'gredy'; did you mean 'greedy'? "
                "(seqgen list decoders)",
            ),
            (
                ["--set", "temperature=-1"],
                "--set temperature=-1: temperature: must be at least 0, but is -1",
            ),
            (
                ["--set", "temperature=.inf"],
                "--set temperature=.inf: temperature: must be a finite number, but is Infinity",
            ),
            (["--set", "temperature=x"], "--set temperature=x: temperature: must be a number"),
            (
                ["--set", "temprature=1"],
                "--set temprature=1: temprature: not an option of decoder 'multinomial'; "
                "did you mean 'temperature'?",
            ),
            (
                ["--decoder", "greedy", "--set", "temperature=1"],
                "--set temperature=1: temperature: not an option of decoder 'greedy' (it has none",
            ),
            (["--set", "temperature"], "--set temperature: must be of the form key=value"),
            (["--set", "temperature="], "--set temperature=: no value"),
            (["--set", "temperature.x=1"], "--set temperature.x=1: there is no place for 'x'"),
            (["--set", "name=gredy"], "--set name=gredy: name: no decoder named 'gredy'"),
            (
                ["--prompt", "a\ud800"],
                "--prompt: `text` must be Unicode characters, but has a lone",
            ),
            (["--device", "gpu"], "override device=gpu: device: must be 'auto', 'cpu' or 'cuda'"),
        ],
    )
    def test_it_is_named(self, words, told, refused):
        assert refused(3, *words).startswith(told)

    def test_a_decoder_whose_constructor_refuses(self, refused, own_registries):
        from seqgen.decoders import PathDecoder, decoders

        @decoders.register("picky")
        class Picky(PathDecoder):
            """A decoder with a limit that depends on the vocabulary."""

            def __init__(self, vocab_size: int, top: int = 1) -> None:
                if top > vocab_size:
                    raise ValueError(f"`top` must be at most {vocab_size}, but is {top}")

            def choose(self, log_probs, numbers, moment):
                return log_probs.argmax(-1)

        told = refused(3, "--decoder", "picky", "--set", "top=99")
        assert told == "--decoder picky: `top` must be at most 21, but is 99"

    @pytest.mark.parametrize(
        "words", [["--max-length", "-1"], ["--samples", "0"], ["--seed", "-1"], ["--nonsense"]]
    )
    def test_a_wrong_flag(self, words, generate):
        ended = generate(*words)
        assert ended.code == 2
        assert words[0] in ended.err

    def test_no_run(self, refusal, place):
        told = refusal(5, "generate", "nowhere")
        assert told == "nowhere: no run here (there is no recipe.yaml in it)"
        assert "no run here" in refusal(5, "generate", "text.txt")

    def test_no_checkpoint_yet(self, refusal, copied_run):
        for path in (copied_run / "checkpoints").glob("*t"):
            path.unlink()
        assert refusal(5, "generate", copied_run) == f"{copied_run}: no checkpoint yet"

    def test_a_damaged_checkpoint(self, refusal, copied_run):
        path = Checkpoints(copied_run / "checkpoints").find("best") / "model.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        assert refusal(5, "generate", copied_run).startswith(f"{path}: damaged, its checksum")


class TestStrangeText:
    def test_unknown_characters_are_counted_in_a_warning(self, generate):
        ended = generate("--prompt", "日本 the", "--max-length", 5)
        assert ended.code == 0
        assert ended.err == "warning: 2 tokens of the prompts are unknown to the model\n"
        assert ended.out.startswith("日本 the")

    def test_codes_in_a_prompt_do_not_act_on_the_terminal(self, generate):
        ended = generate("--prompt", "\x1b[31m[/x]\u202e\x00\r", "--max-length", 3, "--samples", 2)
        assert ended.code == 0
        assert "\\x1b[31m[/x]\\u202e\\x00\\x0d" in ended.out
        assert not set("\x1b\u202e\x00\r") & set(ended.out)

    def test_nor_do_those_that_a_model_generates(self, place, command):
        place.write("text.txt", "\x1b[31m[/x][bold]\u202e\x07\u2028" * 300)
        options = ["data.window=8", "samples.length=40", "samples.prompts=['[/x]']"]
        ended = command("run", "tiny.yaml", *options, "--out", "run")
        assert ended.code == 0, ended.err
        assert not set("\x1b\u202e\x07\u2028") & set(ended.out)
        ended = command("generate", "run", "--max-length", 200, "--set", "temperature=3")
        assert ended.code == 0
        assert "\\x1b" in ended.out
        assert not set("\x1b\u202e\x07\u2028") & set(ended.out)
        # As data they stay what they are.
        [found] = json.loads(command("generate", "run", "--max-length", 200, "--json").out)
        assert len(found["text"]) == 200
