"""The samples of a run."""

import json

import pytest

import seqgen
from seqgen.conclusion import final_samples, samples_as_text, samples_at_validation
from seqgen.run import RunRequest, run


@pytest.fixture(scope="module")
def built(finished_run):
    return seqgen.load(finished_run).built


@pytest.fixture(scope="module")
def samples(built):
    options = built.recipe.samples
    return final_samples(built.generator(), options, options.prompts, seed=1)


def test_each_prompt_at_each_temperature(samples, built):
    assert [each["temperature"] for each in samples] == [0.0, 0.8]
    for each in samples:
        assert each["prompt"] == "the "
        assert "".join(each["pieces"]) == each["text"]
        assert len(each["log_probs"]) == len(each["pieces"]) == built.recipe.samples.length
        assert all(log_prob <= 0 for log_prob in each["log_probs"])
        assert not each["finished"]


def test_the_first_tokens_are_the_most_probable_ones(samples):
    greedy, warm = (each["first"] for each in samples)
    assert [each["probability"] for each in greedy[:2]] == [1.0, 0.0]
    chances = [each["probability"] for each in warm]
    assert chances == sorted(chances, reverse=True)
    assert 0 < sum(chances) <= 1 + 1e-9
    assert greedy[0]["token"] == samples[0]["pieces"][0] == warm[0]["token"]


def test_they_are_those_that_the_run_has_written(samples, finished_run):
    assert json.loads((finished_run / "samples.json").read_bytes()) == samples
    text = (finished_run / "samples.txt").read_text(encoding="utf-8")
    assert text == samples_as_text(samples)


def test_the_same_numbers_at_each_validation(built):
    one, two = (
        samples_at_validation(
            built.generator(), built.recipe.decoder(seed=3, vocab_size=20), ["the ", "cat"], 20
        )
        for _ in range(2)
    )
    assert one == two
    assert [each["prompt"] for each in one] == ["the "]
    assert len(one[0]["text"]) == 20


def test_of_sources_several_are_watched(place, train):
    place.write("pairs.tsv", "".join(f"{n}\t{n:b}\n" for n in range(60)))
    place.write(
        "pairs.yaml",
        """\
data: {name: pairs, path: pairs.tsv, batch_size: 8}
model:
  name: seq2seq
  encoder: {name: recurrent, embedding: {size: 6}, cell: {name: gru, hidden_size: 6}}
  embedding: {size: 6}
  cell: {name: gru, hidden_size: 6}
train: {max_steps: 2, validations: 1}
samples: {length: 4}
threads: 1
""",
    )
    seen = []
    train(recipe="pairs.yaml", watch=[seen.append])
    [samples, *_] = [event["samples"] for event in seen if event["event"] == "valid"]
    assert len({each["prompt"] for each in samples}) == 3
    assert not any(each["continues"] for each in samples)


def test_as_text(samples):
    lines = samples_as_text(samples).split("\n")
    assert lines[0] == "=== greedy ==="
    assert lines[1].startswith("the ")
    assert "=== temperature 0.8 ===" in lines


def test_prompts_that_the_tokenizer_refuses_are_the_recipes_fault(place, refusal):
    place.recipe('prompts: ["the "]', "prompts: [日]")
    told = refusal(3, "run", "tiny.yaml", "tokenizer={unk: error}")
    assert told.startswith("tiny.yaml:13:20: samples.prompts: `text` must be of known characters")


def test_a_decoder_that_does_not_suit_the_vocabulary_is_too(place, refusal, own_registries):
    place.write("picky.py", PICKY)
    override = "decoder={name: picky, top: 1000}"
    told = refusal(3, "run", "tiny.yaml", "plugins=[picky.py]", override)
    assert told == (
        f"override {override}: decoder: `top` must be at most 21, the number of tokens, but is 1000"
    )


PICKY = """
from seqgen.decoders import PathDecoder, decoders


@decoders.register("picky")
class Picky(PathDecoder):
    def __init__(self, vocab_size: int, top: int = 1):
        if top > vocab_size:
            tokens = f"{vocab_size}, the number of tokens"
            raise ValueError(f"`top` must be at most {tokens}, but is {top}")

    def choose(self, log_probs, numbers, moment):
        return log_probs.argmax(-1)
"""


# What a finished run leaves for its report, where it reads sources.


RECIPE = """\
data: {{name: pairs, path: {path}, split: [0.5, 0.25, 0.25], batch_size: 8}}
tokenizer: char
model:
  name: seq2seq
  encoder: {{name: recurrent, embedding: {{size: 4}}, cell: {{name: gru, hidden_size: 4}}}}
  attention: {attention}
  embedding: {{size: 4}}
  cell: {{name: gru, hidden_size: 4}}
metrics: [exact_match, character_error_rate]
evaluation: {{criterion: character_error_rate}}
train: {{max_steps: 1, validations: 1}}
generation: {{max_length: 5}}
threads: 1
"""


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """A function from an attention to a run with it, each made once."""
    made = {}

    def folder(attention):
        if attention not in made:
            here = tmp_path_factory.mktemp(attention)
            rows = (f"{'ab' * n}{letter}\t{letter}\n" for n in range(1, 4) for letter in "cdefghij")
            (here / "pairs.tsv").write_text("".join(rows))
            text = RECIPE.format(path=here / "pairs.tsv", attention=attention)
            (here / "recipe.yaml").write_text(text)
            request = RunRequest(str(here / "recipe.yaml"), (), here / "run")
            made[attention] = run(request, lambda plan: None)
        return made[attention]

    return folder


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_answers_are_those_of_the_last_part(folder_of):
    answers = read(folder_of("general"), "answers.json")
    result = read(folder_of("general"), "result.json")
    assert len(answers) == result["test"]["examples"] == 6
    right = sum(each["output"] in each["references"] for each in answers)
    assert result["test"]["metrics"]["exact_match"] == right / 6
    assert set(answers[0]) == {"source", "output", "references", "score", "finished"}


def test_the_result_says_which_way_is_better(folder_of):
    result = read(folder_of("general"), "result.json")
    assert result["better"] == {"exact_match": "higher", "character_error_rate": "lower"}


def test_attention_is_shown_with_the_end_of_the_source(folder_of):
    answers = {each["source"]: each for each in read(folder_of("general"), "answers.json")}
    shown = read(folder_of("general"), "attention.json")
    assert len(shown) == 6
    for each in shown:
        *letters, end = each["source"]
        assert end == "<eos>"
        source = "".join(letters)
        assert answers[source]["output"] == "".join(each["output"]).removesuffix("<eos>")
        assert len(each["weights"]) == len(each["output"])
        for row in each["weights"]:
            assert len(row) == len(each["source"])
            assert sum(row) == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_does_not_look_back_shows_none(folder_of):
    folder = folder_of("none")
    assert not (folder / "attention.json").exists()
    assert (folder / "answers.json").exists()


def test_the_report_shows_what_was_left(folder_of):
    page = (folder_of("general") / "report.html").read_text(encoding="utf-8")
    for section in ("attention", "errors", "lengths", "samples"):
        assert f'<section id="{section}">' in page
    assert "This report is not complete" not in page
    assert "character error rate \u2193" in page


KINDS = {
    "labelled": (
        "".join(f"{letter * n}\t{letter.upper()}\n" for n in range(1, 13) for letter in "abc"),
        "labelled",
        "{name: classifier, encoder: {name: recurrent, cell: {name: gru, hidden_size: 8}}}",
        "[accuracy, macro_recall]",
    ),
    "tagged": (
        "".join(f"{a}\t{a.upper()}\n{b}\t{b.upper()}\n\n" for a in "abcdef" for b in "abcdef"),
        "tagged",
        "{name: tagger, encoder: {name: bidirectional, cell: {name: gru, hidden_size: 8}}}",
        "[tag_accuracy, tag_scores]",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_label_come_to_their_end(kind, place, train):
    rows, name, model, metrics = KINDS[kind]
    place.write("rows.tsv", rows)
    recipe = {
        "data": f"{{name: {name}, path: rows.tsv, batch_size: 4}}",
        "model": model,
        "metrics": metrics,
        "decoder": "{name: beam, beam_size: 3, n_best: 3}",
        "evaluation": f"{{criterion: {metrics[1:].split(',')[0]}}}",
        "train": "{lr: 3e-2, max_steps: 60, validations: 2}",
        "threads": "1",
    }
    place.write("kind.yaml", "".join(f"{key}: {value}\n" for key, value in recipe.items()))
    folder = train(recipe="kind.yaml")
    result, answers = read(folder, "result.json"), read(folder, "answers.json")
    assert result["test"]["examples"] == len(answers) > 2
    first = next(iter(result["test"]["metrics"].values()))
    assert first == 1.0, "so small a task is learned"
    for each in answers:
        assert each["references"] == [each["output"]]
        assert len(each["output"].split()) == len(each["references"][0].split())
        assert each["score"] <= 0
    assert not (folder / "attention.json").exists()
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert len(read(folder, "samples.json")) == 4 * min(5, result["valid"]["examples"])
